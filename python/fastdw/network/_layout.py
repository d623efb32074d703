"""The order of axes in which a graph takes and gives its images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdw import _arguments as check
from fastdw.network._graph import Graph, Node, checked, shapes
from fastdw.network._ops import PAIRS

if TYPE_CHECKING:
    from fastdw.network._shapes import Shape

TO_CHANNELS_LAST = (1, 2, 0)
TO_CHANNELS_FIRST = (2, 0, 1)

_ALONG_AXES = ("concat", "slice", "gather")


def channels_first(graph: Graph) -> set[str]:
    """The images (C, H, W), as far as the nodes show it.

    A node that moves channels says where they are, before and after; most others take the last
    axis for them; and what keeps the order of axes hands on what is known.
    """
    known = shapes(graph)
    first, last = set(), set()
    alike: dict[str, set[str]] = {}
    for node in graph.nodes:
        images = [name for name in node.operands if len(known[name]) == 3]
        ends = {*images, node.output}
        axes = _moved(node, known)
        if axes in (TO_CHANNELS_LAST, TO_CHANNELS_FIRST):
            first.add(images[0] if axes == TO_CHANNELS_LAST else node.output)
            last.add(node.output if axes == TO_CHANNELS_LAST else images[0])
        elif _keeps_axes(node, known):
            for name in ends:
                alike.setdefault(name, set()).update(ends)
        elif node.op not in ("reshape", "transpose"):
            last |= ends
    return _spread(first, alike) - _spread(last, alike)


def _moved(node: Node, known: dict[str, Shape]) -> object:
    """The order in which a node puts axes: where there is one channel or pixel, by a reshape."""
    if node.op == "reshape":
        given, result = known[node.inputs[0]], known[node.output]
        for axes in (TO_CHANNELS_LAST, TO_CHANNELS_FIRST):
            large = [axis for axis in axes if len(given) == 3 and given[axis] > 1]
            if len(given) == 3 and result == tuple(given[axis] for axis in axes):
                return axes if large == sorted(large) else None
    return node.attrs.get("axes") if node.op == "transpose" else None


def _keeps_axes(node: Node, known: dict[str, Shape]) -> bool:
    """Whether it does the same whatever its axes are."""
    attrs = node.attrs
    if node.op in PAIRS:
        same = len({known[name] for name in node.operands}) == 1 < len(node.operands)
        return same and not _by_channel(node)
    if node.op == "affine":
        numbers = (attrs["scale"], attrs["offset"])
        return all((n == n[0]).all() for n in numbers) and not _by_channel(node)
    return node.op in _ALONG_AXES or node.op == "table" or by_number(node)


def by_number(node: Node) -> bool:
    """Whether it makes of each number another, wherever it stands."""
    return node.op in ("quantize", "dequantize", "activation", "unary") and not _by_channel(node)


def _by_channel(node: Node) -> bool:
    activation = node.attrs.get("activation")
    return isinstance(activation, tuple) and activation[0] == "prelu"


def _spread(names: set[str], alike: dict[str, set[str]]) -> set[str]:
    """With these all that are alike."""
    found, new = set(names), list(names)
    while new:
        more = alike.get(new.pop(), set()) - found
        found |= more
        new += more
    return found


def arranged(graph: Graph, data_format: object) -> Graph:
    """The graph that takes and gives images in `data_format`; None leaves them as they are."""
    if data_format is None:
        return graph
    first = check.data_format(data_format) == "NCHW"
    from fastdw.network._rewrite import rewrite  # a file that was saved is loaded without

    # Importers bring integers into their own order, and back where the model has another.
    planes = channels_first(rewrite(graph, enabled=("tidy",))[0])
    known, names = shapes(graph), fresh(graph, "arranged")
    moves, renamed, specs, ends = [], {}, [], []
    for spec in graph.inputs:
        shape = known[spec.name]
        if len(shape) == 3 and (spec.name in planes) != first:
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
        if len(known[name]) == 3 and name in made and (name in planes) != first:
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
