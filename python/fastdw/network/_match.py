"""Patterns of nodes, the one matcher, and the graph while it is being rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

from fastdw.network._graph import Graph, Node, dtypes, shapes, uses

if TYPE_CHECKING:
    from fastdw.network._shapes import Shape

_COMMUTATIVE = ("add", "multiply")


class Pattern(NamedTuple):
    """A node as it must be: a str among the inputs is a hole, the same value wherever it stands.

    Inputs beyond those named may be anything. The value of a node inside must have no other use.
    An `activation` is also found as the last step of an operator that has one as an attribute.
    """

    op: str
    inputs: tuple[Union[Pattern, str], ...]  # noqa: UP007  (evaluated at run time)
    attrs: dict[str, Any]  # values, or functions that accept them

    def accepts(self, attrs: dict[str, Any]) -> bool:
        return all(
            wanted(attrs[name]) if callable(wanted) else attrs[name] == wanted
            for name, wanted in self.attrs.items()
        )


def p(op: str, *inputs: Pattern | str, **attrs: Any) -> Pattern:
    """A pattern, as short as it is read."""
    return Pattern(op, inputs, attrs)


def affine(scale: float, offset: float, x: Pattern | str) -> Pattern:
    """The pattern of x·scale + offset with the same numbers, as float32, for all channels."""
    return p(
        "affine",
        x,
        scale=lambda vector: _all(vector, scale),
        offset=lambda vector: _all(vector, offset),
        activation=None,
    )


def is_affine(attrs: dict[str, Any], scale: float, offset: float) -> bool:
    return _all(attrs["scale"], scale) and _all(attrs["offset"], offset)


def _all(vector: Any, value: float) -> bool:
    return bool(np.all(vector.astype(np.float32) == np.float32(value)))


class Found(NamedTuple):
    """What a pattern met: the values in its holes, its nodes from the root inwards."""

    holes: dict[str, str]
    nodes: tuple[Node, ...]


class Rule(NamedTuple):
    """A pattern, and what takes the place of its root.

    `replace` gives the new node; the name of another value; or None where it is no case after all.
    """

    pattern: Pattern
    replace: Callable[[Editor, Found], Node | str | None]


class Editor:
    """A graph under rewriting, and how many cases were found, at most `limit`."""

    def __init__(self, graph: Graph, limit: int | None = None) -> None:
        self.graph = graph
        self.count = 0
        self._limit = limit
        self.shapes: dict[str, Shape] = shapes(graph)
        self.nodes = {node.output: node for node in graph.nodes}
        self.uses = uses(graph)
        self.dtypes = dtypes(graph)
        self.drop_dead()

    def result(self) -> Graph:
        return self.graph._replace(nodes=tuple(self.nodes.values()))

    def readers(self, name: str) -> list[Node]:
        return [node for node in self.nodes.values() if name in node.inputs]

    @property
    def spent(self) -> bool:
        return self.count == self._limit

    def apply(self, rules: Sequence[Rule]) -> None:
        """Sweep once over the nodes."""
        for name in list(self.nodes):
            for rule in rules:
                while not self.spent and self._apply(rule, name):
                    self.count += 1

    def drop_dead(self) -> None:
        """Remove the nodes whose values nobody reads."""
        dead = [name for name in self.nodes if not self.uses[name]]
        while dead:
            node = self.nodes.pop(dead.pop())
            for name in node.operands:
                self.uses[name] -= 1
                if not self.uses[name] and name in self.nodes:
                    dead.append(name)

    def substitute(self, old: str, new: str) -> bool:
        """Let a value of the same shape take the place of another, also as an output."""
        outputs = self.graph.outputs
        if old in outputs and (new in outputs or new not in self.nodes):
            return False
        gone, kept = (new, old) if old in outputs else (old, new)
        names = {gone: kept}
        nodes = [self.nodes[name] for name in self.nodes if name != old]
        self.uses[kept] += self.uses.pop(gone)
        for name in self.nodes[old].operands:
            self.uses[name if name != gone else kept] -= 1
        renamed = [
            node._replace(
                inputs=tuple(names.get(name, name) for name in node.inputs),
                output=names.get(node.output, node.output),
            )
            for node in nodes
        ]
        self.nodes = {node.output: node for node in renamed}
        self.drop_dead()
        return True

    def _apply(self, rule: Rule, name: str) -> bool:
        root = self.nodes.get(name)
        if root is None:
            return False
        for found in self._match_node(rule.pattern, root, Found({}, ())):
            new = rule.replace(self, found)
            if isinstance(new, str):
                if self.substitute(name, new):
                    return True
            elif new is not None:
                parts = [text for node in reversed(found.nodes) for text in node.source]
                more = [text for text in new.source if text not in parts]
                source = tuple(dict.fromkeys(more + parts))
                self._put(new._replace(output=name, source=source))
                self.drop_dead()
                return True
        return False

    def _put(self, node: Node) -> None:
        """Let a node take the place of the one with its output."""
        for name in node.operands:
            self.uses[name] += 1
        for name in self.nodes[node.output].operands:
            self.uses[name] -= 1
        self.nodes[node.output] = node

    def _match(self, pattern: Pattern | str, name: str, found: Found) -> Iterator[Found]:
        if isinstance(pattern, str):
            if found.holes.get(pattern, name) == name:
                yield found._replace(holes=found.holes | {pattern: name})
        elif name in self.nodes and self.uses[name] == 1:
            yield from self._match_node(pattern, self.nodes[name], found)

    def _match_node(self, pattern: Pattern, node: Node, found: Found) -> Iterator[Found]:
        if node.op == pattern.op:
            if pattern.accepts(node.attrs):
                yield from self._match_inputs(pattern, node, found)
        elif pattern.op == "activation" and node.attrs.get("activation") is not None:
            inner = pattern.inputs[0]
            if pattern.accepts(node.attrs) and isinstance(inner, Pattern):
                yield from self._match_node(inner, bare(node), found)

    def _match_inputs(self, pattern: Pattern, node: Node, found: Found) -> Iterator[Found]:
        orders = [node.inputs]
        if node.op in _COMMUTATIVE:
            orders.append(node.inputs[::-1])
        for names in orders:
            if len(names) < len(pattern.inputs):
                continue
            matches = [found._replace(nodes=(*found.nodes, node))]
            for part, name in zip(pattern.inputs, names, strict=False):
                matches = [new for old in matches for new in self._match(part, name, old)]
            yield from matches


def bare(node: Node) -> Node:
    """A node without its last step."""
    return node._replace(attrs=node.attrs | {"activation": None})
