"""Against Keras 3, where it is installed: its layers, their activations, and subclasses."""

import os

import fastdw
import numpy as np
import pytest
from support import rng, signed

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

# Of its own Variable.numpy().
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def built(cls, *arguments, **options):
    layer = cls(*arguments, **options)
    layer.build((1, 9, 9, 8))
    return layer


def separable(cls=keras.layers.SeparableConv2D, **options):
    return built(cls, 5, 3, **options)


def compare(layer, prepared):
    x = signed(rng(1), (1, 9, 9, 8))
    wanted = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(prepared(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "activation",
    [
        *(None, "relu", "relu6", "sigmoid", "tanh", "silu", "hard_sigmoid", "hard_silu", "gelu"),
        *("leaky_relu", "elu", keras.layers.ReLU(6.0), keras.layers.LeakyReLU(0.3)),
        lambda v: keras.activations.gelu(v, approximate=True),
    ],
    ids=str,
)
def test_layers_and_their_activations(activation):
    layer = separable(activation=activation, padding="same", strides=2)
    compare(layer, fastdw.SeparableConv2D.from_keras(layer))
    layer = built(keras.layers.DepthwiseConv2D, 3, activation=activation, depth_multiplier=2)
    compare(layer, fastdw.DepthwiseConv2D.from_keras(layer))
    layer = built(keras.layers.Conv2D, 4, 1, activation=activation)
    compare(layer, fastdw.PointwiseConv2D.from_keras(layer))


@pytest.mark.parametrize(
    "activation", ["selu", "softmax", "softplus", keras.layers.PReLU()], ids=str
)
def test_activations_without_an_equal_are_refused(activation):
    with pytest.raises(ValueError, match="activation"):
        fastdw.SeparableConv2D.from_keras(separable(activation=activation))


class Padding(keras.layers.SeparableConv2D):
    def call(self, x):
        return super().call(keras.ops.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))))


class Standardized(keras.layers.Conv2D):
    def convolution_op(self, x, kernel):
        return super().convolution_op(x, kernel / keras.ops.std(kernel))


class Named(keras.layers.SeparableConv2D):
    pass


def test_subclasses():
    layer = separable(Named)
    compare(layer, fastdw.SeparableConv2D.from_keras(layer))
    with pytest.raises(ValueError, match="Padding has a call of its own"):
        fastdw.SeparableConv2D.from_keras(separable(Padding))
    with pytest.raises(ValueError, match="Standardized has a convolution_op of its own"):
        fastdw.PointwiseConv2D.from_keras(built(Standardized, 4, 1))


def test_batch_norms():
    layer = separable()
    norm = keras.layers.BatchNormalization()
    norm.build((1, 7, 7, 5))
    compare(keras.Sequential([layer, norm]), fastdw.SeparableConv2D.from_keras(layer, norm))
    other = keras.layers.BatchNormalization(axis=1)
    other.build((1, 5, 7, 7))
    with pytest.raises(ValueError, match="axis 1"):
        fastdw.SeparableConv2D.from_keras(layer, other)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_cure_of_a_dtype(dtype):
    with pytest.raises(TypeError, match=f'has {dtype}; build the layer with dtype="float32"'):
        fastdw.SeparableConv2D.from_keras(separable(dtype=dtype))
