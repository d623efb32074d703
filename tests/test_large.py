"""Sizes beyond every buffer and tile: huge kernels, many channels, more than 2³² elements."""

import mmap
import sys

import fastdw
import numpy as np
import pytest
from fastdw import reference
from support import assert_same, assert_within, integers, rng, separable, signed


@pytest.mark.parametrize(
    ("size", "kernel", "dilation"),
    [
        ((140, 150), (131, 137), 1),
        ((290, 290), (3, 3), (70, 71)),
        ((600, 40), (29, 2), (20, 37)),
        ((5, 4), (129, 131), 1),
    ],
    ids=str,
)
@pytest.mark.parametrize(("channels", "multiplier"), [(1, 1), (3, 1), (2, 3), (40, 1)])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_windows_larger_than_a_buffer(
    forced_isa, size, kernel, dilation, channels, multiplier, data_format
):
    g = rng(1)
    shape = (*size, channels) if data_format == "NHWC" else (channels, *size)
    x, taps = integers(g, shape, 2), integers(g, (*kernel, channels, multiplier), 1)
    bias = integers(g, channels * multiplier)
    # Few outputs, some of them partly outside.
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, np.broadcast_to(dilation, 2), strict=True)]
    pads = [max(0, e - n) // 2 + 2 for e, n in zip(extents, size, strict=True)]
    arguments = (x, taps, 37, tuple(pads), data_format, dilation)
    wanted = reference.depthwise_conv2d(*arguments, bias=bias, activation="relu")
    got = fastdw.depthwise_conv2d(*arguments, bias=bias, activation="relu")
    assert_same(got, wanted.astype(np.float32))
    mixer = np.eye(channels * multiplier, dtype=np.float32)
    arguments = (*arguments[:2], mixer, *arguments[2:])
    slopes = ("prelu", integers(g, channels, 3))
    options = {"pre_activation": slopes, "depthwise_bias": bias, "depthwise_activation": "relu"}
    wanted = reference.separable_conv2d(*arguments, **options)
    assert_same(fastdw.separable_conv2d(*arguments, **options), wanted.astype(np.float32))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("size", "channels", "multiplier", "filters"),
    [((3, 4), 20_000, 2, 3), ((2, 2), 7, 1, 20_000), ((3, 3), 33, 1000, 5)],
    ids=str,
)
def test_more_channels_than_a_buffer_holds(
    forced_isa, size, channels, multiplier, filters, data_format
):
    g = rng(2)
    shape = (*size, channels) if data_format == "NHWC" else (channels, *size)
    x, taps = signed(g, shape), signed(g, (3, 3, channels, multiplier))
    mixer = signed(g, (channels * multiplier, filters))
    options = {"padding": "same", "data_format": data_format, "depthwise_activation": "swish"}
    wanted = separable(x, taps, mixer, **options)
    for num_threads in (1, 4):
        got = fastdw.separable_conv2d(x, taps, mixer, **options, num_threads=num_threads)
        assert_within(got, wanted)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (2, 2500)], ids=str)
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_long_images(forced_isa, size, data_format):
    g = rng(3)
    shape = (*size, 24) if data_format == "NHWC" else (24, *size)
    x, taps, mixer = integers(g, shape), integers(g, (3, 3, 24), 2), integers(g, (24, 40), 1)
    for strides in (1, 2):
        arguments = (x, taps, mixer, strides, "same", data_format)
        wanted = reference.separable_conv2d(*arguments).astype(np.float32)
        assert_same(fastdw.separable_conv2d(*arguments, num_threads=3), wanted)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_many_images(forced_isa, data_format):
    g = rng(4)
    x = integers(g, (300, 3, 4, 5) if data_format == "NHWC" else (300, 5, 3, 4))
    taps, mixer = integers(g, (3, 3, 5)), integers(g, (5, 6), 2)
    arguments = (x, taps, mixer, 1, "same", data_format)
    wanted = reference.separable_conv2d(*arguments).astype(np.float32)
    assert_same(fastdw.separable_conv2d(*arguments, num_threads=4), wanted)


@pytest.mark.skipif(sys.maxsize < 2**32, reason="needs 64-bit addresses")
@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that is only reserved")
def test_more_than_two_to_the_32_elements(forced_isa):
    height, width, step = 2**16 + 3, 2**16, 2**14
    no_reserve = 0x4000
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    try:
        memory = mmap.mmap(-1, 4 * height * width, flags)
    except OSError:
        pytest.skip("the system does not reserve 16 GiB of addresses")
    x = np.frombuffer(memory, np.float32).reshape(1, height, width, 1)
    assert x.size > 2**32
    taps = integers(rng(5), (3, 3, 1))
    windows = integers(rng(6), (5, 4, 3, 3))
    for i, j in np.ndindex(5, 4):
        x[0, i * step : i * step + 3, j * step : j * step + 3, 0] = windows[i, j]
    got = fastdw.depthwise_conv2d(x, taps, step)
    wanted = (windows * taps[..., 0]).sum(axis=(2, 3))
    assert_same(got[0, :, :, 0], wanted)
    mixed = fastdw.separable_conv2d(x, taps, np.ones((1, 2), np.float32), step)
    assert_same(mixed[0, :, :, 1], wanted)
