"""The shape rule of every operator: what its inputs and attributes give, or why they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fastdw import _geometry
from fastdw.network import _attributes as kind
from fastdw.network._attributes import MAX_RANK, NO_PADS

Shape = tuple[int, ...]
Attrs = dict[str, Any]


def window_size(size: int, taps: int, stride: int, dilation: int, pads: tuple[int, int]) -> int:
    """Outputs along one axis."""
    result = (size + sum(pads) - (taps - 1) * dilation - 1) // stride + 1
    if result < 1:
        msg = (
            f"Computed output size would be zero or negative: {size} with padding {pads} under "
            f"{taps} taps at dilation rate {dilation}"
        )
        raise ValueError(msg)
    return result


def same_pads(
    size: Sequence[int],
    taps: Sequence[int],
    strides: Sequence[int],
    dilation_rate: Sequence[int] = (1, 1),
    lower: bool = False,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The explicit pads of "same" (or "same_lower": an odd pixel first) for (height, width)."""

    axes = zip(size[:2], taps, strides, dilation_rate, strict=False)
    rows, columns = (
        _geometry.same_pads(n, (count - 1) * dilation + 1, stride, lower)
        for n, count, stride, dilation in axes
    )
    return rows, columns


def as_image(shape: Shape, name: str = "x") -> Shape:
    if len(shape) != 3:
        msg = f"{name} must be (H, W, C), got {shape}"
        raise ValueError(msg)
    return shape


def equal(name: str, value: object, wanted: object) -> None:
    if value != wanted:
        msg = f"{name} must be {wanted}, got {value}"
        raise ValueError(msg)


def windows(x: Shape, taps: Sequence[int], attrs: Attrs) -> Shape:
    dilation = attrs["dilation_rate"]
    rows, columns = (
        window_size(x[axis], taps[axis], attrs["strides"][axis], dilation[axis], pads)
        for axis, pads in enumerate(attrs["padding"])
    )
    return rows, columns


def _epilogue(attrs: Attrs, channels: int, prefix: str = "") -> None:
    bias = attrs.get(f"{prefix}bias")
    if bias is not None:
        equal(f"{prefix}bias.shape", bias.shape, (channels,))
    kind.fits(f"{prefix}activation", attrs[f"{prefix}activation"], channels)


def _residual(inputs: Sequence[Any], shape: Shape) -> Shape:
    if len(inputs) > 1 and inputs[1] is not None:
        equal("the residual's shape", inputs[1], shape)
    return shape


def _one_by_one(attrs: Attrs, name: str, channels: int) -> int:
    """The filters of a 1×1 kernel."""
    equal(f"{name}.shape[:3]", attrs[name].shape[:3], (1, 1, channels))
    return int(attrs[name].shape[3])


def _depthwise_part(x: Shape, attrs: Attrs, prefix: str) -> Shape:
    kernel = attrs[f"{prefix}kernel"]
    equal(f"{prefix}kernel.shape[2]", kernel.shape[2], x[2])
    channels = x[2] * kernel.shape[3]
    _epilogue(attrs, channels, prefix)
    return (*windows(x, kernel.shape, attrs), channels)


def conv2d(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x, (kh, kw, depth, filters) = as_image(inputs[0]), attrs["kernel"].shape
    groups = attrs["groups"]
    equal("kernel.shape[2] * groups", depth * groups, x[2])
    equal("kernel.shape[3] % groups", filters % groups, 0)
    _epilogue(attrs, filters)
    if len(inputs) > 2:
        simple = (kh, kw, groups) == (1, 1, 1) and attrs["padding"] == NO_PADS
        equal("1×1, not padded and of one group, with x_scale,", simple, True)
        _per_channel(inputs[2], x[2], "x_scale")
    return _residual(inputs, (*windows(x, (kh, kw), attrs), filters))


def conv2d_transpose(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x, kernel = as_image(inputs[0]), attrs["kernel"].shape
    equal("kernel.shape[2]", kernel[2], x[2])
    _epilogue(attrs, kernel[3])
    more = attrs["output_padding"]
    rows, columns = (
        (x[i] - 1) * attrs["strides"][i] + kernel[i] + more[i] - sum(attrs["padding"][i])
        for i in (0, 1)
    )
    return rows, columns, kernel[3]


def separable(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = as_image(inputs[0])
    kind.fits("pre_activation", attrs["pre_activation"], x[2])
    if attrs["padding"] != NO_PADS and not kind.keeps_zero(attrs["pre_activation"]):
        msg = f"pre_activation must map 0 to 0 under padding, got {attrs['pre_activation']!r}"
        raise ValueError(msg)
    middle = _depthwise_part(x, attrs, "depthwise_")
    filters = _one_by_one(attrs, "pointwise_kernel", middle[2])
    _epilogue(attrs, filters)
    return _residual(inputs, (*middle[:2], filters))


def expand_depthwise(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = as_image(inputs[0])
    channels = _one_by_one(attrs, "expand_kernel", x[2])
    _epilogue(attrs, channels, "expand_")
    return _depthwise_part((*x[:2], channels), attrs, "depthwise_")


def inverted(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    middle = expand_depthwise(inputs, attrs)
    filters = _one_by_one(attrs, "pointwise_kernel", middle[2])
    _epilogue(attrs, filters)
    return _residual(inputs, (*middle[:2], filters))


def like_x(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x: Shape = inputs[0]
    for name in ("scale", "offset"):
        if name in attrs:
            equal(f"{name}.shape", attrs[name].shape, x[-1:])
    if "activation" in attrs:
        kind.fits("activation", attrs["activation"], x[-1])
    return x


def _per_channel(shape: Shape, channels: int, name: str) -> None:
    if shape[-1] != channels or prod(shape) != channels:
        msg = f"{name} must be of the same shape, or one entry for {channels} channels, got {shape}"
        raise ValueError(msg)


def two(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    a, b = inputs
    if a != b:
        _per_channel(b, a[-1], "the second input")
    return like_x(inputs, attrs)


def normalize(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    if attrs["epsilon"] < 0:
        msg = f"epsilon must be at least 0, got {attrs['epsilon']}"
        raise ValueError(msg)
    return like_x(inputs, attrs)


def pool(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = as_image(inputs[0])
    for name, inner, outer in zip(
        ("rows", "columns"), attrs["counted"], attrs["padding"], strict=True
    ):
        if inner[0] > outer[0] or inner[1] > outer[1]:
            msg = f"counted {name} must be at most padding {outer}, got {inner}"
            raise ValueError(msg)
    return (*windows(x, attrs["window"], attrs), x[2])


def global_pool(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    return 1, 1, as_image(inputs[0])[2]


def concat(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    first, axis = inputs[0], attrs["axis"]
    if axis >= len(first):
        msg = f"axis must be below {len(first)}, got {axis}"
        raise ValueError(msg)
    for shape in inputs[1:]:
        rest = (*shape[:axis], *shape[axis + 1 :])
        equal("shape besides the axis", rest, (*first[:axis], *first[axis + 1 :]))
        equal("number of axes", len(shape), len(first))
    return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])


def slice_(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x, begin, size, step = inputs[0], attrs["begin"], attrs["size"], attrs["step"]
    equal("entries of begin, size and step", {len(begin), len(size), len(step)}, {len(x)})
    for axis, (b, n, s) in enumerate(zip(begin, size, step, strict=True)):
        if b + (n - 1) * s >= x[axis]:
            msg = f"the slice of axis {axis} must end within {x[axis]}, got {b}, {n}, {s}"
            raise ValueError(msg)
    return tuple(size)


def _below(name: str, table: Sequence[int], size: int) -> None:
    if max(table) >= size:
        msg = f"{name} must be below {size}, got {max(table)}"
        raise ValueError(msg)


def gather(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = as_image(inputs[0])
    result = list(x)
    for axis, name in enumerate(("rows", "columns", "channels")):
        table = attrs[name]
        if table is not None:
            _below(name, table, x[axis])
            result[axis] = len(table)
    return tuple(result)


def bilinear(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    x = as_image(inputs[0])
    for axis, name in enumerate(("row", "column")):
        low, high, weight = (attrs[f"{name}_{part}"] for part in ("low", "high", "weight"))
        equal(f"lengths of the tables of {name}s", (len(high), len(weight)), (len(low),) * 2)
        _below(f"{name}_low", low, x[axis])
        _below(f"{name}_high", high, x[axis])
    return len(attrs["row_low"]), len(attrs["column_low"]), x[2]


def reshape(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    if len(attrs["shape"]) > MAX_RANK:
        msg = f"shape must have at most {MAX_RANK} axes, got {len(attrs['shape'])}"
        raise ValueError(msg)
    equal("entries of shape", prod(attrs["shape"]), prod(inputs[0]))
    return tuple(attrs["shape"])


def transpose(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    axes = attrs["axes"]
    equal("sorted axes", sorted(axes), list(range(len(inputs[0]))))
    return tuple(inputs[0][axis] for axis in axes)


def depthwise(inputs: Sequence[Any], attrs: Attrs) -> Shape:
    return _depthwise_part(as_image(inputs[0]), attrs, "")
