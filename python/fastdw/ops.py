"""What stands between the layers of a network, as in ``keras.ops`` where that has it.

Every function takes symbols, and records, or float32 arrays of images, and computes. The first axis
is the batch, in arrays as in the symbols' shapes; arrays of images may come without it where the
function says (H, W, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastdw._arguments import data_format as _layout
from fastdw._arguments import describe, number, vector
from fastdw._geometry import pair, window
from fastdw.network import _tables
from fastdw.network._computed import axis_of, computed
from fastdw.network._pairs import add, divide, maximum, minimum, multiply
from fastdw.network._record import channels_first, channels_last, placed, record
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import Float32, Ints, Number, PaddingInput

__all__ = [
    "add",
    "average_pool",
    "concatenate",
    "divide",
    "global_average_pool",
    "layer_normalization",
    "max_pool",
    "maximum",
    "minimum",
    "multiply",
    "pad",
    "reshape",
    "resize",
    "softmax",
]

_Value = TypeVar("_Value", Symbol, "Float32")


def max_pool(
    inputs: _Value,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: PaddingInput = "valid",
    data_format: str = "NHWC",
) -> _Value:
    """Take the maximum of every window, channel by channel.

    Cells outside the image are left out.

    Parameters
    ----------
    inputs : Symbol or ndarray, (N, H, W, C) or (H, W, C); NCHW: (N, C, H, W) or (C, H, W)
        The image or images.
    pool_size : int or (int, int)
        Height and width of a window.
    strides : int or (int, int), optional
        Steps between windows; `pool_size` by default.
    padding, data_format
        As in `separable_conv2d`.

    Returns
    -------
    Symbol or ndarray
        As `inputs`.

    Raises
    ------
    TypeError, ValueError
        As layers do.

    References
    ----------
    ``keras.ops.max_pool``.
    """
    return _pool(inputs, "max", pool_size, strides, padding, data_format)


def average_pool(
    inputs: _Value,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: PaddingInput = "valid",
    data_format: str = "NHWC",
) -> _Value:
    """Take the average of every window, channel by channel.

    Cells outside the image are left out of sum and number, as in Keras, TensorFlow and TFLite.

    Parameters
    ----------
    inputs, pool_size, strides, padding, data_format
        As in `max_pool`; so are the result and the errors.

    References
    ----------
    ``keras.ops.average_pool``.
    """
    return _pool(inputs, "average", pool_size, strides, padding, data_format)


def global_average_pool(
    inputs: _Value, data_format: str = "NHWC", keepdims: bool = False
) -> _Value:
    """Take the average of all pixels, channel by channel.

    Parameters
    ----------
    inputs : Symbol or ndarray, (N, H, W, C) or (H, W, C); NCHW: (N, C, H, W) or (C, H, W)
        The image or images.
    data_format
        As in `separable_conv2d`.
    keepdims : bool
        Keep height and width as axes of 1.

    Returns
    -------
    Symbol or ndarray, (N, C) or (C,)
        With `keepdims` of as many axes as `inputs`.

    Raises
    ------
    TypeError, ValueError
        As layers do.

    References
    ----------
    ``keras.layers.GlobalAveragePooling2D``.
    """
    order = _layout(data_format)

    def build(x: Symbol) -> Symbol:
        y = record("global_pool", [channels_last(x, order)], function="average")
        if keepdims:
            return channels_first(y, order)
        return record("reshape", [y], shape=y.image_shape[-1:])

    return computed(build, [inputs], 3)


def concatenate(xs: Sequence[_Value], axis: int = -1) -> _Value:
    """Join values along an axis, by default the channels.

    Parameters
    ----------
    xs : sequence of Symbol or of ndarray
        Of the same shape but for the axis.
    axis : int
        Not the first, which is the batch. (``keras.ops.concatenate`` takes that by default.)

    Returns
    -------
    Symbol or ndarray

    Raises
    ------
    TypeError, ValueError
        For other types and shapes.

    References
    ----------
    ``keras.ops.concatenate``.
    """
    if not isinstance(xs, (tuple, list)) or not xs:
        msg = f"xs must be a sequence of Symbols or arrays, got {describe(xs)}"
        raise TypeError(msg)
    values: Sequence[_Value] = xs
    return computed(lambda *parts: record("concat", parts, axis=axis_of(axis, parts[0])), values)


def pad(
    x: _Value,
    pad_width: Sequence[Sequence[int]],
    mode: str = "constant",
    constant_values: Number | None = None,
) -> _Value:
    """Put rows, columns or channels around images.

    Parameters
    ----------
    x : Symbol or ndarray, (N, H, W, C)
        The images.
    pad_width : ((0, 0), (top, bottom), (left, right), (before, after))
        What is added to each axis; nothing to the batch.
    mode : {"constant", "reflect", "symmetric", "edge"}
        What is put there: a constant, the image in a mirror with or without its border once more,
        or its border. Channels get a constant.
    constant_values : float, optional
        The constant; 0 by default.

    Returns
    -------
    Symbol or ndarray

    Raises
    ------
    TypeError, ValueError
        For other types, shapes and modes.

    References
    ----------
    ``keras.ops.pad``, ``numpy.pad``.
    """
    constant = 0.0 if constant_values is None else number("constant_values", constant_values)

    def build(y: Symbol) -> Symbol:
        tables = _tables.pad(y.image_shape, pad_width, mode)
        return record("gather", [y], **tables, constant=constant)

    return computed(build, [x])


def resize(
    inputs: _Value, size: Ints, interpolation: str = "bilinear", data_format: str = "NHWC"
) -> _Value:
    """Resize images, pixels being areas ("half pixel"), without antialiasing.

    Parameters
    ----------
    inputs : Symbol or ndarray, (N, H, W, C) or (H, W, C); NCHW: (N, C, H, W) or (C, H, W)
        The image or images.
    size : int or (int, int)
        Height and width of the result.
    interpolation : {"bilinear", "nearest"}
        Between four pixels, or the nearest one.
    data_format
        As in `separable_conv2d`.

    Returns
    -------
    Symbol or ndarray
        As `inputs`.

    Raises
    ------
    TypeError, ValueError
        For other types, shapes and interpolations.

    References
    ----------
    ``keras.ops.image.resize``.
    """
    order = _layout(data_format)

    def build(x: Symbol) -> Symbol:
        y = channels_last(x, order)
        op, tables = _tables.resize(y.image_shape, size, interpolation)
        return channels_first(record(op, [y], **tables), order)

    return computed(build, [inputs], 3)


def softmax(x: _Value, axis: int = -1) -> _Value:
    """Turn an axis into shares of 1: exp(x) by their sum.

    Parameters
    ----------
    x : Symbol or ndarray
        The scores.
    axis : int
        Not the first, which is the batch.

    Returns
    -------
    Symbol or ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        For other types and axes.

    References
    ----------
    ``keras.ops.softmax``.
    """

    def build(y: Symbol) -> Symbol:
        place: int = axis_of(axis, y)
        order = [*(i for i in range(len(y.image_shape)) if i != place), place]
        y = record("softmax", [record("transpose", [y], axes=order)])
        return record("transpose", [y], axes=np.argsort(order))

    return computed(build, [x])


def layer_normalization(
    x: _Value,
    gamma: Float32 | None = None,
    beta: Float32 | None = None,
    axis: int = -1,
    epsilon: Number = 1e-7,
) -> _Value:
    """Bring an axis to mean 0 and variance 1, then scale and shift each of its entries.

    As in Keras and ONNX the variance is a float32: where it is beyond that, for values that lie
    some 1e19 apart, results are 0, or beta.

    Parameters
    ----------
    x : Symbol or ndarray
        The values.
    gamma, beta : ndarray, float32, optional
        What the results are multiplied by, and what is added then: one number an entry.
    axis : int
        Not the first, which is the batch.
    epsilon : float
        Added to the variance; at least 0.

    Returns
    -------
    Symbol or ndarray
        Of the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        For other types, shapes and axes.

    References
    ----------
    ``keras.ops.layer_normalization``.
    """
    least = number("epsilon", epsilon)

    def build(y: Symbol) -> Symbol:
        place: int = axis_of(axis, y)
        size = y.image_shape[place]
        scale = np.ones(size, np.float32) if gamma is None else vector("gamma", gamma, size)
        offset = np.zeros(size, np.float32) if beta is None else vector("beta", beta, size)
        order = [*(i for i in range(len(y.image_shape)) if i != place), place]
        y = record("transpose", [y], axes=order)
        y = record("normalize", [y], scale=scale, offset=offset, epsilon=least)
        return record("transpose", [y], axes=np.argsort(order))

    return computed(build, [x])


def reshape(x: _Value, newshape: Sequence[int]) -> _Value:
    """Give a value other axes, row by row; the batch stays.

    Parameters
    ----------
    x : Symbol or ndarray
        The value.
    newshape : sequence of int
        With the batch, its number or -1, as the first entry. One other entry may be -1: what is
        left.

    Returns
    -------
    Symbol or ndarray

    Raises
    ------
    TypeError, ValueError
        For other types and shapes.

    References
    ----------
    ``keras.ops.reshape``.
    """
    result = computed(
        lambda y: record("reshape", [y], shape=_tables.reshaped(y.image_shape, newshape)), [x]
    )
    if not isinstance(result, Symbol) and newshape[0] not in (-1, len(result)):
        msg = f"newshape must begin with the batch, {len(result)}, or -1, got {newshape}"
        raise ValueError(msg)
    return result


def _pool(
    inputs: _Value, function: str, pool_size: Ints, strides: Any, padding: Any, data_format: str
) -> _Value:
    order = _layout(data_format)
    size = pair("pool_size", pool_size)
    view = window(size, size if strides is None else strides, 1, padding, order, "pool_size")

    def build(x: Symbol) -> Symbol:
        y = channels_last(x, order)
        y = record("pool", [y], function=function, window=size, **placed(view, y))
        return channels_first(y, order)

    return computed(build, [inputs], 3)
