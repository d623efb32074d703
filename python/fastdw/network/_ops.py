"""The operators of a graph: one entry each, with its attributes, shape rule and twin.

An operator has one output. Its values are of float32; those that move numbers alone (concat, slice,
gather, reshape, transpose) take any dtype, affine also uint8. `_ops8` lists those of integers.
Inputs and attributes, with the defaults that `GraphBuilder` fills in; a graph as such, and a file,
names every attribute. "image" is a value of three axes (H, W, C).

conv2d (x, residual, x_scale) : image (OH, OW, F)
    kernel (kh, kw, Cin/groups, F), bias (F,) = None, strides (h, w) = (1, 1),
    padding ((top, bottom), (left, right)) = zeros, dilation_rate (h, w) = (1, 1), groups = 1,
    activation = None. The sum, bias, the residual (of the output's shape), the activation. Groups
    are as in `reference.conv2d`. `x_scale`, (Cin,) or (1, 1, Cin), multiplies x first; only where
    the kernel is 1×1, not padded, of one group. A dense layer is a 1×1 kernel on (1, 1, C).
depthwise (x) : image (OH, OW, C·m)
    kernel (kh, kw, C, m), bias (C·m,) = None, strides, padding, dilation_rate, activation = None.
conv2d_transpose (x) : image; the size is ``(size − 1)·stride + k + output_padding − pads``
    kernel (kh, kw, Cin, F), bias (F,) = None, strides, padding = zeros, what is cut off,
    output_padding (h, w) = (0, 0), activation = None. See `reference.conv2d_transpose`.
affine (x) : as x, any number of axes
    scale (C,), offset (C,), activation = None: x·scale + offset, C being the last axis. A factor or
    a term that is one number for all channels is given C times.
activation (x) : as x
    activation, required.
unary (x) : as x
    function "abs" | "exp" | "log" | "reciprocal" | "sqrt", as NumPy has them.
add, multiply, divide, maximum, minimum (a, b) : as a
    activation = None. a / b; of the greater and the lesser NaN if either is. `b` has the shape of
    `a`, or one entry for each of a's channels: (C,), or (1, …, 1, C). More than two terms are a
    chain; a constant one is an affine.
pool (x) : image (OH, OW, C), ``(size + pads − (window − 1)·dilation − 1) // stride + 1``
    function "max" | "average", window (h, w), strides (h, w), padding = zeros,
    dilation_rate = (1, 1), counted = zeros, at most `padding`: so many cells of the padding, next
    to the image, are zeros that count; all others are ignored. See `reference.pool`. With ceil_mode
    the overhang is part of `padding`.
global_pool (x) : (1, 1, C)
    function "max" | "average".
concat (x, …) : x with the axis summed
    axis, from 0; all other axes equal. The channels are the last.
slice (x) : size
    begin, size, step, one entry an axis; steps are at least 1. ``x[b : b + (n − 1)·s + 1 : s]``.
gather (x) : image (len(rows), len(columns), len(channels))
    rows, columns, channels = None, constant = 0.0: for each row (column, channel) of the output
    the number of the input's, −1 for the constant; None keeps all. Pads with any constant, by
    reflection or of channels, nearest resizing, reversal, channel shuffle.
bilinear (x) : image (len(row_low), len(column_low), C)
    row_low, row_high, row_weight, column_low, column_high, column_weight: the tables of
    `reference.bilinear`; the weights are float arrays of one axis.
reshape (x) : shape
    shape; row by row, as NumPy's order "C".
transpose (x) : x.shape[axes]
    axes, as in ``numpy.transpose``.
softmax (x) : as x, over the last axis
    beta = 1.0.
normalize (x) : as x, over the last axis
    scale (C,), offset (C,), epsilon, at least 0: mean and variance of the C entries of each pixel
    become 0 and 1, then as `affine`. See `reference.normalize`.

Made by rewrites alone; importers never write them. Attributes of their parts, as above:

separable (x, residual) : depthwise, then a 1×1 conv2d
    depthwise_kernel, depthwise_bias, depthwise_activation, strides, padding, dilation_rate,
    pre_activation (on x, before the padding), pointwise_kernel (1, 1, C·m, F), bias, activation.
expand_depthwise (x) : a 1×1 conv2d, then depthwise
    expand_kernel (1, 1, Cin, C), expand_bias, expand_activation, depthwise_kernel, depthwise_bias,
    depthwise_activation, strides, padding (zeros of the expanded image), dilation_rate.
inverted (x, residual) : expand_depthwise, then a 1×1 conv2d
    those, and pointwise_kernel (1, 1, C·m, F), bias, activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdw._activations import FUNCTIONS
from fastdw._arguments import describe
from fastdw.network import _attributes as kind
from fastdw.network import _shapes, _steps, _steps_transposed, _twins, _types
from fastdw.network._attributes import ONES, PADS, WINDOW, Attribute
from fastdw.network._op import Op

if TYPE_CHECKING:
    from fastdw.network._shapes import Attrs

FLOAT_PAIRS = ("add", "multiply", "divide", "maximum", "minimum")
PAIRS = (*FLOAT_PAIRS, "quantized_add", "quantized_multiply")
"""What takes two values number by number, or the second one's entry for each channel."""
_MANY = 10_000  # inputs of a concat

_KERNEL = Attribute(kind.array(4))
_VECTOR = Attribute(kind.array(1))
_BIAS = Attribute(kind.optional(kind.array(1)), None)
_ACTIVATION = Attribute(kind.activation, None)
_PICK = Attribute(kind.optional(kind.integers(-1)), None)
_FUNCTION = Attribute(kind.choice("max", "average"))


def _part(prefix: str) -> dict[str, Attribute]:
    return {
        f"{prefix}kernel": _KERNEL,
        f"{prefix}bias": _BIAS,
        f"{prefix}activation": _ACTIVATION,
    }


_LAST = {"pointwise_kernel": _KERNEL, "bias": _BIAS, "activation": _ACTIVATION}


class _Ops(dict[str, Op]):
    """Those of integers, `_ops8`, are imported when the first of them is asked for."""

    def __missing__(self, name: str) -> Op:
        from fastdw.network._ops8 import OPS8

        return OPS8[name]


OPS: dict[str, Op] = _Ops(
    {
        "conv2d": Op(
            1,
            3,
            _part("") | WINDOW | {"groups": Attribute(kind.count(1), 1)},
            _shapes.conv2d,
            _twins.conv2d,
            _steps.conv2d,
        ),
        "depthwise": Op(
            1, 1, _part("") | WINDOW, _shapes.depthwise, _twins.depthwise, _steps.depthwise
        ),
        "conv2d_transpose": Op(
            1,
            1,
            _part("")
            | {
                "strides": ONES,
                "padding": PADS,
                "output_padding": Attribute(kind.pair(0), (0, 0)),
            },
            _shapes.conv2d_transpose,
            _twins.conv2d_transpose,
            _steps_transposed.conv2d_transpose,
        ),
        "affine": Op(
            1,
            1,
            {"scale": _VECTOR, "offset": _VECTOR, "activation": _ACTIVATION},
            _shapes.like_x,
            _twins.affine,
            _steps.affine,
            _types.camera,
        ),
        "activation": Op(
            1,
            1,
            {"activation": Attribute(kind.activation)},
            _shapes.like_x,
            _twins.activation,
            _steps.activation,
        ),
        "unary": Op(
            1,
            1,
            {"function": Attribute(kind.choice(*FUNCTIONS))},
            _shapes.like_x,
            _twins.unary,
            _steps.unary,
        ),
        **{
            name: Op(
                2,
                2,
                {"activation": _ACTIVATION},
                _shapes.two,
                _twins.PAIRS[name],
                _steps.pair(name),
            )
            for name in FLOAT_PAIRS
        },
        "pool": Op(
            1,
            1,
            {
                "function": _FUNCTION,
                "window": Attribute(kind.pair(1)),
                "strides": Attribute(kind.pair(1)),
                "padding": PADS,
                "dilation_rate": ONES,
                "counted": PADS,
            },
            _shapes.pool,
            _twins.pool,
            _steps.pool,
        ),
        "global_pool": Op(
            1,
            1,
            {"function": _FUNCTION},
            _shapes.global_pool,
            _twins.global_pool,
            _steps.global_pool,
        ),
        "concat": Op(
            1,
            _MANY,
            {"axis": Attribute(kind.count(0))},
            _shapes.concat,
            _twins.concat,
            dtype=_types.same,
        ),
        "slice": Op(
            1,
            1,
            {
                "begin": Attribute(kind.integers(0)),
                "size": Attribute(kind.integers(1)),
                "step": Attribute(kind.integers(1)),
            },
            _shapes.slice_,
            _twins.slice_,
            dtype=_types.same,
        ),
        "gather": Op(
            1,
            1,
            {
                "rows": _PICK,
                "columns": _PICK,
                "channels": _PICK,
                "constant": Attribute(kind.real, 0.0),
            },
            _shapes.gather,
            _twins.gather,
            _steps.gather,
            _types.picked,
        ),
        "bilinear": Op(
            1,
            1,
            kind.BILINEAR,
            _shapes.bilinear,
            _twins.bilinear,
            _steps.bilinear,
        ),
        "reshape": Op(
            1,
            1,
            {"shape": Attribute(kind.integers(1))},
            _shapes.reshape,
            _twins.reshape,
            dtype=_types.same,
        ),
        "transpose": Op(
            1,
            1,
            {"axes": Attribute(kind.integers(0))},
            _shapes.transpose,
            _twins.transpose,
            dtype=_types.same,
        ),
        "softmax": Op(
            1,
            1,
            {"beta": Attribute(kind.real32, 1.0)},
            _shapes.like_x,
            _twins.softmax,
            _steps.softmax,
        ),
        "normalize": Op(
            1,
            1,
            {"scale": _VECTOR, "offset": _VECTOR, "epsilon": Attribute(kind.real32)},
            _shapes.normalize,
            _twins.normalize,
            _steps.normalize,
        ),
        "separable": Op(
            1,
            2,
            _part("depthwise_") | WINDOW | {"pre_activation": _ACTIVATION} | _LAST,
            _shapes.separable,
            _twins.separable,
            _steps.separable,
        ),
        "expand_depthwise": Op(
            1,
            1,
            _part("expand_") | _part("depthwise_") | WINDOW,
            _shapes.expand_depthwise,
            _twins.expand_depthwise,
            _steps.expand_depthwise,
        ),
        "inverted": Op(
            1,
            2,
            _part("expand_") | _part("depthwise_") | WINDOW | _LAST,
            _shapes.inverted,
            _twins.inverted,
            _steps.inverted,
        ),
    }
)


def known_op(name: object) -> Op:
    """The operator of a name."""
    try:
        return OPS[name]  # type: ignore[index]
    except (KeyError, TypeError):
        from fastdw.network._ops8 import OPS8

        msg = f"the operator must be one of {', '.join([*OPS, *OPS8])}, got {describe(name)}"
        raise ValueError(msg) from None


def with_defaults(op: str, attrs: Attrs) -> Attrs:
    """All attributes, where a builder names some."""
    known = known_op(op).attributes
    return {name: a.default for name, a in known.items() if not a.required} | attrs
