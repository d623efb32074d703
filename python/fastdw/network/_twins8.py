"""The twins of the operators of 8-bit integers; see `_twins`. They give integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fastdw
from fastdw.network._attributes import place

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._shapes import Attrs
    from fastdw.network._twins import Values


def _take(attrs: Attrs, *names: str, prefix: str = "") -> dict[str, Any]:
    return {name: attrs[f"{prefix}{name}"] for name in names}


def _project(x: AnyArray, inputs: Values, attrs: Attrs, name: str, **more: Any) -> AnyArray:
    """A convolution, and the residual if there is one."""
    residual = {}
    if len(inputs) > 1:
        residual = {"residual": inputs[1], "addend": attrs["residual"], "sum": attrs["sum"]}
    return fastdw.reference.quantized_conv2d(
        x, attrs[name], attrs["scales"], **_take(attrs, "output", "bias", "activation"), **more,
        **residual,
    )  # fmt: skip


def conv2d(inputs: Values, attrs: Attrs) -> AnyArray:
    return _project(inputs[0], inputs, attrs, "kernel", **_take(attrs, "input"), **place(attrs))


def _depthwise(x: AnyArray, attrs: Attrs, prefix: str, output: Any) -> AnyArray:
    return fastdw.reference.quantized_depthwise_conv2d(
        x, attrs[f"{prefix}kernel"], attrs[f"{prefix}scales"], output=output,
        **_take(attrs, "input"), **place(attrs),
        **_take(attrs, "bias", "activation", prefix=prefix),
    )  # fmt: skip


def depthwise(inputs: Values, attrs: Attrs) -> AnyArray:
    return _depthwise(inputs[0], attrs, "", attrs["output"])


def separable(inputs: Values, attrs: Attrs) -> AnyArray:
    middle = attrs["middle"]
    x = _depthwise(inputs[0], attrs, "depthwise_", middle)
    return _project(x, inputs, attrs, "pointwise_kernel", input=middle)


def _pair(inputs: Values, attrs: Attrs) -> tuple[tuple[AnyArray, AnyArray], dict[str, Any]]:
    a, b = np.asarray(inputs[0]), np.asarray(inputs[1] if len(inputs) > 1 else attrs["term"])
    b = b if a.shape == b.shape else b.reshape(-1)
    ends = {"qa": attrs["input"], "qb": attrs["second"]}
    return (a, b), ends | _take(attrs, "output", "activation")


def add(inputs: Values, attrs: Attrs) -> AnyArray:
    operands, ends = _pair(inputs, attrs)
    return fastdw.reference.quantized_add(*operands, **ends, subtrahend=attrs["subtrahend"])


def multiply(inputs: Values, attrs: Attrs) -> AnyArray:
    operands, ends = _pair(inputs, attrs)
    return fastdw.reference.quantized_multiply(*operands, **ends)


def bilinear(inputs: Values, attrs: Attrs) -> AnyArray:
    rows, columns = (
        tuple(attrs[f"{axis}_{part}"] for part in ("low", "high", "weight"))
        for axis in ("row", "column")
    )
    ends = _take(attrs, "input", "origin")
    return fastdw.reference.quantized_bilinear(inputs[0], rows, columns, **ends)


def pool(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.quantized_pool(inputs[0], **attrs)


def mean(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.quantized_mean(inputs[0], **attrs)


def softmax(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.quantized_softmax(inputs[0], **attrs)


def table(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.look_up(inputs[0], **attrs)


def quantize(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.quantize(inputs[0], attrs["output"])


def dequantize(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.dequantize(inputs[0], attrs["input"])
