"""Layers of Keras that normalize each image by itself, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("h5py")

from fastdw.importers.keras import from_keras
from keras_models import IMAGE, agrees, layer, net, weights

X = weights(1, *IMAGE).astype(np.float64)


def normal(x, axes, epsilon):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def parts(left_out, size):
    arrays = {name: weights(i, size) for i, name in enumerate(("gamma", "beta"), 2)}
    given = {name: array for name, array in arrays.items() if name not in left_out}
    settings = {"scale": "gamma" in given, "center": "beta" in given}
    return given, settings, given.get("gamma", 1.0), given.get("beta", 0.0)


@pytest.mark.parametrize("axis", [-1, 3, [3], 1])
@pytest.mark.parametrize("left_out", [(), ("gamma",), ("gamma", "beta")])
def test_layer_norm(axis, left_out):
    arrays, settings, gamma, beta = parts(left_out, 6 if axis == 1 else 8)
    along = axis if isinstance(axis, int) else 3
    shape = (6, 1, 1) if axis == 1 else (8,)
    wanted = normal(X, along, 1e-6) * np.broadcast_to(gamma, shape[0]).reshape(shape)
    wanted = wanted + np.broadcast_to(beta, shape[0]).reshape(shape)
    part = layer("LayerNormalization", arrays=arrays, axis=axis, epsilon=1e-6, **settings)
    agrees(net(part), wanted, tolerance=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4, 8, -1])
def test_group_norm(groups):
    arrays, settings, gamma, beta = parts((), 8)
    number = 8 if groups == -1 else groups
    grouped = X.reshape(2, 6, 7, number, -1)
    wanted = normal(grouped, (1, 2, 4), 1e-3).reshape(X.shape) * gamma + beta
    part = layer("GroupNormalization", arrays=arrays, groups=groups, axis=-1, **settings)
    agrees(net(part), wanted, tolerance=1e-5)


@pytest.mark.parametrize("name", ["variable", "variable_7"])
def test_layer_scale(name):
    gamma = weights(4, 8)
    arrays = {name: gamma}
    part = layer("LayerScale", arrays=arrays, init_values=1e-6, projection_dim=8)
    agrees(net(part), X * gamma)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (layer("LayerNormalization", axis=[1, 2]), "along axis"),
        (layer("LayerNormalization", rms_scaling=True), "with rms_scaling"),
        (
            layer("LayerNormalization", arrays={"gamma": weights(2, 5)}, center=False),
            "with weights",
        ),
        (layer("LayerNormalization", epsilon=-1.0, scale=False, center=False), "epsilon"),
        (
            layer("GroupNormalization", groups=3, scale=False, center=False),
            "with 3 groups of 8 channels",
        ),
        (layer("LayerScale", init_values=1.0), "without projection_dim"),
    ],
)
def test_what_is_refused(part, reason):
    with pytest.raises(ValueError, match=reason):
        from_keras(net(part))
