"""The tables of gather and bilinear: pads and resizing, in float64 where they are not whole."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastdw._arguments import INT64_MAX, describe, integer

_MODES = ("constant", "reflect", "symmetric", "edge")
_AXES = ("rows", "columns", "channels")
_MAX_PIXELS = 2**24
"""The most that an axis is padded by, or resized to."""


def pair(name: str, value: object, most: int = INT64_MAX) -> tuple[int, int]:
    """(height, width), each at least 1; an int is both."""
    if not isinstance(value, (tuple, list)):
        both = integer(name, value, 1, most, wanted="an int or (h, w)")
        return both, both
    if len(value) != 2:
        msg = f"{name} must be an int or (h, w), got {describe(value)}"
        raise ValueError(msg)
    return integer(f"{name}[0]", value[0], 1, most), integer(f"{name}[1]", value[1], 1, most)


def padded(size: int, before: int, after: int, mode: str = "constant") -> tuple[int, ...]:
    """One axis of a padded image: the numbers of its entries, −1 for the constant."""
    if mode == "constant":
        return (-1,) * before + tuple(range(size)) + (-1,) * after
    if mode == "edge":
        return (0,) * before + tuple(range(size)) + (size - 1,) * after
    if max(before, after) > size - (mode == "reflect"):
        msg = f"{mode} pads must be at most {size - (mode == 'reflect')}, got {before}, {after}"
        raise ValueError(msg)
    return tuple(np.pad(np.arange(size), (before, after), mode).tolist())  # type: ignore[call-overload]


def pad(shape: tuple[int, ...], pad_width: object, mode: object) -> dict[str, Any]:
    """The tables of a gather that pads an image, by the `pad_width` of NumPy."""
    if not isinstance(mode, str):
        msg = f"mode must be a str, got {describe(mode)}"
        raise TypeError(msg)
    if mode not in _MODES:
        msg = f"mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}"
        raise ValueError(msg)
    if not isinstance(pad_width, (tuple, list)):
        msg = f"pad_width must be pairs of ints, got {describe(pad_width)}"
        raise TypeError(msg)
    if len(shape) != 3 or len(pad_width) != 4:
        msg = f"x must be (N, H, W, C) and pad_width have four pairs, got {describe(pad_width)}"
        raise ValueError(msg)
    widths = []
    for i, part in enumerate(pad_width):
        if not isinstance(part, (tuple, list)) or len(part) != 2:
            msg = f"pad_width[{i}] must be a pair of ints, got {describe(part)}"
            raise ValueError(msg)
        widths.append(
            [integer(f"pad_width[{i}][{j}]", n, 0, _MAX_PIXELS) for j, n in enumerate(part)]
        )
    if any(widths[0]) or (any(widths[3]) and mode != "constant"):
        msg = f"pad_width must be zero for the batch, and in mode {mode!r} for channels"
        raise ValueError(msg)
    return {
        name: padded(size, before, after, mode) if before + after else None
        for name, size, (before, after) in zip(_AXES, shape, widths[1:], strict=True)
    }


def linear(before: int, after: int) -> tuple[tuple[int, ...], tuple[int, ...], Any]:
    """One axis resized from `before` to `after` entries, half pixel: low, high, weight."""
    x = np.maximum((np.arange(after) + 0.5) * (before / after) - 0.5, 0.0)
    low = np.minimum(np.floor(x).astype(np.int64), before - 1)
    high = np.minimum(low + 1, before - 1)
    return tuple(low.tolist()), tuple(high.tolist()), x - low


def nearest(before: int, after: int) -> tuple[int, ...]:
    """One axis resized from `before` to `after` entries, half pixel: the middle's number."""
    numbers = ((2 * i + 1) * before // (2 * after) for i in range(after))
    return tuple(numbers)


def resize(
    shape: tuple[int, ...], size: object, interpolation: object
) -> tuple[str, dict[str, Any]]:
    """The operator that resizes an image, and its tables."""
    if not isinstance(interpolation, str):
        msg = f"interpolation must be a str, got {describe(interpolation)}"
        raise TypeError(msg)
    if interpolation not in ("bilinear", "nearest"):
        msg = f"interpolation must be 'bilinear' or 'nearest', got {interpolation!r}"
        raise ValueError(msg)
    height, width = pair("size", size, _MAX_PIXELS)
    if interpolation == "nearest":
        rows, columns = nearest(shape[0], height), nearest(shape[1], width)
        return "gather", {"rows": rows, "columns": columns}
    tables = {"row": linear(shape[0], height), "column": linear(shape[1], width)}
    parts = ("low", "high", "weight")
    return "bilinear", {
        f"{axis}_{part}": value
        for axis, table in tables.items()
        for part, value in zip(parts, table, strict=True)
    }


def reshaped(shape: tuple[int, ...], newshape: object) -> tuple[int, ...]:
    """The shape of one image, where `newshape` begins with the batch."""
    if not isinstance(newshape, (tuple, list)):
        msg = f"newshape must be a tuple of ints, got {describe(newshape)}"
        raise TypeError(msg)
    sizes = [integer(f"newshape[{i}]", n, -1) for i, n in enumerate(newshape)]
    rest, count = sizes[1:], prod(shape)
    if rest.count(-1) == 1:
        known = prod(n for n in rest if n >= 0)
        rest = [count // known if n < 0 and known else n for n in rest]
    if len(sizes) < 2 or min(rest) < 1 or prod(rest) != count:
        msg = f"newshape must hold the {count} entries of an image after the batch, got {newshape}"
        raise ValueError(msg)
    return tuple(rest)
