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
    "activation", ["selu", "softmax", "softsign", keras.layers.PReLU()], ids=str
)
def test_activations_without_an_equal_are_refused(activation):
    with pytest.raises(ValueError, match="activation"):
        fastdw.SeparableConv2D.from_keras(separable(activation=activation))


def prelu(shape, **options):
    """A PReLU for inputs of this shape, its slopes of several values."""
    layer = keras.layers.PReLU(alpha_initializer="random_normal", **options)
    layer.build(shape)
    return layer


def test_activations_after_a_layer():
    layer = separable(padding="same")
    for activation in (
        keras.layers.ReLU(6.0), keras.layers.ReLU(negative_slope=0.1), keras.layers.LeakyReLU(0.3),
        keras.layers.Activation("silu"), keras.layers.ELU(0.5), keras.activations.hard_silu,
        prelu((1, 9, 9, 5), shared_axes=[1, 2]),
    ):  # fmt: skip
        made = fastdw.SeparableConv2D.from_keras(layer, activation=activation)
        compare(keras.Sequential([layer, keras.layers.Lambda(activation)]), made)
        within = fastdw.SeparableConv2D.from_keras(separable_with(activation, layer))
        assert repr(within) == repr(made)
    with pytest.raises(ValueError, match=r"one slope a channel, but has \(9, 9, 5\)"):
        fastdw.SeparableConv2D.from_keras(layer, activation=prelu((1, 9, 9, 5)))
    with pytest.raises(ValueError, match="Softmax is none"):
        fastdw.SeparableConv2D.from_keras(layer, activation=keras.layers.Softmax())


def separable_with(activation, layer):
    """A twin of the layer that has the activation of its own."""
    twin = separable(padding="same", activation=activation)
    twin.set_weights(layer.get_weights()[: len(twin.weights)] + twin.get_weights()[3:])
    return twin


def test_prelu_of_channels_first():
    layer = keras.layers.DepthwiseConv2D(3, data_format="channels_first")
    layer.build((1, 8, 9, 9))
    slopes = prelu((1, 8, 7, 7), shared_axes=[2, 3])
    made = fastdw.DepthwiseConv2D.from_keras(layer, activation=slopes)
    x = signed(rng(1), (1, 8, 9, 9))
    wanted = keras.ops.convert_to_numpy(slopes(layer(x)))
    np.testing.assert_allclose(made(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("kind", ["Conv1D", "SeparableConv1D", "DepthwiseConv1D", "pointwise"])
def test_layers_of_one_axis(kind, padding):
    if padding == "causal" and kind != "Conv1D":
        return
    options = {"padding": padding, "strides": 2, "activation": "relu"}
    if kind == "DepthwiseConv1D":
        layer, cls = keras.layers.DepthwiseConv1D(3, **options), fastdw.DepthwiseConv2D
    elif kind == "SeparableConv1D":
        layer, cls = keras.layers.SeparableConv1D(6, 3, **options), fastdw.SeparableConv2D
    elif kind == "Conv1D":
        layer, cls = keras.layers.Conv1D(6, 3, **options), fastdw.Conv2D
    else:
        layer, cls = keras.layers.Conv1D(6, 1, **options), fastdw.PointwiseConv2D
    x = signed(rng(1), (2, 11, 8))
    wanted = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(cls.from_keras(layer)(x[:, None])[:, 0], wanted, 1e-5, 1e-5)
    norm = keras.layers.BatchNormalization()
    norm.build(wanted.shape)
    made = cls.from_keras(layer, norm, own_activation=False)
    assert made.activation is None


def test_a_padding_layer_before_and_groups_as_channels():
    pad = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))
    layer = built(keras.layers.DepthwiseConv2D, 3, strides=2)
    made = fastdw.DepthwiseConv2D.from_keras(layer, padding=pad.padding)
    compare(keras.Sequential([pad, layer]), made)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="no groups on its CPU")
def test_groups_as_many_as_channels():
    layer = built(keras.layers.Conv2D, 16, 3, groups=8)
    compare(layer, fastdw.DepthwiseConv2D.from_keras(layer))


def test_two_layers():
    first = built(keras.layers.DepthwiseConv2D, 3, use_bias=False)
    between, second = keras.layers.BatchNormalization(), keras.layers.Conv2D(5, 1)
    model = keras.Sequential([first, between, keras.layers.ReLU(6.0), second])
    model.build((None, 9, 9, 8))
    made = fastdw.SeparableConv2D.from_keras(
        first, pointwise_layer=second, depthwise_batch_norm=between,
        depthwise_activation=keras.layers.ReLU(6.0),
    )  # fmt: skip
    compare(model, made)


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


def test_an_inverted_residual_with_a_gate_and_a_dense_layer():
    x = signed(rng(1), (2, 9, 9, 8))
    expand = keras.layers.Conv2D(24, 1, use_bias=False)
    norm = keras.layers.BatchNormalization()
    middle = keras.layers.DepthwiseConv2D(3, 2, "same", activation="relu6")
    squeeze = keras.layers.Conv2D(6, 1, activation="relu")
    excite = keras.layers.Conv2D(24, 1, activation="hard_sigmoid")
    project, head = keras.layers.Conv2D(16, 1), keras.layers.Dense(7, activation="softplus")
    y = middle(keras.ops.relu6(norm(expand(x), training=False)))
    means = keras.ops.mean(y, axis=(1, 2), keepdims=True)
    wanted = project(y * excite(squeeze(means)))
    layer = fastdw.InvertedResidual.from_keras(
        expand, middle, project, norm, expand_activation="relu6",
        squeeze_excite=fastdw.SqueezeExcite.from_keras(squeeze, excite),
    )  # fmt: skip
    arrays = keras.ops.convert_to_numpy(wanted)
    np.testing.assert_allclose(layer(x), arrays, rtol=1e-5, atol=1e-5)
    head(arrays)
    with pytest.raises(ValueError, match="activation"):
        fastdw.Dense.from_keras(head)
    dense = fastdw.Dense.from_keras(head, own_activation=False, activation="relu")
    wanted = keras.ops.convert_to_numpy(keras.ops.relu(arrays @ head.kernel + head.bias))
    np.testing.assert_allclose(dense(arrays), wanted, rtol=1e-5, atol=1e-5)
