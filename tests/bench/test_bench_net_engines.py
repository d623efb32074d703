"""What each engine reads of a network: its file, one beside it, or nothing, with a reason."""

from types import SimpleNamespace

import fastdw
import numpy as np
import pytest
from fastdw.network._network import Network
from fastdw.network._record import Input
from fastdw_bench import net, net_engines, peers
from fastdw_bench.__main__ import main
from fastdw_bench.net_engines import Differs, candidates
from fastdw_bench.peers import ncnn
from fastdw_bench.peers.base import Session, Unsupported
from support import rng, signed
from test_bench_net import QUICK, eight, measured, network


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.fdw"
    network().save(path)
    return path


@pytest.mark.parametrize("name", peers.NAMES)
def test_engines_that_do_not_read_a_file_say_so(name, saved, monkeypatch):
    monkeypatch.setattr(peers, "missing", lambda name: [])
    (case,) = net.open_cases([saved])
    with pytest.raises(Unsupported, match=r"it reads no \.fdw"):
        candidates(name, case, 1)


def test_engines_that_are_not_installed_are_named_and_left_out(saved, monkeypatch, capsys):
    monkeypatch.setattr(peers, "_installed", lambda package: False)
    result = measured(saved)
    assert result["environment"]["engines"] == {}
    results = result["rows"][0]["results"]
    assert list(results) == ["fastdw", "litert", "onnxruntime", "openvino", "ncnn", "mnn"]
    problem = "unsupported: not installed: pip install onnxruntime onnx"
    assert results["onnxruntime"]["problem"] == problem
    assert f"net.fdw: onnxruntime: {problem}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["net", str(saved), *QUICK, "--peers", "ncnn"])
    assert "engine 'ncnn' needs: pip install ncnn" in capsys.readouterr().err


def planar_network(shift=0.0):
    """The network of the other tests as NCHW, as an engine's own format might have it."""

    def of(x):
        outputs = network()(x.transpose(0, 2, 3, 1))
        return [y.transpose(0, 3, 1, 2) + np.float32(shift) for y in outputs]

    return of


@pytest.fixture
def beside(saved, monkeypatch):
    """One engine, which reads another format, of which a file is beside; it computes `answer`."""
    other = saved.with_suffix(".onnx")
    other.touch()
    state = SimpleNamespace(answer=planar_network(), images=[], path=other)
    state.opened = SimpleNamespace(
        _graph=network()._graph,
        inputs=[network().inputs[0]._replace(name="x", shape=(None, 3, 5, 6))],
        outputs=network().outputs,
    )

    def read(model, threads):
        (x,) = model.inputs.values()
        state.images.append((model.path.name, [*model.inputs], x.shape))
        return Session(lambda: None, lambda: state.answer(x))

    engine = SimpleNamespace(READS=(".onnx",), PACKAGES=(), read=read)
    monkeypatch.setattr(peers, "load", lambda name: engine)
    monkeypatch.setattr(peers, "NAMES", ["one"])
    monkeypatch.setattr(peers, "version", lambda name: "1.0")
    monkeypatch.setattr(net_engines, "_opened", lambda path: state.opened)
    return state


def test_a_file_beside_the_named_one_is_measured(saved, beside, capsys):
    result = measured(saved)["rows"][0]["results"]["one"]
    assert beside.images == [("net.onnx", ["x"], (1, 3, 5, 6))]
    assert result["variant"] == "net.onnx"
    assert result["error"] < 1e-6
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("net.fdw  one")] == ["net.onnx"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answer": planar_network(shift=1)}, "differs from the reference"),
        ({"answer": lambda x: [x, x]}, "its outputs are of shapes"),
    ],
)
def test_a_file_beside_that_is_another_network_is_not(change, problem, saved, beside):
    vars(beside).update(change)
    # Nobody agrees with fastdw then.
    result = measured(saved, status=1)["rows"][0]["results"]["one"]
    assert problem in result["problem"]


def test_a_file_beside_with_other_ends_or_numbers_is_not_read(saved, beside):
    (case,) = net.open_cases([saved])
    (build,) = candidates("one", case, 1)
    beside.opened.outputs = beside.opened.outputs[:1]
    with pytest.raises(Unsupported, match="other inputs or outputs"):
        build()
    beside.opened._graph = eight()._graph
    with pytest.raises(Unsupported, match="of other numbers"):
        build()


def test_of_two_files_one_that_fails_is_no_loss(saved, beside, monkeypatch):
    def read(model, threads):
        if model.path.suffix == ".fdw":
            msg = "cannot"
            raise OSError(msg)
        (x,) = model.inputs.values()
        return Session(lambda: None, lambda: beside.answer(x))

    engine = SimpleNamespace(READS=(".onnx", ".fdw"), PACKAGES=(), read=read)
    monkeypatch.setattr(peers, "load", lambda name: engine)
    (row,) = measured(saved)["rows"]
    assert row["results"]["one"]["variant"] == "net.onnx"
    beside.path.unlink()
    (row,) = measured(saved)["rows"]
    assert row["results"]["one"]["problem"] == "OSError: cannot"


def test_other_engines_may_round_otherwise_but_fastdw_may_not(saved):
    (case,) = net.open_cases([saved])
    wanted = net_engines.reference(case)
    near = [y * (1 + 5e-4) for y in wanted]
    assert net_engines.deviation(near, wanted, case, is_own=False) == pytest.approx(5e-4)
    with pytest.raises(Differs):
        net_engines.deviation(near, wanted, case, is_own=True)
    with pytest.raises(Differs):
        net_engines.deviation([y * 1.01 for y in wanted], wanted, case, is_own=False)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "ncnn", "mnn"])
def test_installed_engines_read_the_onnx_beside_an_nhwc_network(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    if peers.missing(name):
        pytest.skip(f"{name} is not installed")
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    g, h = rng(4), 8
    depthwise, pointwise = signed(g, (3, 3, h)), signed(g, (h, h))
    x = Input((6, 7, h), "image")
    block = fastdw.SeparableConv2D(depthwise, pointwise, padding="same", activation="relu")
    Network(x, fastdw.ops.add(x, block(x))).save(tmp_path / "chain.fdw")
    weights = [
        array(np.ascontiguousarray(depthwise.transpose(2, 0, 1)[:, None]), "d"),
        array(np.ascontiguousarray(pointwise.T[:, :, None, None]), "p"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["a"], group=h, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "p"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, 1, [1, h, 6, 7]) for n in "xy"]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "chain.onnx")
    (row,) = measured(tmp_path / "chain.fdw", "--peers", name)["rows"]
    result = row["results"][name]
    if "converter is missing" not in result.get("problem", ""):
        assert result["variant"] == "chain.onnx", result
        assert result["error"] < 1e-5


def test_ncnn_gives_a_net_memory_of_its_own(monkeypatch):
    """A first layer that works in place must not write into the array that it was given."""

    class Mat:
        def __init__(self, array, own=False):
            self.array, self.own = array, own

        def clone(self):
            return Mat(self.array.copy(), own=True)

    image = np.ones((3, 4, 4), np.float32)
    session = ncnn._Session(SimpleNamespace(Mat=Mat), None, None, {"in0": image}, ["out0"])
    assert session._inputs["in0"].own
