"""Activations of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdw.importers._common import Unsupported
from fastdw.importers._norms import Moment
from fastdw.importers._onnx_file import OnnxNode
from fastdw.importers._onnx_math import combine, near, number_of
from fastdw.importers._onnx_values import Conversion, Live, Pending, Value, expanded


def _plain(name: Any) -> Callable[[Conversion, OnnxNode], Value]:
    return lambda c, node: c.activate(c.live(node), name)


def _with(name: str, attribute: str, default: float) -> Callable[[Conversion, OnnxNode], Value]:
    return lambda c, node: c.activate(c.live(node), (name, node.number(attribute, default)))


def clamped(c: Conversion, x: Live, low: float, high: float) -> Live:
    """min(max(x, low), high): the upper limit wins."""
    if math.isnan(low) or math.isnan(high):
        msg = f"to {low}...{high}"
        raise Unsupported(msg)
    return c.activate(x, ("clip", min(low, high), high))


def _clip(c: Conversion, node: OnnxNode) -> Value:
    if c.opset < 11:
        limits = [node.number("min", -math.inf), node.number("max", math.inf)]
    else:
        limits = []
        for position, default in ((1, -math.inf), (2, math.inf)):
            limit = c.constant(node, position, "limits")
            number = default if limit is None else number_of(limit)
            if number is None:
                msg = "with limits that are no single numbers"
                raise Unsupported(msg)
            limits.append(number)
    low, high = (math.copysign(math.inf, v) if abs(v) >= 3.4028234e38 else v for v in limits)
    return clamped(c, c.live(node), low, high)


def _limit(low: bool) -> Callable[[Conversion, OnnxNode], Value]:
    def convert(c: Conversion, node: OnnxNode) -> Value:
        values = [c.value(name) for name in node.inputs]
        computed = [v for v in values if not isinstance(v, np.ndarray)]
        constants = [v for v in values if isinstance(v, np.ndarray)]
        numbers = [number_of(v) for v in constants]
        if None in numbers:
            msg = "with a constant that is no single number"
            raise Unsupported(msg)
        result: Value = computed[0]
        for other in computed[1:]:
            result = combine(c, "Max" if low else "Min", result, other)
        x, bounds = c.settled(c.plain(result)), [n for n in numbers if n is not None]
        if not bounds:
            return x
        x = expanded(x, max(v.ndim for v in constants))
        return (
            clamped(c, x, max(bounds), math.inf) if low else clamped(c, x, -math.inf, min(bounds))
        )

    return convert


def hard_sigmoid(c: Conversion, x: Live, alpha: float, beta: float) -> Live:
    """min(max(alpha·x + beta, 0), 1)."""
    if near(alpha, 1 / 6) and beta == 0.5:
        return c.activate(x, "hard_sigmoid")
    return c.activate(c.affine(x, alpha, beta, None), ("clip", 0.0, 1.0))


def _hard_sigmoid(c: Conversion, node: OnnxNode) -> Value:
    return hard_sigmoid(c, c.live(node), node.number("alpha", 0.2), node.number("beta", 0.5))


def _selu(c: Conversion, node: OnnxNode) -> Value:
    y = c.activate(c.live(node), ("elu", node.number("alpha", 1.6732632)))
    return c.affine(y, node.number("gamma", 1.050701), 0.0, None)


def _celu(c: Conversion, node: OnnxNode) -> Value:
    """alpha·elu(x/alpha)."""
    x, alpha = c.live(node), node.number("alpha", 1.0)
    if not alpha > 0:
        msg = f"with alpha={alpha}"
        raise Unsupported(msg)
    y = c.activate(c.affine(x, 1 / alpha, 0.0, None), ("elu", 1.0))
    return c.affine(y, alpha, 0.0, None)


def _softplus(c: Conversion, node: OnnxNode) -> Value:
    x = c.live(node)
    return c.activate(x, "softplus")._replace(moment=Moment("softplus", x, ()))


_NEGLIGIBLE = 17.0
"""From here on log(1 + e^x) is x in float32."""


def _greater(c: Conversion, node: OnnxNode) -> Value:
    limit = c.constant(node, 1, "limits")
    number = None if limit is None else number_of(limit)
    word = f"{node.op} of a computed value"
    return Pending("greater", c.live(node), math.nan if number is None else number, word, node.name)


def _where(c: Conversion, node: OnnxNode) -> Value:
    """x where that is great, and else softplus of x, is that: so PyTorch writes softplus."""
    condition, x, y = (c.get(node, i) for i in range(3))
    if not isinstance(condition, Pending) or not isinstance(x, Live) or not isinstance(y, Live):
        msg = "by a computed condition"
        raise Unsupported(msg)
    great = condition.kind == "greater" and condition.base.same(x)
    soft = y.moment and y.moment.kind == "softplus" and y.moment.base.same(x)
    return y if great and soft and condition.factor >= _NEGLIGIBLE else c.plain(condition)


def _gelu(c: Conversion, node: OnnxNode) -> Value:
    kind = node.text("approximate", "none")
    if kind not in ("none", "tanh"):
        msg = f"with approximate={kind!r}"
        raise Unsupported(msg)
    return c.activate(c.live(node), "gelu" if kind == "none" else "gelu_tanh")


def _swish(c: Conversion, node: OnnxNode) -> Value:
    x, alpha = c.live(node), node.number("alpha", 1.0)
    if alpha == 1:
        return c.activate(x, "swish")
    return combine(c, "Mul", x, c.activate(c.affine(x, alpha, 0.0, None), "sigmoid"))


def _prelu(c: Conversion, node: OnnxNode) -> Value:
    x, slope = c.live(node), c.constant(node, 1, "slopes")
    if c.opset < 7 and slope is not None and slope.ndim == 1:  # one a channel
        slope = slope.reshape(-1, *(1,) * (len(x.shape) - 2))
    if slope is None or np.broadcast_shapes(slope.shape, x.shape) != x.shape:
        msg = f"with slopes of shape {() if slope is None else slope.shape} on {x.shape}"
        raise Unsupported(msg)
    if slope.size == 1:
        return c.activate(x, ("leaky_relu", float(slope.reshape(-1)[0])))
    axes = [a for a in range(-slope.ndim, 0) if slope.shape[a] > 1]
    if len(axes) != 1:
        msg = f"with slopes by position, of shape {slope.shape}"
        raise Unsupported(msg)
    return c.activate(c.last(x, axes[0] % len(x.shape)), ("prelu", slope.reshape(-1).astype("f4")))


CONVERTERS: dict[str, Callable[[Conversion, OnnxNode], Any]] = {
    "Relu": _plain("relu"),
    "Sigmoid": _plain("sigmoid"),
    "Tanh": _plain("tanh"),
    "HardSwish": _plain("hard_swish"),
    "LeakyRelu": _with("leaky_relu", "alpha", 0.01),
    "Elu": _with("elu", "alpha", 1.0),
    "Selu": _selu,
    "Celu": _celu,
    "Softplus": _softplus,
    "Greater": _greater,
    "Where": _where,
    "Mish": _plain("mish"),
    "Clip": _clip,
    "Min": _limit(False),
    "Max": _limit(True),
    "HardSigmoid": _hard_sigmoid,
    "Gelu": _gelu,
    "com.microsoft.Gelu": _plain("gelu"),
    "Swish": _swish,
    "PRelu": _prelu,
}
