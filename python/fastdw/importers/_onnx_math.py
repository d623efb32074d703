"""Operators of ONNX that work on every entry by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common, _norms
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_values import (
    Conversion,
    Live,
    Pending,
    Value,
    expanded,
    large,
)

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_CLOSE = 1e-6  # of the constants in activations, which exporters round


def near(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= _CLOSE * abs(wanted)


def number_of(value: Value) -> float | None:
    """The number that a constant of one entry is."""
    return float(np.ravel(value)[0]) if isinstance(value, np.ndarray) and value.size == 1 else None


# --- two operands ---


def _binary(c: Conversion, node: OnnxNode) -> Value:
    a, b = c.get(node, 0), c.get(node, 1)
    if a is None or b is None:
        msg = "without two operands"
        raise Unsupported(msg)
    if c.opset < 7:
        b = _placed(node, a, b)
    return combine(c, node.op, a, b)


def _placed(node: OnnxNode, a: Value, b: Value) -> Value:
    """Before opset 7 the second operand named the axis of the first at which it stood."""
    axis = node.integer("axis", -1)
    if not node.integer("broadcast", 0) or axis < 0 or isinstance(a, Pending):
        return b
    if not isinstance(b, np.ndarray) or axis + b.ndim > len(a.shape):
        msg = f"with axis={axis}"
        raise Unsupported(msg)
    return b.reshape(*b.shape, *(1,) * (len(a.shape) - axis - b.ndim))


def combine(c: Conversion, op: str, a: Value, b: Value) -> Value:
    """Add, Sub, Mul, Div, Max or Min; these two of computed values alone."""
    moment = _norms.of_two(op, a, b)
    if moment and moment.kind == "normalized":
        unit = normalized(c, moment.base, list(moment.axes), moment.epsilon)
        return combine(c, "Add", combine(c, "Mul", unit, moment.scale), moment.offset)
    result = _combined(c, op, a, b)
    return result._replace(moment=moment) if moment and isinstance(result, Live) else result


def normalized(
    c: Conversion,
    x: Live,
    axes: list[int],
    epsilon: float,
    scale: AnyArray = _norms.ONE,
    offset: AnyArray = _norms.NOTHING,
) -> Live:
    """(x − mean)/√(variance + epsilon) over these axes, times scale and plus offset by them."""
    sizes = [x.shape[axis] for axis in axes]
    if math.prod(sizes) == 1 or math.prod(sizes) > _common.MAX_CHANNELS:
        msg = f"over {sizes} entries"
        raise Unsupported(msg)
    c.keep_images_apart(x, axes)
    vectors: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(value, np.float64), sizes).reshape(-1)
        for name, value in (("scale", scale), ("offset", offset))
    }
    return c.over_last(x, axes, "normalize", **vectors, epsilon=epsilon)


def _combined(c: Conversion, op: str, a: Value, b: Value) -> Value:
    if isinstance(a, Pending) or isinstance(b, Pending):
        completed = _completed(c, op, a, b)
        if completed is not None:
            return completed
    if isinstance(b, np.ndarray):
        return _with_constant(c, op, c.settled(c.plain(a)), b)
    if not isinstance(a, np.ndarray):
        return _of_two(c, op, c.settled(c.plain(a)), c.settled(c.plain(b)))
    right = expanded(c.settled(c.plain(b)), a.ndim)
    if op == "Div":
        quotient = _one_over(c, right)
        return quotient if number_of(a) == 1 else _with_constant(c, "Mul", quotient, a)
    if op == "Sub":
        return by_entry(c, right, -np.ones(()), a.astype(np.float64))
    return _with_constant(c, op, right, a)


def _with_constant(c: Conversion, op: str, x: Live, constant: AnyArray) -> Live:
    factor = constant.astype(np.float64)
    with np.errstate(divide="ignore"):
        factor = {"Sub": -factor, "Div": 1 / factor}.get(op, factor)
    multiplies = op in ("Mul", "Div")
    x = expanded(x, constant.ndim)
    one, zero = np.ones(()), np.zeros(())
    scale, offset = (factor, zero) if multiplies else (one, factor)
    result = by_entry(c, x, scale, offset)
    if multiplies and constant.size == 1:
        base, already = x.scaled or (x, 1.0)
        result = result._replace(scaled=(base, already * float(factor.reshape(-1)[0])))
    return result


def by_entry(c: Conversion, x: Live, scale: AnyArray, offset: AnyArray) -> Live:
    """x·scale + offset, which broadcast to x as in NumPy."""
    shape = np.broadcast_shapes(scale.shape, offset.shape)
    whole = np.broadcast_shapes(shape, x.shape)
    if whole != x.shape:
        if math.prod(whole) > max(_common.MAX_FOLDED, scale.size, offset.size):
            msg = f"with a constant of shape {shape} on {x.shape}"
            raise Unsupported(msg)
        c.keep_images_apart(x, [a for a, n in enumerate(whole) if n != x.shape[a]])
        x = stretched(c, x, whole)
    axes = [a for a in range(-len(shape), 0) if shape[a] > 1]
    if len(axes) < 2:
        axis = axes[0] % len(x.shape) if axes else None
        return c.affine(x, scale.reshape(-1), offset.reshape(-1), axis)
    order = [a for a in x.axes if a is not None and x.shape[a] > 1]
    if math.prod(x.shape) > max(scale.size, offset.size, _common.MAX_CHANNELS):
        msg = f"with a constant of shape {shape} on {x.shape}"
        raise Unsupported(msg)
    flat = c.reshape(x.name, (1, 1, math.prod(x.shape)))
    vectors = {}
    for name, value in (("scale", scale), ("offset", offset)):
        every = np.broadcast_to(value, x.shape).reshape([x.shape[a] for a in sorted(order)])
        vectors[name] = every.transpose([sorted(order).index(a) for a in order]).reshape(-1).copy()
    name = c.add("affine", flat, **vectors)
    return c.like(x, c.reshape(name, c.builder.shape(x.name)))


_WORDS = {
    "Add": "add",
    "Mul": "multiply",
    "Div": "divide",
    "Max": "maximum",
    "Min": "minimum",
}


def _of_two(c: Conversion, op: str, a: Live, b: Live) -> Live:
    if op == "Sub":
        op, b = "Add", c.affine(b, -1.0, 0.0, None)
    rank = max(len(a.shape), len(b.shape))
    a, b = expanded(a, rank), expanded(b, rank)
    shape = np.broadcast_shapes(a.shape, b.shape)
    if op != "Div" and math.prod(a.shape) < math.prod(b.shape):
        a, b = b, a
    a = stretched(c, a, shape)
    if len(large(b)) == 1 and b.shape != shape:
        (axis,) = large(b)
        a = c.last(a, axis)
        term = c.arrange(b, (*(None,) * (len(a.axes) - 1), axis))
    else:
        b = stretched(c, b, shape)
        if a.axes == tuple(range(1, rank)):  # an input, perhaps: it takes the other's order
            a = Live(c.arrange(a, b.axes), a.shape, b.axes)
        term = c.arrange(b, a.axes)
    return c.like(a, c.add(_WORDS[op], (a.name, term)))


def stretched(c: Conversion, x: Live, shape: tuple[int, ...]) -> Live:
    """Broadcast to this shape of the model."""
    tables = {}
    for axis, size in enumerate(shape):
        if size != x.shape[axis]:
            _common.check_length(size)
            tables[axis] = (0,) * size
    return c.pick(x, tables)


def _sum(c: Conversion, node: OnnxNode) -> Value:
    values = [c.value(name) for name in node.inputs]
    total = values[0]
    for value in values[1:]:
        total = combine(c, "Add", total, value)
    return total


def _mean(c: Conversion, node: OnnxNode) -> Value:
    return combine(c, "Mul", _sum(c, node), np.asarray(1 / len(node.inputs)))


# --- activations that are spelt out ---


def _exp(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    base, factor = x.scaled or (x, 1.0)
    return Pending("exp", base, factor, node.op, node.name)


def _erf(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    base, factor = x.scaled or (x, 1.0)
    if not near(factor, math.sqrt(0.5)):
        msg = "of anything but x/√2"
        raise Unsupported(msg)
    return Pending("erf", base, 1.0, node.op, node.name)


def _completed(c: Conversion, op: str, a: Value, b: Value) -> Value | None:
    """The next part of 1/(1 + exp(−x)) or x·(1 + erf(x/√2))/2."""
    part, other = (a, b) if isinstance(a, Pending) else (b, a)
    if not isinstance(part, Pending) or isinstance(other, Pending):
        return None
    if isinstance(other, np.ndarray) and other.ndim > len(part.base.shape):
        return None
    number = number_of(other)
    if op == "Add" and number == 1 and part.kind in ("exp", "erf"):
        return part._replace(kind=f"1 + {part.kind}")
    if op == "Div" and part is b and part.kind == "1 + exp":
        x = part.base
        if part.factor != -1:
            x = c.affine(x, -part.factor, 0.0, None)
        gate = c.activate(x, "sigmoid")
        return gate if number == 1 else combine(c, "Mul", other, gate)
    if part.kind not in ("1 + erf", "x(1 + erf)") or (op == "Div" and part is b):
        return None
    if number is not None and op in ("Mul", "Div"):
        part = part._replace(factor=part.factor * (number if op == "Mul" else 1 / number))
    elif isinstance(other, Live) and op == "Mul" and part.kind == "1 + erf":
        base, factor = other.scaled or (other, 1.0)
        if not base.same(part.base):
            return None
        part = part._replace(kind="x(1 + erf)", factor=part.factor * factor)
    else:
        return None
    complete = part.kind == "x(1 + erf)" and near(part.factor, 0.5)
    return c.activate(part.base, "gelu") if complete else part


def _reciprocal(c: Conversion, node: OnnxNode) -> Value:
    value = c.get(node, 0)
    result = _completed(c, "Div", np.ones(()), value) if isinstance(value, Pending) else None
    return _one_over(c, c.live(node)) if result is None else result


def _one_over(c: Conversion, x: Live) -> Live:
    return c.function(x, "reciprocal")._replace(moment=_norms.of_reciprocal(x))


def _root(c: Conversion, x: Live) -> Live:
    return c.function(x, "sqrt")._replace(moment=_norms.of_root(x))


_MOST_FACTORS = 8
_GREATEST_POWER = 4.0
"""Of what is computed by a logarithm, whose error it multiplies."""


def _pow(c: Conversion, node: OnnxNode) -> Value:
    x, power = c.live(node), c.constant(node, 1, "powers")
    number = None if power is None else number_of(power)
    x = x if power is None else expanded(x, power.ndim)
    if number in (0.5, -0.5):
        root = _root(c, x)
        return root if number == 0.5 else _one_over(c, root)
    if number == -1:
        return _one_over(c, x)
    if number is not None and number in range(1, _MOST_FACTORS + 1):
        result: Value = x
        for _ in range(int(number) - 1):
            result = combine(c, "Mul", result, x)
        return result
    if number is None or not abs(number) <= _GREATEST_POWER or number == round(number):
        msg = f"with exponent {number}"
        raise Unsupported(msg)
    return c.function(c.affine(c.function(x, "log"), number, 0.0, None), "exp")


def _softsign(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    return combine(c, "Div", x, c.affine(c.function(x, "abs"), 1.0, 1.0, None))


def _neg(c: Conversion, node: OnnxNode) -> Value:
    return combine(c, "Mul", c.live(node), np.asarray(-1.0))


def _batch_norm(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    vectors = [c.constant(node, i, "statistics") for i in range(1, 5)]
    node.number("momentum", 0.9)
    if c.opset < 7 and not node.integer("is_test", 0):
        msg = "in training mode"
        raise Unsupported(msg)
    if node.integer("training_mode", 0) or not node.integer("spatial", 1):
        msg = "in training mode, or by position"
        raise Unsupported(msg)
    if len(x.shape) < 2 or any(v is None or v.shape != x.shape[1:2] for v in vectors):
        msg = f"with statistics that do not fit {x.shape}"
        raise Unsupported(msg)
    gamma, beta, mean, variance = (np.asarray(v, np.float64) for v in vectors)
    variance = variance + node.number("epsilon", 1e-5)
    if not np.all(variance > 0):
        msg = "with a variance that is not positive"
        raise Unsupported(msg)
    scale = gamma / np.sqrt(variance)
    return c.affine(x, scale, beta - mean * scale, 1)


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _binary),
    "Sum": _sum,
    "Mean": _mean,
    "Abs": lambda c, node: c.function(c.live(node), "abs"),
    "Log": lambda c, node: c.function(c.live(node), "log"),
    "Sqrt": lambda c, node: _root(c, c.live(node)),
    "Softsign": _softsign,
    "Exp": _exp,
    "Erf": _erf,
    "Reciprocal": _reciprocal,
    "Pow": _pow,
    "Neg": _neg,
    "BatchNormalization": _batch_norm,
}
