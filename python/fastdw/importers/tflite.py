"""TFLite files as graphs.

https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
is the format; the operators are those of LiteRT's float kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastdw.importers import _tflite_integers, _tflite_layers, _tflite_math, _tflite_moves
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
from fastdw.importers._tflite_file import Tensor, TfliteFile, TfliteNode
from fastdw.importers._tflite_shapes import FOLDS
from fastdw.importers._tflite_values import Conversion, Live, Value
from fastdw.network._graph import Graph

if TYPE_CHECKING:
    from os import PathLike

CONVERTERS = _tflite_layers.CONVERTERS | _tflite_math.CONVERTERS | _tflite_moves.CONVERTERS

_FLOATS = ("FLOAT32", "FLOAT16", "FLOAT64")
_INTEGERS = ("INT8", "INT16")
_AS_FLOAT = (
    "The model computes in integers, the network in float32 within their ranges: results differ "
    "by its rounding."
)


def from_tflite(
    file: str | PathLike[str] | bytes,
    *,
    outputs: Sequence[str] | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    integers: str = "keep",
) -> Graph:
    """Read a TFLite model.

    The graph takes and gives one image; the model's first axis is the batch, 1 or open. Weights of
    float16 become float32.

    Parameters
    ----------
    file : path or bytes
        The model; bytes after it, such as appended metadata, are ignored. Its first graph is read.
    outputs : sequence of str, optional
        Names of the tensors to give instead of the model's outputs: the network ends there.
    input_shape : sequence of int, or {name: sequence of int}, optional
        The shape of one image, (H, W, C). It is needed where the model leaves it open, and goes
        before what the model says.
    integers : {"keep", "float"}
        "float": the graph computes in float32 throughout. Weights of integers, quantised by tensor
        or by channel, become float32. So do the values of an integer model: what remains of a
        quantised value is its range, to which it is clamped. An input of uint8 is taken as such,
        one of int8 as the float32 numbers that it stands for; outputs are float32. "keep": values
        of int8 and uint8 stay what they are, inputs and outputs too.

    Returns
    -------
    Graph
        Not yet rewritten.

    Raises
    ------
    TypeError
        An argument of the wrong type.
    ValueError
        The file is damaged or no TFLite model, or has operators that fastdw does not run: all of
        them are named.
    RuntimeError
        The package tflite is missing.
    """
    keeps, names, sizes = kept(integers), output_names(outputs), input_sizes(input_shape)
    model = TfliteFile(read(file))
    # A damaged number may be anything; what it leads to is said, or it changes weights alone.
    with damage_is_a_value_error(model.name), np.errstate(all="ignore"):
        return _convert(Conversion(model, keeps), names, sizes)


def _convert(c: Conversion, outputs: tuple[str, ...] | None, sizes: InputSizes) -> Graph:
    model = c.file
    ends = _ends(model, outputs)
    _add_inputs(c, sizes)
    for node in _needed(model, set(ends.values())):
        c.source = (node.name,)
        results = _results(c, node)
        for index, result in zip(node.outputs, results, strict=False):
            if index in c.values:
                msg = f"{model.name}: tensor {model.tensors[index].name!r} is computed twice"
                raise ValueError(msg)
            c.values[index] = result
    names = {name: _output(c, index) for name, index in ends.items()}
    c.missing.check()
    return finished(c.builder, names, _notes(c))


def _notes(c: Conversion) -> list[str]:
    if c.keeps_integers:
        words = ", ".join(c.in_float)
        return [f"In float32 between integers: {words}."] if c.in_float else []
    return [_AS_FLOAT] if c.quantised else []


def _needed(model: TfliteFile, wanted: set[int]) -> list[TfliteNode]:
    """The operators that these tensors need, in the order of the file."""
    nodes = []
    for node in reversed(list(model.nodes())):
        if not wanted.isdisjoint(node.outputs):
            nodes.append(node)
            wanted.update(node.inputs)
    return nodes[::-1]


def _results(c: Conversion, node: TfliteNode) -> Sequence[Value | None]:
    nothing = [None] * len(node.outputs)
    try:
        values = _evaluated(c, node)
        results = values if isinstance(values, list) else [values]
        return [
            c.held(node, index, value) if isinstance(value, Live) else value
            for index, value in zip(node.outputs, results, strict=True)
        ]
    except Unknown:
        return nothing
    except Unsupported as reason:
        c.missing.add(f"{node.op} {reason}", node.name)
        return nothing
    except (TypeError, ValueError) as error:
        c.missing.add(f"{node.op} that does not fit ({error})", node.name)
        return nothing


def _evaluated(c: Conversion, node: TfliteNode) -> Value | list[Value]:
    convert = CONVERTERS.get(node.op)
    if convert is None and node.op not in FOLDS and node.op != "SHAPE":
        c.missing.add(node.op, node.name)
        raise Unknown
    if any(i in c.values and c.values[i] is None for i in node.inputs):
        raise Unknown
    if node.op == "SHAPE":
        with c.as_stored():
            x = c.get(node, 0)
            shape = x.shape if isinstance(x, np.ndarray) else c.live(node).shape
        return np.asarray(shape, np.int64)
    if node.op in FOLDS and all(i >= 0 and c.is_constant(i) for i in node.inputs):
        return np.asarray(FOLDS[node.op](node, [c.value(i) for i in node.inputs]))
    if convert is None:
        msg = "of a computed value"
        raise Unsupported(msg)
    if c.keeps_integers:
        whole = _tflite_integers.convert(c, node)
        if whole is not None:
            return whole
    result: Value | list[Value] = convert(c, node)
    return result


# --- inputs and outputs ---


def _ends(model: TfliteFile, outputs: tuple[str, ...] | None) -> dict[str, int]:
    """Names of the outputs, and their tensors."""
    if outputs is None:
        numbers: dict[str, int] = {}
        for position, index in enumerate(model.outputs):
            name = model.tensors[index].name or f"output_{position}"
            numbers[name if name not in numbers else f"{name}_{position}"] = index
        return numbers
    known = {tensor.name: index for index, tensor in enumerate(model.tensors)}
    strangers = [name for name in outputs if name not in known]
    if strangers:
        msg = f"outputs names {strangers[0]!r}, which {model.name} does not compute"
        raise ValueError(msg)
    return {name: known[name] for name in outputs}


def _add_inputs(c: Conversion, sizes: InputSizes) -> None:
    names: dict[str, int] = {}
    for position, index in enumerate(c.file.inputs):
        name = c.file.tensors[index].name or f"input_{position}"
        names[name if name not in names else f"{name}_{position}"] = index
    given = given_shapes(tuple(names), sizes)
    for name, index in names.items():
        c.source = (name,)
        try:
            c.values[index] = _input(c, name, index, given.get(name))
        except Unsupported as reason:
            c.values[index] = None
            c.missing.add(f"an input {reason}", name)


def _input(c: Conversion, name: str, index: int, given: tuple[int, ...] | None) -> Live:
    tensor = c.file.tensors[index]
    batch, declared = tensor.signature[:1], tensor.signature[1:]
    if batch not in ((1,), (-1,)) or not declared:
        msg = f"of shape {tensor.signature}, of which the first axis is no batch of one or any"
        raise Unsupported(msg)
    shape = image_shape(c.file.name, name, tensor.signature, given)
    if c.quantization(index) is not None:
        c.builder.input(name, shape, tensor.dtype.lower())
        return Live(name, (1, *shape))
    if tensor.dtype == "UINT8":
        c.builder.input(name, shape, "uint8")
        scale, offset = _real(tensor)
        return c.affine(Live(name, (1, *shape)), scale, offset)
    quantised = tensor.dtype in _INTEGERS and tensor.limits() is not None
    if tensor.dtype not in _FLOATS and not quantised:
        msg = f"of {tensor.dtype}"
        raise Unsupported(msg)
    c.builder.input(name, shape)
    return Live(name, (1, *shape))


def _real(tensor: Tensor) -> tuple[float, float]:
    """The factor and the term that make a stored integer the number it stands for."""
    if tensor.limits() is None or tensor.quantization is None:
        return 1.0, 0.0
    scale = float(tensor.quantization.scale[0])
    return scale, -scale * float(tensor.quantization.zero_point[0])


def _output(c: Conversion, index: int) -> str:
    tensor = c.file.tensors[index]
    try:
        with c.as_stored():
            value = c.plain(c.value(index))
        if len(value.shape) < 2 or value.shape[0] != 1:
            msg = f"of shape {value.shape}, of which the first axis is no batch"
            raise Unsupported(msg)
        return value.name
    except Unknown:
        pass
    except Unsupported as reason:
        c.missing.add(f"an output {reason}", tensor.name)
    return ""
