"""LiteRT, that is XNNPACK: the block as a .tflite model of one or two convolutions.

The model is written here, so that TensorFlow and its converter are not needed. Field numbers and
enumerators are those of the TensorFlow Lite schema (tensorflow/lite/schema/schema.fbs).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt
from fastdw import Quantization

from ..blocks import F32, Block
from ..blocks8 import Block8
from ..layers import Window
from .base import Model, Prepared, Session, Unsupported

NAME = "litert"
PACKAGES = ("ai-edge-litert", "flatbuffers")
READS = (".tflite",)

# BuiltinOperator
_CONV_2D, _DEPTHWISE_CONV_2D, _PAD = 3, 4, 34
_LOGISTIC, _MUL, _TANH, _HARD_SWISH, _GELU = 14, 18, 28, 117, 150
# BuiltinOptions
_CONV_OPTIONS, _DEPTHWISE_OPTIONS, _MUL_OPTIONS, _GELU_OPTIONS = 1, 2, 21, 116
_SAME, _VALID = 0, 1
_FUSED = {"linear": 0, "relu": 1, "relu6": 3}
_TENSOR_TYPES = {"float32": 0, "int32": 2, "int8": 9}


def prepare(block: Block, threads: int) -> list[Prepared]:
    return [_prepared(_model(block), block.x, threads)]


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    return [_prepared(_model8(block), block.x, threads)]


def _prepared(content: bytes, x: npt.NDArray[Any], threads: int) -> Prepared:
    interpreter, (y,) = _interpreter(content, threads, [x])
    return Prepared(interpreter.invoke, functools.partial(interpreter.get_tensor, y))


def read(model: Model, threads: int) -> Session:
    content = model.path.read_bytes()
    interpreter, outputs = _interpreter(content, threads, list(model.inputs.values()))
    return Session(interpreter.invoke, lambda: [interpreter.get_tensor(y) for y in outputs])


def _interpreter(
    content: bytes, threads: int, images: list[npt.NDArray[Any]]
) -> tuple[Any, list[int]]:
    """An interpreter that has its images, and the numbers of its outputs."""
    module: Any = import_module("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(model_content=content, num_threads=threads)
    inputs = interpreter.get_input_details()
    for port, x in zip(inputs, images, strict=True):
        if port["dtype"] != x.dtype:
            msg = f"it takes {port['dtype'].__name__} where fastdw takes {x.dtype}"
            raise Unsupported(msg)
        if tuple(port["shape"]) != x.shape:
            interpreter.resize_tensor_input(port["index"], x.shape)
    interpreter.allocate_tensors()
    for port, x in zip(inputs, images, strict=True):
        interpreter.set_tensor(port["index"], x)
    return interpreter, [port["index"] for port in interpreter.get_output_details()]


def _model(block: Block) -> bytes:
    layer = block.layer
    model = _Model(block.x.shape)
    if layer.kernel:
        padding, *numbers = model.window(layer.depthwise_window)
        options = [padding, *numbers[:2], ("int32", layer.multiplier)]
        options += [("int8", _FUSED.get(layer.depthwise_activation, 0)), *numbers[2:]]
        kernel = block.depthwise_kernel.reshape(1, *layer.kernel, layer.depthwise_channels)
        shape = (len(block.x), *layer.output_size, layer.depthwise_channels)
        weights = [kernel, block.depthwise_bias]
        model.add(_DEPTHWISE_CONV_2D, weights, shape, _DEPTHWISE_OPTIONS, options)
        model.activate(layer.depthwise_activation)
    if layer.filters:
        padding, *numbers = model.window(layer.pointwise_window)
        options = [padding, *numbers[:2], ("int8", _FUSED.get(layer.activation, 0)), *numbers[2:]]
        kernel = np.ascontiguousarray(block.pointwise_kernel.transpose(3, 0, 1, 2))
        model.add(_CONV_2D, [kernel, block.bias], block.output_shape, _CONV_OPTIONS, options)
        model.activate(layer.activation)
    return model.finish()


_Options = list[tuple[str, int]]


class _Steps(NamedTuple):
    """What the integers of a tensor stand for."""

    scales: F32
    zero_point: int = 0
    axis: int = 0


def _tensor_steps(q: Quantization) -> _Steps:
    return _Steps(np.array([q.scale], np.float32), q.zero_point)


_Constant = Union["npt.NDArray[Any]", "tuple[npt.NDArray[Any], _Steps]"]


def _model8(block: Block8) -> bytes:
    layer = block.layer
    model = _Model(block.x.shape, _tensor_steps(block.input))
    if half := block.depthwise:
        padding, *numbers = model.window(layer.depthwise_window)
        options = [padding, *numbers[:2], ("int32", layer.multiplier)]
        options += [("int8", _FUSED[half.activation]), *numbers[2:]]
        rows, columns, channels, multiplier = half.kernel.shape
        kernel = half.kernel.reshape(1, rows, columns, channels * multiplier)
        shape = (len(block.x), *layer.output_size, layer.depthwise_channels)
        weights: list[_Constant] = [(kernel, _Steps(half.scales, axis=3))]
        weights.append((half.bias, _Steps(half.factors)))
        after = _tensor_steps(half.output)
        model.add(_DEPTHWISE_CONV_2D, weights, shape, _DEPTHWISE_OPTIONS, options, after)
    if half := block.pointwise:
        padding, *numbers = model.window(layer.pointwise_window)
        options = [padding, *numbers[:2], ("int8", _FUSED[half.activation]), *numbers[2:]]
        kernel = np.ascontiguousarray(half.kernel.transpose(3, 0, 1, 2))
        weights = [(kernel, _Steps(half.scales)), (half.bias, _Steps(half.factors))]
        after = _tensor_steps(half.output)
        model.add(_CONV_2D, weights, block.output_shape, _CONV_OPTIONS, options, after)
    return model.finish()


class _Model:
    """A chain of operators on one tensor, in the making."""

    def __init__(self, input_shape: tuple[int, ...], steps: _Steps | None = None) -> None:
        self._flatbuffers: Any = import_module("flatbuffers")
        self._builder = self._flatbuffers.Builder(0)
        self._buffers = [self._table([])]
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._codes: dict[int, int] = {}
        self._last = self._tensor(input_shape, steps=steps)
        self.shape, self._steps = input_shape, steps

    def window(self, window: Window) -> _Options:
        """Padding, strides and dilations as options; explicit pads are an operator before."""
        pads = window.pads
        if not window.is_same and pads != ((0, 0), (0, 0)):
            n, height, width, channels = self.shape
            padded = (n, height + sum(pads[0]), width + sum(pads[1]), channels)
            self.add(_PAD, [np.array([(0, 0), *pads, (0, 0)], np.int32)], padded)
        numbers = (*window.strides[::-1], *window.dilation[::-1])
        return [("int8", _SAME if window.is_same else _VALID), *(("int32", n) for n in numbers)]

    def activate(self, activation: str) -> None:
        """Add what does not fuse into a convolution, as converters emit it."""
        if activation in _FUSED:
            return
        if activation == "swish":
            x = self._last
            self.add(_LOGISTIC, [], self.shape)
            self._operator(_MUL, [x, self._last], self.shape, _MUL_OPTIONS, [("int8", 0)])
        elif activation.startswith("gelu"):
            approximate = [("bool", int(activation == "gelu_tanh"))]
            self.add(_GELU, [], self.shape, _GELU_OPTIONS, approximate)
        elif activation in ("sigmoid", "tanh", "hard_swish"):
            code = {"sigmoid": _LOGISTIC, "tanh": _TANH, "hard_swish": _HARD_SWISH}[activation]
            self.add(code, [], self.shape)
        else:
            msg = f"no operator for {activation}"
            raise Unsupported(msg)

    def add(
        self,
        code: int,
        constants: Sequence[_Constant],
        shape: tuple[int, ...],
        options_type: int = 0,
        options: _Options | None = None,
        steps: _Steps | None = None,
    ) -> None:
        """Add an operator that takes the last tensor, then constants.

        Without `steps` its result has those of the last tensor, if that has any.
        """
        pairs = [c if isinstance(c, tuple) else (c, None) for c in constants]
        inputs = [self._last, *(self._tensor(c.shape, c, s) for c, s in pairs)]
        self._steps = steps or self._steps
        self._operator(code, inputs, shape, options_type, options)

    def finish(self) -> bytes:
        # Every operator code goes to both fields: the old one holds numbers up to 127.
        codes = [
            self._table([("int8", min(code, 127)), None, ("int32", 1), ("int32", code)])
            for code in self._codes
        ]
        subgraph = self._table(
            [
                ("offset", self._offsets(self._tensors)),
                ("offset", self._integers([0])),
                ("offset", self._integers([self._last])),
                ("offset", self._offsets(self._operators)),
            ]
        )
        model = self._table(
            [
                ("uint32", 3),
                ("offset", self._offsets(codes)),
                ("offset", self._offsets([subgraph])),
                None,
                ("offset", self._offsets(self._buffers)),
            ]
        )
        self._builder.Finish(model, b"TFL3")
        return bytes(self._builder.Output())

    def _operator(
        self,
        code: int,
        inputs: list[int],
        shape: tuple[int, ...],
        options_type: int,
        options: _Options | None,
    ) -> None:
        self._last, self.shape = self._tensor(shape, steps=self._steps), shape
        table = self._table(options or []) if options_type else None
        self._operators.append(
            self._table(
                [
                    ("uint32", self._codes.setdefault(code, len(self._codes))),
                    ("offset", self._integers(inputs)),
                    ("offset", self._integers([self._last])),
                    ("uint8", options_type),
                    table if table is None else ("offset", table),
                ]
            )
        )

    def _tensor(
        self,
        shape: tuple[int, ...],
        data: npt.NDArray[Any] | None = None,
        steps: _Steps | None = None,
    ) -> int:
        buffer = 0
        if data is not None:
            self._buffers.append(self._buffer(data))
            buffer = len(self._buffers) - 1
        computed = "int8" if steps else "float32"
        kind = _TENSOR_TYPES[computed if data is None else str(data.dtype)]
        fields = [
            ("offset", self._integers(list(shape))),
            ("int8", kind),
            ("uint32", buffer),
            ("offset", self._builder.CreateString(f"t{len(self._tensors)}")),
            ("offset", self._quantization(steps)) if steps else None,
        ]
        self._tensors.append(self._table(fields))
        return len(self._tensors) - 1

    def _quantization(self, steps: _Steps) -> int:
        zero_points = np.full(steps.scales.size, steps.zero_point, np.int64)
        vectors = [self._builder.CreateNumpyVector(v) for v in (steps.scales, zero_points)]
        known = [("offset", vector) for vector in vectors]
        return self._table([None, None, *known, None, None, ("int32", steps.axis)])

    def _buffer(self, data: npt.NDArray[Any]) -> int:
        # The schema asks for data on 16 bytes.
        raw = data.tobytes()
        self._builder.StartVector(1, len(raw), 16)
        self._builder.head -= len(raw)
        self._builder.Bytes[self._builder.head : self._builder.head + len(raw)] = raw
        return self._table([("offset", self._builder.EndVector())])

    def _integers(self, values: list[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.int32)))

    def _offsets(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _table(self, fields: list[Any]) -> int:
        """A table whose field number is the place in the list; None is an absent field."""
        prepend = {
            "bool": self._builder.PrependBool,
            "int8": self._builder.PrependInt8,
            "uint8": self._builder.PrependUint8,
            "int32": self._builder.PrependInt32,
            "uint32": self._builder.PrependUint32,
            "offset": self._builder.PrependUOffsetTRelative,
        }
        self._builder.StartObject(len(fields))
        for number, field in enumerate(fields):
            if field is not None:
                prepend[field[0]](field[1])
                self._builder.Slot(number)
        return int(self._builder.EndObject())
