"""Whole networks and blocks against the reference, the bound carried from layer to layer."""

import fastdw
import numpy as np
import pytest
import support
from support import Bounded, assert_within, batch_norm, exact, rng, signed

pytestmark = pytest.mark.emulated

F32 = np.float32


def scaled(generator, shape):
    """Weights that keep the size of a ReLU network's activations."""
    return signed(generator, shape) * F32(np.sqrt(6 / np.prod(shape[:-1])))


def depthwise_scaled(generator, shape):
    return signed(generator, shape) * F32(np.sqrt(6 / (shape[0] * shape[1])))


def pooled(y):
    """2×2 max pooling."""
    n, h, w, c = y.shape
    return y.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_parameters_of_a_separable_layer():
    taps, mixer = np.ones((3, 3, 3), F32), np.ones((3, 64), F32)
    one = fastdw.SeparableConv2D(taps, mixer, bias=np.ones(64, F32))
    both = fastdw.SeparableConv2D(
        taps, mixer, bias=np.ones(64, F32), depthwise_bias=np.ones(3, F32)
    )
    assert one.num_parameters == 283
    assert both.num_parameters == 286
    assert fastdw.SeparableConv2D(taps, mixer).num_parameters == 283 - 64


def test_cifar10_network(forced_isa):
    g = rng(1)
    x = signed(g, (1 if support.emulated else 3, 32, 32, 3))
    fast, slow = x, exact(x)
    parameters, channels = 0, 3
    for depth, filters in enumerate((64, 64, 128, 128, 256, 256)):
        taps = depthwise_scaled(g, (3, 3, channels, 1))
        mixer, bias = scaled(g, (channels, filters)), signed(g, filters) * F32(0.1)
        options = {"padding": "same", "bias": bias, "activation": "relu"}
        layer = fastdw.SeparableConv2D(taps, mixer, **options)
        parameters += layer.num_parameters
        fast, slow = layer(fast), support.separable(slow, taps, mixer, **options)
        assert_within(fast, slow)
        if depth % 2:
            fast, slow = pooled(fast), Bounded(pooled(slow.value), pooled(slow.error))
        channels = filters
    assert fast.shape == (len(x), 4, 4, 256)
    # The dense layer as a pointwise one, over a single pixel of 4096 channels.
    dense, bias = scaled(g, (4096, 10)), signed(g, 10)
    layer = fastdw.PointwiseConv2D(dense, bias=bias)
    flat = [a.reshape(len(x), 1, 1, 4096) for a in (fast, *slow)]
    logits = layer(flat[0])
    wanted = support.pointwise(Bounded(*flat[1:]), dense, bias=bias)
    assert_within(logits, wanted)
    assert parameters + layer.num_parameters == 174_821
    np.testing.assert_allclose(softmax(logits), softmax(wanted.value), rtol=1e-3)


def test_mobilenet_v1_block(forced_isa):
    g = rng(2)
    x, taps = signed(g, (2, 28, 28, 64)), depthwise_scaled(g, (3, 3, 64))
    mixer, first, second = scaled(g, (64, 128)), batch_norm(g, 64), batch_norm(g, 128)
    options = {
        "strides": 2, "padding": ((0, 1), (0, 1)),
        "depthwise_activation": "relu6", "activation": "relu6",
    }  # fmt: skip
    layer = fastdw.SeparableConv2D(
        taps, mixer, **options,
        depthwise_batch_norm=fastdw.BatchNorm(*first), batch_norm=fastdw.BatchNorm(*second),
    )  # fmt: skip
    wanted = support.separable(
        x, taps, mixer, **options, depthwise_batch_norm=first, batch_norm=second
    )
    assert_within(layer(x), wanted)


def test_mobilenet_v2_block(forced_isa):
    g = rng(3)
    x, wide = signed(g, (1, 14, 14, 32)), 192
    expand, taps = scaled(g, (32, wide)), depthwise_scaled(g, (3, 3, wide))
    project = scaled(g, (wide, 32))
    norms = [batch_norm(g, channels) for channels in (wide, wide, 32)]
    folded = [fastdw.BatchNorm(*norm) for norm in norms]

    first = fastdw.PointwiseConv2D(expand, batch_norm=folded[0], activation="relu6")
    second = fastdw.SeparableConv2D(
        taps, project, padding="same", depthwise_batch_norm=folded[1],
        depthwise_activation="relu6", batch_norm=folded[2],
    )  # fmt: skip
    got = second(first(x), residual=x)

    hidden = support.pointwise(x, expand, batch_norm=norms[0], activation="relu6")
    wanted = support.separable(
        hidden, taps, project, 1, "same", depthwise_batch_norm=norms[1],
        depthwise_activation="relu6", batch_norm=norms[2], residual=x,
    )  # fmt: skip
    assert_within(got, wanted)


def test_efficientnet_block(forced_isa):
    g = rng(4)
    x, taps = signed(g, (1, 14, 14, 120)), depthwise_scaled(g, (5, 5, 120))
    project = scaled(g, (120, 40))
    first, second = batch_norm(g, 120), batch_norm(g, 40)
    depthwise = fastdw.DepthwiseConv2D(
        taps, 2, "same", batch_norm=fastdw.BatchNorm(*first), activation="swish"
    )
    fast = depthwise(x)
    slow = support.depthwise(x, taps, 2, "same", batch_norm=first, activation="swish")
    assert_within(fast, slow)
    # Squeeze and excite, with its mean and product in NumPy; both go on from the fast result.
    squeeze, excite = scaled(g, (120, 5)), scaled(g, (5, 120))
    mean = fast.mean(axis=(1, 2), keepdims=True)
    inner = fastdw.pointwise_conv2d(mean, squeeze, activation="swish")
    gate = fastdw.pointwise_conv2d(inner, excite, activation="sigmoid")
    wanted = support.pointwise(mean, squeeze, activation="swish")
    assert_within(gate, support.pointwise(wanted, excite, activation="sigmoid"))
    scaled_down = fast * gate
    got = fastdw.pointwise_conv2d(scaled_down, project, batch_norm=fastdw.BatchNorm(*second))
    assert_within(got, support.pointwise(scaled_down, project, batch_norm=second))


def test_xception_block(forced_isa):
    g = rng(5)
    channels = 91 if support.emulated else 728
    x = signed(g, (1, 7, 7, channels))
    fast, slow = x, exact(x)
    for depth in range(3):
        taps, mixer = depthwise_scaled(g, (3, 3, channels)), scaled(g, (channels, channels))
        norm = batch_norm(g, channels)
        options = {"padding": "same", "pre_activation": "relu"}
        if depth == 2:
            options["residual"] = x
        fast = fastdw.separable_conv2d(
            fast, taps, mixer, batch_norm=fastdw.BatchNorm(*norm), **options
        )
        slow = support.separable(slow, taps, mixer, batch_norm=norm, **options)
        assert_within(fast, slow)
