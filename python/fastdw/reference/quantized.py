"""The convolutions in 8-bit integers.

The definition, to the last bit: ``acc = bias + sum(w * (x - zero_point))`` in whole numbers, then
``float32(acc) * s`` with ``s = input scale * kernel scale / output scale`` in float32, rounded to
the nearest whole number, ties to even, plus the output's zero point, held between two integers.
So do LiteRT's default kernels compute (those of XNNPACK), and ONNX Runtime on weights of int8.

A quantization is (scale, zero_point, dtype), as attributes, such as those of a `Quantization`, or
in this order: a scale that is positive in float32, and "int8" or "uint8"; another dtype is a
KeyError. Numbers are not checked to be of that dtype: they are taken for integers of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Pair, as_images, as_pair, as_result, require, window_pads, windows

I64 = npt.NDArray[np.int64]

_LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}
_CLAMPS: dict[str, Pair | tuple[int, None]] = {
    "relu": (0, None),
    "relu6": (0, 6),
    "relu_n1_to_1": (-1, 1),
}


def quantize(x: npt.ArrayLike, q: Any) -> npt.NDArray[Any]:
    """QuantizeLinear of ONNX: float32 quotients, ties to even, saturated.

    Parameters
    ----------
    x : array_like, of any shape
        Finite numbers, taken as float32.
    q : object or tuple
        The quantization of the result.

    Returns
    -------
    ndarray of the dtype of `q`, shape of `x`

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
    """
    scale, zero_point, dtype = _fields(q)
    with np.errstate(over="ignore"):
        steps = np.rint(np.asarray(x, np.float32) / scale).astype(np.float64) + zero_point
    return np.asarray(np.clip(steps, *_LIMITS[dtype]), dtype)


def dequantize(y: npt.ArrayLike, q: Any) -> npt.NDArray[np.float32]:
    """``float32(y - zero_point) * scale``.

    Parameters
    ----------
    y : array_like, of any shape, int8 or uint8
        Integers.
    q : object or tuple
        Their quantization.

    Returns
    -------
    ndarray of float32, shape of `y`

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
    """
    scale, zero_point, _ = _fields(q)
    return (np.asarray(y, np.int64) - zero_point).astype(np.float32) * scale


def quantized_depthwise_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    kernel_scales: npt.ArrayLike,
    *,
    input: Any,
    output: Any,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    dilation_rate: int | Sequence[int] = 1,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
) -> npt.NDArray[Any]:
    """Convolve every channel with its own filters; what lies outside `x` is the zero point.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (H, W, C), int8 or uint8
        The image or images.
    depthwise_kernel : array_like, (kh, kw, C, m) or (kh, kw, C), int8
        Filters.
    kernel_scales : array_like, (C*m,) or (1,), float32
        What one step of the weights of a channel is worth.
    input, output : object or tuple
        Quantizations of `x` and of the result.
    strides, padding, dilation_rate
        As in `depthwise_conv2d`.
    bias : array_like, (C*m,), int32, optional
        Added to the sums.
    activation : {None, "linear", "relu", "relu6", "relu_n1_to_1"} or ("clip", lo, hi)
        In real numbers; the bounds become integers, halves away from zero.

    Returns
    -------
    ndarray of the dtype of `output`, (N, OH, OW, C*m) or as `x`

    Raises
    ------
    ValueError
        For shapes that do not fit, an empty output, or an unknown padding.

    References
    ----------
    DEPTHWISE_CONV_2D of LiteRT with a scale for each channel; QLinearConv of ONNX.
    """
    kernel = np.asarray(depthwise_kernel, np.int64)
    kernel = kernel[..., np.newaxis] if kernel.ndim == 3 else kernel
    steps = as_pair(strides, "strides", 1), as_pair(dilation_rate, "dilation_rate", 1)
    images = as_images(x, "NHWC").astype(np.int64) - _fields(input)[1]
    pads = window_pads(images, kernel.shape[:2], *steps, padding, "NHWC")  # type: ignore[arg-type]
    n, height, width, channels = images.shape
    kh, kw, kernel_channels, multiplier = kernel.shape
    require(kernel_channels == channels, f"depthwise_kernel is for {kernel_channels} channels")
    oh, rows = windows(height, kh, steps[0][0], steps[1][0], pads[0])
    ow, columns = windows(width, kw, steps[0][1], steps[1][1], pads[1])
    acc = np.zeros((n, oh, ow, channels, multiplier), np.int64)
    for di, (rows_out, rows_in) in enumerate(rows):
        for dj, (columns_out, columns_in) in enumerate(columns):
            pixels = images[:, rows_in, columns_in, :, np.newaxis]
            acc[:, rows_out, columns_out] += pixels * kernel[di, dj]
    sums = acc.reshape(n, oh, ow, channels * multiplier)
    y = rescaled(sums, kernel_scales, input, output, bias, activation)
    return as_result(y, x, "NHWC", None)


def quantized_pointwise_conv2d(
    x: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    kernel_scales: npt.ArrayLike,
    *,
    input: Any,
    output: Any,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
    addend: Any = None,
    sum: Any = None,
) -> npt.NDArray[Any]:
    """Mix the channels of every pixel; then add a residual by `quantized_add`.

    Parameters
    ----------
    x : array_like, (N, H, W, Cin) or (H, W, Cin), int8 or uint8
        The image or images.
    pointwise_kernel : array_like, (1, 1, Cin, F) or (Cin, F), int8
        The matrix.
    kernel_scales : array_like, (F,) or (1,), float32
        What one step of the weights of an output channel is worth.
    bias : array_like, (F,), int32, optional
        Added to the sums.
    residual : array_like, like the result, int8 or uint8, optional
        Of the quantization `addend`; the result then has the quantization `sum`.
    addend, sum : object or tuple, optional
        Needed with a residual, and without effect otherwise.
    input, output, activation
        As in `quantized_depthwise_conv2d`; the activation goes before the residual.

    Returns
    -------
    ndarray of the dtype of `output`, or of `sum`, (N, H, W, F) or as `x`

    Raises
    ------
    ValueError
        For shapes that do not fit.

    References
    ----------
    CONV_2D of LiteRT with a scale for each channel, and ADD; QLinearConv of ONNX.
    """
    kernel = np.asarray(pointwise_kernel, np.int64)
    kernel = kernel.reshape(kernel.shape[-2:])
    images = as_images(x, "NHWC").astype(np.int64) - _fields(input)[1]
    require(len(kernel) == images.shape[3], f"pointwise_kernel is for {len(kernel)} channels")
    y = rescaled(images @ kernel, kernel_scales, input, output, bias, activation)
    if residual is not None:
        y = quantized_add(y, as_images(residual, "NHWC"), output, addend, sum)
    return as_result(y, x, "NHWC", None)


def quantized_separable_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    depthwise_scales: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    pointwise_scales: npt.ArrayLike,
    *,
    input: Any,
    middle: Any,
    output: Any,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    dilation_rate: int | Sequence[int] = 1,
    depthwise_bias: npt.ArrayLike | None = None,
    depthwise_activation: Any = None,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
    addend: Any = None,
    sum: Any = None,
) -> npt.NDArray[Any]:
    """Convolve depthwise, then mix the channels pointwise.

    What is between them is rounded to integers.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (H, W, C), int8 or uint8
        The image or images.
    depthwise_kernel : array_like, (kh, kw, C, m) or (kh, kw, C), int8
        Filters.
    depthwise_scales : array_like, (C*m,) or (1,), float32
        What one step of their weights is worth.
    pointwise_kernel : array_like, (1, 1, C*m, F) or (C*m, F), int8
        The matrix.
    pointwise_scales : array_like, (F,) or (1,), float32
        What one step of its weights is worth.
    input, middle, output : object or tuple
        Quantizations of `x`, of what is between the two, and of the result.
    strides, padding, dilation_rate, depthwise_bias, depthwise_activation
        As in `quantized_depthwise_conv2d`.
    bias, activation, residual, addend, sum
        As in `quantized_pointwise_conv2d`.

    Returns
    -------
    ndarray of the dtype of `output`, or of `sum`, (N, OH, OW, F) or as `x`

    Raises
    ------
    ValueError
        As the two.

    References
    ----------
    DEPTHWISE_CONV_2D, then CONV_2D of LiteRT.
    """
    y = quantized_depthwise_conv2d(
        x, depthwise_kernel, depthwise_scales, input=input, output=middle, strides=strides,
        padding=padding, dilation_rate=dilation_rate, bias=depthwise_bias,
        activation=depthwise_activation,
    )  # fmt: skip
    return quantized_pointwise_conv2d(
        y, pointwise_kernel, pointwise_scales, input=middle, output=output, bias=bias,
        activation=activation, residual=residual, addend=addend, sum=sum,
    )  # fmt: skip


def quantized_add(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    qa: Any,
    qb: Any,
    output: Any,
    activation: Any = None,
    subtrahend: str | None = None,
) -> npt.NDArray[Any]:
    """Add two tensors in whole numbers, with 20 to 21 bits of each ratio of scales.

    Parameters
    ----------
    a : array_like, (..., C), int8 or uint8
        The first.
    b : array_like, (..., C) as `a`, or (C,), int8 or uint8
        The second, or one entry a channel.
    qa, qb, output : object or tuple
        Their quantizations, and that of the sum; of the ratios of the scales of `a` and `b` to that
        of the sum the larger one lies within 2**-9 ... 2**9.
    activation
        As in `quantized_depthwise_conv2d`.
    subtrahend : {None, "input", "second"}
        Which is subtracted: none, `a` or `b`.

    Returns
    -------
    ndarray of the dtype of `output`, shape of `a`

    Raises
    ------
    ValueError
        For shapes that do not fit.

    References
    ----------
    ADD and SUB of LiteRT's default kernels.
    """
    (scale_a, zero_a, _), (scale_b, zero_b, _) = _fields(qa), _fields(qb)
    scale, zero_point, dtype = _fields(output)
    ratios = [float(scale_a / scale), float(scale_b / scale)]
    shift = 20 - int(np.floor(np.log2(max(ratios))))
    factors = [int(np.rint(ratio * 2.0**shift)) for ratio in ratios]
    terms = np.asarray(a, np.int64) - zero_a, np.asarray(b, np.int64) - zero_b
    signs = [-1 if name == subtrahend else 1 for name in ("input", "second")]
    total = signs[0] * terms[0] * factors[0] + signs[1] * terms[1] * factors[1]
    steps = ((1 << (shift - 1)) + total) >> shift
    return np.asarray(np.clip(steps + zero_point, *_range(activation, output)), dtype)


def rescaled(
    acc: I64, scales: npt.ArrayLike, given: Any, output: Any, bias: Any, activation: Any
) -> npt.NDArray[Any]:
    """The integers of a convolution's sums, whose last axis is that of the channels."""
    scale, zero_point, dtype = _fields(output)
    with np.errstate(all="ignore"):
        s = _fields(given)[0] * np.asarray(scales, np.float32) / scale
    total = acc if bias is None else acc + np.asarray(bias, np.int64)
    t = np.rint(total.astype(np.float32) * s).astype(np.float64) + zero_point
    return np.asarray(np.clip(t, *_range(activation, output)), dtype)


def _fields(q: Any) -> tuple[np.float32, int, str]:
    names = ("scale", "zero_point", "dtype")
    scale, zero_point, dtype = [getattr(q, n) for n in names] if hasattr(q, "scale") else q
    return np.float32(scale), zero_point, dtype


def _range(activation: Any, output: Any) -> Pair:
    """The least and the largest integer after an activation: halves away from zero."""
    scale, zero_point, dtype = _fields(output)
    least, most = _LIMITS[dtype]
    if activation in (None, "linear"):
        return least, most
    ends = activation[1:] if isinstance(activation, tuple) else _CLAMPS[activation]
    cut = []
    for end, default in zip(ends, (least, most), strict=True):
        if end is None:
            cut.append(default)
            continue
        with np.errstate(over="ignore"):
            steps = float(np.clip(np.float32(end) / scale, -1e6, 1e6))
        rounded = int(np.copysign(np.floor(abs(steps) + 0.5), steps))
        cut.append(min(max(zero_point + rounded, least), most))
    return cut[0], cut[1]
