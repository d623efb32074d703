"""Two results against each other: verdicts, and the statistics under them."""

import itertools
import random

import pytest
from fastdw_bench import (
    compare,
    document,
)
from fastdw_bench.__main__ import main
from fastdw_bench.layers import parse_layer


def synthetic(**times):
    """A result with one layer a keyword: the median of its times, or those of two engines."""
    result = document.new("", {}, {})
    rng = random.Random(1)
    for name, seconds in times.items():
        own_time, peer_time = seconds if isinstance(seconds, tuple) else (seconds, None)
        engines = {"fastdw": own_time} | ({"litert": peer_time} if peer_time else {})
        results = {
            engine: document.result([t * rng.uniform(0.99, 1.01) for _ in range(30)], "", None)
            for engine, t in engines.items()
        }
        layer = parse_layer(f"{name}={name[1:]}x4x8,k3,f8")
        row = {"name": name, "layer": str(layer), "threads": 1, "batch": 1, "macs": layer.macs}
        result["rows"].append(row | {"bytes": layer.compulsory_bytes, "results": results})
    return result


def verdicts(before, after, **options):
    return {v.name: v.verdict for v in compare.compare(before, after, **options)}


def test_verdicts():
    before = synthetic(a4=1e-3, a5=1e-3, a6=1e-3, a7=1e-3)
    after = synthetic(a4=1e-3, a5=1.2e-3, a6=0.8e-3, a8=5e-3)
    assert verdicts(before, after) == {"a4": "same", "a5": "slower", "a6": "faster"}
    assert verdicts(before, after, threshold=0.3) == dict.fromkeys(("a4", "a5", "a6"), "same")
    assert verdicts(before, after, engine="litert") == {}


def test_small_changes_of_noisy_times_are_no_verdict():
    rng = random.Random(2)
    before, after = synthetic(a4=1e-3), synthetic(a4=1e-3)
    for result, center in ((before, 1.0), (after, 1.06)):
        samples = [1e-3 * center * rng.uniform(0.5, 1.5) for _ in range(10)]
        result["rows"][0]["results"]["fastdw"] = document.result(samples, "", None)
    assert verdicts(before, after) == {"a4": "same"}


def test_another_engine_cancels_the_clock():
    before = synthetic(a4=(1e-3, 2e-3), a5=(1e-3, 2e-3))
    after = synthetic(a4=(2e-3, 4e-3), a5=(3e-3, 4e-3))
    assert verdicts(before, after) == {"a4": "slower", "a5": "slower"}
    assert verdicts(before, after, relative_to="litert") == {"a4": "same", "a5": "slower"}


def test_compare_ends_with_1_after_a_regression(tmp_path, capsys):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, seconds in zip(paths, (1e-3, 1.1e-3), strict=True):
        result = synthetic(a4=seconds)
        result["warnings"].append(f"{path.stem} was hot")
        path.write_text(document.dumps(result))
    before, after = map(str, paths)
    assert main(["compare", before, after]) == 1
    printed = capsys.readouterr()
    assert "1 slower" in printed.out
    assert "a was hot" in printed.err
    assert "b was hot" in printed.err
    assert main(["compare", after, before]) == 0
    assert main(["compare", before, before]) == 0
    assert main(["compare", before, after, "--threshold", "0.2"]) == 0


def test_different_machines_are_named():
    a, b = synthetic(a4=1.0), synthetic(a4=1.0)
    assert compare.differences(a, b) == []
    b["environment"] = {"machine": {"cpu": {"Arm Cortex-A72": 4}}}
    (difference,) = compare.differences(a, b)
    assert "Cortex-A72" in difference


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_is_near_the_exact_test(seed):
    """Against all ways to choose 5 of 11 ranks, some of them tied."""
    rng = random.Random(seed)
    a = [rng.randint(0, 12) for _ in range(5)]
    b = [rng.randint(3, 15) for _ in range(6)]

    def statistic(chosen, others):
        wins = sum((x > y) + (x == y) / 2 for x in chosen for y in others)
        return abs(wins - 15)

    observed, pool = statistic(a, b), a + b
    extreme = total = 0
    for places in itertools.combinations(range(11), 5):
        chosen = [pool[i] for i in places]
        others = [pool[i] for i in range(11) if i not in places]
        extreme += statistic(chosen, others) >= observed
        total += 1
    assert compare.mann_whitney(a, b) == pytest.approx(extreme / total, abs=0.04)
    assert compare.mann_whitney(a, b) == pytest.approx(compare.mann_whitney(b, a))


def test_mann_whitney_of_equal_samples_is_1():
    assert compare.mann_whitney([1.0] * 9, [1.0] * 7) == 1.0


def test_holm():
    # 0.01 and 0.005 pass at 0.05/4 and 0.05/3, 0.03 fails at 0.05/2, and so does all behind it.
    assert compare.holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert compare.holm([], 0.05) == []
