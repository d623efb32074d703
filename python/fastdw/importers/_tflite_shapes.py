"""Shapes that operators of TFLite compute, and nodes of constants alone, evaluated on import."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers._common import Unsupported, bounded, quotient
from fastdw.importers._tflite_file import TfliteNode, ints

if TYPE_CHECKING:
    pass

Shape = tuple[int, ...]
Fold = Callable[[TfliteNode, Sequence[Any]], Any]


def new_shape(shape: Shape, wanted: Sequence[int]) -> Shape:
    """What RESHAPE makes of a shape: one −1 takes the rest."""
    sizes, count = [int(n) for n in wanted], math.prod(shape)
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known > 0:
        sizes[sizes.index(-1)] = count // known
    if min(sizes, default=1) < 0 or math.prod(sizes) != count:
        msg = f"of {shape} to {tuple(wanted)}"
        raise Unsupported(msg)
    return tuple(sizes)


def squeezed(shape: Shape, axes: Sequence[int]) -> Shape:
    """Without these axes of one entry, or, where none are named, without any."""
    rank = len(shape)
    gone = {a % rank for a in axes} if axes else {a for a, n in enumerate(shape) if n == 1}
    if not all(-rank <= a < rank for a in axes) or any(shape[a] != 1 for a in gone):
        msg = f"of axes {list(axes)} of {shape}"
        raise Unsupported(msg)
    return tuple(n for a, n in enumerate(shape) if a not in gone)


def slices(
    shape: Shape, bounds: Sequence[Sequence[int]], options: Any
) -> tuple[dict[int, range], set[int]]:
    """The entries of each axis that STRIDED_SLICE keeps, and the axes that it removes."""
    begin, end, strides = bounds
    if options.EllipsisMask() or options.NewAxisMask():
        msg = "with an ellipsis or new axes"
        raise Unsupported(msg)
    if not len(begin) == len(end) == len(strides) <= len(shape) or 0 in strides:
        msg = f"from {begin} to {end} by {strides} of {shape}"
        raise Unsupported(msg)
    kept, gone = {a: range(n) for a, n in enumerate(shape)}, set()
    for axis, (b, e, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit, size = 1 << axis, shape[axis]
        if options.ShrinkAxisMask() & bit:
            first = b + size if b < 0 else b
            if not 0 <= first < size:
                msg = f"of entry {b} of {size}"
                raise Unsupported(msg)
            kept[axis] = range(first, first + 1)
            gone.add(axis)
            continue
        first_of = None if options.BeginMask() & bit else b
        last_of = None if options.EndMask() & bit else e
        if getattr(options, "Offset", bool)() and last_of is not None:
            last_of += b
        kept[axis] = range(size)[slice(first_of, last_of, step)]
    return kept, gone


def _strided_slice(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    x = inputs[0]
    kept, gone = slices(
        x.shape, [ints(v) for v in inputs[1:4]], node.options("StridedSliceOptions")
    )
    for axis, rows in kept.items():
        x = np.take(x, np.asarray(rows, np.int64), axis)
    return np.squeeze(x, tuple(gone))


def _arithmetic(kind: str, function: Callable[..., Any]) -> Fold:
    def fold(node: TfliteNode, inputs: Sequence[Any]) -> Any:
        a, b = inputs
        options = node.options_if_any(f"{kind}Options") if kind else None
        if options is not None and options.FusedActivationFunction():
            msg = "of constants with an activation"
            raise Unsupported(msg)
        bounded(np.broadcast_shapes(a.shape, b.shape), a, b)
        return function(a, b).astype(a.dtype)

    return fold


def _pack(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    return np.stack(inputs, node.options("PackOptions").Axis())


def _concatenation(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    return np.concatenate(inputs, node.options("ConcatenationOptions").Axis())


def _reshape(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    return np.reshape(inputs[0], new_shape(inputs[0].shape, ints(inputs[1])))


def _gather(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    x, index = inputs
    options = node.options("GatherOptions")
    if options.BatchDims() or index.ndim > 1:
        msg = "of constants with indices of several axes"
        raise Unsupported(msg)
    bounded((*x.shape, index.size), x, index)
    return np.take(x, index.astype(np.int64), options.Axis())


def _cast(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    import tflite

    kind = node.options_if_any("CastOptions")
    if kind is None:
        return inputs[0]
    kinds = {tflite.TensorType.INT32: np.int64, tflite.TensorType.INT64: np.int64}
    return inputs[0].astype(kinds.get(kind.OutDataType(), np.float32))


def _fill(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    shape = tuple(ints(inputs[0]))
    bounded(shape)
    return np.full(shape, inputs[1].reshape(-1)[0])


def _product(node: TfliteNode, inputs: Sequence[Any]) -> Any:
    keep = bool(node.options("ReducerOptions").KeepDims())
    return np.prod(inputs[0], tuple(ints(inputs[1])), inputs[0].dtype, keepdims=keep)


FOLDS: dict[str, Fold] = {
    "STRIDED_SLICE": _strided_slice,
    "PACK": _pack,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "GATHER": _gather,
    "CAST": _cast,
    "FILL": _fill,
    "REDUCE_PROD": _product,
    "TRANSPOSE": lambda node, inputs: np.transpose(inputs[0], ints(inputs[1])),
    "EXPAND_DIMS": lambda node, inputs: np.expand_dims(inputs[0], tuple(ints(inputs[1]))),
    "SQUEEZE": lambda node, inputs: np.squeeze(inputs[0]),
    # What is quantised, of float16 or sparse is read as float32 already.
    **dict.fromkeys(("DEQUANTIZE", "QUANTIZE", "DENSIFY"), lambda node, inputs: inputs[0]),
    "ADD": _arithmetic("Add", np.add),
    "SUB": _arithmetic("Sub", np.subtract),
    "MUL": _arithmetic("Mul", np.multiply),
    "DIV": _arithmetic("Div", quotient),
    "FLOOR_DIV": _arithmetic("", np.floor_divide),
    "MAXIMUM": _arithmetic("", np.maximum),
    "MINIMUM": _arithmetic("", np.minimum),
}
