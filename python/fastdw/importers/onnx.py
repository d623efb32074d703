"""ONNX files as graphs.

https://github.com/onnx/onnx/blob/main/docs/Operators.md is what the operators are held to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import (
    _onnx_activations,
    _onnx_layers,
    _onnx_math,
    _onnx_moves,
    _onnx_reduce,
    _onnx_resize,
    _onnx_transposed,
    _onnx_types,
)
from fastdw.importers._common import (
    InputSizes,
    Unknown,
    Unsupported,
    damage_is_a_value_error,
    finished,
    given_shapes,
    image_shape,
    input_sizes,
    kept,
    output_names,
    read,
)
from fastdw.importers._onnx_file import OnnxFile, OnnxNode
from fastdw.importers._onnx_fold import FOLDS
from fastdw.importers._onnx_integers import Stored, grouped
from fastdw.importers._onnx_qlinear import DYNAMIC
from fastdw.importers._onnx_values import STORED, Conversion, Live, Pending, Value, axis_of
from fastdw.network._graph import Graph

if TYPE_CHECKING:
    from os import PathLike

CONVERTERS = (
    _onnx_layers.CONVERTERS
    | _onnx_activations.CONVERTERS
    | _onnx_math.CONVERTERS
    | _onnx_moves.CONVERTERS
    | _onnx_reduce.CONVERTERS
    | _onnx_resize.CONVERTERS
    | _onnx_transposed.CONVERTERS
    | _onnx_types.CONVERTERS
)

_UNROUNDED = "Integers whose steps the model finds when it runs are float32, not rounded."
_FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")


def from_onnx(
    file: str | PathLike[str] | bytes,
    *,
    outputs: Sequence[str] | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    integers: str = "keep",
) -> Graph:
    """Read an ONNX model.

    The graph takes and gives one image as the model does, (C, H, W) where that has (N, C, H, W);
    the model's first axis is the batch, whatever its size. float16 and float64 become float32.

    Parameters
    ----------
    file : path or bytes
        The model. Weights in other files must lie beside it; links are not followed.
    outputs : sequence of str, optional
        Names of the values to give instead of the model's outputs: the network ends there.
    input_shape : sequence of int, or {name: sequence of int}, optional
        The shape of one image, in the model's order of axes. It is needed where the model leaves
        it open, and goes before what the model says.
    integers : {"keep", "float"}
        "float": integers between QuantizeLinear and DequantizeLinear become float32, within their
        ranges; so do outputs, and inputs of int8. "keep": they stay, and what is between
        DequantizeLinear and QuantizeLinear is computed in integers where the graph has operators
        for it.

    Returns
    -------
    Graph
        Not yet rewritten.

    Raises
    ------
    TypeError
        An argument of the wrong type.
    ValueError
        The file is damaged or no ONNX model, or has operators that fastdw does not run: all of
        them are named.
    RuntimeError
        The package onnx is missing.
    """
    keeps, names, sizes = kept(integers), output_names(outputs), input_sizes(input_shape)
    onnx = OnnxFile(read(file))
    with damage_is_a_value_error(onnx.name):
        return _convert(Conversion(onnx, keeps), names, sizes)


def _convert(c: Conversion, outputs: tuple[str, ...] | None, sizes: InputSizes) -> Graph:
    onnx = c.file
    names = onnx.outputs() if outputs is None else outputs
    nodes = list(onnx.nodes(names))
    _add_inputs(c, sizes)
    for node in nodes:
        c.source = (node.name,)
        try:
            results = _results(c, node)
        except Unknown:
            results = [None] * len(node.outputs)
        except Unsupported as reason:
            c.missing.add(f"{node.op} {reason}", node.name)
            results = [None] * len(node.outputs)
        for name, result in zip(node.outputs, results, strict=False):
            if name in c.values and name:
                msg = f"{onnx.name}: two nodes compute {name!r}"
                raise ValueError(msg)
            c.values[name] = result
    ends: dict[str, str] = {}
    for position, name in enumerate(names):
        ends[name if name not in ends else f"{name}_{position}"] = _output(c, name)
    c.missing.check()
    graph = finished(c.builder, ends, [_UNROUNDED] if onnx.has(DYNAMIC) else [])
    return grouped(graph, c.weights) if c.keeps_integers else graph


def _results(c: Conversion, node: OnnxNode) -> list[Value | None]:
    convert = CONVERTERS.get(node.op)
    if convert is None and node.op not in FOLDS and node.op != "Shape":
        c.missing.add(node.op, node.name)
        raise Unknown
    try:
        inputs = [c.get(node, position) for position in range(len(node.inputs))]
        if node.op == "Shape" and inputs:
            return [_shape(c, node, inputs[0])]
        if node.op in FOLDS and all(v is None or isinstance(v, np.ndarray) for v in inputs):
            axis = node.look("axis", 1) if node.op == "DequantizeLinear" else 0
            with np.errstate(all="ignore"):
                result = np.asarray(FOLDS[node.op](node, inputs, c.opset))
            c.grow(result, [v for v in inputs if isinstance(v, np.ndarray)])
            if node.op == "DequantizeLinear" and c.keeps_integers:
                _store(c, node, inputs, axis)
            node.refuse_the_rest()
            return [result]
        if convert is None:
            msg = "of a computed value"
            raise Unsupported(msg)
        integers = [v for v in inputs if isinstance(v, Pending) and v.kind.startswith("quantised")]
        value = _of_integers(c, node, integers) if integers else convert(c, node)
        node.refuse_the_rest()
        return value if isinstance(value, list) else [value]
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        msg = f"that does not fit ({error})"
        raise Unsupported(msg) from error


_MOVES = (*_onnx_moves.CONVERTERS, "MaxPool", "Identity", "Dropout")
"""What gives numbers that it was given, so that it does not matter what these stand for."""


def _of_integers(c: Conversion, node: OnnxNode, integers: list[Pending]) -> Any:
    """What a node makes of integers that are passed as the real numbers they stand for."""
    convert, steps = CONVERTERS[node.op], {(v.kind, v.factor) for v in integers}
    live = [name for name in node.inputs if isinstance(c.values.get(name), (Live, Pending))]
    if node.op not in _MOVES or len(steps) > 1 or len(live) > len(integers):
        return convert(c, node)
    before = {name: c.values[name] for name in live}
    c.values.update(zip(live, (v.base for v in integers), strict=True))
    try:
        value = convert(c, node)
    finally:
        c.values.update(before)
    values = value if isinstance(value, list) else [value]
    return [integers[0]._replace(base=result) for result in values]


def _store(c: Conversion, node: OnnxNode, inputs: Sequence[Any], axis: int) -> None:
    """Keep the integers of a constant, its zero point taken off."""
    numbers, scale, *zero = inputs
    scales = np.asarray(scale, np.float32).reshape(-1)
    points = np.size(zero[0]) if zero and zero[0] is not None else 1
    axis = axis_of(axis, max(numbers.ndim, 1)) if max(scales.size, points) > 1 else 0
    if zero and zero[0] is not None and np.any(zero[0]):
        sizes = [-1 if i == axis else 1 for i in range(numbers.ndim)]
        point = np.asarray(zero[0], np.int16).reshape(sizes if points > 1 else ())
        moved = numbers.astype(np.int16) - point
        if numbers.itemsize > 1 or moved.min() < -128 or moved.max() > 127:
            return
        numbers = moved.astype(np.int8)
    c.stored[node.outputs[0]] = Stored(numbers, scales, axis)


def _shape(c: Conversion, node: OnnxNode, value: Value | None) -> Value:
    x = value if isinstance(value, np.ndarray) else c.plain(value) if value is not None else None
    if x is None:
        msg = "of nothing"
        raise Unsupported(msg)
    first, end = node.integer("start", 0), node.integer("end", len(x.shape))
    return np.asarray(x.shape[slice(first, end)], np.int64)


# --- inputs and outputs ---


def _add_inputs(c: Conversion, sizes: InputSizes) -> None:
    known = c.file.inputs()
    given = given_shapes(tuple(known), sizes)
    for name, (dtype, declared) in known.items():
        if dtype not in (*_FLOATS, "UINT8", "INT8"):
            c.values[name] = None
            c.missing.add(f"an input of {dtype}", name)
            continue
        shape = image_shape(c.file.name, name, declared, given.get(name))
        if not shape:
            c.values[name] = None
            c.missing.add("an input without any axis but the batch", name)
            continue
        c.batched |= not declared or declared[0] != 1
        as_stored = dtype == "UINT8" or (dtype == "INT8" and c.keeps_integers)
        c.builder.input(name, shape, dtype.lower() if as_stored else "float32")
        value = Live(name, (1, *shape), tuple(range(1, len(shape) + 1)))
        real = dtype in _FLOATS or as_stored
        c.values[name] = value if real else Pending(STORED, value, 1.0, "an input of INT8", name)


def _output(c: Conversion, name: str) -> str:
    """The graph's name of a result, in the model's order of axes."""
    c.source = (name,)
    try:
        found = c.value(name)
        if isinstance(found, Pending) and found.kind.startswith("quantised"):
            found = found.base
        value = c.settled(c.plain(found))
        if len(value.shape) < 2 or value.shape[0] != 1:
            msg = f"of shape {value.shape}, of which the first axis is no batch"
            raise Unsupported(msg)
        return c.arrange(value, tuple(range(1, len(value.shape))))
    except Unknown:
        pass
    except Unsupported as reason:
        c.missing.add(f"an output {reason}", name)
    return ""
