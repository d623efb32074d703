"""HARD_SWISH of TFLite on integers: in fixed point of 16 bits, where every product is rounded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastdw.importers._common import Unsupported

if TYPE_CHECKING:
    from fastdw._quantization import Quantization

_I64 = npt.NDArray[np.int64]

_FINER = 128  # Steps of the products to one of the input.
_GATE = np.float32(3 / 32768)  # What a step of the gate, −1 to 1 from x of −3 to 3, is worth.
_MOST = 2**15 - 1


def hard_swish(q: npt.NDArray[Any], given: Quantization, output: Quantization) -> _I64:
    """The integers that TFLite makes of these: x times a gate of x."""
    fine = np.float32(given.scale) / np.float32(_FINER)
    x = (q.astype(np.int64) - given.zero_point) * _FINER
    factor, shift = _fixed(fine / np.float32(output.scale))
    if shift > 0:
        msg = "to a scale as fine as that"
        raise Unsupported(msg)
    y = _times(x, factor)
    factor, left = _fixed(fine / _GATE)
    # All but one of the doublings before the product, the last one after it.
    gate = _held(x << left - 1) if left > 0 else x
    gate = _times(gate, factor)
    gate = _held(gate << 1) if left > 0 else _shifted(gate, -left)
    share = (gate + 2**15) >> 1
    cut = np.sign(y) * (share * np.abs(y) >> 15)
    steps = _shifted(cut, -shift) + output.zero_point
    return np.asarray(np.clip(steps, *output.limits))


def _fixed(ratio: np.float32) -> tuple[int, int]:
    """A factor of 15 bits and the power of two for a ratio, which has been rounded to 31 first."""
    mantissa, exponent = math.frexp(float(ratio))
    long = math.floor(mantissa * 2**31 + 0.5)
    return min((long + 2**15) >> 16, _MOST), exponent


def _held(x: _I64) -> _I64:
    return np.clip(x, -_MOST - 1, _MOST)


def _times(x: _I64, factor: int) -> _I64:
    """x times a share of 2^15; halves go up."""
    return (x * factor + 2**14) >> 15


def _shifted(x: _I64, shift: int) -> _I64:
    """x / 2^shift; halves go away from zero."""
    size: _I64 = (np.abs(x) + (1 << shift >> 1)) >> shift
    return np.sign(x) * size
