"""Layers of Keras that normalize each image by itself, and the factors beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.importers._common import Unsupported, by_groups
from fastdw.importers._keras_file import UNNAMED
from fastdw.importers._keras_values import Conversion, Settings

if TYPE_CHECKING:
    from fastdw._typing import AnyArray


def _vectors(s: Settings, channels: int) -> dict[str, AnyArray]:
    """Scale and offset, one of each a channel."""
    names = [
        word for word, there in (("gamma", "scale"), ("beta", "center")) if s.take(there, True)
    ]
    found = dict(zip(names, s.weights(*names), strict=True))
    vectors = {
        "scale": np.asarray(found.get("gamma", np.ones(channels)), np.float64),
        "offset": np.asarray(found.get("beta", np.zeros(channels)), np.float64),
    }
    if any(v.shape != (channels,) for v in vectors.values()):
        msg = f"with weights of shape {[v.shape for v in found.values()]} on {channels} channels"
        raise Unsupported(msg)
    return vectors


def _layer_norm(c: Conversion, s: Settings, x: str) -> str:
    axis, epsilon = c.axis(s.take("axis", -1), x), float(s.take("epsilon", 1e-3))
    if s.take("rms_scaling", False):
        msg = "with rms_scaling"
        raise Unsupported(msg)
    vectors: dict[str, Any] = _vectors(s, c.shape(x)[axis])
    x, back = c.last(x, axis)
    return c.moved(c.add("normalize", x, **vectors, epsilon=epsilon), back)


def _group_norm(c: Conversion, s: Settings, x: str) -> str:
    axis, epsilon = c.axis(s.take("axis", -1), x), float(s.take("epsilon", 1e-3))
    channels, groups = c.shape(x)[axis], s.take("groups", 32)
    if type(groups) is not int:
        msg = f"with groups={groups!r}"
        raise Unsupported(msg)
    vectors = _vectors(s, channels)
    x, back = c.last(x, axis)
    y = by_groups(c.builder, x, channels if groups == -1 else groups, epsilon, source=c.source)
    return c.moved(c.affine(y, vectors["scale"], vectors["offset"]), back)


def _layer_scale(c: Conversion, s: Settings, x: str) -> str:
    """A factor a channel, of ConvNeXt in keras.applications."""
    for name in ("init_values", "projection_dim"):
        s.take(name)
    (gamma,) = s.weights(UNNAMED)
    if gamma.shape != c.shape(x)[-1:]:
        msg = f"with factors of shape {gamma.shape} on {c.shape(x)}"
        raise Unsupported(msg)
    return c.affine(x, gamma, 0.0)


LAYERS: dict[str, Callable[[Conversion, Settings, str], str]] = {
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "LayerScale": _layer_scale,
}
