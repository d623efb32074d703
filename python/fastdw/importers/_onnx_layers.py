"""Operators of ONNX with weights or windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_activations import clamped, hard_sigmoid
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_integers import Weights
from fastdw.importers._onnx_math import combine
from fastdw.importers._onnx_values import IMAGE, Axes, Conversion, Live, Value, without
from fastdw.network._attributes import NO_PADS
from fastdw.network._shapes import same_pads

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

Pads = tuple[tuple[int, int], tuple[int, int]]
_AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


class Window(NamedTuple):
    taps: tuple[int, int]
    strides: tuple[int, int]
    dilation_rate: tuple[int, int]
    auto: str
    pads: Pads


def image_of(c: Conversion, x: Live) -> tuple[str, int]:
    """A value as an image, and how many axes the model gives that: (N, C, L) is one row."""
    axes = len(x.shape) - 2
    if axes == 1:
        shape = (*x.shape[:2], 1, x.shape[2])
        x = Live(x.name, shape, tuple(3 if axis == 2 else axis for axis in x.axes))
    return c.image(x), axes


def pair_of(node: OnnxNode, name: str, default: Sequence[int], axes: int) -> tuple[int, int]:
    values = node.integers(name, list(default))
    if len(values) != axes:
        msg = f"with {name}={values}"
        raise Unsupported(msg)
    return (1, values[0]) if axes == 1 else (values[0], values[1])


def window_of(node: OnnxNode, taps: Sequence[int] | None, axes: int = 2) -> Window:
    """The attributes that convolutions and pools share."""
    ones = (1,) * axes
    shape = pair_of(node, "kernel_shape", () if taps is None else taps, axes)
    if taps is not None and shape[-axes:] != tuple(taps):
        msg = f"with a kernel_shape that is not {tuple(taps)}"
        raise Unsupported(msg)
    auto = node.text("auto_pad", "NOTSET")
    pads = node.integers("pads", [0, 0] * axes)
    if auto not in _AUTO or len(pads) != 2 * axes or (auto != "NOTSET" and any(pads)):
        msg = f"with auto_pad={auto!r} and pads {pads}"
        raise Unsupported(msg)
    top, left, bottom, right = pads if axes == 2 else (0, pads[0], 0, pads[1])
    return Window(
        shape,
        pair_of(node, "strides", ones, axes),
        pair_of(node, "dilations", ones, axes),
        auto,
        ((top, bottom), (left, right)),
    )


def _padding(window: Window, size: Sequence[int]) -> Pads:
    """The pads on an image of this size."""
    if not window.auto.startswith("SAME"):
        return window.pads
    if min(window.strides) < 1:
        msg = f"with strides {window.strides}"
        raise Unsupported(msg)
    lower = window.auto == "SAME_LOWER"
    return same_pads(size, window.taps, window.strides, window.dilation_rate, lower)


def weights_of(c: Conversion, node: OnnxNode, rank: int) -> AnyArray:
    weights = c.constant(node, 1, "weights")
    if weights is None or weights.ndim != rank or weights.dtype.kind != "f" or not weights.size:
        msg = f"with weights that have not {rank} axes of floats"
        raise Unsupported(msg)
    return weights


def bias_of(c: Conversion, node: OnnxNode, position: int = 2) -> AnyArray | None:
    return c.constant(node, position, "biases")


def _conv(c: Conversion, node: OnnxNode) -> Live:
    image, axes = image_of(c, c.live(node))
    weights, bias = weights_of(c, node, axes + 2), bias_of(c, node)
    groups = node.integer("group", 1)
    window = window_of(node, weights.shape[2:], axes)
    height, width, channels = c.builder.shape(image)
    attrs: dict[str, Any] = {
        "bias": bias,
        "strides": window.strides,
        "dilation_rate": window.dilation_rate,
        "padding": _padding(window, (height, width)),
    }
    filters, depth = weights.shape[:2]
    op = "conv2d"
    if groups == channels > 1 and depth == 1 and filters % channels == 0:
        op = "depthwise"
    else:
        attrs["groups"] = groups

    def arranged(array: AnyArray) -> AnyArray:
        if op == "conv2d":
            return array.reshape(filters, depth, *window.taps).transpose(2, 3, 1, 0)
        shape = (channels, filters // channels, *window.taps)
        return array.reshape(shape).transpose(2, 3, 0, 1)

    name = c.add(op, image, kernel=arranged(weights), **attrs)
    whole = c.whole(node, arranged, 0)
    if whole is not None:
        c.weights[name] = whole
    return image_value(c, name, axes)


def image_value(c: Conversion, name: str, axes: int = 2) -> Live:
    height, width, channels = c.builder.shape(name)
    value = Live(name, (1, channels, height, width), IMAGE)
    return without(value, [2]) if axes == 1 else value


def _fused_conv(c: Conversion, node: OnnxNode) -> Value:
    """ONNX Runtime's Conv with a residual and an activation."""
    name, numbers = node.text("activation", ""), node.take("activation_params", [])
    y = _conv(c, node)
    residual = c.get(node, 3)
    if residual is not None:
        added = combine(c, "Add", y, residual)
        y = c.plain(added)
    counts = {"LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2}
    plain = {"": None, "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
    if len(numbers) != counts.get(name, 0) or name not in {**counts, **plain}:
        msg = f"with activation={name!r} and activation_params {numbers}"
        raise Unsupported(msg)
    if name == "LeakyRelu":
        return c.activate(y, ("leaky_relu", numbers[0]))
    if name == "Clip":
        return clamped(c, y, *numbers)
    if name == "HardSigmoid":
        return hard_sigmoid(c, y, *numbers)
    return c.activate(y, plain[name]) if plain[name] else y


def _pool(function: str) -> Callable[[Conversion, OnnxNode], Value]:
    def convert(c: Conversion, node: OnnxNode) -> Value:
        x = c.live(node)
        if len(node.outputs) > 1 and node.outputs[1]:
            msg = "with indices of the maxima"
            raise Unsupported(msg)
        image, axes = image_of(c, x)
        node.integer("storage_order", 0)
        count, ceil = node.integer("count_include_pad", 0), node.integer("ceil_mode", 0)
        window = window_of(node, None, axes)
        if ceil and window.auto != "NOTSET":
            msg = f"with ceil_mode and auto_pad={window.auto!r}"
            raise Unsupported(msg)
        size = c.builder.shape(image)[:2]
        pads = _padding(window, size)
        whole = [
            (before, after + (_overhang(size[axis], window, axis) if ceil else 0))
            for axis, (before, after) in enumerate(pads)
        ]
        attrs = {
            "function": function,
            "window": window.taps,
            "strides": window.strides,
            "dilation_rate": window.dilation_rate,
            "padding": tuple(whole),
        }
        kind = c.builder.dtype(image)
        if kind != "float32":  # the greatest of integers, whatever these stand for
            q = (1.0, 0, kind)
            name = c.add("quantized_pool", image, input=q, origin=0, **attrs)
            return image_value(c, name, axes)
        name = c.add("pool", image, counted=pads if count else NO_PADS, **attrs)
        return image_value(c, name, axes)

    return convert


def _overhang(size: int, window: Window, axis: int) -> int:
    """Cells beyond the padding that the last window of ceil_mode covers."""
    stride, before = window.strides[axis], window.pads[axis][0]
    if stride < 1:
        msg = f"with strides {window.strides}"
        raise Unsupported(msg)
    span = (window.taps[axis] - 1) * window.dilation_rate[axis] + 1
    padded = size + sum(window.pads[axis])
    out = -(-(padded - span) // stride) + 1
    if (out - 1) * stride >= size + before:
        out -= 1
    return max((out - 1) * stride + span - padded, 0)


# --- dense layers ---


def _rows(c: Conversion, x: Live, shape: tuple[int, ...]) -> tuple[str, AnyArray, Axes]:
    """The value with its last axis last, and the rows of a matrix in the order of that axis.

    A picture that was flattened keeps the order of the graph, and the matrix takes it.
    """
    axis = len(x.shape) - 1
    if x.shape[axis] != shape[0]:
        msg = f"of {x.shape} with weights of shape {shape}"
        raise Unsupported(msg)
    rows = np.arange(shape[0])
    old = x.before
    if old is not None and math.prod(x.shape[:-1]) == 1:
        kept = [a for a in old.axes if a is not None and old.shape[a] > 1]
        rows = rows.reshape([old.shape[a] for a in sorted(kept)])
        rows = rows.transpose([sorted(kept).index(a) for a in kept]).reshape(-1)
        name = c.reshape(old.name, (1, 1, shape[0]))
        return name, rows, (None, None, axis)
    x = c.settled(x)
    rest = [a for a in x.axes if a not in (None, axis) and x.shape[a] > 1]
    axes: Axes = (*rest, axis) if len(rest) in (1, 2) else (None, None, *rest, axis)
    if len(x.shape) == 4 and set(x.axes) == {1, 2, 3} and x.axes[-1] == axis:
        axes = x.axes
    return c.arrange(x, axes), rows, axes


def dense(
    c: Conversion,
    x: Live,
    matrix: AnyArray,
    bias: AnyArray | None = None,
    whole: Weights | None = None,
) -> Live:
    """x @ matrix + bias; `whole` is what these were made of."""
    name, rows, axes = _rows(c, x, matrix.shape)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), matrix.shape[1:]).copy()
    name = _common.dense(c.builder, name, matrix[rows], bias, source=c.source)
    if whole is not None:
        c.weights[name] = whole._replace(kernel=whole.kernel[rows][np.newaxis, np.newaxis])
    return Live(name, (*x.shape[:-1], matrix.shape[1]), axes)


def _gemm(c: Conversion, node: OnnxNode) -> Value:
    x, weights = c.unsettled(node), weights_of(c, node, 2)
    if node.integer("transA", 0) or len(x.shape) != 2:
        msg = f"on {x.shape}, transposed"
        raise Unsupported(msg)
    node.take("broadcast", None)  # of opset 6: what is no vector is refused in any case
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    by_rows = bool(node.integer("transB", 0))

    def arranged(array: AnyArray) -> AnyArray:
        return array.T if by_rows else array

    matrix, whole = arranged(weights), None
    if alpha == beta == 1:
        whole = c.whole(node, arranged, 0 if by_rows else 1)
    matrix = matrix * alpha if alpha != 1 else matrix
    term = c.get(node, 2)
    if not isinstance(term, np.ndarray):
        y = dense(c, x, matrix, whole=whole)
        if term is None:
            return y
        return combine(c, "Add", y, combine(c, "Mul", term, np.asarray(beta)))
    if term.size not in (1, matrix.shape[1]) or term.shape[-1:] not in ((), (term.size,)):
        msg = f"with C of shape {term.shape}"
        raise Unsupported(msg)
    return dense(c, x, matrix, term * beta if beta != 1 else term, whole)


def _matmul(c: Conversion, node: OnnxNode) -> Value:
    left = c.get(node, 0)
    if isinstance(left, np.ndarray):
        return _matmul_from_left(c, left, c.live(node, 1))
    x, weights = c.unsettled(node), c.constant(node, 1, "weights")
    if weights is None or weights.dtype.kind != "f":
        msg = "with weights that are no floats"
        raise Unsupported(msg)
    if weights.ndim < 2 or math.prod(weights.shape[:-2]) != 1 or weights.ndim > len(x.shape):
        msg = f"with weights of shape {weights.shape}"
        raise Unsupported(msg)
    shape = weights.shape[-2:]
    whole = c.whole(node, lambda array: array.reshape(shape), weights.ndim - 1)
    return dense(c, x, weights.reshape(shape), whole=whole)


def _matmul_from_left(c: Conversion, weights: AnyArray, x: Live) -> Live:
    """weights @ x: the transpose of xᵀ @ weightsᵀ."""
    rank = len(x.shape)
    if weights.ndim != 2 or rank < 2:
        msg = f"of weights of shape {weights.shape} with {x.shape}"
        raise Unsupported(msg)
    y = dense(c, _swapped(x), weights.T)
    return _swapped(y)


def _swapped(x: Live) -> Live:
    """With the last two axes exchanged."""
    rank = len(x.shape)
    other = {rank - 1: rank - 2, rank - 2: rank - 1}
    axes = tuple(None if a is None else other.get(a, a) for a in x.axes)
    return Live(x.name, (*x.shape[:-2], x.shape[-1], x.shape[-2]), axes)


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "Conv": _conv,
    "com.microsoft.FusedConv": _fused_conv,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("average"),
    "Gemm": _gemm,
    "MatMul": _matmul,
}
