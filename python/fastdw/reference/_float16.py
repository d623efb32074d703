"""The convolutions with sums of float16.

The definition, to the last bit, of layers with ``accumulate="float16"``. A sum begins at 0 and
takes 64 products at a time, each by one rounding to float16 of ``product + sum``: that is a fused
multiply-add. What 64 products come to is added to a total of float32, which began as the bias.
Products go in the order of a pixel's channels, or row by row through a window, where padding counts
as 0. A residual is added to the total, in float32; then come the activation and the rounding to
float16.

An activation that clamps gives bits, but for the signs of zeros. Any other is computed in float64
here, as the fast layers compute it in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._activation import activate
from ._arguments import as_images, as_pair, as_result, as_vector, require, window_pads, windows

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]

CHUNK = 64  # products of a sum


def fused_multiply_add(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> F16:
    """Round ``a * b + c`` to float16 once.

    Float64 holds every product of two halves: 22 bits. It need not hold their sum with a third, but
    what it drops decides nothing. Bits are lost only where the sum spans more than 53 of them. The
    lowest bit of a product is 21 below its highest, that of a half at least 2**-24. A sum that
    spans 53 bits down to 2**-24 is beyond float16, so that two roundings give infinity as one does.
    Else the low bits are the product's, whose highest then lies 31 or more below that of `c`: so
    little leaves `c`, which is a half itself, where it is, whether its last bits are there or not.

    Parameters
    ----------
    a, b, c : array_like
        Halves, of shapes that go together.

    Returns
    -------
    ndarray of float16
    """
    factors = [np.asarray(v, np.float16).astype(np.float64) for v in (a, b)]
    with np.errstate(all="ignore"):
        return np.asarray(factors[0] * factors[1] + np.asarray(c, np.float16), np.float16)


def float16_depthwise_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
) -> F16:
    """Convolve every channel with its own filters, in sums of float16.

    Parameters
    ----------
    x : array_like of float16
        As in `depthwise_conv2d`.
    depthwise_kernel : array_like, (kh, kw, C, m) or (kh, kw, C)
        Rounded to float16.
    bias : array_like, (C*m,), optional
        Taken as float32.
    strides, padding, data_format, dilation_rate, activation
        As in `depthwise_conv2d`; so are the errors.

    Returns
    -------
    ndarray of float16, (N, OH, OW, C*m) or as `x`
    """
    images, kernel = as_images(x, data_format), np.asarray(depthwise_kernel, np.float16)
    kernel = kernel[..., np.newaxis] if kernel.ndim == 3 else kernel
    kh, kw, channels, multiplier = kernel.shape
    require(channels == images.shape[3], f"depthwise_kernel is for {channels} channels")
    down, across = as_pair(strides, "strides", 1)
    steps = as_pair(dilation_rate, "dilation_rate", 1)
    pads = window_pads(images, (kh, kw), (down, across), steps, padding, data_format)
    oh, rows = windows(images.shape[1], kh, down, steps[0], pads[0])
    ow, columns = windows(images.shape[2], kw, across, steps[1], pads[1])
    shape = (len(images), oh, ow, channels, multiplier)
    total = _begun((*shape[:3], channels * multiplier), bias)
    terms = []
    for di, (rows_out, rows_in) in enumerate(rows):
        for dj, (columns_out, columns_in) in enumerate(columns):
            pixels = np.zeros(shape[:4])
            pixels[:, rows_out, columns_out] = images[:, rows_in, columns_in]
            terms.append((pixels[..., np.newaxis], kernel[di, dj]))
    total = _summed(terms, total.reshape(shape)).reshape(total.shape)
    return _finished(total, activation, x, data_format)


def float16_pointwise_conv2d(
    x: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    data_format: str = "NHWC",
    *,
    strides: int | Sequence[int] = 1,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
) -> F16:
    """Mix the channels of every pixel in sums of float16.

    Parameters
    ----------
    x : array_like of float16
        As in `pointwise_conv2d`.
    pointwise_kernel : array_like, (1, 1, Cin, F) or (Cin, F)
        Rounded to float16.
    bias : array_like, (F,), optional
        Taken as float32.
    residual : array_like of float16, shape and layout of the result, optional
        Added before the activation.
    data_format, strides, activation
        As in `pointwise_conv2d`; so are the errors.

    Returns
    -------
    ndarray of float16, (N, H, W, F) or as `x`
    """
    down, across = as_pair(strides, "strides", 1)
    images, matrix = as_images(x, data_format)[:, ::down, ::across], np.asarray(pointwise_kernel)
    kernel = matrix.reshape(matrix.shape[-2:]).astype(np.float16)
    require(len(kernel) == images.shape[3], f"pointwise_kernel is for {len(kernel)} channels")
    total = _begun((*images.shape[:3], matrix.shape[-1]), bias)
    terms = [(images[..., k, np.newaxis], row) for k, row in enumerate(kernel)]
    total = _summed(terms, total)
    if residual is not None:
        total = total + as_images(residual, data_format).astype(np.float32)
    return _finished(total, activation, x, data_format)


def float16_conv2d(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    groups: int = 1,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
) -> F16:
    """Convolve densely in sums of float16.

    Parameters
    ----------
    x : array_like of float16
        As in `conv2d`.
    kernel : array_like, (kh, kw, Cin/groups, F)
        Rounded to float16. A sum goes row by row through the window, in each pixel through its
        channels.
    bias : array_like, (F,), optional
        Taken as float32.
    residual : array_like of float16, shape and layout of the result, optional
        Added before the activation.
    strides, padding, data_format, dilation_rate, groups, activation
        As in `conv2d`; so are the errors.

    Returns
    -------
    ndarray of float16, (N, OH, OW, F) or as `x`
    """
    images, weights = as_images(x, data_format), np.asarray(kernel, np.float16)
    kh, kw, inputs, filters = weights.shape
    require(inputs * groups == images.shape[3], f"kernel is for {inputs * groups} channels")
    require(filters % groups == 0, f"kernel has {filters} filters for {groups} groups")
    down, across = as_pair(strides, "strides", 1)
    steps = as_pair(dilation_rate, "dilation_rate", 1)
    pads = window_pads(images, (kh, kw), (down, across), steps, padding, data_format)
    oh, rows = windows(images.shape[1], kh, down, steps[0], pads[0])
    ow, columns = windows(images.shape[2], kw, across, steps[1], pads[1])
    # (N, OH, OW, groups, filters of each)
    shape = (len(images), oh, ow, groups, filters // groups)
    total = _begun((*shape[:3], filters), bias)
    matrix = weights.reshape(kh, kw, inputs, groups, -1)
    terms = []
    for di, (rows_out, rows_in) in enumerate(rows):
        for dj, (columns_out, columns_in) in enumerate(columns):
            pixels = np.zeros((*shape[:3], groups * inputs))
            pixels[:, rows_out, columns_out] = images[:, rows_in, columns_in]
            parts = pixels.reshape(*shape[:4], inputs)
            terms += [(parts[..., k, np.newaxis], matrix[di, dj, k]) for k in range(inputs)]
    total = _summed(terms, total.reshape(shape)).reshape(total.shape)
    if residual is not None:
        total = total + as_images(residual, data_format).astype(np.float32)
    return _finished(total, activation, x, data_format)


def float16_separable_conv2d(
    x: npt.ArrayLike,
    depthwise_kernel: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    depthwise_bias: npt.ArrayLike | None = None,
    depthwise_activation: Any = None,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
) -> F16:
    """Convolve depthwise, then mix the channels pointwise; what lies between is of float16.

    Parameters
    ----------
    x, depthwise_kernel, strides, padding, data_format, dilation_rate
        As in `float16_depthwise_conv2d`.
    pointwise_kernel, bias, activation, residual
        As in `float16_pointwise_conv2d`.
    depthwise_bias, depthwise_activation
        The bias and the activation of the depthwise half.

    Returns
    -------
    ndarray of float16, (N, OH, OW, F) or as `x`
    """
    y = float16_depthwise_conv2d(
        x, depthwise_kernel, strides, padding, data_format, dilation_rate,
        bias=depthwise_bias, activation=depthwise_activation,
    )  # fmt: skip
    return float16_pointwise_conv2d(
        y, pointwise_kernel, data_format, bias=bias, activation=activation, residual=residual
    )


def _begun(shape: tuple[int, ...], bias: npt.ArrayLike | None) -> F32:
    """Totals that are the bias alone."""
    total = np.zeros(shape, np.float32)
    if bias is not None:
        total += as_vector(bias, shape[-1], "bias").astype(np.float32)
    return total


@np.errstate(all="ignore")
def _summed(terms: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], total: F32) -> F32:
    for first in range(0, len(terms), CHUNK):
        part = np.zeros(total.shape, np.float16)
        for a, b in terms[first : first + CHUNK]:
            part = fused_multiply_add(a, b, part)
        total = total + part
    return total


@np.errstate(all="ignore")
def _finished(total: F32, activation: Any, x: npt.ArrayLike, data_format: str) -> F16:
    y = activate(total, activation).astype(np.float32)
    return as_result(y.astype(np.float64), x, data_format, None).astype(np.float16)
