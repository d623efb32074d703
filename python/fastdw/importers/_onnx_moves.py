"""Operators of ONNX that move numbers: most cost nothing but a note of the new order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_fold import axes_of, cut, new_shape, slices
from fastdw.importers._onnx_math import without
from fastdw.importers._onnx_values import (
    IMAGE,
    Axes,
    Conversion,
    Live,
    Value,
    axis_of,
    ints,
    large,
)

_COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


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
    for old, new in _groups(x.shape, shape):
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


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The axes of more than one entry, cut into the smallest parts of equal products."""
    rest = [a for a, n in enumerate(old) if n > 1], [a for a, n in enumerate(new) if n > 1]
    groups = []
    while rest[0] or rest[1]:
        taken: tuple[list[int], list[int]] = ([rest[0].pop(0)], [rest[1].pop(0)])
        while True:
            products = [
                math.prod(shape[a] for a in part)
                for shape, part in zip((old, new), taken, strict=True)
            ]
            if products[0] == products[1]:
                break
            side = int(products[0] > products[1])
            taken[side].append(rest[side].pop(0))
        groups.append(taken)
    return groups


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
    if axis == 0 and shape[0] == 1:
        msg = "of the images of a batch"
        raise Unsupported(msg)
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
    kept = {a: cut(x.shape[a], *b) for a, b in slices(node, inputs, len(x.shape), c.opset).items()}
    return _part(c, x, kept)


def _part(c: Conversion, x: Live, kept: dict[int, range]) -> Live:
    """Some entries of some axes."""
    if not all(kept.values()):
        msg = "that leaves nothing"
        raise Unsupported(msg)
    kept = {a: r for a, r in kept.items() if r != range(x.shape[a])}
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
    sizes = node.integers("split") if c.opset < 13 else c.constant(node, 1, "sizes")
    number = node.integer("num_outputs", len(node.outputs))
    if sizes is None:
        most = -(-x.shape[axis] // max(number, 1))
        sizes = [most] * (number - 1) + [x.shape[axis] - most * (number - 1)]
    ends = np.cumsum(ints(sizes)).tolist()
    if len(ends) != len(node.outputs) or ends[-1] != x.shape[axis] or min(ints(sizes)) < 1:
        msg = f"of {x.shape[axis]} into {ints(sizes)}"
        raise Unsupported(msg)
    starts = [0, *ends[:-1]]
    return [_part(c, x, {axis: range(s, e)}) for s, e in zip(starts, ends, strict=True)]


def _gather(c: Conversion, node: OnnxNode) -> Value:
    x, index = c.live(node), c.constant(node, 1, "indices")
    if index is None or index.ndim > 1 or not index.size:
        msg = "with indices of several axes"
        raise Unsupported(msg)
    axis = axis_of(node.integer("axis", 0), len(x.shape))
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
    if len(shape) != len(x.shape):
        msg = f"of {x.shape} to {shape}"
        raise Unsupported(msg)
    if max(shape) > _common.MAX_TABLE:
        msg = f"to {shape}"
        raise Unsupported(msg)
    tables = {a: (0,) * n for a, n in enumerate(shape) if n != x.shape[a]}
    return c.pick(x, tables)


def _pad(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    rank = len(x.shape)
    mode = node.text("mode", "constant")
    if mode not in ("constant", "edge", "reflect", "wrap"):
        msg = f"with mode={mode!r}"
        raise Unsupported(msg)
    axes, constant = list(range(rank)), 0.0
    if c.opset < 11:
        pads, constant = node.integers("pads"), node.number("value", 0.0)
    else:
        given = c.constant(node, 1, "pads")
        pads = [] if given is None else ints(given)
        value, some = c.constant(node, 2, "values"), c.constant(node, 3, "axes")
        constant = constant if value is None else float(value.reshape(-1)[0])
        axes = axes if some is None else [axis_of(a, rank) for a in ints(some)]
    if len(pads) != 2 * len(axes):
        msg = f"with pads {pads} on {rank} axes"
        raise Unsupported(msg)
    tables = {}
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            tables[axis] = _common.pad_table(x.shape[axis], before, after, mode)
    return c.pick(x, tables, constant)


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
    name = c.image(x)
    height, width, channels = c.builder.shape(name)
    if block < 1 or height % block or width % block:
        msg = f"with blocksize={block} on {height}×{width}"
        raise Unsupported(msg)
    rows, columns = height // block, width // block
    name = c.reshape(name, (rows, block, columns, block, channels))
    name = c.add("transpose", name, axes=(0, 2, 1, 3, 4))
    name = c.reshape(name, (rows, columns, channels * block**2))
    return Live(name, (1, channels * block**2, rows, columns), IMAGE)


def _resize(c: Conversion, node: OnnxNode) -> Value:
    """Nearest or linear; opset 10 knew one way, as Upsample did."""
    old = c.opset < 11
    coordinates = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = node.text("nearest_mode", "floor" if old else "round_prefer_floor")
    for name, neutral in (("exclude_outside", 0), ("antialias", 0)):
        if node.integer(name, 0) != neutral:
            msg = f"with {name}"
            raise Unsupported(msg)
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        msg = f"with keep_aspect_ratio_policy={policy!r}"
        raise Unsupported(msg)
    for name in ("cubic_coeff_a", "extrapolation_value"):  # of modes that are refused
        node.take(name, None)
    x, axes = c.live(node), node.integers("axes")
    scales = c.constant(node, 1 if old else 2, "scales")
    sizes = None if old else c.constant(node, 3, "sizes")
    mode = node.text("mode", "nearest")
    return _resized(c, x, axes, (scales, sizes), (mode, coordinates, rounding))


def _upsample(c: Conversion, node: OnnxNode) -> Value:
    x, mode = c.live(node), node.text("mode", "nearest")
    scales = node.take("scales") if c.opset < 9 else c.constant(node, 1, "scales")
    return _resized(c, x, None, (scales, None), (mode, "asymmetric", "floor"))


def _resized(
    c: Conversion, x: Live, axes: Any, factors: tuple[Any, Any], modes: tuple[str, str, str]
) -> Live:
    mode, coordinates, rounding = modes
    if mode not in ("nearest", "linear"):
        msg = f"with mode={mode!r}"
        raise Unsupported(msg)
    if coordinates not in _COORDINATES:
        msg = f"with coordinate_transformation_mode={coordinates!r}"
        raise Unsupported(msg)
    if rounding not in _common.ROUNDINGS:
        msg = f"with nearest_mode={rounding!r}"
        raise Unsupported(msg)
    rank = len(x.shape)
    axes = list(range(rank)) if axes is None else [axis_of(a, rank) for a in axes]
    at = {}
    for axis, (out, scale) in zip(axes, _outputs(x, axes, *factors), strict=True):
        if out != x.shape[axis] or (scale or 1.0) != 1.0:
            at[axis] = _common.positions(x.shape[axis], out, coordinates, scale)
    if mode == "nearest":
        tables = {a: _common.nearest_table(v, x.shape[a], rounding) for a, v in at.items()}
        return c.pick(x, tables)
    name, shape = c.image(x), list(x.shape)
    if not set(at) <= {2, 3}:
        msg = "of other axes than rows and columns"
        raise Unsupported(msg)
    attrs: dict[str, Any] = {}
    for axis, word in ((2, "row"), (3, "column")):
        where = at.get(axis, np.arange(x.shape[axis], dtype=np.float64))
        attrs |= _common.linear_table(where, x.shape[axis], word)
        shape[axis] = len(where)
    return Live(c.add("bilinear", name, **attrs), tuple(shape), IMAGE)


def _outputs(x: Live, axes: list[int], scales: Any, sizes: Any) -> list[tuple[int, float | None]]:
    """The new size of each axis, and the factor where the model gives one."""
    if sizes is not None and np.size(sizes):
        result: list[tuple[int, float | None]] = [(size, None) for size in ints(sizes)]
    else:
        factors = np.asarray([] if scales is None else scales, np.float32).reshape(-1)
        if not np.all(np.isfinite(factors)) or not np.all(factors > 0):
            msg = f"with scales {factors.tolist()}"
            raise Unsupported(msg)
        inputs = np.asarray([x.shape[a] for a in axes[: len(factors)]], np.float32)
        outputs = np.floor(np.minimum(factors[: len(inputs)] * inputs, 2.0**31))
        result = [(int(n), float(s)) for n, s in zip(outputs, factors, strict=False)]
    if len(result) != len(axes):
        msg = f"with {len(result)} factors for {len(axes)} axes"
        raise Unsupported(msg)
    return result


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
    "Expand": _expand,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Resize": _resize,
    "Upsample": _upsample,
}
