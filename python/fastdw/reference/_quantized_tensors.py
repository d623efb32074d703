"""What stands between 8-bit convolutions in a network, on one image of (H, W, C)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Pair, require
from .quantized import _LIMITS, _fields, _range, quantized_pointwise_conv2d, rescaled

_NO_PADS = ((0, 0), (0, 0))


def quantized_conv2d(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    scales: npt.ArrayLike,
    *,
    input: Any,
    output: Any,
    strides: Pair = (1, 1),
    padding: Any = _NO_PADS,
    dilation_rate: Pair = (1, 1),
    **epilogue: Any,
) -> npt.NDArray[Any]:
    """A dense convolution: a pointwise one of the windows' pixels side by side.

    Parameters
    ----------
    x : array_like, (H, W, Cin), int8 or uint8
        The image; what lies outside is the zero point.
    kernel : array_like, (kh, kw, Cin, F), int8
        Filters.
    scales : array_like, (F,) or (1,), float32
        What one step of the weights of an output channel is worth.
    input, output : object or tuple
        Quantizations of `x` and of the result.
    strides, dilation_rate : (int, int)
        Steps in pixels between windows, and between the taps of a window.
    padding : ((top, bottom), (left, right))
        Pixels around the image.
    **epilogue
        ``bias``, ``activation``, ``residual``, ``addend`` and ``sum``, as in
        `quantized_pointwise_conv2d`.

    Returns
    -------
    ndarray of the dtype of `output`, or of `sum`, (OH, OW, F)

    Raises
    ------
    ValueError
        For shapes that do not fit.

    References
    ----------
    CONV_2D of LiteRT with a scale for each channel; QLinearConv of ONNX.
    """
    image, weights = np.asarray(x), np.asarray(kernel)
    require(image.ndim == 3, f"x is not 3-D: {image.shape}")
    wide = np.pad(image, (*padding, (0, 0)), constant_values=_fields(input)[1])
    pixels = np.concatenate(_taps(wide, weights.shape[:2], strides, dilation_rate), axis=2)
    matrix = weights.reshape(-1, weights.shape[3])
    return quantized_pointwise_conv2d(
        pixels, matrix, scales, input=input, output=output, **epilogue
    )


def _taps(
    image: npt.NDArray[Any], window: Pair, strides: Pair, dilation_rate: Pair
) -> list[npt.NDArray[Any]]:
    """For each cell of a window what it meets, (OH, OW, C)."""
    oh, ow = (
        (image.shape[a] - (window[a] - 1) * dilation_rate[a] - 1) // strides[a] + 1 for a in (0, 1)
    )
    tops, lefts = (range(0, window[a] * dilation_rate[a], dilation_rate[a]) for a in (0, 1))
    return [
        image[top :: strides[0], left :: strides[1]][:oh, :ow] for top in tops for left in lefts
    ]


def quantized_multiply(
    a: npt.ArrayLike, b: npt.ArrayLike, qa: Any, qb: Any, output: Any, activation: Any = None
) -> npt.NDArray[Any]:
    """Multiply two tensors: the whole product times one factor of float32, rounded to even.

    Parameters
    ----------
    a : array_like, (..., C), int8 or uint8
        The first.
    b : array_like, (..., C) as `a`, or (C,), int8 or uint8
        The second, or one entry a channel.
    qa, qb, output : object or tuple
        Their quantizations, and that of the product.
    activation
        As in `quantized_depthwise_conv2d`.

    Returns
    -------
    ndarray of the dtype of `output`, shape of `a`

    Raises
    ------
    ValueError
        For shapes that do not fit.

    References
    ----------
    MUL of LiteRT's default kernels.
    """
    (scale_a, zero_a, _), (scale_b, zero_b, _) = _fields(qa), _fields(qb)
    product = (np.asarray(a, np.int64) - zero_a) * (np.asarray(b, np.int64) - zero_b)
    return rescaled(product, scale_b, (scale_a, zero_a, "int8"), output, None, activation)


def quantized_bilinear(
    x: npt.ArrayLike, rows: Any, columns: Any, input: Any, origin: int
) -> npt.NDArray[Any]:
    """Resize by mixing two neighbours along each axis, in whole numbers; halves away from `origin`.

    Parameters
    ----------
    x : array_like, (H, W, C), int8 or uint8
        The image.
    rows, columns : (low, high, weight)
        As in `bilinear`: three lines of OH and of OW numbers. Weights, between 0 and 1, are rounded
        to whole multiples of 1/2048.
    input : object or tuple
        The quantization, of the result too.
    origin : {0, 128}
        As in `quantized_pool`.

    Returns
    -------
    ndarray of the dtype of `input`, (OH, OW, C)

    Raises
    ------
    IndexError
        For a row or column that the image does not have.

    References
    ----------
    RESIZE_BILINEAR of LiteRT's default kernels, for int8.
    """
    dtype = _fields(input)[2]
    zero = origin - (128 if dtype == "int8" else 0)
    y, axes = np.asarray(x, np.int64) - zero, ((-1, 1, 1), (-1, 1))
    for axis, (low, high, weight) in enumerate((rows, columns)):
        second = np.rint(np.asarray(weight, np.float64) * 2048).astype(np.int64)
        second = second.reshape(axes[axis])
        first = np.take(y, np.asarray(low), axis), np.take(y, np.asarray(high), axis)
        y = (2048 - second) * first[0] + second * first[1]
    steps = np.sign(y) * ((np.abs(y) + 2**21) >> 22)
    return np.asarray(steps + zero, dtype)


def quantized_mean(x: npt.ArrayLike, input: Any, output: Any) -> npt.NDArray[Any]:
    """The mean of all pixels: ``(input scale / output scale) / pixels`` in float32 is the factor.

    Parameters
    ----------
    x : array_like, (H, W, C), int8 or uint8
        The image.
    input, output : object or tuple
        Quantizations of `x` and of the result.

    Returns
    -------
    ndarray of the dtype of `output`, (1, 1, C)

    References
    ----------
    MEAN of LiteRT over height and width; GlobalAveragePool of ONNX between QuantizeLinear and
    DequantizeLinear.
    """
    q = np.asarray(x, np.int64) - _fields(input)[1]
    scale, zero_point, dtype = _fields(output)
    factor = _fields(input)[0] / scale / np.float32(q.shape[0] * q.shape[1])
    total = q.sum(axis=(0, 1), keepdims=True).astype(np.float32)
    return np.asarray(np.clip(np.rint(total * factor) + zero_point, *_LIMITS[dtype]), dtype)


def quantized_pool(
    x: npt.ArrayLike,
    function: str,
    window: Pair,
    strides: Pair,
    *,
    input: Any,
    origin: int,
    padding: Any = _NO_PADS,
    dilation_rate: Pair = (1, 1),
    activation: Any = None,
) -> npt.NDArray[Any]:
    """Take the maximum or the average of every window, of cells within the image alone.

    Parameters
    ----------
    x : array_like, (H, W, C), int8 or uint8
        The image.
    function : {"max", "average"}
        An average is the sum of integers over their number, halves away from `origin`.
    window, strides, dilation_rate : (int, int)
        Cells of a window, steps between windows, and between the cells of one.
    padding : ((top, bottom), (left, right))
        How far windows reach beyond the image; each has a cell within it.
    input : object or tuple
        The quantization, of the result too.
    origin : {128, 0}
        The integer 0 of a model's int8, as a byte that begins at 0: 128; that of uint8: 0.
    activation
        As in `quantized_depthwise_conv2d`.

    Returns
    -------
    ndarray of the dtype of `input`, (OH, OW, C)

    References
    ----------
    MAX_POOL_2D and AVERAGE_POOL_2D of LiteRT.
    """
    dtype = _fields(input)[2]
    offset = 128 if dtype == "int8" else 0
    image = np.asarray(x, np.int64) + offset
    cells = np.pad(image, (*padding, (0, 0)), constant_values=-1)
    found = np.stack(_taps(cells, window, strides, dilation_rate))
    live = found >= 0
    if function == "max":
        y = found.max(axis=0)
    else:
        count = live.sum(axis=0, dtype=np.int64)
        total = np.where(live, found - origin, 0).sum(axis=0)
        y = np.sign(total) * ((np.abs(total) + count // 2) // count) + origin
    return np.asarray(np.clip(y - offset, *_range(activation, input)), dtype)


def quantized_softmax(x: npt.ArrayLike, beta: float, input: Any, output: Any) -> npt.NDArray[Any]:
    """``exp(beta·x)/Σexp(beta·x)`` over the last axis, in float64, rounded to even.

    Parameters
    ----------
    x : array_like, (..., C), int8 or uint8
        The integers.
    beta : float
        At least 0.
    input, output : object or tuple
        Quantizations of `x` and of the result.

    Returns
    -------
    ndarray of the dtype of `output`, shape of `x`

    References
    ----------
    SOFTMAX of LiteRT.
    """
    q, (scale, zero_point, dtype) = np.asarray(x, np.int64), _fields(output)
    step = beta * float(_fields(input)[0])
    powers = np.exp(-step * (q.max(axis=-1, keepdims=True) - q))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    y = np.rint(shares * (1 / float(scale))) + zero_point
    return np.asarray(np.clip(y, *_LIMITS[dtype]), dtype)


def look_up(x: npt.ArrayLike, table: npt.ArrayLike, input: Any, output: Any) -> npt.NDArray[Any]:
    """Replace each integer by an entry of a table, which begins with that of the least.

    Parameters
    ----------
    x : array_like, of any shape, int8 or uint8
        The integers.
    table : array_like, (256,)
        Integers of `output`: for each of `input` from the least on.
    input, output : object or tuple
        Quantizations of `x` and of the result.

    Returns
    -------
    ndarray of the dtype of `output`, shape of `x`
    """
    least = _LIMITS[_fields(input)[2]][0]
    entries = np.asarray(table, _fields(output)[2])
    return entries[np.asarray(x, np.int64) - least]
