"""Operators of TFLite with weights or windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._tflite_file import TfliteNode, ints
from fastdw.importers._tflite_values import Blocks, Conversion, Live, Pads, Value, fused
from fastdw.network._attributes import NO_PADS
from fastdw.network._shapes import same_pads

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_SAME, _VALID = 0, 1
_CUSTOM_PADDING = {1: _SAME, 2: _VALID}


def _padding(
    code: int,
    size: Sequence[int],
    taps: Sequence[int],
    strides: Sequence[int],
    dilation_rate: Sequence[int] = (1, 1),
) -> Pads:
    if code not in (_SAME, _VALID) or min(strides) < 1:
        msg = f"with padding {code} and strides {tuple(strides)}"
        raise Unsupported(msg)
    return same_pads(size, taps, strides, dilation_rate) if code == _SAME else NO_PADS


def _weights(c: Conversion, node: TfliteNode, position: int, rank: int) -> AnyArray:
    weights = c.constant(node, position, "weights")
    if weights.ndim != rank or weights.dtype.kind != "f" or not weights.size:
        msg = f"with weights of {weights.dtype} and shape {weights.shape}"
        raise Unsupported(msg)
    return weights


def convolution(
    c: Conversion, node: TfliteNode, options: Any, op: str, attrs: dict[str, Any]
) -> Value:
    """A convolution of an image, or of the blocks of one."""
    value, taps = c.get(node, 0), attrs["kernel"].shape[:2]
    if not isinstance(value, Blocks):
        x = c.image(node)
        return c.add(op, x.name, **attrs, **place_of(options, x, taps))
    strides = options.StrideH(), options.StrideW()
    dilation_rate = options.DilationHFactor(), options.DilationWFactor()
    if strides != (1, 1) or dilation_rate != (1, 1):
        msg = f"in blocks with strides {strides} and dilation {dilation_rate}"
        raise Unsupported(msg)
    pads = _of_blocks(options.Padding(), value, taps)
    place: dict[str, Any] = {"strides": strides, "padding": pads, "dilation_rate": value.block}
    y = c.add(op, value.base.name, **attrs, **place)
    return value._replace(base=y, pads=NO_PADS)


def place_of(options: Any, x: Live, taps: Sequence[int]) -> dict[str, Any]:
    """Strides, pads and dilation of a convolution of an image."""
    strides = options.StrideH(), options.StrideW()
    dilation_rate = options.DilationHFactor(), options.DilationWFactor()
    pads = _padding(options.Padding(), x.shape[1:3], taps, strides, dilation_rate)
    return {"strides": strides, "padding": pads, "dilation_rate": dilation_rate}


def _of_blocks(code: int, blocks: Blocks, taps: Sequence[int]) -> Pads:
    """Around the image: its own pads, and those of each block times the size of blocks."""
    sizes = [
        (n + sum(pads)) // block
        for n, pads, block in zip(blocks.base.shape[1:], blocks.pads, blocks.block, strict=False)
    ]
    inside = _padding(code, sizes, taps, (1, 1))
    rows, columns = (
        (outer[0] + block * pads[0], outer[1] + block * pads[1])
        for outer, pads, block in zip(blocks.pads, inside, blocks.block, strict=True)
    )
    return rows, columns


def kernel_of(c: Conversion, node: TfliteNode, weights: AnyArray) -> tuple[str, AnyArray]:
    """The graph's operator of a convolution, and its kernel."""
    value = c.get(node, 0)
    channels = (value.base if isinstance(value, Blocks) else c.image(node)).shape[3]
    if node.op == "CONV_2D":
        filters, kh, kw, depth = weights.shape
        if depth == 1 < channels and filters % channels == 0:
            kernel = weights.reshape(channels, filters // channels, kh, kw)
            return "depthwise", kernel.transpose(2, 3, 0, 1)
        return "conv2d", weights.transpose(1, 2, 3, 0)
    one, kh, kw, filters = weights.shape
    if one != 1 or filters % channels:
        msg = f"with weights of shape {weights.shape} for {channels} channels"
        raise Unsupported(msg)
    return "depthwise", weights.reshape(kh, kw, channels, filters // channels)


def _convolution(kind: str) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        options, weights = node.options(f"{kind}Options"), _weights(c, node, 1, 4)
        op, kernel = kernel_of(c, node, weights)
        attrs: dict[str, Any] = {"kernel": kernel, "bias": c.optional(node, 2, "biases")}
        if op == "conv2d":
            value = c.get(node, 0)
            x = value.base if isinstance(value, Blocks) else c.image(node)
            attrs["groups"] = x.shape[3] // kernel.shape[2]
        attrs["activation"] = c.activation(node, options)
        return convolution(c, node, options, op, attrs)

    return convert


def _transpose_conv(c: Conversion, node: TfliteNode) -> Value:
    options, weights = node.options("TransposeConvOptions"), _weights(c, node, 1, 4)
    wanted = ints(c.constant(node, 0, "sizes"))
    x, bias = c.image(node, 2), c.optional(node, 3, "biases")
    strides = options.StrideH(), options.StrideW()
    activation = c.activation(node, options)
    if len(wanted) != 4 or wanted[0] != 1 or wanted[3] != weights.shape[0]:
        msg = f"to {wanted}"
        raise Unsupported(msg)
    pads = _padding(options.Padding(), wanted[1:3], weights.shape[1:3], strides)
    expected = tuple(-(-n // s) for n, s in zip(wanted[1:3], strides, strict=True))
    if options.Padding() == _VALID:
        expected = tuple(
            (n - k) // s + 1
            for n, k, s in zip(wanted[1:3], weights.shape[1:3], strides, strict=True)
        )
    if expected != x.shape[1:3]:
        msg = f"of {x.shape} to {wanted}"
        raise Unsupported(msg)
    return _spread(c, x, weights, bias, strides, pads, wanted[1:3], activation)


def _spread(
    c: Conversion,
    x: Live,
    weights: AnyArray,
    bias: AnyArray | None,
    strides: tuple[int, int],
    pads: Pads,
    sizes: Sequence[int],
    activation: Any = None,
) -> Live:
    """A transposed convolution by weights (F, kh, kw, Cin), cut to this size."""
    padding, more = [], []
    for n, taps, stride, (before, _), size in zip(
        x.shape[1:3], weights.shape[1:3], strides, pads, sizes, strict=True
    ):
        after = (n - 1) * stride + taps - before - size
        padding.append((before, max(after, 0)))
        more.append(max(-after, 0))
    return c.add(
        "conv2d_transpose",
        x.name,
        kernel=weights.transpose(1, 2, 3, 0),
        bias=bias,
        strides=strides,
        padding=tuple(padding),
        output_padding=tuple(more),
        activation=activation,
    )


def _transpose_conv_bias(c: Conversion, node: TfliteNode) -> Value:
    """MediaPipe's; its options are three int32: padding, stride in width, stride in height."""
    options = node.custom_options()
    if len(options) != 12:
        msg = f"with {len(options)} bytes of options"
        raise Unsupported(msg)
    code, width, height = np.frombuffer(options, "<i4").tolist()
    if code not in _CUSTOM_PADDING or min(width, height) < 1:
        msg = f"with padding {code} and strides {(height, width)}"
        raise Unsupported(msg)
    x, weights = c.image(node), _weights(c, node, 1, 4)
    bias = c.optional(node, 2, "biases")
    taps, strides = weights.shape[1:3], (height, width)
    if _CUSTOM_PADDING[code] == _SAME:
        sizes = [n * s for n, s in zip(x.shape[1:3], strides, strict=True)]
        pads = same_pads(sizes, taps, strides)
    else:
        sizes = [(n - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, taps, strict=True)]
        pads = NO_PADS
    return _spread(c, x, weights, bias, strides, pads, sizes)


def pixels_of(
    c: Conversion, node: TfliteNode, options: Any, weights: tuple[int, ...]
) -> tuple[str, tuple[int, ...]]:
    """What a matrix (F, Cin) mixes the channels of, and the shape of the result."""
    x, (filters, depth) = c.live(node), weights
    if options.WeightsFormat():
        msg = f"with weights in format {options.WeightsFormat()}"
        raise Unsupported(msg)
    rows, rest = divmod(math.prod(x.shape), depth)
    if rest or (options.KeepNumDims() and x.shape[-1] != depth):
        msg = f"with weights of shape {weights} on {x.shape}"
        raise Unsupported(msg)
    shape = (*x.shape[:-1], filters) if options.KeepNumDims() else (rows, filters)
    return c.seen(x, (1, 1, depth) if rows == 1 else (rows, 1, depth)), shape


def _dense(c: Conversion, node: TfliteNode) -> Value:
    options, weights = node.options("FullyConnectedOptions"), _weights(c, node, 1, 2)
    bias, activation = c.optional(node, 2, "biases"), c.activation(node, options)
    pixels, shape = pixels_of(c, node, options, weights.shape)
    kernel = weights.T[np.newaxis, np.newaxis]
    return c.add("conv2d", pixels, shape, kernel=kernel, bias=bias, activation=activation)


def pool_window(options: Any, size: Sequence[int]) -> dict[str, Any]:
    """The window of a pool over an image of this height and width."""
    window = options.FilterHeight(), options.FilterWidth()
    strides = options.StrideH(), options.StrideW()
    pads = _padding(options.Padding(), size, window, strides)
    return {"window": window, "strides": strides, "padding": pads}


def _pool(function: str) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        options, x = node.options("Pool2DOptions"), c.image(node)
        place = pool_window(options, x.shape[1:3])
        if place["window"] == x.shape[1:3] and place["padding"] == NO_PADS:
            y = c.add("global_pool", x.name, function=function)
        else:
            y = c.add("pool", x.name, function=function, **place)
        return c.activate(y, fused(options))

    return convert


def _to_blocks(c: Conversion, node: TfliteNode) -> Value:
    x, block, pads = c.image(node), *_of_space(c, node)
    sizes = [n + sum(p) for n, p in zip(x.shape[1:3], pads, strict=True)]
    if any(n % b for n, b in zip(sizes, block, strict=True)):
        msg = f"of {sizes} into blocks of {block}"
        raise Unsupported(msg)
    return Blocks(x, block, pads, node.op, node.name)


def _from_blocks(c: Conversion, node: TfliteNode) -> Value:
    blocks = c.get(node, 0)
    block, crops = _of_space(c, node)
    if not isinstance(blocks, Blocks) or blocks.block != block or blocks.pads != NO_PADS:
        msg = "of anything but a convolution between blocks of the same size"
        raise Unsupported(msg)
    kept = {
        axis: range(before, blocks.base.shape[axis] - after)
        for axis, (before, after) in enumerate(crops, 1)
    }
    return c.part(blocks.base, kept)


def _of_space(c: Conversion, node: TfliteNode) -> tuple[tuple[int, int], Pads]:
    """The size of blocks, and pads or crops."""
    block, pads = ints(c.constant(node, 1, "sizes")), c.constant(node, 2, "pads")
    if len(block) != 2 or pads.shape != (2, 2) or min(block) < 1 or min(ints(pads)) < 0:
        msg = f"with blocks of {block} and pads {pads.tolist()}"
        raise Unsupported(msg)
    top, bottom, left, right = ints(pads)
    if max(top, bottom, left, right) > _common.MAX_TABLE:
        msg = f"with pads {pads.tolist()}"
        raise Unsupported(msg)
    return (block[0], block[1]), ((top, bottom), (left, right))


BLOCKS: dict[str, Callable[[Conversion, TfliteNode], Any]] = {
    "SPACE_TO_BATCH_ND": _to_blocks,
    "BATCH_TO_SPACE_ND": _from_blocks,
}
CONVERTERS: dict[str, Callable[[Conversion, TfliteNode], Any]] = {
    **BLOCKS,
    "CONV_2D": _convolution("Conv2D"),
    "DEPTHWISE_CONV_2D": _convolution("DepthwiseConv2D"),
    "TRANSPOSE_CONV": _transpose_conv,
    "custom operator Convolution2DTransposeBias": _transpose_conv_bias,
    "FULLY_CONNECTED": _dense,
    "AVERAGE_POOL_2D": _pool("average"),
    "MAX_POOL_2D": _pool("max"),
}
