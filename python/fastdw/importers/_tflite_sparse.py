"""Sparse constants of TFLite as dense arrays.

A tensor is stored as a tree, one level an axis, in an order that the file gives; blocks are further
axes. A dense level has all its entries, one of SPARSE_CSR those whose numbers are listed. The
leaves are the values. https://arxiv.org/abs/1804.10112 has the idea, under the name of TACO.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_MOST = 1 << 20
_SPARSEST = 64
"""A dense array may have `_MOST` numbers, or so many times those that are stored."""


def dense(values: AnyArray, shape: tuple[int, ...], sparsity: Any) -> AnyArray:
    """All numbers of a tensor whose leaves are `values`."""
    size = math.prod(shape)
    if min(shape, default=0) < 1 or size > max(_MOST, _SPARSEST * values.size):
        msg = f"a sparse tensor of {values.size} numbers has the shape {shape}"
        raise ValueError(msg)
    places, sizes = _leaves(sparsity, values.size)
    order = _order(sparsity, len(sizes), len(shape))
    coordinates = [np.zeros(values.size, np.int64) for _ in shape]
    blocks = _blocks(sparsity, len(sizes) - len(shape), len(shape))
    for axis, place, count in sorted(zip(order, places, sizes, strict=True), key=lambda v: v[0]):
        # Outer axes come first; an entry of a block counts within its block.
        target = axis if axis < len(shape) else blocks[axis - len(shape)]
        scale = 1 if axis < len(shape) else count
        coordinates[target] = coordinates[target] * scale + place
    if any(c.size and c.max() >= n for c, n in zip(coordinates, shape, strict=True)):
        msg = "a sparse tensor has numbers outside its shape"
        raise ValueError(msg)
    result = np.zeros(size, values.dtype)
    result[np.ravel_multi_index(coordinates, shape)] = values
    return result


def _leaves(sparsity: Any, number: int) -> tuple[list[AnyArray], list[int]]:
    """For each level the entry in which each leaf lies, and the size of the dense ones."""
    places: list[AnyArray] = []
    sizes, nodes = [], 1
    for level in range(sparsity.DimMetadataLength()):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == 0:
            size = metadata.DenseSize()
            counts = np.full(nodes, size) if 0 < size * nodes <= number + _MOST else None
            entries = np.tile(np.arange(size), nodes) if counts is not None else None
        else:
            segments, entries = _list(metadata, "Segments"), _list(metadata, "Indices")
            size = 0
            counts = np.diff(segments)
            whole = segments.size == nodes + 1 and segments[0] == 0
            if not whole or counts.min() < 0 or segments[-1] != entries.size:
                counts = None
        if counts is None or entries is None or (entries.size and entries.min() < 0):
            msg = f"a sparse tensor is damaged at level {level}"
            raise ValueError(msg)
        places = [np.repeat(place, counts) for place in places] + [entries]
        sizes.append(size)
        nodes = entries.size
    if nodes != number:
        msg = f"a sparse tensor has {nodes} places for {number} numbers"
        raise ValueError(msg)
    return places, sizes


def _list(metadata: Any, name: str) -> AnyArray:
    import tflite

    kinds = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
    kind = kinds.get(getattr(metadata, f"Array{name}Type")())
    table = getattr(metadata, f"Array{name}")()
    if kind is None or table is None:
        msg = f"a sparse tensor is damaged: its {name.lower()} are missing"
        raise ValueError(msg)
    vector = getattr(tflite, kind)()
    vector.Init(table.Bytes, table.Pos)
    length = vector.ValuesLength()
    return np.asarray(vector.ValuesAsNumpy() if length else [], np.int64)


def _order(sparsity: Any, levels: int, rank: int) -> list[int]:
    length = sparsity.TraversalOrderLength()
    order = sparsity.TraversalOrderAsNumpy().tolist() if length else []
    if sorted(order) != list(range(levels)) or levels < rank:
        msg = f"a sparse tensor of {rank} axes is stored in the order {order}"
        raise ValueError(msg)
    return list(order)


def _blocks(sparsity: Any, number: int, rank: int) -> list[int]:
    """The axis of which each block is a part."""
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    if len(blocks) != number or not all(0 <= axis < rank for axis in blocks):
        msg = f"a sparse tensor of {rank} axes has blocks of {blocks}"
        raise ValueError(msg)
    return list(blocks)
