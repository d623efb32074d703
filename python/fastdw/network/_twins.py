"""The twin of every operator: its definition in float64, from `fastdw.reference`.

That is imported on use: whoever loads a network runs no twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdw
from fastdw.network._attributes import place

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._shapes import Attrs

Values = Sequence[Any]


def _second(inputs: Values) -> AnyArray | None:
    return inputs[1] if len(inputs) > 1 else None


def _depthwise(x: AnyArray, attrs: Attrs, prefix: str) -> AnyArray:
    return fastdw.reference.depthwise_conv2d(
        x,
        attrs[f"{prefix}kernel"],
        **place(attrs),
        bias=attrs[f"{prefix}bias"],
        activation=attrs[f"{prefix}activation"],
    )


def _project(x: AnyArray, inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.conv2d(
        x,
        attrs["pointwise_kernel"],
        bias=attrs["bias"],
        activation=attrs["activation"],
        residual=_second(inputs),
    )


def conv2d(inputs: Values, attrs: Attrs) -> AnyArray:
    x = inputs[0] * np.reshape(inputs[2], -1) if len(inputs) > 2 else inputs[0]
    return fastdw.reference.conv2d(x, **attrs, residual=_second(inputs))


def depthwise(inputs: Values, attrs: Attrs) -> AnyArray:
    return _depthwise(inputs[0], attrs, "")


def conv2d_transpose(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.conv2d_transpose(inputs[0], **attrs)


def affine(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.activate(
        inputs[0] * attrs["scale"] + attrs["offset"], attrs["activation"]
    )


def activation(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.activate(inputs[0], attrs["activation"])


def _term(inputs: Values) -> AnyArray:
    a, b = np.asarray(inputs[0]), np.asarray(inputs[1])
    return b if a.shape == b.shape else b.reshape(-1)


def unary(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.unary(inputs[0], **attrs)


def _pair(function: Callable[[Any, Any], Any]) -> Callable[[Values, Attrs], AnyArray]:
    @np.errstate(all="ignore")
    def twin(inputs: Values, attrs: Attrs) -> AnyArray:
        return fastdw.reference.activate(function(inputs[0], _term(inputs)), attrs["activation"])

    return twin


PAIRS = {
    "add": _pair(np.add),
    "multiply": _pair(np.multiply),
    "divide": _pair(np.divide),
    "maximum": _pair(np.maximum),
    "minimum": _pair(np.minimum),
}


def pool(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.pool(inputs[0], **attrs)


def global_pool(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.global_pool(inputs[0], **attrs)


def concat(inputs: Values, attrs: Attrs) -> AnyArray:
    return np.concatenate(inputs, **attrs)


def slice_(inputs: Values, attrs: Attrs) -> AnyArray:
    numbers = zip(attrs["begin"], attrs["size"], attrs["step"], strict=True)
    result: AnyArray = inputs[0][tuple(slice(b, b + (n - 1) * s + 1, s) for b, n, s in numbers)]
    return result


def gather(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.gather(inputs[0], **attrs)


def bilinear(inputs: Values, attrs: Attrs) -> AnyArray:
    rows, columns = (
        (attrs[f"{axis}_low"], attrs[f"{axis}_high"], attrs[f"{axis}_weight"])
        for axis in ("row", "column")
    )
    return fastdw.reference.bilinear(inputs[0], rows, columns)


def reshape(inputs: Values, attrs: Attrs) -> AnyArray:
    return np.reshape(inputs[0], attrs["shape"])


def transpose(inputs: Values, attrs: Attrs) -> AnyArray:
    return np.transpose(inputs[0], attrs["axes"])


def softmax(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.softmax(inputs[0], **attrs)


def normalize(inputs: Values, attrs: Attrs) -> AnyArray:
    return fastdw.reference.normalize(inputs[0], **attrs)


def separable(inputs: Values, attrs: Attrs) -> AnyArray:
    x = fastdw.reference.activate(inputs[0], attrs["pre_activation"])
    return _project(_depthwise(x, attrs, "depthwise_"), inputs, attrs)


def expand_depthwise(inputs: Values, attrs: Attrs) -> AnyArray:
    x = fastdw.reference.conv2d(
        inputs[0],
        attrs["expand_kernel"],
        bias=attrs["expand_bias"],
        activation=attrs["expand_activation"],
    )
    return _depthwise(x, attrs, "depthwise_")


def inverted(inputs: Values, attrs: Attrs) -> AnyArray:
    return _project(expand_depthwise(inputs, attrs), inputs, attrs)
