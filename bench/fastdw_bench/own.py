"""fastdw as one of the engines."""

from __future__ import annotations

import contextlib
from typing import Any

import fastdw
import numpy as np
import numpy.typing as npt
from fastdw._isa import packed_for

from .blocks import Block
from .blocks8 import Block8, Half
from .peers.base import Prepared


def prepare(
    block: Block, threads: int, data_format: str = "NHWC", isa: str | None = None
) -> Prepared:
    """Build the prepared layer of a block, bound to its input and to an output.

    `isa` None is the active instruction set.
    """
    with contextlib.nullcontext() if isa is None else packed_for(isa):
        layer = build(block, data_format)
    planar = data_format == "NCHW"
    x = on_a_line(block.x.transpose(0, 3, 1, 2) if planar else block.x)
    n, height, width, channels = block.output_shape
    shape = (n, channels, height, width) if planar else block.output_shape
    out = on_a_line(np.zeros(shape, np.float32))
    result = out.transpose(0, 2, 3, 1) if planar else out
    call = layer.__call__

    def run() -> None:
        call(x, out=out, num_threads=threads)

    return Prepared(run, lambda: result, data_format)


def prepare8(block: Block8, threads: int) -> Prepared:
    """The same of a block of 8-bit integers."""
    call = build8(block).__call__
    x, out = on_a_line(block.x), on_a_line(np.zeros(block.output_shape, np.int8))

    def run() -> None:
        call(x, out=out, num_threads=threads)

    return Prepared(run, lambda: out)


def on_a_line(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A contiguous copy that begins on a cache line, as the tensors of all engines do."""
    line = 64 // array.itemsize
    memory = np.empty(array.size + line, array.dtype)
    first = -memory.ctypes.data // memory.itemsize % line
    aligned = memory[first : first + array.size].reshape(array.shape)
    aligned[...] = array
    return aligned


def build(block: Block, data_format: str = "NHWC") -> Any:
    """The prepared layer of a block, for the active instruction set."""
    layer = block.layer
    windows: dict[str, Any] = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation,
        "data_format": data_format,
    }
    if layer.op == "depthwise":
        return fastdw.DepthwiseConv2D(
            block.depthwise_kernel,
            bias=block.depthwise_bias,
            activation=block.depthwise_activation,
            **windows,
        )
    if layer.op == "dense":
        return fastdw.Conv2D(
            block.pointwise_kernel, bias=block.bias, activation=block.activation, **windows
        )
    if layer.op == "pointwise":
        return fastdw.PointwiseConv2D(
            block.pointwise_kernel,
            data_format=data_format,
            bias=block.bias,
            activation=block.activation,
        )
    return fastdw.SeparableConv2D(
        block.depthwise_kernel,
        block.pointwise_kernel,
        depthwise_bias=block.depthwise_bias,
        depthwise_activation=block.depthwise_activation,
        bias=block.bias,
        activation=block.activation,
        **windows,
    )


def build8(block: Block8) -> Any:
    """The prepared layer of a block of 8-bit integers, for their active instruction set."""
    layer, first, last = block.layer, block.depthwise, block.pointwise
    windows: dict[str, Any] = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation,
    }
    ends: dict[str, Any] = {"input": block.input, "output": block.output}
    if first is None:
        return fastdw.QuantizedPointwiseConv2D(**_weights("pointwise", last), **ends)
    if last is None:
        return fastdw.QuantizedDepthwiseConv2D(**_weights("depthwise", first), **ends, **windows)
    return fastdw.QuantizedSeparableConv2D(
        first.kernel,
        first.scales,
        last.kernel,
        last.scales,
        middle=first.output,
        depthwise_bias=first.bias,
        depthwise_activation=first.activation,
        bias=last.bias,
        activation=last.activation,
        **ends,
        **windows,
    )


def _weights(name: str, half: Half | None) -> dict[str, Any]:
    """Those of a layer of one half."""
    assert half
    return {
        f"{name}_kernel": half.kernel,
        "kernel_scales": half.scales,
        "bias": half.bias,
        "activation": half.activation,
    }
