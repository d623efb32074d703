"""8-bit tensors: what their integers stand for, and the numbers that integer layers compute with.

Everything here is float32 where the definition says so, and checked when a layer is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from fastdw import _arguments as check
from fastdw._activations import CLAMPS
from fastdw._arguments import as_array, describe
from fastdw._immutable import Immutable

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, ArrayInput, Float32, Number

INT8, INT32 = np.dtype(np.int8), np.dtype(np.int32)
_DTYPES = {"int8": (-128, 127), "uint8": (0, 255)}
TINY = float(np.finfo(np.float32).tiny)
# Trained networks have channels of no use, with factors below 2**-32.
MOST_FACTOR = 256.0
_CLAMPS = CLAMPS | {"relu_n1_to_1": (-1.0, 1.0)}


def checked_scale(scale: Number) -> float:
    """A scale as float32."""
    with np.errstate(over="ignore"):
        value = float(np.float32(check.number("scale", scale)))
    if not TINY <= value < np.inf:
        msg = f"scale must be positive, finite and normal in float32, got {describe(scale)}"
        raise ValueError(msg)
    return value


@final
class Quantization(Immutable):
    """What the integers q of an 8-bit tensor stand for: scale * (q - zero_point).

    Immutable, hashable, compared by value.

    Parameters
    ----------
    scale : float
        Positive, finite and no subnormal number; kept as float32.
    zero_point : int, default 0
        The integer that stands for 0.
    dtype : {"int8", "uint8"}
        Of the integers.

    Raises
    ------
    TypeError
        For a wrong Python type.
    ValueError
        For a scale or zero point out of range, and for an unknown dtype.

    Examples
    --------
    >>> Quantization(0.5, -128)
    Quantization(scale=0.5, zero_point=-128, dtype='int8')
    """

    __slots__ = ("dtype", "scale", "zero_point")

    scale: float
    zero_point: int
    dtype: str

    def __init__(self, scale: Number, zero_point: int = 0, dtype: str = "int8") -> None:
        zero = check.integer(
            "zero_point", zero_point, *_DTYPES[check.choice("dtype", dtype, _DTYPES)]
        )
        self._set(scale=checked_scale(scale), zero_point=zero, dtype=dtype)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest integer."""
        return _DTYPES[self.dtype]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantization) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        scale, zero_point, dtype = self._key()
        return f"Quantization(scale={scale!r}, zero_point={zero_point}, dtype={dtype!r})"

    def __reduce__(self) -> tuple[object, ...]:
        self._check_pickled(Quantization)
        return Quantization, self._key()

    def _key(self) -> tuple[float, int, str]:
        return self.scale, self.zero_point, self.dtype


def quantization(name: str, value: object) -> Quantization:
    """`value`, where it is a Quantization."""
    if not isinstance(value, Quantization):
        msg = f"{name} must be a Quantization, got {describe(value)}"
        raise TypeError(msg)
    return value


def quantize(x: ArrayInput, q: Quantization) -> AnyArray:
    """The integers of real numbers: x / scale, rounded to even, plus the zero point, saturated.

    That is QuantizeLinear of ONNX.

    Parameters
    ----------
    x : ndarray, float32
        Of any shape. NaN becomes the zero point.
    q : Quantization
        Of the result.

    Returns
    -------
    ndarray, int8 or uint8
        Of the shape of `x`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.

    Examples
    --------
    >>> quantize(np.array([-1, 0.25, 0.75, 99], np.float32), Quantization(0.5, 3)).tolist()
    [1, 3, 5, 127]
    """
    array, q = as_array("x", x), quantization("q", q)
    with np.errstate(all="ignore"):
        steps = np.rint(array / np.float32(q.scale))
    # A float of up to 2**24 holds every sum that is not cut.
    steps = np.where(np.isnan(steps), np.float32(0), steps) + np.float32(q.zero_point)
    return np.clip(steps, *q.limits).astype(q.dtype)


def dequantize(y: AnyArray, q: Quantization) -> Float32:
    """The real numbers of integers: float32(y - zero_point) * scale.

    Parameters
    ----------
    y : ndarray, int8 or uint8
        Of any shape, and of the dtype of `q`.
    q : Quantization
        Of `y`.

    Returns
    -------
    ndarray, float32
        Of the shape of `y`.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.

    Examples
    --------
    >>> dequantize(np.array([1, 3, 127], np.int8), Quantization(0.5, 3)).tolist()
    [-1.0, 0.0, 62.0]
    """
    q = quantization("q", q)
    array = integers("y", y, q)
    return (array.astype(np.int16) - np.int16(q.zero_point)).astype(np.float32) * np.float32(
        q.scale
    )


def integers(name: str, value: object, q: Quantization) -> AnyArray:
    """`value` as a plain array of the dtype of `q`."""
    array = value if type(value) is np.ndarray else check.viewed(name, value, q.dtype)
    if array.dtype != q.dtype:
        msg = (
            f"{name} must be an array of {q.dtype}, as its Quantization says, got dtype "
            f"{array.dtype}; see fastdw.quantize"
        )
        raise TypeError(msg)
    return array


class Rescale(NamedTuple):
    """How the sums of a convolution become integers of its output; all for int8."""

    multipliers: Float32
    """One for each channel."""
    bias: AnyArray
    zero_point: int
    low: int
    high: int
    converts: bool
    """Whether no scaled sum is out of the range of int32."""

    @property
    def saturates(self) -> bool:
        """Whether rounding and saturating to the type is all there is to do."""
        ends = (self.zero_point, self.low, self.high)
        return self.converts and ends == (-128, -128, 127)


def rescale(
    names: tuple[str, str],
    kernel: AnyArray,
    scales: object,
    ends: tuple[Quantization, Quantization],
    bias: object,
    activation: object,
) -> Rescale:
    """Check the epilogue of `kernel`, whose last axis is that of the channels.

    `names` are what the names of bias and activation begin with, and that of the scales.
    """
    (prefix, scales_name), (given, result) = names, ends
    channels = kernel.shape[-1]
    factors = _scales(scales_name, scales, channels)
    with np.errstate(all="ignore"):
        multipliers = np.float32(given.scale) * factors / np.float32(result.scale)
    outside = multipliers[~((multipliers >= TINY) & (multipliers < MOST_FACTOR))]
    if outside.size:
        msg = (
            f"{scales_name} times the input's scale over the output's must be normal in float32 "
            f"and below 256, got {float(outside[0])!r}"
        )
        raise ValueError(msg)
    name = f"{prefix}bias"
    terms = np.zeros(channels, np.int32)
    if bias is not None:
        terms = check.vector(name, bias, channels, (INT32,)).copy()
    weights = np.abs(kernel.reshape(-1, channels).astype(np.int16)).sum(axis=0, dtype=np.int64)
    largest = np.abs(terms.astype(np.int64)) + 255 * weights
    if np.any(largest + 255 * weights >= 2**31):
        msg = (
            f"{name} and the kernel could overflow int32: |bias| + 510 * sum(|w|) of a channel "
            f"must be below 2**31, got {int(np.max(largest + 255 * weights))}"
        )
        raise ValueError(msg)
    low, high = clamp(f"{prefix}activation", activation, result)
    shift = 128 if result.dtype == "uint8" else 0
    converts = bool(np.all(largest * multipliers.astype(np.float64) < 2**31 - 2**8))
    return Rescale(
        multipliers, terms, result.zero_point - shift, low - shift, high - shift, converts
    )


def _scales(name: str, value: object, channels: int) -> Float32:
    """One positive factor for each channel."""
    array = as_array(name, value)
    if array.shape not in ((channels,), (1,)):
        msg = f"{name} must have shape ({channels},), one a channel, or (1,), got {array.shape}"
        raise ValueError(msg)
    if not np.all((array >= TINY) & (array < np.inf)):
        msg = f"{name} must be positive, finite and normal in float32"
        raise ValueError(msg)
    return np.broadcast_to(array, channels).copy()


def clamp(name: str, activation: Any, q: Quantization) -> tuple[int, int]:
    """The integers between which an activation holds those of `q`."""
    if isinstance(activation, tuple) and len(activation) == 3 and activation[0] == "clip":
        lo, hi = (check.number(f"{name}[{i}]", activation[i]) for i in (1, 2))
        if not lo <= hi:
            msg = f"{name} must be clip with lo <= hi, got {describe(activation)}"
            raise ValueError(msg)
    elif activation is None or (isinstance(activation, str) and activation in _CLAMPS):
        lo, hi = _CLAMPS[activation or "linear"]
    else:
        known = ", ".join(map(repr, (None, *_CLAMPS)))
        msg = f"{name} must be {known} or ('clip', lo, hi), got {describe(activation)}"
        raise (ValueError if isinstance(activation, (str, tuple)) else TypeError)(msg)
    return _integer(lo, q), _integer(hi, q)


def _integer(number: float, q: Quantization) -> int:
    """A bound in integers: halves away from zero, as TFLite has them."""
    with np.errstate(over="ignore"):
        steps = float(np.float32(number) / np.float32(q.scale))
    low, high = q.limits
    steps = min(max(steps, low - q.zero_point - 1.0), high - q.zero_point + 1.0)
    rounded = int(steps + (0.5 if steps >= 0 else -0.5))
    return min(max(q.zero_point + rounded, low), high)
