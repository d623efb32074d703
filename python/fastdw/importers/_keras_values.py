"""The graph of a Keras model while it grows, and the settings of its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import MAX_TABLE, Missing, Unsupported
from fastdw.importers._keras_file import KerasModel, Weights
from fastdw.network._graph import GraphBuilder

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

_REQUIRED: Any = object()
_FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
_NO_MATTER = (
    "name",
    "trainable",
    "batch_input_shape",
    "batch_shape",
    "batch_size",
    "input_dtype",
    "input_shape",
    "optional",
    "function",
    "filters",
    "units",
    "momentum",
    "renorm_momentum",
    "fused",
    "synchronized",
)
"""Settings that say what the weights say too, or nothing about what a trained layer computes."""
_TRAINING = ("_initializer", "_regularizer", "_constraint")
_NEUTRAL: tuple[Any, ...] = (None, False, [], (), {}, "")


class Settings:
    """The configuration of a layer; each entry is taken by whoever understands it."""

    def __init__(self, config: dict[str, Any], weights: Weights) -> None:
        self.name = str(config.get("name", ""))
        self._config, self._weights = dict(config), weights

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """An entry."""
        if name not in self._config and default is _REQUIRED:
            msg = f"without {name}"
            raise Unsupported(msg)
        return self._config.pop(name, default)

    def pair(self, name: str, default: Any = _REQUIRED) -> tuple[int, int]:
        """(height, width), each at least 1; one number is both, None the default."""
        value = self.take(name, default)
        value = default if value is None else value
        values = value if isinstance(value, (list, tuple)) else (value, value)
        if len(values) != 2 or not all(type(n) is int and n > 0 for n in values):
            msg = f"with {name}={value}"
            raise Unsupported(msg)
        return values[0], values[1]

    def channels_first(self) -> bool:
        value = self.take("data_format", "channels_last")
        if value not in (None, "channels_last", "channels_first"):
            msg = f"with data_format={value!r}"
            raise Unsupported(msg)
        return bool(value == "channels_first")

    def weights(self, *names: str) -> list[AnyArray]:
        """Variables; these must be all that the layer has, in their order."""
        found = self._weights.variables(self.name, names)
        return [found[name] for name in names]

    def ignore_the_rest(self) -> None:
        self._config = {"dtype": self._config.get("dtype")}

    def refuse_the_rest(self) -> None:
        dtype = self._config.pop("dtype", "float32")
        if isinstance(dtype, dict):
            dtype = dtype.get("config", {}).get("name")
        if dtype is not None and dtype not in _FLOATS:
            msg = f"of dtype {dtype}"
            raise Unsupported(msg)
        for name, value in self._config.items():
            neutral = any(value is v or (v != 0 and value == v) for v in _NEUTRAL)
            neutral |= isinstance(value, (list, tuple, dict, str)) and not value
            neutral |= name == "groups" and value == 1
            if name not in _NO_MATTER and not name.endswith(_TRAINING) and not neutral:
                msg = f"with {name}={value!r}"
                raise Unsupported(msg)


class Conversion:
    """The graph while it grows; its values are images (H, W, C), or as Keras says, less batch."""

    def __init__(self, model: KerasModel) -> None:
        self.version = model.version
        self.name = model.name
        self.builder = GraphBuilder()
        self.missing = Missing(model.name)
        self.source: tuple[str, ...] = ()

    def shape(self, x: str) -> tuple[int, ...]:
        return self.builder.shape(x)

    def add(self, op: str, inputs: str | Sequence[str], **attrs: Any) -> str:
        """A node of the graph."""
        return self.builder.add(op, inputs, source=self.source, **attrs)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        if math.prod(shape) != math.prod(self.shape(x)):
            msg = f"of {self.shape(x)} to {tuple(shape)}"
            raise Unsupported(msg)
        return _common.reshape(self.builder, x, shape, source=self.source)

    def affine(self, x: str, scale: Any, offset: Any) -> str:
        return _common.affine(self.builder, x, scale, offset, source=self.source)

    def moved(self, x: str, order: Sequence[int]) -> str:
        """The value with its axes in this order."""
        if tuple(order) == tuple(range(len(order))):
            return x
        return self.add("transpose", x, axes=tuple(order))

    def image(self, x: str, channels_first: bool) -> str:
        """A value as (H, W, C)."""
        if len(self.shape(x)) != 3:
            msg = f"on a value of shape {self.shape(x)}"
            raise Unsupported(msg)
        return self.moved(x, (1, 2, 0)) if channels_first else x

    def back(self, x: str, channels_first: bool) -> str:
        """From (H, W, C) to what the layer gives."""
        return self.moved(x, (2, 0, 1)) if channels_first else x

    def axis(self, axis: Any, x: str) -> int:
        """An axis of Keras, which counts the batch, as one of the graph's value."""
        rank = len(self.shape(x))
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            (axis,) = axis
        if type(axis) is not int or not -rank <= axis <= rank or axis == 0:
            msg = f"along axis {axis} of {rank + 1}"
            raise Unsupported(msg)
        return axis % rank if axis < 0 else axis - 1

    def last(self, x: str, axis: int) -> tuple[str, tuple[int, ...]]:
        """The value with this axis as the last, and the order that brings it back."""
        rank = len(self.shape(x))
        order = [*(a for a in range(rank) if a != axis), axis]
        back = tuple(order.index(a) for a in range(rank))
        return self.moved(x, order), back

    def stretched(self, x: str, shape: tuple[int, ...]) -> str:
        """Repeated along axes where it has one entry."""
        own = self.shape(x)
        fits = len(own) == len(shape) == 3 and all(
            a in (1, n) for a, n in zip(own, shape, strict=True)
        )
        if own == shape:
            return x
        if not fits or max(shape) > MAX_TABLE:
            msg = f"of shapes {own} and {shape}"
            raise Unsupported(msg)
        picks = {
            word: (0,) * n if a != n else None
            for word, a, n in zip(("rows", "columns", "channels"), own, shape, strict=True)
        }
        return self.add("gather", x, **picks)

    def activate(self, x: str, spec: Any) -> str:
        """A named activation, or one that Keras serialized."""
        from fastdw.importers import _keras_activations

        return _keras_activations.activate(self, x, spec)


def numbers(value: Any) -> AnyArray:
    """A number, a list of them, or an array that Keras serialized."""
    if isinstance(value, dict):
        value = value.get("config", {}).get("value")
    result = np.asarray(value)
    if result.dtype.kind not in "fiu":
        msg = f"with numbers {value!r}"
        raise Unsupported(msg)
    return result.astype(np.float64)
