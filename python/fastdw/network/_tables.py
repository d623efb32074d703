"""The tables of gather and bilinear: pads and resizing, in float64 where they are not whole."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fastdw._arguments import choice, describe, integer
from fastdw._geometry import pair

_MIRRORS = ("reflect", "symmetric")
_MODES = ("constant", *_MIRRORS, "edge")
_AXES = ("rows", "columns", "channels")
_MAX_PIXELS = 2**24
"""The most that an axis is padded by, or resized to."""


def padded(size: int, before: int, after: int, mode: str = "constant") -> tuple[int, ...]:
    """Where each row of a padded image comes from, −1 being the constant, for `gather`.

    Parameters
    ----------
    size : int
        Rows of the image.
    before, after : int
        Rows added at the ends; negative ones are cut off.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        As in `numpy.pad`.
    """
    more: Any = {"constant_values": -1} if mode == "constant" else {}
    rows = np.arange(max(0, -before), size + min(0, after))
    table = np.pad(rows, (max(before, 0), max(after, 0)), cast(Any, mode), **more)
    return tuple(table.tolist())


def pad(shape: tuple[int, ...], pad_width: object, mode: object) -> dict[str, Any]:
    """The tables of a gather that pads an image, by the `pad_width` of NumPy."""
    mode = choice("mode", mode, _MODES)
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
    tables: dict[str, Any] = dict.fromkeys(_AXES)
    for name, size, (before, after) in zip(_AXES, shape, widths[1:], strict=True):
        room = size - (mode == "reflect")
        if mode in _MIRRORS and max(before, after) > room:
            msg = f"{mode} pads must be at most {room}, got {before}, {after}"
            raise ValueError(msg)
        if before + after:
            tables[name] = padded(size, before, after, mode)
    return tables


def positions(size: int, out: int, mode: str, scale: float | None = None) -> npt.NDArray[Any]:
    """Where the pixels of a resized axis lie between those of the original, in float64.

    Parameters
    ----------
    size, out : int
        Pixels before and after.
    mode : {"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", \
        "asymmetric"}
        As ONNX calls them.
    scale : float, optional
        Factor from the one to the other, ``out / size`` if not given. align_corners ignores it.
    """
    index = np.arange(out, dtype=np.float64)
    if mode == "align_corners":
        return index * (size - 1) / (out - 1) if out > 1 else index * 0
    if mode == "pytorch_half_pixel" and out == 1:
        return index * 0
    half = 0.0 if mode == "asymmetric" else 0.5
    if scale is None:
        return (index + half) * size / out - half
    # What the rounding of the new size cut off is shared between both ends.
    cut = (size - out / scale) / 2 if mode == "half_pixel_symmetric" else 0.0
    return cut + (index + half) / scale - half


ROUNDINGS: dict[str, Callable[[Any], Any]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}


def nearest(at: npt.NDArray[Any], size: int, rounding: str) -> tuple[int, ...]:
    """The pixel next to each of the `positions`; `rounding` is ONNX's nearest_mode.

    TFLite: "floor" of asymmetric ones, "round_prefer_ceil" of half_pixel and align_corners.
    """
    return tuple(np.clip(ROUNDINGS[rounding](at), 0, size - 1).astype(int).tolist())


def linear(at: npt.NDArray[Any], size: int, prefix: str) -> dict[str, Any]:
    """The attributes of `bilinear` for the axis "row" or "column"."""
    low = np.floor(at)
    below, above = (np.clip(v, 0, size - 1).astype(int).tolist() for v in (low, low + 1))
    return {
        f"{prefix}_low": tuple(below),
        f"{prefix}_high": tuple(above),
        f"{prefix}_weight": at - low,
    }


def resize(
    shape: tuple[int, ...], size: object, interpolation: object
) -> tuple[str, dict[str, Any]]:
    """The operator that resizes an image, and its tables."""
    choice("interpolation", interpolation, ("bilinear", "nearest"))
    sizes = pair("size", size, _MAX_PIXELS)
    rows, columns = (
        positions(before, after, "half_pixel")
        for before, after in zip(shape[:2], sizes, strict=True)
    )
    if interpolation == "nearest":
        return "gather", {
            "rows": nearest(rows, shape[0], "round_prefer_ceil"),
            "columns": nearest(columns, shape[1], "round_prefer_ceil"),
        }
    return "bilinear", linear(rows, shape[0], "row") | linear(columns, shape[1], "column")


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
