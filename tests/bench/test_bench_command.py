"""What the benchmark's command line does with wrong arguments, files, sizes and readers."""

import json
import os
import subprocess
import sys

import fastdw
import pytest
from fastdw_bench import compare, document, machine, own
from fastdw_bench.__main__ import main
from fastdw_bench.layers import parse_layer

TINY = ["--layer", "t1=6x6x8,k3,f8,relu/relu", "--layer", "t2=5x5x3,k3,s2,f4,swish/linear"]
QUICK = ["--peers", "none", "--min-time", "1e-6", "--repetitions", "3", "--no-limits"]


def refused(capsys, *arguments):
    """The one sentence of a command that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    (sentence,) = err.splitlines()
    assert sentence.startswith("fastdw-bench")
    return sentence


@pytest.fixture
def never_measured(monkeypatch):
    def measured(*arguments):
        raise AssertionError

    monkeypatch.setattr("fastdw_bench.__main__.run", measured)


@pytest.mark.parametrize("place", ["missing/a.json", "."])
@pytest.mark.usefixtures("never_measured")
def test_an_output_is_opened_before_the_measurement(place, tmp_path, capsys):
    sentence = refused(capsys, "run", *TINY, *QUICK, "--output", tmp_path / place)
    assert str(tmp_path) in sentence


def test_a_result_is_printed_though_it_cannot_be_written(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "soon gone"
    folder.mkdir()
    prepare = own.prepare

    def remove(*arguments):
        for path in folder.iterdir():
            path.unlink()
        if folder.exists():
            folder.rmdir()
        return prepare(*arguments)

    monkeypatch.setattr(own, "prepare", remove)
    with pytest.raises(SystemExit) as ended:
        main(["run", *TINY, *QUICK, "--output", str(folder / "a.json")])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert "t1" in out
    assert "soon gone" in err


def test_a_file_stays_until_there_is_a_new_result(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*arguments):
        msg = "in between"
        raise ValueError(msg)

    monkeypatch.setattr("fastdw_bench.__main__.run", fail)
    with pytest.raises(SystemExit):
        main(["run", *TINY, *QUICK, "--output", str(path)])
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["compare", "a", "b", "--threshold", value] for value in ("nan", "-1", "inf", "x")),
        *(["run", "mobilenet_v1", "--width", v] for v in ("nan", "inf", "-1", "0", "1e300")),
        *(["run", "mobilenet_v1", "--resolution", v] for v in ("0", "-3", "9" * 5000)),
        *(["run", *TINY, "--min-time", value] for value in ("nan", "-1", "inf")),
        *(["run", *TINY, "--threads", value] for value in ("0", "1025", "9" * 30, "1,,2")),
        *(["run", *TINY, "--cpus", value] for value in ("0-99999999999", "3-1", "9" * 5000, "-1")),
        *(["run", *TINY, option, "2"] for option in ("--width", "--resolution")),
        ["measure"],
        ["run", *TINY, "--layers", "2"],
        ["net"],
        ["run", *TINY, "--batch", "2000000000"],
        ["run", "mobilenet_v1", "--resolution", "2000000000"],
        ["run", "--layer", f"{10**9}x{10**9}x64,k3"],
        ["run", "--layer", "4x4x4,k3,f99999999999999"],
        ["run", "--layer", "9" * 5000 + "x4x4,k3"],
        ["run", "--layer", "8x8x8,s2,f8"],
        ["run", "--layer", "8x8x8,d2,f8"],
        ["run", "--layer", "8x8x8,m2,f8"],
        ["run", "--layer", "8x8x8,p1,f8"],
        ["run", "--layer", "8x8x8,k3,clip:2:1"],
        ["run", "--layer", "8x8x8,k3,elu"],
        ["run", "--layer", "8x8x8,k3,elu:nan"],
        ["run", "--layer", "8x8x8,k3,relu:1"],
        ["run", "--layer", "8x8x8,k3,p1-2-3"],
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
@pytest.mark.usefixtures("never_measured")
def test_one_sentence_an_error(arguments, capsys):
    assert refused(capsys, *arguments)


def test_memory_that_is_not_there_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr(machine, "memory_bytes", lambda: 0)  # unknown
    assert "memory" in refused(
        capsys, "run", *QUICK, "--layer", f"{2**16}x{2**16}x{2**14},k1,pvalid"
    )


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert fastdw.__version__ in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="needs a shell's pipes")
def test_a_closed_pipe_is_no_traceback(tmp_path):
    path = tmp_path / "a.json"
    command = [sys.executable, "-m", "fastdw_bench", "run", *TINY, *QUICK, "--output", str(path)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(document.load(path)["rows"]) == 2


# Notation


@pytest.mark.parametrize(
    "activation",
    [
        *("relu", "hard_sigmoid", "silu", "hard_silu", "prelu", "leaky_relu:0.2", "elu:1"),
        *("clip:-1:2.5", "gelu_tanh"),
    ],
)
@pytest.mark.parametrize("pads", ["0-1", "1", "1x2", "0-1x2-3", "0x0-1"])
def test_every_activation_and_padding_is_measured(activation, pads, tmp_path, capsys):
    notation = f"a=6x7x5,k3,s2,p{pads},f4,{activation}/{activation}"
    layer = parse_layer(notation)
    assert parse_layer(f"a={layer}") == layer
    path = tmp_path / "a.json"
    assert main(["run", "--layer", notation, *QUICK, "--output", str(path)]) == 0
    (row,) = document.load(path)["rows"]
    assert row["results"]["fastdw"]["error"] < 1e-4
    assert "failed" not in capsys.readouterr().err


def test_uneven_pads():
    assert parse_layer("9x9x4,k3,p0-1").pads == ((0, 1), (0, 1))
    assert parse_layer("9x9x4,k3,p0-1x2-3").pads == ((0, 1), (2, 3))
    assert parse_layer("9x9x4,k3,p1x2").pads == ((1, 1), (2, 2))
    assert parse_layer("9x9x4,k3,p1x1").padding == 1


# Comparisons


def result(tmp_path, name, rows):
    """A result of the names of `rows`, each with seconds or a problem."""
    whole = document.new("", {}, {})
    for number, (layer_name, value) in enumerate(rows.items()):
        layer = parse_layer(f"{layer_name}={number + 4}x4x8,k3,f8")
        measured = (
            {"problem": value}
            if isinstance(value, str)
            else document.result([value * (1 + i / 1000) for i in range(30)], "", None)
        )
        row = {"name": layer_name, "layer": str(layer), "threads": 1, "batch": 1}
        row |= {"macs": layer.macs, "bytes": 1, "results": {"fastdw": measured}}
        whole["rows"].append(row)
    path = tmp_path / name
    path.write_text(document.dumps(whole))
    return str(path)


def test_rows_that_are_left_out_are_named(tmp_path, capsys):
    before = result(tmp_path, "a.json", {"fine": 1e-3, "breaks": 1e-3, "goes": 1e-3})
    after = result(tmp_path, "b.json", {"fine": 1e-3, "breaks": "ArithmeticError: wrong"})
    assert main(["compare", before, after]) == 1
    out, err = capsys.readouterr()
    assert "0 slower, 2 not compared" in out
    assert "not compared: breaks" in err
    assert "fastdw failed (ArithmeticError: wrong) in the second result" in err
    assert "not compared: goes" in err
    assert "is not in the second result" in err
    assert main(["compare", after, before]) == 0
    assert "2 not compared" in capsys.readouterr().out
    assert main(["compare", before, before]) == 0
    assert "0 not compared" in capsys.readouterr().out


def test_a_row_that_is_there_twice_is_named(tmp_path):
    result(tmp_path, "a.json", {"fine": 1e-3})
    whole = json.loads((tmp_path / "a.json").read_text())
    twice = {**whole, "rows": [*whole["rows"], {**whole["rows"][0]}]}
    (left,) = compare.left_out(twice, whole)
    assert "more than once in the first result" in left.reason


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("rows"),
        lambda d: d.update(rows={}),
        lambda d: d.update(rows=[None]),
        lambda d: d.update(warnings=[3]),
        lambda d: d["rows"][0].pop("results"),
        lambda d: d["rows"][0].update(layer="x"),
        lambda d: d["rows"][0].update(layer=3),
        lambda d: d["rows"][0].update(threads="1"),
        lambda d: d["rows"][0].update(macs=0),
        lambda d: d["rows"][0].update(results=[]),
        lambda d: d["rows"][0]["results"].update(fastdw=None),
        lambda d: d["rows"][0]["results"]["fastdw"].update(samples=[1.0, None]),
        lambda d: d["rows"][0]["results"]["fastdw"].update(samples=[float("nan")]),
        lambda d: d["rows"][0]["results"]["fastdw"].update(seconds=-1.0),
        lambda d: d["rows"][0]["results"]["fastdw"].pop("samples"),
    ],
)
def test_a_damaged_result_is_no_regression(damage, tmp_path, capsys):
    good = result(tmp_path, "a.json", {"fine": 1e-3})
    whole = json.loads((tmp_path / "a.json").read_text())
    damage(whole)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(whole))
    assert "bad.json is damaged" in refused(capsys, "compare", good, bad)
    assert "bad.json is damaged" in refused(capsys, "compare", bad, good)
    assert "bad.json is damaged" in refused(capsys, "report", tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"\x00"])
def test_files_of_something_else(content, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert "a.json" in refused(capsys, "compare", path, path)


def test_a_report_of_damaged_surroundings(tmp_path, capsys):
    result(tmp_path, "a.json", {"fine": 1e-3})
    assert "damaged" in refused(capsys, "report", tmp_path)


def test_nothing_in_common_is_one_sentence(tmp_path, capsys):
    path = result(tmp_path, "a.json", {"fine": 1e-3, "good": 1e-3})
    assert refused(capsys, "compare", path, path, "--engine", "litert").endswith("but: fastdw")
