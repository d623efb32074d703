"""The file of a network: a valid safetensors file with the graph as JSON in its metadata.

Eight bytes hold the length of a JSON header, then come the tensors without gaps, those of the
largest elements first. ``__metadata__`` is {"format": "fastdw", "version": "1", "rewrites": "1",
"graph": …}; an array among a node's attributes is {"tensor": name} there. The file says what is
computed, nothing about how: no offset, tile or packed weight, so there is nothing in it to be
trusted. Nor is "rewrites", which may be left out: the graph may be any, but where it says that it
went through the rewrites that this fastdw has, loading does not look for their cases again.

https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from fastdw import _core
from fastdw._arguments import choice, describe
from fastdw.network._graph import Graph, Node, TensorSpec, checked

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

VERSION = 1
REWRITES = 6
"""The version of `_rewrite.REWRITES`: who changes these raises it."""
WEIGHTS = {"float32": "F32", "float16": "F16"}

ROUNDED = "kernels are rounded to float16"
"""What the notes of a network say that was saved so."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("i1"),
}
_WHOLE = {np.dtype(np.int8): "I8", np.dtype(np.int32): "I32"}
_MAX_HEADER = 16 << 20
_MAX_DIGITS = 20
_TOO_DEEP = "it is nested too deeply"
_HALF = _DTYPES["F16"]
_HALVES_AT_ONCE = 1 << 16
_KERNEL_RANK = 4  # of the arrays that float16 halves; vectors are small


class _Tensor(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def write(file: BinaryIO, graph: Graph, weights: str = "float32", rewrites: int = 0) -> None:
    """Write a checked graph.

    `weights` is the dtype of its kernels, "float32" or "float16"; `rewrites` the version of those
    that it went through, 0 for none.
    """
    kernels = WEIGHTS[choice("weights", weights, WEIGHTS)]
    arrays: dict[str, AnyArray] = {}
    fields = _encoded(graph, arrays)
    tensors = {
        name: (_WHOLE.get(a.dtype, kernels if a.ndim == _KERNEL_RANK else "F32"), a)
        for name, a in arrays.items()
    }
    if any(dtype == "F16" for dtype, _ in tensors.values()):
        fields["notes"] = [*dict.fromkeys((*graph.notes, ROUNDED))]
    metadata = {"format": "fastdw", "version": str(VERSION), "rewrites": str(rewrites)}
    header: dict[str, Any] = {"__metadata__": metadata | {"graph": _text(fields)}}
    tensors = dict(sorted(tensors.items(), key=lambda item: -_DTYPES[item[1][0]].itemsize))
    end = 0
    for name, (dtype, array) in tensors.items():
        begin, end = end, end + array.size * _DTYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (begin, end)}
    data = _text(header).encode()
    data += b" " * (-len(data) % 8)
    if len(data) > _MAX_HEADER:
        msg = f"a network must take at most {_MAX_HEADER} bytes as JSON, got {len(data)}"
        raise ValueError(msg)
    file.write(len(data).to_bytes(8, "little") + data)
    for name, (dtype, array) in tensors.items():
        file.write(_rounded(name, array, _DTYPES[dtype]).tobytes())


def _text(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _rounded(name: str, array: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    beyond = np.abs(array[np.isinf(result) & np.isfinite(array)])
    if beyond.size:
        msg = f"{name} must fit into {dtype.name}, got {beyond.max()}"
        raise ValueError(msg)
    return result


def _encoded(graph: Graph, arrays: dict[str, AnyArray]) -> dict[str, Any]:
    def encode(name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays[name] = value
            return {"tensor": name}
        if isinstance(value, tuple):
            return [encode(name, entry) for entry in value]
        if isinstance(value, float) and math.isinf(value):
            return str(value)
        return value

    nodes = []
    for node in graph.nodes:
        attrs = {key: encode(f"{node.output}.{key}", v) for key, v in node.attrs.items()}
        nodes.append(node._asdict() | {"attrs": attrs})
    inputs = [{"name": s.name, "shape": s.shape, "dtype": s.dtype} for s in graph.inputs]
    return {"inputs": inputs, "nodes": nodes, "outputs": graph.outputs, "notes": graph.notes}


def read(file: BinaryIO) -> tuple[Graph, bool]:
    """A checked graph, its floats of float32, and whether it went through all rewrites.

    A damaged file is a ValueError.
    """
    start = file.tell()
    size = file.seek(0, 2) - start - 8
    file.seek(start)
    length = int.from_bytes(_exactly(file, 8), "little")
    if length > _MAX_HEADER:
        _refuse(f"it begins like no file of Network.save: its header would take {length} bytes")
    if length > size:
        _refuse("it ends too early")
    header = _parsed(_exactly(file, length))
    fields, rewrites = _graph_fields(header.pop("__metadata__", None))
    arrays = _arrays(file, _tensors(header, size - length))
    try:
        graph = checked(_decoded(fields, arrays))
    except TypeError as error:
        msg = f"not a network: {error}"
        raise ValueError(msg) from error
    except RecursionError:  # json takes more levels than Python itself
        _refuse(_TOO_DEEP)
    if arrays:
        _refuse(f"no node names its tensor {next(iter(arrays))!r}")
    return graph, rewrites == str(REWRITES)


def _refuse(reason: str) -> NoReturn:
    msg = f"not a network: {reason}"
    raise ValueError(msg)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        _refuse("it ends too early")
    return data


def _arrays(file: Any, tensors: list[_Tensor]) -> dict[str, AnyArray]:
    """The tensors by name, floats in float32."""
    arrays: dict[str, AnyArray] = {}
    for halves, group in itertools.groupby(tensors, lambda t: t.dtype == _HALF):
        run = [*group]
        first, size = run[0].begin, run[-1].end - run[0].begin
        # All of a run in one array: NumPy asks for huge pages where it is large, and the page
        # faults of small ones take longer than to copy what they hold.
        wide = 2 if halves else 1
        data = np.empty(wide * size, np.uint8)
        (_widen if halves else _fill)(file, data)
        for t in run:
            dtype = np.dtype(np.float32) if halves else t.dtype
            part = data[wide * (t.begin - first) : wide * (t.end - first)].view(dtype)
            native = part.astype(dtype.newbyteorder("="), copy=not part.flags.aligned)
            arrays[t.name] = native.reshape(t.shape)
    return arrays


def _fill(file: Any, data: AnyArray) -> None:
    if file.readinto(data) != data.nbytes:
        _refuse("it ends too early")


def _widen(file: Any, data: AnyArray) -> None:
    """Fill memory of floats with halves, by parts that stay in cache."""
    floats = data.view(np.float32)
    halves = np.empty(min(floats.size, _HALVES_AT_ONCE), "<u2")
    for begin in range(0, floats.size, _HALVES_AT_ONCE):
        part = halves[: floats.size - begin]
        _fill(file, part)
        _core.widen(part.astype(np.uint16, copy=False), floats[begin : begin + part.size])


def _parsed(data: bytes | str) -> dict[str, Any]:
    """A JSON object, in which no key stands twice and every number is one."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            _refuse("a key stands twice")
        return result

    def integer(text: str) -> int:
        if len(text) > _MAX_DIGITS:
            _refuse(f"it holds a number of {len(text)} digits")
        return int(text)

    def constant(text: str) -> NoReturn:
        _refuse(f"it holds {text}")

    hooks = {"object_pairs_hook": once, "parse_int": integer, "parse_constant": constant}
    try:
        result = json.loads(data, **hooks)  # type: ignore[arg-type]
    except RecursionError:
        _refuse(_TOO_DEEP)
    except ValueError as error:
        msg = f"not a network: {error}"
        raise ValueError(msg) from error
    if not isinstance(result, dict):
        _refuse("its header is no object")
    return result


def _fields(value: object, name: str, types: Mapping[str, type]) -> list[Any]:
    """The entries of an object that has exactly these, in this order."""
    if not isinstance(value, dict) or value.keys() != types.keys():
        _refuse(f"{name} must have {', '.join(types)}, got {describe(value)}")
    for key, wanted in types.items():
        if type(value[key]) is not wanted:
            _refuse(f"{key} of {name} must be a {wanted.__name__}, got {describe(value[key])}")
    return [value[key] for key in types]


def _graph_fields(metadata: object) -> tuple[list[Any], str]:
    """The parts of the graph, and the version of its rewrites."""
    if not isinstance(metadata, dict) or metadata.get("format") != "fastdw":
        _refuse("it is not of fastdw")
    version = metadata.get("version")
    if version != str(VERSION):
        _refuse(f"this fastdw reads version {VERSION}, a newer one may read {describe(version)}")
    metadata = {"rewrites": "0"} | metadata
    keys = ("format", "version", "rewrites", "graph")
    rewrites, text = _fields(metadata, "__metadata__", dict.fromkeys(keys, str))[2:]
    parts = ("inputs", "nodes", "outputs", "notes")
    return _fields(_parsed(text), "the graph", dict.fromkeys(parts, list)), rewrites


def _tensors(header: dict[str, Any], size: int) -> list[_Tensor]:
    """In the order of their data, which they cover exactly."""
    tensors = []
    for name, entry in header.items():
        types = {"dtype": str, "shape": list, "data_offsets": list}
        dtype, shape, offsets = _fields(entry, f"tensor {name!r}", types)
        numbers = [*shape, *offsets]
        plain = all(type(n) is int and 0 <= n <= size for n in numbers)
        if dtype not in _DTYPES or not plain or len(offsets) != 2 or len(shape) > _KERNEL_RANK:
            _refuse(f"tensor {name!r} is described as {describe(entry)}")
        tensors.append(_Tensor(name, _DTYPES[dtype], tuple(shape), *offsets))
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    end = 0
    for tensor in tensors:
        count = math.prod(tensor.shape) * tensor.dtype.itemsize
        if tensor.begin != end or tensor.end - tensor.begin != count:
            _refuse(f"tensor {tensor.name!r} is not where and as large as it must be")
        end = tensor.end
    if end != size:
        _refuse(f"{size} bytes of tensors are expected, {end} are described")
    return tensors


def _decoded(fields: list[Any], arrays: dict[str, AnyArray]) -> Graph:
    """The graph, not yet checked; takes the arrays that it names."""

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return [decode(entry) for entry in value]
        if isinstance(value, dict):
            (name,) = _fields(value, "a value", {"tensor": str})
            if name not in arrays:
                _refuse(f"there is no tensor {name!r}, or it is named twice")
            return arrays.pop(name)
        return float(value) if value in ("inf", "-inf") else value

    specs, nodes = [], []
    for spec in fields[0]:
        name, shape, dtype = _fields(spec, "an input", {"name": str, "shape": list, "dtype": str})
        specs.append(TensorSpec(name, _all(int, shape, "shape"), dtype))
    types = {"op": str, "inputs": list, "output": str, "attrs": dict, "source": list}
    for node in fields[1]:
        op, inputs, output, attrs, source = _fields(node, "a node", types)
        attrs = {key: decode(value) for key, value in attrs.items()}
        names = _all(str, inputs, "inputs"), _all(str, source, "source")
        nodes.append(Node(op, names[0], output, attrs, names[1]))
    outputs, notes = _all(str, fields[2], "outputs"), _all(str, fields[3], "notes")
    return Graph(tuple(specs), tuple(nodes), outputs, notes)


def _all(wanted: type, values: list[Any], name: str) -> tuple[Any, ...]:
    if not all(type(value) is wanted for value in values):
        _refuse(f"{name} must hold {wanted.__name__} alone, got {describe(values)}")
    return tuple(values)
