"""A block of integers as an ONNX model, between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from fastdw import Quantization

from ..blocks8 import Block8, Half
from ..layers import Window
from .onnx_model import attributes, depthwise_weights, finished, pointwise_weights


def onnx_model8(block: Block8) -> Any:
    """Write the block as a ModelProto in NCHW, with one input "x" and one output "y" of uint8.

    Signed activations make engines slow. The ends of the integers behind a half are those of its
    ReLU or ReLU6, so that neither is an operator.
    """
    layer, chain = block.layer, _Chain(block.input)
    if half := block.depthwise:
        kernel = depthwise_weights(half.kernel)
        chain.convolve("dw", half, kernel, layer.depthwise_window, layer.channels)
    if half := block.pointwise:
        chain.convolve("pw", half, pointwise_weights(half.kernel), layer.pointwise_window)
    shapes = block.x.shape, block.output_shape
    return finished(chain.nodes, chain.constants, shapes, np.dtype(np.uint8))


class _Chain:
    """Convolutions one after the other, each of real numbers that were integers."""

    def __init__(self, given: Quantization) -> None:
        self._helper: Any = import_module("onnx").helper
        self._last = "x"
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self._ends = self._steps("x", given)

    def convolve(
        self, name: str, half: Half, kernel: npt.NDArray[Any], window: Window, group: int = 1
    ) -> None:
        zeros = np.zeros(half.scales.shape, np.int8)
        parts = {"kernel": (kernel, half.scales, zeros)}
        parts["bias"] = half.bias, half.factors, zeros.astype(np.int32)
        inputs = [self._add("DequantizeLinear", [self._last, *self._ends])]
        for part, arrays in parts.items():
            names = [f"{name}_{part}{end}" for end in ("", "_scales", "_zeros")]
            self.constants |= dict(zip(names, arrays, strict=True))
            inputs.append(self._add("DequantizeLinear", names, axis=0))
        real = self._add("Conv", inputs, group=group, **attributes(window))
        self._ends = self._steps(name, half.output)
        self._last = self._add("QuantizeLinear", [real, *self._ends])

    def _steps(self, name: str, q: Quantization) -> list[str]:
        """Constants of a scale and a zero point."""
        names = [f"{name}_scale", f"{name}_zero"]
        values = np.float32(q.scale), np.uint8(q.zero_point + 128)
        self.constants |= {n: np.array(v) for n, v in zip(names, values, strict=True)}
        return names

    def _add(self, op: str, inputs: list[str], **settings: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(op, inputs, [name], **settings))
        return name
