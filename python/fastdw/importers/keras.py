"""Keras models as graphs: in memory, as .keras files, and as the .h5 files of Keras 2.

https://keras.io/api/layers/ is what the layers are held to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastdw.importers import _keras_activations, _keras_layers, _keras_moves, _keras_norms
from fastdw.importers._common import (
    InputSizes,
    Unknown,
    Unsupported,
    damage_is_a_value_error,
    finished,
    given_shapes,
    image_shape,
    input_sizes,
    output_names,
)
from fastdw.importers._keras_file import KerasModel, Weights, opened
from fastdw.importers._keras_graph import MODELS, Call, Part, Ref, Wiring, wiring
from fastdw.importers._keras_moves import MERGES, OPERATIONS
from fastdw.importers._keras_values import Conversion, Settings
from fastdw.network._graph import Graph

if TYPE_CHECKING:
    from os import PathLike

LAYERS = (
    _keras_layers.LAYERS | _keras_activations.LAYERS | _keras_moves.LAYERS | _keras_norms.LAYERS
)

_OTHER_NAMES = {
    "truedivide": "divide",
    "truediv": "divide",
    "sub": "subtract",
    "mul": "multiply",
}
_MOST_DEPTH = 32  # of models within models

Values = dict[Ref, str | None]


def from_keras(
    model: Any | str | PathLike[str] | bytes,
    *,
    outputs: Sequence[str] | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """Read a Keras model.

    The graph takes and gives one image as the model does, (H, W, C) or (C, H, W). It computes in
    float32, whatever the model's policy.

    Parameters
    ----------
    model : keras.Model, path or bytes
        A built model of Keras 2 or 3, or the .keras or .h5 file of one.
    outputs : sequence of str, optional
        Names of layers, whose (first) results are given instead of the model's outputs: the
        network ends there.
    input_shape : sequence of int, or {name: sequence of int}, optional
        The shape of one image, in the model's order of axes. It is needed where the model leaves
        it open, and goes before what the model says.

    Returns
    -------
    Graph
        Not yet rewritten.

    Raises
    ------
    TypeError
        An argument of the wrong type.
    ValueError
        The file is damaged or no Keras model, or has layers that fastdw does not run: all of them
        are named.
    RuntimeError
        The package h5py is missing, which files need.

    Notes
    -----
    Files are read by the HDF5 library, which may not come back from a damaged .h5 file: read files
    of strangers in a process that can be ended.
    """
    names, sizes = output_names(outputs), input_sizes(input_shape)
    found = opened(model)
    with damage_is_a_value_error(found.name):
        return _convert(found, names, sizes)


def _convert(model: KerasModel, names: tuple[str, ...] | None, sizes: InputSizes) -> Graph:
    c, wires = Conversion(model), wiring(model.config)
    if names is not None:
        strangers = [name for name in names if name not in wires.parts]
        if strangers:
            msg = f"outputs names {strangers[0]!r}, which is no layer of {model.name}"
            raise ValueError(msg)
        wires = wires._replace(outputs=tuple(Ref(name, 0, 0) for name in names))
    inputs = _inputs(c, wires, sizes)
    results = _model(c, wires, model.weights, inputs, 0)
    c.missing.check()
    ends: dict[str, str] = {}
    for ref, result in zip(wires.outputs, results, strict=True):
        name, number = ref.layer, 1
        while name in ends:
            name, number = f"{ref.layer}_{number}", number + 1
        ends[name] = str(result)
    return finished(c.builder, ends)


def _inputs(c: Conversion, wires: Wiring, sizes: InputSizes) -> list[str | None]:
    names = [ref.layer for ref in wires.inputs]
    given = given_shapes(names, sizes)
    result: list[str | None] = []
    for name in names:
        config = wires.parts[name].config
        declared = config.get("batch_shape") or config.get("batch_input_shape")
        shape = image_shape(c.name, name, declared, given.get(name))
        if not shape:
            c.missing.add("an input without any axis but the batch", name)
            result.append(None)
            continue
        result.append(c.builder.input(name, shape))
    return result


def _model(
    c: Conversion, wires: Wiring, weights: Weights, inputs: Sequence[str | None], depth: int
) -> list[str | None]:
    """The results of a model."""
    if len(inputs) != len(wires.inputs) or depth > _MOST_DEPTH:
        msg = f"a model of {len(wires.inputs)} inputs is given {len(inputs)}, at depth {depth}"
        raise ValueError(msg)
    values: Values = dict(zip(wires.inputs, inputs, strict=True))
    for ref in _order(wires, values):
        part = wires.parts[ref.layer]
        c.source = (part.name,)
        results = _results(c, part, part.calls[ref.call], values, weights, depth)
        values |= {ref._replace(number=i): result for i, result in enumerate(results)}
    return [values[ref] for ref in wires.outputs]


def _order(wires: Wiring, known: Values) -> list[Ref]:
    """The calls that the outputs need, each after those that it reads."""
    order: dict[Ref, None] = {}
    stack, waiting = [ref._replace(number=0) for ref in reversed(wires.outputs)], set()
    while stack:
        ref = stack[-1]
        if ref in known or ref in order:
            stack.pop()
            continue
        call = _call_of(wires, ref)
        needed = [r._replace(number=0) for r in call.refs()]
        left = [r for r in needed if r not in known and r not in order]
        if not left:
            order[ref] = None
            waiting.discard(ref)
            stack.pop()
        elif ref in waiting:
            msg = f"layer {ref.layer!r} reads its own result"
            raise ValueError(msg)
        else:
            waiting.add(ref)
            stack += left[::-1]
    return list(order)


def _call_of(wires: Wiring, ref: Ref) -> Call:
    part = wires.parts.get(ref.layer)
    if part is None or not 0 <= ref.call < len(part.calls):
        msg = f"nothing computes call {ref.call} of layer {ref.layer!r}"
        raise ValueError(msg)
    return part.calls[ref.call]


def _results(
    c: Conversion, part: Part, call: Call, values: Values, weights: Weights, depth: int
) -> list[str | None]:
    try:
        args, kwargs = _resolved(call.args, values), _resolved(call.kwargs, values)
        if part.kind in MODELS:
            inner = wiring({"class_name": part.kind, "config": part.config})
            inputs = args[0] if isinstance(args[0], list) else [args[0]]
            return _model(c, inner, weights.inside(part.name), inputs, depth + 1)
        return [_layer(c, part, args, kwargs, weights)]
    except Unknown:
        return [None]
    except Unsupported as reason:
        c.missing.add(f"{part.kind} {reason}", part.name)
    except (TypeError, ValueError) as error:
        c.missing.add(f"{part.kind} that does not fit ({error})", part.name)
    return [None]


def _resolved(value: Any, values: Values) -> Any:
    """With names in the graph where references to results were."""
    if isinstance(value, Ref):
        if values.get(value) is None:
            raise Unknown
        return _Name(str(values[value]))
    if isinstance(value, dict):
        return {key: _resolved(entry, values) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_resolved(entry, values) for entry in value)
    return value


class _Name(str):
    """A name in the graph, not a word among the arguments of a call."""

    __slots__ = ()


def _layer(c: Conversion, part: Part, args: Any, kwargs: Any, weights: Weights) -> str:
    if _is_operation(part, args):
        return _operation(c, part, args, kwargs)
    weights.check(part.name)
    settings = Settings(part.config, weights)
    for name, value in kwargs.items():
        if value not in (None, False) and name != "training":
            msg = f"called with {name}={value!r}"
            raise Unsupported(msg)
    inputs = args[0] if isinstance(args[0], list) else list(args)
    if part.kind in MERGES:
        if len(inputs) < 2 or not all(isinstance(x, _Name) for x in inputs):
            msg = "of fewer than two inputs"
            raise Unsupported(msg)
        result = MERGES[part.kind](c, settings, inputs)
    elif part.kind in LAYERS:
        if len(inputs) != 1 or not isinstance(inputs[0], _Name):
            msg = f"of {len(inputs)} inputs"
            raise Unsupported(msg)
        result = LAYERS[part.kind](c, settings, inputs[0])
    else:
        c.missing.add(part.kind, part.name)
        raise Unknown
    settings.refuse_the_rest()
    return result


def _is_operation(part: Part, args: Any) -> bool:
    """Whether a part is arithmetic.

    An .h5 file of Keras 3 does not tell: it calls a + b by the name of a layer, but a layer takes a
    list.
    """
    if part.kind in ("TFOpLambda", "SlicingOpLambda") or part.module.startswith("keras.src.ops"):
        return True
    if part.kind in MERGES:
        return not isinstance(args[0], list)
    return part.kind not in LAYERS and _function(part) in OPERATIONS


def _function(part: Part) -> str:
    """The name of an operation among `OPERATIONS`."""
    name = str(part.config.get("function", "")).rpartition(".")[2] or part.kind.lower()
    return _OTHER_NAMES.get(name, name)


def _operation(c: Conversion, part: Part, args: Any, kwargs: Any) -> str:
    name = _function(part)
    if name not in OPERATIONS:
        c.missing.add(f"{part.kind} {name}" if "function" in part.config else part.kind, part.name)
        raise Unknown
    rest = {
        key: value for key, value in kwargs.items() if key not in ("x1", "x2", "x", "y", "name")
    }
    if any(value is not None for value in rest.values()):
        msg = f"with {', '.join(rest)}"
        raise Unsupported(msg)
    operands = list(args)
    operands += [kwargs[key] for key in ("x1", "x", "x2", "y") if key in kwargs]
    return OPERATIONS[name](c, *operands)
