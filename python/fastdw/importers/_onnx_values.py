"""Values of an ONNX model beside those of the graph: which axis is which.

A model's value has any shape, with the batch among its axes; the graph's value holds the numbers of
one image, with the channels last where an operator wants that. Axes of one entry come and go
freely, so what must be known is only the order of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Missing, Unknown, Unsupported
from fastdw.importers._onnx_file import OnnxFile, OnnxNode
from fastdw.importers._onnx_integers import Stored, Weights
from fastdw.network._graph import GraphBuilder

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.importers._norms import Moment
    from fastdw.network._shapes import Shape

Axes = tuple[int | None, ...]
IMAGE: Axes = (2, 3, 1)
"""(H, W, C) of a value that the model holds as (N, C, H, W)."""
_MAX_SHUFFLED = 1 << 12  # channels
_MAX_GROWN = 1 << 23  # entries, of all constants that are computed


class Live(NamedTuple):
    """A value that is computed from the inputs."""

    name: str
    """What the graph calls it."""
    shape: tuple[int, ...]
    """The model's."""
    axes: Axes
    """For each axis of the graph's value the model's; None for one entry that the model has not."""
    scaled: tuple[Live, float] | None = None
    """Where it is another value times a number: these two."""
    before: Live | None = None
    """Where `name` holds these numbers in another order: the value that was reshaped, in the order
    of its model's axes, to make this one."""
    moment: Moment | None = None

    def same(self, other: Live) -> bool:
        return self[:3] == other[:3] and self.before == other.before


STORED = "stored"
"""Of integers of int8 that are passed as the real numbers that they stand for."""


class Pending(NamedTuple):
    """A part of an activation that is spelt out: of use only to the nodes that complete it.

    So are integers, where all is computed in float32.
    """

    kind: str
    base: Live
    factor: float
    op: str
    node: str


Value = Union[Live, Pending, "AnyArray"]


class Conversion:
    """The graph while it grows, and the values that are there."""

    def __init__(self, file: OnnxFile, keeps_integers: bool = False) -> None:
        self.file = file
        self.keeps_integers = keeps_integers
        self.stored: dict[str, Stored] = {}
        """Constants of integers, by the names of the real numbers that they stand for."""
        self.weights: dict[str, Weights] = {}
        """What convolutions of the graph were made of, by the names of their results."""
        self.opset = file.opset
        self.builder = GraphBuilder()
        self.missing = Missing(file.name)
        self.values: dict[str, Value | None] = {}
        self.batched = False
        """Whether the model takes more than one image at once."""
        self.source: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._grown = 0

    def grow(self, result: AnyArray, inputs: Sequence[AnyArray]) -> None:
        """Count what a folded constant takes more than those of which it was made."""
        self._grown += max(0, _entries(result) - sum(map(_entries, inputs)))
        if self._grown > _MAX_GROWN:
            msg = "where constants have grown too large"
            raise Unsupported(msg)

    # --- reading ---

    def value(self, name: str) -> Value:
        """The value of this name."""
        if name not in self.values:
            if name in self.file.sparse:
                msg = f"with the sparse tensor {name!r}"
                raise Unsupported(msg)
            if name not in self.file.initializers:
                msg = f"{self.file.name}: nothing computes {name!r} before it is read"
                raise ValueError(msg)
            self.values[name] = self.file.tensor(self.file.initializers[name])
        value = self.values[name]
        if value is None:
            raise Unknown
        return value

    def get(self, node: OnnxNode, position: int) -> Value | None:
        """An input, None where it is left out."""
        names = node.inputs
        return self.value(names[position]) if position < len(names) and names[position] else None

    def constant(self, node: OnnxNode, position: int, what: str) -> AnyArray | None:
        """An input that must be a constant if it is there."""
        value = self.get(node, position)
        if isinstance(value, (Live, Pending)):
            msg = f"with {what} that are computed"
            raise Unsupported(msg)
        return value

    def live(self, node: OnnxNode, position: int = 0) -> Live:
        """An input that must be computed, in its own order."""
        return self.settled(self.unsettled(node, position))

    def unsettled(self, node: OnnxNode, position: int = 0) -> Live:
        """The same, perhaps not yet brought into its order."""
        value = self.get(node, position)
        if value is None:
            msg = f"without input {position}"
            raise Unsupported(msg)
        return self.plain(value)

    def plain(self, value: Value) -> Live:
        """A value as one that is computed."""
        if isinstance(value, Pending) and value.kind in ("exp", "1 + exp"):
            power = self.function(self.affine(value.base, value.factor, 0.0, None), "exp")
            return power if value.kind == "exp" else self.affine(power, 1.0, 1.0, None)
        if isinstance(value, Pending):
            if value.node not in self._told:
                self._told.add(value.node)
                integers = value.kind.startswith("quantised")
                reason = " that more than DequantizeLinear reads" if integers else ""
                self.missing.add(value.op + reason, value.node)
            raise Unknown
        if not isinstance(value, Live):
            msg = "of constants alone"
            raise Unsupported(msg)
        return value

    def whole(
        self, node: OnnxNode, arranged: Callable[[AnyArray], AnyArray], axis: int
    ) -> Weights | None:
        """The integers that a layer's weights and biases were made of; scales are along an axis."""
        kernel = self.stored.get(node.inputs[1])
        bias = self.stored.get(node.inputs[2]) if len(node.inputs) > 2 else None
        if kernel is None or kernel.numbers.dtype != np.int8:
            return None
        if kernel.scales.size > 1 and kernel.axis != axis:
            return None
        return Weights(arranged(kernel.numbers), kernel.scales, bias)

    # --- order ---

    def settled(self, value: Live) -> Live:
        """The value with its numbers in its own order."""
        if value.before is None:
            return value
        old = value.before
        place = _large(old.axes, old.shape).index
        groups = sorted(groups_of(old.shape, value.shape), key=lambda g: max(map(place, g[0])))
        before = tuple(axis for group, _ in groups for axis in group)
        after = tuple(axis for _, group in groups for axis in group)
        name = self._shuffled(old, before) or self.arrange(old, before)
        name = self.reshape(name, tuple(value.shape[axis] for axis in after))
        return Live(name, value.shape, after or (None,))

    def _shuffled(self, value: Live, axes: tuple[int, ...]) -> str:
        """The same as `arrange` where it moves channels alone, by `gather`; else nothing."""
        now = _large(value.axes, value.shape)
        same = next((i for i, (a, b) in enumerate(zip(now, axes, strict=True)) if a != b), 0)
        sizes = [value.shape[axis] for axis in now]
        channels = prod(sizes[same:])
        if not same or channels > _MAX_SHUFFLED:
            return ""
        order = [now[same:].index(axis) for axis in axes[same:]]
        table = np.arange(channels).reshape(sizes[same:]).transpose(order).reshape(-1)
        rows, columns = sizes[:2] if same == 2 else (1, prod(sizes[:same]))
        name = self.reshape(value.name, (rows, columns, channels))
        name = self.add("gather", name, channels=tuple(table.tolist()))
        return self.reshape(name, tuple(value.shape[axis] for axis in axes))

    def arrange(self, value: Live, axes: Axes) -> str:
        """The graph's name of a value with its axes in this order; unit ones may be left out."""
        value = self.settled(value)
        wanted = tuple(1 if axis is None else value.shape[axis] for axis in axes)
        now, then = _large(value.axes, value.shape), _large(axes, value.shape)
        if sorted(now) != sorted(then):
            msg = f"with more axes than it can be given, of shape {value.shape}"
            raise Unsupported(msg)
        name = value.name
        if now != then:
            if set(value.axes) == set(axes) and len(value.axes) == len(set(axes)) == len(axes):
                order = tuple(value.axes.index(axis) for axis in axes)
            else:
                name = self.reshape(name, tuple(value.shape[axis] for axis in now))
                order = tuple(now.index(axis) for axis in then)
            name = self.add("transpose", name, axes=order)
        return self.reshape(name, wanted)

    def image(self, value: Live) -> str:
        """A value of (1, C, H, W) as an image (H, W, C)."""
        if len(value.shape) != 4:
            msg = f"on {len(value.shape)} axes"
            raise Unsupported(msg)
        if value.shape[0] != 1:
            msg = f"on {value.shape[0]} images"
            raise Unsupported(msg)
        return self.arrange(value, IMAGE)

    def last(self, value: Live, axis: int) -> Live:
        """The value with this axis as the last in the graph."""
        value = self.settled(value)
        if value.axes[-1] == axis or (axis in value.axes and value.shape[axis] == 1):
            return value
        rank = len(value.shape)
        if rank == 4 and axis == 1 and value.shape[0] == 1:
            axes: Axes = IMAGE
        else:
            axes = (*(a for a in _large(value.axes, value.shape) if a != axis), axis)
        return Live(self.arrange(value, axes), value.shape, axes)

    def keep_images_apart(self, value: Live, axes: Iterable[int]) -> None:
        """Refuse what would mix the images of a batch, or drop some."""
        if self.batched and value.shape[:1] == (1,) and 0 in axes:
            msg = "across the images of a batch"
            raise Unsupported(msg)

    # --- making ---

    def add(self, op: str, inputs: str | Sequence[str], **attrs: Any) -> str:
        """A node of the graph."""
        return self.builder.add(op, inputs, source=self.source, **attrs)

    def reshape(self, name: str, shape: Shape) -> str:
        return _common.reshape(self.builder, name, shape or (1,), source=self.source)

    def activate(self, value: Live, activation: Any) -> Live:
        """An activation without parameters for single channels."""
        value = self.settled(value)
        return self.like(value, self.add("activation", value.name, activation=activation))

    def function(self, value: Live, function: str) -> Live:
        """A function of every number, as NumPy calls it."""
        value = self.settled(value)
        return self.like(value, self.add("unary", value.name, function=function))

    def over_last(self, value: Live, axes: list[int], op: str, **attrs: Any) -> Live:
        """An operator over the last axis, where that is several of the model's, in its order."""
        tail = [axis for axis in axes if value.shape[axis] > 1]
        if len(tail) == 1:
            value = self.last(value, tail[0])
            return self.like(value, self.add(op, value.name, **attrs))
        value = self.settled(value)
        rest = [axis for axis in _large(value.axes, value.shape) if axis not in tail]
        sizes = [prod(value.shape[axis] for axis in part) for part in (rest, tail)]
        name = self.reshape(self.arrange(value, (*rest, *tail)), tuple(sizes))
        name = self.add(op, name, **attrs)
        order = (*rest, *tail)
        return Live(self.reshape(name, tuple(value.shape[a] for a in order)), value.shape, order)

    def affine(
        self, value: Live, scale: AnyArray | float, offset: AnyArray | float, axis: int | None
    ) -> Live:
        """x·scale + offset, numbers, or vectors along this axis of the model."""
        value = self.settled(value) if axis is None else self.last(value, axis)
        name = _common.affine(self.builder, value.name, scale, offset, source=self.source)
        return self.like(value, name)

    def like(self, value: Live, name: str) -> Live:
        """Of the same shape and order."""
        return Live(name, value.shape, value.axes)

    def pick(self, value: Live, tables: dict[int, tuple[int, ...]], constant: float = 0.0) -> Live:
        """`gather` with a table for each of these axes of the model; −1 is the constant."""
        value = self.settled(value)
        if not tables:
            return value
        axes = value.axes
        if len(axes) != 3 or not set(tables) <= set(axes):
            kept = [a for a in _large(axes, value.shape) if a not in tables]
            order = sorted([*kept, *tables])
            if len(order) > 3:
                for axis, table in tables.items():
                    value = self._pick_along(value, axis, table, constant)
                return value
            filled: Axes = (*(None,) * (3 - len(order)), *order)
            channels_last = len(value.shape) == 4 and value.shape[0] == 1 and 0 not in tables
            axes = IMAGE if channels_last else filled
        name = self.arrange(value, axes)
        picks = {
            word: tables.get(-1 if axis is None else axis)
            for word, axis in zip(("rows", "columns", "channels"), axes, strict=True)
        }
        shape = tuple(len(tables.get(a, range(size))) for a, size in enumerate(value.shape))
        return Live(self.add("gather", name, **picks, constant=constant), shape, axes)

    def _pick_along(self, value: Live, axis: int, table: tuple[int, ...], constant: float) -> Live:
        order = [a for a in value.axes if a is not None and (value.shape[a] > 1 or a == axis)]
        order = order if axis in order else [axis, *order]
        at, sizes = order.index(axis), [value.shape[a] for a in order]
        parts = (prod(sizes[:at]), sizes[at], prod(sizes[at + 1 :]))
        name = self.reshape(value.name, parts)
        name = self.add("gather", name, columns=table, constant=constant)
        sizes[at] = len(table)
        shape = tuple(len(table) if a == axis else n for a, n in enumerate(value.shape))
        return Live(self.reshape(name, tuple(sizes)), shape, tuple(order))


def _entries(array: AnyArray) -> int:
    """Numbers in memory: one that is repeated takes none."""
    return array.size if any(array.strides) else 0


def _large(axes: Axes, shape: tuple[int, ...]) -> list[int]:
    """Those that are axes of the model with more than one entry."""
    return [axis for axis in axes if axis is not None and shape[axis] > 1]


def groups_of(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The axes of more than one entry, cut into the smallest parts of equal products."""
    rest = [a for a, n in enumerate(old) if n > 1], [a for a, n in enumerate(new) if n > 1]
    groups = []
    while rest[0] or rest[1]:
        taken: tuple[list[int], list[int]] = ([rest[0].pop(0)], [rest[1].pop(0)])
        while True:
            products = [
                prod(shape[a] for a in part) for shape, part in zip((old, new), taken, strict=True)
            ]
            if products[0] == products[1]:
                break
            side = int(products[0] > products[1])
            taken[side].append(rest[side].pop(0))
        groups.append(taken)
    return groups


def large(value: Live) -> list[int]:
    """The model's axes of more than one entry, in the model's order."""
    return [axis for axis, size in enumerate(value.shape) if size > 1]


def axis_of(axis: int, rank: int) -> int:
    """A counted axis, from the end if it is negative."""
    if not -rank <= axis < rank:
        msg = f"with axis={axis} of {rank} axes"
        raise Unsupported(msg)
    return int(axis) % rank


def expanded(value: Live, rank: int) -> Live:
    """With axes of one entry put before it, up to this number."""
    more = max(rank - len(value.shape), 0)
    axes = tuple(None if axis is None else axis + more for axis in value.axes)
    if not more:
        return value
    return value._replace(shape=(1,) * more + value.shape, axes=axes, moment=None)


def without(x: Live, axes: list[int]) -> Live:
    """The value without these axes of one entry."""
    left = [a for a in range(len(x.shape)) if a not in axes]
    number = {old: new for new, old in enumerate(left)}
    return Live(
        x.name,
        tuple(x.shape[a] for a in left),
        tuple(None if a is None else number.get(a) for a in x.axes),
    )


def ints(array: AnyArray | Sequence[int]) -> list[int]:
    """A constant of whole numbers."""
    numbers = np.ravel(np.asarray(array))
    if numbers.dtype.kind not in "iu" and numbers.size:
        msg = f"with {numbers.dtype} numbers where whole ones belong"
        raise Unsupported(msg)
    return [int(n) for n in numbers]


def size_of(shape: Sequence[int]) -> int:
    return prod(int(n) for n in shape)
