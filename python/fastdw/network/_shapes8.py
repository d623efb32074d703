"""The shape rules of the operators of 8-bit integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastdw import _core
from fastdw.network import _numbers8 as numbers
from fastdw.network import _shapes

if TYPE_CHECKING:
    from fastdw.network._shapes import Attrs, Shape

_ENTRIES = 256
MOST_CELLS = _core.most_cells  # an axis


def _residual(inputs: Sequence[Any], attrs: Attrs, shape: Shape) -> Shape:
    there = len(inputs) > 1
    _shapes.equal("quantizations of residual and sum", _there(attrs), (there, there))
    if there:
        _shapes.equal("the residual's shape", inputs[1], shape)
    return shape


def _there(attrs: Attrs) -> tuple[bool, bool]:
    return attrs["residual"] is not None, attrs["sum"] is not None


def conv2d(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x, (kh, kw, depth, filters) = _shapes.as_image(inputs[0]), attrs["kernel"].shape
    _shapes.equal("kernel.shape[2]", depth, x[2])
    numbers.convolution(attrs)
    numbers.residual(attrs)
    return _residual(inputs, attrs, (*_shapes.windows(x, (kh, kw), attrs), filters))


def _depthwise(x: Shape, attrs: Attrs, name: str) -> Shape:
    kernel = attrs[name].shape
    _shapes.equal(f"{name}.shape[2]", kernel[2], x[2])
    return (*_shapes.windows(x, kernel, attrs), x[2] * kernel[3])


def depthwise(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    shape = _depthwise(_shapes.as_image(inputs[0]), attrs, "kernel")
    numbers.depthwise(attrs)
    return shape


def separable(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    middle = _depthwise(_shapes.as_image(inputs[0]), attrs, "depthwise_kernel")
    kernel = attrs["pointwise_kernel"].shape
    _shapes.equal("pointwise_kernel.shape[:3]", kernel[:3], (1, 1, middle[2]))
    numbers.depthwise(attrs, "depthwise_", "middle")
    numbers.convolution(attrs, "pointwise_kernel", "middle")
    numbers.residual(attrs)
    return _residual(inputs, attrs, (*middle[:2], kernel[3]))


def _pair(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    shape: Shape = inputs[0]
    if len(inputs) > 1:
        _shapes.equal("term beside a second input", attrs["term"], None)
        return _shapes.two(inputs, {})
    _shapes.equal("entries of term", len(attrs["term"] or ()), shape[-1])
    return shape


def add(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    numbers.add(attrs)
    return _pair(inputs, attrs)


def multiply(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    numbers.multiply(attrs)
    return _pair(inputs, attrs)


def _check_cells(name: str, count: int) -> None:
    if count > MOST_CELLS:
        msg = f"a sum of bytes takes at most {MOST_CELLS} an axis, got a {name} of {count}"
        raise ValueError(msg)


def pool(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = _shapes.as_image(inputs[0])
    settings = (attrs[name] for name in ("padding", "window", "dilation_rate"))
    for size, pads, taps, dilation in zip(x, *settings, strict=False):
        # No window may hold padding alone, as dilated ones can: its mean is none.
        if max(pads) >= taps or (max(pads) > 0 and dilation > 1):
            msg = f"padding must be less than a window without dilation, got {pads} under {taps}"
            raise ValueError(msg)
        _check_cells("window", min(taps, size))
    numbers.pool(attrs)
    return (*_shapes.windows(x, attrs["window"], attrs), x[2])


def mean(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = _shapes.as_image(inputs[0])
    for size in x[:2]:
        _check_cells("image", size)
    numbers.mean(attrs, x[0] * x[1])
    return 1, 1, x[2]


def bilinear(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    numbers.bilinear(attrs)
    return _shapes.bilinear(inputs, attrs)


def softmax(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    numbers.softmax(attrs)
    shape: Shape = inputs[0]
    return shape


def table(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    _shapes.equal("entries of table", len(attrs["table"]), _ENTRIES)
    numbers.table(attrs)
    shape: Shape = inputs[0]
    return shape
