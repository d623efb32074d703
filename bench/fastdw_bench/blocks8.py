"""A layer of 8-bit integers with weights and an image, as `blocks` has those of float32."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from fastdw import Quantization, reference
from fastdw.layers._float8 import whole

from .blocks import F32, make_block
from .layers import Layer

I8 = npt.NDArray[np.int8]
U8 = npt.NDArray[np.uint8]

ACTIVATIONS = ("linear", "relu", "relu6")

# What the first half rounds otherwise, the second adds up: engines are within one or two.
_MOST_STEPS = 8
_STEPS = 255


@dataclass(frozen=True, eq=False)
class Half:
    """A convolution: its kernel as `Block` has it, a scale and a bias for each output channel."""

    kernel: I8
    scales: F32
    bias: npt.NDArray[np.int32]
    input: Quantization
    output: Quantization
    activation: str

    @property
    def factors(self) -> F32:
        """What a step of the bias is worth."""
        return (self.scales * np.float32(self.input.scale)).astype(np.float32)

    @property
    def num_bytes(self) -> int:
        return self.kernel.nbytes + self.scales.nbytes + self.bias.nbytes


@dataclass(frozen=True, eq=False)
class Block8:
    """Arrays of a layer of int8, and what they stand for; one half may be missing."""

    layer: Layer
    x: I8
    depthwise: Half | None
    pointwise: Half | None

    @property
    def halves(self) -> tuple[Half, ...]:
        return tuple(half for half in (self.depthwise, self.pointwise) if half)

    @property
    def input(self) -> Quantization:
        return self.halves[0].input

    @property
    def output(self) -> Quantization:
        return self.halves[-1].output

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return (len(self.x), *self.layer.output_size, self.layer.output_channels)

    @property
    def compulsory_bytes(self) -> int:
        """Images, weights and results: what moves even if nothing moves twice."""
        results = int(np.prod(self.output_shape))
        return self.x.nbytes + results + sum(half.num_bytes for half in self.halves)

    @functools.cached_property
    def expected(self) -> I8:
        """The result by `fastdw.reference`, NHWC."""
        layer, y = self.layer, self.x
        if half := self.depthwise:
            y = reference.quantized_depthwise_conv2d(
                y, half.kernel, half.scales, input=half.input, output=half.output, bias=half.bias,
                activation=half.activation, strides=layer.strides, padding=layer.padding,
                dilation_rate=layer.dilation,
            )  # fmt: skip
        if half := self.pointwise:
            y = reference.quantized_pointwise_conv2d(
                y, half.kernel, half.scales, input=half.input, output=half.output, bias=half.bias,
                activation=half.activation,
            )  # fmt: skip
        return y

    def error(self, y: npt.NDArray[Any]) -> float:
        """The largest deviation from the reference in steps."""
        if y.shape != self.output_shape or y.dtype != np.int8:
            return float("inf")
        return float(np.abs(np.subtract(y, self.expected, dtype=np.int16)).max())

    def tolerance(self, own: bool) -> float:
        """The largest deviation that counts as the same result, of fastdw and of others."""
        return 0 if own else _MOST_STEPS

    def in_words(self, error: float) -> str:
        return f"{error:.0f} of {_STEPS} steps"


def refusal(layer: Layer) -> str:
    """Why there is no layer of 8-bit integers like this, or nothing."""
    if layer.op == "dense":
        return "dense layers of 8-bit integers are parts of networks alone"
    others = [a for a in layer.activations.split("/") if a not in ACTIVATIONS]
    return f"layers of 8-bit integers have no {others[0]}" if others else ""


def make_block8(layer: Layer, batch: int = 1, seed: int = 0) -> Block8:
    """Round what `make_block` draws; integers span the range that the float layer gives."""
    block = make_block(layer, batch, seed)
    given = _spanning(block.x, "linear")
    x: I8 = reference.quantize(block.x, given)
    y: npt.NDArray[Any] = np.asarray(block.x, np.float64)
    depthwise = pointwise = None
    if layer.kernel:
        kernel, bias, activation = (
            *(block.depthwise_kernel, block.depthwise_bias),
            layer.depthwise_activation,
        )
        y = reference.depthwise_conv2d(
            y, kernel, bias=bias, activation=activation, strides=layer.strides,
            padding=layer.padding, dilation_rate=layer.dilation,
        )  # fmt: skip
        depthwise = _half(kernel, bias, given, _spanning(y, activation), activation)
        given = depthwise.output
    if layer.filters:
        kernel, bias, activation = block.pointwise_kernel, block.bias, layer.activation
        y = reference.conv2d(y, kernel, bias=bias, activation=activation)
        pointwise = _half(kernel, bias, given, _spanning(y, activation), activation)
    return Block8(layer, x, depthwise, pointwise)


def _half(
    kernel: F32, bias: F32, given: Quantization, output: Quantization, activation: str
) -> Half:
    steps, scales, terms = whole(kernel, bias, given, "input")
    return Half(steps, scales, terms, given, output, activation)


def _spanning(y: npt.NDArray[Any], activation: str) -> Quantization:
    """As converters have it: ReLU6 from end to end, others between the extremes."""
    low, high = min(float(y.min()), 0.0), 6.0 if activation == "relu6" else float(y.max())
    scale = float(np.float32(max(high - low, 1e-3) / _STEPS))
    return Quantization(scale, round(-128 - low / scale))


def unsigned(x: npt.NDArray[Any]) -> U8:
    """The same numbers as uint8, whose zero point is 128 higher: what some engines are fast at."""
    return x.view(np.uint8) ^ np.uint8(128)


def signed(y: npt.NDArray[Any]) -> I8:
    return (y ^ np.uint8(128)).view(np.int8)
