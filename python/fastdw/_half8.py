"""8-bit convolutions and additions, checked, as the core takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import dense
from fastdw._isa import chosen_isa8
from fastdw._quantization import Quantization, Rescale, clamp, quantization, rescale

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32


class Half8(NamedTuple):
    """Checked arguments of one convolution and its epilogue."""

    prefix: str
    """What the names of its bias and activation begin with."""
    scales_name: str
    kernel: AnyArray
    scales: Float32
    bias: AnyArray | None
    activation: Any
    ends: tuple[Quantization, Quantization]
    rescale: Rescale

    @property
    def core(self) -> tuple[Any, ...]:
        """Kernel, epilogue, the input's zero point and signs, as the core takes them."""
        r, (given, result) = self.rescale, self.ends
        signs = given.dtype == "int8", result.dtype == "int8"
        zero = given.zero_point - (0 if signs[0] else 128)
        epilogue = (r.multipliers, r.bias, r.zero_point, r.low, r.high, r.saturates)
        return dense(self.kernel), epilogue, zero, signs

    def arrays(self, kernel_name: str) -> dict[str, AnyArray]:
        kept = {kernel_name: self.kernel.copy(), self.scales_name: self.scales.copy()}
        return kept if self.bias is None else kept | {f"{self.prefix}bias": self.bias.copy()}


def half8(
    prefix: str,
    scales_name: str,
    kernel: AnyArray,
    scales: object,
    ends: tuple[Quantization, Quantization],
    epilogue: tuple[object, object],
) -> Half8:
    """Check one half; `ends` are the quantizations before and after it."""
    bias, activation = epilogue
    flat = kernel.reshape(-1, check.output_channels(kernel))
    numbers = rescale((prefix, scales_name), flat, scales, ends, bias, activation)
    factors = check.as_array(scales_name, scales)
    terms = None if bias is None else numbers.bias
    kept = None if activation == "linear" else activation
    return Half8(prefix, scales_name, kernel, factors, terms, kept, ends, numbers)


def packed_depthwise(half: Half8, place: tuple[int, int, int, int]) -> _core.Depthwise8:
    kernel, epilogue, zero, signs = half.core
    return _core.Depthwise8(kernel, epilogue, zero, signs, place, chosen_isa8())


def packed_pointwise(half: Half8) -> _core.Pointwise8:
    kernel, epilogue, zero, signs = half.core
    return _core.Pointwise8(kernel, epilogue, zero, signs, chosen_isa8())


def checked_sum(
    residual: object, total: object, output: Quantization
) -> tuple[Quantization, Quantization] | None:
    """The quantizations of the added tensor and of the sum, which go together."""
    if residual is None and total is None:
        return None
    if residual is None or total is None:
        msg = "residual and sum go together: both a Quantization, or both None"
        raise ValueError(msg)
    pair = quantization("residual", residual), quantization("sum", total)
    largest = max(np.float32(q.scale) / np.float32(pair[1].scale) for q in (output, pair[0]))
    if not 2.0**-9 <= largest < 2.0**9:
        msg = (
            "sum must have a scale within 512 times the larger of those added, got a ratio of "
            f"{float(largest)!r}"
        )
        raise ValueError(msg)
    return pair


def core_sum(
    output: Quantization,
    pair: tuple[Quantization, Quantization] | None,
    activation: object = None,
    subtrahend: str | None = None,
) -> tuple[int, ...] | None:
    """The numbers of an addition of bytes: 20 bits of the larger ratio of scales.

    `subtrahend` is the tensor that is subtracted: "input", the first, or "second".
    """
    if pair is None:
        return None
    residual, total = pair
    tensors = (output, residual, total)
    ratios = [float(np.float32(q.scale) / np.float32(total.scale)) for q in (output, residual)]
    shift = 20 - int(np.floor(np.log2(max(ratios))))
    first, second = (
        int(np.rint(ratio * 2.0**shift)) * (-1 if name == subtrahend else 1)
        for name, ratio in zip(("input", "second"), ratios, strict=True)
    )
    zeros = [q.zero_point + offset(q) for q in tensors]
    signs = [int(q.dtype == "int8") for q in tensors]
    ends = (end + offset(total) for end in clamp("activation", activation, total))
    return (zeros[0], first, zeros[1], second, shift, zeros[2], *ends, *signs)


def offset(q: Quantization) -> int:
    """What makes an integer a byte that counts from 0."""
    return 128 if q.dtype == "int8" else 0
