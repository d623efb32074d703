"""Models that Keras builds and saves, against Keras, where it is installed."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("h5py")
pytest.importorskip("keras")

import keras
from fastdw.importers.keras import from_keras
from keras import layers
from keras_models import computed
from support import rng, signed

ACTIVATIONS = [
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "silu",
    "hard_silu",
    "hard_sigmoid",
    "gelu",
    "elu",
    "selu",
    "leaky_relu",
    "softmax",
    "celu",
    "softplus",
    "mish",
    "hard_tanh",
    "exponential",
    "softsign",
    "log_sigmoid",
]


def one(*parts, shape=(9, 8, 4)):
    """A model of several results of one input."""
    x = keras.Input(shape)
    return keras.Model(x, [part(x) for part in parts])


def transposed():
    return one(
        *(
            layers.Conv2DTranspose(5, (3, 2), strides=strides, padding=padding)
            for padding in ("same", "valid")
            for strides in ((1, 1), (2, 2), (3, 1), (4, 3))
        ),
        layers.Conv2DTranspose(5, 3, strides=2, output_padding=1),
    )


def activations():
    named = [layers.Activation(name) for name in ACTIVATIONS]
    return one(*named, *(layers.Dense(3, activation=name) for name in ACTIVATIONS))


KINDS = (layers.Add, layers.Average, layers.Subtract, layers.Maximum, layers.Minimum)


def two_inputs():
    a, b = keras.Input((5, 4, 6)), keras.Input((5, 4, 6))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(b)
    merged = [layer()([a, b]) for layer in KINDS]
    merged += [layers.Multiply()([a, gate]), layers.Concatenate(axis=1)([a, b])]
    return keras.Model([a, b], merged)


def nested():
    x, y, z = (keras.Input((5, 4, 6)) for _ in range(3))
    block = keras.Sequential([keras.Input((5, 4, 6)), layers.Conv2D(6, 3, padding="same")])
    block.add(layers.BatchNormalization())
    inner = keras.Model(y, layers.Conv2D(6, 1)(y))
    middle = keras.Model(z, layers.ReLU()(inner(z)))
    return keras.Model(x, middle(block(block(x))))


MODELS = {
    "convolutions": lambda: one(
        layers.Conv2D(6, 3, groups=2, padding="same", strides=2),
        layers.DepthwiseConv2D(3, depth_multiplier=3, dilation_rate=2, padding="same"),
        layers.SeparableConv2D(5, 3, activation=layers.LeakyReLU(0.1)),
    ),
    "transposed convolutions": transposed,
    "sizes": lambda: one(
        layers.UpSampling2D((2, 3), interpolation="bilinear"),
        layers.UpSampling2D(2),
        layers.Resizing(5, 13),
        layers.Resizing(5, 13, interpolation="nearest"),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((1, 2), (0, 3))),
    ),
    "pools": lambda: one(
        # On torch, Keras repeats the border where "same" is uneven; on its other backends not.
        layers.AveragePooling2D(3, (2, 1), "same"),
        layers.MaxPooling2D((2, 3), (1, 2), "same"),
        layers.GlobalMaxPooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
    ),
    "activations": activations,
    "activation layers": lambda: one(
        layers.PReLU(shared_axes=[1, 2]),
        layers.ELU(0.3),
        layers.LeakyReLU(0.1),
        layers.ReLU(4.0, 0.1),
        layers.Softmax(axis=2),
    ),
    "batch norms": lambda: one(
        layers.BatchNormalization(scale=False), layers.BatchNormalization(axis=1, center=False)
    ),
    "norms of each image": lambda: one(
        layers.LayerNormalization(),
        layers.LayerNormalization(epsilon=0.5, center=False),
        layers.GroupNormalization(2),
        layers.GroupNormalization(-1, scale=False),
    ),
    "shapes": lambda: one(layers.Permute((2, 3, 1)), layers.Reshape((-1, 3)), layers.Flatten()),
    "arithmetic": lambda: one(
        lambda x: (x * 2.0 + 1.0) / 3.0 - x, lambda x: 1.0 - x, keras.ops.relu6, keras.ops.silu
    ),
    "two inputs": two_inputs,
    "nested models": nested,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("source", ["memory", "keras", "h5"])
@pytest.mark.filterwarnings("ignore")  # Keras and its backends warn as they like
def test_keras_agrees(name, source, tmp_path):
    model = MODELS[name]()
    for i, variable in enumerate(model.weights):
        values = signed(rng(i), tuple(variable.shape)) / 2
        variable.assign(np.abs(values) + 0.25 if "variance" in variable.path else values)
    arrays = [signed(rng(i), (2, *x.shape[1:])) for i, x in enumerate(model.inputs, 90)]
    wanted = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    path = tmp_path / f"model.{source}"
    if source != "memory":
        model.save(path)
    graph = from_keras(model if source == "memory" else path)
    for got, result in zip(computed(graph, *arrays), wanted, strict=True):
        right = keras.ops.convert_to_numpy(result)
        assert got.shape == right.shape
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-5 * max(np.abs(right).max(), 1))
