"""From a graph to the core's network: a place for every value, the steps of every node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdw import _core
from fastdw._isa import chosen_isa
from fastdw.network import _steps16
from fastdw.network._arena import Arena, Lifetime
from fastdw.network._graph import Graph, Node, dtypes, shapes
from fastdw.network._inside import unsigned
from fastdw.network._ops import OPS, PAIRS
from fastdw.network._plan import ELEMENT, Memory, floats, in_arena, plan_memory
from fastdw.network._steps import Lowering, Site, copied, image, side_by_side, spread
from fastdw.network._view import View, dense_strides

if TYPE_CHECKING:
    from fastdw._core import Step
    from fastdw.network._shapes import Shape


class Program(NamedTuple):
    """A graph, ready to run."""

    core: _core.Network
    arena: Arena
    nodes: tuple[int, ...]
    """For each step the node that it is a part of; one past the last for what follows them all."""
    shapes: dict[str, Shape]
    """Of every value."""
    dtypes: dict[str, str]
    """The same."""
    traffic: tuple[int, ...]
    """For each step the bytes of arrays that it reads and writes, each counted once."""
    signature: tuple[tuple[Shape, ...], tuple[Shape, ...]]
    """The shapes of the inputs and of the outputs."""
    accumulate: str
    """As it was asked for."""
    adding: frozenset[int]
    """The nodes that add in float16."""


class Workspace(NamedTuple):
    """A further tensor, between the nodes that write and read it."""

    shape: Shape
    first: int
    last: int
    dtype: str = "float32"
    use: str = ""
    """What a node that adds in float16 has it for."""


class Lowerer:
    """A checked graph: places for its values at once, the steps and their weights by `program`.

    With `accumulate` "float16" the nodes that can add in float16 do so.
    """

    def __init__(self, graph: Graph, accumulate: str = "float32") -> None:
        graph = unsigned(graph)
        self.graph, self.known, self.dtypes = graph, shapes(graph), dtypes(graph)
        self.accumulate = accumulate
        self.adding: frozenset[int] = frozenset()
        self.halves: frozenset[str] = frozenset()
        if accumulate == "float16":
            self.adding = _steps16.adding(graph)
            self.halves = _steps16.stored(graph, self.adding)
        self.outputs = {graph.nodes[i].output for i in self.adding}
        scratch, self.summed = self._scratch(), self._summed()
        spaces = [*scratch, *self.summed.values()]
        lifetimes = [Lifetime(floats(s.shape, s.dtype), s.first, s.last) for s in spaces]
        self.memory: Memory = plan_memory(graph, self._accepts, lifetimes, self.halves)
        offsets = self.memory.arena.offsets[len(self.memory.arena.offsets) - len(spaces) :]
        arrays = len(graph.inputs) + len(graph.outputs)
        views = [
            View(*in_arena(s.dtype, arrays, offset), dense_strides(s.shape), s.shape)
            for s, offset in zip(spaces, offsets, strict=True)
        ]
        self.scratch = list(zip(scratch, views, strict=False))
        self.sums = dict(zip(self.summed, views[len(scratch) :], strict=True))

    def program(self) -> Program:
        steps, nodes = [], []
        store = _core.Store(_matrices(self.graph, self.adding))
        for i, node in enumerate(self.graph.nodes):
            lowering = OPS[node.op].lowering
            made = self._moves(node) if lowering is None else self._node(i, node, lowering, store)
            for step in made:
                steps.append(step)
                nodes.append(i)
        for name, out in zip(self.graph.outputs, self.memory.outputs, strict=True):
            if self.memory.views[name] != out:
                steps.append(copied(out, self.memory.views[name]))
                nodes.append(len(self.graph.nodes))
        given = tuple(self.known[spec.name] for spec in self.graph.inputs)
        results = tuple(self.known[name] for name in self.graph.outputs)
        core = _core.Network(
            self.memory.arena.size,
            self._arrays(spec.name for spec in self.graph.inputs),
            self._arrays(self.graph.outputs),
            tuple(steps),
            chosen_isa(),
        )
        traffic = tuple(map(self._traffic, steps))
        signature = given, results
        return Program(
            core,
            self.memory.arena,
            tuple(nodes),
            self.known,
            self.dtypes,
            traffic,
            signature,
            self.accumulate,
            self.adding,
        )

    def _arrays(self, names: Iterable[str]) -> tuple[tuple[int, str], ...]:
        """Elements and dtypes of a call's arrays."""
        return tuple((prod(self.known[name]), self.dtypes[name]) for name in names)

    def _traffic(self, step: Step) -> int:
        names = [*(spec.name for spec in self.graph.inputs), *self.graph.outputs]
        buffers = ["float32", *(self.dtypes[name] for name in names), "uint8", "float16"]
        bytes_ = 0
        for operand in step[1]:
            if operand is not None:
                buffer, _, sizes, strides = operand
                # What has strides of 0 is one pixel for all.
                apart = (n for n, stride in zip(sizes, strides, strict=True) if stride > 0)
                bytes_ += prod(apart) * ELEMENT.get(buffers[buffer], 1)
        return bytes_

    def _scratch(self) -> list[Workspace]:
        """What the lowerings want."""
        spaces = []
        for i, node in enumerate(self.graph.nodes):
            lowering = OPS[node.op].lowering
            if i in self.adding:
                own = _steps16.spaces(node, self.known, self.halves)
                spaces += [Workspace(s, i, i, dtype, use) for use, (s, dtype) in own.items()]
            elif node.inputs[0] in self.halves:  # a global pool
                spaces.append(Workspace(self.known[node.inputs[0]], i, i))
            elif lowering is not None:
                inputs = [self.known.get(name) for name in node.inputs]
                spaces += [Workspace(s, i, i) for s in lowering.scratch(inputs, node.attrs)]
        return spaces

    def _summed(self) -> dict[str, Workspace]:
        """Depthwise results that a global average reads: it takes the sums of each row, which the
        depthwise step makes of results that are still in cache."""
        made = {
            node.output: i
            for i, node in enumerate(self.graph.nodes)
            if node.op in ("depthwise", "expand_depthwise") and i not in self.adding
        }
        found = {}
        for i, node in enumerate(self.graph.nodes):
            if _averages(node) and node.inputs[0] in made:
                name = node.inputs[0]
                rows, _, channels = self.known[name]
                found[name] = Workspace((rows, 1, channels), made[name], i)
        return found

    def _sums(self, node: Node) -> View | None:
        name = node.inputs[0] if _averages(node) else node.output
        return self.sums.get(name)

    def _accepts(self, node: Node, position: int, view: View) -> bool:
        scaled = position == 0 and node.op == "conv2d" and len(node.inputs) > 2
        if scaled or (position == -1 and node.output in self.summed):
            return side_by_side(view)
        term = position == 1 and node.op in PAIRS
        if term or position == 2:  # what a node multiplies x by, or adds
            return side_by_side(spread(view, self.known[node.inputs[0]]))
        if node.output in self.outputs:  # it copies what it does not take as it lies
            return position != 0 or not _steps16.prepares(node) or side_by_side(image(view))
        # Windows of planes, copied number by number, take longer than the image in another order.
        windows = node.op == "conv2d" and node.attrs["kernel"].shape[:2] != (1, 1)
        if windows and position == 0:
            return side_by_side(image(view))
        lowering = OPS[node.op].lowering
        assert lowering is not None, "moves take any view"
        return lowering.anywhere or side_by_side(image(view))

    def _node(
        self, index: int, node: Node, lowering: Lowering, store: _core.Store
    ) -> Iterator[Step]:
        own = [(space.use, view) for space, view in self.scratch if space.first == index]
        inputs = [self.memory.views[name] if name else None for name in node.inputs]
        out = self.memory.views[node.output]
        if node.op == "affine" and self.dtypes[node.inputs[0]] == "uint8":  # it finds floats then
            yield copied(out, self.memory.views[node.inputs[0]])
            inputs[0] = out
        if index not in self.adding and node.inputs[0] in self.halves:
            inputs[0] = own[0][1]
            yield copied(own[0][1], self.memory.views[node.inputs[0]])
        dtype = self.dtypes[node.output]
        scratch = [view for _, view in own]
        site = Site(node.attrs, inputs, out, scratch, self._sums(node), store, dtype)
        yield from _steps16.steps(site, dict(own)) if index in self.adding else lowering.steps(site)

    def _moves(self, node: Node) -> Iterator[Step]:
        out = self.memory.views[node.output]
        begin = 0
        for position, name in enumerate(node.inputs):
            x = self.memory.views[name]
            if node.op == "concat":
                axis = node.attrs["axis"]
                part = out.along(axis, begin, x.shape[axis])
                begin += x.shape[axis]
            if position not in self.memory.copies.get(node.output, ()):
                continue
            if node.op == "concat":
                yield copied(part, x)
            else:
                yield copied(*_aligned(node, out, x))


def _matrices(graph: Graph, adding: frozenset[int]) -> int:
    """Floats that the packed matrices of a graph take at most: columns are a multiple of 16."""
    matrices = [
        value.shape
        for i, node in enumerate(graph.nodes)
        if i not in adding
        for name, value in node.attrs.items()
        if name.endswith("kernel") and node.op != "depthwise" and name != "depthwise_kernel"
        if value.dtype == np.float32
    ]
    return sum((prod(shape[:3]) + 1) * (shape[3] + 15) for shape in matrices)


def _averages(node: Node) -> bool:
    return node.op == "global_pool" and bool(node.attrs["function"] == "average")


def _aligned(node: Node, out: View, x: View) -> tuple[View, View]:
    """Both sides of a move under one shape."""
    if node.op == "slice":
        return out, x.part(node.attrs["begin"], node.attrs["size"], node.attrs["step"])
    if node.op == "transpose":
        return out, x.transposed(node.attrs["axes"])
    moved = x.reshaped(out.shape)
    if moved is not None:
        return out, moved
    target = out.reshaped(x.shape)
    assert target is not None, "one side of a reshape is dense"
    return target, x


def lower(graph: Graph, accumulate: str = "float32") -> Program:
    """Places and steps of a checked graph."""
    return Lowerer(graph, accumulate).program()
