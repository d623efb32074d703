"""Operators of ONNX that move numbers: most cost nothing but a note of the new order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_fold import axes_of, cut, new_shape, slices
from fastdw.importers._onnx_math import stretched
from fastdw.importers._onnx_values import (
    IMAGE,
    Axes,
    Conversion,
    Live,
    Value,
    axis_of,
    expanded,
    groups_of,
    ints,
    large,
    without,
)

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_FAR = 2**31 - 1  # an end that means all


def _transpose(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    rank = len(x.shape)
    order = node.integers("perm", list(range(rank))[::-1])
    if sorted(order) != list(range(rank)):
        msg = f"with perm={order} on {rank} axes"
        raise Unsupported(msg)
    axes = tuple(None if a is None else order.index(a) for a in x.axes)
    return Live(x.name, tuple(x.shape[a] for a in order), axes)


def reshaped(c: Conversion, x: Live, shape: tuple[int, ...]) -> Live:
    """`x` with the model's shape changed, its numbers being taken in the model's order."""
    if x.before is not None:
        return reshaped(c, x.before, shape)
    if math.prod(shape) == 0:
        msg = f"to {shape}"
        raise Unsupported(msg)
    number: dict[int, list[int]] = {}
    for old, new in groups_of(x.shape, shape):
        there = [a for a in x.axes if a in old]
        if there != old or not _adjacent(x, old):
            return Live(x.name, shape, (), before=x)
        number[old[0]] = new
    axes: list[int] = []
    for a in x.axes:
        axes += number.get(-1 if a is None else a, [])
    same = [n for n in x.shape if n > 1] == [n for n in shape if n > 1]
    if same and len(axes) == len(large(x)):
        fresh = iter(axes)
        kept = [next(fresh) if a is not None and x.shape[a] > 1 else None for a in x.axes]
        return Live(x.name, shape, tuple(kept))
    name = c.reshape(x.name, tuple(shape[a] for a in axes))
    return Live(name, shape, tuple(axes) or (None,))


def _adjacent(x: Live, axes: list[int]) -> bool:
    """Whether these stand side by side in the graph, apart from axes of one entry."""
    order = [a for a in x.axes if a is not None and x.shape[a] > 1]
    first = order.index(axes[0])
    return order[first : first + len(axes)] == axes


def _reshape(c: Conversion, node: OnnxNode) -> Value:
    x, wanted = c.unsettled(node), c.constant(node, 1, "sizes")
    allow_zero = bool(node.integer("allowzero", 0))
    if wanted is None:
        msg = "without a shape"
        raise Unsupported(msg)
    return reshaped(c, x, new_shape(x.shape, ints(wanted), allow_zero))


def _flatten(c: Conversion, node: OnnxNode) -> Value:
    x = c.unsettled(node)
    axis = node.integer("axis", 1)
    axis = axis if axis == len(x.shape) else axis_of(axis, len(x.shape))
    c.keep_images_apart(x, [axis])
    return reshaped(c, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(c: Conversion, node: OnnxNode) -> Value:
    x = c.unsettled(node)
    axes = axes_of(node, [None, c.constant(node, 1, "axes")], 1, 13, c.opset)
    rank = len(x.shape)
    gone = (
        [axis_of(a, rank) for a in axes]
        if axes is not None
        else [a for a, n in enumerate(x.shape) if n == 1]
    )
    if any(x.shape[a] != 1 for a in gone):
        msg = f"of axes {gone} of {x.shape}"
        raise Unsupported(msg)
    if x.before is not None:
        return reshaped(c, x, tuple(n for a, n in enumerate(x.shape) if a not in gone))
    return without(x, gone)


def _unsqueeze(c: Conversion, node: OnnxNode) -> Value:
    x = c.unsettled(node)
    axes = axes_of(node, [None, c.constant(node, 1, "axes")], 1, 13, c.opset) or []
    rank = len(x.shape) + len(axes)
    more = {axis_of(a, rank) for a in axes}
    c.keep_images_apart(x, more)
    sizes = iter(x.shape)
    shape = tuple(1 if a in more else next(sizes, 1) for a in range(rank))
    if len(more) != len(axes):
        msg = f"with axes {axes}"
        raise Unsupported(msg)
    if x.before is not None:
        return reshaped(c, x, shape)
    left = [a for a in range(rank) if a not in more]
    return Live(x.name, shape, tuple(None if a is None else left[a] for a in x.axes))


def _concat(c: Conversion, node: OnnxNode) -> Value:
    parts = [c.settled(c.plain(c.value(name))) for name in node.inputs]
    shape = parts[0].shape
    axis = axis_of(node.integer("axis", 1), len(shape))
    sizes = {(*p.shape[:axis], *p.shape[axis + 1 :]) for p in parts}
    if len(sizes) != 1 or len({len(p.shape) for p in parts}) != 1:
        msg = f"of shapes {[p.shape for p in parts]}"
        raise Unsupported(msg)
    c.keep_images_apart(parts[0], [axis])
    axes = _common_order(parts, axis)
    names = [c.arrange(p, axes) for p in parts]
    name = c.add("concat", names, axis=axes.index(axis))
    total = sum(p.shape[axis] for p in parts)
    return Live(name, (*shape[:axis], total, *shape[axis + 1 :]), axes)


def _common_order(parts: Sequence[Live], axis: int) -> Axes:
    """The order that most have, one that was computed before that of the inputs."""
    shape = parts[0].shape
    needed = {axis, *(a for a, n in enumerate(shape) if n > 1)}
    orders = [p.axes for p in parts if needed <= set(p.axes)]
    if not orders:
        if len(shape) == 4 and shape[0] == 1:
            return IMAGE
        order = [a for a in parts[0].axes if a in needed and a is not None]
        return tuple(order) if axis in order else (*order, axis)
    plain = tuple(range(1, len(shape)))
    return max(orders, key=lambda order: (orders.count(order), order != plain))


def _slice(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    inputs = [None] + [c.constant(node, i, "bounds") for i in range(1, len(node.inputs))]
    bounds = slices(node, inputs, len(x.shape), c.opset)
    c.keep_images_apart(x, [a for a, (begin, end, _) in bounds.items() if begin or end < _FAR])
    return _part(c, x, {a: cut(x.shape[a], *b) for a, b in bounds.items()})


def _part(c: Conversion, x: Live, kept: dict[int, range]) -> Live:
    """Some entries of some axes."""
    if not all(kept.values()):
        msg = "that leaves nothing"
        raise Unsupported(msg)
    kept = {a: r for a, r in kept.items() if r != range(x.shape[a])}
    for reversed_range in (r for r in kept.values() if r.step < 0):
        _common.check_length(len(reversed_range))
    backwards = {a: tuple(r) for a, r in kept.items() if r.step < 0}
    x = c.pick(x, backwards)
    kept = {a: r for a, r in kept.items() if r.step > 0}
    if not kept:
        return x
    ranges = [range(1) if a is None else kept.get(a, range(x.shape[a])) for a in x.axes]
    name = c.add(
        "slice",
        x.name,
        begin=tuple(r.start for r in ranges),
        size=tuple(len(r) for r in ranges),
        step=tuple(r.step for r in ranges),
    )
    shape = tuple(len(kept[a]) if a in kept else n for a, n in enumerate(x.shape))
    return Live(name, shape, x.axes)


def _split(c: Conversion, node: OnnxNode) -> list[Value]:
    x = c.live(node)
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    c.keep_images_apart(x, [axis])
    sizes = node.integers("split") if c.opset < 13 else c.constant(node, 1, "sizes")
    if sizes is None:
        number = len(node.outputs)
        parts = node.integer("num_outputs", number)
        if parts != number:
            msg = f"into {parts} parts with {number} outputs"
            raise Unsupported(msg)
        most = -(-x.shape[axis] // number)
        sizes = [most] * (number - 1) + [x.shape[axis] - most * (number - 1)]
    ends = np.cumsum(ints(sizes)).tolist()
    if len(ends) != len(node.outputs) or ends[-1] != x.shape[axis] or min(ints(sizes)) < 1:
        msg = f"of {x.shape[axis]} into {ints(sizes)}"
        raise Unsupported(msg)
    starts = [0, *ends[:-1]]
    return [_part(c, x, {axis: range(s, e)}) for s, e in zip(starts, ends, strict=True)]


def _gather(c: Conversion, node: OnnxNode) -> Value:
    x, index = c.live(node), c.constant(node, 1, "indices")
    axis = axis_of(node.integer("axis", 0), len(x.shape))
    if index is None or not 1 <= index.size <= _common.MAX_TABLE:
        msg = "without indices, or with very many"
        raise Unsupported(msg)
    if index.ndim < 2:
        return _picked(c, x, index, axis)
    picked = _picked(c, x, index.reshape(-1), axis)
    return reshaped(c, picked, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _gather_nd(c: Conversion, node: OnnxNode) -> Value:
    """By indices of the first axes, made one: PyTorch writes lists of rows and columns so."""
    x, index = c.live(node), c.constant(node, 1, "indices")
    if node.integer("batch_dims", 0) or index is None or not 1 <= index.size <= _common.MAX_TABLE:
        msg = "with batch_dims, without indices, or with very many"
        raise Unsupported(msg)
    count = index.shape[-1]
    sizes, rest = x.shape[:count], x.shape[count:]
    c.keep_images_apart(x, range(len(sizes)))
    places = [i + n * (i < 0) for i, n in zip(np.moveaxis(index, -1, 0), sizes, strict=True)]
    flat = np.ravel_multi_index(tuple(places), sizes)
    picked = _picked(c, reshaped(c, x, (math.prod(sizes), *rest)), flat.reshape(-1), 0)
    return reshaped(c, picked, (*index.shape[:-1], *rest))


def _picked(c: Conversion, x: Live, index: AnyArray, axis: int) -> Live:
    c.keep_images_apart(x, [axis])
    size = x.shape[axis]
    picked = [i + size if i < 0 else i for i in ints(index)]
    if not all(0 <= i < size for i in picked):
        msg = f"with indices beyond {size}"
        raise Unsupported(msg)
    if index.ndim == 0:
        return without(_part(c, x, {axis: range(picked[0], picked[0] + 1)}), [axis])
    if picked == list(range(picked[0], picked[0] + len(picked))):
        return _part(c, x, {axis: range(picked[0], picked[0] + len(picked))})
    return c.pick(x, {axis: tuple(picked)})


def _expand(c: Conversion, node: OnnxNode) -> Value:
    x, wanted = c.live(node), c.constant(node, 1, "sizes")
    shape = np.broadcast_shapes(x.shape, tuple(ints([] if wanted is None else wanted)))
    return stretched(c, expanded(x, len(shape)), shape)


def _tile(c: Conversion, node: OnnxNode) -> Value:
    x, repeats = c.live(node), c.constant(node, 1, "repeats")
    times = ints([] if repeats is None else repeats)
    if len(times) != len(x.shape):
        msg = f"of {x.shape} by {times}"
        raise Unsupported(msg)
    tables = {}
    for axis, (size, number) in enumerate(zip(x.shape, times, strict=True)):
        if number != 1:
            _common.check_length(size * number)
            tables[axis] = tuple(range(size)) * number
    c.keep_images_apart(x, tables)
    return c.pick(x, tables)


def _depth_to_space(c: Conversion, node: OnnxNode) -> Value:
    x, block = c.live(node), node.integer("blocksize", 0)
    mode = node.text("mode", "DCR")
    name = c.image(x)
    height, width, channels = c.builder.shape(name)
    if block < 1 or channels % block**2 or mode not in ("DCR", "CRD"):
        msg = f"with blocksize={block}, mode={mode!r} on {channels} channels"
        raise Unsupported(msg)
    left = channels // block**2
    parts, order = ((block, block, left), (0, 2, 1, 3, 4))
    if mode == "CRD":
        parts, order = ((left, block, block), (0, 3, 1, 4, 2))
    name = c.add("transpose", c.reshape(name, (height, width, *parts)), axes=order)
    name = c.reshape(name, (height * block, width * block, left))
    return Live(name, (1, left, height * block, width * block), IMAGE)


def _space_to_depth(c: Conversion, node: OnnxNode) -> Value:
    x, block = c.live(node), node.integer("blocksize", 0)
    order = {"DCR": (0, 2, 1, 3, 4), "CRD": (0, 2, 4, 1, 3)}.get(node.text("mode", "DCR"))
    name = c.image(x)
    height, width, channels = c.builder.shape(name)
    if block < 1 or height % block or width % block or order is None:
        msg = f"with blocksize={block} on {height}×{width}"
        raise Unsupported(msg)
    rows, columns = height // block, width // block
    name = c.reshape(name, (rows, block, columns, block, channels))
    name = c.add("transpose", name, axes=order)
    name = c.reshape(name, (rows, columns, channels * block**2))
    return Live(name, (1, channels * block**2, rows, columns), IMAGE)


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Expand": _expand,
    "Tile": _tile,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
