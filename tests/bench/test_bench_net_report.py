"""Results of networks: their points, one out of several, compared, as a page."""

import copy
import json

import pytest
from fastdw_bench import compare, document, merge, net_text, report
from fastdw_bench.__main__ import main
from fastdw_bench.run import Settings, start


def row(name, threads, macs=1_000_000, alone=None, **times):
    results = {
        engine: {"problem": time} if isinstance(time, str) else document.result([time] * 9, "", 0.0)
        for engine, time in times.items()
    }
    head = {"name": name, "threads": threads, "macs": macs, "parameters": 7, "limit": 1e11}
    return head | {"unit": "relative", "results": results, "steps": None, "alone": alone}


def result(*rows, command="fastdw-bench net a.tflite"):
    found = start(Settings(threads=(1, 2))) | {"format": document.NETWORKS, "complete": True}
    found |= {
        "rows": list(rows),
        "commands": [command],
        "warnings": [],
        "disturbance": {"others": 0.0},
    }
    return json.loads(document.dumps(found))


@pytest.fixture
def both():
    """Two runs: the first network is 2 and 1.5 times as fast as the best engine, the other lost."""
    times = {"litert": 8e-5, "mnn": 9e-5, "ncnn": "unsupported: it reads no .tflite"}
    first = result(
        row("a.tflite", 1, fastdw=4e-5, alone={"run": 4.4e-5, "steps": 4e-5}, **times),
        row("a.tflite", 2, fastdw=2.5e-5, litert=3.75e-5),
    )
    second = result(
        row("b.tflite", 1, fastdw=4e-5, litert=2e-5), command="fastdw-bench net b.tflite"
    )
    return first, second


def test_points(both):
    one, two = net_text.points(both[0])
    assert (one["best"], one["best_ratio"]) == ("litert", pytest.approx(2))
    assert one["over_limit"] == pytest.approx(4e-5 / (2e6 / 1e11))
    assert one["over_steps"] == pytest.approx(1.1)
    assert one["gain"] is two["over_steps"] is None
    assert two["gain"] == pytest.approx(1.6)
    table = net_text.points_table(both[0])
    assert table[0][2:] == ["best other ×", "time / limit", "1 thread ×", "run / steps alone"]
    assert table[1][2:] == ["2.00", "2.00", "–", "1.10"]
    assert table[-2:] == [
        ["geometric mean", "1", "2.00", "2.00", "–", "1.10"],
        ["geometric mean", "2", "1.50", "1.25", "1.60", "–"],
    ]


def test_what_was_not_measured_leaves_gaps():
    found = result(row("a.fdw", 1, fastdw="broken", litert=1e-3), row("b.fdw", 2, fastdw=1e-3))
    found["rows"][1]["limit"] = None
    first, second = net_text.points(found)
    assert first["best"] == "litert"
    assert [first[k] for k in ("best_ratio", "over_limit", "gain")] == [None] * 3
    assert set(second.values()) == {"b.fdw", 2, None}
    assert "–" in net_text.shown(found, str)


def test_a_network_without_multiply_adds_has_no_limit():
    found = result(row("a.onnx", 1, fastdw=1e-5, litert=2e-5, alone={"run": 0.0, "steps": 0.0}))
    found["rows"][0]["macs"] = 0
    (only,) = net_text.points(found)
    assert only["best_ratio"] == pytest.approx(2)
    assert only["over_limit"] is only["over_steps"] is None


def test_two_runs_become_one(both, tmp_path, capsys):
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    for path, run in zip(paths, both, strict=True):
        run["warnings"].append(f"{path.stem} was hot")
        run["rows"][0]["steps"] = [{"step": "add"}]
        run["disturbance"]["others"] = 0.1 if path.stem == "b" else 0.0
        path.write_text(document.dumps(run))
    output = tmp_path / "both.json"
    assert main(["merge", *map(str, paths), "--output", str(output)]) == 0
    assert "run / steps alone" in capsys.readouterr().out
    merged = document.load(output)
    assert [r["name"] for r in merged["rows"]] == ["a.tflite", "a.tflite", "b.tflite"]
    assert merged["commands"] == ["fastdw-bench net a.tflite", "fastdw-bench net b.tflite"]
    assert merged["warnings"] == ["a was hot", "b was hot"]
    assert {r["steps"] for r in merged["rows"]} == {None}
    assert merged["rows"][0]["alone"]["steps"] == 4e-5
    assert merged["disturbance"] == {"others": 0.1}
    assert [p["best_ratio"] for p in merged["points"]] == pytest.approx([2, 1.5, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["settings"].update(repetitions=3), "the settings differ"),
        (lambda d: d["environment"]["engines"].update(mnn="9"), "the engines differ"),
        (lambda d: d["environment"]["machine"].update(cpu={"A": 1}), "the processors differ"),
        (lambda d: d["rows"][0].update(name="a.tflite"), "more than once: a.tflite on 1"),
        (lambda d: d.update(format=document.FORMAT), "only results of networks"),
    ],
)
def test_runs_that_are_not_alike_stay_apart(change, message, both):
    first, second = both
    change(second)
    with pytest.raises(ValueError, match=message):
        merge.merged([first, second])


def test_networks_are_compared_by_name(both, tmp_path, capsys):
    slower = copy.deepcopy(both[0])
    times = slower["rows"][0]["results"]["fastdw"]
    times["samples"] = [2 * t for t in times["samples"]]
    found = {(v.name, v.threads): v.verdict for v in compare.compare(both[0], slower)}
    assert found == {("a.tflite", 1): "slower", ("a.tflite", 2): "same"}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, run in zip(paths, (both[0], slower), strict=True):
        path.write_text(document.dumps(run))
    assert main(["compare", *map(str, paths)]) == 1
    assert "1 slower" in capsys.readouterr().out


def test_a_page_of_networks(both, tmp_path, capsys):
    (tmp_path / "both.json").write_text(document.dumps(merge.merged(both)))
    assert main(["report", str(tmp_path)]) == 0
    page, notes = (tmp_path / name for name in ("report.html", "report.md"))
    html, text = page.read_text(), notes.read_text()
    assert html.count("<svg") == 2  # One for each number of threads; no roof of copying.
    assert html.count("<rect") == 3
    for content in (html, text):
        assert "command: fastdw-bench net b.tflite" in content
        assert "behind on b.tflite 0.50" in content
        assert "a.tflite: ncnn: unsupported: it reads no .tflite" in content
        assert "the same network" in content
    assert "| b.tflite | 1 | 0.0400 | 0.0200 | – | 0.50 litert |" in text
    assert "| geometric mean | 1 | 1.00 | 2.00 |" in text


@pytest.mark.parametrize("key", ["name", "threads", "macs", "results"])
def test_a_damaged_result_is_refused(key, both, tmp_path):
    del both[0]["rows"][0][key]
    (tmp_path / "bad.json").write_text(document.dumps(both[0]))
    with pytest.raises(ValueError, match="damaged"):
        report.write(tmp_path)


def test_a_damaged_result_is_not_merged(both, tmp_path, capsys):
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    del both[1]["disturbance"]
    for path, run in zip(paths, both, strict=True):
        path.write_text(document.dumps(run))
    output = tmp_path / "both.json"
    with pytest.raises(SystemExit) as found:
        main(["merge", *map(str, paths), "--output", str(output)])
    assert found.value.code == 2
    assert "damaged" in capsys.readouterr().err
    assert not output.exists()


def test_what_was_interrupted_stays_so(both, tmp_path, capsys):
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    both[1]["complete"] = False
    for path, run in zip(paths, both, strict=True):
        path.write_text(document.dumps(run))
    assert main(["merge", *map(str, paths), "--output", str(tmp_path / "both.json")]) == 130
    capsys.readouterr()
