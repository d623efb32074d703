"""ONNX operators that are functions, reductions and norms, against the onnx package and NumPy."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastdw.network._rewrite import rewrite
from onnx_models import IMAGE, agrees, counts, imported, ints, model, node, spelt_norm, weights

X = weights(1, *IMAGE).astype(np.float64)


def softplus(x):
    return np.log1p(np.exp(x))


FUNCTIONS = {
    "Abs": np.abs,
    "Exp": np.exp,
    "Reciprocal": np.reciprocal,
    "Softplus": softplus,
    "Mish": lambda x: x * np.tanh(softplus(x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Selu": lambda x: 1.050701 * np.where(x > 0, x, 1.6732632 * np.expm1(x)),
    "Celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "LogSoftmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "LpNormalization": lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions(op):
    agrees(model(node(op, "x"), opset=22), wanted=[FUNCTIONS[op](X)])


@pytest.mark.parametrize(("op", "function"), [("Log", np.log), ("Sqrt", np.sqrt)])
def test_functions_of_what_is_positive(op, function):
    nodes = [node("Abs", "x", "a"), node(op, "a")]
    agrees(model(nodes), wanted=[function(np.abs(X))])


@pytest.mark.parametrize(
    ("op", "attributes", "wanted"),
    [
        ("Selu", {"alpha": 0.5, "gamma": 2.0}, 2 * np.where(X > 0, X, 0.5 * np.expm1(X))),
        ("Celu", {"alpha": 0.5}, np.where(X > 0, X, 0.5 * np.expm1(X / 0.5))),
        ("LogSoftmax", {"axis": 1}, X - np.log(np.exp(X).sum(1, keepdims=True))),
        ("LpNormalization", {"axis": 1, "p": 1}, X / np.abs(X).sum(1, keepdims=True)),
    ],
)
def test_their_attributes(op, attributes, wanted):
    agrees(model(node(op, "x", **attributes), opset=22), wanted=[wanted])


def test_log_softmax_flattens_before_opset_13():
    wanted = X - np.log(np.exp(X).sum((2, 3), keepdims=True))
    agrees(model(node("LogSoftmax", "x", axis=2), opset=12), wanted=[wanted])


def test_log_softmax_of_large_numbers():
    x = 300 * X
    top = x.max(-1, keepdims=True)
    wanted = x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))
    nodes = [node("Mul", "x many", "a"), node("LogSoftmax", "a")]
    agrees(model(nodes, many=np.float32(300)), wanted=[wanted])


def test_the_direction_of_nothing_is_nothing():
    nodes = [node("Mul", "x zero", "a"), node("LpNormalization", "a")]
    agrees(model(nodes, zero=np.float32(0), opset=22), wanted=[np.zeros(IMAGE)])


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.5, 1 / 3, -1.5, 2.5, 4.0, 8.0])
def test_powers(power):
    nodes = [node("Abs", "x", "a"), node("Pow", "a p")]
    agrees(model(nodes, p=np.float32(power)), wanted=[np.abs(X) ** np.float32(power)])


@pytest.mark.parametrize("power", [0.0, 9.0, -2.0, 4.5, np.nan, np.inf])
def test_powers_that_are_refused(power):
    with pytest.raises(ValueError, match="Pow with exponent"):
        imported(model(node("Pow", "x p"), p=np.float32(power)))


def torch_softplus(condition, limit):
    nodes = [
        node("Neg", "x", "other"),
        node("Softplus", "x", "soft"),
        node("Greater", f"{condition} limit", "great"),
        node("Where", "great x soft"),
    ]
    return model(nodes, limit=np.float32(limit))


def test_softplus_as_torch_writes_it():
    graph = agrees(torch_softplus("x", 20), wanted=[softplus(X)])
    assert counts(graph, "unary") == 0


@pytest.mark.parametrize(("condition", "limit"), [("x", 3), ("x", np.nan), ("other", 20)])
def test_conditions_are_refused(condition, limit):
    with pytest.raises(ValueError, match=r"1 operator .* Greater of a computed value \(node"):
        imported(torch_softplus(condition, limit))


REDUCTIONS = {
    "ReduceMin": lambda x, **over: x.min(**over),
    "ReduceL1": lambda x, **over: np.abs(x).sum(**over),
    "ReduceL2": lambda x, **over: np.sqrt((x * x).sum(**over)),
    "ReduceSumSquare": lambda x, **over: (x * x).sum(**over),
    "ReduceLogSumExp": lambda x, **over: np.log(np.exp(x).sum(**over)),
}


@pytest.mark.parametrize(
    ("axes", "keep"), [((1,), 0), ((1,), 1), ((2, 3), 0), ((-1,), 1), ((1, 2, 3), 1)]
)
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions(op, keep, axes):
    wanted = REDUCTIONS[op](X, axis=axes, keepdims=bool(keep))
    agrees(model(node(op, "x a", keepdims=keep), a=ints(*axes)), wanted=[wanted])


def test_the_logarithm_of_a_sum():
    nodes = [node("Abs", "x", "b"), node("ReduceLogSum", "b a")]
    agrees(model(nodes, a=ints(1)), wanted=[np.log(np.abs(X).sum(1, keepdims=True))])


def test_reductions_of_a_batch_are_refused():
    with pytest.raises(ValueError, match="ReduceL2 across the images of a batch"):
        imported(model(node("ReduceL2", "x")))


def test_a_reduction_over_nothing_is_the_function_alone():
    wanted = [np.sqrt(X * X)]
    agrees(model(node("ReduceL2", "x", noop_with_empty_axes=1)), wanted=wanted)


def test_many_values():
    shapes = {"x": IMAGE, "z": (2, 6, 1, 1), "w": (2, 1, 1, 8)}
    for op in ("Max", "Min", "Mean", "Sum"):
        agrees(model(node(op, "x z w"), shapes), shapes)
    agrees(model(node("Max", "x half z"), {k: shapes[k] for k in "xz"}, half=np.float32(0.5)),
           {k: shapes[k] for k in "xz"})  # fmt: skip


def test_limits_by_channel_are_refused():
    with pytest.raises(ValueError, match="Max with a constant that is no single number"):
        imported(model(node("Max", "x k"), k=weights(2, 6, 1, 1)))


# --- norms ---


def normal(x, axes, epsilon):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
@pytest.mark.parametrize("by", ["x s b", "x s"])
def test_layer_norm(axis, by):
    shape = IMAGE[axis:]
    parts = {"s": weights(2, *shape), "b": weights(3, *shape)}
    wanted = normal(X, tuple(range(axis % 4, 4)), 1e-5) * parts["s"]
    parts = {name: parts[name] for name in by.split()[1:]}
    wanted = wanted + parts.get("b", 0)
    graph = agrees(model(node("LayerNormalization", by, axis=axis), **parts), wanted=[wanted])
    assert counts(graph, "normalize") == 1


def test_layer_norm_of_channels_costs_no_transpose():
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("LayerNormalization", "t s b", "n", epsilon=1e-6),
        node("Transpose", "n", "m", perm=[0, 3, 1, 2]),
        node("Conv", "m w"),
    ]
    parts = {"w": weights(8, 6, 6, 1, 1), "s": weights(2, 6), "b": weights(3, 6)}
    graph = agrees(model(nodes, **parts))
    assert counts(graph, "transpose") == 2  # of the input and the output


@pytest.mark.parametrize("shape", [IMAGE, (2, 6, 9)])
def test_instance_norm(shape):
    parts = {"s": weights(2, 6), "b": weights(3, 6)}
    x = weights(1, *shape).astype(np.float64)
    by = (-1, *(1,) * (len(shape) - 2))
    wanted = normal(x, tuple(range(2, len(shape))), 1e-3)
    wanted = wanted * parts["s"].reshape(by) + parts["b"].reshape(by)
    proto = model(node("InstanceNormalization", "x s b", epsilon=1e-3), shape, **parts)
    agrees(proto, shape, wanted=[wanted])


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(groups, opset):
    size = groups if opset == 18 else 6
    parts = {"s": weights(2, size), "b": weights(3, size)}
    grouped = normal(X.reshape(2, groups, -1), (2,), 1e-5).reshape(IMAGE)
    s, b = (np.repeat(v, 6 // size)[:, None, None] for v in parts.values())
    proto = model(node("GroupNormalization", "x s b", num_groups=groups), opset=opset, **parts)
    agrees(proto, wanted=[grouped * s + b])


@pytest.mark.parametrize("groups", [0, 4, -1, 12])
def test_groups_that_do_not_fit_are_refused(groups):
    parts = {"s": weights(2, 6), "b": weights(3, 6)}
    proto = model(node("GroupNormalization", "x s b", num_groups=groups), opset=21, **parts)
    with pytest.raises(ValueError, match=f"with {groups} groups of 6 channels"):
        imported(proto)


@pytest.mark.parametrize("axis", [1, -1])
def test_root_mean_square_norm(axis):
    s = weights(2, *IMAGE[axis:])
    axes = tuple(range(axis % 4, 4))
    wanted = X / np.sqrt((X * X).mean(axes, keepdims=True) + 1e-5) * s
    agrees(model(node("RMSNormalization", "x s", axis=axis), opset=23, s=s), wanted=[wanted])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 20])
def test_local_response_norm(size):
    squares = np.pad(X * X, ((0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)))
    sums = sum(squares[:, i : i + 6] for i in range(size))
    wanted = X / (2 + 0.3 / size * sums) ** 0.6
    more = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 2.0}
    agrees(model(node("LRN", "x", **more)), wanted=[wanted])


@pytest.mark.parametrize(
    "more", [{"size": 0}, {"size": 3, "beta": -1.0}, {"size": 3, "beta": np.nan}]
)
def test_local_response_norms_that_are_refused(more):
    with pytest.raises(ValueError, match=r"LRN with (size|beta=nan)"):
        imported(model(node("LRN", "x", **more)))


ROOT = [node("Add", "v e", "w"), node("Sqrt", "w", "d")]
SPELT = {
    "quotient": [*ROOT, node("Div", "c d")],
    "epsilon first": [node("Add", "e v", "w"), node("Sqrt", "w", "d"), node("Div", "c d")],
    "reciprocal": [*ROOT, node("Reciprocal", "d", "r"), node("Mul", "r c")],
    "one over": [*ROOT, node("Div", "one d", "r"), node("Mul", "c r")],
    "power": [node("Add", "v e", "w"), node("Pow", "w minus", "r"), node("Mul", "c r")],
}


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("form", SPELT)
def test_norms_that_are_spelt_out(form, axis):
    nodes = spelt_norm(SPELT[form], square="Pow")
    parts = {"e": np.float32(1e-5), "two": np.float32(2), "one": np.float32(1)}
    parts |= {"minus": np.float32(-0.5), "a": ints(axis)}
    used = {name for n in nodes for name in n.input}
    parts = {name: value for name, value in parts.items() if name in used}
    graph = agrees(model(nodes, **parts), wanted=[normal(X, (axis,), 1e-5)])
    assert counts(graph, "normalize") == 1


INVERSE = [*ROOT, node("Reciprocal", "d", "r"), node("Mul", "r g", "i"), node("Mul", "x i", "n")]
MOVED = {
    "offset less the mean": [node("Mul", "m i", "k"), node("Sub", "b k", "s"), node("Add", "n s")],
    "less the mean": [node("Mul", "i m", "k"), node("Sub", "k b", "s"), node("Sub", "n s")],
    "minus the mean": [
        node("Neg", "m", "o"), node("Mul", "o i", "k"), node("Add", "k b", "s"), node("Add", "s n"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("form", MOVED)
def test_norms_that_move_the_scaled_value(form, axis):
    """x·i + (b − mean·i), i being scale/deviation."""
    shape = (6, 1, 1) if axis == 1 else (8,)
    parts = {"g": weights(3, *shape), "b": weights(4, *shape), "e": np.float32(1e-5)}
    proto = model(spelt_norm([*INVERSE, *MOVED[form]]), a=ints(axis), **parts)
    graph = agrees(proto, wanted=[normal(X, (axis,), 1e-5) * parts["g"] + parts["b"]])
    assert counts(graph, "normalize") == 1
    assert not counts(rewrite(graph)[0], "affine")


MISSES = {
    "another value": [
        node("Relu", "x", "z"), node("ReduceMean", "x a", "m"), node("Sub", "z m", "c"),
    ],
    "other axes": [node("ReduceMean", "x b", "m"), node("Sub", "x m", "c")],
}  # fmt: skip


@pytest.mark.parametrize("name", MISSES)
def test_what_is_nearly_a_norm_is_none(name):
    nodes = [*MISSES[name], *spelt_norm([*ROOT, node("Div", "c d")], square="Pow")[2:]]
    parts = {"e": np.float32(1e-5), "two": np.float32(2), "a": ints(1), "b": ints(2)}
    used = {i for n in nodes for i in n.input}
    graph = agrees(model(nodes, **{key: value for key, value in parts.items() if key in used}))
    assert counts(graph, "normalize") == 0


@pytest.mark.parametrize(
    ("nodes", "parts", "reason"),
    [
        ("LayerNormalization", {"s": (7,), "b": (8,)}, "that does not fit"),
        ("InstanceNormalization", {"s": (7,), "b": (6,)}, "do not fit"),
    ],
)
def test_norms_that_are_refused(nodes, parts, reason):
    with pytest.raises(ValueError, match=f"{nodes} .*{reason}"):
        imported(model(node(nodes, "x s b"), **{k: weights(2, *v) for k, v in parts.items()}))


def test_a_norm_over_the_batch_is_refused():
    with pytest.raises(ValueError, match="LayerNormalization across the images of a batch"):
        imported(model(node("LayerNormalization", "x s", axis=0), s=weights(2, 1)))


def test_a_norm_that_gives_its_mean_and_deviation():
    proto = model(node("LayerNormalization", "x s", "y m d"), outputs="y m d", s=weights(2, 8))
    agrees(proto)


NUMBER = (1, 1, 1, 1)
OF_MORE_AXES = {
    "Max": [node("Max", "x number", "y")],
    "Min": [node("Min", "number x", "y")],
    "Pow": [node("Pow", "x two", "y")],
    "Div": [node("Div", "one x", "y")],
    "sigmoid": [
        node("Neg", "x", "minus"),
        node("Exp", "minus", "e"),
        node("Add", "e one", "sum"),
        node("Div", "one sum", "y"),
    ],
    "norm": spelt_norm(
        [node("Add", "v number", "w"), node("Sqrt", "w", "d"), node("Div", "c d")], "last"
    ),
}


@pytest.mark.parametrize("op", OF_MORE_AXES)
def test_a_number_of_more_axes_gives_them_to_the_result(op):
    nodes = [*OF_MORE_AXES[op], node("ReduceMax", "y axis", "z", keepdims=0)]
    proto = model(
        nodes,
        (1, 3, 4),
        outputs="y z",
        number=np.full(NUMBER, 0.25, np.float32),
        one=np.ones(NUMBER, np.float32),
        two=np.full(NUMBER, 2, np.float32),
        last=ints(-1),
        axis=ints(2),
    )
    agrees(proto, (1, 3, 4))


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_celu_bends_at_a_positive_alpha(alpha):
    with pytest.raises(ValueError, match=f"Celu with alpha={alpha}"):
        imported(model(node("Celu", "x", alpha=alpha)))
