"""From a graph to the core's network: a place for every value, the steps of every node."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fastdw import _core
from fastdw._isa import chosen_isa
from fastdw.network._arena import Arena, Lifetime
from fastdw.network._graph import Graph, Node, raw, shapes
from fastdw.network._ops import OPS
from fastdw.network._plan import ARENA, Memory, plan_memory
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
    signature: tuple[tuple[Shape, ...], tuple[Shape, ...]]
    """The shapes of the inputs and of the outputs."""


class Scratch(NamedTuple):
    """Further tensors of the nodes, in the order of the nodes."""

    owners: tuple[int, ...]
    shapes: tuple[Shape, ...]

    def lifetimes(self) -> list[Lifetime]:
        pairs = zip(self.owners, self.shapes, strict=True)
        return [Lifetime(prod(shape), owner, owner) for owner, shape in pairs]


class Lowerer:
    """A checked graph: places for its values at once, the steps and their weights by `program`."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.known = graph, shapes(graph)
        self.raw = raw(graph.inputs)
        self.scratch = self._scratch()
        self.memory: Memory = plan_memory(graph, self._accepts, self.scratch.lifetimes())

    def program(self) -> Program:
        steps, nodes = [], []
        for i, node in enumerate(self.graph.nodes):
            lowering = OPS[node.op].lowering
            made = self._moves(node) if lowering is None else self._node(i, node, lowering)
            for step in made:
                steps.append(step)
                nodes.append(i)
        for name, out in zip(self.graph.outputs, self.memory.outputs, strict=True):
            if self.memory.views[name] != out:
                steps.append(copied(out, self.memory.views[name]))
                nodes.append(len(self.graph.nodes))
        given = tuple(self.known[spec.name] for spec in self.graph.inputs)
        results = tuple(self.known[name] for name in self.graph.outputs)
        dtypes = [spec.dtype for spec in self.graph.inputs]
        core = _core.Network(
            self.memory.arena.size,
            tuple(zip(map(prod, given), dtypes, strict=True)),
            tuple(map(prod, results)),
            tuple(steps),
            chosen_isa(),
        )
        return Program(core, self.memory.arena, tuple(nodes), self.known, (given, results))

    def _scratch(self) -> Scratch:
        """What the lowerings want."""
        owners, wanted = [], []
        for i, node in enumerate(self.graph.nodes):
            lowering = OPS[node.op].lowering
            if lowering is None:
                continue
            inputs = [self.known.get(name) for name in node.inputs]
            more = lowering.scratch(inputs, node.attrs)
            owners += [i] * len(more)
            wanted += more
        return Scratch(tuple(owners), tuple(wanted))

    def _accepts(self, node: Node, position: int, view: View) -> bool:
        term = position == 1 and node.op in ("add", "multiply")
        if term or position == 2:  # what a node multiplies x by, or adds
            return side_by_side(spread(view, self.known[node.inputs[0]]))
        lowering = OPS[node.op].lowering
        assert lowering is not None, "moves take any view"
        return lowering.anywhere or side_by_side(image(view))

    def _node(self, index: int, node: Node, lowering: Lowering) -> Iterator[Step]:
        offsets = self.memory.arena.offsets[-len(self.scratch.owners) :]
        scratch = [
            View(ARENA, offset, dense_strides(shape), shape)
            for offset, owner, shape in zip(
                offsets, self.scratch.owners, self.scratch.shapes, strict=False
            )
            if owner == index
        ]
        inputs = [self.memory.views[name] if name else None for name in node.inputs]
        out = self.memory.views[node.output]
        if node.inputs[0] in self.raw:  # of an affine map, which then finds floats in its place
            yield copied(out, self.memory.views[node.inputs[0]])
            inputs[0] = out
        yield from lowering.steps(Site(node.attrs, inputs, out, scratch))

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


def lower(graph: Graph) -> Program:
    """Places and steps of a checked graph."""
    return Lowerer(graph).program()
