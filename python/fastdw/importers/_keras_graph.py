"""The calls of a Keras model, from its configuration: which layer reads what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastdw._arguments import describe

MODELS = ("Functional", "Sequential", "Model")


class Ref(NamedTuple):
    """A result: of which layer, of which of its calls, and which of several."""

    layer: str
    call: int
    number: int


class Call(NamedTuple):
    """What a layer is given; results of others are `Ref`, alone or in lists."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def refs(self) -> Iterator[Ref]:
        yield from _refs((self.args, self.kwargs))


class Part(NamedTuple):
    """A layer, an operation or a model within a model, with its calls."""

    name: str
    kind: str
    module: str
    config: dict[str, Any]
    calls: tuple[Call, ...]


class Wiring(NamedTuple):
    """A model: its parts, and what goes in and out."""

    parts: dict[str, Part]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]


def wiring(model: dict[str, Any]) -> Wiring:
    """The calls of a model, as it was serialized."""
    config = model["config"]
    if model["class_name"] == "Sequential":
        return _sequential(config)
    if not isinstance(config, dict) or "output_layers" not in config:
        msg = f"a model of class {model['class_name']!r} does not say what its layers read"
        raise ValueError(msg)
    parts: dict[str, Part] = {}
    for layer in config["layers"]:
        calls = tuple(_call(node) for node in _nodes(layer.get("inbound_nodes", [])))
        part = _part(layer, calls)
        if part.name in parts:
            msg = f"two layers are named {part.name!r}"
            raise ValueError(msg)
        parts[part.name] = part
    wires = Wiring(parts, _ends(config["input_layers"]), _ends(config["output_layers"]))
    return wires._replace(parts=_counted(wires))


def _counted(wires: Wiring) -> dict[str, Part]:
    """With the calls of models counted as Keras does: the first is the model's own making."""
    refs = [ref for part in wires.parts.values() for call in part.calls for ref in call.refs()]
    first: dict[str, int] = {}
    for ref in [*refs, *wires.outputs]:
        first[ref.layer] = min(ref.call, first.get(ref.layer, 1))
    return {
        name: part._replace(calls=part.calls[:1] + part.calls)
        if part.kind in MODELS and first.get(name) == 1
        else part
        for name, part in wires.parts.items()
    }


def _part(layer: dict[str, Any], calls: tuple[Call, ...]) -> Part:
    config, kind = layer["config"], str(layer["class_name"])
    custom = layer.get("registered_name")
    if custom and ">" in custom and not custom.startswith("keras"):
        kind = custom
    name, module = layer.get("name") or config.get("name"), str(layer.get("module") or "")
    if module and module.partition(".")[0] not in ("keras", "tf_keras", "tensorflow"):
        kind = f"{module}.{kind}"
    return Part(str(name), kind, module, config, calls)


def _sequential(config: Any) -> Wiring:
    layers = config["layers"] if isinstance(config, dict) else config
    shape = config.get("build_input_shape") if isinstance(config, dict) else None
    if not layers:
        msg = "a Sequential model without layers"
        raise ValueError(msg)
    first = layers[0]["config"]
    shape = first.get("batch_input_shape") or first.get("batch_shape") or shape
    if layers[0]["class_name"] != "InputLayer":
        name = "input"
        while any(_part(layer, ()).name == name for layer in layers):
            name += "_"
        entry = {"name": name, "batch_shape": shape}
        layers = [{"class_name": "InputLayer", "config": entry}, *layers]
    parts: dict[str, Part] = {}
    before = None
    for layer in layers:
        calls = () if before is None else (Call((Ref(before, 0, 0),), {}),)
        part = _part(layer, calls)
        parts[part.name] = part
        before = part.name
    return Wiring(parts, (Ref(next(iter(parts)), 0, 0),), (Ref(str(before), 0, 0),))


def _nodes(nodes: Any) -> list[Any]:
    """A call an entry; Keras 2 leaves one list out where an operation has one input."""
    if nodes and isinstance(nodes[0], list) and nodes[0] and isinstance(nodes[0][0], str):
        return [[node] for node in nodes]
    return list(nodes)


def _call(node: Any) -> Call:
    if isinstance(node, dict):
        return Call(tuple(map(_symbols, node["args"])), _symbols(node.get("kwargs", {})))
    refs = [Ref(str(entry[0]), int(entry[1]), int(entry[2])) for entry in node]
    kwargs = {
        key: _old_symbols(value)
        for entry in node
        for key, value in (entry[3] if len(entry) > 3 else {}).items()
    }
    return Call((refs[0] if len(refs) == 1 else refs,), kwargs)


def _symbols(value: Any) -> Any:
    """With symbols of Keras 3 as `Ref`."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            layer, call, number = value["config"]["keras_history"]
            return Ref(str(layer), int(call), int(number))
        return {key: _symbols(entry) for key, entry in value.items()}
    return [_symbols(entry) for entry in value] if isinstance(value, list) else value


def _old_symbols(value: Any) -> Any:
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str):
        if value[0] == "_CONSTANT_VALUE":
            return value[2]
        return Ref(value[0], int(value[1]), int(value[2]))
    return value


def _ends(ends: Any) -> tuple[Ref, ...]:
    """Of a list of ends, of a dict of them, or of one alone."""
    if isinstance(ends, dict):
        ends = list(ends.values())
    if not isinstance(ends, list) or not ends:
        msg = f"inputs and outputs of a model must be a list, got {describe(ends)}"
        raise ValueError(msg)
    if isinstance(ends[0], str):
        ends = [ends]
    return tuple(Ref(str(end[0]), int(end[1]), int(end[2])) for end in ends)


def _refs(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _refs(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _refs(entry)
