"""Where a Keras model comes from: a model in memory, a .keras file, or an .h5 file of before.

All three give the same: the configuration that `get_config` makes, the version of Keras, and the
weights by names of layers. Keras itself is not imported, and nothing in a file is run.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fastdw._arguments import describe
from fastdw.importers._common import Unsupported, damage_is_a_value_error, read

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\3\4"
_MAX_CONFIG = 16 << 20
_MAX_UNPACKED = 8  # a .keras file is not compressed, so it holds no more than its size
_OLD_NAMES = {"kernel": "depthwise_kernel", "depthwise_kernel": "kernel"}
_MODELS = ("Functional", "Sequential", "Model")
_ROOTS = ("keras", "tf_keras", "tensorflow")


class Weights(Protocol):
    """The variables of the layers of one model."""

    def check(self, layer: str) -> None:
        """Refuse a layer in memory that computes otherwise than Keras's of its class."""

    def variables(self, layer: str, names: Sequence[str]) -> dict[str, AnyArray]:
        """Those of a layer; `names` are all that it has, in their order."""

    def inside(self, layer: str) -> Weights:
        """Those of a model that is a layer of this one."""


UNNAMED = "variable"


class KerasModel(NamedTuple):
    """A model as it was found."""

    name: str
    config: dict[str, Any]
    """class_name and config, as Keras serializes a layer."""
    version: int
    """The major version of Keras."""
    weights: Weights


def opened(model: object) -> KerasModel:
    """The model in memory, or in the file of this path or of these bytes."""
    if hasattr(model, "get_config") and hasattr(model, "layers"):
        return _in_memory(model)
    if not isinstance(model, (str, bytes, bytearray, memoryview)) and not hasattr(
        model, "__fspath__"
    ):
        msg = f"model must be a Keras model, a path or bytes, got {describe(model)}"
        raise TypeError(msg)
    source = read(model)
    for beginning, reader in ((_HDF5, _legacy), (_ZIP, _zipped)):
        if source.data.startswith(beginning):
            _check_h5py()
            with damage_is_a_value_error(source.name):
                return reader(source.name, source.data)
    msg = f"{source.name} is neither a .keras file nor an .h5 file of Keras"
    raise ValueError(msg)


def plain(value: AnyArray) -> AnyArray:
    """A variable in float32, whatever number it was kept in; bfloat16 has a kind of its own."""
    if value.dtype.kind in "bcOSU":
        msg = f"with weights of {value.dtype}"
        raise Unsupported(msg)
    return value.astype(np.float32)


# --- a model in memory ---


def _in_memory(model: Any) -> KerasModel:
    kind = _class(model)
    root = type(model).__module__.partition(".")[0]
    version = str(getattr(sys.modules.get(root), "__version__", "2"))
    if root == "tensorflow":
        version = "2"
    try:
        _check_class(model)
        config = {"class_name": kind, "config": model.get_config()}
    except (NotImplementedError, Unsupported) as error:
        msg = "model must be Sequential or functional, without a call of its own"
        raise ValueError(msg) from error
    return KerasModel("the model", config, int(version.partition(".")[0]), _Live(model))


def _class(layer: Any) -> str:
    """The name of a layer's class; whoever subclasses a model keeps its get_config."""
    for base in type(layer).__mro__:
        if base.__module__.partition(".")[0] in _ROOTS:
            return base.__name__
    msg = f"model must be a Keras model, got {describe(layer)}"
    raise TypeError(msg)


def _check_class(thing: Any) -> None:
    """Refuse a call that is not Keras's; behind Keras's own stands that of its backend."""
    for name in ("call", "__call__"):
        owner = next((base for base in type(thing).__mro__ if name in vars(base)), object)
        if owner.__module__.partition(".")[0] not in (*_ROOTS, "builtins"):
            msg = f"with a call of {owner.__module__}.{owner.__qualname__}"
            raise Unsupported(msg)


class _Live:
    def __init__(self, model: Any) -> None:
        self._layers = {layer.name: layer for layer in model.layers}

    def check(self, layer: str) -> None:
        if layer in self._layers:
            _check_class(self._layers[layer])

    def variables(self, layer: str, names: Sequence[str]) -> dict[str, AnyArray]:
        if layer not in self._layers:
            msg = "that the model has not"
            raise Unsupported(msg)
        found = {_last(v.name): v for v in self._layers[layer].weights}
        return {name: plain(_array(_pick(found, name))) for name in names}

    def inside(self, layer: str) -> Weights:
        return _Live(self._layers[layer])


def _array(variable: Any) -> AnyArray:
    if hasattr(variable, "detach"):
        variable = variable.detach().cpu()
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)


def _last(name: str) -> str:
    """The name of a variable: Keras 2 has layers before it and ":0" behind."""
    return name.rpartition("/")[2].partition(":")[0]


def _pick(found: dict[str, Any], name: str) -> Any:
    """A variable, whose name differs between versions for depthwise kernels.

    One that its layer gave no name has a number; then it must be the only one.
    """
    if name == UNNAMED and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        name = _OLD_NAMES.get(name, name)
    if name not in found:
        msg = f"without its weights: {name!r} is missing"
        raise Unsupported(msg)
    return found[name]


# --- files ---


def _check_h5py() -> None:
    """A package that is missing is no damage of the file."""
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        msg = "reading files of Keras needs the package h5py: pip install 'fastdw[keras]'"
        raise RuntimeError(msg) from error


def _hdf5(data: bytes) -> Any:
    import h5py

    return h5py.File(io.BytesIO(data), "r")


def _entry(group: Any, path: str, limit: int) -> AnyArray:
    """The numbers at a path: in this file, and no more than it can hold."""
    import h5py

    for part in path.split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            msg = f"without its weights: {path!r} is missing"
            raise Unsupported(msg)
        group = group[part]
    outside = not isinstance(group, h5py.Dataset) or group.external or group.is_virtual
    if outside or group.size * group.dtype.itemsize > limit:
        msg = f"with weights that are not in the file: {path!r}"
        raise Unsupported(msg)
    return np.asarray(group[()])


def _legacy(name: str, data: bytes) -> KerasModel:
    file = _hdf5(data)
    config = file.attrs.get("model_config")
    if config is None or "model_weights" not in file:
        msg = f"{name} must hold a whole model of Keras, not its weights alone"
        raise ValueError(msg)
    version = _text(file["model_weights"].attrs.get("keras_version", "2"))
    model = _parsed(config)
    weights = _Legacy(file["model_weights"], len(data))
    return KerasModel(name, model, _major(version), weights)


class _File:
    def check(self, layer: str) -> None:
        """A file holds no code."""


class _Legacy(_File):
    """Weights by the names that Keras gave their variables: layer/layer/kernel:0."""

    def __init__(self, root: Any, limit: int, group: str = "") -> None:
        self._root, self._limit, self._group = root, limit, group

    def variables(self, layer: str, names: Sequence[str]) -> dict[str, AnyArray]:
        if not names:
            return {}
        group = self._group or layer
        if group not in self._root:
            msg = f"without its weights: {group!r} is missing"
            raise Unsupported(msg)
        stored = [_text(n) for n in self._root[group].attrs.get("weight_names", [])]
        if self._group:
            stored = [n for n in stored if n.split("/")[-2:-1] == [layer]]
        found = {_last(n): n for n in stored}
        if len(found) != len(stored):
            msg = f"whose weights have one name twice: {stored}"
            raise Unsupported(msg)
        return {
            name: plain(_entry(self._root[group], _pick(found, name), self._limit))
            for name in names
        }

    def inside(self, layer: str) -> Weights:
        return _Legacy(self._root, self._limit, self._group or layer)


def _zipped(name: str, data: bytes) -> KerasModel:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if sum(sizes.values()) > _MAX_UNPACKED * len(data) + _MAX_CONFIG:
            msg = f"{name} unpacks to {sum(sizes.values())} bytes from {len(data)}"
            raise ValueError(msg)
        needed = ("config.json", "metadata.json", "model.weights.h5")
        missing = [part for part in needed if part not in sizes]
        if missing:
            msg = f"{name} is no .keras file: it has no {missing[0]}"
            raise ValueError(msg)
        config, metadata, weights = (archive.read(part) for part in needed)
    model = _parsed(config)
    version = str(_parsed(metadata).get("keras_version", "3"))
    stored = _Stored(_hdf5(weights), model, len(weights))
    return KerasModel(name, model, _major(version), stored)


class _Stored(_File):
    """Weights by the order of variables; layers by their name, or by a count of their kind."""

    def __init__(self, group: Any, model: dict[str, Any], limit: int) -> None:
        self._model, self._limit = model, limit
        parts = ("layers", "_layer_checkpoint_dependencies")
        self._layers: Any = next((group[p] for p in parts if p in group), {})
        self._places: dict[str, str] = {}
        counts: dict[str, int] = {}
        for layer in _layers(model):
            kind = _snake_case(str(layer["class_name"]))
            count = counts[kind] = counts.get(kind, -1) + 1
            self._places[_name(layer)] = f"{kind}_{count}" if count else kind
        for place, entry in self._layers.items():
            vars_ = entry.get("vars")
            if vars_ is not None and "name" in vars_.attrs:
                self._places[_text(vars_.attrs["name"])] = place

    def variables(self, layer: str, names: Sequence[str]) -> dict[str, AnyArray]:
        place = self._places[layer]
        return {
            name: plain(_entry(self._layers, f"{place}/vars/{i}", self._limit))
            for i, name in enumerate(names)
        }

    def inside(self, layer: str) -> Weights:
        model = next(part for part in _layers(self._model) if _name(part) == layer)
        return _Stored(self._layers[self._places[layer]], model, self._limit)


def _layers(model: dict[str, Any]) -> list[dict[str, Any]]:
    """What a model's file counts: its layers, not the operations between them."""
    layers = model["config"]["layers"]
    return [
        layer for layer in layers if not str(layer.get("module", "")).startswith("keras.src.ops")
    ]


def _name(layer: dict[str, Any]) -> str:
    return str(layer.get("name") or layer["config"]["name"])


def _snake_case(name: str) -> str:
    """As Keras makes names of classes: PReLU is p_re_lu."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(text: Any) -> dict[str, Any]:
    if len(text) > _MAX_CONFIG:
        msg = f"a configuration must have at most {_MAX_CONFIG} bytes, got {len(text)}"
        raise ValueError(msg)
    value = json.loads(_text(text))
    if not isinstance(value, dict):
        msg = f"a configuration must be a dict, got {describe(value)}"
        raise ValueError(msg)
    return value


def _major(version: str) -> int:
    major = version.partition(".")[0]
    if major not in ("2", "3"):
        msg = f"the model is of Keras {version}; 2 and 3 are read"
        raise ValueError(msg)
    return int(major)
