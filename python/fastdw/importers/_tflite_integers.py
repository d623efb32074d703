"""Operators of TFLite on 8-bit integers, as nodes that compute with these.

A converter gives None where its numbers are none that the integer kernels take: then the operator
runs in float32, between integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import reference
from fastdw.importers import _tflite_layers, _tflite_moves
from fastdw.importers._common import Unsupported, tabulated
from fastdw.importers._tflite_file import TfliteNode, ints
from fastdw.importers._tflite_hard_swish import hard_swish
from fastdw.importers._tflite_values import Conversion, Live, Value

if TYPE_CHECKING:
    from fastdw._quantization import Quantization
    from fastdw._typing import AnyArray

Converter = Callable[[Conversion, TfliteNode], Value | None]
_Twin = Callable[..., "AnyArray"]
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
    """Weights as they are stored, and their scales; None for others than symmetric int8."""
    tensor = c.file.tensors[node.inputs[1]]
    q = tensor.quantization
    if tensor.dtype != "INT8" or q is None or np.any(q.zero_point) or tensor.sparsity is not None:
        return None
    if q.scale.size > 1 and (q.axis != axis or tensor.shape[axis] != q.scale.size):
        return None
    return c.file.stored(node.inputs[1]), q.scale.astype(np.float32)


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
            return _tflite_layers.convolution(c, node, options, f"quantized_{op}", attrs)

    return make


def _dense(c: Conversion, node: TfliteNode) -> Value | None:
    options = node.options("FullyConnectedOptions")
    weights, attrs = _weights(c, node, 0), _epilogue(c, node, options)
    if weights is None or attrs is None or attrs["input"] is None:
        return None
    matrix, scales = weights
    with c.as_stored():
        pixels, shape = _tflite_layers.pixels_of(c, node, options, matrix.shape)
    kernel = matrix.T[np.newaxis, np.newaxis]
    return c.add("quantized_conv2d", pixels, shape, kernel=kernel, scales=scales, **attrs)


# --- number by number ---


def _pair(c: Conversion, node: TfliteNode, kind: str) -> tuple[Live, Live, dict[str, Any]] | None:
    options = node.options_if_any(f"{kind}Options")
    code = 0 if options is None else options.FusedActivationFunction()
    ends = [c.quantization(i) for i in (*node.inputs, *node.outputs)]
    if code not in _ACTIVATIONS or None in ends:
        return None
    with c.as_stored():
        a, b = c.live(node, 0), c.live(node, 1)
    names = ("input", "second", "output")
    return a, b, dict(zip(names, ends, strict=True)) | {"activation": _ACTIVATIONS[code]}


def _with_number(c: Conversion, node: TfliteNode, kind: str, twin: _Twin) -> Value | None:
    """One operand that is a number: a table of what the operator makes of all others."""
    position = int(c.is_constant(node.inputs[0]))
    options = node.options_if_any(f"{kind}Options")
    code = 0 if options is None else options.FusedActivationFunction()
    indices = node.inputs[position], node.inputs[1 - position], node.outputs[0]
    given, second, output = map(c.quantization, indices)
    x, number = (c.file.tensors[i] for i in indices[:2])
    if code not in _ACTIVATIONS or given is None or second is None:
        return None
    if np.prod(number.shape) != 1 or len(number.shape) > len(x.shape):
        return None
    q = _all_integers(given)
    term = np.full_like(q, c.file.stored(indices[1]).item())
    y = twin(q, term, given, second, output, _ACTIVATIONS[code])
    return _looked_up(c, node, y, position)


def _add(c: Conversion, node: TfliteNode) -> Value | None:
    if any(map(c.is_constant, node.inputs)):
        return _with_number(c, node, "Add", reference.quantized_add)
    pair = _pair(c, node, "Add")
    if pair is None or pair[0].shape != pair[1].shape:
        return None
    a, b, attrs = pair
    return c.add("quantized_add", (a.name, b.name), a.shape, **attrs)


def _multiply(c: Conversion, node: TfliteNode) -> Value | None:
    if any(map(c.is_constant, node.inputs)):
        return _with_number(c, node, "Mul", reference.quantized_multiply)
    pair = _pair(c, node, "Mul")
    if pair is None:
        return None
    a, b, attrs = pair
    if np.prod(a.shape) < np.prod(b.shape):
        a, b = b, a
        attrs |= {"input": attrs["second"], "second": attrs["input"]}
    # The graph takes a term of one entry a channel.
    if a.shape != b.shape and not (len(a.shape) == 4 and b.shape == (1, 1, 1, a.shape[3])):
        return None
    return c.add("quantized_multiply", (a.name, b.name), a.shape, **attrs)


def _by_table(activation: Callable[[TfliteNode], Any]) -> Converter:
    def make(c: Conversion, node: TfliteNode) -> Value | None:
        f = activation(node)
        return _table(c, node, lambda x: reference.activate(x, f))

    return make


def _table(c: Conversion, node: TfliteNode, f: Callable[[AnyArray], AnyArray]) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    return _looked_up(c, node, tabulated(f, given, output))


def _all_integers(q: Quantization) -> AnyArray:
    return np.arange(q.limits[0], q.limits[1] + 1)


def _looked_up(c: Conversion, node: TfliteNode, numbers: AnyArray, position: int = 0) -> Live:
    indices = {"input": node.inputs[position], "output": node.outputs[0]}
    ends = {name: c.quantization(index) for name, index in indices.items()}
    with c.as_stored():
        x = c.live(node, position)
    table = tuple(int(n) for n in numbers)
    return c.add("table", x.name, x.shape, table=table, **ends)


def _quantize(c: Conversion, node: TfliteNode) -> Value | None:
    """Of floats, or from one quantization to another: a convolution with one weight of 1."""
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    q = _all_integers(given) - given.zero_point
    factor = np.float32(given.scale) / np.float32(output.scale)
    y = np.rint(q.astype(np.float32) * factor) + np.float32(output.zero_point)
    return _looked_up(c, node, np.clip(y, *output.limits))


def _hard_swish(c: Conversion, node: TfliteNode) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None or output is None:
        return None
    return _looked_up(c, node, hard_swish(_all_integers(given), given, output))


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
            origin=128 if q.dtype == "int8" else 0, activation=_ACTIVATIONS[code],
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


def _softmax(c: Conversion, node: TfliteNode) -> Value | None:
    given, output = c.quantization(node.inputs[0]), c.quantization(node.outputs[0])
    if given is None:
        return None
    with c.as_stored():
        x = c.live(node)
    beta = node.options("SoftmaxOptions").Beta()
    return c.add("quantized_softmax", x.name, x.shape, beta=beta, input=given, output=output)


_CURVES: dict[str, Any] = {
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": ("clip", -1.0, 1.0),
    "RELU_0_TO_1": ("clip", 0.0, 1.0),
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
    "ELU": ("elu", 1.0),
}

_CONVERTERS: dict[str, Converter] = {
    "CONV_2D": _convolution("Conv2D", 0),
    "DEPTHWISE_CONV_2D": _convolution("DepthwiseConv2D", 3),
    "FULLY_CONNECTED": _dense,
    "ADD": _add,
    "MUL": _multiply,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool("average"),
    "MAX_POOL_2D": _pool("max"),
    "SOFTMAX": _softmax,
    "QUANTIZE": _quantize,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _by_table(lambda n: ("leaky_relu", n.options("LeakyReluOptions").Alpha())),
    **{op: _by_table(lambda _, f=f: f) for op, f in _CURVES.items()},  # type: ignore[misc]
}

_MOVES = _tflite_layers.BLOCKS | {
    op: move for op, move in _tflite_moves.CONVERTERS.items() if op != "RESIZE_BILINEAR"
}
