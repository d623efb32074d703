"""Rewrites that tidy up and recognise activations: they find their case, near misses stay."""

import numpy as np
import pytest
from blocks import (
    NEAR_MISSES,
    SPELLED,
    act,
    affine,
    alone,
    builder_of,
    conv,
    norm,
    ops,
    plus_3,
    rewritten,
)
from fastdw.network._graph import GraphBuilder
from graphs import kernel

# --- tidy ---


def test_nodes_that_do_nothing_go():
    b, x = builder_of()
    y = b.add("reshape", x, shape=(5, 4, 6))
    y = b.add("transpose", y, axes=(0, 1, 2))
    y = b.add("slice", y, begin=(0, 0, 0), size=(5, 4, 6), step=(1, 1, 1))
    y = b.add("concat", [y], axis=2)
    y = act(b, y, None)
    y = affine(b, y, 1, 0)
    y = b.add("pool", y, function="max", window=(1, 1), strides=(1, 1))
    y = b.add("gather", y, rows=tuple(range(5)), columns=None, channels=tuple(range(6)))
    y = act(b, y, "tanh")
    y = b.add("reshape", y, "result", shape=(5, 4, 6))
    graph, counts = rewritten(b, y)
    assert ops(graph) == ["activation"]
    assert counts["tidy"] == 9


def test_nothing_but_identities_of_an_input_keeps_one_node():
    b, x = builder_of()
    y = b.add("reshape", b.add("reshape", x, shape=(120,)), shape=(5, 4, 6))
    assert ops(rewritten(b, y)[0]) == ["reshape"]


def test_a_norm_scales_and_shifts():
    b, x = builder_of()
    ones, numbers = np.ones(6), np.arange(6) / 4
    y = b.add("normalize", x, scale=ones, offset=numbers, epsilon=1e-3)
    y = b.add("affine", y, scale=numbers - 1, offset=ones)
    z = b.add("normalize", x, scale=ones, offset=0 * ones, epsilon=1e-3)
    graph, _ = rewritten(b, [y, z, affine(b, z, 2, 0), act(b, affine(b, y, 2, 1), "relu")])
    assert sorted(ops(graph)) == ["affine", "affine", "normalize", "normalize"]


def test_a_uint8_input_keeps_its_affine():
    b = GraphBuilder()
    x = b.input("x", (5, 4, 6), "uint8")
    y = conv(b, affine(b, affine(b, x, 1, 0), 1, 0), size=1)
    assert ops(rewritten(b, y)[0]) == ["affine", "conv2d"]


def test_a_uint8_input_has_no_activation_alone():
    for build in SPELLED["hard_sigmoid"]:
        b = GraphBuilder()
        graph, _ = rewritten(b, build(b, b.input("x", (5, 4, 6), "uint8")))
        assert ops(graph)[0] == "affine"
    b = GraphBuilder()
    x = b.input("x", (5, 4, 6), "uint8")
    y = b.add("multiply", [affine(b, x, 1 / 6, 0), plus_3(b, x)])
    assert ops(rewritten(b, y)[0])[-1] == "multiply"


def test_moves_after_moves():
    b, x = builder_of()
    y = b.add("reshape", b.add("reshape", x, shape=(20, 6)), shape=(4, 30))
    z = b.add("transpose", b.add("transpose", x, axes=(1, 2, 0)), axes=(1, 0, 2))
    w = b.add("transpose", b.add("transpose", x, axes=(1, 0, 2)), axes=(1, 0, 2))
    w = act(b, w, "tanh")
    graph, counts = alone(b, [y, z, w], "tidy")
    assert sorted(ops(graph)) == ["activation", "reshape", "transpose"]
    assert counts == 4


def test_equal_nodes_are_one():
    b, x = builder_of()
    first, second, other = (conv(b, x, seed=seed) for seed in (3, 3, 4))
    y = b.add("add", [act(b, first, "tanh"), act(b, second, "tanh")], "y")
    graph, counts = alone(b, [y, act(b, other, "tanh")], "tidy")
    assert ops(graph).count("conv2d") == 2
    assert counts == 2


def test_three_equal_nodes_one_of_them_an_output():
    b, x = builder_of()
    first, second, third = (act(b, x, "tanh") for _ in range(3))
    y = b.add("multiply", [first, third])
    graph, _ = alone(b, [second, y], "tidy")
    assert ops(graph) == ["activation", "multiply"]


def test_equal_outputs_stay_two():
    b, x = builder_of()
    assert len(rewritten(b, [act(b, x, "tanh"), act(b, x, "tanh")])[0].nodes) == 2


def test_what_no_output_needs_goes():
    b, x = builder_of()
    y = act(b, x, "tanh")
    conv(b, act(b, x, "relu"))
    assert ops(rewritten(b, y)[0]) == ["activation"]


def test_a_term_of_one_entry_a_channel_needs_no_reshape():
    b, x = builder_of()
    gate = b.add("reshape", b.add("global_pool", x, function="max"), shape=(6,))
    y = b.add("multiply", [x, gate])
    assert ops(alone(b, y, "tidy")[0]) == ["global_pool", "multiply"]


def test_other_reshapes_of_a_term_stay():
    b, x = builder_of()
    b.input("v", (2, 3))
    y = b.add("add", [x, b.add("reshape", "v", shape=(1, 1, 6))])
    assert alone(b, y, "tidy")[1] == 0


# --- activation ---


@pytest.mark.parametrize(
    ("name", "build"), [(name, f) for name, forms in SPELLED.items() for f in forms]
)
def test_activations_are_recognised(name, build):
    b, x = builder_of()
    graph, counts = alone(b, build(b, x), "activation")
    (node,) = graph.nodes
    assert (node.op, node.attrs["activation"]) == ("activation", name)
    assert counts


@pytest.mark.parametrize("name", ["hard_sigmoid", "hard_swish"])
def test_activations_are_recognised_behind_a_convolution(name):
    for build in SPELLED[name]:
        b, x = builder_of()
        graph, _ = rewritten(b, build(b, norm(b, conv(b, x, size=3))))
        assert [(n.op, n.attrs["activation"]) for n in graph.nodes] == [("conv2d", name)]


def test_prelu_is_recognised():
    b, x = builder_of()
    slopes = kernel(5, 6).astype(np.float32)
    minus = act(b, affine(b, x, -1, 0), "relu")
    minus = b.add("affine", minus, scale=-slopes, offset=np.zeros(6))
    y = b.add("add", [minus, act(b, x, "relu")])
    graph, _ = alone(b, y, "activation")
    (node,) = graph.nodes
    assert node.attrs["activation"][0] == "prelu"
    np.testing.assert_array_equal(node.attrs["activation"][1], slopes)


@pytest.mark.parametrize("build", NEAR_MISSES)
def test_near_misses_of_activations_stay(build):
    b, x = builder_of()
    assert alone(b, build(b, x), "activation")[1] == 0


def test_a_second_use_inside_a_pattern_keeps_it():
    b, x = builder_of()
    inner = plus_3(b, x)
    assert alone(b, [affine(b, inner, 1 / 6, 0), inner], "activation")[1] == 0
