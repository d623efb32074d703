"""Graphs on the core: every node within its bound, in one arena as with a place for each value."""

import itertools

import numpy as np
import pytest
import support
import test_architectures as architectures
from blocks import block, builder_of, conv, dw
from bounds import BOUNDS, check_nodes, run_program, traced
from fastdw import _core
from fastdw._isa import packed_for8
from fastdw.network import _shapes8
from fastdw.network._graph import GraphBuilder, rounded
from fastdw.network._lower import lower
from fastdw.network._network import Network
from fastdw.network._ops import OPS
from fastdw.network._ops8 import OPS8
from fastdw.network._rewrite import rewrite
from graphs import drawn, example, kernel
from hypothesis import given, settings
from plans import dense, network
from support import assert_same, rng, signed
from test_drawn_rewrites import graphs

pytestmark = pytest.mark.emulated


def arrays(graph, seed=0, batch=()):
    g = rng(seed)
    return [drawn(g, (*batch, *spec.shape), spec.dtype) for spec in graph.inputs]


def check(graph, seed=0):
    """Values, and the same bits in an arena, of a batch, on threads."""
    graph = rounded(graph)
    x = arrays(graph, seed)
    values = traced(graph, x)
    check_nodes(graph, values)
    program = lower(graph)
    for name, got in zip(graph.outputs, run_program(program, graph, x), strict=True):
        assert_same(got, values[name])
    batch = arrays(graph, seed + 1, (3,))
    for i, images in enumerate(zip(*batch, strict=True)):
        one = run_program(program, graph, images)
        for threads in (1, 2):
            all_ = run_program(program, graph, batch, threads)
            for got, wanted in zip(all_, one, strict=True):
                assert_same(got[i], wanted)


def test_every_operator_has_a_bound():
    assert BOUNDS.keys() == {*OPS, *OPS8}


@pytest.mark.parametrize("op", OPS)
def test_every_operator(forced_isa, op):
    check(example(op))


@pytest.mark.parametrize("op", OPS8)
def test_every_operator_of_integers(isa8, op):
    with packed_for8(isa8):
        check(example(op))


@settings(deadline=None)
@given(graphs())
def test_drawn_graphs_before_and_after_the_rewrites(drawn):
    check(drawn)
    check(rewrite(drawn)[0])


@pytest.mark.parametrize(
    "act", ["relu", ("prelu", np.linspace(-1, 1, 6, dtype=np.float32))], ids=str
)
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("size", "attrs"),
    [
        ((1, 1), {}),
        ((1, 1), {"strides": (2, 3)}),
        ((1, 1), {"padding": ((1, 2), (0, 1)), "strides": (2, 1)}),
        ((3, 3), {"padding": ((1, 1), (1, 1))}),
        ((3, 2), {"strides": (2, 2), "padding": ((0, 1), (1, 0))}),
        ((2, 3), {"dilation_rate": (2, 1)}),
        ((5, 6), {}),
        ((1, 6), {"padding": ((0, 0), (2, 3)), "dilation_rate": (5, 2)}),
    ],
)
def test_convolutions(forced_isa, size, attrs, groups, act):
    builder, x = builder_of(5, 6, 6)
    filters = {"kernel": kernel(1, *size, 6 // groups, 6), "bias": kernel(2, 6)}
    y = builder.add("conv2d", x, **filters, groups=groups, activation=act, **attrs)
    residual = builder.input("residual", builder.shape(y))
    z = builder.add("conv2d", [x, residual], **filters, groups=groups, **attrs)
    check(builder.build([y, z]))


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 2)])
def test_transposed_convolutions(strides):
    sizes = itertools.product((1, 2, 3, 4), (0, 1, 3), (0, 2))
    for (k, pad, more), height in itertools.product(sizes, (1, 2, 5)):
        builder, x = builder_of(height, 3, 4)
        try:
            y = builder.add(
                "conv2d_transpose",
                x,
                kernel=kernel(k, k, 3, 4, 5),
                bias=kernel(k + 1, 5),
                strides=strides,
                padding=((pad, 0), (0, min(pad, 1))),
                output_padding=(more, 0),
                activation="tanh",
            )
        except ValueError:
            continue
        check(builder.build(y))


def test_a_transposed_convolution_writes_no_column_twice():
    builder, x = builder_of(3, 3, 4)
    y = builder.add("conv2d_transpose", x, kernel=kernel(0, 3, 3, 4, 5), strides=(2, 2))
    program = lower(rounded(builder.build(y)))
    assert len(program.nodes) == 4


def test_gates_scale_what_a_convolution_reads(forced_isa):
    for shape in ((5,), (1, 1, 5)):
        builder, x = builder_of(3, 4, 5)
        gate = builder.input("gate", shape)
        y = builder.add("conv2d", [x, "", gate], kernel=kernel(0, 1, 1, 5, 2))
        residual = builder.input("r", (3, 4, 2))
        z = builder.add("conv2d", [x, residual, gate], kernel=kernel(0, 1, 1, 5, 2))
        check(builder.build([y, z]))


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (2, 3, 2, 7), (2, 1, 2, 3, 2, 7)])
def test_values_of_any_rank(forced_isa, shape):
    builder = GraphBuilder()
    x, vector = builder.input("x", shape), builder.input("v", (7,))
    y = builder.add("add", [x, vector], activation="relu")
    y = builder.add("multiply", [y, x])
    y = builder.add("affine", y, scale=kernel(0, 7), offset=kernel(1, 7))
    y = builder.add("activation", y, activation="tanh")
    outputs = [builder.add("softmax", y, beta=beta) for beta in (1.0, -0.5, 0.0)]
    check(builder.build(outputs))


def copies(graph):
    """Nodes whose moves need steps, and how many steps there are in all."""
    program = lower(rounded(graph))
    return [graph.nodes[i].op for i in program.nodes if graph.nodes[i].op in MOVES], program


MOVES = ("reshape", "transpose", "slice", "concat")


def test_channels_first_cost_no_copy(forced_isa):
    builder = GraphBuilder()
    x = builder.input("x", (6, 5, 4))
    x = builder.add("transpose", x, axes=(1, 2, 0))
    x = dw(builder, conv(builder, x, 8), activation="relu")
    y = conv(builder, x, 6)
    y = builder.add("transpose", y, axes=(2, 0, 1))
    graph = builder.build(y)
    assert copies(graph)[0] == []
    check(graph)


def test_windows_of_planes_cost_one_copy(forced_isa):
    builder = GraphBuilder()
    x = builder.add("transpose", builder.input("x", (3, 9, 20)), axes=(1, 2, 0))
    graph = builder.build(conv(builder, x, 8, size=3, strides=(2, 2)))
    assert copies(graph)[0] == ["transpose"]
    check(graph)


def test_parts_and_slices_cost_no_copy(forced_isa):
    builder, x = builder_of(6, 4, 8)
    parts = [
        builder.add("slice", x, begin=(0, 0, i), size=(6, 4, 4), step=(1, 1, 1)) for i in (0, 4)
    ]
    parts = [conv(builder, parts[0], 4), builder.add("activation", parts[1], activation="relu")]
    y = builder.add("concat", parts, axis=2)
    y = builder.add("reshape", y, shape=(24, 8))
    graph = builder.build(y)
    assert copies(graph)[0] == []
    check(graph)


def test_moves_that_need_copies(forced_isa):
    builder, x = builder_of(6, 4, 3)
    turned = builder.add("transpose", x, axes=(1, 0, 2))
    flat = builder.add("reshape", turned, shape=(24, 3))
    part = builder.add("slice", x, begin=(1, 0, 0), size=(2, 2, 3), step=(2, 3, 1))
    both = builder.add("concat", [x, x], axis=0)
    names = [flat, part, both, turned]
    graph = builder.build([*names, builder.add("add", [both, both])])
    assert len(copies(graph)[0]) > 3
    check(graph)
    builder, x = builder_of(6, 4, 3)
    one = builder.build(builder.add("reshape", x, shape=(72,)))
    assert len(lower(one).nodes) == 1
    check(one)


def test_an_input_that_is_an_output():
    builder, x = builder_of(2, 3, 4)
    graph = builder.build([x, builder.add("activation", x, activation="relu")])
    assert lower(graph).nodes == (0, 1)
    x = arrays(graph)
    same, relu = run_program(lower(graph), graph, x)
    assert_same(same, x[0])
    assert_same(relu, np.maximum(x[0], 0))


def test_bytes(forced_isa):
    builder = GraphBuilder()
    x = builder.input("x", (5, 6, 3), "uint8")
    names = [
        builder.add("affine", x, scale=kernel(i, 3), offset=kernel(i + 1, 3), activation="relu")
        for i in (0, 1)
    ]
    names.append(conv(builder, names[1], 4, size=3, strides=(2, 2)))
    names.append(builder.add("concat", [names[0], names[1]], axis=0))
    check(builder.build([names[0], *names[2:]]))


def test_blocks(forced_isa):
    for gate in (False, True):
        builder, x = builder_of(7, 6, 8)
        y = block(builder, x, 20, 8, gate=gate)
        y = block(builder, y, 20, 8, gate=gate)
        graph = builder.build(builder.add("global_pool", y, function="average"))
        check(graph)
        check(rewrite(graph)[0])


def with_weights(graph):
    """Kernels that keep the size of what passes through them."""
    g = rng(5)

    def drawn(name, value):
        if not name.endswith("kernel"):
            return value
        terms = value[..., 0].size if value.shape[3] > 1 else value[..., 0, 0].size
        return 2 * signed(g, value.shape) / np.float32(np.sqrt(terms))

    nodes = (
        node._replace(attrs={name: drawn(name, value) for name, value in node.attrs.items()})
        for node in graph.nodes
    )
    return graph._replace(nodes=tuple(nodes))


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_published_networks(name):
    """Step by step, from the inputs that each step really had."""
    size = 64 if support.emulated else 224
    graph = rounded(rewrite(with_weights(getattr(architectures, name)(size)))[0])
    x = arrays(graph)
    values = traced(graph, x)
    assert all(np.abs(value).max() > 1e-6 for value in values.values())
    check_nodes(graph, values)
    program = lower(graph)
    for threads in (1, 3):
        for got, name in zip(run_program(program, graph, x, threads), graph.outputs, strict=True):
            assert_same(got, values[name])


@pytest.mark.parametrize("op", ["quantized_pool", "quantized_mean"])
def test_the_core_sums_as_many_cells_as_the_graph_allows(monkeypatch, op):
    """So no graph is refused by the core alone, and none by the graph that the core would run."""
    q, most = (0.5, 3, "uint8"), _shapes8.MOST_CELLS

    def made(cells):
        b = GraphBuilder()
        x = b.input("x", (cells, 1, 2), "uint8")
        pool = {"function": "average", "window": (cells, 1), "strides": (1, 1), "origin": 0}
        attrs = pool if op == "quantized_pool" else {"output": q}
        return Network._from_graph(b.build(b.add(op, x, input=q, **attrs)))

    x = np.full((most, 1, 2), 255, np.uint8)
    np.testing.assert_array_equal(made(most)(x), x[:1])
    with pytest.raises(ValueError, match=f"at most {most}"):
        made(most + 1)
    monkeypatch.setattr(_shapes8, "MOST_CELLS", most + 1)
    with pytest.raises(ValueError, match="window" if op == "quantized_pool" else "x"):
        made(most + 1)


@pytest.mark.parametrize("function", ["max", "average"])
def test_pools_of_more_channels_than_are_added_at_once(function):
    q = (0.5, 3, "int8")
    b = GraphBuilder()
    x = b.input("x", (3, 5, 600), "int8")
    pool = {"window": (2, 3), "padding": ((0, 1), (1, 1)), "origin": 128, "activation": None}
    y = b.add("quantized_pool", x, function=function, strides=(2, 1), input=q, **pool)
    check(b.build([y, b.add("quantized_mean", x, input=q, output=q)]))


@pytest.mark.parametrize("pads", [(1, 0), (0, 1), (2, 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_core_too_refuses_pools_of_padding_alone(axis, pads):
    """The graph does before it; but there is no number to divide by."""
    window = [(0, 0), (0, 0)]
    window[axis] = pads
    size = [3, 3]
    size[axis] += sum(pads)
    settings = {"function": "average", "window": (1, 1), "strides": (1, 1), "dilation": (1, 1)}
    settings |= {"padding": tuple(window), "counted": ((0, 0), (0, 0))}
    settings |= {"origin": 0, "low": 0, "high": 255, "flip": 0}
    x, out = (dense(np.zeros((*shape, 2), np.uint8)) for shape in ((3, 3), size))
    with pytest.raises(ValueError, match="window"):
        network(_core.config()["isas"]["active"], "pool8", out, [x], settings)
