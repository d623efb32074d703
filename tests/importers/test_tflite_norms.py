"""Norms that TFLite files spell out, as TensorFlow's converter does: they become one operator."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw import Network
from fastdw.network._rewrite import rewrite
from support import rng, signed
from tflite_models import IMAGE, agrees, counts, model, node

X = signed(rng(1), IMAGE)
G, B, E = signed(rng(2), (1, 1, 1, 8)), signed(rng(3), (1, 1, 1, 8)), np.float32(1e-3)
ROOT = [node("ADD", "v e", "w", "AddOptions"), node("RSQRT", "w", "r")]


def mean(inputs, output, keep=True):
    return node("MEAN", f"{inputs} a", output, "ReducerOptions", KeepDims=keep)


def add(inputs, output="y", fused=0):
    return node("ADD", inputs, output, "AddOptions", FusedActivationFunction=fused)


def mul(inputs, output):
    return node("MUL", inputs, output, "MulOptions")


def spelt(end, x="x"):
    squares = node("SQUARED_DIFFERENCE", f"{x} m", "q")
    return [mean(x, "m"), squares, mean("q", "v"), *ROOT, *end]


def normal(x, axes):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + E)


PLAIN = [node("NEG", "m", "k"), mul("k r", "o")]
SCALED = [node("NEG", "m", "k"), mul("r g", "i"), mul("k i", "o")]
FORMS = {
    "scale and offset": [*SCALED, add("o b", "s"), mul("x i", "n"), add("n s")],
    "scale": [*SCALED, mul("x i", "n"), add("n o")],
    "offset": [
        *PLAIN,
        add("o b", "s"),
        mul("x r", "n"),
        add("n s"),
    ],
    "centred": [node("SUB", "x m", "c", "SubOptions"), mul("c r", "y")],
}


@pytest.mark.parametrize("axes", [(3,), (1, 2, 3), (1, 2)])
@pytest.mark.parametrize("form", FORMS)
def test_norms_that_are_spelt_out(form, axes):
    nodes = spelt(FORMS[form])
    used = {name for n in nodes for name in n.inputs}
    parts = {k: v for k, v in {"g": G, "b": B, "e": E}.items() if k in used}
    wanted = normal(X, axes) * parts.get("g", 1) + parts.get("b", 0)
    graph = agrees(model(nodes, a=np.int32(axes), **parts), [X], [wanted])
    assert counts(graph, "normalize") == 1
    small = rewrite(graph)[0]
    assert not {"global_pool", "unary", "gather"} & {n.op for n in small.nodes}
    if axes == (3,):
        assert [n.op for n in small.nodes] == ["normalize"]


def test_groups_of_channels():
    """As Keras's GroupNormalization: five axes, with a number for each channel."""
    sizes = (1, 6, 7, 2, 4)
    nodes = [node("RESHAPE", "x f", "z"), *spelt([*SCALED, add("o b", "s"), mul("z i", "n")], "z")]
    nodes += [add("n s", "u", fused=1), node("RESHAPE", "u g4", "y")]
    parts = {"g": G.reshape(1, 1, 1, 2, 4), "b": B.reshape(1, 1, 1, 2, 4), "e": E}
    shapes = {"f": np.int32((-1, *sizes[1:])), "g4": np.int32((-1, *IMAGE[1:]))}
    data = model(nodes, a=np.int32((1, 2, 4)), **parts, **shapes)
    unit = normal(X.reshape(2, *sizes[1:]), (1, 2, 4)).reshape(IMAGE)
    graph = agrees(data, [X], [np.maximum(unit * G + B, 0)])
    assert counts(graph, "normalize") == 1
    np.testing.assert_allclose(Network.from_tflite(data)(X), np.maximum(unit * G + B, 0), atol=1e-5)


MISSES = {
    "another scale": [*PLAIN, mul("r g", "i"), mul("x i", "n"), add("n o")],
    "the mean added": [mul("m r", "o"), mul("x r", "n"), add("n o")],
    "another value": [*PLAIN, node("RELU", "x", "z"), mul("z r", "n"), add("n o")],
    "another epsilon": [
        node("NEG", "m", "k"), add("v g", "w2"), node("ABS", "w2", "w3"), node("RSQRT", "w3", "r2"),
        mul("k r2", "o"), mul("x r", "n"), add("n o"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", MISSES)
def test_what_is_nearly_a_norm_is_none(form):
    m, v = X.mean(3, keepdims=True), X.var(3, keepdims=True)
    r = 1 / np.sqrt(v + E)
    wanted = {
        "another scale": X * r * G - m * r,
        "the mean added": (X + m) * r,
        "another value": (np.maximum(X, 0) - m) * r,
        "another epsilon": X * r - m / np.sqrt(np.abs(v + G)),
    }[form]
    nodes = spelt(MISSES[form])
    used = {name for n in nodes for name in n.inputs}
    parts = {k: x for k, x in {"g": G, "e": E}.items() if k in used}
    graph = agrees(model(nodes, a=np.int32([3]), **parts), [X], [wanted], tolerance=2e-5)
    assert not counts(graph, "normalize")
