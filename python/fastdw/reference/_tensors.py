"""What stands between convolutions in a network, on one image of (H, W, C)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import F64, Pair, as_real, require

_Pads = tuple[Pair, Pair]
_NO_PADS: _Pads = ((0, 0), (0, 0))
_Table = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]


@np.errstate(all="ignore")
def pool(
    x: npt.ArrayLike,
    function: str,
    window: Pair,
    strides: Pair,
    padding: _Pads = _NO_PADS,
    dilation_rate: Pair = (1, 1),
    counted: _Pads = _NO_PADS,
) -> F64:
    """Take the maximum or the average of every window, channel by channel.

    Parameters
    ----------
    x : array_like, (H, W, C)
        The image.
    function : {"max", "average"}
        What a window becomes.
    window, strides, dilation_rate : (int, int)
        Cells of a window, steps between windows, and between the cells of one.
    padding : ((top, bottom), (left, right))
        How far windows reach beyond the image.
    counted : ((top, bottom), (left, right))
        So much of it, next to the image, is zeros that count; other cells outside are left out.

    Returns
    -------
    ndarray of float64, (OH, OW, C)
        A window without a cell that counts has the maximum −inf and no average: NaN.
    """
    image = as_real(x)
    pads, zeros = (*padding, (0, 0)), (*counted, (0, 0))
    rest = [(p[0] - c[0], p[1] - c[1]) for p, c in zip(pads, zeros, strict=True)]
    require(image.ndim == 3, f"x is not 3-D: {image.shape}")
    require(min(map(min, rest)) >= 0, f"counted {counted} is more than padding {padding}")
    nothing = -np.inf if function == "max" else 0.0
    cells = np.pad(np.pad(image, zeros), rest, constant_values=nothing)
    counts = np.pad(np.pad(np.ones(image.shape), zeros, constant_values=1.0), rest)
    oh, ow = (
        (cells.shape[axis] - (window[axis] - 1) * dilation_rate[axis] - 1) // strides[axis] + 1
        for axis in (0, 1)
    )
    require(min(oh, ow) > 0, f"Computed output size would be zero or negative: {oh}, {ow}")
    y, number = np.full((oh, ow, image.shape[2]), nothing), np.zeros((oh, ow, 1))
    for di in range(window[0]):
        for dj in range(window[1]):
            top, left = di * dilation_rate[0], dj * dilation_rate[1]
            rows = slice(top, top + (oh - 1) * strides[0] + 1, strides[0])
            columns = slice(left, left + (ow - 1) * strides[1] + 1, strides[1])
            y = (
                np.maximum(y, cells[rows, columns])
                if function == "max"
                else (y + cells[rows, columns])
            )
            number = number + counts[rows, columns, :1]
    return y if function == "max" else y / number


@np.errstate(all="ignore")
def global_pool(x: npt.ArrayLike, function: str) -> F64:
    """Take the maximum or the average of all pixels, as an image of one pixel.

    Parameters
    ----------
    x : array_like, (H, W, C)
        The image.
    function : {"max", "average"}
        What it becomes.

    Returns
    -------
    ndarray of float64, (1, 1, C)
    """
    image = as_real(x)
    combine = np.max if function == "max" else np.mean
    return np.asarray(combine(image, axis=(0, 1), keepdims=True))


def gather(
    x: npt.ArrayLike,
    rows: npt.ArrayLike | None = None,
    columns: npt.ArrayLike | None = None,
    channels: npt.ArrayLike | None = None,
    constant: float = 0.0,
) -> F64:
    """Pick rows, columns and channels by their numbers.

    Pads, resizing to the nearest, crops with steps and the shuffling of channels are all this.

    Parameters
    ----------
    x : array_like, (H, W, C)
        The image.
    rows, columns, channels : sequence of int, optional
        For each of the output's the number of the input's, or −1 for the constant; None keeps all.
    constant : float
        Where one of the three numbers is −1.

    Returns
    -------
    ndarray of float64, (len(rows), len(columns), len(channels))
    """
    y = as_real(x)
    for axis, table in enumerate((rows, columns, channels)):
        if table is None:
            continue
        numbers = np.asarray(table)
        fits = numbers.ndim == 1 and numbers.size > 0 and np.all(numbers >= -1)
        require(bool(fits), f"a table must be a line of numbers of at least -1: {table!r}")
        y = np.take(y, np.maximum(numbers, 0), axis)
        where = [slice(None)] * 3
        y[(*where[:axis], numbers < 0)] = constant
    return y


@np.errstate(all="ignore")
def bilinear(x: npt.ArrayLike, rows: _Table, columns: _Table) -> F64:
    """Resize by mixing two neighbours along each axis: columns first, then rows.

    Parameters
    ----------
    x : array_like, (H, W, C)
        The image.
    rows, columns : (low, high, weight)
        For each of the output's the numbers of two of the input's, a and b, and the w in
        ``a + (b − a)·w``.

    Returns
    -------
    ndarray of float64, (OH, OW, C)
    """
    low, high, weight = _table(columns)
    image = as_real(x)
    y = image[:, low] + (image[:, high] - image[:, low]) * weight[:, np.newaxis]
    low, high, weight = _table(rows)
    return np.asarray(y[low] + (y[high] - y[low]) * weight[:, np.newaxis, np.newaxis])


def _table(table: _Table) -> tuple[npt.NDArray[Any], npt.NDArray[Any], F64]:
    low, high, weight = table
    return np.asarray(low), np.asarray(high), as_real(weight)


@np.errstate(all="ignore")
def softmax(x: npt.ArrayLike, beta: float = 1.0) -> F64:
    """Turn the last axis into shares of 1: exp(beta·x) by their sum.

    Parameters
    ----------
    x : array_like
        The scores.
    beta : float
        Factor of the scores.

    Returns
    -------
    ndarray of float64, shape of `x`
    """
    scores = as_real(x)
    powers = np.exp(beta * (scores - scores.max(axis=-1, keepdims=True)))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@np.errstate(all="ignore")
def normalize(x: npt.ArrayLike, scale: npt.ArrayLike, offset: npt.ArrayLike, epsilon: float) -> F64:
    """Bring the last axis to mean 0 and variance 1, then scale and shift each of its entries.

    Parameters
    ----------
    x : array_like, (..., C)
        The values.
    scale, offset : array_like, (C,)
        What the results are multiplied by, and what is added then.
    epsilon : float
        Added to the variance.

    Returns
    -------
    ndarray of float64, shape of `x`
    """
    values = as_real(x)
    difference = values - values.mean(axis=-1, keepdims=True)
    variance = (difference**2).mean(axis=-1, keepdims=True)
    unit = difference / np.sqrt(variance + epsilon)
    return np.asarray(unit * as_real(scale) + as_real(offset))
