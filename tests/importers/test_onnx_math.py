"""ONNX activations, operators on two values, and those that move numbers."""

import math

import numpy as np
import pytest

pytest.importorskip("onnx")

from hypothesis import given
from hypothesis import strategies as st
from onnx_models import (
    IMAGE,
    agrees,
    counts,
    imported,
    ints,
    model,
    node,
    onnx,
    weights,
)

# --- activations ---

ACTIVATIONS = {
    "Relu": {},
    "Sigmoid": {},
    "Tanh": {},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.3},
    "Elu": {"alpha": 0.7},
    "HardSigmoid": {},
    "Neg": {},
}


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_activation(op):
    agrees(model(node(op, "x", **ACTIVATIONS[op])))


@pytest.mark.parametrize(("alpha", "name"), [(1 / 6, "hard_sigmoid"), (0.2, ("clip", 0.0, 1.0))])
def test_hard_sigmoid_keeps_its_slope(alpha, name):
    graph = agrees(model(node("HardSigmoid", "x", alpha=alpha, beta=0.5)))
    (activation,) = (n for n in graph.nodes if n.op == "activation")
    assert activation.attrs["activation"] == name


def test_two_slopes_of_hard_sigmoid_in_one_file():
    nodes = [node("HardSigmoid", "x", name, alpha=a) for name, a in (("a", 1 / 6), ("b", 0.2))]
    agrees(model([*nodes, node("Sub", "a b", "y")]))


@pytest.mark.parametrize("shape", [(6, 1, 1), (1,), (8,), (7, 1), (1, 6, 1, 1), ()])
def test_slopes_broadcast_from_the_right(shape):
    agrees(model(node("PRelu", "x s"), s=weights(2, *shape)))


def test_slopes_of_each_channel_stay_with_their_channel():
    """Eight slopes on eight columns are one a column, also where there are as many channels."""
    shape = (2, 8, 7, 8)
    agrees(model(node("PRelu", "x s"), shape, s=weights(2, 8)), shape)


def test_slopes_by_position_are_refused():
    with pytest.raises(ValueError, match=r"PRelu with slopes by position, of shape \(7, 8\)"):
        imported(model(node("PRelu", "x s"), s=weights(2, 7, 8)))


@pytest.mark.parametrize("opset", [9, 11, 13])
def test_clip(opset):
    if opset < 11:
        proto = model(node("Clip", "x", min=-0.25, max=0.5), opset=opset)
    else:
        limits = {"a": np.float32(-0.25), "b": np.float32(0.5)}
        proto = model(node("Clip", "x a b"), opset=opset, **limits)
    agrees(proto, wanted=[np.clip(weights(1, *IMAGE), -0.25, 0.5)])


def spelt(*steps):
    return [node(op, inputs, output) for op, inputs, output in steps]


HALF, ROOT, THREE, SIX = (np.float32(v) for v in (0.5, 2**0.5, 3, 6))
SPELT = {
    "gelu": [
        ("Div", "x root", "a"), ("Erf", "a", "b"), ("Add", "b one", "c"),
        ("Mul", "x c", "d"), ("Mul", "d half", "y"),
    ],
    "gelu, halved first": [
        ("Mul", "x half", "h"), ("Div", "x root", "a"), ("Erf", "a", "b"),
        ("Add", "b one", "c"), ("Mul", "h c", "y"),
    ],
    "sigmoid": [("Neg", "x", "a"), ("Exp", "a", "b"), ("Add", "b one", "c"), ("Div", "one c", "y")],
    "swish": [("Neg", "x", "a"), ("Exp", "a", "b"), ("Add", "one b", "c"), ("Div", "x c", "y")],
    "hard_swish": [
        ("Add", "x three", "a"), ("Clip", "a zero six", "b"), ("Mul", "x b", "c"),
        ("Div", "c six", "y"),
    ],
    "hard_sigmoid": [
        ("Add", "x three", "a"), ("Clip", "a zero six", "b"), ("Div", "b six", "y"),
    ],
    "minus": [("Sub", "one x", "y")],
    "clip by limits": [("Max", "x zero", "a"), ("Min", "half a", "y")],
    "square": [("Pow", "x two", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", SPELT)
def test_activations_that_are_spelt_out(name):
    constants = {"half": HALF, "root": ROOT, "three": THREE, "six": SIX}
    constants |= {"zero": np.float32(0), "one": np.float32(1), "two": np.float32(2)}
    agrees(model(spelt(*SPELT[name]), **constants))


def test_what_remains_of_an_activation_is_named():
    nodes = [node("Div", "x root", "a"), node("Erf", "a", "b"), node("Relu", "b", "y")]
    with pytest.raises(ValueError, match=r"1 operator .*: Erf \(node 'Erf b'\)"):
        imported(model(nodes, root=ROOT))


# --- two values ---

CONSTANTS = [(), (1,), (8,), (7, 1), (6, 1, 1), (1, 6, 1, 1), (7, 8), (6, 7, 8), (1, 6, 1, 8)]


@pytest.mark.parametrize("shape", CONSTANTS)
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_constants_broadcast(op, shape):
    # An old NumPy makes a float64 of an array without axes and a number.
    agrees(model(node(op, "x k"), k=np.asarray(weights(2, *shape) + 2, np.float32)))


@pytest.mark.parametrize("other", [IMAGE, (2, 6, 1, 1), (2, 1, 7, 8), (2, 1, 1, 8), (2, 1, 1, 1)])
@pytest.mark.parametrize("order", ["x z", "z x"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
def test_values_broadcast(op, order, other):
    shapes = {"x": IMAGE, "z": other}
    agrees(model(node(op, order), shapes), shapes)


@pytest.mark.parametrize("shape", [(5, 1, 1, 8), (6, 7, 8), (1, 6, 1, 1), (2, 3, 1, 1, 1)])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("order", ["x k", "k x"])
def test_constants_that_make_the_value_larger(op, order, shape):
    x = (2, 1, 7, 1)
    if len(shape) > 4 or shape[0] == 5:
        with pytest.raises(ValueError, match=f"{op} (across the images|that does not fit)"):
            imported(model(node(op, order), x, k=weights(2, *shape) + 2))
        return
    agrees(model(node(op, order), x, k=weights(2, *shape) + 2), x)


def test_values_that_no_memory_holds_are_refused():
    x, k = (1, 1, 1 << 17), weights(2, 1 << 17, 1)
    with pytest.raises(ValueError, match=r"Add with a constant of shape \(131072, 1\)"):
        imported(model(node("Add", "x k"), x, k=k))


def test_before_opset_7_an_attribute_says_where_a_constant_stands():
    k = weights(2, 6)
    wanted = weights(1, *IMAGE) + k[:, np.newaxis, np.newaxis]
    proto = model(node("Add", "x k", broadcast=1, axis=1), opset=6, k=k)
    agrees(proto, wanted=[wanted])


# --- moves ---

MOVES = {
    "flatten": [node("Flatten", "x")],
    "reshape": [node("Reshape", "x s3")],
    "head": [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Reshape", "t s4")],
    "shuffle": [
        node("Reshape", "x s5", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t s6"),
    ],
    "transpose": [node("Transpose", "x", perm=[0, 3, 1, 2])],
    "unsqueeze": [node("Unsqueeze", "x a2", "u"), node("Squeeze", "u a2")],
    "concat": [node("Relu", "x", "r"), node("Concat", "x r x", axis=1)],
    "concat of rows": [node("Relu", "x", "r"), node("Concat", "x r", axis=-2)],
    "split": [node("Split", "x n", "a b", axis=1), node("Sub", "b a2f", "y")],
    "slice": [node("Slice", "x lo hi ax st")],
    "slice backwards": [node("Slice", "x m1 far a2 m1")],
    "gather": [node("Gather", "x pick", axis=1)],
    "gather, as torch writes it": [
        node("Transpose", "x", "t", perm=[1, 0, 2, 3]),
        node("GatherND", "t picks", "g"),
        node("Transpose", "g", perm=[1, 0, 2, 3]),
    ],
    "gather of pixels, as torch writes it": [
        node("Transpose", "x", "t", perm=[2, 3, 0, 1]),
        node("GatherND", "t pixels", "g"),
        node("Transpose", "g", perm=[2, 3, 0, 1]),
    ],
    "gather by a table": [node("Gather", "x table", axis=3)],
    "gather by a table of channels": [node("Gather", "x rows", "r", axis=1), node("Relu", "r")],
    "gather of one": [node("Gather", "x one", axis=2)],
    "tile": [node("Tile", "x often")],
    "tile by a computed number": [node("Tile", "two three", "r"), node("Tile", "x r")],
    "expand": [node("ReduceMean", "x a2", "m"), node("Expand", "m full")],
    "depth to space": [node("Concat", "x x", "c", axis=1), node("DepthToSpace", "c", blocksize=2)],
    "depth to space, crd": [
        node("Concat", "x x", "c", axis=1),
        node("DepthToSpace", "c", blocksize=2, mode="CRD"),
    ],
    "mean": [node("ReduceMean", "x hw", keepdims=0)],
    "mean of channels": [node("ReduceMean", "x a1")],
    "maximum of columns": [node("ReduceMax", "x a2", keepdims=0)],
    "sum": [node("ReduceSum", "x hw")],
    "matmul": [node("MatMul", "x m8")],
    "matmul from the left": [node("MatMul", "m7 x")],
}
PARTS = {
    "s3": ints(0, 6, -1), "s4": ints(0, -1, 3), "s5": ints(0, 2, 3, 7, 8), "s6": ints(-1, 6, 7, 8),
    "a1": ints(1), "a2": ints(2), "hw": ints(2, 3), "n": ints(2, 4), "a2f": np.float32(2),
    "lo": ints(1, -6, 0), "hi": ints(5, 10**6, 8), "ax": ints(1, -2, 3), "st": ints(2, 1, 3),
    "m1": ints(-1), "far": ints(-10**6), "pick": ints(3, 0, -1, 3), "one": np.array(1),
    "pixels": np.stack(np.meshgrid(ints(0, 6, -3), ints(7, 0, 2, -1), indexing="ij"), -1),
    "table": ints([3, 0, -1], [7, 7, 2]), "rows": ints([0, 3], [5, 1], [2, 2]),
    "picks": ints(3, 0, -1, 3)[:, None],
    "often": ints(1, 2, 1, 3), "two": ints(1, 1), "three": ints(2),
    "full": ints(1, 6, 7, 8), "m8": weights(5, 8, 5), "m7": weights(6, 4, 7),
}  # fmt: skip


@pytest.mark.parametrize("after_conv", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_moves_keep_the_model_s_order(name, after_conv):
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in MOVES[name]]
    used = {i for n in nodes for i in n.input}
    parts = {k: v for k, v in PARTS.items() if k in used}
    if after_conv:
        for n in nodes:
            for i, value in enumerate(n.input):
                n.input[i] = value.replace("x", "conv") if value == "x" else value
        nodes.insert(0, node("Conv", "x w", "conv"))
        parts["w"] = weights(8, 6, 6, 1, 1)
    agrees(model(nodes, **parts))


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (ints([0, 0]), "across the images of a batch"),
        (ints([0, 0, 0, 0, 0]), "across the images of a batch"),
        (np.zeros((0, 2), np.int64), "with batch_dims, without indices"),
    ],
)
def test_indices_that_are_refused(index, reason):
    with pytest.raises(ValueError, match=f"GatherND {reason}"):
        imported(model(node("GatherND", "x i"), i=index))


def test_indices_beyond_the_axes_are_refused():
    nodes = [node("Transpose", "x", "t", perm=[1, 2, 0, 3]), node("GatherND", "t i")]
    for index in (ints([6, 0], [0, 6]), ints([0, -8])):
        with pytest.raises(ValueError, match="GatherND that does not fit"):
            imported(model(nodes, i=index))


@st.composite
def chains(draw):
    """Shapes and orders for a value of 2 × 6 × 4 × 6, one after the other."""
    shape, steps = [6, 4, 6], []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["Reshape", "Transpose", "Neg", "Mean"]))
        if kind == "Transpose":
            order = draw(st.permutations(range(len(shape))))
            shape = [shape[i] for i in order]
            steps.append((kind, [0, *(i + 1 for i in order)]))
        elif kind == "Reshape":
            rest, new = math.prod(shape), []
            while rest > 1 and len(new) < 4:
                new.append(draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0])))
                rest //= new[-1]
            shape = [*new, rest]
            steps.append((kind, [0, *shape]))
        else:
            steps.append((kind, None))
    return steps


@given(chains())
def test_drawn_moves_keep_the_order(steps):
    value, nodes, parts = "x", [], {}
    for i, (kind, numbers) in enumerate(steps):
        if kind == "Reshape":
            parts[f"s{i}"] = ints(*numbers)
            nodes.append(node("Reshape", f"{value} s{i}", f"v{i}"))
        elif kind == "Transpose":
            nodes.append(node("Transpose", value, f"v{i}", perm=numbers))
        elif kind == "Neg":
            nodes.append(node("Neg", value, f"v{i}"))
        else:
            parts[f"s{i}"] = ints(1)
            nodes += [
                node("ReduceMean", f"{value} s{i}", f"m{i}"),
                node("Add", f"{value} m{i}", f"v{i}"),
            ]
        value = f"v{i}"
    shape = (2, 6, 4, 6)
    agrees(model([*nodes, node("Identity", value)], shape, **parts), shape)


def test_a_flattened_picture_costs_no_transpose():
    nodes = [
        node("Conv", "x w", "c"),
        node("Flatten", "c", "f"),
        node("Gemm", "f m b", transB=1, alpha=0.5, beta=2.0),
    ]
    parts = {"w": weights(8, 5, 6, 1, 1), "m": weights(9, 4, 280), "b": weights(10, 4)}
    assert counts(agrees(model(nodes, **parts)), "transpose") == 1  # of the input


def test_shuffled_channels_are_one_gather():
    nodes = [
        node("Conv", "x w", "c"),
        *(onnx.NodeProto.FromString(n.SerializeToString()) for n in MOVES["shuffle"]),
    ]
    nodes[1].input[0] = "c"
    parts = {key: PARTS[key] for key in ("s5", "s6")}
    graph = agrees(model(nodes, w=weights(8, 6, 6, 1, 1), **parts))
    assert counts(graph, "gather") == 1
    assert counts(graph, "transpose") == 2  # of the input and the output


def test_heads_cost_no_transpose():
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t s", "r"),
        node("Softmax", "r", axis=-1),
    ]
    graph = agrees(model(nodes, w=weights(8, 6, 6, 1, 1), s=ints(0, -1, 2)))
    assert counts(graph, "transpose") == 1


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [1, 2, 3, -1, None])
def test_softmax_flattens_before_opset_13(opset, axis):
    attributes = {} if axis is None else {"axis": axis}
    x = weights(1, *IMAGE).astype(np.float64)
    axis = axis if axis is not None else 1 if opset < 13 else -1
    axes = tuple(range(axis % 4, 4)) if opset < 13 else axis
    powers = np.exp(x - x.max(axis=axes, keepdims=True))
    wanted = powers / powers.sum(axis=axes, keepdims=True)
    agrees(model(node("Softmax", "x", **attributes), opset=opset), wanted=[wanted])
