"""What the twins share: arguments as arrays of float64, and where a window meets an image."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Pair = tuple[int, int]

# The transposition to (n, h, w, c).
_TO_NHWC = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1)}
_TO_NHWC |= {"channels_last": _TO_NHWC["NHWC"], "channels_first": _TO_NHWC["NCHW"]}


def require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def as_real(a: npt.ArrayLike) -> F64:
    # same_kind refuses complex numbers instead of dropping their imaginary half.
    return np.asarray(a).astype(np.float64, casting="same_kind", copy=False)


def as_vector(a: npt.ArrayLike, length: int, name: str) -> F64:
    vector = as_real(a)
    require(vector.shape == (length,), f"{name} is {vector.shape}, not ({length},)")
    return vector


def to_nhwc(data_format: str) -> tuple[int, ...]:
    require(data_format in _TO_NHWC, f"data_format is unknown: {data_format!r}")
    return _TO_NHWC[data_format]


def as_images(x: npt.ArrayLike, data_format: str) -> F64:
    """`x` as (N, H, W, C)."""
    images = as_real(x)
    if images.ndim == 3:
        images = images[np.newaxis]
    fits = images.ndim == 4 and 0 not in images.shape[1:]
    require(fits, f"x is not 3-D or 4-D, or empty: {np.shape(x)}")
    return images.transpose(to_nhwc(data_format))


def as_pair(value: Any, name: str, least: int) -> tuple[int, int]:
    height, width = (value, value) if np.ndim(value) == 0 else value
    pair = operator.index(height), operator.index(width)
    require(min(pair) >= least, f"{name} is below {least}: {value!r}")
    return pair


def window_pads(
    images: F64,
    taps: tuple[int, ...],
    strides: Pair,
    dilations: Pair,
    padding: Any,
    data_format: str,
) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right))."""
    if isinstance(padding, str):
        name = padding.lower()
        if name == "valid":
            return (0, 0), (0, 0)
        require(name in ("same", "same_lower"), f"padding is unknown: {padding!r}")
        vertical, horizontal = (
            same_pads(images.shape[1 + axis], taps[axis], strides[axis], dilations[axis])
            for axis in (0, 1)
        )
        return (vertical, horizontal) if name == "same" else (vertical[::-1], horizontal[::-1])
    if np.ndim(padding) < 2:
        height, width = as_pair(padding, "padding", 0)
        return (height, height), (width, width)
    pairs = [as_pair(pair, "padding", 0) for pair in padding]
    if len(pairs) == 4:
        batch, *pairs, channels = (pairs[axis] for axis in to_nhwc(data_format))
        require(not any(batch + channels), f"padding of batch or channels: {padding!r}")
    rows, columns = pairs
    return rows, columns


def same_pads(size: int, taps: int, stride: int, dilation: int) -> Pair:
    outputs = -(-size // stride)
    pad = max((outputs - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
    return pad // 2, pad - pad // 2


def windows(
    size: int, taps: int, stride: int, dilation: int, pads: Pair
) -> tuple[int, list[tuple[slice, slice]]]:
    """One axis: the number of outputs; then for each tap the outputs for which it lies inside the
    image, and the pixels that it meets there."""
    outputs = (size + sum(pads) - (taps - 1) * dilation - 1) // stride + 1
    require(outputs > 0, f"Computed output size would be zero or negative: {outputs}")
    slices = []
    for tap in range(taps):
        offset = tap * dilation - pads[0]
        first = max(0, -(offset // stride))
        count = max(0, min(outputs, (size - 1 - offset) // stride + 1) - first)
        start = first * stride + offset if count else 0
        stop = start + (count - 1) * stride + 1 if count else 0
        slices.append((slice(first, first + count), slice(start, stop, stride)))
    return outputs, slices


def as_result(
    y: F64, x: npt.ArrayLike, data_format: str, out: npt.NDArray[Any] | None
) -> npt.NDArray[Any]:
    y = y.transpose(np.argsort(to_nhwc(data_format)))
    if np.ndim(x) == 3:
        y = y[0]
    if out is None:
        return np.ascontiguousarray(y)
    require(out.shape == y.shape, f"out is {out.shape}, not {y.shape}")
    out[...] = y
    return out
