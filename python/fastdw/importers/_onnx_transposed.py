"""Transposed convolutions of ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_layers import (
    Pads,
    Window,
    bias_of,
    image_of,
    image_value,
    weights_of,
    window_of,
)
from fastdw.importers._onnx_values import Conversion, Value

if TYPE_CHECKING:
    from fastdw._typing import AnyArray


def _conv_transpose(c: Conversion, node: OnnxNode) -> Value:
    image, axes = image_of(c, c.live(node))
    weights = weights_of(c, node, axes + 2)
    groups, bias = node.integer("group", 1), bias_of(c, node)
    more, wanted = node.integers("output_padding", [0] * axes), node.integers("output_shape")
    window = window_of(node, weights.shape[2:], axes)
    if len(more) != axes or min(more) < 0 or min(window.strides) < 1:
        msg = f"with output_padding={more} and strides={window.strides}"
        raise Unsupported(msg)
    kernel = weights.reshape(*weights.shape[:2], *window.taps).transpose(2, 3, 0, 1)
    kernel = _spread(kernel, window.dilation_rate)
    if wanted is not None:
        wanted = [1, *wanted][-2:] if axes == 1 else wanted[-2:]
    size = c.builder.shape(image)
    pads, extra = _cut(window, size, kernel.shape, [0, *more][-2:], wanted)
    attrs: dict[str, Any] = {"bias": bias, "strides": window.strides, "padding": pads}
    if groups != 1:
        name = _grouped(c, image, kernel, groups, attrs, extra)
    else:
        name = c.add("conv2d_transpose", image, kernel=kernel, **attrs, output_padding=extra)
    return image_value(c, name, axes)


def _cut(
    window: Window, size: Any, taps: Any, more: list[int], wanted: list[int] | None
) -> tuple[Pads, tuple[int, ...]]:
    """What is cut off at the edges, and what is added at the ends."""
    pads: list[tuple[int, int]] = []
    extra = []
    for axis in (0, 1):
        stride, pair, add = window.strides[axis], window.pads[axis], more[axis]
        if wanted is not None or window.auto.startswith("SAME"):
            goal = size[axis] * stride if wanted is None else wanted[axis]
            total = stride * (size[axis] - 1) + add + taps[axis] - goal
            add, total = add + max(-total, 0), max(total, 0)
            # The odd cell is cut off at the end for SAME_UPPER alone.
            first = total // 2 if window.auto == "SAME_UPPER" else total - total // 2
            pair = (first, total - first)
        pads.append(pair)
        extra.append(add)
    return (pads[0], pads[1]), tuple(extra)


def _grouped(
    c: Conversion,
    image: str,
    kernel: AnyArray,
    groups: int,
    attrs: dict[str, Any],
    extra: tuple[int, ...],
) -> str:
    """A convolution, turned about, of the image with zeros between its pixels.

    Of the products as many as the strides multiply to are with these zeros: few files have groups
    here, and then mostly as many as channels, which is cheap.
    """
    kh, kw, channels, filters = kernel.shape
    if groups < 1 or channels % groups or c.builder.shape(image)[2] != channels:
        msg = f"with group={groups} of {channels} channels"
        raise Unsupported(msg)
    tables = []
    for axis in (0, 1):
        n, stride, taps = c.builder.shape(image)[axis], attrs["strides"][axis], kernel.shape[axis]
        before, after = (taps - 1 - cut for cut in attrs["padding"][axis])
        after += extra[axis]
        between = (n - 1) * stride + 1
        _common.check_length(between + max(before, 0) + max(after, 0))
        at = np.arange(-before, between + after)
        inside = (at >= 0) & (at < between) & (at % stride == 0)
        tables.append(tuple(np.where(inside, at // stride, -1).tolist()))
    spaced = c.add("gather", image, rows=tables[0], columns=tables[1])
    kernel = kernel[::-1, ::-1]
    if groups == channels:
        return c.add("depthwise", spaced, kernel=kernel, bias=attrs["bias"])
    depth = channels // groups
    kernel = kernel.reshape(kh, kw, groups, depth, filters).transpose(0, 1, 3, 2, 4)
    kernel = kernel.reshape(kh, kw, depth, groups * filters)
    return c.add("conv2d", spaced, kernel=kernel, bias=attrs["bias"], groups=groups)


def _spread(kernel: AnyArray, dilation: tuple[int, int]) -> AnyArray:
    """A kernel with the zeros between its taps."""
    if dilation == (1, 1):
        return kernel
    size = [(n - 1) * d + 1 for n, d in zip(kernel.shape[:2], dilation, strict=True)]
    if min(dilation) < 1 or max(size) > 1024:
        msg = f"with dilations {dilation}"
        raise Unsupported(msg)
    result = np.zeros((*size, *kernel.shape[2:]), kernel.dtype)
    result[:: dilation[0], :: dilation[1]] = kernel
    return result


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {"ConvTranspose": _conv_transpose}
