"""Nodes of 8-bit integers that become a part of their neighbours: see `_fuse`."""

from __future__ import annotations

from collections.abc import Callable

from fastdw._quantization import Quantization
from fastdw.network._attributes import place
from fastdw.network._fuse import is_matrix, padded_by, summed_pads
from fastdw.network._graph import Node
from fastdw.network._match import Editor, Found, Rule, p


def _padding(editor: Editor, found: Found) -> Node | None:
    """Pads of the zero point are those of the convolution."""
    node, gather = found.nodes
    x = found.holes["x"]
    pads = padded_by(gather.attrs, editor.shapes[x], node.attrs["input"][1])
    if pads is None:
        return None
    attrs = {"padding": summed_pads(node.attrs["padding"], pads)}
    return node._replace(inputs=(x, *node.inputs[1:]), attrs=node.attrs | attrs)


def _takes_residual(editor: Editor, name: str) -> bool:
    node = editor.nodes.get(name)
    return (
        node is not None
        and node.op in ("quantized_conv2d", "quantized_separable")
        and editor.uses[name] == 1
        and len(node.inputs) == 1
    )


def _is_sum(editor: Editor, add: Node) -> bool:
    """Whether an addition does what a convolution can: add a tensor, and no more."""
    a, b = (editor.shapes[name] for name in add.inputs)
    return a == b and add.attrs["activation"] is None and add.attrs["subtrahend"] is None


def _residual(first: bool) -> Callable[[Editor, Found], Node | None]:
    """The sum of a convolution, its `first` term or its second, and another value."""

    def replace(editor: Editor, found: Found) -> Node | None:
        add, node = found.nodes
        other = found.holes["r"]
        order = list(editor.nodes)
        if not _takes_residual(editor, node.output) or not _is_sum(editor, add):
            return None
        if _takes_residual(editor, other) and order.index(other) > order.index(node.output):
            return None  # the later of two convolutions takes the result of the earlier one
        own, term = ("input", "second") if first else ("second", "input")
        if node.attrs["output"] != add.attrs[own]:
            return None  # the sum takes these integers for other numbers
        attrs = node.attrs | {"residual": add.attrs[term], "sum": add.attrs["output"]}
        return node._replace(inputs=(node.inputs[0], other), attrs=attrs)

    return replace


def _separable(editor: Editor, found: Found) -> Node | None:
    mix, spread = found.nodes
    first, last = spread.attrs, mix.attrs
    # Else the second takes the integers for other numbers than the first gave.
    if not is_matrix(mix) or first["output"] != last["input"]:
        return None
    attrs = {
        f"depthwise_{name}": first[name] for name in ("kernel", "scales", "bias", "activation")
    }
    attrs |= place(first)
    attrs |= {name: last[name] for name in ("scales", "bias", "activation")}
    attrs |= {name: last[name] for name in ("output", "residual", "sum")}
    attrs |= {"pointwise_kernel": last["kernel"], "input": first["input"], "middle": last["input"]}
    return Node("quantized_separable", (*spread.inputs, *mix.inputs[1:]), "", attrs)


def _table(editor: Editor, found: Found) -> Node:
    """What the last table makes of the entries of the first."""
    last, first = (node.attrs for node in found.nodes)
    least = Quantization(*first["output"]).limits[0]
    entries = tuple(last["table"][entry - least] for entry in first["table"])
    ends = {"input": first["input"], "output": last["output"]}
    return Node("table", (found.holes["x"],), "", {"table": entries} | ends)


TABLE8 = [Rule(p("table", p("table", "x")), _table)]
PAD8 = [
    Rule(p(op, p("gather", "x")), _padding) for op in ("quantized_conv2d", "quantized_depthwise")
]
RESIDUAL8 = [
    Rule(p("quantized_add", p("quantized_conv2d", "x"), "r"), _residual(True)),
    Rule(p("quantized_add", "r", p("quantized_conv2d", "x")), _residual(False)),
]
SEPARABLE8 = [Rule(p("quantized_conv2d", p("quantized_depthwise", "x")), _separable)]
