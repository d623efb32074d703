"""Operators of ONNX that make an image larger or smaller: pads and resizing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_values import IMAGE, Conversion, Live, Value, axis_of, ints
from fastdw.network import _tables

_COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
)


def _pad(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    rank = len(x.shape)
    mode = node.text("mode", "constant")
    if mode not in ("constant", "edge", "reflect", "wrap"):
        msg = f"with mode={mode!r}"
        raise Unsupported(msg)
    axes, constant = list(range(rank)), 0.0
    if c.opset < 11:
        pads, constant = node.integers("pads"), node.number("value", 0.0)
    else:
        given = c.constant(node, 1, "pads")
        pads = [] if given is None else ints(given)
        value, some = c.constant(node, 2, "values"), c.constant(node, 3, "axes")
        constant = constant if value is None else float(value.reshape(-1)[0])
        axes = axes if some is None else [axis_of(a, rank) for a in ints(some)]
    if len(pads) != 2 * len(axes):
        msg = f"with pads {pads} on {rank} axes"
        raise Unsupported(msg)
    tables = {}
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            tables[axis] = _common.pad_table(x.shape[axis], before, after, mode)
    return c.pick(x, tables, constant)


def _resize(c: Conversion, node: OnnxNode) -> Value:
    """Nearest or linear; opset 10 knew one way, as Upsample did."""
    old = c.opset < 11
    coordinates = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = node.text("nearest_mode", "floor" if old else "round_prefer_floor")
    for name, neutral in (("exclude_outside", 0), ("antialias", 0)):
        if node.integer(name, 0) != neutral:
            msg = f"with {name}"
            raise Unsupported(msg)
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        msg = f"with keep_aspect_ratio_policy={policy!r}"
        raise Unsupported(msg)
    for name in ("cubic_coeff_a", "extrapolation_value"):  # of modes that are refused
        node.take(name, None)
    x, axes = c.live(node), node.integers("axes")
    scales = c.constant(node, 1 if old else 2, "scales")
    sizes = None if old else c.constant(node, 3, "sizes")
    mode = node.text("mode", "nearest")
    return _resized(c, x, axes, (scales, sizes), (mode, coordinates, rounding))


def _upsample(c: Conversion, node: OnnxNode) -> Value:
    x, mode = c.live(node), node.text("mode", "nearest")
    scales = node.take("scales") if c.opset < 9 else c.constant(node, 1, "scales")
    return _resized(c, x, None, (scales, None), (mode, "asymmetric", "floor"))


def _resized(
    c: Conversion, x: Live, axes: Any, factors: tuple[Any, Any], modes: tuple[str, str, str]
) -> Live:
    mode, coordinates, rounding = modes
    if mode not in ("nearest", "linear"):
        msg = f"with mode={mode!r}"
        raise Unsupported(msg)
    if coordinates not in _COORDINATES:
        msg = f"with coordinate_transformation_mode={coordinates!r}"
        raise Unsupported(msg)
    if rounding not in _tables.ROUNDINGS:
        msg = f"with nearest_mode={rounding!r}"
        raise Unsupported(msg)
    rank = len(x.shape)
    axes = list(range(rank)) if axes is None else [axis_of(a, rank) for a in axes]
    at = {}
    for axis, (out, scale) in zip(axes, _outputs(x, axes, *factors), strict=True):
        if out != x.shape[axis] or (scale or 1.0) != 1.0:
            at[axis] = _common.positions(x.shape[axis], out, coordinates, scale)
    if mode == "nearest":
        tables = {a: _tables.nearest(v, x.shape[a], rounding) for a, v in at.items()}
        return c.pick(x, tables)
    name, shape = c.image(x), list(x.shape)
    if not set(at) <= {2, 3}:
        msg = "of other axes than rows and columns"
        raise Unsupported(msg)
    attrs: dict[str, Any] = {}
    for axis, word in ((2, "row"), (3, "column")):
        size = x.shape[axis]
        where = at[axis] if axis in at else _common.positions(size, size, "asymmetric")
        attrs |= _tables.linear(where, size, word)
        shape[axis] = len(where)
    return Live(c.add("bilinear", name, **attrs), tuple(shape), IMAGE)


def _outputs(x: Live, axes: list[int], scales: Any, sizes: Any) -> list[tuple[int, float | None]]:
    """The new size of each axis, and the factor where the model gives one."""
    if sizes is not None and np.size(sizes):
        result: list[tuple[int, float | None]] = [(size, None) for size in ints(sizes)]
    else:
        factors = np.asarray([] if scales is None else scales, np.float32).reshape(-1)
        if not np.all(np.isfinite(factors)) or not np.all(factors > 0):
            msg = f"with scales {factors.tolist()}"
            raise Unsupported(msg)
        inputs = np.asarray([x.shape[a] for a in axes[: len(factors)]], np.float32)
        outputs = np.floor(np.minimum(factors[: len(inputs)] * inputs, 2.0**31))
        result = [(int(n), float(s)) for n, s in zip(outputs, factors, strict=False)]
    if len(result) != len(axes):
        msg = f"with {len(result)} factors for {len(axes)} axes"
        raise Unsupported(msg)
    return result


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _upsample,
}
