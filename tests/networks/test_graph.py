"""Graphs: shape rules, checks, and the twins against plain loops."""

import itertools

import numpy as np
import pytest
from fastdw.network import _graph
from fastdw.network._graph import (
    Graph,
    GraphBuilder,
    Node,
    TensorSpec,
    checked,
    content,
    run,
    trace,
)
from fastdw.network._ops import OPS
from fastdw.network._ops8 import OPS8
from graphs import EXAMPLES, example, inputs, kernel
from support import rng, signed


def test_every_operator_has_an_example():
    assert EXAMPLES.keys() == {*OPS, *OPS8}


@pytest.mark.parametrize("op", EXAMPLES)
def test_shape_rules_say_what_the_twins_give(op):
    graph = example(op)
    (y,) = run(graph, inputs(graph))
    dtype = _graph.dtypes(graph)["y"]
    assert y.dtype == (np.float64 if dtype == "float32" else dtype)
    assert y.shape == EXAMPLES[op][2] == _graph.shapes(graph)["y"]
    assert run(graph, inputs(graph), np.float32)[0].dtype == dtype


@pytest.mark.parametrize("op", EXAMPLES)
def test_a_checked_graph_stays_as_it_is(op):
    graph = example(op)
    (before,), (after,) = graph.nodes, checked(graph).nodes
    assert content(before) == content(after)
    assert before._replace(attrs={}) == after._replace(attrs={})
    assert after.attrs.keys() == OPS[op].attributes.keys()


def window(x, pads):
    return np.pad(x, (*pads, (0, 0)))


def test_conv2d_against_loops():
    graph = example("conv2d")
    x, residual = inputs(graph)
    attrs = graph.nodes[0].attrs
    padded = window(x, attrs["padding"])
    for i, j, f in np.ndindex(3, 6, 6):
        group = slice(0, 2) if f < 3 else slice(2, 4)
        patch = padded[2 * i : 2 * i + 3, j : j + 2, group]
        sums = (patch * attrs["kernel"][..., f]).sum() + attrs["bias"][f] + residual[i, j, f]
        assert np.isclose(run(graph, [x, residual])[0][i, j, f], min(max(sums, 0), 6), rtol=1e-12)


def test_x_scale_multiplies_what_the_convolution_reads():
    builder = GraphBuilder()
    x, gate = builder.input("x", (3, 4, 5)), builder.input("gate", (1, 1, 5))
    y = builder.add("conv2d", [x, "", gate], kernel=kernel(0, 1, 1, 5, 2))
    graph = builder.build(y)
    arrays = inputs(graph)
    wanted = (arrays[0] * arrays[1]) @ graph.nodes[0].attrs["kernel"][0, 0]
    np.testing.assert_allclose(run(graph, arrays)[0], wanted, rtol=1e-12)


def test_conv2d_transpose_is_the_transpose_of_conv2d():
    """<conv(x), y> = <x, transpose(y)> for every x and y."""
    kernels, strides, pads = kernel(0, 3, 2, 4, 5), (2, 1), ((1, 0), (1, 1))
    builder = GraphBuilder()
    y = builder.add(
        "conv2d", builder.input("x", (6, 5, 4)), kernel=kernels, strides=strides, padding=pads
    )
    shape = builder.shape(y)
    builder.input("z", shape)
    back = builder.add(
        "conv2d_transpose",
        "z",
        kernel=np.swapaxes(kernels, 2, 3),
        strides=strides,
        padding=pads,
        output_padding=(0, 0),
    )
    assert builder.shape(back) == (6, 5, 4)
    graph = builder.build([y, back])
    x, z = inputs(graph)
    forward, backward = run(graph, [x, z])
    assert np.isclose((forward * z).sum(), (x * backward).sum(), rtol=1e-12)


@pytest.mark.parametrize("function", ["max", "average"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_pool_against_loops(function, dilation):
    x = signed(rng(1), (5, 6, 2)).astype(np.float64)
    pads, counted, strides, size = ((1, 3), (2, 2)), ((1, 1), (0, 2)), (2, 1), (2, 3)
    builder = GraphBuilder()
    y = builder.add(
        "pool",
        builder.input("x", x.shape),
        function=function,
        window=size,
        strides=strides,
        padding=pads,
        counted=counted,
        dilation_rate=(dilation, dilation),
    )
    (got,) = run(builder.build(y), [x])
    for i, j, c in np.ndindex(got.shape):
        cells = []
        for di, dj in itertools.product(range(size[0]), range(size[1])):
            row = i * strides[0] + di * dilation - pads[0][0]
            column = j * strides[1] + dj * dilation - pads[1][0]
            if 0 <= row < 5 and 0 <= column < 6:
                cells.append(x[row, column, c])
            elif -counted[0][0] <= row < 5 + counted[0][1] and (
                -counted[1][0] <= column < 6 + counted[1][1]
            ):
                cells.append(0.0)
        wanted = {"max": max(cells), "average": sum(cells) / len(cells)}[function]
        assert np.isclose(got[i, j, c], wanted, rtol=1e-12, atol=1e-15)


def test_gather_and_bilinear_against_loops():
    graph = example("gather")
    (x,) = inputs(graph)
    attrs = graph.nodes[0].attrs
    for i, j, c in np.ndindex(4, 3, 5):
        row, channel = attrs["rows"][i], attrs["channels"][c]
        wanted = 0.5 if min(row, channel) < 0 else x[row, j, channel]
        assert run(graph, [x])[0][i, j, c] == wanted
    graph = example("bilinear")
    (x,) = inputs(graph)
    (y,) = run(graph, [x])
    np.testing.assert_allclose(y[0, 0], x[0, 0] + (x[0, 1] - x[0, 0]) * 0.25)
    mixed = (x[0] + x[1]) / 2
    np.testing.assert_allclose(y[1, 1], mixed[1] + (mixed[2] - mixed[1]) * 0.75)


def test_softmax_of_large_numbers():
    builder = GraphBuilder()
    graph = builder.build(builder.add("softmax", builder.input("x", (2, 3)), beta=2.0))
    (y,) = run(graph, [np.array([[1e4, 1e4, 0], [0, np.log(2), np.log(3)]])])
    np.testing.assert_allclose(y, [[0.5, 0.5, 0], [1 / 14, 4 / 14, 9 / 14]])


@pytest.mark.parametrize("op", ["separable", "expand_depthwise", "inverted"])
def test_fused_operators_are_their_parts(op):
    graph = example(op)
    arrays = inputs(graph)
    attrs = graph.nodes[0].attrs
    builder = GraphBuilder()
    names = [builder.input(s.name, s.shape) for s in graph.inputs]
    x = names[0]
    place = {name: attrs[name] for name in ("strides", "padding", "dilation_rate")}

    def half(prefix):
        return {name: attrs[prefix + name] for name in ("kernel", "bias", "activation")}

    if op == "separable":
        x = builder.add("activation", x, activation=attrs["pre_activation"])
    else:
        x = builder.add("conv2d", x, **half("expand_"))
    x = builder.add("depthwise", x, **half("depthwise_"), **place)
    if op != "expand_depthwise":
        final = {"kernel": attrs["pointwise_kernel"]}
        final |= {name: attrs[name] for name in ("bias", "activation")}
        x = builder.add("conv2d", [x, names[1]], **final)
    np.testing.assert_array_equal(run(graph, arrays)[0], run(builder.build(x), arrays)[0])


def test_trace_gives_every_value():
    builder = GraphBuilder()
    x = builder.input("x", (2, 2, 1))
    y = builder.add("activation", x, activation="relu")
    z = builder.add("add", [x, y], "z")
    values = trace(builder.build(z), [np.full((2, 2, 1), 3.0)])
    assert list(values) == [x, y, z]
    assert (values["z"] == 6).all()


X = TensorSpec("x", (4, 4, 3))
RELU = Node("activation", ("x",), "y", {"activation": "relu"})


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        (Graph((X,), (RELU._replace(op="lstm"),), ("y",)), "lstm"),
        (Graph((X,), (RELU._replace(inputs=("z",)),), ("y",)), "'z'"),
        (Graph((X,), (RELU._replace(inputs=()),), ("y",)), "inputs"),
        (Graph((X,), (RELU._replace(inputs=("x", "x")),), ("y",)), "inputs"),
        (Graph((X,), (RELU._replace(inputs=("x", "")),), ("y",)), "inputs"),
        (Graph((X,), (RELU._replace(output="x"),), ("x",)), "two values"),
        (Graph((X,), (RELU._replace(output=""),), ("x",)), "named"),
        (Graph((X,), (RELU._replace(attrs={}),), ("y",)), "activation"),
        (Graph((X,), (RELU._replace(attrs={"activation": "relu", "beta": 1}),), ("y",)), "beta"),
        (Graph((X,), (RELU._replace(attrs={"activation": "reluu"}),), ("y",)), "reluu"),
        (Graph((X,), (RELU,), ()), "outputs"),
        (Graph((X,), (RELU,), ("z",)), "outputs"),
        (Graph((X,), (RELU,), ("y", "y")), "outputs"),
        (Graph((X, X), (RELU,), ("y",)), "two values"),
        (Graph((X._replace(shape=(None, 4, 3)),), (RELU,), ("y",)), "fixed shape"),
        (Graph((X._replace(shape=(0, 4, 3)),), (RELU,), ("y",)), "axes"),
        (Graph((X._replace(shape=(1,) * 7),), (RELU,), ("y",)), "axes"),
        (Graph((X._replace(dtype="int16"),), (RELU,), ("y",)), "dtype"),
    ],
)
def test_refused_graphs(graph, word):
    with pytest.raises(ValueError, match=word):
        checked(graph)


def test_a_value_of_another_dtype():
    with pytest.raises(TypeError, match="reads float32, got uint8"):
        checked(Graph((X._replace(dtype="uint8"),), (RELU,), ("y",)))


@pytest.mark.parametrize(
    ("op", "change", "word"),
    [
        ("conv2d", {"groups": 3}, "groups"),
        ("conv2d", {"bias": np.ones(5)}, "bias"),
        ("conv2d", {"strides": (1, 1)}, "residual"),
        ("conv2d", {"strides": (0, 1)}, "strides"),
        ("conv2d", {"padding": ((0, 0), (0, -1))}, "padding"),
        ("conv2d", {"dilation_rate": (9, 1)}, "zero or negative"),
        ("depthwise", {"kernel": np.ones((3, 3, 5, 1))}, "kernel"),
        ("conv2d_transpose", {"padding": ((9, 0), (0, 0))}, "axes"),
        ("affine", {"scale": np.ones(3)}, "scale"),
        ("activation", {"activation": ("prelu", np.ones(3, np.float32))}, "slopes"),
        ("pool", {"counted": ((2, 0), (0, 0))}, "counted"),
        ("pool", {"function": "median"}, "median"),
        ("concat", {"axis": 0}, "shape"),
        ("concat", {"axis": 3}, "axis"),
        ("slice", {"size": (3, 3, 2)}, "end within"),
        ("slice", {"begin": (0, 0)}, "entries"),
        ("gather", {"rows": (2,)}, "rows"),
        ("gather", {"rows": (-2,)}, "rows"),
        ("bilinear", {"row_high": (0, 1)}, "lengths"),
        ("bilinear", {"row_high": (0, 1, 2)}, "row_high"),
        ("reshape", {"shape": (5,)}, "shape"),
        ("transpose", {"axes": (0, 1, 1)}, "axes"),
        ("softmax", {"beta": float("nan")}, "beta"),
        ("softmax", {"beta": -1e39}, "beta must be finite in float32"),
        ("normalize", {"epsilon": -1e-5}, "epsilon"),
        ("normalize", {"epsilon": 1e39}, "epsilon must be finite in float32"),
        ("normalize", {"offset": np.ones(3)}, "offset"),
        ("unary", {"function": "tanh"}, "function"),
        ("separable", {"pre_activation": "sigmoid"}, "pre_activation"),
        ("inverted", {"expand_kernel": np.ones((1, 1, 3, 6))}, "expand_kernel"),
    ],
)
def test_refused_attributes(op, change, word):
    graph = example(op)
    node = graph.nodes[0]
    with pytest.raises(ValueError, match=word) as caught:
        checked(graph._replace(nodes=(node._replace(attrs=node.attrs | change),)))
    assert str(caught.value).startswith(f"{op} 'y' (from the {op})")


@pytest.mark.parametrize(
    ("op", "change"),
    [
        ("conv2d", {"kernel": [1.0]}),
        ("conv2d", {"kernel": np.ones((3, 2, 2, 6), np.int32)}),
        ("conv2d", {"groups": 2.0}),
        ("conv2d", {"strides": 2}),
        ("pool", {"function": 3}),
        ("softmax", {"beta": "1"}),
    ],
)
def test_wrong_types_of_attributes(op, change):
    graph = example(op)
    node = graph.nodes[0]
    with pytest.raises(TypeError, match=next(iter(change))):
        checked(graph._replace(nodes=(node._replace(attrs=node.attrs | change),)))


def test_names_of_the_builder():
    builder = GraphBuilder()
    builder.input("activation_0", (2,))
    first = builder.add("activation", "activation_0", activation="relu")
    second = builder.add("activation", [first, "", ""], activation="relu")
    assert len({"activation_0", first, second}) == 3
    with pytest.raises(ValueError, match="lstm"):
        builder.add("lstm", first)
    graph = builder.build(second)
    assert _graph.uses(graph) == {"activation_0": 1, first: 1, second: 1}


def test_arrays_that_begin_alike_are_no_equal_contents():
    """Their keys are hashed by their first entries: the others decide."""
    a = np.ones((1, 1, 64, 64), np.float32)
    b, c = a.copy(), a.copy()
    b[..., -1] = np.nextafter(np.float32(1), np.float32(2))
    c[..., -1] = np.nan

    def key(kernel):
        return content(Node("conv2d", ("x",), "y", {"kernel": kernel}))

    assert key(a) == key(a.copy())
    assert key(c) == key(c.copy())
    assert len({key(a), key(b), key(c), key(a.astype(float)), key(a.copy())}) == 4
    assert hash(key(a)) == hash(key(b))
