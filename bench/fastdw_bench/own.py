"""fastdw as one of the engines."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import fastdw

from .blocks import Block
from .peers.base import Prepared


def prepare(block: Block, threads: int, data_format: str = "NHWC") -> Prepared:
    """Build the prepared layer of a block, bound to its input and to an output."""
    layer = block.layer
    windows: dict[str, Any] = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation,
    }
    call: Any
    if layer.op == "depthwise":
        call = fastdw.DepthwiseConv2D(
            block.depthwise_kernel,
            data_format=data_format,
            bias=block.depthwise_bias,
            activation=layer.depthwise_activation,
            **windows,
        )
    elif layer.op == "pointwise":
        call = fastdw.PointwiseConv2D(
            block.pointwise_kernel,
            data_format=data_format,
            bias=block.bias,
            activation=layer.activation,
        )
    else:
        call = fastdw.SeparableConv2D(
            block.depthwise_kernel,
            block.pointwise_kernel,
            data_format=data_format,
            depthwise_bias=block.depthwise_bias,
            depthwise_activation=layer.depthwise_activation,
            bias=block.bias,
            activation=layer.activation,
            **windows,
        )
    planar = data_format == "NCHW"
    x = np.ascontiguousarray(block.x.transpose(0, 3, 1, 2)) if planar else block.x
    n, height, width, channels = block.output_shape
    shape = (n, channels, height, width) if planar else block.output_shape
    out = np.empty(shape, np.float32)
    result = out.transpose(0, 2, 3, 1) if planar else out
    run = functools.partial(call, x, out=out, num_threads=threads)
    return Prepared(run, lambda: result, data_format)
