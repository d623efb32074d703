"""What a network consists of, in numbers and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw._arguments import choice
from fastdw.network._graph import Graph, Node

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._arena import Arena
    from fastdw.network._lower import Program
    from fastdw.network._shapes import Shape

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
_ACTIVATIONS = ("expand_activation", "depthwise_activation", "activation")
_HEAD = ("step", "output", "parameters", "MACs", "weights", "traffic", "from")
_TIMES = ("µs", "GFLOP/s", "share")
_LONGEST_NAME = 36
_LEFT = ("step", "output", "from")


def parameters(node: Node) -> int:
    """Entries of kernels, biases, factors and slopes; tables are none."""
    return sum(array.size for array in _arrays(node))


def nbytes(node: Node, in_halves: bool = False) -> int:
    """The same in bytes, kernels perhaps in halves."""
    sizes = ((array.nbytes, in_halves and array.ndim > 1) for array in _arrays(node))
    return sum(size // 2 if halved else size for size, halved in sizes)


def _arrays(node: Node) -> list[AnyArray]:
    if node.op == "bilinear":
        return []
    values = [*node.attrs.values()]
    values += [value[1] for value in values if isinstance(value, tuple) and "prelu" in value[:1]]
    return [value for value in values if isinstance(value, np.ndarray)]


def macs(node: Node, known: dict[str, Shape]) -> int:
    """Multiply-accumulates of the convolutions for one image; windows on a border count in full."""
    x, y = (prod(known[name][:2]) for name in (node.inputs[0], node.output))
    if node.op == "conv2d_transpose":
        return x * int(node.attrs["kernel"].size)
    kernels = [int(node.attrs[name].size) for name in _KERNELS if name in node.attrs]
    expand = node.attrs.get("expand_kernel")
    return y * sum(kernels) + (0 if expand is None else x * int(expand.size))


def rows(graph: Graph, program: Program) -> list[dict[str, Any]]:
    """An entry a node, and one for the copies that follow them all, if there are any."""
    known = program.shapes
    traffic = [0] * (len(graph.nodes) + 1)
    for owner, bytes_ in zip(program.nodes, program.traffic, strict=True):
        traffic[owner] += bytes_
    entries = []
    for i, (node, moved) in enumerate(zip(graph.nodes, traffic, strict=False)):
        work, in_halves = macs(node, known), i in program.adding
        sums = "int32" if node.op.startswith("quantized_") else "float32"
        entry = {
            "step": f"{_label(node)}, sums of float16" if in_halves else _label(node),
            "output": known[node.output],
            "num_parameters": parameters(node),
            "macs": work,
            "accumulate": ("float16" if in_halves else sums) if work else None,
            "nbytes": nbytes(node, in_halves),
            "traffic": moved,
            "from": node.source,
        }
        entries.append(entry)
    if traffic[-1]:
        nothing = {"output": (), "num_parameters": 0, "macs": 0, "nbytes": 0, "from": ()}
        nothing["accumulate"] = None
        entries.append({"step": "copy", **nothing, "traffic": traffic[-1]})
    return entries


def timed(
    entries: list[dict[str, Any]], nanoseconds: Sequence[float], images: int
) -> list[dict[str, Any]]:
    """The entries with the time that each took."""
    total = max(sum(nanoseconds), 1)
    return [
        entry
        | {
            "microseconds": time / 1e3,
            "gflops": 2 * images * entry["macs"] / time if time else 0.0,
            "share": time / total,
        }
        for entry, time in zip(entries, nanoseconds, strict=False)
    ]


def shown(
    mode: object, steps: list[dict[str, Any]], arena: Arena, notes: tuple[str, ...]
) -> dict[str, Any] | None:
    """All of it, printed, or as a dict."""
    choice("mode", mode, ("text", "dict"))
    names = ("num_parameters", "macs", "nbytes", "traffic")
    count, work, weights, traffic = (sum(step[name] for step in steps) for name in names)
    if mode == "dict":
        return {
            "steps": steps,
            "num_parameters": count,
            "macs": work,
            "traffic": traffic,
            "arena_bytes": 4 * arena.size,
            "arena_bound": 4 * arena.bound,
            "notes": notes,
        }
    print(table(steps))
    print(
        f"{len(steps)} steps, {count:,} parameters, {millions(work)} MACs, "
        f"weights {amount(weights)}, arena {amount(4 * arena.size)} "
        f"(least possible {amount(4 * arena.bound)}), traffic of an image {amount(traffic)} "
        f"and the weights"
    )
    for note in notes:
        print(note)
    return None


def table(entries: list[dict[str, Any]]) -> str:
    """The entries under each other, with their times if they have them."""
    with_times = any("share" in entry for entry in entries)
    head = (*_HEAD[:-1], *_TIMES, _HEAD[-1]) if with_times else _HEAD
    lines = [head]
    for entry in entries:
        source = entry["from"]
        count, size = f"{entry['num_parameters']:,}", amount(entry["nbytes"])
        moved = amount(entry["traffic"])
        ends = [_short(name) for name in (*source[:1], *source[1:][-1:])]
        times = (
            (f"{entry['microseconds']:.1f}", f"{entry['gflops']:.1f}", f"{entry['share']:.1%}")
            if with_times
            else ()
        )
        output, macs_ = str(entry["output"]), millions(entry["macs"])
        line = (entry["step"], output, count, macs_, size, moved, *times, " … ".join(ends))
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if title in _LEFT else text.rjust(width)
            for title, text, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def amount(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def millions(number: int) -> str:
    return f"{number / 1e6:.1f} M"


def _label(node: Node) -> str:
    attrs = node.attrs
    words = [node.op]
    if "expand_kernel" in attrs:
        words.append(str(attrs["expand_kernel"].shape[3]))
    kernel = attrs.get("depthwise_kernel", attrs.get("kernel"))
    window = attrs.get("window") if kernel is None else kernel.shape[:2]
    words += [attrs["function"]] if "function" in attrs else []
    words += ["{}x{}".format(*window)] if window else []
    words += _numbers("s", attrs.get("strides", (1, 1))) + _numbers(
        "d", attrs.get("dilation_rate", (1, 1))
    )
    if attrs.get("groups", 1) > 1:
        words.append(f"groups {attrs['groups']}")
    if attrs.get("pre_activation") is not None:
        words.insert(1, f"{_name(attrs['pre_activation'])} →")
    names = [attrs[name] for name in _ACTIVATIONS if attrs.get(name) is not None]
    return " ".join([*words, *map(_name, names)])


def _numbers(letter: str, pair: tuple[int, int]) -> list[str]:
    if pair == (1, 1):
        return []
    return [f"{letter}{pair[0]}" if pair[0] == pair[1] else "{}{}x{}".format(letter, *pair)]


def _short(name: str) -> str:
    """A name without its middle: TFLite's name all the layers that went into a tensor."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:17]}…{name[-18:]}"


def _name(activation: Any) -> str:
    return activation if isinstance(activation, str) else str(activation[0])
