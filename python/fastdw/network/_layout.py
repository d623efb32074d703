"""The order of axes in which a graph takes and gives its images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from fastdw import _arguments as check
from fastdw.network._graph import Graph, Node, checked, shapes

TO_CHANNELS_LAST = (1, 2, 0)
TO_CHANNELS_FIRST = (2, 0, 1)


def channels_first(graph: Graph, name: str) -> bool:
    """Whether all that is done with this input begins by moving its channels to the end.

    Quantizing and clamps may go before that: they take number by number.
    """
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for text in node.operands:
            readers.setdefault(text, []).append(node)
    names, moves = [name], []
    while names:
        for node in readers.get(names.pop(), ()):
            if by_number(node):
                names.append(node.output)
            else:
                moves.append(node.attrs.get("axes"))
    return bool(moves) and set(moves) == {TO_CHANNELS_LAST}


def by_number(node: Node) -> bool:
    """Whether it makes of each number another, wherever it stands."""
    activation = node.attrs.get("activation")
    by_channel = isinstance(activation, tuple) and activation[0] == "prelu"
    return node.op in ("quantize", "dequantize", "activation") and not by_channel


def arranged(graph: Graph, data_format: object) -> Graph:
    """The graph that takes and gives images in `data_format`; None leaves them as they are."""
    if data_format is None:
        return graph
    first = check.data_format(data_format) == "NCHW"
    known, names = shapes(graph), fresh(graph, "arranged")
    moves, renamed, specs, ends = [], {}, [], []
    for spec in graph.inputs:
        shape = known[spec.name]
        if len(shape) == 3 and channels_first(graph, spec.name) != first:
            if spec.name in graph.outputs:
                msg = f"data_format must be None where {spec.name} is an output too"
                raise ValueError(msg)
            there, back = _moves(first)
            renamed[spec.name] = next(names)
            moves.append(Node("transpose", (spec.name,), renamed[spec.name], {"axes": back}))
            spec = spec._replace(shape=tuple(shape[axis] for axis in there))
        specs.append(spec)
    made = {node.output: node for node in graph.nodes}
    for name in graph.outputs:
        moved = name in made and made[name].attrs.get("axes") == TO_CHANNELS_FIRST
        if len(known[name]) == 3 and name in made and moved != first:
            renamed[name] = next(names)
            axes = {"axes": _moves(first)[0]}
            ends.append(Node("transpose", (renamed[name],), name, axes, made[name].source))
    nodes = [
        node._replace(
            inputs=tuple(renamed.get(name, name) for name in node.inputs),
            output=renamed.get(node.output, node.output),
        )
        for node in graph.nodes
    ]
    return checked(graph._replace(inputs=tuple(specs), nodes=(*moves, *nodes, *ends)))


def fresh(graph: Graph, word: str) -> Iterator[str]:
    """Names that no value has."""
    taken = {spec.name for spec in graph.inputs} | {node.output for node in graph.nodes}
    numbers = itertools.count(1)
    return (text for text in (f"{word}_{i}" for i in numbers) if text not in taken)


def _moves(first: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The axes that bring an image into the wanted order, and those that bring it back."""
    pair = TO_CHANNELS_FIRST, TO_CHANNELS_LAST
    return pair if first else pair[::-1]
