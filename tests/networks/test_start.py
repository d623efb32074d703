"""What a network does before its first answer: what it imports, what it does not do again."""

import io
import subprocess
import sys

import numpy as np
import pytest
from blocks import block, builder_of, conv
from fastdw import Network, _core
from fastdw.network import _file, _rewrite
from fastdw.network._graph import GraphBuilder, checked
from fastdw.network._network import _restore
from graphs import inputs
from support import rng, signed

SPARE = ("layers", "converters", "importers", "reference", "_functional", "_batch_norm", "ops")
INTEGERS = ("_quantization", "_half8", "network._ops8", "network._steps8", "network._twins8")
REWRITING = ("network._rewrite", "network._fuse", "network._tidy", "network._match")


def image_graph():
    b, x = builder_of()
    return b.build(block(b, conv(b, x)))


def marked(graph, rewrites=_file.REWRITES):
    """The bytes of a graph that is said to have gone through the rewrites of a version."""
    file = io.BytesIO()
    _file.write(file, checked(graph), rewrites=rewrites)
    return file.getvalue()


def imported(code, *arguments):
    """The modules of fastdw that are there after some code."""
    code = f"import sys\n{code}\nprint(*(n for n in sys.modules if n.startswith('fastdw')))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    # Without a limit, whose clock goes on while tests are stopped: an import ends by itself.
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.removeprefix("fastdw.") for name in done.stdout.split()}


def test_import_brings_only_what_the_environment_says():
    assert imported("import fastdw") == {"fastdw", "_core", "_config", "_arguments", "_lazy"}


def test_a_saved_network_is_loaded_without_what_makes_networks(tmp_path):
    path = tmp_path / "net.fdw"
    Network._from_graph(image_graph()).save(path)
    code = "from fastdw import Network; print(Network.load(sys.argv[1]).macs)"
    assert not imported(code, path) & {*SPARE, *INTEGERS, *REWRITING}


def test_a_saved_network_is_not_rewritten_again(monkeypatch):
    data = Network._from_graph(image_graph())._bytes()
    monkeypatch.setattr(_rewrite, "rewrite", None)
    assert _restore(data)._bytes() == data


@pytest.mark.parametrize("rewrites", [0, _file.REWRITES + 1])
def test_a_file_of_other_rewrites_is_rewritten(rewrites):
    network = _restore(marked(image_graph(), rewrites))
    assert len(network._graph.nodes) < len(image_graph().nodes)
    assert network._bytes() == Network._from_graph(image_graph())._bytes()


def test_a_file_may_say_what_is_not_so():
    """Nothing relies on it: the graph as it is gives the same bits."""
    x = signed(rng(1), (3, *inputs(image_graph())[0].shape)).astype(np.float32)
    network = _restore(marked(image_graph()))
    assert len(network._graph.nodes) == len(image_graph().nodes)
    np.testing.assert_array_equal(network(x), Network._from_graph(image_graph())(x))


def test_nodes_that_nobody_reads():
    b = GraphBuilder()
    x = b.input("x", (4, 5, 6))
    for shape in ((120,), (20, 6)):
        b.add("reshape", b.add("activation", x, activation="relu"), shape=shape)
    b.add("concat", [x, x], axis=2)
    conv(b, x, 3)
    graph = b.build(b.add("activation", x, activation="relu"))
    network = _restore(marked(graph))
    assert len(network._graph.nodes) == len(graph.nodes)
    network.summary("dict")
    x = signed(rng(2), (2, 4, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(network(x), np.maximum(x, 0))


@pytest.mark.parametrize("count", [0, 1, 64, 200, 400, 10_000])
def test_matrices_in_one_store(count):
    """Those that find no place in it have memory of their own; it lives as long as one of them."""
    shapes = [(3, 5), (7, 1), (2, 40), (9, 16)]
    kernels = [signed(rng(i), shape) for i, shape in enumerate(shapes)]
    store, activation = _core.Store(count), _core.Activation("clamp")
    packed = [_core.Pointwise(k, k[0], activation, None, store) for k in kernels]
    del store
    while packed:
        for kernel, weights in zip(kernels, packed, strict=True):
            np.testing.assert_array_equal(weights.weights()[0], kernel)
            np.testing.assert_array_equal(weights.weights()[1], kernel[0])
        del kernels[0], packed[0]
