"""Graphs whose input is rescaled before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw._arguments import FLOATS, choice, describe, number, vector
from fastdw.network._graph import Graph, Node, TensorSpec, checked, quantizations
from fastdw.network._layout import TO_CHANNELS_FIRST, channels_first, fresh

if TYPE_CHECKING:
    from fastdw._quantization import Quantization
    from fastdw._typing import AnyArray


def rescaled(
    graph: Graph, scale: object, offset: object, dtype: object, reverse_channels: object
) -> Graph:
    """The graph of x·scale + offset: see `Network.rescale_input`."""
    kind = choice("dtype", dtype, ("float32", "uint8"))
    if not isinstance(reverse_channels, bool):
        msg = f"reverse_channels must be a bool, got {describe(reverse_channels)}"
        raise TypeError(msg)
    name, shape, q = _image(graph)
    first = name in channels_first(graph)
    if first:
        shape = (*shape[1:], shape[0])
    step = -1 if reverse_channels else 1
    vectors = {
        "scale": _per_channel("scale", scale, shape[2])[::step],
        "offset": _per_channel("offset", offset, shape[2])[::step],
    }
    steps: list[tuple[str, dict[str, Any]]] = [("affine", vectors | {"activation": None})]
    if q is not None:
        steps.append(("quantize", {"output": (q.scale, q.zero_point, q.dtype)}))
    if reverse_channels:
        order = tuple(reversed(range(shape[2])))
        tables = {"rows": None, "columns": None, "channels": order, "constant": 0.0}
        steps.append(("gather", tables))
    if first:
        steps.append(("transpose", {"axes": TO_CHANNELS_FIRST}))
    x, nodes, names = name, [], fresh(graph, f"{name}_rescaled")
    for op, attrs in steps:
        nodes.append(Node(op, (x,), next(names), attrs))
        x = nodes[-1].output
    for node in graph.nodes:
        inputs = tuple(x if text == name else text for text in node.inputs)
        nodes.append(node._replace(inputs=inputs))
    specs = (TensorSpec(name, shape, kind),)
    return checked(graph._replace(inputs=specs, nodes=tuple(nodes)))


def _image(graph: Graph) -> tuple[str, tuple[int, ...], Quantization | None]:
    """Name, shape and quantization of the only input."""
    spec = graph.inputs[0]
    shape = tuple(int(size or 0) for size in spec.shape)
    several = len(graph.inputs) > 1 or spec.name in graph.outputs
    q = None if spec.dtype == "float32" else quantizations(graph).get(spec.name)
    if several or len(shape) != 3 or (spec.dtype != "float32" and q is None):
        found = ", ".join(f"{s.name}: {s.dtype} {s.shape}" for s in graph.inputs)
        msg = f"the network must take one image, of float32 or quantized, but takes {found}"
        raise ValueError(msg)
    return spec.name, shape, q


def _per_channel(name: str, value: object, channels: int) -> AnyArray:
    """One number for all channels, or one for each."""
    if isinstance(value, np.ndarray) and value.ndim:
        result = vector(name, value, channels, FLOATS).astype(np.float64)
    else:
        result = np.full(channels, number(name, value))
    if not (np.abs(result) <= np.finfo(np.float32).max).all():
        msg = f"{name} must be finite in float32, got {describe(value)}"
        raise ValueError(msg)
    return result
