"""What the nodes of a graph become when it runs: steps of the core on views, one to a few each.

A `Lowering` says of an operator which steps, which tensors of its own it wants for them, and where
it takes its arrays. reshape, transpose, slice and concat have none: see `_plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw import _core
from fastdw._activations import parse_activation
from fastdw._arguments import dense
from fastdw._isa import chosen_isa
from fastdw.network import _shapes
from fastdw.network._view import View

if TYPE_CHECKING:
    from fastdw._core import Array, Step
    from fastdw._typing import AnyArray, Float32
    from fastdw.network._shapes import Attrs, Shape


class Site(NamedTuple):
    """A node where it runs."""

    attrs: Attrs
    inputs: Sequence[View | None]
    out: View
    scratch: Sequence[View]
    sums: View | None = None
    """The sums over the columns of each row, (H, 1, C): of what a depthwise kernel gives, and of
    what a global average reads."""
    store: _core.Store | None = None
    """Where its matrices are packed."""
    dtype: str = "float32"
    """Of the output."""

    @property
    def x(self) -> View:
        view = self.inputs[0]
        assert view is not None
        return view

    def optional(self, position: int) -> View | None:
        return self.inputs[position] if position < len(self.inputs) else None


class Lowering(NamedTuple):
    steps: Callable[[Site], Iterator[Step]]
    scratch: Callable[[Sequence[Any], Attrs], list[Shape]] = lambda shapes, attrs: []
    """Shapes of further tensors, from those of the inputs."""
    anywhere: bool = False
    """Whether channels need not lie side by side."""


def image(view: View) -> View | None:
    """A value of any axes as (H, W, C): its pixels, and its last axis."""
    if len(view.shape) == 3:
        return view
    return view.reshaped((1, prod(view.shape[:-1]), view.shape[-1]))


def side_by_side(view: View | None) -> bool:
    return view is not None and (view.shape[-1] == 1 or view.strides[-1] == 1)


def spread(view: View, shape: Shape) -> View | None:
    """One entry for each channel, for all pixels of a shape: strides of 0; or all entries."""
    if view.shape == shape:
        return image(view)
    channels = view.reshaped(shape[-1:])
    if channels is None:
        return None
    pixels = shape if len(shape) == 3 else (1, prod(shape[:-1]), shape[-1])
    return channels._replace(shape=pixels, strides=(0, 0, *channels.strides))


def array(view: View) -> Array:
    return view.buffer, view.offset, view.shape, view.strides


def copied(out: View, x: View) -> Step:
    return "copy", (array(out), array(x)), {}


def image_step(kind: str, out: View, views: Sequence[View | None], **settings: Any) -> Step:
    images = [image(view) for view in (out, *views) if view is not None]
    return kind, tuple(array(view) for view in images if view is not None), settings


def core_activation(value: Any, channels: int) -> _core.Activation:
    return parse_activation("activation", value, channels).core


def _float32(array: AnyArray) -> Float32:
    return dense(array.astype(np.float32, copy=False))


# --- convolutions ---


def _layer(
    out: View,
    x: View,
    residual: View | None = None,
    *,
    scale: View | None = None,
    sums: View | None = None,
    geometry: tuple[int, ...] = (1, 1, 1, 1, 0, 0),
    **parts: Any,
) -> Step:
    views = (out, x, residual, scale, sums)
    settings = parts | {"geometry": geometry}
    return "layer", tuple(None if view is None else array(view) for view in views), settings


def geometry_of(attrs: Attrs, taps: Sequence[int], out: Shape) -> tuple[int, ...]:
    """As the core takes it: neither a stride without a next output nor one tap's dilation."""
    strides = (s if n > 1 else 1 for s, n in zip(attrs["strides"], out, strict=False))
    dilation = (d if k > 1 else 1 for d, k in zip(attrs["dilation_rate"], taps, strict=False))
    return (*strides, *dilation, attrs["padding"][0][0], attrs["padding"][1][0])


def core_bias(value: AnyArray | None) -> Float32 | None:
    return None if value is None else _float32(value)


def _pointwise(store: _core.Store | None, attrs: Attrs, prefix: str, name: str) -> _core.Pointwise:
    kernel = attrs[name]
    matrix = kernel.reshape(-1, kernel.shape[3])
    activation = core_activation(attrs[f"{prefix}activation"], kernel.shape[3])
    return _core.Pointwise(
        _float32(matrix), core_bias(attrs[f"{prefix}bias"]), activation, chosen_isa(), store
    )


def _depthwise_weights(attrs: Attrs, prefix: str, fused: bool) -> _core.Depthwise:
    kernel = attrs[f"{prefix}kernel"]
    activation = core_activation(attrs[f"{prefix}activation"], kernel.shape[2] * kernel.shape[3])
    bias = core_bias(attrs[f"{prefix}bias"])
    return _core.Depthwise(_float32(kernel), bias, activation, chosen_isa(), fused=fused)


def _conv2d(site: Site) -> Iterator[Step]:
    attrs, x = site.attrs, site.x
    scale = site.optional(2)
    if scale is not None:
        scale = scale.reshaped((1, 1, x.shape[2]))
    groups, residual = attrs["groups"], site.optional(1)
    depth, filters = attrs["kernel"].shape[2], attrs["kernel"].shape[3] // groups
    for group in range(groups):
        part = slice(group * filters, (group + 1) * filters)
        yield from convolution(
            site.store,
            attrs | share_of(attrs, part),
            x.along(2, group * depth, depth),
            site.out.along(2, part.start, filters),
            None if residual is None else residual.along(2, part.start, filters),
            scale,
        )


def share_of(attrs: Attrs, part: slice) -> Attrs:
    """Kernel, bias and activation of some filters."""
    bias, activation = attrs["bias"], attrs["activation"]
    if isinstance(activation, tuple) and activation[0] == "prelu":
        activation = ("prelu", activation[1][part])
    return {
        "kernel": attrs["kernel"][..., part],
        "bias": None if bias is None else bias[part],
        "activation": activation,
    }


def convolution(
    store: _core.Store | None,
    attrs: Attrs,
    x: View,
    out: View,
    residual: View | None = None,
    scale: View | None = None,
) -> Iterator[Step]:
    kernel_size = attrs["kernel"].shape[:2]
    geometry = geometry_of(attrs, kernel_size, out.shape)
    parts: dict[str, Any] = {
        "pointwise": _pointwise(store, attrs, "", "kernel"),
        "kernel_size": kernel_size,
    }
    yield _layer(out, x, residual, scale=scale, geometry=geometry, **parts)


def _depthwise(site: Site) -> Iterator[Step]:
    geometry = geometry_of(site.attrs, site.attrs["kernel"].shape, site.out.shape)
    weights = _depthwise_weights(site.attrs, "", fused=False)
    yield _layer(site.out, site.x, sums=site.sums, geometry=geometry, depthwise=weights)


def _separable(site: Site) -> Iterator[Step]:
    attrs = site.attrs
    parts: dict[str, Any] = {
        "depthwise": _depthwise_weights(attrs, "depthwise_", fused=True),
        "pointwise": _pointwise(site.store, attrs, "", "pointwise_kernel"),
    }
    if attrs.get("pre_activation") is not None:
        parts["pre_activation"] = core_activation(attrs["pre_activation"], site.x.shape[2])
    if "expand_kernel" in attrs:
        parts["expand"] = _pointwise(site.store, attrs, "expand_", "expand_kernel")
    geometry = geometry_of(attrs, attrs["depthwise_kernel"].shape, site.out.shape)
    yield _layer(site.out, site.x, site.optional(1), geometry=geometry, **parts)


def _expand_depthwise(site: Site) -> Iterator[Step]:
    yield from _spread(site, site.out)


def _spread(site: Site, out: View) -> Iterator[Step]:
    geometry = geometry_of(site.attrs, site.attrs["depthwise_kernel"].shape, out.shape)
    parts: dict[str, Any] = {
        "expand": _pointwise(site.store, site.attrs, "expand_", "expand_kernel"),
        "depthwise": _depthwise_weights(site.attrs, "depthwise_", fused=False),
    }
    yield _layer(out, site.x, sums=site.sums, geometry=geometry, **parts)


def _kept(shapes: Sequence[Any], attrs: Attrs) -> list[Shape]:
    """The depthwise result of an inverted residual, if it is small enough to be kept."""
    shape = _shapes.expand_depthwise(shapes[:1], attrs)
    return [shape] if 4 * prod(shape) <= _core.kept_bytes(chosen_isa()) else []


def _inverted(site: Site) -> Iterator[Step]:
    if not site.scratch:
        yield from _separable(site)
        return
    (middle,) = site.scratch
    yield from _spread(site, middle)
    weights = _pointwise(site.store, site.attrs, "", "pointwise_kernel")
    yield _layer(site.out, middle, site.optional(1), pointwise=weights)


# --- all else ---


def _affine(site: Site) -> Iterator[Step]:
    numbers = {name: _float32(site.attrs[name]) for name in ("scale", "offset")}
    activation = core_activation(site.attrs["activation"], site.out.shape[-1])
    yield image_step("affine", site.out, (site.x,), **numbers, activation=activation)


def _only_activation(site: Site) -> Iterator[Step]:
    activation = core_activation(site.attrs["activation"], site.out.shape[-1])
    yield image_step("activation", site.out, (site.x,), activation=activation)


def _unary(site: Site) -> Iterator[Step]:
    function = _core.Activation(site.attrs["function"])
    yield image_step("activation", site.out, (site.x,), activation=function)


def pair(kind: str) -> Lowering:
    def steps(site: Site) -> Iterator[Step]:
        second = site.inputs[1]
        assert second is not None
        activation = core_activation(site.attrs["activation"], site.out.shape[-1])
        views = (site.x, spread(second, site.x.shape))
        yield image_step(kind, site.out, views, activation=activation)

    return Lowering(steps)


def _pool(site: Site) -> Iterator[Step]:
    names = ("function", "window", "strides", "padding", "counted")
    settings = {name: site.attrs[name] for name in names}
    yield image_step("pool", site.out, (site.x,), **settings, dilation=site.attrs["dilation_rate"])


def _global_pool(site: Site) -> Iterator[Step]:
    function = site.attrs["function"]
    if site.sums is None:
        yield image_step("global_pool", site.out, (site.x,), function=function)
    else:
        count = prod(site.x.shape[:2])
        yield image_step("global_pool", site.out, (site.sums,), function=function, count=count)


def _gather(site: Site) -> Iterator[Step]:
    constant = site.attrs["constant"]
    stored = constant if site.dtype == "float32" else constant % 256
    yield image_step("gather", site.out, (site.x,), **site.attrs | {"constant": stored})


def _bilinear(site: Site) -> Iterator[Step]:
    tables = {
        f"{axis}s": (
            site.attrs[f"{axis}_low"],
            site.attrs[f"{axis}_high"],
            _float32(site.attrs[f"{axis}_weight"]),
        )
        for axis in ("row", "column")
    }
    yield image_step("bilinear", site.out, (site.x,), **tables)


def _softmax(site: Site) -> Iterator[Step]:
    beta, x = site.attrs["beta"], site.x
    if beta < 0:
        minus = np.full(x.shape[-1], -1, np.float32)
        yield image_step("affine", site.out, (x,), scale=minus, offset=np.zeros_like(minus))
        x, beta = site.out, -beta
    yield image_step("softmax", site.out, (x,), beta=beta)


def _normalize(site: Site) -> Iterator[Step]:
    numbers = {name: _float32(site.attrs[name]) for name in ("scale", "offset")}
    epsilon = site.attrs["epsilon"]
    yield image_step("normalize", site.out, (site.x,), **numbers, epsilon=epsilon)


conv2d = Lowering(_conv2d, anywhere=True)
depthwise = Lowering(_depthwise, anywhere=True)
separable = Lowering(_separable, anywhere=True)
expand_depthwise = Lowering(_expand_depthwise)
inverted = Lowering(_inverted, _kept)
affine = Lowering(_affine)
activation = Lowering(_only_activation)
unary = Lowering(_unary)
pool = Lowering(_pool)
global_pool = Lowering(_global_pool)
gather = Lowering(_gather)
bilinear = Lowering(_bilinear)
softmax = Lowering(_softmax)
normalize = Lowering(_normalize)
