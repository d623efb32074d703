"""The convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._activation import activate
from ._arguments import (
    F64,
    Pair,
    as_images,
    as_pair,
    as_real,
    as_result,
    as_vector,
    require,
    window_pads,
    windows,
)


@np.errstate(all="ignore")
def depthwise_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: npt.ArrayLike | None = None,
    batch_norm: Any = None,
    activation: Any = None,
    out: npt.NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> npt.NDArray[Any]:
    """Convolve every channel with its own filters.

    Output channel ``c*m + q`` is input channel ``c`` filtered by ``depthwise_kernel[:, :, c, q]``;
    then come the bias, BatchNorm and the activation. What lies outside `x` counts as 0.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (H, W, C); NCHW: (N, C, H, W) or (C, H, W)
        The image or images.
    depthwise_kernel : array_like, (kh, kw, C, m) or (kh, kw, C)
        One filter for each of the `m` outputs of each channel.
    strides, dilation_rate : int or (int, int)
        Steps in pixels between windows, and between the taps of a window; (h, w) or one for both.
    padding : {"valid", "same", "same_lower"}, int, (int, int) or pairs
        Rows and columns of zeros around the image. "same" gives ``ceil(size / stride)`` outputs
        and puts an odd pixel last, "same_lower" first. Explicit pads are one int, (height, width),
        ((top, bottom), (left, right)), or four pairs in the order of `data_format`, zeros for
        batch and channels.
    data_format : {"NHWC", "channels_last", "NCHW", "channels_first"}
        Axis order of `x` and of the result.
    bias : array_like, (C*m,), optional
        Added to the sums.
    batch_norm : object or tuple, optional
        (gamma, beta, mean, variance, epsilon), as attributes or in this order; each vector (C*m,).
    activation : str, tuple or None
        See `activate`.
    out : ndarray, optional
        Receives the result, rounded to its dtype, and is returned.
    num_threads : int, optional
        Ignored.

    Returns
    -------
    ndarray, (N, OH, OW, C*m) or as `x`
        float64, unless `out` is given.

    Raises
    ------
    ValueError
        For shapes that do not fit, an empty output, or an unknown name.
    """
    images, kernel = as_images(x, data_format), _depthwise_kernel(depthwise_kernel)
    steps = as_pair(strides, "strides", 1), as_pair(dilation_rate, "dilation_rate", 1)
    pads = window_pads(images, kernel.shape[:2], *steps, padding, data_format)
    y = _depthwise(images, kernel, *steps, pads)
    y = activate(normalised(y, bias, batch_norm), activation)
    return as_result(y, x, data_format, out)


@np.errstate(all="ignore")
def pointwise_conv2d(
    x: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    data_format: str = "NHWC",
    *,
    strides: int | Sequence[int] = 1,
    bias: npt.ArrayLike | None = None,
    batch_norm: Any = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> npt.NDArray[Any]:
    """Mix the channels of every pixel: a 1×1 convolution, which is a matrix product.

    After the sum come the bias, BatchNorm, the residual and the activation.

    Parameters
    ----------
    x : array_like, (N, H, W, Cin) or (H, W, Cin); NCHW: (N, Cin, H, W) or (Cin, H, W)
        The image or images.
    pointwise_kernel : array_like, (1, 1, Cin, F) or (Cin, F)
        The matrix.
    strides : int or (int, int)
        Rows and columns from pixel to pixel.
    bias : array_like, (F,), optional
        Added to the sums.
    residual : array_like, shape and layout of the result, optional
        Added before the activation.
    data_format, batch_norm, activation, out, num_threads
        As in `depthwise_conv2d`, with F channels; so are the errors.

    Returns
    -------
    ndarray, (N, H, W, F) or as `x`
        float64, unless `out` is given.
    """
    down, across = as_pair(strides, "strides", 1)
    y = _pointwise(as_images(x, data_format)[:, ::down, ::across], pointwise_kernel)
    y = added(normalised(y, bias, batch_norm), residual, data_format)
    return as_result(activate(y, activation), x, data_format, out)


@np.errstate(all="ignore")
def separable_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    pre_activation: Any = None,
    depthwise_bias: npt.ArrayLike | None = None,
    depthwise_batch_norm: Any = None,
    depthwise_activation: Any = None,
    bias: npt.ArrayLike | None = None,
    batch_norm: Any = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> npt.NDArray[Any]:
    """Convolve depthwise, then mix the channels pointwise.

    Strides, padding and dilation belong to the depthwise half.

    Parameters
    ----------
    x, depthwise_kernel, strides, padding, data_format, dilation_rate
        As in `depthwise_conv2d`.
    pointwise_kernel : array_like, (1, 1, C*m, F) or (C*m, F)
        As in `pointwise_conv2d`.
    pre_activation : str, tuple or None
        Applied to `x`, before the padding: with pads it must keep 0 at 0. See `activate`.
    depthwise_bias, depthwise_batch_norm, depthwise_activation
        The epilogue of the depthwise half, with C*m channels.
    bias, batch_norm, activation, residual
        The epilogue of the pointwise half, with F channels, as in `pointwise_conv2d`.
    out, num_threads
        As in `depthwise_conv2d`; so are the errors.

    Returns
    -------
    ndarray, (N, OH, OW, F) or as `x`
        float64, unless `out` is given.
    """
    images, kernel = as_images(x, data_format), _depthwise_kernel(depthwise_kernel)
    steps = as_pair(strides, "strides", 1), as_pair(dilation_rate, "dilation_rate", 1)
    pads = window_pads(images, kernel.shape[:2], *steps, padding, data_format)
    zeros_stay = not np.any(activate(np.zeros(images.shape[-1]), pre_activation))
    require(zeros_stay or not np.any(pads), f"pre_activation moves pads: {pre_activation!r}")
    y = _depthwise(activate(images, pre_activation), kernel, *steps, pads)
    y = activate(normalised(y, depthwise_bias, depthwise_batch_norm), depthwise_activation)
    y = _pointwise(y, pointwise_kernel)
    y = added(normalised(y, bias, batch_norm), residual, data_format)
    return as_result(activate(y, activation), x, data_format, out)


def _depthwise(
    images: F64, kernel: F64, strides: Pair, dilations: Pair, pads: tuple[Pair, Pair]
) -> F64:
    n, height, width, channels = images.shape
    kh, kw, kernel_channels, multiplier = kernel.shape
    require(kernel_channels == channels, f"depthwise_kernel is for {kernel_channels} channels")
    oh, rows = windows(height, kh, strides[0], dilations[0], pads[0])
    ow, columns = windows(width, kw, strides[1], dilations[1], pads[1])
    y = np.zeros((n, oh, ow, channels, multiplier))
    for di, (rows_out, rows_in) in enumerate(rows):
        for dj, (columns_out, columns_in) in enumerate(columns):
            pixels = images[:, rows_in, columns_in, :, np.newaxis]
            y[:, rows_out, columns_out] += pixels * kernel[di, dj]
    return y.reshape(n, oh, ow, channels * multiplier)


def _pointwise(images: F64, pointwise_kernel: npt.ArrayLike) -> F64:
    kernel = as_real(pointwise_kernel)
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1):
        kernel = kernel[0, 0]
    fits = kernel.ndim == 2 and kernel.shape[0] == images.shape[3] and kernel.size > 0
    require(fits, f"pointwise_kernel {kernel.shape} is not for {images.shape[3]} channels")
    return np.asarray(images @ kernel)


def normalised(y: F64, bias: npt.ArrayLike | None, batch_norm: Any) -> F64:
    channels = y.shape[3]
    if bias is not None:
        y = y + as_vector(bias, channels, "bias")
    if batch_norm is None:
        return y
    names = ("gamma", "beta", "mean", "variance", "epsilon")
    fields = [getattr(batch_norm, n) for n in names] if hasattr(batch_norm, "gamma") else batch_norm
    gamma, beta, mean, variance, epsilon = fields
    scale = 1 / np.sqrt(as_vector(variance, channels, "variance") + epsilon)
    if gamma is not None:
        scale = scale * as_vector(gamma, channels, "gamma")
    y = (y - as_vector(mean, channels, "mean")) * scale
    return y if beta is None else y + as_vector(beta, channels, "beta")


def added(y: F64, residual: npt.ArrayLike | None, data_format: str) -> F64:
    if residual is None:
        return y
    term = as_images(residual, data_format)
    require(term.shape == y.shape, f"residual is not like the output: {np.shape(residual)}")
    return y + term


def _depthwise_kernel(kernel: npt.ArrayLike) -> F64:
    """`kernel` as (kh, kw, C, m)."""
    taps = as_real(kernel)
    if taps.ndim == 3:
        taps = taps[..., np.newaxis]
    fits = taps.ndim == 4 and taps.size > 0
    require(fits, f"depthwise_kernel is not 3-D or 4-D, or empty: {np.shape(kernel)}")
    return taps
