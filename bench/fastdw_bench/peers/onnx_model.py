"""A block as an ONNX model, for the engines that read it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blocks import F32, Block
from ..layers import Window
from .base import Unsupported

# Operators as an exporter writes them, on a value x and the constants 0 and 6.
_ACTIVATIONS = {
    "relu": [("Relu", "x")],
    "relu6": [("Clip", "x zero six")],
    "sigmoid": [("Sigmoid", "x")],
    "tanh": [("Tanh", "x")],
    "hard_swish": [("HardSwish", "x")],
    "swish": [("Sigmoid", "x"), ("Mul", "x y")],
}


def onnx_model(block: Block) -> Any:
    """Write the block as a ModelProto in NCHW, with one input "x" and one output "y"."""
    onnx: Any = import_module("onnx")
    helper, layer = onnx.helper, block.layer
    chain = _Chain(helper)
    constants: dict[str, F32] = {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    if layer.kernel:
        weights = depthwise_weights(block.depthwise_kernel)
        window = layer.depthwise_window
        chain.add("Conv", "x dw_kernel dw_bias", group=layer.channels, **attributes(window))
        chain.activate(layer.depthwise_activation)
        constants |= {"dw_kernel": weights, "dw_bias": block.depthwise_bias}
    if layer.filters:
        chain.add("Conv", "x pw_kernel pw_bias", **attributes(layer.pointwise_window))
        chain.activate(layer.activation)
        constants |= {"pw_kernel": pointwise_weights(block.pointwise_kernel), "pw_bias": block.bias}
    return finished(chain.nodes, constants, (block.x.shape, block.output_shape), block.x.dtype)


def finished(
    nodes: list[Any],
    constants: Mapping[str, npt.NDArray[Any]],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: np.dtype[Any],
) -> Any:
    """A ModelProto of nodes from "x" to the last one's result, "y", of these NHWC shapes."""
    onnx: Any = import_module("onnx")
    helper = onnx.helper
    nodes[-1].output[0] = "y"
    used = {name for node in nodes for name in node.input}
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    ends = [
        helper.make_tensor_value_info(name, kind, _planar(shape))
        for name, shape in zip("xy", shapes, strict=True)
    ]
    numbers = [
        onnx.numpy_helper.from_array(value, name)
        for name, value in constants.items()
        if name in used
    ]
    graph = helper.make_graph(nodes, "block", ends[:1], ends[1:], numbers)
    # Versions of 2022, which all engines read.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def depthwise_weights(kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A kernel (kh, kw, C, m) as (C·m, 1, kh, kw)."""
    kh, kw, channels, multiplier = kernel.shape
    flat = kernel.reshape(kh, kw, channels * multiplier)
    return np.ascontiguousarray(flat.transpose(2, 0, 1)[:, None])


def pointwise_weights(kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A kernel (kh, kw, C·m, F) as (F, C·m, kh, kw)."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def attributes(window: Window) -> dict[str, Any]:
    (top, bottom), (left, right) = window.pads
    return {
        "kernel_shape": window.size,
        "strides": window.strides,
        "dilations": window.dilation,
        "pads": [top, left, bottom, right],
    }


def _planar(shape: tuple[int, ...]) -> list[int]:
    n, height, width, channels = shape
    return [n, channels, height, width]


class _Chain:
    """Nodes one after the other; "x" in the inputs of a node is the value before it."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper
        self._last = "x"
        self.nodes: list[Any] = []

    def add(self, op: str, inputs: str, **attributes: Any) -> None:
        names = [self._last if name == "x" else name for name in inputs.split()]
        self._last = f"v{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(op, names, [self._last], **attributes))

    def activate(self, activation: str) -> None:
        if activation == "linear":
            return
        if activation not in _ACTIVATIONS:
            msg = f"no operator for {activation}"
            raise Unsupported(msg)
        before = self._last
        for op, inputs in _ACTIVATIONS[activation]:
            # "y" is the result of the node before.
            names = [before if n == "x" else self._last if n == "y" else n for n in inputs.split()]
            self.add(op, " ".join(names))
