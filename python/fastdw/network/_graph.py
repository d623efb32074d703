"""The graph of a network, its checks, and its evaluation by the float64 twins.

A graph computes on one image; the batch is a loop outside it. Its values are named, of float32 or
of 8-bit integers, and have a fixed shape of one to six axes: images are (H, W, C), vectors of
channels (1, 1, C), and anything else, such as the (896, 16) of a detector's head, what `reshape`
made of them. Channels come last. A graph knows no NCHW: such a model has a `transpose` after its
input and before its output, of which a plan makes strides.

The operators and their attributes are listed in `_ops`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw._arguments import describe
from fastdw._geometry import MAX_EXTENT
from fastdw.network._attributes import MAX_RANK
from fastdw.network._ops import OPS, known_op, with_defaults

if TYPE_CHECKING:
    from fastdw._quantization import Quantization
    from fastdw._typing import AnyArray
    from fastdw.network._shapes import Shape

DTYPES = ("float32", "uint8", "int8")


class TensorSpec(NamedTuple):
    """An array that a network takes or gives, as `Network.inputs` and `Network.outputs` list them.

    A named tuple of its four attributes, here for annotations and ``isinstance``: nobody makes one.

    Examples
    --------
    >>> x = fastdw.Input((8, 8, 3), "image")
    >>> fastdw.Network(x, fastdw.ops.max_pool(x, 2)).inputs[0]
    TensorSpec(name='image', shape=(None, 8, 8, 3), dtype='float32', quantization=None)
    """

    name: str
    """As the model or `Input` has it."""
    shape: tuple[int | None, ...]
    """The batch is None. (Within a graph shapes are without it.)"""
    dtype: str = "float32"
    """Of the array: "float32", "int8" or "uint8"."""
    quantization: Quantization | None = None
    """What the integers stand for; None where they are none, or plain pixels."""


class Node(NamedTuple):
    """One operator and the value that it computes."""

    op: str
    inputs: tuple[str, ...]
    """Names of values, in the order of `OPS`; "" where an optional one is left out before
    another, never at the end."""
    output: str
    attrs: dict[str, Any]
    source: tuple[str, ...] = ()
    """What the model calls the layers or nodes of which this was made."""

    @property
    def operands(self) -> tuple[str, ...]:
        """The inputs that are there."""
        return tuple(name for name in self.inputs if name)


class Graph(NamedTuple):
    """Nodes in topological order."""

    inputs: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What an importer says of the graph: where it computes otherwise than its model."""


class GraphBuilder:
    """Makes a graph node by node, checking each.

    Attributes that are not named take the defaults of `OPS`; names of values that are not given are
    made up.
    """

    def __init__(self) -> None:
        self._inputs: list[TensorSpec] = []
        self._nodes: list[Node] = []
        self._shapes: dict[str, Shape] = {}
        self._dtypes: dict[str, str] = {}

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32") -> str:
        """Declare an input of the graph."""
        spec = TensorSpec(name, tuple(shape), dtype)
        self._define(name, _input_shape(spec), dtype)
        self._inputs.append(spec)
        return name

    def add(
        self,
        op: str,
        inputs: str | Sequence[str],
        name: str | None = None,
        source: Sequence[str] = (),
        **attrs: Any,
    ) -> str:
        """Append a node, whose value may be given a name; that name."""
        names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        while names and not names[-1]:
            names = names[:-1]
        node = Node(op, names, name or self._fresh(op), with_defaults(op, attrs), tuple(source))
        node, shape, dtype = checked_node(node, self._shapes, self._dtypes)
        self._define(node.output, shape, dtype)
        self._nodes.append(node)
        return node.output

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs of the graph."""
        return tuple(spec.name for spec in self._inputs)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def undo(self, nodes: int) -> None:
        """Take back all nodes but the first ones."""
        for node in self._nodes[nodes:]:
            del self._shapes[node.output], self._dtypes[node.output]
        del self._nodes[nodes:]

    def shape(self, name: str) -> Shape:
        """Shape of a value that is there."""
        return self._shapes[name]

    def dtype(self, name: str) -> str:
        """Dtype of a value that is there."""
        return self._dtypes[name]

    def build(self, outputs: str | Iterable[str]) -> Graph:
        """The graph that gives these values."""
        names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
        _check_outputs(names, self._shapes)
        return Graph(tuple(self._inputs), tuple(self._nodes), names)

    def _define(self, name: str, shape: Shape, dtype: str) -> None:
        _check_name(name, self._shapes)
        self._shapes[name], self._dtypes[name] = shape, dtype

    def _fresh(self, op: str) -> str:
        number = len(self._nodes)
        while f"{op}_{number}" in self._shapes:
            number += 1
        return f"{op}_{number}"


def checked(graph: Graph) -> Graph:
    """`graph` with its attributes in their one form, or the reason why it is none."""
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, str] = {}
    for spec in graph.inputs:
        _check_name(spec.name, shapes)
        shapes[spec.name], dtypes[spec.name] = _input_shape(spec), spec.dtype
    nodes = []
    for original in graph.nodes:
        node, shape, dtype = checked_node(original, shapes, dtypes)
        _check_name(node.output, shapes)
        shapes[node.output], dtypes[node.output] = shape, dtype
        nodes.append(node)
    _check_outputs(graph.outputs, shapes)
    return graph._replace(nodes=tuple(nodes))


def shapes(graph: Graph) -> dict[str, Shape]:
    """The shape of every value of a checked graph."""
    result = {spec.name: _input_shape(spec) for spec in graph.inputs}
    for node in graph.nodes:
        operands = [result.get(name) for name in node.inputs]
        result[node.output] = OPS[node.op].shape(operands, node.attrs)
    return result


def dtypes(graph: Graph) -> dict[str, str]:
    """The dtype of every value of a checked graph."""
    result = {spec.name: spec.dtype for spec in graph.inputs}
    for node in graph.nodes:
        operands = [result.get(name) for name in node.inputs]
        result[node.output] = OPS[node.op].dtype(operands, node.attrs)
    return result


def quantizations(graph: Graph) -> dict[str, Quantization]:
    """What integers stand for, where an operator that makes or reads them says it."""
    found: dict[str, Any] = {}
    for node in graph.nodes:  # from producers to what moves their results
        attrs = node.attrs
        made = attrs.get("sum") or attrs.get("output")
        if node.op == "quantized_pool":
            made = attrs["input"]
        elif OPS[node.op].lowering is None or node.op == "gather":
            made = found.get(node.inputs[0])
        if made is not None:
            found[node.output] = made
    for node in reversed(graph.nodes):  # and from readers to what the inputs are
        read = node.attrs.get("input")
        if OPS[node.op].lowering is None or node.op == "gather":
            read = found.get(node.output)
        if read is not None:
            found.setdefault(node.inputs[0], read)
    if not found:
        return {}
    from fastdw._quantization import Quantization

    return {name: Quantization(*fields) for name, fields in found.items()}


@np.errstate(all="ignore")
def rounded(graph: Graph, *, copied: bool = True) -> Graph:
    """The graph with its arrays of floats in float32, as they are saved and packed.

    Not `copied`: those of float32 stay, for nobody else has them.
    """

    def float32(value: Any) -> Any:
        is_real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(np.float32, copy=copied) if is_real else value

    nodes = (
        node._replace(attrs={name: float32(value) for name, value in node.attrs.items()})
        for node in graph.nodes
    )
    return graph._replace(nodes=tuple(nodes))


def uses(graph: Graph) -> dict[str, int]:
    """How often each value is read; to be an output of the graph counts once."""
    result = dict.fromkeys([spec.name for spec in graph.inputs], 0)
    result |= dict.fromkeys([node.output for node in graph.nodes], 0)
    for node in graph.nodes:
        for name in node.operands:
            result[name] += 1
    for name in graph.outputs:
        result[name] += 1
    return result


def content(node: Node) -> tuple[object, ...]:
    """All that decides what a node computes, as a key."""
    attrs = sorted(node.attrs.items())
    return node.op, node.inputs, tuple((name, _key(value)) for name, value in attrs)


class _Bits:
    """An array as a key: equal to others of the same bits, hashed by a few of them.

    All bytes of a network's weights would take longer than what else it is to rewrite it.
    """

    __slots__ = ("array", "hash")

    def __init__(self, array: AnyArray) -> None:
        self.array = array
        self.hash = hash((array.dtype.str, array.shape, array.flat[:4].tobytes()))

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Bits) or self.hash != other.hash:
            return False
        a, b = self.array, other.array
        same = a.dtype == b.dtype and a.shape == b.shape
        return same and (a is b or a.tobytes() == b.tobytes())


def _key(value: object) -> object:
    if isinstance(value, np.ndarray):
        return _Bits(value)
    return tuple(map(_key, value)) if isinstance(value, tuple) else value


def run(
    graph: Graph, arrays: Sequence[AnyArray], dtype: type[np.floating[Any]] = np.float64
) -> tuple[AnyArray, ...]:
    """Evaluate a checked graph on one image by the twins.

    They compute in float64; each value is rounded to `dtype` before it is used again, but for
    integers.
    """
    values = trace(graph, arrays, dtype)
    return tuple(values[name] for name in graph.outputs)


def trace(
    graph: Graph, arrays: Sequence[AnyArray], dtype: type[np.floating[Any]] = np.float64
) -> dict[str, AnyArray]:
    """Every value that `run` computes, by name."""
    known = dtypes(graph)
    values = {
        spec.name: np.asarray(array, dtype if spec.dtype == "float32" else spec.dtype)
        for spec, array in zip(graph.inputs, arrays, strict=True)
    }
    for node in graph.nodes:
        operands = [values.get(name) for name in node.inputs]
        with np.errstate(all="ignore"):
            result = OPS[node.op].reference(operands, node.attrs)
            wanted = dtype if known[node.output] == "float32" else known[node.output]
            values[node.output] = np.asarray(result).astype(wanted)
    return values


def checked_node(
    node: Node, known: Mapping[str, Shape], dtypes: Mapping[str, str]
) -> tuple[Node, Shape, str]:
    """`node` with its attributes in their one form, the shape and the dtype of its value."""
    known_op(node.op)
    try:
        node, shape = _checked_node(node, known)
        types = [dtypes.get(name) for name in node.inputs]
        return node, shape, OPS[node.op].dtype(types, node.attrs)
    except (TypeError, ValueError) as error:
        where = f"{node.op} {node.output!r}"
        if node.source:
            where += f" (from {', '.join(node.source)})"
        msg = f"{where}: {error}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(msg) from error


def _checked_node(node: Node, known: Mapping[str, Shape]) -> tuple[Node, Shape]:
    op = OPS[node.op]
    unknown = [name for name in node.operands if name not in known]
    if unknown:
        msg = f"it reads {unknown[0]!r}, which no node before it computes"
        raise ValueError(msg)
    count = len(node.inputs)
    absent = "" in node.inputs[: op.least] or (count > 0 and node.inputs[-1] == "")
    if absent or not op.least <= count <= op.most:
        msg = f"it must have {op.least} to {op.most} inputs, got {node.inputs}"
        raise ValueError(msg)
    if node.attrs.keys() != op.attributes.keys():
        odd = sorted(node.attrs.keys() ^ op.attributes.keys())
        msg = f"attributes are missing or too many: {', '.join(odd)}"
        raise ValueError(msg)
    attrs = {name: a.kind(name, node.attrs[name]) for name, a in op.attributes.items()}
    shape = op.shape([known.get(name) for name in node.inputs], attrs)
    _check_shape(shape)
    return node._replace(attrs=attrs), shape


def _check_name(name: object, known: Mapping[str, Shape]) -> None:
    if not isinstance(name, str) or not name:
        msg = f"a value must be named by a str that is not empty, got {describe(name)}"
        raise ValueError(msg)
    if name in known:
        msg = f"two values are named {name!r}"
        raise ValueError(msg)


def _input_shape(spec: TensorSpec) -> Shape:
    shape = tuple(size for size in spec.shape if isinstance(size, int))
    if len(shape) != len(spec.shape) or spec.dtype not in DTYPES:
        msg = f"input {spec.name!r} must have a fixed shape and a dtype of {DTYPES}, got {spec}"
        raise ValueError(msg)
    _check_shape(shape)
    return shape


def _check_shape(shape: Shape) -> None:
    if not 1 <= len(shape) <= MAX_RANK or not all(1 <= size <= MAX_EXTENT for size in shape):
        msg = f"a value must have 1 to {MAX_RANK} axes, each of 1 to {MAX_EXTENT}, got {shape}"
        raise ValueError(msg)


def _check_outputs(outputs: Sequence[str], known: Mapping[str, Shape]) -> None:
    strangers = [name for name in outputs if name not in known]
    if not outputs or strangers or len(set(outputs)) != len(outputs):
        msg = f"outputs must be different values of the graph, got {describe(tuple(outputs))}"
        raise ValueError(msg)
