"""An ONNX file as plain Python: nodes with their attributes, tensors, inputs, outputs."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers._common import Source, Unsupported, damage_is_a_value_error
from fastdw.importers._onnx_qlinear import spelt_out

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

FIRST_OPSET = 6
"""Before it, operators were allowed to write to their inputs."""

_DOMAINS = ("", "ai.onnx")
_LARGEST = float(np.finfo(np.float32).max)
_REQUIRED: Any = object()


class OnnxNode:
    """A node; each attribute is taken by whoever understands it, and what is left is refused."""

    def __init__(self, proto: Any, tensor: Any) -> None:
        domain = "" if proto.domain in _DOMAINS else f"{proto.domain}."
        self.op: str = domain + proto.op_type
        self.inputs: tuple[str, ...] = tuple(proto.input)
        self.outputs: tuple[str, ...] = tuple(proto.output)
        self.name: str = proto.name or next((o for o in proto.output if o), "")
        self._attributes = {a.name: a for a in proto.attribute}
        self._tensor = tensor

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value of an attribute: an int, a float, a str, an array, or a list of the first."""
        import onnx

        proto = self._attributes.pop(name, None)
        if proto is None:
            if default is _REQUIRED:
                msg = f"without its attribute {name!r}"
                raise Unsupported(msg)
            return default
        if proto.type == onnx.AttributeProto.TENSOR:
            return self._tensor(proto.t)
        value = onnx.helper.get_attribute_value(proto)
        if isinstance(value, bytes):
            return value.decode()
        if proto.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
            return list(value)
        if not isinstance(value, (int, float)):
            msg = f"with attribute {name!r}"
            raise Unsupported(msg)
        return value

    def integer(self, name: str, default: int) -> int:
        return int(self._typed(name, default, int))

    def look(self, name: str, default: int) -> int:
        """An integer that stays there."""
        proto, value = self._attributes.get(name), self.integer(name, default)
        if proto is not None:
            self._attributes[name] = proto
        return value

    def number(self, name: str, default: float) -> float:
        """A number; infinite only where the default is, as that of a limit."""
        value = float(self._typed(name, default, float))
        if math.isnan(value) or (math.isinf(value) and math.isfinite(default)):
            msg = f"with {name}={value!r}"
            raise Unsupported(msg)
        return value

    def text(self, name: str, default: str) -> str:
        return str(self._typed(name, default, str))

    def integers(self, name: str, default: Any = None) -> Any:
        """A list of ints, or the default."""
        value = self.take(name, default)
        if value is not default and not all(isinstance(v, int) for v in value):
            msg = f"with {name}={value!r}"
            raise Unsupported(msg)
        return value

    def _typed(self, name: str, default: Any, wanted: type) -> Any:
        value = self.take(name, default)
        if wanted is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, wanted):
            msg = f"with {name}={value!r}"
            raise Unsupported(msg)
        return value

    def has(self, name: str) -> bool:
        return name in self._attributes

    def refuse_the_rest(self) -> None:
        for name in self._attributes:
            msg = f"with attribute {name!r}"
            raise Unsupported(msg)


class OnnxFile:
    """The parts of a model that an importer needs."""

    def __init__(self, source: Source) -> None:
        try:
            import onnx
            import onnx.numpy_helper
        except ImportError as error:
            msg = "reading ONNX files needs the package onnx: pip install 'fastdw[onnx]'"
            raise RuntimeError(msg) from error
        self.name, self._folder = source.name, source.folder
        with damage_is_a_value_error(self.name):
            model = onnx.load_model_from_string(source.data)
        self._graph = model.graph
        if not model.HasField("graph") or not self._graph.output:
            msg = f"{self.name} is no ONNX model: it has no graph"
            raise ValueError(msg)
        versions = [o.version for o in model.opset_import if o.domain in _DOMAINS]
        self.opset = versions[0] if versions else 1
        newest = onnx.defs.onnx_opset_version()
        if not FIRST_OPSET <= self.opset <= newest:
            msg = (
                f"{self.name} is of opset {self.opset}; {FIRST_OPSET} to {newest} are read, and "
                "onnx.version_converter may make one of the other"
            )
            raise ValueError(msg)
        self.initializers = {t.name: t for t in self._graph.initializer}
        self.sparse = {t.values.name for t in self._graph.sparse_initializer}

    def nodes(self, outputs: tuple[str, ...]) -> Iterator[OnnxNode]:
        """In the order of the file, those that these values need."""
        protos, needed, wanted = list(self._graph.node), set(outputs), []
        for proto in reversed(protos):
            if not needed.isdisjoint(proto.output):
                wanted.append(proto)
                needed.update(proto.input)
        return (
            OnnxNode(part, self.tensor) for proto in reversed(wanted) for part in spelt_out(proto)
        )

    def has(self, operator: tuple[str, str]) -> bool:
        """Whether any node is of this domain and type."""
        return any(
            ("" if proto.domain in _DOMAINS else proto.domain, proto.op_type) == operator
            for proto in self._graph.node
        )

    def inputs(self) -> dict[str, tuple[str, list[int | None] | None]]:
        """What a caller passes: dtype and declared shape, None for what is left open."""
        import onnx

        result = {}
        for value in self._graph.input:
            if value.name in self.initializers or value.name in self.sparse:
                continue
            if value.type.WhichOneof("value") != "tensor_type":
                msg = f"{self.name}: input {value.name!r} is no tensor"
                raise ValueError(msg)
            kind = value.type.tensor_type
            sizes: list[int | None] | None = None
            if kind.HasField("shape"):
                sizes = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
            known = onnx.TensorProto.DataType.values()
            dtype = (
                onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type in known else "?"
            )
            result[value.name] = (dtype, sizes)
        return result

    def outputs(self) -> tuple[str, ...]:
        return tuple(value.name for value in self._graph.output)

    def tensor(self, proto: Any) -> AnyArray:
        """The numbers of a tensor; of float64 they must be such as float32 holds."""
        import onnx

        if any(size < 0 for size in proto.dims):
            msg = f"{self.name}: tensor {proto.name!r} has the shape {list(proto.dims)}"
            raise ValueError(msg)
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            data = self._external(proto)
            plain = onnx.TensorProto(name=proto.name, data_type=proto.data_type, dims=proto.dims)
            plain.raw_data = data
            proto = plain
        with damage_is_a_value_error(self.name):
            array: AnyArray = onnx.numpy_helper.to_array(proto)
        if array.dtype.kind not in "fiub":
            # bfloat16 and its kin are void or foreign dtypes, of which float32 holds every value.
            array = array.astype(np.float32)
        if array.dtype == np.float64 and np.any(np.isfinite(array) & (np.abs(array) > _LARGEST)):
            msg = f"with the tensor {proto.name!r}, whose numbers lie beyond float32"
            raise Unsupported(msg)
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def _external(self, proto: Any) -> bytes:
        entries = {entry.key: entry.value for entry in proto.external_data}
        location = entries.get("location", "")
        if self._folder is None:
            msg = f"tensor {proto.name!r} lies in another file; pass the path of the model"
            raise ValueError(msg)
        if location in ("", ".", "..") or any(c in location for c in "/\\\0"):
            msg = f"tensor {proto.name!r} must lie in a file beside the model, not {location!r}"
            raise ValueError(msg)
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        return read_beside(self._folder, location, offset, length)


def read_beside(folder: Path, name: str, offset: int, length: int) -> bytes:
    """So many bytes (−1: all to the end) of a regular file; a link is not followed."""
    try:
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        msg = f"external data in {name!r} cannot be read: {error.strerror}"
        raise ValueError(msg) from error
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        length = status.st_size - offset if length < 0 else length
        end = offset + length
        if not stat.S_ISREG(status.st_mode) or not 0 <= offset <= end <= status.st_size:
            msg = f"external data in {name!r} must be a file that holds bytes {offset} to {end}"
            raise ValueError(msg)
        file.seek(offset)
        return file.read(length)
