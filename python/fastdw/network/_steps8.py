"""What the operators of 8-bit integers become when they run: see `_steps`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from fastdw import _core
from fastdw._half8 import packed_depthwise, packed_pointwise
from fastdw._isa import chosen_isa8
from fastdw.network import _numbers8 as numbers
from fastdw.network._attributes import NO_PADS
from fastdw.network._steps import Lowering, Site, array, geometry_of, image_step, spread

if TYPE_CHECKING:
    from fastdw._core import Step
    from fastdw.network._shapes import Attrs


def _layer(site: Site, taps: tuple[int, ...], **parts: Any) -> Step:
    views = (site.out, site.x, site.optional(1))
    where = geometry_of(site.attrs, taps, site.out.shape)
    settings = parts | {"geometry": where, "kernel_size": taps}
    return "layer8", tuple(None if view is None else array(view) for view in views), settings


def _conv2d(site: Site) -> Iterator[Step]:
    attrs, taps = site.attrs, site.attrs["kernel"].shape[:2]
    matrix = packed_pointwise(numbers.convolution(attrs))
    yield _layer(site, taps, pointwise=matrix, sum=numbers.residual(attrs))


def _window(site: Site, prefix: str, result: str) -> tuple[tuple[int, ...], _core.Depthwise8]:
    """Taps and weights of a depthwise half."""
    taps = site.attrs[f"{prefix}kernel"].shape[:2]
    sh, sw, dh, dw, *_ = geometry_of(site.attrs, taps, site.out.shape)
    half = numbers.depthwise(site.attrs, prefix, result)
    return taps, packed_depthwise(half, (sh, sw, dh, dw))


def _depthwise(site: Site) -> Iterator[Step]:
    taps, weights = _window(site, "", "output")
    yield _layer(site, taps, depthwise=weights)


def _separable(site: Site) -> Iterator[Step]:
    attrs = site.attrs
    taps, weights = _window(site, "depthwise_", "middle")
    matrix = packed_pointwise(numbers.convolution(attrs, "pointwise_kernel", "middle"))
    parts = {"depthwise": weights, "pointwise": matrix, "sum": numbers.residual(attrs)}
    yield _layer(site, taps, **parts)


def _pair(kind: str, settings: Callable[[Attrs], dict[str, Any]]) -> Lowering:
    def steps(site: Site) -> Iterator[Step]:
        second = site.optional(1)
        views = (site.x, None if second is None else spread(second, site.x.shape))
        yield image_step(kind, site.out, views, **settings(site.attrs), isa=chosen_isa8())

    return Lowering(steps)


def _bilinear(site: Site) -> Iterator[Step]:
    settings = numbers.bilinear(site.attrs)
    yield image_step("bilinear8", site.out, (site.x,), **settings, isa=chosen_isa8())


def _pool(site: Site) -> Iterator[Step]:
    names = ("function", "window", "strides", "padding")
    settings = {name: site.attrs[name] for name in names}
    settings |= {"dilation": site.attrs["dilation_rate"], "counted": NO_PADS}
    yield image_step("pool8", site.out, (site.x,), **settings, **numbers.pool(site.attrs))


def _mean(site: Site) -> Iterator[Step]:
    settings = numbers.mean(site.attrs, prod(site.x.shape[:2]))
    yield image_step("mean8", site.out, (site.x,), **settings)


def _table(site: Site) -> Iterator[Step]:
    yield image_step("table8", site.out, (site.x,), **numbers.table(site.attrs), isa=chosen_isa8())


def _plain(kind: str, settings: Callable[[Attrs], dict[str, Any]]) -> Lowering:
    def steps(site: Site) -> Iterator[Step]:
        yield image_step(kind, site.out, (site.x,), **settings(site.attrs))

    return Lowering(steps)


conv2d = Lowering(_conv2d)
depthwise = Lowering(_depthwise)
separable = Lowering(_separable)
add = _pair("add8", numbers.add)
multiply = _pair("multiply8", numbers.multiply)
bilinear = Lowering(_bilinear)
pool = Lowering(_pool)
mean = Lowering(_mean)
softmax = _plain("softmax8", numbers.softmax)
table = Lowering(_table)
quantize = _plain("quantize", numbers.quantize)
dequantize = _plain("dequantize", numbers.dequantize)
