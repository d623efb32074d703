"""Kinds of attributes: each checks a value and gives it back in its one form.

Numbers come back as Python ints and floats, sequences as tuples, so that a graph that was read from
a file equals the one that was saved. A wrong type is a TypeError, a wrong value a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastdw import _arguments
from fastdw._activations import Activation, parse_activation
from fastdw._arguments import FLOATS, as_array, describe, integer, number
from fastdw._geometry import MAX_EXTENT

Kind = Callable[[str, Any], Any]

MAX_RANK = 6
NO_PADS = ((0, 0), (0, 0))

_REQUIRED: Any = object()


class Attribute(NamedTuple):
    """What an attribute may be, and what it is where a builder does not name it."""

    kind: Kind
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED


def pair(least: int) -> Kind:
    """(height, width)."""

    def check(name: str, value: Any) -> tuple[int, ...]:
        return _integers(name, value, least, 2)

    return check


def integers(least: int) -> Kind:
    """One int an axis, or an entry."""

    def check(name: str, value: Any) -> tuple[int, ...]:
        return _integers(name, value, least, None)

    return check


def pads(name: str, value: Any) -> tuple[tuple[int, ...], ...]:
    """((top, bottom), (left, right))."""
    rows, columns = _sequence(name, value, 2)
    return _integers(f"{name}[0]", rows, 0, 2), _integers(f"{name}[1]", columns, 0, 2)


def count(least: int) -> Kind:
    def check(name: str, value: Any) -> int:
        return integer(name, value, least, MAX_EXTENT)

    return check


def real(name: str, value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    result = number(name, value)
    if not math.isfinite(result):
        msg = f"{name} must be finite, got {result}"
        raise ValueError(msg)
    return result


def real32(name: str, value: Any) -> float:
    """The same within the range of float32."""
    result = real(name, value)
    if abs(result) > float(np.finfo(np.float32).max):
        msg = f"{name} must be finite in float32, got {result}"
        raise ValueError(msg)
    return result


def choice(*words: str) -> Kind:
    def check(name: str, value: Any) -> str:
        return _arguments.choice(name, value, words)

    return check


def array(rank: int) -> Kind:
    """float32 or float64, not empty."""

    def check(name: str, value: Any) -> np.ndarray[Any, Any]:
        result = as_array(name, value, FLOATS)
        if result.ndim != rank or not result.size:
            msg = f"{name} must have {rank} axes and not be empty, got shape {result.shape}"
            raise ValueError(msg)
        return result

    return check


def whole(dtype: str, rank: int) -> Kind:
    """Integers of this dtype, not empty."""

    def check(name: str, value: Any) -> np.ndarray[Any, Any]:
        result = as_array(name, value, (np.dtype(dtype),))
        if result.ndim != rank or not result.size:
            msg = f"{name} must have {rank} axes and not be empty, got shape {result.shape}"
            raise ValueError(msg)
        return result

    return check


def quantization(name: str, value: Any) -> tuple[float, int, str]:
    """(scale, zero_point, dtype) of an 8-bit tensor, or a Quantization."""
    from fastdw._quantization import Quantization  # most networks have none

    fields = value if isinstance(value, Quantization) else Quantization(*_sequence(name, value, 3))
    return fields.scale, fields.zero_point, fields.dtype


def bounds(name: str, value: Any) -> Any:
    """An activation of 8-bit integers."""
    from fastdw._quantization import Quantization, clamp

    if isinstance(value, list):
        value = tuple(value)
    clamp(name, value, Quantization(1.0))
    if isinstance(value, tuple):
        return ("clip", *(number(name, end) for end in value[1:]))
    return None if value == "linear" else value


def optional(kind: Kind) -> Kind:
    def check(name: str, value: Any) -> Any:
        return None if value is None else kind(name, value)

    return check


def activation(name: str, value: Any) -> Any:
    """As every operator takes it; prelu's slopes are of any length here: see `fits`."""
    return _parsed(name, value).argument


def keeps_zero(value: Any) -> bool:
    """Whether an accepted activation maps 0 to 0."""
    return _parsed("activation", value).zero_at_zero


def _parsed(name: str, value: Any) -> Activation:
    slopes = value[1] if isinstance(value, (tuple, list)) and len(value) > 1 else None
    channels = len(slopes) if isinstance(slopes, np.ndarray) and slopes.ndim else 1
    return parse_activation(name, value, channels)


def fits(name: str, value: Any, channels: int) -> None:
    """Refuse slopes of prelu that are not one a channel."""
    if isinstance(value, tuple) and value[0] == "prelu" and len(value[1]) != channels:
        msg = f"{name} has {len(value[1])} slopes for {channels} channels"
        raise ValueError(msg)


def _integers(name: str, value: Any, least: int, length: int | None) -> tuple[int, ...]:
    values = _sequence(name, value, length)
    return tuple(integer(f"{name}[{i}]", v, least, MAX_EXTENT) for i, v in enumerate(values))


def _sequence(name: str, value: Any, length: int | None) -> tuple[Any, ...]:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, (tuple, list)):
        msg = f"{name} must be a tuple, got {describe(value)}"
        raise TypeError(msg)
    if not value or (length is not None and len(value) != length):
        wanted = "at least one entry" if length is None else f"{length} entries"
        msg = f"{name} must have {wanted}, got {describe(value)}"
        raise ValueError(msg)
    return tuple(value)


ONES = Attribute(pair(1), (1, 1))
PADS = Attribute(pads, NO_PADS)
WINDOW = {"strides": ONES, "padding": PADS, "dilation_rate": ONES}
"""Where the window of a convolution lies."""


def place(attrs: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a window among those of a node."""
    return {name: attrs[name] for name in WINDOW}


BILINEAR = {
    f"{axis}_{part}": Attribute(array(1) if part == "weight" else integers(0))
    for axis in ("row", "column")
    for part in ("low", "high", "weight")
}
"""Tables of a resize: of each of the output's rows and columns two of the input's, and the share of
the second."""
