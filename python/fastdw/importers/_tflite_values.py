"""Values of a TFLite model beside those of the graph.

The model's axes stand in the graph's order already. Where the first of them is the batch, the
graph's value has it not: images are (1, H, W, C) there and (H, W, C) here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from fastdw._quantization import Quantization
from fastdw.importers import _common
from fastdw.importers._common import Missing, Unknown, Unsupported
from fastdw.importers._tflite_file import TfliteFile, TfliteNode
from fastdw.network._graph import GraphBuilder
from fastdw.network._recognise import clamp

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.importers._norms import Moment

Shape = tuple[int, ...]
Pads = tuple[tuple[int, int], tuple[int, int]]
_FUSED = {
    0: (-math.inf, math.inf),
    1: (0.0, math.inf),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}
_TANH = 4


class Live(NamedTuple):
    """A value that is computed from the inputs."""

    name: str
    """What the graph calls it."""
    shape: Shape
    """The model's, with one image where that has a batch."""
    moment: Moment | None = None

    def same(self, other: Live) -> bool:
        return self[:2] == other[:2]


class Blocks(NamedTuple):
    """What SPACE_TO_BATCH_ND made of an image: of use to a convolution, which it dilates."""

    base: Live
    block: tuple[int, int]
    pads: Pads
    """Still to be put around the base."""
    op: str
    node: str


Value = Union[Live, Blocks, "AnyArray"]


class Conversion:
    """The graph while it grows, and the values that are there, by the numbers of tensors."""

    def __init__(self, file: TfliteFile, keeps_integers: bool = False) -> None:
        self.file = file
        self.keeps_integers = keeps_integers
        self.builder = GraphBuilder()
        self.missing = Missing(file.name)
        self.values: dict[int, Value | None] = {}
        self.quantised = False
        """Whether any value was computed in integers."""
        self.in_float: dict[str, None] = {}
        """Operators on integers that run in float32."""
        self.source: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._stored = False
        self._reals: dict[str, Live] = {}
        self._constants: tuple[dict[int, AnyArray], dict[int, AnyArray]] = ({}, {})

    # --- reading ---

    @contextmanager
    def as_stored(self) -> Iterator[None]:
        """Let values be the integers that they are, not the numbers that these stand for."""
        before, self._stored = self._stored, True
        try:
            yield
        finally:
            self._stored = before

    def quantization(self, index: int) -> Quantization | None:
        """What the integers of a tensor stand for, if the graph has these."""
        tensor = self.file.tensors[index]
        q = tensor.quantization
        if q is None or tensor.dtype not in ("INT8", "UINT8") or not self.keeps_integers:
            return None
        if q.scale.size != 1:
            return None
        return Quantization(float(q.scale[0]), int(q.zero_point[0]), tensor.dtype.lower())

    def is_constant(self, index: int) -> bool:
        """Whether a tensor is not computed."""
        return index not in self.values or isinstance(self.values[index], np.ndarray)

    def zero(self, node: TfliteNode) -> AnyArray:
        """The number 0 as the input of a node has it."""
        q = self.quantization(node.inputs[0]) if self._stored else None
        return np.array([0 if q is None else q.zero_point])

    def value(self, index: int) -> Value:
        """The value of a tensor: real numbers, or integers as they are stored."""
        if index not in self.values:
            if not self.file.has_numbers(index):
                name = self.file.tensors[index].name
                msg = f"{self.file.name}: nothing computes {name!r} before it is read"
                raise ValueError(msg)
            kind = self._constants[self._stored]
            if index not in kind:
                read = self.file.stored if self._stored else self.file.constant
                kind[index] = read(index)
            return kind[index]
        value = self.values[index]
        if value is None:
            raise Unknown
        return value if self._stored or isinstance(value, np.ndarray) else self._real(index, value)

    def _real(self, index: int, value: Live | Blocks) -> Live | Blocks:
        """The numbers that integers stand for."""
        if isinstance(value, Blocks):
            base = self._real(index, value.base)
            return value._replace(base=base) if isinstance(base, Live) else value
        if self.builder.dtype(value.name) == "float32":
            return value
        if value.name not in self._reals:
            q = self.quantization(index)
            self._reals[value.name] = self.add("dequantize", value.name, value.shape, input=q)
        return self._reals[value.name]

    def get(self, node: TfliteNode, position: int) -> Value | None:
        """An input, None where it is left out."""
        there = position < len(node.inputs) and node.inputs[position] >= 0
        return self.value(node.inputs[position]) if there else None

    def constant(self, node: TfliteNode, position: int, what: str) -> AnyArray:
        """An input that must be a constant."""
        value = self.get(node, position)
        if not isinstance(value, np.ndarray):
            msg = f"with {what} that are {'missing' if value is None else 'computed'}"
            raise Unsupported(msg)
        return value

    def optional(self, node: TfliteNode, position: int, what: str) -> AnyArray | None:
        """The same, or nothing at all."""
        there = self.get(node, position) is not None
        return self.constant(node, position, what) if there else None

    def live(self, node: TfliteNode, position: int = 0) -> Live:
        """An input that must be computed."""
        value = self.get(node, position)
        if value is None:
            msg = f"without input {position}"
            raise Unsupported(msg)
        return self.plain(value)

    def plain(self, value: Value) -> Live:
        """A value as one that is computed."""
        if isinstance(value, Blocks):
            if value.node not in self._told:
                self._told.add(value.node)
                self.missing.add(f"{value.op} apart from a convolution", value.node)
            raise Unknown
        if not isinstance(value, Live):
            msg = "of constants alone"
            raise Unsupported(msg)
        return value

    def image(self, node: TfliteNode, position: int = 0) -> Live:
        """An input that must be (1, H, W, C)."""
        x = self.live(node, position)
        if len(x.shape) != 4 or x.shape[0] != 1:
            msg = f"on a value of shape {x.shape}"
            raise Unsupported(msg)
        return x

    # --- making ---

    def add(
        self, op: str, inputs: str | Sequence[str], shape: Shape | None = None, **a: Any
    ) -> Live:
        """A node of the graph; its value is an image, or of this shape in the model."""
        name = self.builder.add(op, inputs, source=self.source, **a)
        made = self.builder.shape(name)
        if shape is None:
            return Live(name, (1, *made))
        return self.reshaped(Live(name, made), shape)

    def reshaped(self, x: Live, shape: Shape) -> Live:
        """The same numbers in another shape of the model."""
        if math.prod(shape) == 0:
            msg = f"to {shape}"
            raise Unsupported(msg)
        name = _common.reshape(self.builder, x.name, inner(shape), source=self.source)
        return Live(name, shape)

    def seen(self, x: Live, shape: Shape) -> str:
        """The graph's name of the same numbers in this shape of the graph."""
        return _common.reshape(self.builder, x.name, shape, source=self.source)

    def activate(self, x: Live, activation: Any) -> Live:
        """An activation, None being none; its parameters are for the last axis."""
        if activation is None:
            return x
        name = self.builder.add("activation", x.name, source=self.source, activation=activation)
        return Live(name, x.shape)

    def affine(self, x: Live, scale: Any, offset: Any, activation: Any = None) -> Live:
        """x·scale + offset, numbers or vectors along the last axis."""
        name = _common.affine(
            self.builder, x.name, scale, offset, source=self.source, activation=activation
        )
        return Live(name, x.shape)

    def pick(self, x: Live, tables: dict[int, tuple[int, ...]], constant: float = 0.0) -> Live:
        """`gather` with a table for each of these axes of the model; −1 is the constant."""
        if not tables:
            return x
        if 0 in tables and x.shape[0] == 1 and len(x.shape) > 1:
            msg = "along the batch"
            raise Unsupported(msg)
        shape = tuple(len(tables.get(a, range(n))) for a, n in enumerate(x.shape))
        axes = [a for a, n in enumerate(x.shape) if n > 1 or a in tables]
        if len(axes) > 3:
            for axis, table in tables.items():
                x = self._pick_along(x, axis, table, constant)
            return x
        if len(x.shape) == 4 and x.shape[0] == 1:
            axes = [1, 2, 3]
        padded: list[int | None] = [*[None] * (3 - len(axes)), *axes]
        name = self.seen(x, tuple(1 if a is None else x.shape[a] for a in padded))
        words = zip(("rows", "columns", "channels"), padded, strict=True)
        picks = {word: None if a is None else tables.get(a) for word, a in words}
        return self.add("gather", name, shape, **picks, constant=constant)

    def _pick_along(self, x: Live, axis: int, table: tuple[int, ...], constant: float) -> Live:
        before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        shape = (*x.shape[:axis], len(table), *x.shape[axis + 1 :])
        name = self.seen(x, (before, x.shape[axis], after))
        return self.add("gather", name, shape, columns=table, constant=constant)

    def part(self, x: Live, kept: dict[int, range]) -> Live:
        """Some entries of some axes of the model."""
        if not all(kept.values()):
            msg = "that leaves nothing"
            raise Unsupported(msg)
        kept = {a: r for a, r in kept.items() if r != range(x.shape[a])}
        backwards = {a: r for a, r in kept.items() if r.step < 0}
        if any(len(r) > _common.MAX_TABLE for r in backwards.values()):
            msg = f"backwards of {x.shape}"
            raise Unsupported(msg)
        x = self.pick(x, {a: tuple(r) for a, r in backwards.items()})
        kept = {a: r for a, r in kept.items() if r.step > 0}
        if not kept:
            return x
        ranges = [kept.get(a, range(n)) for a, n in enumerate(x.shape)]
        shape = tuple(map(len, ranges))
        if len(inner(x.shape)) < len(x.shape):
            ranges = ranges[1:]
        attrs = {
            "begin": tuple(r.start for r in ranges),
            "size": tuple(len(r) for r in ranges),
            "step": tuple(r.step for r in ranges),
        }
        return self.add("slice", self.seen(x, inner(x.shape)), shape, **attrs)

    # --- what follows an operator ---

    def activation(self, node: TfliteNode, options: Any) -> Any:
        """The fused activation, within what the output can hold if that is quantised."""
        limits = self.file.tensors[node.outputs[0]].limits()
        code = _code(options)
        if limits is None or code == _TANH:
            return fused(options)
        node.ranged = self.quantised = True
        low, high = _FUSED[code]
        return clamp(max(low, limits[0]), min(high, limits[1]))

    def held(self, node: TfliteNode, index: int, result: Live) -> Live:
        """The result within what its tensor can hold, if that is quantised."""
        tensor = self.file.tensors[index]
        limits = tensor.limits()
        self.quantised |= limits is not None
        if self.builder.dtype(result.name) != "float32":
            return result
        if q := self.quantization(index):
            if node.op != "QUANTIZE":
                self.in_float[node.op] = None
            return self.add("quantize", result.name, result.shape, output=q)
        if limits is None or node.ranged or self._moves(node, limits):
            return result
        return self.activate(result, clamp(*limits))

    def _moves(self, node: TfliteNode, limits: tuple[float, float]) -> bool:
        """Whether an operator passes on numbers that fit already."""
        inputs = [self.file.tensors[i] for i in node.inputs if i >= 0]
        sources = [t.limits() for t in inputs if t.dtype != "INT32"]
        return node.op in MOVES and all(source == limits for source in sources)


MOVES = {
    "AVERAGE_POOL_2D",
    "BATCH_TO_SPACE_ND",
    "CONCATENATION",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EXPAND_DIMS",
    "GATHER",
    "MAX_POOL_2D",
    "MEAN",
    "MIRROR_PAD",
    "PACK",
    "PAD",
    "PADV2",
    "QUANTIZE",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "RELU",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "REVERSE_V2",
    "SLICE",
    "SPACE_TO_BATCH_ND",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TILE",
    "TRANSPOSE",
    "UNPACK",
}
"""Operators whose results lie between their arguments."""


def fused(options: Any) -> Any:
    """The fused activation, None being none."""
    code = _code(options)
    return "tanh" if code == _TANH else clamp(*_FUSED[code])


def _code(options: Any) -> int:
    code = 0 if options is None else int(options.FusedActivationFunction())
    if code not in _FUSED and code != _TANH:
        msg = f"with the fused activation {code}"
        raise Unsupported(msg)
    return code


def inner(shape: Shape) -> Shape:
    """The graph's shape of a value of the model."""
    if len(shape) > 1 and shape[0] == 1:
        return shape[1:]
    return shape or (1,)


def axis_of(axis: int, shape: Shape) -> int:
    """A counted axis of a value, from the end if it is negative; not the batch."""
    rank = len(shape)
    if not -rank <= axis < rank:
        msg = f"with axis {axis} of {rank}"
        raise Unsupported(msg)
    if axis % rank == 0 and rank > 1 and shape[0] == 1:
        msg = "over the images of a batch"
        raise Unsupported(msg)
    return axis % rank
