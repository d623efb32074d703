"""Every operator once more, in plain float64 NumPy.

This is the definition that the compiled operators are tested against, and the place to look up
what an argument means: it loops over the taps of the kernel, does one thing a line, and shares
nothing with the rest of the package. The functions take the arguments of their fast twins, accept
any real dtype, compute in float64 and return float64. The convolution is the cross-correlation of
``tf.nn.depthwise_conv2d`` and ``tf.nn.separable_conv2d``, padded and dilated as ONNX ``Conv``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["activate", "depthwise_conv2d", "pointwise_conv2d", "separable_conv2d"]

_F64 = npt.NDArray[np.float64]
_Pair = tuple[int, int]

# The transposition to (n, h, w, c).
_TO_NHWC = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1)}
_TO_NHWC |= {"channels_last": _TO_NHWC["NHWC"], "channels_first": _TO_NHWC["NCHW"]}


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
    images, kernel = _images(x, data_format), _depthwise_kernel(depthwise_kernel)
    steps = _pair(strides, "strides", 1), _pair(dilation_rate, "dilation_rate", 1)
    pads = _pads(images, kernel, *steps, padding, data_format)
    y = _depthwise(images, kernel, *steps, pads)
    y = activate(_normalised(y, bias, batch_norm), activation)
    return _result(y, x, data_format, out)


@np.errstate(all="ignore")
def pointwise_conv2d(
    x: npt.ArrayLike,
    pointwise_kernel: npt.ArrayLike,
    data_format: str = "NHWC",
    *,
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
    y = _pointwise(_images(x, data_format), pointwise_kernel)
    y = _added(_normalised(y, bias, batch_norm), residual, data_format)
    return _result(activate(y, activation), x, data_format, out)


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
    images, kernel = _images(x, data_format), _depthwise_kernel(depthwise_kernel)
    steps = _pair(strides, "strides", 1), _pair(dilation_rate, "dilation_rate", 1)
    pads = _pads(images, kernel, *steps, padding, data_format)
    zeros_stay = not np.any(activate(np.zeros(images.shape[-1]), pre_activation))
    _require(zeros_stay or not np.any(pads), f"pre_activation moves pads: {pre_activation!r}")
    y = _depthwise(activate(images, pre_activation), kernel, *steps, pads)
    y = activate(_normalised(y, depthwise_bias, depthwise_batch_norm), depthwise_activation)
    y = _pointwise(y, pointwise_kernel)
    y = _added(_normalised(y, bias, batch_norm), residual, data_format)
    return _result(activate(y, activation), x, data_format, out)


@np.errstate(all="ignore")
def activate(v: npt.ArrayLike, activation: Any) -> _F64:
    """Apply an activation, with its right limits at ±inf; NaN stays NaN.

    Parameters
    ----------
    v : array_like, (..., channels)
        The values.
    activation : str, tuple or None
        ========================  =====================================================
        None, "linear"            v
        "relu"                    max(v, 0)
        "relu6"                   min(max(v, 0), 6)
        ("clip", lo, hi)          min(max(v, lo), hi)
        ("leaky_relu", slope)     v where v > 0, else slope·v
        ("prelu", slopes)         the same, with one slope a channel
        ("elu", alpha)            v where v > 0, else alpha·(exp(v) − 1)
        "hard_sigmoid"            relu6(v + 3) / 6
        "hard_swish"/"hard_silu"  v·relu6(v + 3) / 6
        "sigmoid"                 1 / (1 + exp(−v))
        "swish"/"silu"            v·sigmoid(v)
        "tanh"                    tanh(v)
        "gelu"                    v·Φ(v), with Φ the normal distribution
        "gelu_tanh"               v/2·(1 + tanh(√(2/π)·(v + 0.044715·v³)))
        ========================  =====================================================

    Returns
    -------
    ndarray of float64, shape of `v`

    Raises
    ------
    ValueError
        For an unknown name, or numbers that do not fit.
    """
    v = _real(v)
    name, *numbers = (activation,) if isinstance(activation, str | None) else activation
    _require(name in _ACTIVATIONS, f"activation is unknown: {activation!r}")
    return _ACTIVATIONS[name](v, *numbers)


def _scaled(v: _F64, factor: _F64) -> _F64:
    """v·factor, where a factor of 0 takes an infinity to the limit 0 instead of NaN."""
    return np.where((factor == 0) & np.isinf(v), 0.0, v * factor)


def _clip(v: _F64, lo: float, hi: float) -> _F64:
    _require(lo <= hi, f"activation clips at {lo} above {hi}")
    return np.clip(v, lo, hi)


def _leaky_relu(v: _F64, slope: npt.ArrayLike) -> _F64:
    return np.where(v > 0, v, _scaled(v, _real(slope)))


def _hard_sigmoid(v: _F64) -> _F64:
    return np.clip(v + 3, 0, 6) / 6


def _sigmoid(v: _F64) -> _F64:
    return 1 / (1 + np.exp(-v))


def _normal_distribution(v: _F64) -> _F64:
    # erfc, because 1 + erf cancels for negative v.
    return np.asarray(np.vectorize(math.erfc, otypes=[np.float64])(-v / math.sqrt(2)) / 2)


def _tanh_distribution(v: _F64) -> _F64:
    # (1 + tanh(u))/2 as sigmoid(2u), which does not cancel for negative u.
    return _sigmoid(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))


_ACTIVATIONS: dict[str | None, Callable[..., _F64]] = {
    None: lambda v: v,
    "linear": lambda v: v,
    "relu": lambda v: np.clip(v, 0, None),
    "relu6": lambda v: np.clip(v, 0, 6),
    "clip": _clip,
    "leaky_relu": _leaky_relu,
    "prelu": lambda v, slopes: _leaky_relu(v, _vector(slopes, v.shape[-1], "slopes")),
    "elu": lambda v, alpha: np.where(v > 0, v, alpha * np.expm1(v)),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda v: _scaled(v, _hard_sigmoid(v)),
    "sigmoid": _sigmoid,
    "swish": lambda v: _scaled(v, _sigmoid(v)),
    "tanh": np.tanh,
    "gelu": lambda v: _scaled(v, _normal_distribution(v)),
    "gelu_tanh": lambda v: _scaled(v, _tanh_distribution(v)),
}
_ACTIVATIONS |= {"silu": _ACTIVATIONS["swish"], "hard_silu": _ACTIVATIONS["hard_swish"]}


def _depthwise(
    images: _F64, kernel: _F64, strides: _Pair, dilations: _Pair, pads: tuple[_Pair, _Pair]
) -> _F64:
    n, height, width, channels = images.shape
    kh, kw, kernel_channels, multiplier = kernel.shape
    _require(kernel_channels == channels, f"depthwise_kernel is for {kernel_channels} channels")
    oh, rows = _windows(height, kh, strides[0], dilations[0], pads[0])
    ow, columns = _windows(width, kw, strides[1], dilations[1], pads[1])
    y = np.zeros((n, oh, ow, channels, multiplier))
    for di, (rows_out, rows_in) in enumerate(rows):
        for dj, (columns_out, columns_in) in enumerate(columns):
            pixels = images[:, rows_in, columns_in, :, np.newaxis]
            y[:, rows_out, columns_out] += pixels * kernel[di, dj]
    return y.reshape(n, oh, ow, channels * multiplier)


def _windows(
    size: int, taps: int, stride: int, dilation: int, pads: _Pair
) -> tuple[int, list[tuple[slice, slice]]]:
    """One axis: the number of outputs; then for each tap the outputs for which it lies inside the
    image, and the pixels that it meets there."""
    outputs = (size + sum(pads) - (taps - 1) * dilation - 1) // stride + 1
    _require(outputs > 0, f"Computed output size would be zero or negative: {outputs}")
    slices = []
    for tap in range(taps):
        offset = tap * dilation - pads[0]
        first = max(0, -(offset // stride))
        count = max(0, min(outputs, (size - 1 - offset) // stride + 1) - first)
        start = first * stride + offset if count else 0
        stop = start + (count - 1) * stride + 1 if count else 0
        slices.append((slice(first, first + count), slice(start, stop, stride)))
    return outputs, slices


def _pointwise(images: _F64, pointwise_kernel: npt.ArrayLike) -> _F64:
    kernel = _real(pointwise_kernel)
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1):
        kernel = kernel[0, 0]
    fits = kernel.ndim == 2 and kernel.shape[0] == images.shape[3] and kernel.size > 0
    _require(fits, f"pointwise_kernel {kernel.shape} is not for {images.shape[3]} channels")
    return np.asarray(images @ kernel)


def _normalised(y: _F64, bias: npt.ArrayLike | None, batch_norm: Any) -> _F64:
    channels = y.shape[3]
    if bias is not None:
        y = y + _vector(bias, channels, "bias")
    if batch_norm is None:
        return y
    names = ("gamma", "beta", "mean", "variance", "epsilon")
    fields = [getattr(batch_norm, n) for n in names] if hasattr(batch_norm, "gamma") else batch_norm
    gamma, beta, mean, variance, epsilon = fields
    scale = 1 / np.sqrt(_vector(variance, channels, "variance") + epsilon)
    if gamma is not None:
        scale = scale * _vector(gamma, channels, "gamma")
    y = (y - _vector(mean, channels, "mean")) * scale
    return y if beta is None else y + _vector(beta, channels, "beta")


def _added(y: _F64, residual: npt.ArrayLike | None, data_format: str) -> _F64:
    if residual is None:
        return y
    term = _images(residual, data_format)
    _require(term.shape == y.shape, f"residual is not like the output: {np.shape(residual)}")
    return y + term


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _real(a: npt.ArrayLike) -> _F64:
    # same_kind refuses complex numbers instead of dropping their imaginary half.
    return np.asarray(a).astype(np.float64, casting="same_kind", copy=False)


def _vector(a: npt.ArrayLike, length: int, name: str) -> _F64:
    vector = _real(a)
    _require(vector.shape == (length,), f"{name} is {vector.shape}, not ({length},)")
    return vector


def _to_nhwc(data_format: str) -> tuple[int, ...]:
    _require(data_format in _TO_NHWC, f"data_format is unknown: {data_format!r}")
    return _TO_NHWC[data_format]


def _images(x: npt.ArrayLike, data_format: str) -> _F64:
    """`x` as (N, H, W, C)."""
    images = _real(x)
    if images.ndim == 3:
        images = images[np.newaxis]
    fits = images.ndim == 4 and 0 not in images.shape[1:]
    _require(fits, f"x is not 3-D or 4-D, or empty: {np.shape(x)}")
    return images.transpose(_to_nhwc(data_format))


def _depthwise_kernel(kernel: npt.ArrayLike) -> _F64:
    """`kernel` as (kh, kw, C, m)."""
    taps = _real(kernel)
    if taps.ndim == 3:
        taps = taps[..., np.newaxis]
    fits = taps.ndim == 4 and taps.size > 0
    _require(fits, f"depthwise_kernel is not 3-D or 4-D, or empty: {np.shape(kernel)}")
    return taps


def _pair(value: Any, name: str, least: int) -> tuple[int, int]:
    height, width = (value, value) if np.ndim(value) == 0 else value
    pair = operator.index(height), operator.index(width)
    _require(min(pair) >= least, f"{name} is below {least}: {value!r}")
    return pair


def _pads(
    images: _F64, kernel: _F64, strides: _Pair, dilations: _Pair, padding: Any, data_format: str
) -> tuple[_Pair, _Pair]:
    """((top, bottom), (left, right))."""
    if isinstance(padding, str):
        name = padding.lower()
        if name == "valid":
            return (0, 0), (0, 0)
        _require(name in ("same", "same_lower"), f"padding is unknown: {padding!r}")
        vertical, horizontal = (
            _same(images.shape[1 + axis], kernel.shape[axis], strides[axis], dilations[axis])
            for axis in (0, 1)
        )
        return (vertical, horizontal) if name == "same" else (vertical[::-1], horizontal[::-1])
    if np.ndim(padding) < 2:
        height, width = _pair(padding, "padding", 0)
        return (height, height), (width, width)
    pairs = [_pair(pair, "padding", 0) for pair in padding]
    if len(pairs) == 4:
        batch, *pairs, channels = (pairs[axis] for axis in _to_nhwc(data_format))
        _require(not any(batch + channels), f"padding of batch or channels: {padding!r}")
    rows, columns = pairs
    return rows, columns


def _same(size: int, taps: int, stride: int, dilation: int) -> _Pair:
    outputs = -(-size // stride)
    pad = max((outputs - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
    return pad // 2, pad - pad // 2


def _result(
    y: _F64, x: npt.ArrayLike, data_format: str, out: npt.NDArray[Any] | None
) -> npt.NDArray[Any]:
    y = y.transpose(np.argsort(_to_nhwc(data_format)))
    if np.ndim(x) == 3:
        y = y[0]
    if out is None:
        return np.ascontiguousarray(y)
    _require(out.shape == y.shape, f"out is {out.shape}, not {y.shape}")
    out[...] = y
    return out
