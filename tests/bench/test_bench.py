"""The benchmark: its layers, its files, its verdicts. Nothing here judges speed."""

import itertools
import json
import os
import signal
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from fastdw_bench import (
    blocks,
    charts,
    document,
    machine,
    measure,
    own,
    peers,
    report,
    run,
    text,
)
from fastdw_bench.__main__ import main
from fastdw_bench.peers.base import Prepared, quiet
from test_bench_compare import synthetic

TINY = ["--layer", "t1=6x6x8,k3,f8,relu/relu", "--layer", "t2=5x5x3,k3,s2,f4,swish/linear"]
QUICK = ["--peers", "none", "--min-time", "1e-6", "--repetitions", "3", "--no-limits"]


# Runs


def saved(path, *arguments):
    status = main(["run", *arguments, "--output", str(path)])
    return status, document.load(path)


def test_a_run_is_saved(tmp_path, capsys):
    status, result = saved(tmp_path / "a.json", *TINY, *QUICK, "--threads", "1,2")
    assert status == 0
    assert result["version"] == 1
    assert result["complete"]
    assert result["environment"]["fastdw"]["version"]
    assert [(row["name"], row["threads"]) for row in result["rows"]] == [
        *[("t1", 1), ("t2", 1)],
        *[("t1", 2), ("t2", 2)],
    ]
    for row in result["rows"]:
        (measured,) = row["results"].values()
        assert len(measured["samples"]) == 3
        assert 0 < measured["low"] <= measured["seconds"] <= measured["high"]
        assert measured["error"] < blocks.TOLERANCE
        assert document.layer_of(row).macs == row["macs"]
    assert "t2" in capsys.readouterr().out


@pytest.mark.parametrize("form", text.FORMATS)
def test_formats(form, capsys):
    assert main(["run", *TINY, *QUICK, "--format", form]) == 0
    out = capsys.readouterr().out
    if form == "json":
        assert len(json.loads(out)["rows"]) == 2
    elif form == "csv":
        assert [line.split(",")[0] for line in out.splitlines()] == ["name", "t1", "t2"]
    else:
        assert out.count("t1 ") == out.count("t2 ") == 1


@pytest.mark.parametrize("op", ["depthwise", "pointwise"])
def test_halves_nchw_batches_and_cold_caches(op, tmp_path):
    options = ["--op", op, "--data-format", "NCHW", "--batch", "3", "--cold-cache"]
    status, result = saved(tmp_path / "a.json", *TINY, *QUICK, *options)
    assert status == 0
    assert {document.layer_of(row).op for row in result["rows"]} == {op}
    assert all(row["macs"] == 3 * document.layer_of(row).macs for row in result["rows"])


def test_layers_of_integers(tmp_path, capsys):
    three = ["--layer", "a=6x7x5,k3,s2,f9,relu6/linear", "--layer", "b=6x7x5,k3,m2,relu"]
    three += ["--layer", "c=6x7x5,f9,relu6", "--batch", "2", "--dtype", "int8"]
    status, result = saved(tmp_path / "a.json", *three, *QUICK)
    assert status == 0
    assert [row["results"]["fastdw"]["error"] for row in result["rows"]] == [0, 0, 0]
    first = result["rows"][0]
    assert first["bytes"] == 2 * (6 * 7 * 5 + 3 * 4 * 9) + 5 * (9 + 8) + 9 * (5 + 8)
    assert first["limit"] is None
    assert result["settings"]["dtype"] == "int8"
    assert "6x7x5,f9,relu6" in capsys.readouterr().out


def test_one_step_is_wrong_of_fastdw_alone(tmp_path, monkeypatch, capsys):
    prepare = own.prepare8

    def damaged(block, threads):
        good = prepare(block, threads)
        return Prepared(good.run, lambda: good.output() ^ 1)

    monkeypatch.setattr(own, "prepare8", damaged)
    monkeypatch.setattr(peers, "select", lambda choice: ["litert"])
    monkeypatch.setattr(peers, "version", lambda name: "1.0")
    other = SimpleNamespace(prepare8=lambda block, threads: [damaged(block, threads)])
    monkeypatch.setattr(peers, "load", lambda name: other)
    one = ["--layer", "5x5x3,k3,f4,relu/linear", "--dtype", "int8"]
    status, result = saved(tmp_path / "a.json", *one, *QUICK, "--peers", "auto")
    assert status == 1
    assert result["rows"][0]["results"]["litert"]["error"] == 1
    assert "differs from the reference by 1 of 255 steps" in capsys.readouterr().err


def test_limits_are_measured(tmp_path):
    options = [*TINY, *QUICK, "--limits", "--min-time", "1e-4"]
    _, result = saved(tmp_path / "a.json", *options)
    isas = result["environment"]["fastdw"]["isas"]["supported"]
    assert set(document.best_limits(result, 1)) == set(isas)
    assert document.limit(result, 1) > 0
    assert all(x["gb_per_second"] > 0 for x in result["bandwidth"])


def test_instruction_sets_take_turns(isa, tmp_path, monkeypatch):
    packed = []
    prepare = own.build

    def spy(*arguments):
        layer = prepare(*arguments)
        packed.append(layer._parts[0].isa)
        return layer

    monkeypatch.setattr(own, "build", spy)
    _, result = saved(tmp_path / "a.json", *TINY, *QUICK, "--isa", isa)
    assert packed == [isa, isa]
    assert document.engines(result) == [f"fastdw {isa}"]


def test_a_wrong_result_fails_the_run(tmp_path, monkeypatch, capsys):
    prepare = own.prepare

    def damaged(block, *arguments):
        good = prepare(block, *arguments)
        return Prepared(good.run, lambda: good.output() + 1e-3, good.variant)

    monkeypatch.setattr(own, "prepare", damaged)
    status, result = saved(tmp_path / "a.json", *TINY, *QUICK)
    assert status == 1
    assert all("problem" in row["results"]["fastdw"] for row in result["rows"])
    assert "differs from the reference" in capsys.readouterr().err
    status, result = saved(tmp_path / "a.json", *TINY, *QUICK, "--no-check")
    assert status == 0
    assert result["rows"][0]["results"]["fastdw"]["error"] is None


def test_an_interrupt_leaves_the_rows_that_are_done(tmp_path, monkeypatch, capsys):
    calls = itertools.count()
    make_block = blocks.make_block
    # A job in the background begins without.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(*arguments):
        if next(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return make_block(*arguments)

    monkeypatch.setattr(run, "make_block", interrupted)
    try:
        status, result = saved(tmp_path / "a.json", *TINY, *QUICK)
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 130
    assert not result["complete"]
    assert [row["name"] for row in result["rows"]] == ["t1"]
    assert any("interrupted" in warning for warning in result["warnings"])
    out = capsys.readouterr().out
    assert "t1" in out
    assert "t2" not in out


def test_the_noise_of_compiled_code_is_hidden(capfd):
    with quiet():
        os.write(1, b"one")
        os.write(2, b"two")
    os.write(1, b"three")
    os.write(2, b"four")
    assert capfd.readouterr() == ("three", "four")


def test_a_tour_measures_the_blocks_of_two_networks(monkeypatch, capsys):
    seen = {}

    def remember(result, layers, settings, progress):
        seen.update(layers=layers, settings=settings)
        result["complete"] = True

    monkeypatch.setattr("fastdw_bench.__main__.run", remember)
    assert main([]) == 0
    assert len(seen["layers"]) == 9 + 12
    assert seen["settings"].threads[0] == 1
    assert "fastdw-bench run" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info"]) == 0
    assert "caches: " in capsys.readouterr().out
    assert main(["info", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["machine"]["cpu"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "mobilenet_v9"],
        ["run", "--layer", "1x1"],
        ["run", "--threads", "0"],
        ["run", "--repetitions", "x"],
        ["run", "--isa", "mmx"],
        ["run", "--peers", "abacus"],
        ["run", "--cpus", "100000"],
        ["run", "cifar", "--width", "0.5"],
        ["run", "dense", "--dtype", "int8"],
        ["run", "--layer", "4x4x4,k3,tanh", "--dtype", "int8"],
        ["run", "quantized", "--dtype", "int8", "--data-format", "NCHW"],
        ["run", "--layer", "4x4x4,f4", "--op", "depthwise"],
        ["compare", "missing.json", "missing.json"],
        ["report", "missing"],
        ["dance"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("fastdw-bench")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": "fastdw-bench", "version": 2}', '{"format": "x", "version": 1}'],
)
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a\.json"):
        document.load(path)


def test_documents_survive_their_text(tmp_path):
    _, result = saved(tmp_path / "a.json", *TINY, *QUICK)
    assert json.loads(document.dumps(result)) == result


# Reports


def test_a_report_is_one_page(tmp_path, capsys):
    saved(
        tmp_path / "run.json", *TINY, *QUICK, "--limits", "--min-time", "1e-4", "--threads", "1,2"
    )
    assert main(["report", str(tmp_path)]) == 0
    assert "report.html" in capsys.readouterr().out
    page, notes = (tmp_path / name for name in ("report.html", "report.md"))
    html = page.read_text()
    assert "src=" not in html
    assert "href=" not in html
    pictures = html.split("<svg")[1:]
    assert len(pictures) == 4
    for picture in pictures:
        ET.fromstring("<svg" + picture.split("</svg>")[0] + "</svg>")
    cells = [line.split(" | ")[0] for line in notes.read_text().splitlines() if line[:2] == "| "]
    assert cells == ["| layer", "| ---", *["| t1", "| t2"] * 2]


def test_a_bar_is_as_long_as_it_is_fast():
    result = synthetic(a4=(1e-3, 2e-3), a8=1e-3)
    bars = ET.fromstring(charts.bars(result, 1)).iter("{http://www.w3.org/2000/svg}rect")
    first, second = (float(bar.get("width")) for bar in bars)
    assert second == pytest.approx(2 * first, rel=0.03)


def test_a_result_without_limits_has_no_roofline():
    assert charts.roofline(synthetic(a4=1e-3), 1) == ""


def test_names_are_escaped(tmp_path):
    result = synthetic(a4=1e-3)
    result["rows"][0]["name"] = "<b>&"
    result["environment"] = {
        "machine": machine.describe(),
        "fastdw": {"version": "", "compiler": "", "isas": {"active": "", "supported": []}},
        "engines": {},
    }
    result["settings"] = {
        "repetitions": 1,
        "batch": 1,
        "data_format": "NHWC",
        "cold_cache": False,
    }
    (tmp_path / "a.json").write_text(document.dumps(result))
    page, _ = report.write(tmp_path)
    assert "<b>" not in page.read_text()


def test_no_batch_begins_while_another_engine_spins(monkeypatch):
    spent, pauses = iter([0.0, 0.005, 0.005, 0.009, 0.01, 0.0101]), []
    monkeypatch.setattr(measure.time, "process_time", lambda: next(spent))
    monkeypatch.setattr(measure.time, "sleep", pauses.append)
    calls = []
    measure.interleaved({"a": lambda: calls.append(len(pauses))}, 1, 0, settle=True)
    assert len(pauses) == 3
    assert calls.count(3) >= 2  # one untimed
