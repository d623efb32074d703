"""Operators of ONNX that look along axes: means, maxima, norms, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdw.importers import _common, _norms
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_fold import axes_of
from fastdw.importers._onnx_math import combine, normalized
from fastdw.importers._onnx_values import Conversion, Live, Value, axis_of, large, without

_LARGEST = float.fromhex("0x1.fffffep+127")
Reduction = Callable[[Conversion, Live, list[int]], Live]


def _reduce(function: Reduction) -> Callable[[Conversion, OnnxNode], Value]:
    def convert(c: Conversion, node: OnnxNode) -> Value:
        x = c.live(node)
        rank = len(x.shape)
        inputs = [None, c.constant(node, 1, "axes")]
        axes = axes_of(node, inputs, 1, 13 if node.op == "ReduceSum" else 18, c.opset)
        noop, keep = node.integer("noop_with_empty_axes", 0), node.integer("keepdims", 1)
        every = [] if noop else list(range(rank))
        reduced = sorted({axis_of(a, rank) for a in axes}) if axes else every
        c.keep_images_apart(x, reduced)
        result = function(c, x, reduced)
        return result if keep else without(result, reduced)

    return convert


def _max(c: Conversion, x: Live, axes: list[int]) -> Live:
    return over(c, x, axes, "max")


def _min(c: Conversion, x: Live, axes: list[int]) -> Live:
    return c.affine(_max(c, c.affine(x, -1.0, 0.0, None), axes), -1.0, 0.0, None)


def _mean(c: Conversion, x: Live, axes: list[int]) -> Live:
    return over(c, x, axes, "average")._replace(moment=_norms.of_mean(x, axes))


def _sum(c: Conversion, x: Live, axes: list[int]) -> Live:
    number = math.prod(x.shape[a] for a in axes)
    return c.affine(over(c, x, axes, "average"), float(number), 0.0, None)


def _l1(c: Conversion, x: Live, axes: list[int]) -> Live:
    return _sum(c, c.function(x, "abs"), axes)


def _squares(c: Conversion, x: Live, axes: list[int]) -> Live:
    return _sum(c, c.plain(combine(c, "Mul", x, x)), axes)


def _l2(c: Conversion, x: Live, axes: list[int]) -> Live:
    return c.function(_squares(c, x, axes), "sqrt")


def _log_sum(c: Conversion, x: Live, axes: list[int]) -> Live:
    return c.function(_sum(c, x, axes), "log")


def _log_sum_exp(c: Conversion, x: Live, axes: list[int]) -> Live:
    """m + log Σ exp(x − m) with a finite m: the maximum, where that is."""
    most = c.activate(_max(c, x, axes), ("clip", -_LARGEST, _LARGEST))
    power = c.function(c.plain(combine(c, "Sub", x, most)), "exp")
    return c.plain(combine(c, "Add", most, _log_sum(c, power, axes)))


def over(c: Conversion, x: Live, reduced: list[int], function: str) -> Live:
    """The maximum or the mean over these axes, which remain with one entry."""
    shape = tuple(1 if a in reduced else n for a, n in enumerate(x.shape))
    gone = [a for a in x.axes if a in reduced and x.shape[a] > 1]
    if not gone:
        return x
    kept = [a for a in x.axes if a is not None and a not in reduced and x.shape[a] > 1]
    name = c.arrange(x, (*gone, *kept))
    sizes = [x.shape[a] for a in gone]
    rows, columns = sizes if len(sizes) == 2 else (math.prod(sizes), 1)
    name = c.reshape(name, (rows, columns, math.prod(x.shape[a] for a in kept)))
    name = c.add("global_pool", name, function=function)
    if len(kept) > 1:
        name = c.reshape(name, tuple(x.shape[a] for a in kept))
        return Live(name, shape, tuple(kept))
    return Live(name, shape, (None, None, kept[0] if kept else None))


def _global(function: str) -> Callable[[Conversion, OnnxNode], Value]:
    def convert(c: Conversion, node: OnnxNode) -> Value:
        x = c.live(node)
        name = c.add("global_pool", c.image(x), function=function)
        return Live(name, (1, x.shape[1], 1, 1), (2, 3, 1))

    return convert


def _softmax(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    axis = axis_of(node.integer("axis", -1 if c.opset >= 13 else 1), len(x.shape))
    tail = [a for a in large(x) if a == axis or (c.opset < 13 and a > axis)]
    c.keep_images_apart(x, [axis])
    if not tail:
        return c.activate(x, ("clip", 1.0, 1.0))
    return c.over_last(x, tail, "softmax")


def _log_softmax(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    axis = axis_of(node.integer("axis", -1 if c.opset >= 13 else 1), len(x.shape))
    tail = [a for a in range(len(x.shape)) if a == axis or (c.opset < 13 and a > axis)]
    c.keep_images_apart(x, tail)
    return c.plain(combine(c, "Sub", x, _log_sum_exp(c, x, tail)))


def _lp_norm(c: Conversion, node: OnnxNode) -> Value:
    """x by its length; 0 where that is 0."""
    x, p = c.live(node), node.integer("p", 2)
    axes = [axis_of(node.integer("axis", -1), len(x.shape))]
    c.keep_images_apart(x, axes)
    if p not in (1, 2):
        msg = f"with p={p}"
        raise Unsupported(msg)
    length = (_l1 if p == 1 else _l2)(c, x, axes)
    return combine(c, "Div", x, c.activate(length, ("clip", 2.0**-149, math.inf)))


def _layer_norm(c: Conversion, node: OnnxNode) -> list[Value]:
    """With its mean and one over its deviation, where these are outputs too."""
    x, scale, offset = c.live(node), c.constant(node, 1, "scales"), c.constant(node, 2, "offsets")
    axes = list(range(axis_of(node.integer("axis", -1), len(x.shape)), len(x.shape)))
    epsilon = node.number("epsilon", 1e-5)
    node.integer("stash_type", 1)
    scale = _norms.ONE if scale is None else scale
    offset = _norms.NOTHING if offset is None else offset
    results: list[Value] = [normalized(c, x, axes, epsilon, scale, offset)]
    if any(node.outputs[1:]):
        mean = _mean(c, x, axes)
        centred = combine(c, "Sub", x, mean)
        variance = _mean(c, c.plain(combine(c, "Mul", centred, centred)), axes)
        deviation = c.function(c.affine(variance, 1.0, epsilon, None), "sqrt")
        results += [mean, c.function(deviation, "reciprocal")]
    return results


def _instance_norm(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    scale, offset = (c.constant(node, i, "scales or offsets") for i in (1, 2))
    wanted = x.shape[1:2]
    if len(x.shape) < 3 or any(v is None or v.shape != wanted for v in (scale, offset)):
        msg = f"with scales or offsets that do not fit {x.shape}"
        raise Unsupported(msg)
    axes = list(range(2, len(x.shape)))
    y = normalized(c, x, axes, node.number("epsilon", 1e-5))
    return c.affine(y, np.asarray(scale), np.asarray(offset), 1)


def _group_norm(c: Conversion, node: OnnxNode) -> Value:
    x, groups = c.live(node), node.integer("num_groups", 0)
    scale, offset = (c.constant(node, i, "scales or offsets") for i in (1, 2))
    epsilon = node.number("epsilon", 1e-5)
    node.integer("stash_type", 1)
    wanted = x.shape[1:2] if c.opset > 20 else (groups,)
    if len(x.shape) < 3 or any(v is None or v.shape != wanted for v in (scale, offset)):
        msg = f"with scales or offsets that do not fit {x.shape}"
        raise Unsupported(msg)
    c.keep_images_apart(x, range(1, len(x.shape)))
    x = c.last(x, 1)
    name = _common.by_groups(c.builder, x.name, groups, epsilon, source=c.source)
    times = x.shape[1] // wanted[0]
    factors, terms = (np.repeat(np.asarray(v), times) for v in (scale, offset))
    return c.affine(c.like(x, name), factors, terms, 1)


def _root_mean_square_norm(c: Conversion, node: OnnxNode) -> Value:
    """x/√(mean of x² + epsilon)·scale."""
    x, scale = c.live(node), c.constant(node, 1, "scales")
    axes = list(range(axis_of(node.integer("axis", -1), len(x.shape)), len(x.shape)))
    epsilon = node.number("epsilon", 1e-5)
    node.integer("stash_type", 1)
    c.keep_images_apart(x, axes)
    squares = over(c, c.plain(combine(c, "Mul", x, x)), axes, "average")
    root = c.function(c.affine(squares, 1.0, epsilon, None), "sqrt")
    return combine(c, "Mul", combine(c, "Div", x, root), _norms.ONE if scale is None else scale)


_MOST_NEIGHBOURS = 1024  # channels whose squares a matrix sums


def _local_response_norm(c: Conversion, node: OnnxNode) -> Value:
    """x/(bias + alpha/size·Σ x²)^beta, over channels beside each: a 1×1 convolution of squares."""
    x, size = c.live(node), node.integer("size", 0)
    alpha, beta = node.number("alpha", 1e-4), node.number("beta", 0.75)
    bias, channels = node.number("bias", 1.0), x.shape[1]
    if size < 1 or not 1 <= channels <= _MOST_NEIGHBOURS or not 0 < beta <= 4 or len(x.shape) != 4:
        msg = f"with size={size} and beta={beta} on {x.shape}"
        raise Unsupported(msg)
    number = np.arange(channels)
    apart = number[:, np.newaxis] - number  # a channel of the sum from one of its outputs
    beside = (apart >= -((size - 1) // 2)) & (apart <= size // 2)
    x = c.last(x, 1)
    squares = _common.dense(
        c.builder,
        c.image(c.plain(combine(c, "Mul", x, x))),
        beside * (alpha / size),
        np.full(channels, bias),
        source=c.source,
    )
    power = c.affine(c.function(c.like(x, squares), "log"), -beta, 0.0, None)
    return combine(c, "Mul", x, c.function(power, "exp"))


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "ReduceMean": _reduce(_mean),
    "ReduceMax": _reduce(_max),
    "ReduceMin": _reduce(_min),
    "ReduceSum": _reduce(_sum),
    "ReduceL1": _reduce(_l1),
    "ReduceL2": _reduce(_l2),
    "ReduceSumSquare": _reduce(_squares),
    "ReduceLogSum": _reduce(_log_sum),
    "ReduceLogSumExp": _reduce(_log_sum_exp),
    "GlobalAveragePool": _global("average"),
    "GlobalMaxPool": _global("max"),
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LRN": _local_response_norm,
    "RMSNormalization": _root_mean_square_norm,
}
