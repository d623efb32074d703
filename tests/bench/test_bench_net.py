"""`fastdw-bench net`: whole networks beside other engines. Nothing here judges speed."""

import json
import os
import pathlib
from types import SimpleNamespace

import fastdw
import numpy as np
import pytest
from fastdw.network._graph import run
from fastdw.network._network import Network
from fastdw.network._record import Input
from fastdw_bench import net, net_engines, peers
from fastdw_bench.__main__ import main
from fastdw_bench.peers.base import Session
from support import rng, signed

QUICK = ["--min-time", "1e-6", "--repetitions", "3"]
MODELS = os.environ.get("FASTDW_MODELS", "")


def network():
    g = rng(1)
    x = Input((5, 6, 3), "image")
    layer = fastdw.SeparableConv2D(signed(g, (3, 3, 3)), signed(g, (3, 4)), activation="relu")
    end = fastdw.PointwiseConv2D(signed(g, (4, 2)))
    y = layer(x)
    return Network(x, [y, end(y)])


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.fdw"
    network().save(path)
    return path


@pytest.fixture
def engines(monkeypatch):
    """Engines by name, each a function of a network's right outputs; all that there are."""
    known = {}

    def load(name):
        def read(model, threads):
            right = run(network()._graph, [x[0] for x in model.inputs.values()])
            answer = known[name]([y[None] for y in right])
            return Session(lambda: None, lambda: answer)

        return SimpleNamespace(READS=(".fdw",), PACKAGES=(), read=read)

    monkeypatch.setattr(peers, "NAMES", known)
    monkeypatch.setattr(peers, "select", lambda choice: list(known))
    monkeypatch.setattr(peers, "version", lambda name: "1.0")
    monkeypatch.setattr(peers, "load", load)
    return known


def measured(path, *arguments, status=0):
    output = path.with_suffix(".json")
    assert main(["net", str(path), *QUICK, *arguments, "--output", str(output)]) == status
    return json.loads(output.read_text())


def test_a_network_is_measured(saved, capsys):
    result = measured(saved, "--peers", "none", "--threads", "1,2")
    assert result["format"] == "fastdw-bench net"
    assert result["complete"]
    assert [row["threads"] for row in result["rows"]] == [1, 2]
    for row in result["rows"]:
        assert row["name"] == "net.fdw"
        assert row["macs"] == network().macs
        assert row["parameters"] == network().num_parameters
        assert row["limit"] > 0
        (own,) = row["results"].values()
        assert len(own["samples"]) == 3
        assert 0 <= own["error"] < 1e-6
        assert 0 < own["low"] <= own["seconds"] <= own["high"]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("net.fdw") for line in lines) == 2 + 2  # times, points


def test_engines_take_part(saved, engines, capsys):
    engines["good"] = lambda outputs: outputs
    engines["wrong"] = lambda outputs: [outputs[0], outputs[1] + 1]
    engines["shapeless"] = lambda outputs: [y.ravel() for y in outputs]
    engines["nan"] = lambda outputs: [np.full_like(y, np.nan) for y in outputs]
    engines["broken"] = lambda outputs: 1 / 0
    results = measured(saved)["rows"][0]["results"]
    assert list(results) == ["fastdw", *engines]
    assert results["good"]["seconds"] > 0
    assert results["good"]["error"] == 0
    assert "differs from the reference" in results["wrong"]["problem"]
    assert "outputs are of shapes" in results["shapeless"]["problem"]
    assert "differs from the reference by nan" in results["nan"]["problem"]
    assert results["broken"]["problem"].startswith("ZeroDivisionError")
    out = capsys.readouterr().out
    assert "net.fdw: broken: ZeroDivisionError: division by zero" in out
    assert "as fast as the best engine of each network (geometric mean of 1, from" in out
    loose = measured(saved, "--no-check", "--no-limits")["rows"][0]
    assert loose["results"]["wrong"]["error"] is None
    assert loose["limit"] is None


def test_whom_nobody_agrees_with_has_misread_the_file(saved, engines, capsys):
    engines["other"] = lambda outputs: [y + 1 for y in outputs]
    result = measured(saved, status=1)
    assert "no other engine agrees" in result["rows"][0]["results"]["fastdw"]["problem"]
    assert "failed: net.fdw, fastdw: no other engine agrees with it" in capsys.readouterr().err


def test_a_wrong_result_of_fastdw_fails(saved, monkeypatch, capsys):
    own = net_engines.own

    def damaged(case, threads):
        session = own(case, threads)
        return Session(session.run, lambda: [y + 1e-2 for y in session.outputs()])

    monkeypatch.setattr(net_engines, "own", damaged)
    measured(saved, "--peers", "none", status=1)
    assert "failed: net.fdw, fastdw: differs from the reference" in capsys.readouterr().err


def eight():
    """A network of integers."""
    g, q = rng(2), fastdw.Quantization(0.5, 3)
    kernels = [g.integers(-127, 128, shape).astype(np.int8) for shape in ((3, 3, 3), (3, 4))]
    scale = np.full(1, 0.01, np.float32)
    layer = fastdw.QuantizedSeparableConv2D(
        kernels[0], scale, kernels[1], scale, input=q, middle=q, output=q
    )
    x = Input((5, 6, 3), "image", "int8")
    return Network(x, layer(x))


def test_sums_of_float16(saved, monkeypatch, capsys):
    """As the CPU allows; what is asked for reaches the network."""
    if fastdw.show_config("dict")["isas16"]["active"] is None:
        with pytest.raises(SystemExit):
            main(["net", str(saved), "--accumulate", "float16"])
        assert "needs a CPU that multiplies and adds in float16" in capsys.readouterr().err
        return
    (row,) = measured(saved, "--peers", "none", "--accumulate", "float16")["rows"]
    assert row["limit"] is None
    assert row["results"]["fastdw"]["variant"] == "net.fdw, float16"


def test_integers_are_compared_in_steps(tmp_path, engines, monkeypatch, capsys):
    monkeypatch.setitem(globals(), "network", eight)
    engines["near"] = lambda outputs: [outputs[0] ^ 1]
    engines["far"] = lambda outputs: [outputs[0] ^ 64]
    path = tmp_path / "eight.fdw"
    eight().save(path)
    (row,) = measured(path)["rows"]
    assert (row["unit"], row["limit"]) == ("steps", None)
    results = row["results"]
    assert (results["fastdw"]["error"], results["near"]["error"]) == (0, 1)
    assert results["far"]["problem"] == "differs from the reference by 64 of 255 steps"
    out = capsys.readouterr().out
    assert "0 steps" in out
    assert "1 steps" in out


def test_integers_of_fastdw_are_exact(tmp_path, monkeypatch, capsys):
    own = net_engines.own

    def damaged(case, threads):
        session = own(case, threads)
        return Session(session.run, lambda: [y ^ 1 for y in session.outputs()])

    monkeypatch.setattr(net_engines, "own", damaged)
    path = tmp_path / "eight.fdw"
    eight().save(path)
    measured(path, "--peers", "none", status=1)
    assert "failed: eight.fdw, fastdw: differs from the reference by 1 of 255 steps" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "behind an ImportError"])
def test_an_interrupt_leaves_the_rows_that_are_done(saved, engines, hidden):
    def interrupt(outputs):
        engines["impatient"] = stop
        return outputs

    def stop(outputs):
        if hidden:
            raise ImportError from KeyboardInterrupt()
        raise KeyboardInterrupt

    engines["impatient"] = interrupt
    result = measured(saved, "--threads", "1,2", status=130)
    assert [row["threads"] for row in result["rows"]] == [1]
    assert not result["complete"]
    assert any("interrupted" in warning for warning in result["warnings"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no.fdw", [], "no.fdw"),
        ("net.txt", [], "must end in one of"),
        ("net.fdw", ["--input-shape", "5,6,3"], "chosen where a model is converted"),
        ("net.fdw", ["--output", "/nowhere/a.json"], "/nowhere/a.json"),
    ],
)
def test_what_cannot_be_measured_ends_before_it_begins(
    name, options, message, saved, monkeypatch, capsys
):
    monkeypatch.setattr(net, "measure", None)
    with pytest.raises(SystemExit) as end:
        main(["net", str(saved.with_name(name)), "--peers", "none", *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_images_are_smooth_and_in_range():
    image = net._image((1, 40, 30, 3), "float32")
    assert image.dtype == np.float32
    assert (image.min(), image.max()) == (0, 1)
    assert np.abs(np.diff(image, axis=1)).mean() < 0.1
    pixels = net._image((1, 40, 30, 3), "uint8")
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    integers = net._image((1, 40, 30, 3), "int8")
    assert (integers.min(), integers.max()) == (-128, 127)


def test_steps_are_timed(saved, capsys):
    (row,) = measured(saved, "--peers", "none", "--profile")["rows"]
    steps = network().summary("dict")["steps"]
    assert [step["step"] for step in row["steps"][: len(steps)]] == [s["step"] for s in steps]
    assert sum(step["share"] for step in row["steps"]) == pytest.approx(1)
    assert row["alone"]["run"] > 0
    assert row["alone"]["steps"] > 0
    out = capsys.readouterr().out
    assert "GFLOP/s  share" in out
    assert "run / steps alone" in out
    (row,) = measured(saved, "--peers", "none")["rows"]
    assert row["steps"] is row["alone"] is None


@pytest.mark.skipif(not MODELS, reason="FASTDW_MODELS names no folder of trained networks")
@pytest.mark.parametrize(
    ("name", "options", "packages"),
    [
        ("tiny_vww_96_int8.tflite", ["--integers", "keep"], ["tflite", "flatbuffers"]),
        ("mp_face_detection_short_range.tflite", [], ["tflite", "flatbuffers"]),
        (
            "rapidocr_ch_ppocr_mobile_v2.0_cls_infer.onnx",
            ["--input-shape", "3,48,192"],
            ["onnx"],
        ),
    ],
)
def test_a_trained_network_agrees_with_every_engine_that_is_installed(
    name, options, packages, tmp_path
):
    for package in packages:
        pytest.importorskip(package)
    output = tmp_path / "result.json"
    path = pathlib.Path(MODELS) / name
    assert main(["net", str(path), *options, *QUICK, "--output", str(output)]) == 0
    results = json.loads(output.read_text())["rows"][0]["results"]
    assert list(results) == ["fastdw", *net_engines.names()]
    excuses = ("not installed", "converter is missing", "another type than float32", "it reads no")
    for engine, result in results.items():
        excused = any(words in result.get("problem", "") for words in excuses)
        assert excused or result["error"] < net_engines.TOLERANCE, engine
