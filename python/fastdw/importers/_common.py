"""What importers share: reading a file, arguments, what is missing, tables, dense layers.

An importer is a function of a path or of bytes. It gives a `Graph`, or raises one ValueError that
names every operator that fastdw does not run, with the reason and its nodes; a damaged file is a
ValueError too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastdw import _arguments as check
from fastdw._arguments import describe, integer
from fastdw._geometry import MAX_EXTENT
from fastdw.network import _attributes as kind
from fastdw.network import _tables
from fastdw.network._graph import Graph, GraphBuilder

if TYPE_CHECKING:
    from fastdw._quantization import Quantization
    from fastdw._typing import AnyArray

Sizes = tuple[int, ...]
InputSizes = Sizes | dict[str, Sizes] | None
"""Of each image, or by the names of several inputs; None is what the model says."""

MAX_TABLE = 1 << 17
"""Longest table of a resize or a pad: no file makes one of gigabytes."""

MAX_FOLDED = 1 << 20
"""Entries of a constant that is larger than those of which it is made: no small file makes a large
array."""

MAX_CHANNELS = 1 << 21
"""Most factors that are made of one."""


class Source(NamedTuple):
    """The bytes of a model, what to call it, and the folder beside it."""

    data: bytes
    name: str
    folder: Path | None


def read(file: object) -> Source:
    """The model in `file`, a path or the bytes themselves."""
    if isinstance(file, (bytes, bytearray, memoryview)):
        return Source(bytes(file), "the model", None)
    path = Path(check.path("file", file, "a path or bytes"))
    return Source(path.read_bytes(), path.name, path.parent)


@contextmanager
def damage_is_a_value_error(name: str) -> Iterator[None]:
    """Whatever a parser raises on a damaged file becomes a ValueError."""
    try:
        yield
    except Exception as error:
        # Ours say what is wrong, and where; a codec's does not.
        if isinstance(error, (ValueError, MemoryError)) and not isinstance(error, UnicodeError):
            raise
        msg = f"{name} is no model that fastdw can read: {type(error).__name__}: {error}"
        raise ValueError(msg) from error


_MOST_NODES = 8  # of an operator that is missing


class Unsupported(Exception):  # noqa: N818  (a finding about the file, not an error of ours)
    """Why a node is not run, as it follows the operator's name: "with mode='cubic'"."""


class Unknown(Exception):  # noqa: N818
    """An input that could not be computed, which was said already."""


class Missing:
    """Everything in a file that fastdw does not run, said at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: dict[str, list[str]] = {}

    def add(self, what: str, node: str) -> None:
        """Note an operator, with the reason, and the node where it was found."""
        self._nodes.setdefault(what, []).append(node)

    def check(self) -> None:
        """Raise a ValueError if there is anything."""
        if not self._nodes:
            return
        found = [f"{what} ({_listed(nodes)})" for what, nodes in self._nodes.items()]
        number = f"{len(found)} operator{'s' if len(found) > 1 else ''}"
        msg = f"{self._name} has {number} that fastdw does not run: {'; '.join(found)}"
        raise ValueError(msg)


def _listed(nodes: list[str]) -> str:
    """The first of them, for networks have hundreds."""
    names = ", ".join(map(repr, nodes[:_MOST_NODES]))
    more = len(nodes) - _MOST_NODES
    return f"node{'s' if len(nodes) > 1 else ''} {names}" + (f" and {more} more" * (more > 0))


def kept(integers: object) -> bool:
    """The argument `integers`."""
    return bool(kind.choice("keep", "float")("integers", integers) == "keep")


def output_names(outputs: Any) -> tuple[str, ...] | None:
    """The argument `outputs`: where the network is to end; None is where the model does."""
    if outputs is None:
        return None
    names = (outputs,) if isinstance(outputs, str) else outputs
    try:
        names = tuple(names)
    except TypeError:
        names = ()
    if not names or not all(isinstance(name, str) for name in names):
        msg = f"outputs must be names of values, got {describe(outputs)}"
        raise TypeError(msg)
    if len(set(names)) != len(names):
        msg = f"outputs must be different, got {names}"
        raise ValueError(msg)
    return names


def input_sizes(input_shape: Any) -> InputSizes:
    """The argument `input_shape`: sizes, or those of each input."""
    if input_shape is None:
        return None
    if isinstance(input_shape, Mapping):
        return {name: _sizes(f"input_shape[{name!r}]", n) for name, n in input_shape.items()}
    return _sizes("input_shape", input_shape)


def _sizes(name: str, value: Any) -> Sizes:
    try:
        sizes = [*enumerate(value)]
    except TypeError:
        msg = f"{name} must be a sequence of ints, got {describe(value)}"
        raise TypeError(msg) from None
    if not sizes:
        msg = (
            f"{name} must have an axis besides the batch, got {describe(value)}; an input that is "
            "a single number must be made a constant of the model first"
        )
        raise ValueError(msg)
    return tuple(integer(f"{name}[{i}]", n, 1, MAX_EXTENT) for i, n in sizes)


def given_shapes(known: Sequence[str], input_shape: InputSizes) -> dict[str, Sizes]:
    """`input_sizes` of a model with these inputs, by their names."""
    if input_shape is None:
        return {}
    if not isinstance(input_shape, dict):
        if len(known) != 1:
            msg = f"input_shape must be a dict of {', '.join(known)}, got {describe(input_shape)}"
            raise ValueError(msg)
        input_shape = {known[0]: input_shape}
    strangers = [name for name in input_shape if name not in known]
    if strangers:
        msg = f"input_shape names {strangers[0]!r}, the inputs are {', '.join(known)}"
        raise ValueError(msg)
    return input_shape


def image_shape(
    model: str, name: str, declared: Sequence[int | None] | None, given: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Shape of one image of an input: as given, else as declared with the batch, None being open.

    A ValueError where neither says it, or the one that is given has another number of axes.
    """
    says = "nothing" if declared is None else tuple(declared)
    if given is None:
        sizes = (None,) if declared is None else declared[1:]
        shape = tuple(size for size in sizes if size is not None and size > 0)
        if len(shape) == len(sizes):
            return shape
        msg = (
            f"{model}: input {name!r} is open, the model says {says}; pass input_shape "
            "(--input-shape in a shell), the shape of one image in this order, without the batch"
        )
        raise ValueError(msg)
    if declared and len(given) != len(declared) - 1:
        msg = (
            f"{model}: input_shape must be that of one image, without the batch; the model says "
            f"{says} of input {name!r}, got {given}"
        )
        raise ValueError(msg)
    return given


def finished(builder: GraphBuilder, ends: dict[str, str], notes: Sequence[str] = ()) -> Graph:
    """The graph of these outputs: for each name in the model the builder's."""
    inputs, seen = set(builder.inputs), set()
    for name, end in ends.items():
        if end in seen or (end in inputs and end != name):
            ends[name] = builder.add("reshape", end, shape=builder.shape(end))
        seen.add(end)
    graph = builder.build(ends.values())
    used = {end: name for name, end in ends.items()}

    def renamed(name: str) -> str:
        while name not in used and name in ends:
            name += "_"
        return used.get(name, name)

    nodes = tuple(
        node._replace(inputs=tuple(map(renamed, node.inputs)), output=renamed(node.output))
        for node in graph.nodes
    )
    return Graph(graph.inputs, nodes, tuple(ends), tuple(notes))


def pad_table(size: int, before: int, after: int, mode: str = "constant") -> tuple[int, ...]:
    """`_tables.padded` of an axis that no file makes too long."""
    check_length(size + max(before, 0) + max(after, 0))
    check_length(size + min(before, 0) + min(after, 0))
    return _tables.padded(size, before, after, mode)


def positions(size: int, out: int, mode: str, scale: float | None = None) -> npt.NDArray[Any]:
    """`_tables.positions` on an axis that no file makes too long."""
    check_length(out)
    return _tables.positions(size, out, mode, scale)


def affine(
    builder: GraphBuilder, x: str, scale: npt.ArrayLike, offset: npt.ArrayLike, **names: Any
) -> str:
    """x·scale + offset, each a number or one a channel."""
    channels = builder.shape(x)[-1]
    if channels > MAX_CHANNELS:
        msg = f"an affine must have at most {MAX_CHANNELS} channels, got {channels}"
        raise ValueError(msg)
    vectors: dict[str, Any] = {
        name: np.full(channels, np.ravel(np.asarray(value, np.float64)))
        for name, value in (("scale", scale), ("offset", offset))
    }
    return builder.add("affine", x, **vectors, **names)


def reshape(builder: GraphBuilder, x: str, shape: Sequence[int], **names: Any) -> str:
    """`x` in this shape; a node only where it has another."""
    if builder.shape(x) == tuple(shape) and not names.get("output"):
        return x
    return builder.add("reshape", x, shape=tuple(shape), **names)


def dense(
    builder: GraphBuilder, x: str, matrix: AnyArray, bias: AnyArray | None = None, **names: Any
) -> str:
    """x @ matrix + bias, over the last axis of `x`; `matrix` is (inputs, outputs)."""
    shape, kernel = builder.shape(x), matrix[np.newaxis, np.newaxis]
    if len(shape) == 3:
        return builder.add("conv2d", x, kernel=kernel, bias=bias, **names)
    pixels = reshape(builder, x, (prod(shape[:-1]), 1, shape[-1]))
    y = builder.add("conv2d", pixels, kernel=kernel, bias=bias, source=names.pop("source", ()))
    return reshape(builder, y, (*shape[:-1], matrix.shape[1]), **names)


def by_groups(builder: GraphBuilder, x: str, groups: int, epsilon: float, **names: Any) -> str:
    """Values whose channels, the last axis, have mean 0 and variance 1 group by group.

    A group's pixels and channels lie side by side, and become one line.
    """
    shape = builder.shape(x)
    channels, pixels = shape[-1], prod(shape[:-1])
    if not 1 <= groups <= channels or channels % groups:
        msg = f"with {groups} groups of {channels} channels"
        raise Unsupported(msg)
    parts, line = (pixels, groups, channels // groups), pixels * channels // groups
    if line > MAX_CHANNELS:
        msg = f"over {line} entries"
        raise Unsupported(msg)
    x = builder.add("transpose", reshape(builder, x, parts, **names), axes=(1, 0, 2), **names)
    ones: dict[str, Any] = {"scale": np.ones(line), "offset": np.zeros(line)}
    x = reshape(builder, x, (groups, line), **names)
    x = builder.add("normalize", x, **ones, epsilon=epsilon, **names)
    x = reshape(builder, x, (groups, pixels, channels // groups), **names)
    x = builder.add("transpose", x, axes=(1, 0, 2), **names)
    return reshape(builder, x, shape, **names)


def tabulated(
    f: Callable[[AnyArray], AnyArray], given: Quantization, output: Quantization
) -> AnyArray:
    """What `f`, of real numbers, makes of each integer of `given` from the least on."""
    q = np.arange(given.limits[0], given.limits[1] + 1, dtype=np.float64) - given.zero_point
    with np.errstate(all="ignore"):
        y = np.rint(f(q * given.scale) / output.scale) + output.zero_point
    result: AnyArray = np.clip(y, *output.limits)
    return result


def check_length(length: int) -> None:
    if not 1 <= length <= MAX_TABLE:
        msg = f"a resized or padded axis must have 1 to {MAX_TABLE} pixels, got {length}"
        raise ValueError(msg)


# --- nodes of constants alone ---


def bounded(shape: Sequence[int], *inputs: AnyArray) -> tuple[int, ...]:
    """The shape of a constant that is made of others."""
    sizes = tuple(int(n) for n in shape)
    if min(sizes, default=1) < 0:
        msg = f"of the shape {sizes}"
        raise Unsupported(msg)
    if prod(sizes) > max(MAX_FOLDED, *(a.size for a in inputs), 0):
        msg = f"that makes a constant of shape {sizes}"
        raise Unsupported(msg)
    return sizes


def quotient(a: AnyArray, b: AnyArray) -> Any:
    """a / b, of integers rounded towards zero, as in C."""
    if a.dtype.kind not in "iu":
        return a / b
    if not np.all(b):
        msg = "by zero"
        raise Unsupported(msg)
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
