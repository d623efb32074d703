"""Operators of TFLite that move numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._tflite_file import TfliteNode, ints
from fastdw.importers._tflite_shapes import new_shape, slices, squeezed
from fastdw.importers._tflite_values import Conversion, Live, Value, axis_of, fused, inner
from fastdw.network import _tables

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_MIRROR = {0: "reflect", 1: "symmetric"}


def _reshape(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    options = node.options_if_any("ReshapeOptions")
    wanted: AnyArray | None = None
    if len(node.inputs) > 1:
        wanted = c.constant(node, 1, "sizes")
    elif options is not None and options.NewShapeLength():
        wanted = options.NewShapeAsNumpy()
    if wanted is None:
        msg = "without a shape"
        raise Unsupported(msg)
    return c.reshaped(x, new_shape(x.shape, ints(wanted)))


def _squeeze(c: Conversion, node: TfliteNode) -> Value:
    x, options = c.live(node), node.options("SqueezeOptions")
    axes = options.SqueezeDimsAsNumpy().tolist() if options.SqueezeDimsLength() else []
    return c.reshaped(x, squeezed(x.shape, axes))


def _expand_dims(c: Conversion, node: TfliteNode) -> Value:
    x, axes = c.live(node), ints(c.constant(node, 1, "axes"))
    rank = len(x.shape) + 1
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        msg = f"at {axes} of {x.shape}"
        raise Unsupported(msg)
    axis = axes[0] % rank
    return c.reshaped(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def _transpose(c: Conversion, node: TfliteNode) -> Value:
    x, order = c.live(node), ints(c.constant(node, 1, "axes"))
    if sorted(order) != list(range(len(x.shape))):
        msg = f"to {order} of {len(x.shape)} axes"
        raise Unsupported(msg)
    shape = tuple(x.shape[a] for a in order)
    if len(inner(x.shape)) == len(x.shape):
        return c.add("transpose", x.name, shape, axes=tuple(order))
    if order[0] != 0:
        msg = "of the batch"
        raise Unsupported(msg)
    return c.add("transpose", x.name, shape, axes=tuple(a - 1 for a in order[1:]))


def _concatenation(c: Conversion, node: TfliteNode) -> Value:
    options = node.options("ConcatenationOptions")
    parts = [c.live(node, i) for i in range(len(node.inputs))]
    axis = axis_of(options.Axis(), parts[0].shape)
    return c.activate(_joined(c, parts, axis), fused(options))


def _joined(c: Conversion, parts: Sequence[Live], axis: int) -> Live:
    shape = parts[0].shape
    if any((*p.shape[:axis], *p.shape[axis + 1 :]) != _rest(shape, axis) for p in parts):
        msg = f"of shapes {[p.shape for p in parts]}"
        raise Unsupported(msg)
    total = (*shape[:axis], sum(p.shape[axis] for p in parts), *shape[axis + 1 :])
    dropped = len(shape) - len(inner(shape))
    return c.add("concat", [p.name for p in parts], total, axis=axis - dropped)


def _rest(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _pack(c: Conversion, node: TfliteNode) -> Value:
    parts = [c.live(node, i) for i in range(len(node.inputs))]
    shape = parts[0].shape
    axis = node.options("PackOptions").Axis()
    axis = axis_of(axis, (*shape, 1)) if len(shape) else 0
    parts = [c.reshaped(p, (*p.shape[:axis], 1, *p.shape[axis:])) for p in parts]
    return _joined(c, parts, axis)


def _unpack(c: Conversion, node: TfliteNode) -> list[Value]:
    x, options = c.live(node), node.options("UnpackOptions")
    axis = axis_of(options.Axis(), x.shape)
    if x.shape[axis] != len(node.outputs):
        msg = f"of {x.shape[axis]} parts into {len(node.outputs)}"
        raise Unsupported(msg)
    parts = (c.part(x, {axis: range(i, i + 1)}) for i in range(x.shape[axis]))
    return [c.reshaped(part, _rest(x.shape, axis)) for part in parts]


def _split(c: Conversion, node: TfliteNode) -> list[Value]:
    x = c.live(node, 1)
    (axis,) = ints(c.constant(node, 0, "axes"))
    axis, number = axis_of(axis, x.shape), len(node.outputs)
    if x.shape[axis] % number:
        msg = f"of {x.shape[axis]} entries into {number} parts"
        raise Unsupported(msg)
    return _parts(c, x, axis, [x.shape[axis] // number] * number)


def _split_v(c: Conversion, node: TfliteNode) -> list[Value]:
    x, sizes = c.live(node), ints(c.constant(node, 1, "sizes"))
    (axis,) = ints(c.constant(node, 2, "axes"))
    axis = axis_of(axis, x.shape)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.shape[axis] - sum(sizes) - 1
    if min(sizes) < 1 or sum(sizes) != x.shape[axis] or len(sizes) != len(node.outputs):
        msg = f"of {x.shape[axis]} entries into {sizes}"
        raise Unsupported(msg)
    return _parts(c, x, axis, sizes)


def _parts(c: Conversion, x: Live, axis: int, sizes: list[int]) -> list[Value]:
    ends = pairwise([0, *accumulate(sizes)])
    return [c.part(x, {axis: range(begin, end)}) for begin, end in ends]


def _slice(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    begin, size = (ints(c.constant(node, i, "bounds")) for i in (1, 2))
    kept = {}
    for axis, (b, n, whole) in enumerate(zip(begin, size, x.shape, strict=True)):
        end = whole if n == -1 else b + n
        if not 0 <= b <= end <= whole:
            msg = f"from {begin} of sizes {size} of {x.shape}"
            raise Unsupported(msg)
        kept[axis] = range(b, end)
    return c.part(x, kept)


def _strided_slice(c: Conversion, node: TfliteNode) -> Value:
    x, options = c.live(node), node.options("StridedSliceOptions")
    bounds = [ints(c.constant(node, i, "bounds")) for i in (1, 2, 3)]
    kept, gone = slices(x.shape, bounds, options)
    left = tuple(len(r) for a, r in kept.items() if a not in gone)
    return c.reshaped(c.part(x, kept), left)


def _gather(c: Conversion, node: TfliteNode) -> Value:
    x, index = c.live(node), c.constant(node, 1, "indices")
    options = node.options("GatherOptions")
    axis = axis_of(options.Axis(), x.shape)
    picked = ints(index)
    if options.BatchDims() or index.ndim > 1 or not all(0 <= i < x.shape[axis] for i in picked):
        msg = f"with indices of shape {index.shape} along axis {axis} of {x.shape}"
        raise Unsupported(msg)
    y = c.pick(x, {axis: tuple(picked)})
    return y if index.ndim else c.reshaped(y, _rest(x.shape, axis))


def _reverse(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    axes = {axis_of(axis, x.shape) for axis in ints(c.constant(node, 1, "axes"))}
    return c.part(x, {axis: range(x.shape[axis])[::-1] for axis in axes})


def _tile(c: Conversion, node: TfliteNode) -> Value:
    x, times = c.live(node), ints(c.constant(node, 1, "multiples"))
    sizes = [n * many for n, many in zip(x.shape, times, strict=True)]
    repeated = [axis for axis, many in enumerate(times) if many != 1]
    for axis in repeated:
        _common.check_length(sizes[axis])
    return c.pick(x, {a: tuple(i % x.shape[a] for i in range(sizes[a])) for a in repeated})


def _pad(c: Conversion, node: TfliteNode) -> Value:
    x = c.live(node)
    value = c.constant(node, 2, "values") if node.op == "PADV2" else c.zero(node)
    return _padded(c, node, x, "constant", float(value.reshape(-1)[0]))


def _mirror_pad(c: Conversion, node: TfliteNode) -> Value:
    mode = node.options("MirrorPadOptions").Mode()
    if mode not in _MIRROR:
        msg = f"with mode {mode}"
        raise Unsupported(msg)
    return _padded(c, node, c.live(node), _MIRROR[mode], 0.0)


def _padded(c: Conversion, node: TfliteNode, x: Live, mode: str, constant: float) -> Live:
    pads = c.constant(node, 1, "pads")
    if pads.shape != (len(x.shape), 2) or min(ints(pads)) < 0:
        msg = f"with pads {pads.tolist()} on {x.shape}"
        raise Unsupported(msg)
    tables = {}
    for axis, (before, after) in enumerate(pads.tolist()):
        if before or after:
            room = x.shape[axis] - (mode == "reflect")
            if mode != "constant" and max(before, after) > room:
                msg = f"with pads {pads.tolist()} on {x.shape}"
                raise Unsupported(msg)
            tables[axis] = _common.pad_table(x.shape[axis], before, after, mode)
    return c.pick(x, tables, constant)


def resized(c: Conversion, node: TfliteNode, kind: str) -> tuple[str, tuple[int, int]]:
    """Where pixels lie, in the words of `positions`, and how many there are to be."""
    options, size = node.options(f"Resize{kind}Options"), ints(c.constant(node, 1, "sizes"))
    corners, half = bool(options.AlignCorners()), bool(options.HalfPixelCenters())
    if len(size) != 2 or min(size) < 1 or (corners and half):
        msg = f"to {size} with align_corners={corners}, half_pixel_centers={half}"
        raise Unsupported(msg)
    return "align_corners" if corners else "half_pixel" if half else "asymmetric", (
        size[0],
        size[1],
    )


def _resize(kind: str) -> Callable[[Conversion, TfliteNode], Value]:
    def convert(c: Conversion, node: TfliteNode) -> Value:
        x, (way, size) = c.image(node), resized(c, node, kind)
        at = [_common.positions(n, out, way) for n, out in zip(x.shape[1:3], size, strict=True)]
        if kind == "Bilinear":
            tables = _tables.linear(at[0], x.shape[1], "row")
            tables |= _tables.linear(at[1], x.shape[2], "column")
            return c.add("bilinear", x.name, **tables)
        rounding = "floor" if way == "asymmetric" else "round_prefer_ceil"
        picks = zip(at, x.shape[1:3], strict=True)
        nearest = [_tables.nearest(where, n, rounding) for where, n in picks]
        return c.pick(x, dict(enumerate(nearest, 1)))

    return convert


def _depth_to_space(c: Conversion, node: TfliteNode) -> Value:
    x, block = c.image(node), node.options("DepthToSpaceOptions").BlockSize()
    _, height, width, channels = x.shape
    if block < 1 or channels % block**2:
        msg = f"with blocks of {block} on {x.shape}"
        raise Unsupported(msg)
    left = channels // block**2
    name = c.seen(x, (height, width, block, block, left))
    shape = (1, height * block, width * block, left)
    return c.add("transpose", name, shape, axes=(0, 2, 1, 3, 4))


def _space_to_depth(c: Conversion, node: TfliteNode) -> Value:
    x, block = c.image(node), node.options("SpaceToDepthOptions").BlockSize()
    _, height, width, channels = x.shape
    if block < 1 or height % block or width % block:
        msg = f"with blocks of {block} on {x.shape}"
        raise Unsupported(msg)
    rows, columns = height // block, width // block
    name = c.seen(x, (rows, block, columns, block, channels))
    shape = (1, rows, columns, channels * block**2)
    return c.add("transpose", name, shape, axes=(0, 2, 1, 3, 4))


CONVERTERS: dict[str, Callable[[Conversion, TfliteNode], Any]] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _expand_dims,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "GATHER": _gather,
    "REVERSE_V2": _reverse,
    "TILE": _tile,
    "PAD": _pad,
    "PADV2": _pad,
    "MIRROR_PAD": _mirror_pad,
    "RESIZE_BILINEAR": _resize("Bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("NearestNeighbor"),
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
}
