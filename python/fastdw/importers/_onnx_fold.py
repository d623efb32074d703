"""Nodes of constants alone, evaluated while importing: chains that compute shapes, and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers._common import Unsupported, bounded, quotient
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_values import axis_of, ints, size_of

if TYPE_CHECKING:
    pass

Inputs = Sequence[Any]
MAX_FILLED = 1 << 22
"""Entries of one number alone, which takes no memory."""


def _elementwise(function: Callable[..., Any]) -> Callable[[OnnxNode, Inputs, int], Any]:
    def fold(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
        bounded(np.broadcast_shapes(*(a.shape for a in inputs)), *inputs)
        result = inputs[0] if len(inputs) > 1 else function(inputs[0])
        for other in inputs[1:]:
            result = function(result, other)
        return result

    return fold


def _constant(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    for name, dtype in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if node.has(name):
            return np.asarray(node.take(name), dtype)
    msg = "without a value of numbers"
    raise Unsupported(msg)


def _constant_of_shape(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    value = np.ravel(node.take("value", np.zeros(1, np.float32)))
    shape = ints(inputs[0])
    if not 0 <= size_of(shape) <= MAX_FILLED:
        msg = f"of the shape {shape}"
        raise Unsupported(msg)
    return np.broadcast_to(value[0], shape)


def _cast(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    import onnx.helper

    node.integer("saturate", 1)
    to = node.integer("to", 0)
    if to not in onnx.TensorProto.DataType.values():
        msg = f"to type {to}"
        raise Unsupported(msg)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(to))
    if dtype.kind not in "fiub":
        msg = f"to {onnx.TensorProto.DataType.Name(to)}"
        raise Unsupported(msg)
    with np.errstate(all="ignore"):
        return inputs[0].astype(dtype)


def _gather(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    axis = axis_of(node.integer("axis", 0), inputs[0].ndim)
    shape = inputs[0].shape
    bounded((*shape[:axis], *inputs[1].shape, *shape[axis + 1 :]), *inputs)
    return np.take(inputs[0], inputs[1].astype(np.int64), axis)


def axes_of(node: OnnxNode, inputs: Inputs, position: int, since: int, opset: int) -> Any:
    """Axes as an attribute, or as an input from the opset `since` on; None if there are none."""
    if opset < since:
        return node.integers("axes")
    value = inputs[position] if len(inputs) > position else None
    return None if value is None else ints(value)


def _squeeze(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    axes = axes_of(node, inputs, 1, 13, opset)
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


def _unsqueeze(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    return np.expand_dims(inputs[0], tuple(axes_of(node, inputs, 1, 13, opset)))


def _concat(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    return np.concatenate(inputs, node.integer("axis", 1))


def slices(
    node: OnnxNode, inputs: Inputs, rank: int, opset: int
) -> dict[int, tuple[int, int, int]]:
    """Begin, end and step of each axis that is cut, as they were written."""
    if opset < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes"), None
    else:
        rest = [None if a is None else ints(a) for a in inputs[1:]] + [None] * 4
        starts, ends, axes, steps = rest[:4]
    axes = list(range(len(starts))) if axes is None else [axis_of(a, rank) for a in axes]
    steps = [1] * len(starts) if steps is None else steps
    if not len(axes) == len(starts) == len(ends) == len(steps) or 0 in steps:
        msg = f"with starts {starts}, ends {ends}, axes {axes}, steps {steps}"
        raise Unsupported(msg)
    return dict(zip(axes, zip(starts, ends, steps, strict=True), strict=True))


def cut(size: int, begin: int, end: int, step: int) -> range:
    """The entries of an axis that a slice of ONNX keeps."""
    first, stop = (v + size if v < 0 else v for v in (begin, end))
    if step > 0:
        return range(min(max(first, 0), size), min(max(stop, 0), size), step)
    return range(min(max(first, 0), size - 1), min(max(stop, -1), size - 1), step)


def _slice(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    result = inputs[0]
    for axis, bounds in slices(node, inputs, result.ndim, opset).items():
        result = np.take(result, np.asarray(cut(result.shape[axis], *bounds), np.int64), axis)
    return result


def new_shape(shape: Sequence[int], wanted: Sequence[int], allow_zero: bool) -> tuple[int, ...]:
    """What a Reshape makes of a shape: 0 copies an axis, one −1 takes the rest."""
    try:
        sizes = [
            shape[axis] if size == 0 and not allow_zero else int(size)
            for axis, size in enumerate(wanted)
        ]
    except IndexError:
        sizes = [-1, -1]
    known = size_of([size for size in sizes if size != -1])
    if -1 in sizes and known > 0:
        sizes[sizes.index(-1)] = size_of(shape) // known
    if min(sizes, default=1) < 0 or size_of(sizes) != size_of(shape):
        msg = f"of {tuple(shape)} to {tuple(wanted)}"
        raise Unsupported(msg)
    return tuple(sizes)


def _reshape(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    allow_zero = bool(node.integer("allowzero", 0))
    return np.reshape(inputs[0], new_shape(inputs[0].shape, ints(inputs[1]), allow_zero))


def _transpose(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    return np.transpose(inputs[0], node.integers("perm"))


def _range(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    start, limit, step = (a.reshape(-1)[0].item() for a in inputs)
    bounded((max(0, int(np.ceil((limit - start) / step))) if step else -1,))
    return np.arange(start, limit, step).astype(inputs[0].dtype)


def _expand(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    shape = np.broadcast_shapes(inputs[0].shape, bounded(ints(inputs[1])))
    return np.broadcast_to(inputs[0], bounded(shape, inputs[0])).copy()


def _tile(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    times = ints(inputs[1])
    bounded([n * t for n, t in zip(inputs[0].shape, times, strict=True)], inputs[0])
    return np.tile(inputs[0], times)


def _where(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    bounded(np.broadcast_shapes(*(a.shape for a in inputs)), *inputs)
    return np.where(*inputs)


def _reduced(function: Callable[..., Any], listed: int) -> Callable[[OnnxNode, Inputs, int], Any]:
    """Over axes that are an input from this opset on."""

    def fold(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
        axes = axes_of(node, inputs, 1, listed, opset)
        noop, keep = node.integer("noop_with_empty_axes", 0), bool(node.integer("keepdims", 1))
        if not axes and noop:
            return inputs[0]
        gone = tuple(axes) if axes else None
        return function(inputs[0], axis=gone, keepdims=keep).astype(inputs[0].dtype)

    return fold


def _clip(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    limits = [node.take("min", None), node.take("max", None)] if opset < 11 else inputs[1:]
    result = inputs[0]
    for function, limit in zip((np.maximum, np.minimum), limits, strict=False):
        if limit is not None:
            result = function(result, np.asarray(limit, result.dtype).item())
    return result


def _batch_norm(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    """Of weights, by their own statistics if it is in training mode."""
    x, *vectors = inputs
    sizes = [-1 if axis == 1 else 1 for axis in range(x.ndim)]
    gamma, beta, mean, variance = (np.reshape(v, sizes) for v in vectors)
    node.number("momentum", 0.9)
    if node.integer("training_mode", 0):
        rest = tuple(axis for axis in range(x.ndim) if axis != 1)
        mean, variance = (f(x, axis=rest, keepdims=True) for f in (np.mean, np.var))
    root = np.sqrt(variance + node.number("epsilon", 1e-5))
    return ((x - mean) / root * gamma + beta).astype(x.dtype)


def dequantized(node: OnnxNode, inputs: Inputs, opset: int) -> Any:
    """(q − zero point)·scale, per tensor or along an axis."""
    x, scale = inputs[0], np.asarray(inputs[1])
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros(scale.shape, int)
    axis = node.integer("axis", 1)
    if node.integer("block_size", 0):
        msg = "in blocks"
        raise Unsupported(msg)
    if not np.all(np.isfinite(scale)):
        msg = "with scales that are no finite numbers"
        raise Unsupported(msg)
    shape = [1] * x.ndim
    if x.ndim:
        shape[axis_of(axis, x.ndim)] = -1
    scale, zero = (np.reshape(a, shape if a.size > 1 else ()) for a in (scale, np.asarray(zero)))
    return ((x.astype(np.float64) - zero) * scale.astype(np.float64)).astype(np.float32)


FOLDS: dict[str, Callable[[OnnxNode, Inputs, int], Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Range": _range,
    "Expand": _expand,
    "Tile": _tile,
    "Where": _where,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "ReduceProd": _reduced(np.prod, 18),
    "ReduceMean": _reduced(np.mean, 18),
    "ReduceMax": _reduced(np.max, 18),
    "ReduceMin": _reduced(np.min, 18),
    "ReduceSum": _reduced(np.sum, 13),
    "DequantizeLinear": dequantized,
    "Identity": lambda node, inputs, opset: inputs[0],
    "Size": lambda node, inputs, opset: np.asarray(inputs[0].size, np.int64),
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(quotient),
    "Pow": _elementwise(np.power),
    "Min": _elementwise(np.minimum),
    "Max": _elementwise(np.maximum),
    "Equal": _elementwise(np.equal),
    "Less": _elementwise(np.less),
    "Greater": _elementwise(np.greater),
    "And": _elementwise(np.logical_and),
    "Or": _elementwise(np.logical_or),
    "Not": _elementwise(np.logical_not),
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Exp": _elementwise(np.exp),
    "Reciprocal": _elementwise(np.reciprocal),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
}
