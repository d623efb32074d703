"""A TFLite file as plain Python: operators with their options, tensors, inputs, outputs.

The package tflite reads whatever a damaged file points at; what stands here holds it inside the
file, and the work to what a file of that size can ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw._quantization import checked_scale
from fastdw.importers import _tflite_sparse
from fastdw.importers._common import Source, Unsupported, damage_is_a_value_error

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_VERSION = 3
_DTYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "FLOAT64": "<f8",
    "INT8": "i1",
    "UINT8": "u1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "BOOL": "?",
}
_REUSE = 8  # how often a file may name the same bytes, on the average


class Quantization(NamedTuple):
    """A real number is ``(q − zero point)·scale``; one of each, or one an entry of an axis."""

    scale: AnyArray
    zero_point: AnyArray
    axis: int

    def real(self, q: AnyArray) -> AnyArray:
        """The numbers that stored integers stand for, in float32."""
        scale, zero = self.scale, self.zero_point
        if scale.size > 1:
            axis = 0 if q.ndim == 1 else self.axis
            if not 0 <= axis < q.ndim or q.shape[axis] != scale.size:
                msg = f"with {scale.size} scales along axis {axis} of {q.shape}"
                raise Unsupported(msg)
            shape = [1] * q.ndim
            shape[axis] = scale.size
            scale, zero = scale.reshape(shape), np.reshape(zero, shape if zero.size > 1 else -1)
        return np.asarray((q.astype(np.float64) - zero) * scale, np.float32)


class Tensor(NamedTuple):
    """What a file says of a value; its shape may be wrong where it is computed."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    """The shape with −1 for what is left open."""
    dtype: str
    buffer: int
    quantization: Quantization | None
    sparsity: Any

    def limits(self) -> tuple[float, float] | None:
        """The least and the greatest number that it can hold, if it is quantised."""
        if self.quantization is None or self.dtype not in ("INT8", "UINT8", "INT16"):
            return None
        if self.quantization.scale.size != 1:
            msg = "with a computed value that is quantised by channels"
            raise Unsupported(msg)
        checked_scale(float(self.quantization.scale[0]))
        edges = np.iinfo(_DTYPES[self.dtype])
        low, high = self.quantization.real(np.array([edges.min, edges.max])).tolist()
        return low, high


class TfliteNode:
    """An operator; `ranged` is set when its numbers were held to what its output can hold."""

    def __init__(self, proto: Any, op: str, name: str, inputs: Any, outputs: Any) -> None:
        self._proto, self.op, self.name = proto, op, name
        self.inputs: tuple[int, ...] = inputs
        """Numbers of tensors, −1 where one is left out."""
        self.outputs: tuple[int, ...] = outputs
        self.ranged = False

    def options(self, kind: str) -> Any:
        """The builtin options, which must be of this kind."""
        import tflite

        options = self.options_if_any(kind)
        if options is None:
            found = self._proto.BuiltinOptionsType()
            if found == getattr(tflite.BuiltinOptions, kind):
                msg = "without its options"
            else:
                msg = f"with options of kind {found}"
            raise Unsupported(msg)
        return options

    def options_if_any(self, kind: str) -> Any:
        """The same, None if there are none."""
        import tflite

        table = self._proto.BuiltinOptions()
        if table is None or self._proto.BuiltinOptionsType() != getattr(
            tflite.BuiltinOptions, kind
        ):
            return None
        options = getattr(tflite, kind)()
        options.Init(table.Bytes, table.Pos)
        return options

    def custom_options(self) -> bytes:
        if self._proto.CustomOptionsIsNone():
            return b""
        return bytes(self._proto.CustomOptionsAsNumpy())


class TfliteFile:
    """The parts of a model that an importer needs: its first subgraph."""

    def __init__(self, source: Source) -> None:
        try:
            import tflite
        except ImportError as error:
            msg = "reading TFLite files needs the package tflite: pip install 'fastdw[tflite]'"
            raise RuntimeError(msg) from error
        self.name, self._data = source.name, source.data
        data = source.data
        if len(data) < 8 or data[4:8] != b"TFL3":
            msg = f"{self.name} is no TFLite model: bytes 4 to 8 are {data[4:8]!r}, not b'TFL3'"
            raise ValueError(msg)
        self._left = _REUSE * len(data)
        with damage_is_a_value_error(self.name):
            self._model = tflite.Model.GetRootAs(data, 0)
            if self._model.Version() != _VERSION or self._model.SubgraphsLength() < 1:
                msg = f"{self.name} must be of version {_VERSION} with a graph"
                raise ValueError(msg)
            self._graph = self._model.Subgraphs(0)
            self._dtypes = _words(tflite.TensorType)
            self._codes = self._operator_names()
            self._spend(self._graph.TensorsLength(), 4)
            tensors = range(self._graph.TensorsLength())
            self.tensors = tuple(self._tensor(self._graph.Tensors(i)) for i in tensors)
            self.inputs = self._numbers(self._graph, "Inputs")
            self.outputs = self._numbers(self._graph, "Outputs")
        if not self.outputs or min((*self.inputs, *self.outputs)) < 0:
            msg = f"{self.name} has no outputs"
            raise ValueError(msg)

    def nodes(self) -> Iterator[TfliteNode]:
        """The operators, in an order in which they can run."""
        self._spend(self._graph.OperatorsLength(), 4)
        for i in range(self._graph.OperatorsLength()):
            proto = self._graph.Operators(i)
            code = proto.OpcodeIndex()
            if not code < len(self._codes):
                msg = f"operator {i} is of kind {code} of {len(self._codes)}"
                raise ValueError(msg)
            inputs, outputs = self._numbers(proto, "Inputs"), self._numbers(proto, "Outputs")
            if min(outputs, default=0) < 0:
                msg = f"operator {i} has the outputs {outputs}"
                raise ValueError(msg)
            # Those that write variables have none, and are never needed.
            name = self.tensors[outputs[0]].name if outputs else ""
            yield TfliteNode(proto, self._codes[code], name, inputs, outputs)

    def has_numbers(self, index: int) -> bool:
        """Whether a tensor is a constant."""
        return self._bytes(self.tensors[index].buffer).size > 0

    def constant(self, index: int) -> AnyArray:
        """The numbers of a tensor: floats in float32, with what is quantised or sparse resolved."""
        array, q = self.stored(index), self.tensors[index].quantization
        if q is not None and array.dtype.kind in "iu":
            return q.real(array)
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def stored(self, index: int) -> AnyArray:
        """The numbers of a tensor as they stand in the file; what is sparse is resolved."""
        tensor = self.tensors[index]
        if tensor.dtype not in _DTYPES:
            msg = f"with a constant of {tensor.dtype}"
            raise Unsupported(msg)
        data, dtype = self._bytes(tensor.buffer), np.dtype(_DTYPES[tensor.dtype])
        self._spend(data.size, 1)
        if data.size % dtype.itemsize:
            msg = f"{self.name}: tensor {tensor.name!r} has {data.size} bytes of {tensor.dtype}"
            raise ValueError(msg)
        array: AnyArray = data.view(dtype)
        if tensor.sparsity is not None:
            array = _tflite_sparse.dense(array, tensor.shape, tensor.sparsity)
        if min(tensor.shape, default=1) < 0 or math.prod(tensor.shape) != array.size:
            msg = f"{self.name}: tensor {tensor.name!r} has {array.size} numbers for {tensor.shape}"
            raise ValueError(msg)
        return array.reshape(tensor.shape)

    def _bytes(self, number: int) -> AnyArray:
        """A buffer; those of files above 2 GiB lie behind the flatbuffer."""
        if not 0 < number < self._model.BuffersLength():
            return np.zeros(0, np.uint8)
        buffer = self._model.Buffers(number)
        begin, size = buffer.Offset(), buffer.Size()
        if begin > 1:
            if begin + size > len(self._data):
                msg = f"{self.name} is damaged: buffer {number} lies beyond its end"
                raise ValueError(msg)
            return np.frombuffer(self._data, np.uint8, size, begin)
        return np.asarray(buffer.DataAsNumpy() if buffer.DataLength() else [], np.uint8)

    def _spend(self, count: int, size: int) -> None:
        """Account for so many entries, which a file may name again and again, but not for ever."""
        self._left -= count * size
        if self._left < 0:
            msg = f"{self.name} is damaged: its lists are longer than the file"
            raise ValueError(msg)

    def _operator_names(self) -> tuple[str, ...]:
        import tflite

        names = _words(tflite.BuiltinOperator)
        result = []
        self._spend(self._model.OperatorCodesLength(), 4)
        for i in range(self._model.OperatorCodesLength()):
            code = self._model.OperatorCodes(i)
            # Codes above 127 stand in the newer field alone.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            name = names.get(number, f"operator {number}")
            if name == "CUSTOM":
                custom = code.CustomCode() or b""
                self._spend(len(custom), 1)
                name = f"custom operator {custom.decode(errors='replace')}"
            result.append(name)
        return tuple(result)

    def _tensor(self, proto: Any) -> Tensor:
        name = proto.Name() or b""
        self._spend(len(name) + 1, 1)
        shape = self._vector(proto, "Shape")
        return Tensor(
            name.decode(errors="replace"),
            shape,
            self._vector(proto, "ShapeSignature") or shape,
            self._dtypes.get(proto.Type(), f"type {proto.Type()}"),
            proto.Buffer(),
            self._quantization(proto.Quantization()),
            proto.Sparsity(),
        )

    def _quantization(self, proto: Any) -> Quantization | None:
        if proto is None or not proto.ScaleLength():
            return None
        scale = np.asarray(self._vector(proto, "Scale"), np.float64)
        zero = np.asarray(self._vector(proto, "ZeroPoint") or [0], np.int64)
        if zero.size not in (1, scale.size) or not np.all(np.isfinite(scale) & (scale > 0)):
            msg = f"{self.name} is damaged: scales {scale} with zero points {zero}"
            raise ValueError(msg)
        return Quantization(scale, zero, proto.QuantizedDimension())

    def _vector(self, proto: Any, name: str) -> tuple[Any, ...]:
        length = getattr(proto, f"{name}Length")()
        self._spend(length, 4)
        return tuple(getattr(proto, f"{name}AsNumpy")().tolist()) if length else ()

    def _numbers(self, proto: Any, name: str) -> tuple[int, ...]:
        """A list of tensors."""
        numbers = self._vector(proto, name)
        if numbers and not -1 <= min(numbers) <= max(numbers) < len(self.tensors):
            msg = f"{self.name} is damaged: it names tensors {min(numbers)} to {max(numbers)}"
            raise ValueError(msg)
        return numbers


def _words(enumeration: Any) -> dict[int, str]:
    """The names of an enumeration's numbers."""
    return {v: k for k, v in vars(enumeration).items() if isinstance(v, int)}


def ints(array: AnyArray | Sequence[int]) -> list[int]:
    """A constant of whole numbers."""
    numbers = np.ravel(np.asarray(array))
    if numbers.size and numbers.dtype.kind not in "iu":
        msg = f"with {numbers.dtype} numbers where whole ones belong"
        raise Unsupported(msg)
    return [int(n) for n in numbers]
