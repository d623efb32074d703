"""What stands between DequantizeLinear and QuantizeLinear, as operators on integers.

An ONNX model says in real numbers what it means in integers: DequantizeLinear, an operator,
perhaps its activation, QuantizeLinear. The graph is read as it stands; here each such group becomes
one node, and what is left of the model runs in float32 in between.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw import reference
from fastdw._quantization import Quantization, quantize
from fastdw.importers._common import tabulated
from fastdw.network._attributes import place
from fastdw.network._graph import Graph, Node, checked, checked_node, dtypes, shapes, uses
from fastdw.network._match import Editor
from fastdw.network._ops import with_defaults
from fastdw.network._recognise import limits

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32

_MOVES = ("reshape", "transpose", "slice", "concat", "gather")


class Stored(NamedTuple):
    """A constant as the file holds it; a real number is q·scale."""

    numbers: AnyArray
    scales: Float32
    axis: int


class Weights(NamedTuple):
    """What the graph's convolution was made of: int8, and int32."""

    kernel: AnyArray
    """In the graph's order of axes."""
    scales: Float32
    bias: Stored | None


class _Groups:
    """The graph while groups become nodes."""

    def __init__(self, graph: Graph, weights: dict[str, Weights]) -> None:
        self.weights = weights
        self.nodes = {node.output: node for node in graph.nodes}
        self.uses, self.shapes, self.dtypes = uses(graph), shapes(graph), dtypes(graph)

    def integers(self, name: str) -> tuple[str, Any] | None:
        """The integers of which a value is made, and their quantization."""
        node = self.nodes.get(name)
        if node is None or node.op != "dequantize":
            return None
        return node.inputs[0], node.attrs["input"]

    def node(self, end: Node) -> Node | None:
        """The group that ends in a QuantizeLinear, as one node."""
        last = self.nodes.get(end.inputs[0])
        if last is None or self.uses[last.output] > 1:
            return None
        activation = last.attrs.get("activation")
        if last.op == "activation" and _clamps(activation):
            before = self.nodes.get(last.inputs[0])
            if before is not None and self.uses[before.output] == 1 and before.op in _CLAMPED:
                last = before
        elif activation is not None and last.op != "activation":
            return None
        make = _GROUPS.get(last.op)
        return None if make is None else make(self, last, end.attrs["output"], activation)


def _clamps(activation: Any) -> bool:
    return activation is not None and limits(activation) is not None


Make = Callable[[_Groups, Node, Any, Any], "Node | None"]


def _convolution(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    x, weights = g.integers(node.inputs[0]), g.weights.get(node.output)
    if x is None or weights is None or len(node.inputs) > 1 or node.attrs.get("groups", 1) > 1:
        return None
    name, q = x
    bias = None
    if weights.bias is not None:
        # Its scale must be the product of the others, for the sums are in these steps.
        wanted = np.float32(q[0]) * weights.scales
        if not np.allclose(weights.bias.scales, wanted, rtol=1e-5, atol=0):
            return None
        bias = weights.bias.numbers.reshape(-1)
    elif node.attrs["bias"] is not None:
        return None
    attrs = place(node.attrs) | {
        "kernel": weights.kernel,
        "scales": weights.scales,
        "bias": bias,
        "activation": activation,
        "input": q,
        "output": output,
    }
    return Node(f"quantized_{node.op}", (name,), "", attrs)


def _pair(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    a, b = (g.integers(name) for name in node.inputs)
    alike = g.shapes[node.inputs[0]] == g.shapes[node.inputs[1]]
    if a is None or b is None or (node.op == "add" and not alike):
        return None
    attrs = {"input": a[1], "second": b[1], "output": output, "activation": activation}
    return Node(f"quantized_{node.op}", (a[0], b[0]), "", attrs)


def _mean(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    x = g.integers(node.inputs[0])
    if x is None or node.attrs["function"] != "average":
        return None
    return Node("quantized_mean", x[:1], "", {"input": x[1], "output": output})


def _pool(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    """A maximum; an average would be rounded twice."""
    x = g.integers(node.inputs[0])
    if x is None or node.attrs["function"] != "max" or x[1] != output:
        return None
    attrs = {key: value for key, value in node.attrs.items() if key != "counted"}
    more = {"input": output, "origin": 0, "activation": activation}
    return Node("quantized_pool", x[:1], "", attrs | more)


def _curve(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    """A table, but for one slope a channel."""
    if isinstance(activation, tuple) and activation[0] == "prelu":
        return None
    return _table(g, node.inputs[0], output, lambda x: reference.activate(x, activation))


def _by_a_number(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    """A sum or product with one number for all channels: a table too."""
    scale, offset = node.attrs["scale"], node.attrs["offset"]
    if np.ptp(scale) or np.ptp(offset):
        return None
    a, b = float(scale[0]), float(offset[0])
    return _table(g, node.inputs[0], output, lambda x: reference.activate(a * x + b, activation))


def _table(g: _Groups, name: str, output: Any, f: Callable[[AnyArray], AnyArray]) -> Node | None:
    x = g.integers(name)
    if x is None:
        return None
    numbers = tabulated(f, Quantization(*x[1]), Quantization(*output))
    table = tuple(int(n) for n in numbers)
    return Node("table", x[:1], "", {"table": table, "input": x[1], "output": output})


def _move(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    """Numbers that only change their places."""
    parts = [g.integers(name) for name in node.inputs]
    if any(part is None or part[1] != output for part in parts):
        return None
    attrs = node.attrs
    if node.op == "gather":
        constant = quantize(np.full(1, attrs["constant"], np.float32), Quantization(*output))
        attrs = attrs | {"constant": float(constant[0])}
    return node._replace(inputs=tuple(part[0] for part in parts if part is not None), attrs=attrs)


def _again(g: _Groups, node: Node, output: Any, activation: Any) -> Node | None:
    """From one quantization to another."""
    return _table(g, node.output, output, lambda x: x)


_CLAMPED = ("conv2d", "depthwise", "add", "multiply", "affine")
_GROUPS: dict[str, Make] = {
    "conv2d": _convolution,
    "depthwise": _convolution,
    "add": _pair,
    "multiply": _pair,
    "global_pool": _mean,
    "pool": _pool,
    "activation": _curve,
    "affine": _by_a_number,
    "dequantize": _again,
    **dict.fromkeys(_MOVES, _move),
}


def _of_layers(graph: Graph, weights: dict[str, Weights]) -> dict[str, Weights]:
    """The weights by the names of the convolutions themselves."""
    found = {}
    for node in graph.nodes:
        if node.output in weights:
            name = node.inputs[0] if node.op == "reshape" else node.output
            found[name] = weights[node.output]
    return found


def _with_reshapes_outside(graph: Graph, weights: dict[str, Weights]) -> Graph:
    """The graph with the reshapes around dense layers where numbers are integers.

    A matrix takes a column of pixels, whatever the axes of its input: these are in no group.
    """
    nodes, count = {node.output: node for node in graph.nodes}, uses(graph)
    layers = {name for name in weights if nodes[name].op == "conv2d"}
    given = {nodes[name].inputs[0] for name in layers}
    made: list[Node] = []
    for node in graph.nodes:
        before = nodes.get(node.inputs[0])
        if node.op == "quantize":
            made += _quantised_pixels(node, nodes, count, layers)
        elif node.op == "reshape" and node.output in given and before and before.op == "dequantize":
            name = f"{node.output}/integers"
            made.append(node._replace(inputs=before.inputs, output=name))
            made.append(before._replace(inputs=(name,), output=node.output))
        else:
            made.append(node)
    return Editor(graph._replace(nodes=tuple(made))).result()


def _quantised_pixels(
    end: Node, nodes: dict[str, Node], count: dict[str, int], layers: set[str]
) -> list[Node]:
    """A QuantizeLinear after a layer's reshape, perhaps with an activation between, before it."""
    steps = [end]
    last = nodes.get(end.inputs[0])
    if last and last.op == "activation" and _clamps(last.attrs["activation"]):
        steps, last = [last, end], nodes.get(last.inputs[0])
    if not last or last.op != "reshape" or last.inputs[0] not in layers:
        return [end]
    source = last.inputs[0]
    if any(count[name] > 1 for name in (source, last.output, end.inputs[0])):
        return [end]
    made = []
    for step in steps:
        name = f"{step.output}/pixels"
        made.append(step._replace(inputs=(source,), output=name))
        source = name
    return [*made, last._replace(inputs=(source,), output=end.output)]


def grouped(graph: Graph, weights: dict[str, Weights]) -> Graph:
    """The graph with its groups as nodes on integers.

    Parameters
    ----------
    graph : Graph
        As it was read.
    weights : dict
        By the names of convolutions' results, perhaps reshaped, of what they were made.
    """
    weights = _of_layers(graph, weights)
    graph = _with_reshapes_outside(graph, weights)
    groups = _Groups(graph, weights)
    nodes: list[Node] = []
    for node in graph.nodes:
        made = groups.node(node) if node.op == "quantize" else None
        nodes.append(node if made is None else _fitting(made, groups, node))
    return checked(graph._replace(nodes=tuple(nodes)))


def _sources(groups: _Groups, end: Node) -> tuple[str, ...]:
    last = groups.nodes[end.inputs[0]]
    first = groups.nodes.get(last.inputs[0]) if last.op == "activation" else None
    names = (() if first is None else first.source) + last.source
    return tuple(dict.fromkeys(names + end.source))


def _fitting(made: Node, groups: _Groups, end: Node) -> Node:
    """The group as a node in place of its end; the end, where integers cannot hold its sums."""
    attrs = with_defaults(made.op, made.attrs)
    made = made._replace(output=end.output, attrs=attrs, source=_sources(groups, end))
    try:
        return checked_node(made, groups.shapes, groups.dtypes)[0]
    except (TypeError, ValueError):
        return end
