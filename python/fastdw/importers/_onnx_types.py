"""Operators of ONNX that change at most the type of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdw._quantization import Quantization, checked_scale
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_activations import clamped
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_values import STORED, Conversion, Live, Pending, Value

# Of QuantizeLinear without a zero point, by `output_dtype`.
_INTEGERS = {0: "uint8", 2: "uint8", 3: "int8"}


def _cast(c: Conversion, node: OnnxNode) -> Value:
    import onnx

    x, to, types = c.unsettled(node), node.integer("to", 0), onnx.TensorProto
    node.integer("saturate", 1)
    if to not in (types.FLOAT, types.FLOAT16, types.DOUBLE, types.BFLOAT16):
        msg = f"to type {to}"
        raise Unsupported(msg)
    return _real(c, x)


def _real(c: Conversion, x: Live) -> Live:
    """The same numbers as float32."""
    kind = c.builder.dtype(x.name)
    if kind == "float32":
        return x
    x = _as_computed(c, x)
    if kind == "uint8":
        return c.affine(x, 1.0, 0.0, None)
    return c.like(x, c.add("dequantize", x.name, input=(1.0, 0, kind)))


def _centred(c: Conversion, node: OnnxNode) -> Value:
    """The input of a ConvInteger or MatMulInteger, which are spelt out, less its zero point."""
    x, zero = c.unsettled(node), c.constant(node, 1, "zero points")
    if zero is None or zero.size != 1:
        msg = "without weights" if zero is None else f"with {zero.size} zero points of its input"
        raise Unsupported(msg)
    return c.affine(_real(c, x), 1.0, -float(zero.reshape(-1)[0]), None)


def _dropout(c: Conversion, node: OnnxNode) -> Value:
    for name in ("ratio", "seed", "is_test"):
        node.take(name, None)
    training = c.constant(node, 2, "modes")
    if training is not None and np.any(training):
        msg = "in training mode"
        raise Unsupported(msg)
    return c.unsettled(node)


def _quantize(c: Conversion, node: OnnxNode) -> Value:
    """As float what remains of the rounding is the range of the integers."""
    x = c.live(node)
    kind = _INTEGERS.get(node.integer("output_dtype", 0))
    if kind is None:
        msg = "to other types than int8 and uint8"
        raise Unsupported(msg)
    low, high, step, point = _steps(c, node, kind)
    q = _quantization(c, node, kind)
    if q is not None:
        return c.like(x, c.add("quantize", x.name, output=q))
    return Pending(f"quantised {point}", clamped(c, x, low, high), step, node.op, node.name)


def _dequantize(c: Conversion, node: OnnxNode) -> Value:
    part = c.get(node, 0)
    if node.integer("output_dtype", 0) not in (0, 1):
        msg = "to other types than float32"
        raise Unsupported(msg)
    # Without a zero point it is the input that says what the integers are.
    kind = c.builder.dtype(part.name) if isinstance(part, Live) else "uint8"
    _, _, step, point = _steps(c, node, kind)
    q = _quantization(c, node, kind)
    if q is not None and isinstance(part, Live):
        part = _as_computed(c, part)
        return c.like(part, c.add("dequantize", part.name, input=q))
    if isinstance(part, Live) and kind == "uint8" and c.builder.dtype(part.name) == kind:
        return c.affine(_as_computed(c, part), step, -step * point, None)
    if isinstance(part, Pending) and part.kind == STORED:
        # Whoever else reads the input must take it for the same numbers.
        part = part._replace(kind=f"quantised {point}", factor=step)
        c.values[node.inputs[0]] = part
    if not isinstance(part, Pending) or not part.kind.startswith("quantised"):
        msg = "of anything but a constant or QuantizeLinear's result"
        raise Unsupported(msg)
    if (part.kind, part.factor) != (f"quantised {point}", step):
        msg = "with another scale or zero point than its integers had before"
        raise Unsupported(msg)
    return part.base


def _as_computed(c: Conversion, x: Live) -> Live:
    """In the order that images are computed in: integers are brought there, not real numbers."""
    return c.last(x, 1) if len(x.shape) == 4 else c.settled(x)


def _quantization(c: Conversion, node: OnnxNode, kind: str) -> Quantization | None:
    """What the integers stand for, if the graph has them; of `kind` if there is no zero point."""
    scale, zero = (c.constant(node, i, "scales or zero points") for i in (1, 2))
    dtype = kind if zero is None else str(zero.dtype)
    if not c.keeps_integers or scale is None or dtype not in ("int8", "uint8"):
        return None
    return Quantization(
        float(scale.reshape(-1)[0]), 0 if zero is None else int(zero.reshape(-1)[0]), dtype
    )


def _steps(c: Conversion, node: OnnxNode, kind: str) -> tuple[float, float, float, int]:
    """Least and greatest value, scale and zero point of the integers."""
    scale, zero = (c.constant(node, i, "scales or zero points") for i in (1, 2))
    for name in ("axis", "saturate", "block_size", "precision"):
        node.take(name, None)
    if scale is None or scale.size != 1 or (zero is not None and zero.size != 1):
        msg = "with other scales than one"
        raise Unsupported(msg)
    point = np.zeros(1, kind) if zero is None else zero.reshape(-1)
    if point.dtype.kind not in "iu":
        msg = f"to {point.dtype}"
        raise Unsupported(msg)
    limits, step = np.iinfo(point.dtype), checked_scale(float(scale.reshape(-1)[0]))
    low, high = ((edge - int(point[0])) * step for edge in (limits.min, limits.max))
    return low, high, step, int(point[0])


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "Identity": lambda c, node: c.unsettled(node),
    "Cast": _cast,
    "ConvInteger": _centred,
    "MatMulInteger": _centred,
    "Dropout": _dropout,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
