"""Weights of 8 bits whose zero point leaves them in nine: sums of two of int8.

The convolution sees what it reads twice, once for each part, so its sums are those of the whole
weights. That costs a copy of its input, and the products of the second part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers._common import MAX_TABLE, Unsupported

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._graph import GraphBuilder

_MOST = 127


def _parts(kernel: AnyArray) -> tuple[AnyArray, AnyArray]:
    first = np.clip(kernel, -_MOST, _MOST)
    second = kernel - first
    if not fits(second):  # 255 alone
        msg = "with weights that two of int8 do not make up"
        raise Unsupported(msg)
    return first.astype(np.int8), second.astype(np.int8)


def fits(kernel: AnyArray) -> bool:
    """Whether a kernel's integers are of int8."""
    return bool(kernel.min() >= -_MOST - 1 and kernel.max() <= _MOST)


def of_dense(
    builder: GraphBuilder, x: str, attrs: dict[str, Any], source: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """The input and the attributes of a dense convolution, its kernel in int8.

    Channels with large weights follow the others once more.
    """
    kernel = attrs["kernel"]
    if fits(kernel):
        return x, attrs | {"kernel": kernel.astype(np.int8)}
    if kernel.shape[2] != builder.shape(x)[-1]:
        msg = "with groups of channels"
        raise Unsupported(msg)
    first, second = _parts(kernel)
    again = np.flatnonzero(second.any(axis=(0, 1, 3)))
    table = (*range(kernel.shape[2]), *again.tolist())
    name = builder.add("gather", x, source=source, channels=table)
    return name, attrs | {"kernel": np.concatenate([first, second[:, :, again]], axis=2)}


def of_depthwise(
    builder: GraphBuilder, x: str, attrs: dict[str, Any], source: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """The input and the attributes of a depthwise convolution, its kernel in int8.

    Every row of the image is there twice, and every row of the kernel as its two parts.
    """
    kernel, (stride, *strides) = attrs["kernel"], attrs["strides"]
    if fits(kernel):
        return x, attrs | {"kernel": kernel.astype(np.int8)}
    if attrs["dilation_rate"][0] > 1:
        msg = "with a dilation of rows"
        raise Unsupported(msg)
    height = builder.shape(x)[0]
    if 2 * height > MAX_TABLE:
        msg = f"on {height} rows"
        raise Unsupported(msg)
    rows = np.arange(height).repeat(2).tolist()
    name = builder.add("gather", x, source=source, rows=tuple(rows))
    (top, bottom), columns = attrs["padding"]
    doubled = {
        "kernel": np.stack(_parts(kernel), axis=1).reshape(-1, *kernel.shape[1:]),
        "strides": (2 * stride, *strides),
        "padding": ((2 * top, 2 * bottom), columns),
    }
    return name, attrs | doubled
