"""From float layers to 8-bit ones: symmetric weights, a scale for each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw._arguments import describe, output_channels
from fastdw._quantization import Quantization, quantization

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32
    from fastdw.layers._layer import Layer


def weights_of(layer: Any, cls: type[Layer]) -> dict[str, Float32]:
    """Kernels and biases of a float layer, BatchNorm folded in."""
    if not isinstance(layer, cls):
        msg = f"layer must be a {cls.__name__}, got {describe(layer)}"
        raise TypeError(msg)
    if layer.data_format != "NHWC":
        msg = f"layer must have data_format 'NHWC', got {layer.data_format!r}"
        raise ValueError(msg)
    if layer._settings.get("pre_activation") is not None:
        msg = f"layer must have no pre_activation, got {layer._settings['pre_activation']!r}"
        raise ValueError(msg)
    return layer._weights()


def whole(
    kernel: Float32, bias: Float32, given: Quantization, name: str
) -> tuple[AnyArray, Float32, AnyArray]:
    """Kernel, scales and bias in integers: max|w| of a channel is 127 steps."""
    given = quantization(name, given)
    channels = bias.size
    flat = kernel.reshape(-1, channels).astype(np.float64)
    largest = np.abs(flat).max(axis=0)
    if not (np.all(np.isfinite(largest)) and np.all(np.isfinite(bias))):
        msg = "layer must have finite weights, with BatchNorm folded in"
        raise ValueError(msg)
    # Weights too small for a scale of float32 are 0.
    scales = (largest / 127).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1
    steps = np.clip(np.rint(flat / scales), -127, 127).astype(np.int8)
    terms = np.rint(bias / (scales.astype(np.float64) * given.scale))
    if not np.all(np.abs(terms) < 2**31):
        msg = f"the bias is out of the range of int32 at the scale of {name}, {given.scale!r}"
        raise ValueError(msg)
    return steps.reshape(kernel.shape), scales, terms.astype(np.int32)


def real(
    kernel: AnyArray, scales: Float32, bias: AnyArray | None, given: Quantization
) -> tuple[Float32, Float32 | None]:
    """Kernel and bias in real numbers."""
    channels = output_channels(kernel)
    factors = np.broadcast_to(scales, channels)
    flat = kernel.reshape(-1, channels).astype(np.float32) * factors
    terms = None
    if bias is not None:
        terms = (bias.astype(np.float64) * factors * given.scale).astype(np.float32)
    return flat.reshape(kernel.shape), terms


def float_activation(activation: Any) -> Any:
    return ("clip", -1.0, 1.0) if activation == "relu_n1_to_1" else activation
