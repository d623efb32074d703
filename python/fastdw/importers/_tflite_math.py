"""Operators of TFLite that compute number by number, or along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _norms
from fastdw.importers._common import MAX_FOLDED, MAX_TABLE, Unsupported
from fastdw.importers._tflite_file import TfliteNode, ints
from fastdw.importers._tflite_values import Conversion, Live, Value, axis_of
from fastdw.network._recognise import clamp

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.importers._norms import Moment


# --- two operands ---


def _binary(kind: str) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        a, b = c.get(node, 0), c.get(node, 1)
        if a is None or b is None:
            msg = "without two operands"
            raise Unsupported(msg)
        activation = c.activation(node, node.options_if_any(f"{kind}Options"))
        moment = _norms.of_two(kind, a, b)
        if moment and moment.kind == "normalized":
            y = _with_constant(c, "Mul", _normalized(c, moment), moment.scale, None)
            return _with_constant(c, "Add", y, moment.offset, activation)
        result = _combined(c, kind, a, b, activation)
        return result if activation else result._replace(moment=moment)

    return convert


def _combined(c: Conversion, kind: str, a: Value, b: Value, activation: Any) -> Live:
    if isinstance(b, np.ndarray):
        return _with_constant(c, kind, c.plain(a), b, activation)
    if not isinstance(a, np.ndarray):
        return _of_two(c, kind, c.plain(a), c.plain(b), activation)
    right = c.plain(b)
    if kind == "Sub":
        return _by_entry(c, right, -1.0, a.astype(np.float64), activation)
    if kind == "Div":
        return _with_constant(c, "Mul", _function(c, right, "reciprocal"), a, activation)
    return _with_constant(c, kind, right, a, activation)


def _normalized(c: Conversion, moment: Moment) -> Live:
    """The base of a norm with mean 0 and variance 1."""
    x, axes = moment.base, moment.axes
    size = math.prod(x.shape[a] for a in axes)
    vectors: dict[str, Any] = {"scale": np.ones(size), "offset": np.zeros(size)}
    if axes == (len(x.shape) - 1,):
        return c.add("normalize", x.name, x.shape, **vectors, epsilon=moment.epsilon)
    large = [a for a, n in enumerate(x.shape) if n > 1]
    order = [*(a for a in large if a not in axes), *(a for a in large if a in axes)]
    ordered = Live(_in_order(c, x, order), x.shape)
    lines = c.seen(ordered, (math.prod(x.shape) // size, size))
    y = c.add("normalize", lines, **vectors, epsilon=moment.epsilon)
    name = c.seen(y, tuple(x.shape[a] for a in order))
    if order != large:
        axes = tuple(order.index(a) for a in large)
        name = c.builder.add("transpose", name, source=c.source, axes=axes)
    return c.reshaped(Live(name, x.shape), x.shape)


def _with_constant(c: Conversion, kind: str, x: Live, constant: AnyArray, activation: Any) -> Live:
    numbers = constant.astype(np.float64)
    if kind in ("Add", "Sub"):
        return _by_entry(c, x, 1.0, numbers if kind == "Add" else -numbers, activation)
    return _by_entry(c, x, numbers if kind == "Mul" else 1 / numbers, 0.0, activation)


def _by_entry(c: Conversion, x: Live, scale: Any, offset: Any, activation: Any) -> Live:
    """x·scale + offset, one of which may be an array that broadcasts to x."""
    scale, offset = np.asarray(scale), np.asarray(offset)
    shape = np.broadcast_shapes(scale.shape, offset.shape)
    x = _with_rank(c, x, len(shape))
    whole = np.broadcast_shapes(shape, x.shape)
    if whole != x.shape:
        if math.prod(whole) > max(MAX_FOLDED, math.prod(shape)):
            msg = f"with a constant of shape {shape} on {x.shape}"
            raise Unsupported(msg)
        if whole[0] != x.shape[0] and len(whole) > 1:
            axis_of(0, x.shape)
        x = _stretched(c, x, whole)
    if math.prod(shape) == (shape or (1,))[-1]:
        return c.affine(x, scale, offset, activation)
    size = math.prod(x.shape)
    if size > max(MAX_TABLE, math.prod(shape)):
        msg = f"with a constant of shape {shape} on {x.shape}"
        raise Unsupported(msg)
    factors, terms = (np.broadcast_to(v, x.shape).reshape(-1) for v in (scale, offset))
    return c.reshaped(c.affine(c.reshaped(x, (1, size)), factors, terms, activation), x.shape)


_WORDS = {
    "Add": "add",
    "Sub": "add",
    "Mul": "multiply",
    "Div": "divide",
    "Maximum": "maximum",
    "Minimum": "minimum",
}


def _of_two(c: Conversion, kind: str, a: Live, b: Live, activation: Any) -> Live:
    if kind == "Sub":
        b = c.affine(b, -1.0, 0.0)
    rank = max(len(a.shape), len(b.shape))
    a, b = _with_rank(c, a, rank), _with_rank(c, b, rank)
    shape = np.broadcast_shapes(a.shape, b.shape)
    if kind != "Div" and math.prod(a.shape) < math.prod(b.shape):
        a, b = b, a
    a = _stretched(c, a, shape)
    if math.prod(b.shape) != shape[-1] or b.shape[-1] != shape[-1]:
        b = _stretched(c, b, shape)
    return c.add(_WORDS[kind], (a.name, b.name), shape, activation=activation)


def _with_rank(c: Conversion, x: Live, rank: int) -> Live:
    more = max(rank - len(x.shape), 0)
    return c.reshaped(x, (1,) * more + x.shape)


def _stretched(c: Conversion, x: Live, shape: tuple[int, ...]) -> Live:
    grown = {axis: n for axis, n in enumerate(shape) if n != x.shape[axis]}
    if any(n > MAX_TABLE for n in grown.values()):
        msg = f"of {x.shape} to {shape}"
        raise Unsupported(msg)
    return c.pick(x, {axis: (0,) * n for axis, n in grown.items()})


def _limit(low: bool) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        values = [c.get(node, 0), c.get(node, 1)]
        numbers = [v for v in values if isinstance(v, np.ndarray)]
        if not numbers:
            return _of_two(c, "Maximum" if low else "Minimum", c.live(node), c.live(node, 1), None)
        if len(numbers) != 1 or numbers[0].size != 1:
            msg = "with a constant that is no single number"
            raise Unsupported(msg)
        bound = float(numbers[0].reshape(-1)[0])
        x = c.live(node, 1 if isinstance(values[0], np.ndarray) else 0)
        if numbers[0].ndim > len(x.shape):
            msg = "with a constant of more axes"
            raise Unsupported(msg)
        return c.activate(x, clamp(bound, math.inf) if low else clamp(-math.inf, bound))

    return convert


# --- activations ---


def _plain(activation: Any) -> Callable[[Conversion, TfliteNode], Value]:
    return lambda c, node: c.activate(c.live(node), activation)


def _leaky(c: Conversion, node: TfliteNode) -> Value:
    return c.activate(c.live(node), ("leaky_relu", node.options("LeakyReluOptions").Alpha()))


def _gelu(c: Conversion, node: TfliteNode) -> Value:
    approximate = node.options("GeluOptions").Approximate()
    return c.activate(c.live(node), "gelu_tanh" if approximate else "gelu")


def _prelu(c: Conversion, node: TfliteNode) -> Value:
    x, slopes = c.live(node), c.constant(node, 1, "slopes")
    if np.broadcast_shapes(slopes.shape, x.shape) != x.shape or slopes.dtype.kind != "f":
        msg = f"with slopes of shape {slopes.shape} on {x.shape}"
        raise Unsupported(msg)
    if slopes.size == 1:
        return c.activate(x, ("leaky_relu", float(slopes.reshape(-1)[0])))
    if slopes.size != slopes.shape[-1]:
        msg = f"with slopes by position, of shape {slopes.shape}"
        raise Unsupported(msg)
    return c.activate(x, ("prelu", slopes.reshape(-1).astype(np.float32)))


def _negative(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    return c.affine(x, -1.0, 0.0)._replace(moment=_norms.of_two("Mul", x, np.asarray(-1.0)))


def _function(c: Conversion, x: Live, function: str) -> Live:
    return c.add("unary", x.name, x.shape, function=function)


def _of_number(function: str) -> Callable[[Conversion, TfliteNode], Value]:
    return lambda c, node: _function(c, c.live(node), function)


def _root(c: Conversion, node: TfliteNode) -> Live:
    x = c.live(node)
    return _function(c, x, "sqrt")._replace(moment=_norms.of_root(x))


def _one_over_root(c: Conversion, node: TfliteNode) -> Value:
    root = _root(c, node)
    return _function(c, root, "reciprocal")._replace(moment=_norms.of_reciprocal(root))


def _squared_difference(c: Conversion, node: TfliteNode) -> Value:
    first, other = (1, 0) if isinstance(c.get(node, 0), np.ndarray) else (0, 1)
    x, number = c.live(node, first), c.get(node, other)
    if isinstance(number, np.ndarray):
        y = _with_constant(c, "Sub", x, number, None)
    else:
        moment = _norms.of_two("Sub", x, number)
        y = _of_two(c, "Sub", x, c.live(node, other), None)._replace(moment=moment)
    return _squared(c, y)


def _squared(c: Conversion, x: Live) -> Live:
    y = c.add("multiply", (x.name, x.name), x.shape)
    return y._replace(moment=_norms.of_two("Mul", x, x))


def _square(c: Conversion, node: TfliteNode) -> Value:
    return _squared(c, c.live(node))


def _same(c: Conversion, node: TfliteNode) -> Value:
    return c.live(node)


def _cast(c: Conversion, node: TfliteNode) -> Value:
    """All numbers are floats here: a value that becomes an integer would be cut."""
    before, after = (c.file.tensors[i].dtype for i in (node.inputs[0], node.outputs[0]))
    if before.startswith("FLOAT") > after.startswith("FLOAT") or after == "BOOL":
        msg = f"from {before} to {after}"
        raise Unsupported(msg)
    return c.live(node)


# --- along axes ---


def _softmax(c: Conversion, node: TfliteNode) -> Value:
    x, beta = c.live(node), node.options("SoftmaxOptions").Beta()
    axis_of(-1, x.shape)
    return c.add("softmax", x.name, x.shape, beta=beta)


def _reduce(function: str) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        x, axes = c.live(node), ints(c.constant(node, 1, "axes"))
        keep = node.options("ReducerOptions").KeepDims()
        gone = sorted({axis_of(axis, x.shape) for axis in axes})
        shape = tuple(1 if a in gone else n for a, n in enumerate(x.shape))
        if function == "min":
            x = c.affine(x, -1.0, 0.0)
        y = _over(c, x, gone, shape, "average" if function in ("sum", "average") else "max")
        if function == "min":
            y = c.affine(y, -1.0, 0.0)
        if function == "sum":
            y = c.affine(y, float(math.prod(x.shape[a] for a in gone)), 0.0)
        left = shape if keep else tuple(n for a, n in enumerate(shape) if a not in gone)
        y = c.reshaped(y, left)
        known = keep and function == "average"
        return y._replace(moment=_norms.of_mean(x, gone)) if known else y

    return convert


def _total(c: Conversion, x: Live, function: str) -> Live:
    """The sum over the last axis, or the maximum."""
    shape = (*x.shape[:-1], 1)
    y = _over(c, x, [axis_of(-1, x.shape)], shape, "max" if function == "max" else "average")
    return y if function == "max" else c.affine(y, float(x.shape[-1]), 0.0)


def _log_softmax(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    x = _of_two(c, "Sub", x, _total(c, x, "max"), None)
    total = _total(c, _function(c, x, "exp"), "sum")
    return _of_two(c, "Sub", x, _function(c, total, "log"), None)


_LEAST_LENGTH = 1e-6
"""By which L2_NORMALIZATION divides at least."""


def _direction(c: Conversion, node: TfliteNode) -> Value:
    x, activation = c.live(node), c.activation(node, node.options("L2NormOptions"))
    squares = _total(c, c.add("multiply", (x.name, x.name), x.shape), "sum")
    length = c.activate(_function(c, squares, "sqrt"), ("clip", _LEAST_LENGTH, math.inf))
    return _of_two(c, "Div", x, length, activation)


def _in_order(c: Conversion, x: Live, order: list[int]) -> str:
    """The graph's name of a value with its axes of more than one entry in this order."""
    if order == sorted(order):
        return x.name
    name = c.seen(x, tuple(x.shape[a] for a in sorted(order)))
    axes = tuple(sorted(order).index(a) for a in order)
    return c.builder.add("transpose", name, source=c.source, axes=axes)


def _over(c: Conversion, x: Live, gone: list[int], shape: tuple[int, ...], function: str) -> Live:
    """The maximum or the mean over these axes."""
    large = [a for a, n in enumerate(x.shape) if n > 1]
    over = [a for a in gone if a in large]
    name = _in_order(c, x, [*over, *(a for a in large if a not in gone)])
    sizes = [x.shape[a] for a in over]
    rows, columns = sizes if len(sizes) == 2 else (math.prod(sizes), 1)
    name = c.seen(Live(name, x.shape), (rows, columns, math.prod(shape)))
    return c.add("global_pool", name, shape, function=function)


CURVES: dict[str, Any] = {
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": ("clip", -1.0, 1.0),
    "RELU_0_TO_1": ("clip", 0.0, 1.0),
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
    "ELU": ("elu", 1.0),
}
"""Activations without attributes."""

CONVERTERS: dict[str, Callable[[Conversion, TfliteNode], Any]] = {
    **{kind.upper(): _binary(kind) for kind in ("Add", "Sub", "Mul", "Div")},
    "MAXIMUM": _limit(True),
    "MINIMUM": _limit(False),
    **{op: _plain(activation) for op, activation in CURVES.items()},
    "HARD_SWISH": _plain("hard_swish"),
    "LEAKY_RELU": _leaky,
    "GELU": _gelu,
    "PRELU": _prelu,
    "NEG": _negative,
    "ABS": _of_number("abs"),
    "EXP": _of_number("exp"),
    "LOG": _of_number("log"),
    "SQRT": _root,
    "RSQRT": _one_over_root,
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": _squared_difference,
    "LOG_SOFTMAX": _log_softmax,
    "L2_NORMALIZATION": _direction,
    "SOFTMAX": _softmax,
    "MEAN": _reduce("average"),
    "SUM": _reduce("sum"),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "QUANTIZE": _same,
    "DEQUANTIZE": _same,
    "CAST": _cast,
}
