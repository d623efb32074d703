"""Layers of one axis, of two parts, with pads and activations before and after them, by attributes
alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import support
from fastdw import Conv2D, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D
from support import assert_within, rng, signed

F32 = np.float32
PLAIN = {"activation": None, "use_bias": False, "bias": None, "data_format": "channels_last"}


def keras_layer(strides=(1, 1), **attributes):
    place = {"strides": strides, "padding": "valid", "dilation_rate": (1,) * len(strides)}
    return SimpleNamespace(**PLAIN | place | attributes)


def torch_module(weight, **attributes):
    axes = weight.ndim - 2
    place = {"stride": (1,) * axes, "padding": (0,) * axes, "dilation": (1,) * axes}
    settings = {"weight": weight, "bias": None, "groups": 1, "padding_mode": "zeros"}
    return SimpleNamespace(**settings | place | attributes)


def relu6(x):
    return x.clip(0, 6)  # of arrays and tensors


X = signed(rng(1), (2, 9, 10, 12)) * F32(8)
TAPS = signed(rng(2), (3, 3, 12, 2))
MIXER = signed(rng(3), (24, 17))
ONE = ((0, 1), (0, 1))


def test_padding_in_place_of_the_layers_own():
    layer = keras_layer(strides=(2, 2), depth_multiplier=2, kernel=TAPS)
    got = DepthwiseConv2D.from_keras(layer, padding=ONE)(X)
    assert_within(got, support.depthwise(X, TAPS, 2, ONE))
    kernels = {"depthwise_kernel": TAPS, "pointwise_kernel": MIXER}
    layer = keras_layer((2, 2), depth_multiplier=2, filters=17, **kernels)
    got = SeparableConv2D.from_keras(layer, padding=ONE)(X)
    assert_within(got, support.separable(X, TAPS, MIXER, 2, ONE))
    dense = signed(rng(4), (3, 3, 12, 5))
    layer = keras_layer(strides=(2, 2), filters=5, groups=1, kernel=dense, padding="same")
    assert_within(Conv2D.from_keras(layer, padding=ONE)(X), support.dense(X, dense, 2, ONE))
    assert_within(Conv2D.from_keras(layer)(X), support.dense(X, dense, 2, "same"))


def test_padding_in_place_of_the_modules_own():
    weight = TAPS.transpose(2, 3, 0, 1).reshape(24, 1, 3, 3)
    module = torch_module(weight, groups=12, padding=(1, 1), padding_mode="reflect")
    with pytest.raises(ValueError, match=r"'reflect'; pass padding=0, and x through np\.pad"):
        DepthwiseConv2D.from_torch(module)
    layer = DepthwiseConv2D.from_torch(module, padding=0, data_format="NHWC")
    around = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    assert_within(layer(around), support.depthwise(around, TAPS))
    mixing = torch_module(MIXER.T[..., None, None])
    layer = SeparableConv2D.from_torch(module, mixing, padding=ONE, data_format="NHWC")
    assert_within(layer(X), support.separable(X, TAPS, MIXER, 1, ONE))
    dense = signed(rng(4), (5, 12, 3, 3))
    layer = Conv2D.from_torch(torch_module(dense), padding=ONE, data_format="NHWC")
    assert_within(layer(X), support.dense(X, dense.transpose(2, 3, 1, 0), 1, ONE))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_keras_layers_of_one_axis(padding):
    line, taps = X[:, 0], TAPS[0]
    around = ((0, 0), (4, 0)) if padding == "causal" else padding
    place = {"padding": padding, "dilation_rate": (2,)}
    layer = keras_layer((1,), depth_multiplier=2, kernel=taps, **place)
    got = DepthwiseConv2D.from_keras(layer)(line[:, None])
    assert_within(got, support.depthwise(X[:, :1], TAPS[:1], 1, around, "NHWC", (1, 2)))
    kernels = {"depthwise_kernel": taps, "pointwise_kernel": MIXER[None]}
    layer = keras_layer((1,), depth_multiplier=2, filters=17, **kernels, **place)
    got = SeparableConv2D.from_keras(layer)(line[:, None])
    assert_within(got, support.separable(X[:, :1], TAPS[:1], MIXER, 1, around, "NHWC", (1, 2)))
    dense = signed(rng(4), (3, 12, 5))
    layer = keras_layer((1,), filters=5, groups=1, kernel=dense, **place)
    got = Conv2D.from_keras(layer)(line[:, None])
    assert_within(got, support.dense(X[:, :1], dense[None], 1, around, "NHWC", (1, 2)))
    layer = keras_layer((3,), filters=17, groups=1, kernel=dense[:1])
    got = PointwiseConv2D.from_keras(layer)(line[:, None])
    assert_within(got, support.pointwise(X[:, :1, ::3], dense[0]))


@pytest.mark.parametrize("padding", [(2,), "same"])
def test_torch_modules_of_one_axis(padding):
    line = np.ascontiguousarray(np.moveaxis(X[:, :1], -1, 1))  # (N, C, 1, W)
    weight = TAPS[0].transpose(1, 2, 0).reshape(24, 1, 3)
    module = torch_module(weight, groups=12, padding=padding, dilation=(2,))
    around = padding if isinstance(padding, str) else (0, 2)
    wanted = support.depthwise(line, TAPS[:1], 1, around, "NCHW", (1, 2))
    assert_within(DepthwiseConv2D.from_torch(module)(line), wanted)
    mixing = torch_module(MIXER.T[..., None], padding=(0,))
    wanted = support.separable(line, TAPS[:1], MIXER, 1, around, "NCHW", (1, 2))
    assert_within(SeparableConv2D.from_torch(module, mixing)(line), wanted)
    mixing.stride = (2,)
    got = PointwiseConv2D.from_torch(mixing)
    assert got.strides == (1, 2)
    with pytest.raises(ValueError, match=r"pointwise_module must have stride \(1, 1\)"):
        SeparableConv2D.from_torch(module, mixing)


def test_keras_conv2d_with_as_many_groups_as_channels():
    kernel = TAPS.reshape(3, 3, 1, 24)
    layer = keras_layer((2, 1), filters=24, groups=12, kernel=kernel)
    wanted = support.depthwise(X, TAPS, (2, 1))
    assert_within(DepthwiseConv2D.from_keras(layer)(X), wanted)
    assert_within(Conv2D.from_keras(layer)(X), wanted)
    layer = keras_layer(filters=24, groups=6, kernel=np.ones((3, 3, 2, 24), F32))
    with pytest.raises(ValueError, match="as many groups as channels, but has 6 and 12"):
        DepthwiseConv2D.from_keras(layer)


def test_two_keras_layers():
    bias = signed(rng(5), 24)
    first = keras_layer((2, 2), depth_multiplier=2, kernel=TAPS, use_bias=True, bias=bias)
    second = keras_layer(filters=17, groups=1, kernel=MIXER[None, None], activation=relu6)
    *vectors, epsilon = support.batch_norm(rng(6), 24)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    norm = SimpleNamespace(**dict(zip(names, vectors, strict=True)), epsilon=epsilon, axis=3)
    layer = SeparableConv2D.from_keras(
        first, pointwise_layer=second, depthwise_batch_norm=norm, depthwise_activation=relu6,
        padding=ONE,
    )  # fmt: skip
    wanted = support.separable(
        X, TAPS, MIXER, 2, ONE, depthwise_bias=bias, depthwise_batch_norm=(*vectors, epsilon),
        depthwise_activation="relu6", activation="relu6",
    )  # fmt: skip
    assert_within(layer(X), wanted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strides": (2, 2)}, "pointwise_layer must have strides"),
        ({"data_format": "channels_first"}, "one data_format"),
        ({"groups": 2}, "groups 1"),
        ({"kernel": np.ones((3, 3, 24, 17), F32)}, "pointwise_kernel"),
    ],
)
def test_two_keras_layers_that_do_not_fit(change, words):
    first = keras_layer(depth_multiplier=2, kernel=TAPS)
    fitting = {"filters": 17, "groups": 1, "kernel": MIXER[None, None]}
    with pytest.raises(ValueError, match=words):
        SeparableConv2D.from_keras(first, pointwise_layer=keras_layer(**fitting | change))


def test_half_of_two_keras_layers_is_told_of_the_other():
    half = keras_layer(depth_multiplier=2, kernel=TAPS)
    with pytest.raises(TypeError, match="Conv2D of 1 x 1 behind it as pointwise_layer"):
        SeparableConv2D.from_keras(half)


def test_what_is_between_needs_two_keras_layers():
    with pytest.raises(ValueError, match="need a pointwise_layer"):
        SeparableConv2D.from_keras(keras_layer(), depthwise_activation="relu")


def test_a_layer_without_its_activation():
    def unknown(x):
        return x**3

    *vectors, epsilon = support.batch_norm(rng(6), 24)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    norm = SimpleNamespace(**dict(zip(names, vectors, strict=True)), epsilon=epsilon, axis=-1)
    layer = keras_layer(depth_multiplier=2, kernel=TAPS, activation=relu6)
    for options in ({"batch_norm": norm}, {"activation": "swish"}):
        with pytest.raises(ValueError, match="own_activation=False"):
            DepthwiseConv2D.from_keras(layer, **options)
    layer.activation = unknown
    with pytest.raises(ValueError, match="own_activation=False"):
        DepthwiseConv2D.from_keras(layer)
    got = DepthwiseConv2D.from_keras(layer, norm, "swish", own_activation=False)(X)
    normal = (*vectors, epsilon)
    assert_within(got, support.depthwise(X, TAPS, batch_norm=normal, activation="swish"))


@pytest.mark.parametrize("convert", ["keras", "torch"])
def test_activations_may_be_functions(convert):
    def hard_swish(x):
        return x * relu6(x + 3) / 6

    if convert == "keras":
        kernels = {"depthwise_kernel": TAPS, "pointwise_kernel": MIXER}
        layer = keras_layer(depth_multiplier=2, filters=17, **kernels)
        made = SeparableConv2D.from_keras(layer, None, hard_swish, pre_activation=relu6)
    else:
        depthwise = torch_module(TAPS.transpose(2, 3, 0, 1).reshape(24, 1, 3, 3), groups=12)
        pointwise = torch_module(MIXER.T[..., None, None])
        made = SeparableConv2D.from_torch(
            depthwise, pointwise, activation=hard_swish, pre_activation=relu6,
            depthwise_activation=lambda x: x.clip(0, None), data_format="NHWC",
        )  # fmt: skip
        assert made.depthwise_activation == "relu"
    assert (made.pre_activation, made.activation) == ("relu6", "hard_swish")


@pytest.mark.parametrize("value", [6, 1.5, b"relu"])
def test_what_is_no_activation_is_refused_as_ever(value):
    layer = keras_layer(depth_multiplier=2, kernel=TAPS)
    with pytest.raises(TypeError, match="activation must be None, a str"):
        DepthwiseConv2D.from_keras(layer, activation=value)
    with pytest.raises(ValueError, match="activation function is none that is known here"):
        DepthwiseConv2D.from_keras(layer, activation=type("function", (), {"__call__": _cube})())


def _cube(self, x):
    return x**3
