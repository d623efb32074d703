"""Nodes that do nothing, pairs of moves that are one, and equal nodes."""

from __future__ import annotations

import math
from collections.abc import Callable

from fastdw.network._attributes import NO_PADS
from fastdw.network._graph import Node, content
from fastdw.network._layout import by_number
from fastdw.network._match import Editor, Found, Rule, is_affine, p
from fastdw.network._ops import FLOAT_PAIRS

_ONES = (1, 1)


def merge(editor: Editor) -> None:
    """Let equal nodes be one."""
    first: dict[object, str] = {}
    for name in list(editor.nodes):
        if name in editor.nodes and not editor.spent:
            key = content(editor.nodes[name])
            same = first.setdefault(key, name)
            if same != name and editor.substitute(name, same):
                editor.count += 1
                first[key] = same if same in editor.nodes else name


def _identity(editor: Editor, found: Found) -> str | None:
    (node,) = found.nodes
    x, attrs = node.inputs[0], node.attrs
    shape = editor.shapes[x]
    tables = ("rows", "columns", "channels")
    does_nothing: dict[str, Callable[[], bool]] = {
        "reshape": lambda: attrs["shape"] == shape,
        "transpose": lambda: attrs["axes"] == tuple(range(len(shape))),
        "slice": lambda: attrs["size"] == shape,
        "concat": lambda: len(node.inputs) == 1,
        "activation": lambda: attrs["activation"] is None,
        "affine": lambda: is_affine(attrs, 1, 0) and attrs["activation"] is None,
        "pool": lambda: (
            attrs["window"] == attrs["strides"] == _ONES and attrs["padding"] == NO_PADS
        ),
        "gather": lambda: all(
            _every_one(attrs[table], size) for table, size in zip(tables, shape, strict=True)
        ),
    }
    reads_bytes = node.op == "affine" and editor.dtypes[x] != "float32"
    return x if does_nothing[node.op]() and not reads_bytes else None


def _every_one(table: tuple[int, ...] | None, size: int) -> bool:
    """Whether a table takes all places in their order; the size may be any a file claims."""
    return table is None or (len(table) == size and table == tuple(range(size)))


def _one_reshape(editor: Editor, found: Found) -> Node:
    return found.nodes[0]._replace(inputs=(found.holes["x"],))


def _one_transpose(editor: Editor, found: Found) -> Node:
    outer, inner = found.nodes
    axes = tuple(inner.attrs["axes"][axis] for axis in outer.attrs["axes"])
    return inner._replace(attrs={"axes": axes})


def _there_and_back(editor: Editor, found: Found) -> Node | None:
    """What takes number by number needs no axes brought into another order and back."""
    outer, node, inner = found.nodes
    axes = tuple(inner.attrs["axes"][axis] for axis in outer.attrs["axes"])
    if axes != tuple(range(len(axes))) or not by_number(node):
        return None
    return node._replace(inputs=inner.inputs)


def _plain_term(editor: Editor, found: Found) -> Node | None:
    """A term of one entry a channel needs no reshape to be one."""
    root, reshape = found.nodes
    channels, shape = editor.shapes[root.output][-1], editor.shapes[found.holes["x"]]
    fits = shape[-1] == channels == math.prod(shape)
    if root.inputs[1] != reshape.output or not fits:
        return None
    return root._replace(inputs=(root.inputs[0], found.holes["x"]))


_MOVES = ("reshape", "transpose", "slice", "concat", "activation", "affine", "pool", "gather")

RULES = [
    *(Rule(p(op, "x"), _identity) for op in _MOVES),
    Rule(p("reshape", p("reshape", "x")), _one_reshape),
    Rule(p("transpose", p("transpose", "x")), _one_transpose),
    *(
        Rule(p("transpose", p(op, p("transpose", "x"))), _there_and_back)
        for op in ("quantize", "dequantize", "activation", "unary")
    ),
    *(Rule(p(op, "y", p("reshape", "x")), _plain_term) for op in FLOAT_PAIRS),
]
