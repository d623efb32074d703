"""Nodes that become a part of their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.network import _attributes as kind
from fastdw.network._attributes import NO_PADS, place
from fastdw.network._graph import Node
from fastdw.network._match import Editor, Found, Rule, p
from fastdw.network._ops import OPS
from fastdw.network._recognise import composed, limits
from fastdw.network._tables import padded

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_ONES = (1, 1)
_LINEAR = ("conv2d", "depthwise", "conv2d_transpose")
_WITH_EPILOGUE = [op for op in OPS if "activation" in OPS[op].attributes and op != "activation"]


def _input(node: Node, position: int) -> str:
    """The name of an optional input, or ""."""
    return node.inputs[position] if position < len(node.inputs) else ""


# --- affine ---


def _per_output(node: Node, vector: AnyArray) -> AnyArray:
    """A vector of the outputs as it multiplies a kernel."""
    return vector.reshape(node.attrs["kernel"].shape[2:]) if node.op == "depthwise" else vector


def _after(editor: Editor, found: Found) -> Node | None:
    """(kernel·x + bias)·scale + offset."""
    affine, node = found.nodes
    if _input(node, 1):
        return None
    scale = affine.attrs["scale"].astype(np.float64)
    bias = 0.0 if node.attrs["bias"] is None else node.attrs["bias"]
    attrs = {
        "kernel": node.attrs["kernel"] * _per_output(node, scale),
        "bias": bias * scale + affine.attrs["offset"],
        "activation": affine.attrs["activation"],
    }
    return node._replace(attrs=node.attrs | attrs)


def _before(editor: Editor, found: Found) -> Node | None:
    """kernel·(x·scale + offset) + bias: only where no padding puts zeros in between."""
    node, affine = found.nodes
    x = found.holes["x"]
    if editor.dtypes[x] != "float32" or _input(node, 2):
        return None
    kernel = node.attrs["kernel"].astype(np.float64)
    scale, offset = (_per_input(node, affine.attrs[name]) for name in ("scale", "offset"))
    shift = (kernel * offset).sum(axis=(0, 1) if node.op == "depthwise" else (0, 1, 2))
    bias = 0.0 if node.attrs["bias"] is None else node.attrs["bias"]
    attrs = {"kernel": kernel * scale, "bias": bias + shift.reshape(-1)}
    return node._replace(inputs=(x, *node.inputs[1:]), attrs=node.attrs | attrs)


def _per_input(node: Node, vector: AnyArray) -> AnyArray:
    """A vector of the inputs as it multiplies a kernel."""
    if node.op == "depthwise":
        return vector.astype(np.float64)[:, np.newaxis]
    groups, filters = node.attrs["groups"], node.attrs["kernel"].shape[3]
    parts = vector.astype(np.float64).reshape(groups, -1)
    return np.repeat(parts.T, filters // groups, axis=1)


def _one_affine(editor: Editor, found: Found) -> Node:
    outer, inner = found.nodes
    scale = outer.attrs["scale"].astype(np.float64)
    attrs = {
        "scale": inner.attrs["scale"] * scale,
        "offset": inner.attrs["offset"] * scale + outer.attrs["offset"],
    }
    return outer._replace(inputs=inner.inputs, attrs=outer.attrs | attrs)


def _of_norm(editor: Editor, found: Found) -> Node:
    """A norm scales and shifts its results itself."""
    both = _one_affine(editor, found).attrs
    norm = found.nodes[1]
    return norm._replace(attrs=norm.attrs | {name: both[name] for name in ("scale", "offset")})


def _is_affine(editor: Editor, found: Found) -> Node | None:
    """A depthwise kernel of one tap is a factor a channel."""
    (node,) = found.nodes
    kernel, bias = node.attrs["kernel"], node.attrs["bias"]
    if (*kernel.shape[:2], kernel.shape[3]) != (1, 1, 1):
        return None
    scale = kernel.reshape(-1)
    attrs = {"scale": scale, "offset": np.zeros_like(scale) if bias is None else bias}
    return Node("affine", node.inputs, "", attrs | {"activation": None})


def _channels(editor: Editor, found: Found) -> Node | None:
    """Channels in another order are a kernel in another order."""
    node, gather = found.nodes
    order = gather.attrs["channels"]
    depth = node.attrs["kernel"].shape[2]
    if order is None or sorted(order) != list(range(depth)) or _input(node, 2):
        return None
    attrs = {"kernel": node.attrs["kernel"][:, :, np.argsort(order)]}
    return node._replace(inputs=(*gather.inputs, *node.inputs[1:]), attrs=node.attrs | attrs)


AFFINE = [
    Rule(p("conv2d", p("gather", "x", rows=None, columns=None), groups=1), _channels),
    Rule(p("depthwise", "x", strides=_ONES, padding=NO_PADS, activation=None), _is_affine),
    Rule(p("affine", p("affine", "x", activation=None)), _one_affine),
    Rule(p("affine", p("normalize", "x"), activation=None), _of_norm),
    *(Rule(p("affine", p(op, "x", activation=None)), _after) for op in _LINEAR),
    *(
        Rule(p(op, p("affine", "x", activation=None), padding=NO_PADS), _before)
        for op in ("conv2d", "depthwise")
    ),
]


# --- epilogue ---


def _last_step(editor: Editor, found: Found) -> Node | None:
    if len(found.nodes) == 1:  # the activation is an epilogue already
        return None
    outer = found.nodes[0].attrs["activation"]
    node = found.nodes[1]
    both = composed(outer, node.attrs["activation"])
    if node.attrs["activation"] is None:
        both = outer
    return None if both is None else node._replace(attrs=node.attrs | {"activation": both})


def _first_step(editor: Editor, found: Found) -> Node | None:
    """An activation that only separable convolutions read; each may have a cheap one of its own."""
    (node,) = found.nodes
    x = found.holes["x"]
    before = editor.nodes.get(x)
    if before is None or before.op != "activation" or x in editor.graph.outputs:
        return None
    activation, readers = before.attrs["activation"], editor.readers(x)
    alone = all(r.op == "separable" and r.operands.count(x) == 1 for r in readers) and all(
        r.inputs[0] == x for r in readers
    )
    cheap = len(readers) == 1 or limits(activation) is not None
    zeros_stay = node.attrs["padding"] == NO_PADS or kind.keeps_zero(activation)
    if not (alone and cheap and zeros_stay):
        return None
    attrs = node.attrs | {"pre_activation": activation}
    names, source = (*before.inputs, *node.inputs[1:]), before.source + node.source
    return node._replace(inputs=names, attrs=attrs, source=source)


EPILOGUE = [
    *(Rule(p("activation", p(op)), _last_step) for op in _WITH_EPILOGUE),
    Rule(p("separable", "x", pre_activation=None), _first_step),
]


# --- pad ---


def padded_by(attrs: dict[str, Any], shape: tuple[int, ...], constant: float) -> Any:
    """((top, bottom), (left, right)) of a gather that does nothing but pad with a constant."""
    if attrs["constant"] != constant or attrs["channels"] is not None:
        return None
    pads = []
    for name, size in zip(("rows", "columns"), shape[:2], strict=True):
        table = attrs[name]
        if table is None:
            pads.append((0, 0))
            continue
        before = table.index(0) if 0 in table else 0
        after = len(table) - size - before
        if after < 0 or table != padded(size, before, after):
            return None
        pads.append((before, after))
    return tuple(pads)


def summed_pads(a: Any, b: Any) -> Any:
    return tuple((p[0] + q[0], p[1] + q[1]) for p, q in zip(a, b, strict=True))


def _padding(editor: Editor, found: Found) -> Node | None:
    node, gather = found.nodes
    x = found.holes["x"]
    pads = padded_by(gather.attrs, editor.shapes[x], 0)
    keeps_zero = kind.keeps_zero(node.attrs.get("pre_activation"))
    if pads is None or not keeps_zero or (node.op == "conv2d" and _input(node, 2)):
        return None
    attrs = {"padding": summed_pads(node.attrs["padding"], pads)}
    if node.op == "pool":
        attrs["counted"] = summed_pads(node.attrs["counted"], pads)
    return node._replace(inputs=(x, *node.inputs[1:]), attrs=node.attrs | attrs)


PAD = [
    Rule(p(op, p("gather", "x")), _padding) for op in ("conv2d", "depthwise", "pool", "separable")
]


# --- residual ---


def _takes_residual(editor: Editor, name: str) -> bool:
    node = editor.nodes.get(name)
    return (
        node is not None
        and node.op == "conv2d"
        and editor.uses[name] == 1
        and node.attrs["activation"] is None
        and not _input(node, 1)
    )


def _residual(editor: Editor, found: Found) -> Node | None:
    add, node = found.nodes
    other = found.holes["r"]
    order = list(editor.nodes)
    if not _takes_residual(editor, node.output) or (
        editor.shapes[other] != editor.shapes[node.output]
    ):
        return None
    if _takes_residual(editor, other) and order.index(other) > order.index(node.output):
        return None  # the later of two convolutions takes the result of the earlier one
    attrs = node.attrs | {"activation": add.attrs["activation"]}
    return node._replace(inputs=(node.inputs[0], other, *node.inputs[2:]), attrs=attrs)


RESIDUAL = [Rule(p("add", p("conv2d", "x"), "r"), _residual)]


# --- gate ---


def is_matrix(node: Node) -> bool:
    """Whether a convolution mixes the channels of each pixel and does nothing else."""
    attrs = node.attrs
    return bool(
        attrs["kernel"].shape[:2] == _ONES
        and attrs["strides"] == _ONES
        and attrs["padding"] == NO_PADS
        and attrs.get("groups", 1) == 1  # integers have none
    )


def _gate(editor: Editor, found: Found) -> Node | None:
    node, _ = found.nodes
    # The first order of the product's inputs decides: the smaller one is the second.
    x, gate = (editor.shapes[found.holes[name]] for name in ("x", "gate"))
    if not is_matrix(node) or _input(node, 2) or gate == x:
        return None
    inputs = (found.holes["x"], _input(node, 1), found.holes["gate"])
    return node._replace(inputs=inputs)


GATE = [Rule(p("conv2d", p("multiply", "x", "gate", activation=None)), _gate)]


# --- separable, and the blocks that expand first ---


def _renamed(attrs: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Kernel, bias and activation as attributes of a part."""
    return {f"{prefix}{name}": attrs[name] for name in ("kernel", "bias", "activation")}


def _separable(editor: Editor, found: Found) -> Node | None:
    mix, spread = found.nodes
    if not is_matrix(mix) or _input(mix, 2):
        return None
    attrs = _renamed(spread.attrs, "depthwise_") | place(spread.attrs)
    attrs |= {"pre_activation": None, "pointwise_kernel": mix.attrs["kernel"]}
    attrs |= {name: mix.attrs[name] for name in ("bias", "activation")}
    return Node("separable", (*spread.inputs, *mix.inputs[1:]), "", attrs)


def _expands(node: Node) -> bool:
    """Whether it only makes more channels of every pixel."""
    depth, filters = node.attrs["kernel"].shape[2:]
    return is_matrix(node) and len(node.inputs) == 1 and filters > depth


def _inverted(editor: Editor, found: Found) -> Node | None:
    """Where the middle is the widest. In MobileNetV1, whose chain of blocks has the same nodes,
    it is not, and expanding would take the last half of the block before."""
    node, expand = found.nodes
    middle = expand.attrs["kernel"].shape[3]
    if not _expands(expand) or middle <= node.attrs["pointwise_kernel"].shape[3]:
        return None
    attrs = _renamed(expand.attrs, "expand_") | node.attrs
    del attrs["pre_activation"]
    return Node("inverted", (*expand.inputs, *node.inputs[1:]), "", attrs)


def _expand_depthwise(editor: Editor, found: Found) -> Node | None:
    node, expand = found.nodes
    if not _expands(expand):
        return None
    attrs = _renamed(expand.attrs, "expand_") | _renamed(node.attrs, "depthwise_")
    return Node("expand_depthwise", expand.inputs, "", attrs | place(node.attrs))


SEPARABLE = [Rule(p("conv2d", p("depthwise", "x")), _separable)]
INVERTED = [Rule(p("separable", p("conv2d", "x"), pre_activation=None), _inverted)]
EXPAND_DEPTHWISE = [Rule(p("depthwise", p("conv2d", "x")), _expand_depthwise)]
