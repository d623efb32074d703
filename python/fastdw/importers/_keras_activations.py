"""Activations of Keras, by name, serialized, or as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastdw.importers._common import Unsupported
from fastdw.importers._keras_values import Conversion, Settings

_SELU = 1.0507009873554805, 1.6732632423543772
_PLAIN: dict[str, Any] = {
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "silu": "swish",
    "swish": "swish",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "gelu": "gelu",
    "elu": ("elu", 1.0),
    "leaky_relu": ("leaky_relu", 0.2),
    "celu": ("elu", 1.0),
    "softplus": "softplus",
    "mish": "mish",
    "hard_tanh": ("clip", -1.0, 1.0),
}
FUNCTIONS = {
    "exponential": "exp",
    **{name: name for name in ("exp", "log", "sqrt", "abs", "reciprocal")},
    "absolute": "abs",
}
"""Those of fastdw, by the names of Keras's."""


def activate(c: Conversion, x: str, spec: Any) -> str:
    """An activation by its name, or as Keras serializes a function or a layer."""
    if isinstance(spec, dict):
        if spec.get("class_name") in LAYERS:
            settings = Settings(spec.get("config", {}), _NONE)
            result = LAYERS[spec["class_name"]](c, settings, x)
            settings.refuse_the_rest()
            return result
        spec = spec.get("config") if spec.get("class_name") == "function" else spec
    if spec in (None, "linear"):
        return x
    if spec == "softmax":
        return c.add("softmax", x)
    if spec == "selu":
        scale, alpha = _SELU
        return c.affine(c.add("activation", x, activation=("elu", alpha)), scale, 0.0)
    if spec == "hard_sigmoid":
        if c.version == 3:
            return c.add("activation", x, activation="hard_sigmoid")
        return _clip(c, c.affine(x, 0.2, 0.5), 0.0, 1.0)
    if spec == "softsign":
        size = c.affine(c.add("unary", x, function="abs"), 1.0, 1.0)
        return c.add("divide", (x, size))
    if spec == "log_sigmoid":
        return c.affine(c.add("activation", c.affine(x, -1.0, 0.0), activation="softplus"), -1, 0)
    if isinstance(spec, str) and spec in FUNCTIONS:
        return c.add("unary", x, function=FUNCTIONS[spec])
    if not isinstance(spec, str) or spec not in _PLAIN:
        msg = f"with activation={spec!r}"
        raise Unsupported(msg)
    return c.add("activation", x, activation=_PLAIN[spec])


class _NoWeights:
    """Of an activation within a layer: PReLU alone has some, and is refused there."""

    def variables(self, layer: str, names: Any) -> Any:
        msg = "with an activation that has weights"
        raise Unsupported(msg)

    inside = variables


_NONE: Any = _NoWeights()


def _clip(c: Conversion, x: str, low: float, high: float) -> str:
    return c.add("activation", x, activation=("clip", low, high))


def _relu(c: Conversion, s: Settings, x: str) -> str:
    high, threshold = s.take("max_value", None), s.take("threshold", 0)
    slope = s.take("negative_slope", 0)
    if threshold:
        msg = f"with threshold={threshold}"
        raise Unsupported(msg)
    if slope:
        x = c.add("activation", x, activation=("leaky_relu", float(slope)))
        return x if high is None else _clip(c, x, -math.inf, float(high))
    if high is None:
        return c.add("activation", x, activation="relu")
    return c.add("activation", x, activation="relu6" if high == 6 else ("clip", 0.0, float(high)))


def _leaky(c: Conversion, s: Settings, x: str) -> str:
    slope = s.take("negative_slope", None)
    slope = s.take("alpha", 0.3) if slope is None else slope
    return c.add("activation", x, activation=("leaky_relu", float(slope)))


def _elu(c: Conversion, s: Settings, x: str) -> str:
    return c.add("activation", x, activation=("elu", float(s.take("alpha", 1.0))))


def _prelu(c: Conversion, s: Settings, x: str) -> str:
    s.take("shared_axes", None)
    (slopes,) = s.weights("alpha")
    shape = c.shape(x)
    if slopes.size == 1:
        return c.add("activation", x, activation=("leaky_relu", float(slopes.reshape(-1)[0])))
    large = [a for a, n in enumerate(slopes.shape) if n > 1]
    if len(large) != 1 or slopes.ndim != len(shape) or slopes.shape[large[0]] != shape[large[0]]:
        msg = f"with slopes of shape {slopes.shape} on {shape}"
        raise Unsupported(msg)
    x, back = c.last(x, large[0])
    return c.moved(c.add("activation", x, activation=("prelu", slopes.reshape(-1))), back)


def _softmax(c: Conversion, s: Settings, x: str) -> str:
    x, back = c.last(x, c.axis(s.take("axis", -1), x))
    return c.moved(c.add("softmax", x), back)


def _activation(c: Conversion, s: Settings, x: str) -> str:
    return activate(c, x, s.take("activation"))


LAYERS: dict[str, Callable[[Conversion, Settings, str], str]] = {
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "PReLU": _prelu,
    "Softmax": _softmax,
}
