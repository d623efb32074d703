"""The goals: that each is measured, and that the arithmetic of each is right. None judges speed."""

import json
import os

import fastdw
import pytest
from fastdw_bench import document, own
from fastdw_bench.__main__ import main as bench_main
from fastdw_bench.layers import parse_layer
from fastdw_bench.peers.base import Prepared

from bench.score import goals, probes
from bench.score.__main__ import main

QUICK = ["--peers", "none", "--min-time", "1e-6", "--repetitions", "3"]
BLOCKS = ("c_1=4x4x3,k3,f8", "v1_5=5x5x8,k3,f8,relu/relu", "e_k5_2=5x5x8,k5,f8,swish/linear")
CORNERS = ("plain=4x4x8,k3", "dilation_2=4x4x8,k3,d2", "stride_1x2=4x4x8,k3,s1x2")
LIMIT = 100e9


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(goals, "BLOCKS", tuple(map(parse_layer, BLOCKS)))
    monkeypatch.setattr(goals, "CORNERS", tuple(map(parse_layer, CORNERS)))


def made_up(cpus=2, peer=True, **blocks):
    """A result with one row a block and thread count: (one, two) times over the limit of one.

    The best engine takes a time of 1.5, AVX2 one of 1.2 of the time of fastdw.
    """
    threads = range(1, cpus + 1)
    settings = {"threads": list(threads), "isas": ["avx512", "avx2"]}
    made = document.new("", {}, settings)
    made["probes"] = {}
    made["limits"] = [
        {"threads": t, "isa": isa, "gflops": share * t * LIMIT / 1e9}
        for t in threads
        for isa, share in (("avx512", 1.0), ("avx2", 0.5))
    ]
    for name, over in blocks.items():
        kernel = 5 if name.startswith("e_k5") else 3
        layer = parse_layer(f"{name}=28x28x256,k{kernel},f256")
        for t in threads:
            seconds = over[t - 1] * 2 * layer.macs / LIMIT
            times = {"fastdw avx512": seconds, "fastdw avx2": 1.2 * seconds}
            if peer:
                times |= {"litert": 1.5 * seconds, "mnn": 2 * seconds}
            results = {engine: document.result([t], "", None) for engine, t in times.items()}
            row = {"name": name, "layer": str(layer), "threads": t, "macs": layer.macs}
            made["rows"].append(row | {"results": results})
    return made


def judged(made):
    return {goal.goal: goal for goal in goals.judge(made)}


def value(goal):
    return float(goal.measured.split()[0])


def test_all_goals_are_printed_and_saved(tiny, tmp_path, capsys):
    path = tmp_path / "a.json"
    assert main([*QUICK, "--output", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("c_1 ") > 1
    assert "count_neon/count.py" in out
    saved = document.load(path)
    assert saved["complete"]
    lines = [line for line in out.splitlines() if line.endswith(("yes", "no", "–"))]
    for goal in saved["goals"]:
        assert any(line.startswith(goal["goal"] + "  ") for line in lines)
    numbers = [goal["goal"].split()[0] for goal in saved["goals"]]
    assert numbers == sorted(numbers)
    assert set(numbers) == set("12345678")
    alone = len(os.sched_getaffinity(0)) == 1
    for goal in saved["goals"]:
        needs_more = "engine" in goal["goal"] or (alone and "two threads" in goal["goal"])
        if needs_more:
            assert goal["measured"].startswith("not measured")
            assert goal["met"] is None
    assert set(saved["probes"]["layouts"]) == {"c_1", "v1_5", "e_k5_2"}
    assert set(saved["probes"]["batches"]) == {"v1_5", "e_k5_2"}
    assert set(saved["probes"]["activations"]) == set(probes.ACTIVATIONS)
    assert saved["probes"]["corner_costs"]["plain"] == 1
    assert [row["name"] for row in saved["probes"]["corners"]] == [
        *("plain", "dilation_2", "stride_1x2")
    ]
    assert bench_main(["report", str(tmp_path)]) == 0


def test_the_output_is_opened_before_the_measurement(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(goals, "run", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit) as ended:
        main([*QUICK, "--output", str(tmp_path)])
    assert ended.value.code == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_goals_as_markdown(tiny, capsys):
    assert main([*QUICK, "--format", "markdown"]) == 0
    assert "| goal | measured | wanted | met |\n" in capsys.readouterr().out


def test_a_wrong_result_on_a_corner_fails(tiny, monkeypatch, capsys):
    prepare = own.prepare

    def damaged(block, *arguments):
        good = prepare(block, *arguments)
        if block.layer.name != "dilation_2":
            return good
        return Prepared(good.run, lambda: good.output() + 1.0, good.variant)

    monkeypatch.setattr(own, "prepare", damaged)
    assert main([*QUICK]) == 1
    assert "dilation_2" in capsys.readouterr().err


def test_an_interrupt_leaves_what_is_done(tiny, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(probes, "_batches", interrupted)
    assert main([*QUICK, "--output", str(tmp_path / "a.json")]) == 130
    saved = document.load(tmp_path / "a.json")
    assert "layouts" in saved["probes"]
    assert "batches" not in saved["probes"]
    assert not saved["complete"]
    assert "interrupted" in capsys.readouterr().err


def test_time_over_the_limit():
    found = judged(made_up(v1_1=(1.0, 0.6), v1_2=(1.21, 0.5), e_k5_1=(1.1, 0.5), c_1=(9.0, 1.0)))
    mean = found["1 time over the limit, one thread"]
    assert value(mean) == pytest.approx(1.1, abs=1e-3)
    assert "the best engine 1.650" in mean.measured
    assert mean.met
    assert found["1 the slowest block"].measured == "1.210 (v1_2)"
    assert found["1 the slowest 5×5 block"].measured == "1.100 (e_k5_1)"
    assert found["1 c_1 against the best engine"].measured == "1.500"
    assert found["1 c_1 against the best engine"].met is False


@pytest.mark.parametrize(
    ("over", "large", "met"),
    [(1.34, 1.49, (True, True)), (1.36, 1.51, (False, False)), (1.3, 1.4, (True, True))],
)
def test_bounds_of_the_slowest_blocks(over, large, met):
    found = judged(made_up(v1_1=(over, 1.0), e_k5_1=(large, 1.0)))
    assert (found["1 the slowest block"].met, found["1 the slowest 5×5 block"].met) == met


def test_against_the_best_engine():
    made = made_up(v1_1=(1.0, 1.0), v1_2=(1.0, 1.0))
    row = next(row for row in made["rows"] if (row["name"], row["threads"]) == ("v1_2", 2))
    row["results"]["mnn"]["seconds"] = row["results"]["fastdw avx512"]["seconds"] * 0.6
    found = judged(made)
    assert found["2 against the best engine of each block, 1 thread"].measured == "1.500"
    assert found["2 against the best engine of each block, 1 thread"].met
    mean = found["2 against the best engine of each block, 2 threads"]
    assert value(mean) == pytest.approx((1.5 * 0.6) ** 0.5, abs=1e-3)
    assert mean.met is False
    worst = found["2 the worst block of these, 2 threads"]
    assert worst.measured == "0.600 (v1_2; 1 of 2 blocks below)"
    assert worst.met is False


def test_avx2_alone():
    goal = judged(made_up(v1_1=(1.0, 1.0)))["3 AVX2 against the best engine"]
    assert value(goal) == 1.25
    assert "0.50 of the highest" in goal.measured
    assert goal.met


def test_two_threads():
    # At the limit a block takes 1 ms, so v1_3 takes 0.01 ms: too short for the mean.
    made = made_up(v1_1=(1.0, 0.5), v1_2=(1.0, 0.55), v1_3=(0.01, 0.02))
    found = judged(made)
    mean = found["8 two threads, blocks above 80 µs"]
    assert value(mean) == pytest.approx((2 / 0.55) ** 0.5, abs=1e-3)
    assert mean.met
    worst = found["8 two threads, the worst block"]
    assert (worst.measured, worst.met) == ("0.500 (v1_3)", False)


def test_what_was_not_measured_is_said():
    found = judged(made_up(cpus=1, peer=False, v1_1=(1.0,)))
    assert found["1 time over the limit, one thread"].measured == "1.000 (no other engine)"
    unmeasured = {name: goal.measured for name, goal in found.items() if goal.met is None}
    assert unmeasured["2 against the best engine of each block, 1 thread"].endswith("other engine")
    assert unmeasured["2 against the best engine of each block, 2 threads"].endswith("one CPU")
    assert unmeasured["8 two threads, the worst block"].endswith("one CPU")
    assert unmeasured["5 NCHW over NHWC"].endswith("not in this run")
    without = made_up(v1_1=(1.0, 1.0))
    without["settings"]["isas"] = ["neon"]
    for row in without["rows"]:
        row["results"]["fastdw neon"] = row["results"].pop("fastdw avx512")
        del row["results"]["fastdw avx2"]
    assert judged(without)["3 AVX2 against the best engine"].measured.endswith("no AVX2")


def test_probes_are_judged():
    made = made_up(v1_1=(1.0, 1.0))
    corner = {"name": "dilation_2", "threads": 1, "results": {}}
    for engine, seconds in (("fastdw", 1e-5), ("litert", 3e-5)):
        corner["results"][engine] = document.result([seconds], "", None)
    made["probes"] = {
        "corners": [corner],
        "corner_costs": {"plain": 1.0, "dilation_2": 1.5, "kernel_7x7": 2.5},
        "layouts": {"a": 1.0, "b": 1.44},
        "batches": {"a": 1.0, "b": 1.03},
        "activations": {"hard_swish": 0.05, "gelu": 0.7},
        "calls": {"out": 1.5e-6, "new": 3.5e-6},
        "packing": 4.0,
        "weights": {
            "a": {"packed": 145, "plain": 100, "padded": 144},
            "b": {"packed": 120, "plain": 100, "padded": 100},
        },
        "peak": 256,
        "first_call": {
            "1": {"growth": 300 << 10, "code": 100 << 10},
            "2": {"growth": 700 << 10, "code": 100 << 10},
        },
    }
    found = {
        name: (goal.measured, goal.met) for name, goal in judged(made).items() if name[0] in "4567"
    }
    over = "time a multiply-add over plain"
    assert found[f"4 dilation_2: {over}"] == ("1.500 (3.00 × the best engine)", True)
    assert found[f"4 kernel_7x7: {over}"] == ("2.500 (no other engine)", False)
    assert found["5 NCHW over NHWC"] == ("1.200", False)
    assert found["5 the worst block in NCHW"] == ("1.440 (b)", True)
    assert found["5 a batch of 8 over as many calls"] == ("1.015 (a, b)", True)
    assert found["5 a batch of 8 over as many calls, the worst"] == ("1.030 (b)", False)
    assert found["5 hard_swish over relu, an element"] == ("0.050 ns", True)
    assert found["5 gelu over relu, an element"] == ("0.700 ns", False)
    assert found["6 a call on 4×4×8 with out"] == ("1.500 µs", True)
    assert found["6 a call on 4×4×8 without out"] == ("3.500 µs", False)
    assert found["6 packing by the functional form, over a copy of the weights"] == ("4.000", False)
    weights = found["7 a layer over its weights, padded to vectors"]
    assert weights == ("1.200 (over the bare weights at most 1.450, a)", False)
    assert found["7 Python memory of a call beyond its output"] == ("0.250 KiB", True)
    first = "7 memory of a first call beyond its output"
    assert found[f"{first}, 1 thread"] == ("200.000 KiB (and 100 KiB of code)", True)
    assert found[f"{first}, 2 threads"] == ("600.000 KiB (and 100 KiB of code)", False)


def test_settings_follow_the_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    chosen = goals.settings(["litert"], 3, 1e-3)
    assert chosen.threads == (1, 2)
    assert chosen.peers == ("litert",)
    assert chosen.isas[0] == fastdw.show_config(mode="dict")["isas"]["active"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1})
    assert goals.settings([], 3, 1e-3).threads == (1,)


def test_the_document_survives_its_text():
    made = made_up(v1_1=(1.0, 1.0))
    made["goals"] = [vars(goal) for goal in goals.judge(made)]
    assert json.loads(document.dumps(made)) == made
