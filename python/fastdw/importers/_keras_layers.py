"""Layers of Keras with weights or windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._keras_values import Conversion, Settings, numbers
from fastdw.network._attributes import NO_PADS
from fastdw.network._shapes import same_pads

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_LEAST_DEVIATION = 1e-7  # below which Normalization divides by this


def _window(c: Conversion, s: Settings, x: str, taps: tuple[int, ...]) -> dict[str, Any]:
    """Strides, dilation and pads of a convolution over an image."""
    strides, dilation_rate = s.pair("strides", 1), s.pair("dilation_rate", 1)
    padding = s.take("padding", "valid")
    if padding not in ("valid", "same"):
        msg = f"with padding={padding!r}"
        raise Unsupported(msg)
    size = c.shape(x)[:2]
    pads = same_pads(size, taps, strides, dilation_rate) if padding == "same" else NO_PADS
    return {"strides": strides, "dilation_rate": dilation_rate, "padding": pads}


def _weights(s: Settings, *kernels: str) -> tuple[list[AnyArray], AnyArray | None]:
    """The kernels, which have four axes, and the bias."""
    biased = s.take("use_bias", True)
    found = s.weights(*kernels, *(["bias"] if biased else []))
    bias = found.pop() if biased else None
    if any(kernel.ndim != 4 for kernel in found):
        msg = f"with kernels of shape {[kernel.shape for kernel in found]}"
        raise Unsupported(msg)
    return found, bias


def _conv(c: Conversion, s: Settings, x: str) -> str:
    first = s.channels_first()
    (kernel,), bias = _weights(s, "kernel")
    _check_size(s, kernel)
    x, groups = c.image(x, first), s.take("groups", 1)
    window = _window(c, s, x, kernel.shape[:2])
    channels, filters = c.shape(x)[2], kernel.shape[3]
    if groups == channels > 1 and kernel.shape[2] == 1 and filters % channels == 0:
        kernel = kernel.reshape(*kernel.shape[:2], channels, filters // channels)
        y = c.add("depthwise", x, kernel=kernel, bias=bias, **window)
    else:
        y = c.add("conv2d", x, kernel=kernel, bias=bias, groups=groups, **window)
    return c.back(c.activate(y, s.take("activation", None)), first)


def _check_size(s: Settings, kernel: AnyArray) -> None:
    if s.pair("kernel_size") != kernel.shape[:2]:
        msg = f"with a kernel of shape {kernel.shape}"
        raise Unsupported(msg)


def _depthwise(c: Conversion, s: Settings, x: str) -> str:
    first = s.channels_first()
    (kernel,), bias = _weights(s, "depthwise_kernel")
    _check_size(s, kernel)
    s.take("depth_multiplier", None)
    x = c.image(x, first)
    y = c.add("depthwise", x, kernel=kernel, bias=bias, **_window(c, s, x, kernel.shape[:2]))
    return c.back(c.activate(y, s.take("activation", None)), first)


def _separable(c: Conversion, s: Settings, x: str) -> str:
    first = s.channels_first()
    (depthwise, pointwise), bias = _weights(s, "depthwise_kernel", "pointwise_kernel")
    _check_size(s, depthwise)
    s.take("depth_multiplier", None)
    x = c.image(x, first)
    y = c.add("depthwise", x, kernel=depthwise, **_window(c, s, x, depthwise.shape[:2]))
    y = c.add("conv2d", y, kernel=pointwise, bias=bias)
    return c.back(c.activate(y, s.take("activation", None)), first)


def _transpose(c: Conversion, s: Settings, x: str) -> str:
    first = s.channels_first()
    (kernel,), bias = _weights(s, "kernel")
    _check_size(s, kernel)
    x, strides = c.image(x, first), s.pair("strides", 1)
    if s.pair("dilation_rate", 1) != (1, 1) or s.take("groups", 1) != 1:
        msg = "with dilation or groups"
        raise Unsupported(msg)
    padding, more = s.take("padding", "valid"), s.take("output_padding", None)
    if padding not in ("valid", "same") or (more is not None and padding == "same"):
        msg = f"with padding={padding!r} and output_padding={more}"
        raise Unsupported(msg)
    added = more if isinstance(more, (list, tuple)) else (more, more)
    pads, extra = [], []
    for n, taps, stride, some in zip(c.shape(x), kernel.shape[:2], strides, added, strict=False):
        over = max(taps - stride, 0)
        size = n * stride if padding == "same" else n * stride + over
        if some is not None:
            size = (n - 1) * stride + taps + some
        before = over // 2 if padding == "same" else 0
        after = (n - 1) * stride + taps - before - size
        pads.append((before, max(after, 0)))
        extra.append(max(-after, 0))
    y = c.add(
        "conv2d_transpose",
        x,
        kernel=kernel.transpose(0, 1, 3, 2),
        bias=bias,
        strides=strides,
        padding=tuple(pads),
        output_padding=tuple(extra),
    )
    return c.back(c.activate(y, s.take("activation", None)), first)


def _dense(c: Conversion, s: Settings, x: str) -> str:
    biased = s.take("use_bias", True)
    kernel, *bias = s.weights("kernel", *(["bias"] if biased else []))
    if kernel.ndim != 2 or kernel.shape[0] != c.shape(x)[-1]:
        msg = f"with a kernel of shape {kernel.shape} on {c.shape(x)}"
        raise Unsupported(msg)
    y = _common.dense(c.builder, x, kernel, bias[0] if bias else None, source=c.source)
    return c.activate(y, s.take("activation", None))


def _batch_norm(c: Conversion, s: Settings, x: str) -> str:
    axis, epsilon = c.axis(s.take("axis", -1), x), s.take("epsilon", 1e-3)
    names = [
        name for name, there in (("gamma", "scale"), ("beta", "center")) if s.take(there, True)
    ]
    found = dict(
        zip(
            [*names, "mean", "variance"],
            s.weights(*names, "moving_mean", "moving_variance"),
            strict=True,
        )
    )
    vectors = {name: value.astype(np.float64) for name, value in found.items()}
    if any(v.shape != (c.shape(x)[axis],) for v in vectors.values()):
        msg = f"with statistics of shape {vectors['mean'].shape} on {c.shape(x)}"
        raise Unsupported(msg)
    variance = vectors["variance"] + epsilon
    if not np.all(variance > 0):
        msg = "with a variance that is not positive"
        raise Unsupported(msg)
    scale = vectors.get("gamma", 1.0) / np.sqrt(variance)
    x, back = c.last(x, axis)
    offset = vectors.get("beta", 0.0) - vectors["mean"] * scale
    return c.moved(c.affine(x, scale, offset), back)


def _rescaling(c: Conversion, s: Settings, x: str) -> str:
    scale, offset = numbers(s.take("scale")), numbers(s.take("offset", 0.0))
    return c.affine(x, _vector(c, x, scale), _vector(c, x, offset))


def _vector(c: Conversion, x: str, value: AnyArray) -> AnyArray:
    """Numbers for the channels, or one for all."""
    if value.size not in (1, c.shape(x)[-1]) or value.size != (value.shape or (1,))[-1]:
        msg = f"with numbers of shape {value.shape} on {c.shape(x)}"
        raise Unsupported(msg)
    return value.reshape(-1)


def _normalization(c: Conversion, s: Settings, x: str) -> str:
    axis = s.take("axis", -1)
    if axis is not None and axis != []:
        axis = c.axis(axis, x)
        if axis != len(c.shape(x)) - 1:
            msg = f"along axis {axis + 1}"
            raise Unsupported(msg)
    mean, variance = s.take("mean", None), s.take("variance", None)
    if mean is None:
        mean, variance, _ = s.weights("mean", "variance", "count")
    center, spread = _vector(c, x, numbers(mean)), _vector(c, x, numbers(variance))
    deviation = np.maximum(np.sqrt(spread), _LEAST_DEVIATION)
    if s.take("invert", False):
        return c.affine(x, deviation, center)
    return c.affine(x, 1 / deviation, -center / deviation)


def _pool(function: str) -> Callable[[Conversion, Settings, str], str]:
    def convert(c: Conversion, s: Settings, x: str) -> str:
        first, window = s.channels_first(), s.pair("pool_size", 2)
        strides, padding = s.pair("strides", window), s.take("padding", "valid")
        x = c.image(x, first)
        if padding not in ("valid", "same"):
            msg = f"with padding={padding!r}"
            raise Unsupported(msg)
        pads = same_pads(c.shape(x), window, strides) if padding == "same" else NO_PADS
        attrs = {"window": window, "strides": strides, "padding": pads}
        return c.back(c.add("pool", x, function=function, **attrs), first)

    return convert


def _global(function: str) -> Callable[[Conversion, Settings, str], str]:
    def convert(c: Conversion, s: Settings, x: str) -> str:
        first = s.channels_first()
        y = c.add("global_pool", c.image(x, first), function=function)
        return c.back(y, first) if s.take("keepdims", False) else c.reshape(y, c.shape(y)[2:])

    return convert


LAYERS: dict[str, Callable[[Conversion, Settings, str], str]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Conv2DTranspose": _transpose,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "MaxPooling2D": _pool("max"),
    "AveragePooling2D": _pool("average"),
    "GlobalMaxPooling2D": _global("max"),
    "GlobalAveragePooling2D": _global("average"),
}
