"""A layer with weights and an image, and the check of a result against the reference."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from fastdw import reference

from .layers import Layer, activation_of

F32 = npt.NDArray[np.float32]

# Float32 sums of any order stay below 1e-5 here, float16 or bfloat16 arithmetic is above 3e-4.
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Block:
    """Arrays of a layer: NHWC image, (kh, kw, C, m) and (kh, kw, C·m, F) kernels, a bias a half.

    Arrays of a half that the layer lacks are empty. But for a dense layer the pointwise kernel is
    1 x 1.
    """

    layer: Layer
    x: F32
    depthwise_kernel: F32
    depthwise_bias: F32
    pointwise_kernel: F32
    bias: F32

    @property
    def depthwise_activation(self) -> Any:
        return activation_of(self.layer.depthwise_activation, _slopes(self.depthwise_bias))

    @property
    def activation(self) -> Any:
        return activation_of(self.layer.activation, _slopes(self.bias))

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return (len(self.x), *self.layer.output_size, self.layer.output_channels)

    @functools.cached_property
    def expected(self) -> npt.NDArray[np.float64]:
        """The result by `fastdw.reference`, NHWC."""
        layer = self.layer
        windows: dict[str, Any] = {
            "strides": layer.strides,
            "padding": layer.padding,
            "dilation_rate": layer.dilation,
        }
        y: npt.NDArray[np.float64] = np.asarray(self.x, np.float64)
        if layer.kernel:
            y = reference.depthwise_conv2d(
                y,
                self.depthwise_kernel,
                bias=self.depthwise_bias,
                activation=self.depthwise_activation,
                **windows,
            )
        if layer.filters:
            y = reference.conv2d(
                y,
                self.pointwise_kernel,
                bias=self.bias,
                activation=self.activation,
                **(windows if layer.dense_kernel else {}),
            )
        return y

    @property
    def compulsory_bytes(self) -> int:
        """Images, weights and results: what moves even if nothing moves twice."""
        return self.layer.compulsory_bytes + (len(self.x) - 1) * self.layer.activation_bytes

    def error(self, y: npt.NDArray[np.float32]) -> float:
        """Largest deviation from the reference, relative to its largest value."""
        if y.shape != self.output_shape:
            return float("inf")
        scale = np.abs(self.expected).max()
        deviation = np.abs(y - self.expected).max()
        return float(deviation / scale) if np.isfinite(deviation) else float("inf")

    def tolerance(self, own: bool) -> float:
        """The largest error that counts as the same result."""
        del own
        return TOLERANCE

    def in_words(self, error: float) -> str:
        return f"{error:.1e} of its largest value"


def _slopes(bias: F32) -> F32:
    """Slopes of a prelu around 0.25, drawn as the biases are."""
    return (bias + np.float32(0.25)).astype(np.float32)


def working_bytes(layer: Layer, batch: int) -> int:
    """About what a measurement with its check holds in memory: the check is in float64."""
    height, width = layer.output_size
    middle = 4 * height * width * layer.depthwise_channels
    return batch * (5 * layer.activation_bytes + 2 * middle) + 5 * 4 * layer.num_weights


def make_block(layer: Layer, batch: int = 1, seed: int = 0) -> Block:
    """Draw weights and an image; the values spread by about 1 in every half."""
    rng = np.random.default_rng(seed)

    def normal(shape: tuple[int, ...], spread: float = 1.0) -> F32:
        return (spread * rng.standard_normal(shape)).astype(np.float32)

    kh, kw = layer.kernel or (0, 0)
    filters, middle = layer.filters or 0, layer.depthwise_channels
    rows, columns = layer.pointwise_window.size
    return Block(
        layer,
        normal((batch, layer.height, layer.width, layer.channels)),
        normal((kh, kw, layer.channels, layer.multiplier), 1 / max(1, kh * kw) ** 0.5),
        normal((middle if kh else 0,), 0.1),
        normal((rows, columns, middle, filters), 1 / (rows * columns * middle) ** 0.5),
        normal((filters,), 0.1),
    )
