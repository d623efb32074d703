"""Small TFLite files, written with the package's own builders."""

from typing import NamedTuple

import flatbuffers
import numpy as np
import tflite
from fastdw.importers.tflite import from_tflite
from fastdw.network._graph import run
from fastdw.network._rewrite import rewrite

IMAGE = (2, 6, 7, 8)  # two images; the model's batch is open

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID


class Node(NamedTuple):
    op: str
    inputs: list
    outputs: list
    kind: str | None
    options: dict
    custom: bytes


class Quantised(NamedTuple):
    """What a tensor of integers stands for; `numbers` are there in a constant."""

    scale: object
    zero: object = 0
    dtype: str = "int8"
    axis: int = 0
    numbers: object = None


class Sparse(NamedTuple):
    """A constant of float16 or float32 as leaves of a tree; levels are sizes or (segments,
    indices)."""

    shape: tuple
    numbers: np.ndarray
    order: list
    levels: list
    blocks: tuple = ()


def node(op, inputs, outputs="y", kind=None, custom=b"", **options):
    """An operator; names are separated by blanks, and a dash is an input that is left out."""
    return Node(op, inputs.split(), outputs.split(), kind, options, custom)


def conv(inputs="x w b", outputs="y", strides=(1, 1), padding=SAME, dilation=(1, 1), fused=0):
    return node(
        "CONV_2D", inputs, outputs, "Conv2DOptions", **_window(strides, padding, dilation, fused)
    )


def depthwise(inputs="x w b", outputs="y", strides=(1, 1), padding=SAME, dilation=(1, 1), fused=0):
    options = _window(strides, padding, dilation, fused)
    return node(
        "DEPTHWISE_CONV_2D", inputs, outputs, "DepthwiseConv2DOptions", DepthMultiplier=0, **options
    )


def pool(op, window, strides=(1, 1), padding=SAME, fused=0):
    options = _window(strides, padding, None, fused)
    height, width = window
    return node(op, "x", "y", "Pool2DOptions", FilterHeight=height, FilterWidth=width, **options)


def _window(strides, padding, dilation, fused):
    options = {"StrideH": strides[0], "StrideW": strides[1], "Padding": padding}
    if dilation is not None:
        options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    return options | {"FusedActivationFunction": fused}


def model(nodes, x=IMAGE, outputs="y", quantised=None, dtypes=None, signature=None, **constants):
    """The bytes of a model of one input, x, or of several, {name: shape}.

    Their batch is open, unless the signature says otherwise; () is their shapes as they are.
    """
    nodes = nodes if isinstance(nodes, list) else [nodes]
    shapes = x if isinstance(x, dict) else {"x": x}
    return _Writer(shapes, quantised or {}, dtypes or {}, signature, constants).write(
        nodes, outputs.split()
    )


class _Writer:
    def __init__(self, shapes, quantised, dtypes, signature, constants):
        self.b = flatbuffers.Builder(1024)
        self.shapes, self.quantised, self.dtypes = shapes, quantised, dtypes
        self.signature, self.constants = signature, constants
        self.names, self.buffers = [], [self.table("Buffer")]

    def write(self, nodes, outputs):
        for name in [*self.shapes, *self.constants]:
            self.number(name)
        codes, operators = [], []
        for n in nodes:
            if n.op not in codes:
                codes.append(n.op)
            operators.append(self.operator(n, codes.index(n.op)))
        tensors = self.vector([self.tensor(name) for name in self.names])
        graph = self.table(
            "SubGraph",
            Tensors=tensors,
            Inputs=self.ints([self.number(name) for name in self.shapes]),
            Outputs=self.ints([self.number(name) for name in outputs]),
            Operators=self.vector(operators),
        )
        root = self.table(
            "Model",
            Version=3,
            OperatorCodes=self.vector([self.code(op) for op in codes]),
            Subgraphs=self.vector([graph]),
            Buffers=self.vector(self.buffers),
        )
        self.b.Finish(root, b"TFL3")
        return bytes(self.b.Output())

    def table(self, kind, **fields):
        getattr(tflite, f"{kind}Start")(self.b)
        for name, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{name}")(self.b, value)
        return getattr(tflite, f"{kind}End")(self.b)

    def vector(self, offsets):
        self.b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.b.PrependUOffsetTRelative(offset)
        return self.b.EndVector()

    def ints(self, values, dtype="<i4"):
        return self.b.CreateNumpyVector(np.asarray(values, dtype))

    def number(self, name):
        if name == "-":
            return -1
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def operator(self, n, code):
        inputs = self.ints([self.number(name) for name in n.inputs])
        outputs = self.ints([self.number(name) for name in n.outputs])
        custom = self.ints(np.frombuffer(n.custom, np.uint8), np.uint8) if n.custom else None
        fields = {}
        for name, value in n.options.items():
            fields[name] = self.ints(value) if isinstance(value, (list, tuple)) else value
        options = self.table(n.kind, **fields) if n.kind else None
        return self.table(
            "Operator",
            OpcodeIndex=code,
            Inputs=inputs,
            Outputs=outputs,
            BuiltinOptionsType=getattr(tflite.BuiltinOptions, n.kind) if n.kind else 0,
            BuiltinOptions=options,
            CustomOptions=custom,
        )

    def code(self, op):
        number = getattr(tflite.BuiltinOperator, op, None)
        if number is None:
            custom = self.b.CreateString(op)
            return self.table(
                "OperatorCode", BuiltinCode=32, DeprecatedBuiltinCode=32, CustomCode=custom
            )
        return self.table(
            "OperatorCode",
            BuiltinCode=number,
            DeprecatedBuiltinCode=min(number, 127),
            Version=1,
        )

    def tensor(self, name):
        constant, quantised = self.constants.get(name), self.quantised.get(name)
        sparsity, shape, signature = None, self.shapes.get(name, ()), None
        if name in self.shapes:
            open_batch = (-1, *shape[1:])
            signature = open_batch if self.signature is None else self.signature or shape
            shape = tuple(max(n, 1) for n in signature)
        if isinstance(constant, Quantised):
            constant, quantised = np.asarray(constant.numbers, constant.dtype), constant
        dtype, buffer = self.dtypes.get(name, "float32"), 0
        if isinstance(constant, Sparse):
            sparsity, shape = self.sparsity(constant), constant.shape
            constant = constant.numbers
            dtype, buffer = str(constant.dtype), self.buffer(constant)
        elif constant is not None:
            constant = np.asarray(constant)
            shape, dtype, buffer = constant.shape, str(constant.dtype), self.buffer(constant)
        elif quantised is not None:
            dtype = quantised.dtype
        parameters = {
            "Shape": self.ints(shape),
            "ShapeSignature": None if signature is None else self.ints(signature),
            "Name": self.b.CreateString(name),
            "Quantization": None if quantised is None else self.quantization(quantised),
            "Sparsity": sparsity,
            "Buffer": buffer,
            "Type": getattr(tflite.TensorType, dtype.upper()),
        }
        return self.table("Tensor", **parameters)

    def buffer(self, array):
        data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.buffers.append(self.table("Buffer", Data=self.ints(data, np.uint8)))
        return len(self.buffers) - 1

    def quantization(self, q):
        scale = self.ints(np.ravel(q.scale), "<f4")
        zero = self.ints(np.ravel(q.zero), "<i8")
        return self.table(
            "QuantizationParameters", Scale=scale, ZeroPoint=zero, QuantizedDimension=q.axis
        )

    def sparsity(self, s):
        levels = []
        for level in s.levels:
            if isinstance(level, int):
                levels.append(self.table("DimensionMetadata", Format=0, DenseSize=level))
                continue
            segments, indices = (
                self.table("Int32Vector", Values=self.ints(values)) for values in level
            )
            levels.append(
                self.table(
                    "DimensionMetadata",
                    Format=1,
                    ArraySegmentsType=1,
                    ArraySegments=segments,
                    ArrayIndicesType=1,
                    ArrayIndices=indices,
                )
            )
        fields = {"TraversalOrder": self.ints(s.order), "DimMetadata": self.vector(levels)}
        if s.blocks:
            fields["BlockMap"] = self.ints(s.blocks)
        return self.table("SparsityParameters", **fields)


def computed(graph, *arrays):
    """The results of a graph, image by image."""
    each = [run(graph, images) for images in zip(*arrays, strict=True)]
    return [np.stack(results) for results in zip(*each, strict=True)]


def agrees(data, arrays, wanted, tolerance=2e-6, **options):
    """The graph of a model in float32, once it gives what is wanted, rewritten or not."""
    graph = from_tflite(data, integers="float", **options)
    for version in (graph, rewrite(graph)[0]):
        for got, result in zip(computed(version, *arrays), wanted, strict=True):
            assert got.shape == result.shape
            bound = tolerance * max(np.abs(result).max(), 1)
            np.testing.assert_allclose(got, result, rtol=0, atol=bound)
    return graph


def counts(graph, op):
    return sum(n.op == op for n in graph.nodes)
