"""Layers of Keras without weights: sizes, shapes, sums; and operations between layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._keras_activations import FUNCTIONS, activate
from fastdw.importers._keras_values import Conversion, Settings, numbers
from fastdw.network import _tables

Layer = Callable[[Conversion, Settings, str], str]
Operand = str | float


def _same(c: Conversion, s: Settings, x: str) -> str:
    """What acts in training alone: all its settings are for that."""
    s.ignore_the_rest()
    return x


def _edges(s: Settings, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right))."""
    value = s.take(name)
    value = value if isinstance(value, (list, tuple)) else (value, value)
    pairs = [v if isinstance(v, (list, tuple)) else (v, v) for v in value]
    flat = [n for pair in pairs for n in pair]
    if len(pairs) != 2 or len(flat) != 4 or not all(type(n) is int and n >= 0 for n in flat):
        msg = f"with {name}={value}"
        raise Unsupported(msg)
    top, bottom, left, right = flat
    return (top, bottom), (left, right)


def _zero_padding(c: Conversion, s: Settings, x: str) -> str:
    first, edges = s.channels_first(), _edges(s, "padding")
    x = c.image(x, first)
    tables = [
        _common.pad_table(n, *pads) if any(pads) else None
        for n, pads in zip(c.shape(x), edges, strict=False)
    ]
    return c.back(c.add("gather", x, rows=tables[0], columns=tables[1]), first)


def _cropping(c: Conversion, s: Settings, x: str) -> str:
    first, (rows, columns) = s.channels_first(), _edges(s, "cropping")
    x = c.image(x, first)
    height, width, channels = c.shape(x)
    size = (height - sum(rows), width - sum(columns), channels)
    y = c.add("slice", x, begin=(rows[0], columns[0], 0), size=size, step=(1, 1, 1))
    return c.back(y, first)


def _up_sampling(c: Conversion, s: Settings, x: str) -> str:
    first, factors = s.channels_first(), s.pair("size", 2)
    x = c.image(x, first)
    size = [n * f for n, f in zip(c.shape(x), factors, strict=False)]
    return c.back(_resized(c, x, size, s.take("interpolation", "nearest")), first)


def _resizing(c: Conversion, s: Settings, x: str) -> str:
    first = s.channels_first()
    size = [s.take("height"), s.take("width")]
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if s.take(name, False):
            msg = f"with {name}"
            raise Unsupported(msg)
    for name in ("fill_mode", "fill_value"):  # of what is refused
        s.take(name, None)
    return c.back(_resized(c, c.image(x, first), size, s.take("interpolation", "bilinear")), first)


def _resized(c: Conversion, x: str, size: Sequence[int], way: str) -> str:
    """To this size, half pixel."""
    shape = c.shape(x)
    at = [_common.positions(n, out, "half_pixel") for n, out in zip(shape, size, strict=False)]
    if way == "nearest":
        rows, columns = (
            _tables.nearest(where, n, "round_prefer_ceil")
            for where, n in zip(at, shape, strict=False)
        )
        return c.add("gather", x, rows=rows, columns=columns)
    if way != "bilinear":
        msg = f"with interpolation={way!r}"
        raise Unsupported(msg)
    tables = _tables.linear(at[0], shape[0], "row")
    return c.add("bilinear", x, **tables, **_tables.linear(at[1], shape[1], "column"))


def _reshape(c: Conversion, s: Settings, x: str) -> str:
    wanted, count = list(s.take("target_shape")), math.prod(c.shape(x))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0:
        wanted[wanted.index(-1)] = count // known
    return c.reshape(x, wanted)


def _flatten(c: Conversion, s: Settings, x: str) -> str:
    """Keras brings channels to the end before it flattens."""
    first = s.channels_first() and len(c.shape(x)) == 3
    x = c.image(x, True) if first else x
    return c.reshape(x, (math.prod(c.shape(x)),))


def _permute(c: Conversion, s: Settings, x: str) -> str:
    return c.moved(x, [axis - 1 for axis in s.take("dims")])


LAYERS: dict[str, Layer] = {
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _up_sampling,
    "Resizing": _resizing,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Permute": _permute,
    **dict.fromkeys(
        (
            "InputLayer",
            "Identity",
            "Dropout",
            "SpatialDropout2D",
            "AlphaDropout",
            "GaussianDropout",
            "GaussianNoise",
            "ActivityRegularization",
            "RandomFlip",
            "RandomRotation",
            "RandomZoom",
            "RandomTranslation",
            "RandomContrast",
            "RandomBrightness",
        ),
        _same,
    ),
}


# --- several inputs ---


def add(c: Conversion, a: str, b: str, op: str = "add") -> str:
    """a + b, or what another operator makes of two in any order, repeated to each other's shape."""
    if len(c.shape(a)) < len(c.shape(b)):
        a, b = b, a
    # Keras puts the missing axes behind the batch.
    more = len(c.shape(a)) - len(c.shape(b))
    b = c.reshape(b, ((1,) * more + c.shape(b)))
    shape = np.broadcast_shapes(c.shape(a), c.shape(b))
    if math.prod(c.shape(a)) < math.prod(c.shape(b)):
        a, b = b, a
    a = c.stretched(a, shape)
    by_channel = math.prod(c.shape(b)) == c.shape(b)[-1] == shape[-1]
    return c.add(op, (a, b if by_channel else c.stretched(b, shape)))


def _chain(op: str) -> Callable[[Conversion, Settings, list[str]], str]:
    def convert(c: Conversion, s: Settings, inputs: list[str]) -> str:
        total = inputs[0]
        for x in inputs[1:]:
            total = add(c, total, x, op)
        return total

    return convert


def _subtract(c: Conversion, s: Settings, inputs: list[str]) -> str:
    a, b = inputs
    return add(c, a, c.affine(b, -1.0, 0.0))


def _average(c: Conversion, s: Settings, inputs: list[str]) -> str:
    return c.affine(_chain("add")(c, s, inputs), 1 / len(inputs), 0.0)


def _concatenate(c: Conversion, s: Settings, inputs: list[str]) -> str:
    return c.add("concat", inputs, axis=c.axis(s.take("axis", -1), inputs[0]))


MERGES: dict[str, Callable[[Conversion, Settings, list[str]], str]] = {
    "Add": _chain("add"),
    "Multiply": _chain("multiply"),
    "Subtract": _subtract,
    "Average": _average,
    "Maximum": _chain("maximum"),
    "Minimum": _chain("minimum"),
    "Concatenate": _concatenate,
}


# --- operations: what arithmetic on Keras's symbols records ---


def _sum(c: Conversion, a: Operand, b: Operand) -> str:
    if isinstance(a, str) and isinstance(b, str):
        return add(c, a, b)
    return _with_number(c, a, b, lambda x, n: c.affine(x, 1.0, n))


def _difference(c: Conversion, a: Operand, b: Operand) -> str:
    if isinstance(b, str):
        return _sum(c, a, c.affine(b, -1.0, 0.0))
    return _sum(c, a, -np.asarray(b))  # type: ignore[arg-type]


def _product(c: Conversion, a: Operand, b: Operand) -> str:
    if isinstance(a, str) and isinstance(b, str):
        return add(c, a, b, "multiply")
    return _with_number(c, a, b, lambda x, n: c.affine(x, n, 0.0))


def _quotient(c: Conversion, a: Operand, b: Operand) -> str:
    if isinstance(b, str):
        return _product(c, a, c.add("unary", b, function="reciprocal"))
    return _product(c, a, 1 / numbers(b))  # type: ignore[arg-type]


def _limit(op: str) -> Callable[[Conversion, Operand, Operand], str]:
    def convert(c: Conversion, a: Operand, b: Operand) -> str:
        if isinstance(a, str) and isinstance(b, str):
            return add(c, a, b, op)
        x, other = (a, b) if isinstance(a, str) else (b, a)
        limit = numbers(other)
        if not isinstance(x, str) or limit.size != 1 or limit.ndim > len(c.shape(x)) + 1:
            msg = f"with a constant of shape {limit.shape}"
            raise Unsupported(msg)
        end = float(limit.reshape(-1)[0])
        ends = (end, math.inf) if op == "maximum" else (-math.inf, end)
        return c.add("activation", x, activation=("clip", *ends))

    return convert


def _with_number(c: Conversion, a: Operand, b: Operand, apply: Callable[[str, Any], str]) -> str:
    x, other = (a, b) if isinstance(a, str) else (b, a)
    constant = numbers(other)
    if not isinstance(x, str) or constant.size not in (1, c.shape(x)[-1]):
        msg = f"with a constant of shape {constant.shape}"
        raise Unsupported(msg)
    if constant.size != (constant.shape or (1,))[-1]:
        msg = f"with a constant of shape {constant.shape}"
        raise Unsupported(msg)
    return apply(x, constant.reshape(-1))


def _function(name: str) -> Callable[[Conversion, Operand], str]:
    def convert(c: Conversion, x: Operand) -> str:
        if not isinstance(x, str):
            msg = "of a constant"
            raise Unsupported(msg)
        return activate(c, x, name)

    return convert


OPERATIONS: dict[str, Callable[..., str]] = {
    "add": _sum,
    "subtract": _difference,
    "multiply": _product,
    "divide": _quotient,
    "maximum": _limit("maximum"),
    "minimum": _limit("minimum"),
    **{
        name: _function(name)
        for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "swish", "hard_swish")
    },
    **{name: _function(name) for name in ("softplus", "mish", "softsign", *FUNCTIONS)},
}
"""By the names of keras.ops, and of tf.math or tf.nn in Keras 2."""
