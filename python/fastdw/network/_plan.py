"""Where every value of a graph lies when it runs: a view of a buffer, most of them of one arena.

Buffer 0 is the arena, then come the arrays of the call: the inputs in their order, the outputs in
theirs; the last two are the arena again, as bytes and as halves. Values are one image, so a call of
N images moves the offsets in the arrays and runs the plan again.

- An output of the graph is computed in its array.
- A part of a concat is computed in its place there.
- reshape, transpose and slice are views of what they read, or, where they are already placed in an
  output or a concat, what they read is computed there.
- A step that works element by element takes the place of an input that nobody reads after it.
What none of this helps is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fastdw.network._arena import Arena, Lifetime, arena
from fastdw.network._graph import Graph, Node, dtypes, shapes
from fastdw.network._ops import PAIRS
from fastdw.network._view import View, dense_strides

if TYPE_CHECKING:
    from fastdw.network._shapes import Shape

ARENA = 0
FLOAT = 4  # bytes
ELEMENT = {"float32": FLOAT, "float16": 2}  # all other elements are bytes
ALIGNMENT = 16  # floats: a line of the cache

_MOVES = ("reshape", "transpose", "slice", "concat")
_ELEMENTWISE = ("affine", "activation", "unary", "normalize", "table", *PAIRS)

Accepts = Callable[[Node, int, View], bool]
"""Whether a node can read its input of a position, or write (position -1), through a view."""


class Memory(NamedTuple):
    """The views of all values, and what is left to do for the moves among the nodes."""

    views: dict[str, View]
    outputs: tuple[View, ...]
    """The call's output arrays; an output whose view is another, an input, must be copied there."""
    copies: dict[str, tuple[int, ...]]
    """For a reshape, transpose, slice or concat: the inputs to be copied into its view; the moves
    that are not here need no step. Part i of a concat goes to its own ``along(axis, begin, size)``.
    """
    arena: Arena
    """Offsets of its tensors and of the workspaces, which come last, in floats."""


def plan_memory(
    graph: Graph,
    accepts: Accepts = lambda node, position, view: True,
    workspaces: Sequence[Lifetime] = (),
    halves: Iterable[str] = (),
) -> Memory:
    """Place the values of a checked graph; steps are numbered by its nodes.

    `workspaces` are further tensors of the arena: their sizes in floats, and from which node to
    which they are needed. Of floats, `halves` lie in the arena as such.
    """
    planner = _Planner(graph, accepts, halves)
    planner.place_before_readers()
    planner.place_after_producers()
    return planner.memory(workspaces)


class _Planner:
    """Tensors get buffers of their own, numbered after the call's arrays; at the end an arena."""

    def __init__(self, graph: Graph, accepts: Accepts, halves: Iterable[str]) -> None:
        self.graph, self.accepts = graph, accepts
        self.shapes = shapes(graph)
        self.dtypes = dtypes(graph) | dict.fromkeys(halves, "float16")
        self.index = {node.output: i for i, node in enumerate(graph.nodes)}
        self.readers: dict[str, list[tuple[int, int]]] = {name: [] for name in self.shapes}
        for i, node in enumerate(graph.nodes):
            for position, name in enumerate(node.inputs):
                if name:
                    self.readers[name].append((i, position))
        self.buffers = ARENA
        self.views: dict[str, View] = {}
        self.members: dict[int, list[str]] = {}
        self.ends: dict[int, int] = {}  # of each buffer the last node that touches a member
        self.copies: dict[str, tuple[int, ...]] = {}
        for spec in graph.inputs:
            self.define(spec.name, self.buffer(spec.name))
        self.outputs = tuple(self.buffer(name) for name in graph.outputs)
        self.arrays = self.buffers
        for name, view in zip(graph.outputs, self.outputs, strict=True):
            if name not in self.views:
                self.define(name, view)

    def buffer(self, name: str) -> View:
        """A dense buffer for a value."""
        self.buffers += 1
        shape = self.shapes[name]
        return View(self.buffers, 0, dense_strides(shape), shape)

    def define(self, name: str, view: View) -> None:
        self.views[name] = view
        self.members.setdefault(view.buffer, []).append(name)
        self.ends[view.buffer] = max(self.ends.get(view.buffer, -1), self.last(name))

    def place(self, name: str, view: View | None) -> bool:
        """Let a value be computed where a reader needs it, if it is computed and has no place."""
        if view is None or name not in self.index or name in self.views:
            return False
        node = self.graph.nodes[self.index[name]]
        if not (self.takes(node, -1, view) and self.readable(name, view)):
            return False
        self.define(name, view)
        return True

    def takes(self, node: Node, position: int, view: View) -> bool:
        return node.op in _MOVES or self.accepts(node, position, view)

    def readable(self, name: str, view: View) -> bool:
        nodes = self.graph.nodes
        return all(self.takes(nodes[i], position, view) for i, position in self.readers[name])

    def place_before_readers(self) -> None:
        for node in reversed(self.graph.nodes):
            name, view = node.output, self.views.get(node.output)
            if node.op == "concat":
                if view is None:
                    view = self.buffer(name)
                    self.define(name, view)
                parts = zip(node.inputs, self.parts(node, view), strict=True)
                placed = [self.place(part, place) for part, place in parts]
                self.copy(name, [i for i, done in enumerate(placed) if not done])
            elif view is not None and node.op in _MOVES:
                done = self.place(node.inputs[0], _source(node, view, self.shapes))
                self.copy(name, [] if done else [0])

    def parts(self, node: Node, view: View) -> list[View]:
        axis, begin, views = node.attrs["axis"], 0, []
        for name in node.inputs:
            size = self.shapes[name][axis]
            views.append(view.along(axis, begin, size))
            begin += size
        return views

    def copy(self, name: str, positions: Sequence[int]) -> None:
        if positions:
            self.copies[name] = tuple(positions)

    def place_after_producers(self) -> None:
        for i, node in enumerate(self.graph.nodes):
            name = node.output
            if name in self.views:
                continue
            if node.op in _MOVES:
                view = _moved(node, self.views[node.inputs[0]])
                if view is None or not self.readable(name, view):
                    view = self.buffer(name)
                    self.copy(name, [0])
            else:
                view = self.dying(i) or self.buffer(name)
            self.define(name, view)

    def dying(self, index: int) -> View | None:
        """The place of an input of an elementwise node that nothing after it reads."""
        node = self.graph.nodes[index]
        if node.op not in _ELEMENTWISE:
            return None
        for name in node.operands:
            view = self.views[name]
            alike = self.dtypes[name] == self.dtypes[node.output]
            same = alike and view.shape == self.shapes[node.output] and view.buffer > self.arrays
            last = self.ends[view.buffer] <= index
            others = [self.views[other] for other in node.operands]
            apart = all(o == view or o.buffer != view.buffer for o in others)
            if same and last and apart and self.takes(node, -1, view):
                return view
        return None

    def last(self, name: str) -> int:
        """The last node that computes or reads a value."""
        return max([self.index.get(name, -1), *(i for i, _ in self.readers[name])])

    def memory(self, workspaces: Sequence[Lifetime]) -> Memory:
        buffers = [buffer for buffer in self.members if buffer > self.arrays]
        lifetimes = []
        for buffer in buffers:
            names = self.members[buffer]
            size = floats(self.shapes[names[0]], self.dtypes[names[0]])  # what it was made for
            first = min(self.index[name] for name in names)
            lifetimes.append(Lifetime(size, first, self.ends[buffer]))
        result = arena([*lifetimes, *workspaces], ALIGNMENT)
        offsets = dict(zip(buffers, result.offsets, strict=False))
        views = {
            name: self.in_arena(name, view, offsets[view.buffer])
            if view.buffer in offsets
            else view
            for name, view in self.views.items()
        }
        return Memory(views, self.outputs, self.copies, result)

    def in_arena(self, name: str, view: View, offset: int) -> View:
        return view.moved(*in_arena(self.dtypes[name], self.arrays, offset))


def in_arena(dtype: str, arrays: int, offset: int) -> tuple[int, int]:
    """The arena's buffer of a dtype, behind so many arrays of a call, and an offset of floats
    there."""
    views = {"float32": ARENA, "float16": arrays + 2}
    return views.get(dtype, arrays + 1), offset * FLOAT // ELEMENT.get(dtype, 1)


def floats(shape: Shape, dtype: str) -> int:
    """So many floats hold a value."""
    return -(-prod(shape) * ELEMENT.get(dtype, 1) // FLOAT)


def _moved(node: Node, x: View) -> View | None:
    """What a move makes of a view; None where it needs a copy."""
    if node.op == "slice":
        return x.part(node.attrs["begin"], node.attrs["size"], node.attrs["step"])
    if node.op == "transpose":
        return x.transposed(node.attrs["axes"])
    return x.reshaped(node.attrs["shape"])


def _source(node: Node, view: View, shapes: dict[str, Shape]) -> View | None:
    """The view of which a move would make this one; None where there is none."""
    if node.op == "reshape":
        return view.reshaped(shapes[node.inputs[0]])
    if node.op == "transpose":
        axes = node.attrs["axes"]
        return view.transposed(sorted(range(len(axes)), key=axes.__getitem__))
    return None
