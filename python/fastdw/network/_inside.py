"""Values of int8 that lie in memory as 8-bit kernels take them: see `_lower`.

Dot products of x86 have one operand without a sign, so kernels there compute with q + 128. What
only operators of integers make and read then lies so, as uint8: a matrix reads it in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdw import _core
from fastdw.network._ops import OPS
from fastdw.network._types import Integers

if TYPE_CHECKING:
    from fastdw.network._graph import Graph, Node


def unsigned(graph: Graph) -> Graph:
    """The graph with uint8 for int8 in values that are neither its inputs nor its outputs, where
    kernels want it so."""
    if _core.config8()["offset"] == 0:
        return graph
    made = set()
    kept = {*(spec.name for spec in graph.inputs), *graph.outputs}
    for node in graph.nodes:
        rule = OPS[node.op].dtype
        # Pools and resizes have one quantization for both ends.
        if isinstance(rule, Integers) and rule.inputs != rule.outputs:
            made.add(node.output)
        else:
            kept.update((*node.operands, node.output))
    return graph._replace(nodes=tuple(_node(node, made - kept) for node in graph.nodes))


def _node(node: Node, inside: set[str]) -> Node:
    rule = OPS[node.op].dtype
    if not isinstance(rule, Integers):
        return node
    names = [name for name, x in zip(rule.inputs, node.inputs, strict=False) if x in inside]
    result = rule.result(node.attrs)
    attrs: dict[str, Any] = {}
    for name in [*names, *([result] if node.output in inside else [])]:
        scale, zero, dtype = node.attrs.get(name) or (0, 0, "")
        if dtype == "int8":
            attrs[name] = (scale, zero + 128, "uint8")
    if node.op == "table" and result in attrs:
        attrs["table"] = tuple(entry + 128 for entry in node.attrs["table"])
    return node._replace(attrs=node.attrs | attrs)
