"""So much work that the core takes it in parts, to look for interrupts between."""

import fastdw
import numpy as np
import pytest
from support import assert_same, rng, signed

# The core's parts end after some 1e9 multiplications; this many images of 0.3e9 make six, unequal.
IMAGES = 17


def layers():
    g = rng(1)
    mixer = signed(g, (512, 512))
    return {
        "depthwise": (fastdw.DepthwiseConv2D(signed(g, (33, 33, 64)), padding="same"), 64, 64),
        "pointwise": (fastdw.PointwiseConv2D(mixer), 32, 512),
        "separable": (
            fastdw.SeparableConv2D(signed(g, (3, 3, 512)), mixer, padding="same"),
            32,
            512,
        ),
    }


@pytest.mark.parametrize("name", layers())
def test_every_image_of_a_large_batch(name):
    """Each image is the first one times another power of two: then so is its result, exactly."""
    layer, size, channels = layers()[name]
    image = signed(rng(2), (size, size, channels))
    assert layer.macs((IMAGES, *image.shape)) > 4.2e9
    scales = np.ldexp(np.float32(1), np.arange(IMAGES)).reshape(-1, 1, 1, 1)
    batch = image * scales
    out = np.full(layer.output_shape(batch.shape), np.nan, np.float32)
    assert_same(layer(batch, out=out), layer(image) * scales)


@pytest.mark.parametrize("name", layers())
def test_every_row_of_a_large_image(name):
    """The same images one below the other, with zeros between them like the padding of each."""
    layer, size, channels = layers()[name]
    image = signed(rng(2), (size, size, channels))
    scales = np.ldexp(np.float32(1), np.arange(IMAGES)).reshape(-1, 1, 1, 1)
    tall = np.zeros((IMAGES, size + 16, size, channels), np.float32)
    tall[:, :size] = image * scales
    got = layer(tall.reshape(1, -1, size, channels))
    assert_same(got.reshape(*tall.shape[:-1], -1)[:, :size], layer(image) * scales)


def test_every_residual_of_a_large_batch():
    layer, size, channels = layers()["pointwise"]
    images = np.zeros((IMAGES, size, size, channels), np.float32)
    residual = signed(rng(3), (IMAGES, size, size, 512))
    assert_same(layer(images, residual=residual), residual)
