"""Operators of ONNX that look along axes: means, maxima, softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_fold import axes_of
from fastdw.importers._onnx_values import Conversion, Live, Value, axis_of, large, without


def _reduce(function: str) -> Callable[[Conversion, OnnxNode], Value]:
    def convert(c: Conversion, node: OnnxNode) -> Value:
        x = c.live(node)
        rank = len(x.shape)
        inputs = [None, c.constant(node, 1, "axes")]
        axes = axes_of(node, inputs, 1, 13 if node.op == "ReduceSum" else 18, c.opset)
        noop, keep = node.integer("noop_with_empty_axes", 0), node.integer("keepdims", 1)
        if not axes and noop:
            return x
        reduced = sorted({axis_of(a, rank) for a in axes}) if axes else list(range(rank))
        c.keep_images_apart(x, reduced)
        result = over(c, x, reduced, "max" if function == "max" else "average")
        if function == "sum":
            number = math.prod(x.shape[a] for a in reduced)
            result = c.affine(result, float(number), 0.0, None)
        return result if keep else without(result, reduced)

    return convert


def over(c: Conversion, x: Live, reduced: list[int], function: str) -> Live:
    """The maximum or the mean over these axes, which remain with one entry."""
    shape = tuple(1 if a in reduced else n for a, n in enumerate(x.shape))
    gone = [a for a in x.axes if a in reduced and x.shape[a] > 1]
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
    rest = [a for a in x.axes if a is not None and x.shape[a] > 1 and a not in tail]
    if not tail:
        return c.activate(x, ("clip", 1.0, 1.0))
    if len(tail) == 1:
        x = c.last(x, tail[0])
        return c.like(x, c.add("softmax", x.name))
    name = c.arrange(x, (*rest, *tail))
    sizes = [math.prod(x.shape[a] for a in axes) for axes in (rest, tail)]
    name = c.add("softmax", c.reshape(name, tuple(sizes)))
    axes = (*rest, *tail)
    return Live(c.reshape(name, tuple(x.shape[a] for a in axes)), x.shape, axes)


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "ReduceMean": _reduce("average"),
    "ReduceMax": _reduce("max"),
    "ReduceSum": _reduce("sum"),
    "GlobalAveragePool": _global("average"),
    "GlobalMaxPool": _global("max"),
    "Softmax": _softmax,
}
