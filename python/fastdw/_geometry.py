"""Where the window lies: strides, dilation, padding, and the sizes that follow from them.

All sizes are Python ints, so no product can overflow. The core's, as wide as a pointer, are safe
because padded images and effective kernels stay below `MAX_EXTENT`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fastdw._arguments import INT64_MAX, describe, integer

if TYPE_CHECKING:
    from fastdw._core import Geometry
    from fastdw._typing import Pads

MAX_EXTENT = 2**31 if sys.maxsize > 2**32 else 2**29
_POINTWISE = (1, 1, 1, 1, 0, 0)
_NO_PADS = ((0, 0), (0, 0))
_PADDINGS = ("valid", "same", "same_lower")


Place: TypeAlias = tuple[object, object, object]
"""strides, dilation_rate and padding as the user gives them."""


class _Axis(NamedTuple):
    """The window along one axis; `extent` = (taps - 1) * dilation + 1."""

    name: str
    taps: int
    stride: int
    dilation: int
    extent: int
    pads: tuple[int, int] | None  # None: SAME
    odd_first: bool  # SAME: the odd pixel goes before the image

    def place(self, size: int) -> tuple[int, int, int]:
        """Output size, stride and padding before the image, as the core takes them."""
        stride, (before, after) = self.stride, self.around(size)
        padded = size + before + after
        count = (padded - self.extent) // stride + 1
        if count < 1:
            self._refuse(size)
        if padded > MAX_EXTENT:
            msg = f"{self.name} of x with its padding must be at most {MAX_EXTENT}, got {padded}"
            raise ValueError(msg)
        return count, (stride if count > 1 else 1), before

    def around(self, size: int) -> tuple[int, int]:
        """Padding before and after the image."""
        if self.pads is not None:
            return self.pads
        return same_pads(size, self.extent, self.stride, self.odd_first)

    def _refuse(self, size: int) -> None:
        msg = (
            f"Computed output size would be zero or negative: x has {self.name} {size} and "
            f"padding {self.pads}, less than the {self.extent} of the kernel "
            f"({self.taps} taps at dilation rate {self.dilation})"
        )
        raise ValueError(msg)


def same_pads(size: int, extent: int, stride: int, odd_first: bool) -> tuple[int, int]:
    """The padding of one axis that gives ceil(size / stride) outputs."""
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    before = (total + odd_first) // 2
    return before, total - before


class Window(NamedTuple):
    """A window as its two axes."""

    rows: _Axis
    columns: _Axis
    padding: str | Pads

    @property
    def strides(self) -> tuple[int, int]:
        return self.rows.stride, self.columns.stride

    @property
    def dilation_rate(self) -> tuple[int, int]:
        return self.rows.dilation, self.columns.dilation

    @property
    def arguments(self) -> dict[str, object]:
        """Those that give the same window on the same kernel again."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }

    @property
    def core_steps(self) -> tuple[int, int, int, int]:
        """Strides and dilations as weights of the core take them, for images of any size.

        No image is larger than `MAX_EXTENT`: a stride beyond it has no second output either.
        """
        axes = (self.rows, self.columns)
        stride_h, stride_w = (min(axis.stride, MAX_EXTENT) for axis in axes)
        dilation_h, dilation_w = (axis.dilation if axis.taps > 1 else 1 for axis in axes)
        return stride_h, stride_w, dilation_h, dilation_w

    @property
    def pads_nothing(self) -> bool:
        return self.padding in ("valid", _NO_PADS)

    def place(self, height: int, width: int) -> tuple[int, int, Geometry]:
        """Output height and width, and the geometry of the core."""
        rows, columns = self.rows, self.columns
        out_height, stride_h, top = rows.place(height)
        out_width, stride_w, left = columns.place(width)
        *_, dilation_h, dilation_w = self.core_steps
        return out_height, out_width, (stride_h, stride_w, dilation_h, dilation_w, top, left)


def window(
    kernel_size: tuple[int, int],
    strides: object,
    dilation_rate: object,
    padding: object,
    data_format: str,
    kernel_name: str,
) -> Window:
    """Check the arguments that place the window; `kernel_name` is that of the one with its size."""
    stride_h, stride_w = pair("strides", strides)
    dilation_h, dilation_w = pair("dilation_rate", dilation_rate)
    mode = _padding(padding, data_format)
    explicit = _NO_PADS if mode == "valid" else mode
    pads = (None, None) if isinstance(explicit, str) else explicit
    odd_first, (taps_h, taps_w) = mode == "same_lower", kernel_size
    height = _extent(kernel_name, "height", taps_h, dilation_h)
    width = _extent(kernel_name, "width", taps_w, dilation_w)
    return Window(
        _Axis("height", taps_h, stride_h, dilation_h, height, pads[0], odd_first),
        _Axis("width", taps_w, stride_w, dilation_w, width, pads[1], odd_first),
        mode,
    )


def _extent(kernel_name: str, axis: str, taps: int, dilation: int) -> int:
    extent = (taps - 1) * dilation + 1
    if extent > MAX_EXTENT:
        msg = (
            f"effective kernel {axis}, (size - 1) * dilation_rate + 1, must be at most "
            f"{MAX_EXTENT}, got {extent} ({kernel_name} {taps}, dilation_rate {dilation})"
        )
        raise ValueError(msg)
    return extent


class Plan(NamedTuple):
    """Where one shape of x leads."""

    shape: tuple[int, ...]
    """Of the output, in the layout of the input."""
    geometry: Geometry


class Signature(NamedTuple):
    """What a layer takes and gives, without its weights."""

    data_format: str
    kernel_name: str
    """The argument that asks for `channels`."""
    channels: int  # of x
    filters: int  # of the result
    window: Window | None  # None: 1 x 1
    dtype: str = "float32"  # of all arrays

    @property
    def channels_first(self) -> bool:
        return self.data_format == "NCHW"

    def plan(self, label: str, shape: tuple[int, ...]) -> Plan:
        """Place the window on x; `label` is what the user calls `shape`."""
        first = self.channels_first
        if len(shape) not in (3, 4):
            axes = "(C, H, W) or (N, C, H, W)" if first else "(H, W, C) or (N, H, W, C)"
            msg = f"{label} must be {axes}, got {shape}"
            raise ValueError(msg)
        if first:
            depth, height, width = shape[-3:]
        else:
            height, width, depth = shape[-3:]
        if not (height and width and depth):
            msg = f"{label} must have height, width and channels of at least 1, got {shape}"
            raise ValueError(msg)
        if depth != self.channels:
            msg = (
                f"{self.kernel_name} has {self.channels} input channels, but "
                f"{label.removesuffix('.shape')} has {depth} ({label} = {shape})"
            )
            raise ValueError(msg)
        geometry = _POINTWISE
        if self.window is not None:
            height, width, geometry = self.window.place(height, width)
        if first:
            return Plan((*shape[:-3], self.filters, height, width), geometry)
        return Plan((*shape[:-3], height, width, self.filters), geometry)


def pair(name: str, value: object, most: int = INT64_MAX) -> tuple[int, int]:
    """(height, width), each at least 1; an int is both."""
    if not isinstance(value, (tuple, list)):
        both = integer(name, value, 1, most, wanted="an int or (h, w)")
        return both, both
    if len(value) != 2:
        msg = f"{name} must be an int or (h, w), got {describe(value)}"
        raise ValueError(msg)
    return integer(f"{name}[0]", value[0], 1, most), integer(f"{name}[1]", value[1], 1, most)


def _padding(value: object, data_format: str) -> str | Pads:
    if isinstance(value, str):
        mode = value.lower()
        if mode not in _PADDINGS:
            msg = f"padding must be one of {', '.join(map(repr, _PADDINGS))}, got {value!r}"
            raise ValueError(msg)
        return mode
    if not isinstance(value, (tuple, list)):
        both = integer("padding", value, 0, MAX_EXTENT, "a str, an int or pairs of ints")
        return (both, both), (both, both)
    nested = [isinstance(part, (tuple, list)) for part in value]
    if len(value) == 2 and not any(nested):
        rows, columns = _pad("padding[0]", value[0]), _pad("padding[1]", value[1])
        return (rows, rows), (columns, columns)
    if len(value) not in (2, 4) or not all(nested) or any(len(part) != 2 for part in value):
        msg = (
            "padding must be a str, an int, (ph, pw), ((top, bottom), (left, right)) or four "
            f"pairs in the order of data_format, got {describe(value)}"
        )
        raise ValueError(msg)
    pairs = [
        (_pad(f"padding[{i}][0]", before), _pad(f"padding[{i}][1]", after))
        for i, (before, after) in enumerate(value)
    ]
    if len(pairs) == 4:
        order = dict(zip(data_format, pairs, strict=True))
        if order["N"] != (0, 0) or order["C"] != (0, 0):
            msg = f"padding must be zero for batch and channels, got {describe(value)}"
            raise ValueError(msg)
        pairs = [order["H"], order["W"]]
    return pairs[0], pairs[1]


def _pad(name: str, value: object) -> int:
    return integer(name, value, 0, MAX_EXTENT)
