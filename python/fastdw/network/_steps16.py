"""What convolutions become that add in float16: steps on halves, and what turns floats into these.

Such a node computes what layers of ``accumulate="float16"`` do. Its input is rounded to float16, so
are its kernels, and its results are numbers of float16. Where such nodes alone read them, and
global pools, which take a copy, they lie in the arena as such. Of factors a channel each product is
rounded to float32, then to float16; an activation of the input is done on floats first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import _core
from fastdw._arguments import dense
from fastdw._isa import chosen_isa
from fastdw.network._attributes import NO_PADS
from fastdw.network._steps import (
    Site,
    array,
    copied,
    core_activation,
    core_bias,
    geometry_of,
    image_step,
    share_of,
    spread,
)
from fastdw.network._view import View

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdw._core import Step
    from fastdw._typing import AnyArray
    from fastdw.network._graph import Graph, Node
    from fastdw.network._shapes import Attrs, Shape

_OPS = ("conv2d", "depthwise", "separable", "expand_depthwise", "inverted")
_LARGEST = float(np.finfo(np.float16).max)

Spaces = dict[str, tuple["Shape", str]]
"""Shapes and dtypes of tensors of a node's own, by what they are for."""


def adding(graph: Graph) -> frozenset[int]:
    """The numbers of the nodes that can add in float16."""
    return frozenset(i for i, node in enumerate(graph.nodes) if _adds(node))


def _adds(node: Node) -> bool:
    """Whether there are kernels for it, and float16 holds its weights."""
    kernels = [value for name, value in node.attrs.items() if name.endswith("kernel")]
    return node.op in _OPS and all((np.abs(kernel) <= _LARGEST).all() for kernel in kernels)


def stored(graph: Graph, nodes: Collection[int]) -> frozenset[str]:
    """The values that lie in the arena as halves: of such `nodes`, for such nodes and pools."""
    made = {graph.nodes[i].output for i in nodes} - set(graph.outputs)
    for i, node in enumerate(graph.nodes):
        if i in nodes and prepares(node):
            made -= set(node.inputs[:1])
        if i not in nodes and node.op != "global_pool":
            made -= set(node.inputs)
        made -= set(node.inputs[2:])  # factors
    return frozenset(made)


def prepares(node: Node) -> bool:
    """Whether it does something to its input first, on floats."""
    return node.attrs.get("pre_activation") is not None


def spaces(node: Node, known: dict[str, Shape], halves: Collection[str]) -> Spaces:
    """The tensors of its own that such a node wants, `halves` being the values stored as such."""
    x, out = known[node.inputs[0]], known[node.output]
    found: Spaces = {}
    if prepares(node):
        found["prepared"] = x, "float32"
    if prepares(node) or node.inputs[0] not in halves:
        found["x"] = x, "float16"
    if len(node.inputs) > 1 and node.inputs[1] and node.inputs[1] not in halves:
        found["residual"] = out, "float16"
    if "expand_kernel" in node.attrs:
        middle = (*x[:2], node.attrs["expand_kernel"].shape[3])
        if 2 * prod(middle) <= _core.kept_bytes(chosen_isa()):  # then no thread expands a row twice
            found["middle"] = middle, "float16"
    if node.output not in halves:
        found["out"] = out, "float16"
    return found


def steps(site: Site, own: dict[str, View]) -> Iterator[Step]:
    """A node's steps; `own` are the places of its `spaces`."""
    attrs, x, residual = site.attrs, site.x, site.optional(1)
    if "prepared" in own:
        yield _prepared(site, own["prepared"])
        x = own["prepared"]
    if "x" in own:
        yield copied(own["x"], x)
        x = own["x"]
    if "residual" in own and residual is not None:
        yield copied(own["residual"], residual)
        residual = own["residual"]
    if "middle" in own:
        yield from _dense(_expansion(attrs), x, own["middle"])
        x = own["middle"]
    out = own.get("out", site.out)
    if "groups" in attrs:
        yield from _dense(attrs, x, out, residual, site.optional(2))
    else:
        prefix = "depthwise_" if "depthwise_kernel" in attrs else ""
        expanded = "expand_kernel" in attrs and "middle" not in own
        yield _windowed(attrs, prefix, x, out, residual, expanded=expanded)
    if "out" in own:
        yield copied(site.out, out)


def _prepared(site: Site, out: View) -> Step:
    """What the node does to its input first, on floats."""
    activation = core_activation(site.attrs["pre_activation"], out.shape[-1])
    return image_step("activation", out, (site.x,), activation=activation)


def _expansion(attrs: Attrs) -> Attrs:
    """The 1×1 convolution before a window, as attributes of its own."""
    names = ("kernel", "bias", "activation")
    beside = {"strides": (1, 1), "padding": NO_PADS, "dilation_rate": (1, 1), "groups": 1}
    return {name: attrs[f"expand_{name}"] for name in names} | beside


def _dense(
    attrs: Attrs,
    x: View,
    out: View,
    residual: View | None = None,
    factors: View | None = None,
) -> Iterator[Step]:
    """A dense convolution, group by group; factors go with one group."""
    size, groups = attrs["kernel"].shape[:2], attrs["groups"]
    depth, filters = x.shape[2] // groups, out.shape[2] // groups
    geometry = geometry_of(attrs, size, out.shape)
    for group in range(groups):
        first = group * filters
        share = share_of(attrs, slice(first, first + filters))
        yield _layer(
            out.along(2, first, filters),
            x.along(2, group * depth, depth),
            None if residual is None else residual.along(2, first, filters),
            None if factors is None else spread(factors, factors.shape[-1:]),
            pointwise=_pointwise(share["kernel"], share),
            kernel_size=size,
            geometry=geometry,
        )


def _windowed(
    attrs: Attrs, prefix: str, x: View, out: View, residual: View | None, *, expanded: bool
) -> Step:
    """A depthwise convolution, and the 1×1 one behind it, if there is one; before it another."""
    kernel = attrs[f"{prefix}kernel"]
    activation = core_activation(attrs[f"{prefix}activation"], kernel.shape[2] * kernel.shape[3])
    geometry = geometry_of(attrs, kernel.shape, out.shape)
    down, across, rows, columns = geometry[:4]
    place, bias = (down, across, rows, columns), core_bias(attrs[f"{prefix}bias"])
    parts: dict[str, Any] = {"depthwise": _core.Depthwise16(_bits(kernel), bias, activation, place)}
    if "pointwise_kernel" in attrs:
        parts["pointwise"] = _pointwise(attrs["pointwise_kernel"], attrs)
    if expanded:
        parts["expand"] = _pointwise(attrs["expand_kernel"], _expansion(attrs))
    return _layer(out, x, residual, geometry=geometry, **parts)


def _pointwise(kernel: AnyArray, attrs: Attrs) -> _core.Pointwise16:
    filters = kernel.shape[3]
    activation = core_activation(attrs["activation"], filters)
    return _core.Pointwise16(
        _bits(kernel.reshape(-1, filters)), core_bias(attrs["bias"]), activation
    )


def _bits(kernel: AnyArray) -> npt.NDArray[np.uint16]:
    return dense(kernel.astype(np.float16)).view(np.uint16)


def _layer(
    out: View, x: View, residual: View | None, factors: View | None = None, **settings: Any
) -> Step:
    views = (out, x, residual, factors)
    return "layer16", tuple(None if view is None else array(view) for view in views), settings
