"""Operators of TFLite on 8-bit integers, as nodes that compute with these.

A converter gives None where its numbers are none that the integer kernels take: then the operator
runs in float32, between integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import reference
from fastdw.importers import _common, _tflite_layers, _tflite_math, _tflite_moves
from fastdw.importers._common import Unsupported, tabulated
from fastdw.importers._tflite_file import TfliteNode, ints
from fastdw.importers._tflite_hard_swish import hard_swish
from fastdw.importers._tflite_values import Blocks, Conversion, Live, Value
from fastdw.importers._wide_weights import fits, of_dense, of_depthwise
from fastdw.network import _tables
from fastdw.network._ops8 import OPS8

if TYPE_CHECKING:
    from fastdw._quantization import Quantization
    from fastdw._typing import AnyArray

Converter = Callable[[Conversion, TfliteNode], Value | None]
_ACTIVATIONS = {0: None, 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}


def convert(c: Conversion, node: TfliteNode) -> Value | list[Value] | None:
    """The operator on integers; None where it has no such form."""
    make = _moved if node.op in _MOVES else _CONVERTERS.get(node.op)
    if make is None or c.quantization(node.outputs[0]) is None:
        return None
    nodes = c.builder.nodes
    try:
        return make(c, node)
    except (TypeError, ValueError, Unsupported):
        # What the integer kernels do not take, such as factors of scales out of range.
        c.builder.undo(nodes)
        return None


def _moved(c: Conversion, node: TfliteNode) -> Value | list[Value] | None:
    """Numbers that only change their places keep their quantization."""
    wanted = c.quantization(node.outputs[0])
    tensors = c.file.tensors
    data = [i for i in node.inputs if i >= 0 and tensors[i].dtype not in ("INT32", "INT64")]
    ends = [c.quantization(i) for i in (*data, *node.outputs)]
    if any(q != wanted for q in ends) or any(map(c.is_constant, _computed(node))):
        return None
    with c.as_stored():
        result: Value | list[Value] = _MOVES[node.op](c, node)
    return result


def _computed(node: TfliteNode) -> tuple[int, ...]:
    """The inputs of a move that are no constants in any model that fits."""
    if node.op in ("CONCATENATION", "PACK"):
        return node.inputs
    return node.inputs[1:2] if node.op == "SPLIT" else node.inputs[:1]


# --- with weights ---


def _weights(c: Conversion, node: TfliteNode, axis: int) -> tuple[AnyArray, AnyArray] | None:
    """Weights less their zero point, and their scales; None for others than bytes."""
    tensor = c.file.tensors[node.inputs[1]]
    q = tensor.quantization
    if tensor.dtype not in ("INT8", "UINT8") or q is None or tensor.sparsity is not None:
        return None
    if q.scale.size > 1 and (q.axis != axis or tensor.shape[axis] != q.scale.size):
        return None
    limits = np.iinfo(tensor.dtype.lower())
    if not np.all((limits.min <= q.zero_point) & (q.zero_point <= limits.max)):
        return None
    zero = q.zero_point.astype(np.int16)
    if zero.size > 1:
        zero = zero.reshape([-1 if i == axis else 1 for i in range(len(tensor.shape))])
    return c.file.stored(node.inputs[1]).astype(np.int16) - zero, q.scale.astype(np.float32)


def _epilogue(c: Conversion, node: TfliteNode, options: Any) -> dict[str, Any] | None:
    """Bias, activation and quantizations of a convolution."""
    code = options.FusedActivationFunction()
    there = len(node.inputs) > 2 and node.inputs[2] >= 0
    if code not in _ACTIVATIONS or (there and c.file.tensors[node.inputs[2]].dtype != "INT32"):
        return None
    return {
        "bias": c.file.stored(node.inputs[2]).reshape(-1) if there else None,
        "activation": _ACTIVATIONS[code],
        "input": c.quantization(node.inputs[0]),
        "output": c.quantization(node.outputs[0]),
    }


def _convolution(kind: str, axis: int) -> Converter:
    def make(c: Conversion, node: TfliteNode) -> Value | None:
        options = node.options(f"{kind}Options")
        weights, attrs = _weights(c, node, axis), _epilogue(c, node, options)
        if weights is None or attrs is None or attrs["input"] is None:
            return None
        stored, scales = weights
        with c.as_stored():
            op, kernel = _tflite_layers.kernel_of(c, node, stored)
            attrs |= {"kernel": kernel, "scales": scales}
            if fits(kernel):
                attrs["kernel"] = kernel.astype(np.int8)
                return _tflite_layers.convolution(c, node, options, f"quantized_{op}", attrs)
            if isinstance(c.get(node, 0), Blocks):
                return None
            x = c.image(node)
        attrs |= _tflite_layers.place_of(options, x, kernel.shape[:2])
        split = {"conv2d": of_dense, "depthwise": of_depthwise}[op]
        name, attrs = split(c.builder, x.name, attrs, c.source)
        return c.add(f"quantized_{op}", name, **attrs)

    return make


def _dense(c: Conversion, node: TfliteNode) -> Value | None:
    options = node.options("FullyConnectedOptions")
    weights, attrs = _weights(c, node, 0), _epilogue(c, node, options)
    if weights is None or attrs is None or attrs["input"] is None:
        return None
    matrix, scales = weights
    with c.as_stored():
        pixels, shape = _tflite_layers.pixels_of(c, node, options, matrix.shape)
    attrs |= {"kernel": matrix.T[np.newaxis, np.newaxis], "scales": scales}
    pixels, attrs = of_dense(c.builder, pixels, attrs, c.source)
    return c.add("quantized_conv2d", pixels, shape, **attrs)


# --- number by number ---


def _binary(kind: str) -> Converter:
    """ADD, SUB or MUL of two tensors, or of one and constants."""
    op = "quantized_multiply" if kind == "Mul" else "quantized_add"

    def make(c: Conversion, node: TfliteNode) -> Value | None:
        options = node.options_if_any(f"{kind}Options")
        code = 0 if options is None else options.FusedActivationFunction()
        if code not in _ACTIVATIONS:
            return None
        # A constant comes last, or else the smaller one.
        first, last = sorted(node.inputs, key=lambda i: (c.is_constant(i), -_entries(c, i)))
        attrs = {
            "input": c.quantization(first),
            "second": c.quantization(last),
            "output": c.quantization(node.outputs[0]),
            "activation": _ACTIVATIONS[code],
        }
        if kind != "Mul":
            subtracted = "second" if first == node.inputs[0] else "input"
            attrs["subtrahend"] = subtracted if kind == "Sub" else None
        if attrs["input"] is None or attrs["second"] is None:
            return None
        with c.as_stored():
            a, b = c.plain(c.value(first)), c.value(last)
        if isinstance(b, np.ndarray):
            return _with_constants(c, node, op, a, b, attrs)
        return _of_two(c, op, a, c.plain(b), attrs)

    return make


def _entries(c: Conversion, index: int) -> int:
    with c.as_stored():
        value = c.value(index)
    return math.prod((value.base if isinstance(value, Blocks) else value).shape)


def _of_two(c: Conversion, op: str, a: Live, b: Live, attrs: dict[str, Any]) -> Value | None:
    # The graph takes a term of one entry a channel.
    if a.shape != b.shape and not (len(a.shape) == 4 and b.shape == (1, 1, 1, a.shape[3])):
        return None
    return c.add(op, (a.name, b.name), a.shape, **attrs)


def _with_constants(
    c: Conversion, node: TfliteNode, op: str, x: Live, numbers: AnyArray, attrs: dict[str, Any]
) -> Value | None:
    """A table of what the operator makes of all integers for one number; or one a channel."""
    if numbers.ndim > len(x.shape) or numbers.size not in (1, x.shape[-1]):
        return None
    if numbers.size == 1:
        q = _all_integers(attrs["input"])
        table = OPS8[op].reference((q, np.full_like(q, numbers.item())), attrs)
        return _looked_up(c, x, table, attrs)
    if numbers.shape[-1] != numbers.size:
        return None
    term = tuple(int(n) for n in numbers.reshape(-1))
    return c.add(op, x.name, x.shape, term=term, **attrs)


def _by_table(activation: Callable[[TfliteNode], Any]) -> Converter:
    def make(c: Conversion, node: TfliteNode) -> Value | None:
        f = activation(node)
        return _table(c, node, lambda x: reference.activate(x, f))

    return make


def _table(c: Conversion, node: TfliteNode, f: Callable[[AnyArray], AnyArray]) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    return _of_table(c, node, tabulated(f, given, output))


def _all_integers(q: Quantization) -> AnyArray:
    return np.arange(q.limits[0], q.limits[1] + 1)


def _of_table(c: Conversion, node: TfliteNode, numbers: AnyArray) -> Live:
    indices = {"input": node.inputs[0], "output": node.outputs[0]}
    with c.as_stored():
        x = c.live(node)
    return _looked_up(c, x, numbers, {name: c.quantization(i) for name, i in indices.items()})


def _looked_up(c: Conversion, x: Live, numbers: AnyArray, attrs: dict[str, Any]) -> Live:
    ends = {name: attrs[name] for name in ("input", "output")}
    return c.add("table", x.name, x.shape, table=tuple(int(n) for n in numbers), **ends)


def _quantize(c: Conversion, node: TfliteNode) -> Value | None:
    """Of floats, or from one quantization to another: a convolution with one weight of 1."""
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    q = _all_integers(given) - given.zero_point
    factor = np.float32(given.scale) / np.float32(output.scale)
    y = np.rint(q.astype(np.float32) * factor) + np.float32(output.zero_point)
    return _of_table(c, node, np.clip(y, *output.limits))


def _hard_swish(c: Conversion, node: TfliteNode) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    return _of_table(c, node, hard_swish(_all_integers(given), given, output))


# --- over pixels and channels ---


def _pool(function: str) -> Converter:
    def make(c: Conversion, node: TfliteNode) -> Value | None:
        options, q = node.options("Pool2DOptions"), c.quantization(node.inputs[0])
        code = options.FusedActivationFunction()
        if q is None or q != c.quantization(node.outputs[0]) or code not in _ACTIVATIONS:
            return None
        with c.as_stored():
            x = c.image(node)
        return c.add(
            "quantized_pool", x.name, function=function, input=q,
            origin=_origin(q), activation=_ACTIVATIONS[code],
            **_tflite_layers.pool_window(options, x.shape[1:3]),
        )  # fmt: skip

    return make


def _mean(c: Conversion, node: TfliteNode) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    axes = sorted(axis % 4 for axis in ints(c.constant(node, 1, "axes")))
    with c.as_stored():
        x = c.live(node)
    if given is None or len(x.shape) != 4 or axes != [1, 2]:
        return None
    y = c.add("quantized_mean", x.name, input=given, output=output)
    keep = node.options("ReducerOptions").KeepDims()
    return y if keep else c.reshaped(y, (1, x.shape[3]))


def _origin(q: Quantization) -> int:
    """What pools and resizes round away from, as a byte that counts from 0."""
    return 128 if q.dtype == "int8" else 0


def _positions(size: int, out: int, way: str, dtype: str) -> AnyArray:
    """Where pixels lie: of int8 as LiteRT has it, in whole multiples of 1/1024; else in float32."""
    _common.check_length(out)
    corners = int(way == "align_corners" and out > 1)
    spans, steps = size - corners, out - corners
    if dtype == "int8":
        step = (1024 * spans + steps // 2) // steps
        at = (np.arange(out) * step + (step // 2 - 512 if way == "half_pixel" else 0)) / 1024
    else:
        scale, half = np.float32(spans) / np.float32(steps), np.float32(0.5)
        shift = half * scale - half if way == "half_pixel" else np.float32(0)
        at = (np.arange(out, dtype=np.float32) * scale + shift).astype(np.float64)
    return np.clip(at, 0, size - 1)


def _bilinear(c: Conversion, node: TfliteNode) -> Value | None:
    q = c.quantization(node.inputs[0])
    if q is None or q != c.quantization(node.outputs[0]):
        return None
    with c.as_stored():
        x = c.image(node)
    way, size = _tflite_moves.resized(c, node, "Bilinear")
    tables: dict[str, Any] = {}
    for axis, n, out in zip(("row", "column"), x.shape[1:3], size, strict=True):
        tables |= _tables.linear(_positions(n, out, way, q.dtype), n, axis)
    return c.add("quantized_bilinear", x.name, **tables, input=q, origin=_origin(q))


def _softmax(c: Conversion, node: TfliteNode) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None:
        return None
    with c.as_stored():
        x = c.live(node)
    beta = node.options("SoftmaxOptions").Beta()
    return c.add("quantized_softmax", x.name, x.shape, beta=beta, input=given, output=output)


_CONVERTERS: dict[str, Converter] = {
    "CONV_2D": _convolution("Conv2D", 0),
    "DEPTHWISE_CONV_2D": _convolution("DepthwiseConv2D", 3),
    "FULLY_CONNECTED": _dense,
    "ADD": _binary("Add"),
    "SUB": _binary("Sub"),
    "MUL": _binary("Mul"),
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool("average"),
    "MAX_POOL_2D": _pool("max"),
    "SOFTMAX": _softmax,
    "RESIZE_BILINEAR": _bilinear,
    "QUANTIZE": _quantize,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _by_table(lambda n: ("leaky_relu", n.options("LeakyReluOptions").Alpha())),
    **{op: _by_table(lambda _, f=f: f) for op, f in _tflite_math.CURVES.items()},  # type: ignore[misc]
}

_MOVES = _tflite_layers.BLOCKS | {
    op: move for op, move in _tflite_moves.CONVERTERS.items() if op != "RESIZE_BILINEAR"
}
