"""Sizes beyond every buffer and tile: huge kernels, many channels, more than 2³² elements."""

import contextlib
import math
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
    [
        ((3, 4), 20_000, 2, 3),
        ((2, 3), 70_000, 1, 3),  # one pixel is more than the scratch that is always there
        ((2, 2), 7, 1, 20_000),
        ((3, 3), 33, 1000, 5),
    ],
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


needs_reserved_memory = pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 2**32,
    reason="needs 64-bit addresses, and memory that is only reserved",
)


def sparse(*shape):
    """Zeros, of which only pages that are written take memory."""
    size = 4 * math.prod(shape)
    no_reserve = 0x4000  # MAP_NORESERVE
    try:
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    except OSError:
        pytest.skip(f"the system does not reserve {size} bytes of addresses")
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)


def channels_last(x, data_format):
    return x if data_format == "NHWC" else np.moveaxis(x, -3, -1)


# More than 2³² elements, so that the offsets of rows, columns, planes or images leave 32 bits, and
# strides that leave few outputs.
GIANTS = {
    "rows": ("NHWC", (1, 2**16 + 3, 2**16, 1), (2**14, 2**14)),
    "rows of many channels": ("NHWC", (1, 2**11 + 3, 2**11, 1027), (2**10, 2**10)),
    "one long row": ("NHWC", (1, 3, 2**29, 3), (1, 2**27)),
    "long columns": ("NHWC", (1, 2**29 + 3, 3, 3), (2**27, 1)),
    "planes": ("NCHW", (1, 5, 2**15, 2**15), (2**13, 2**13)),
    "one plane": ("NCHW", (1, 1, 2**16 + 3, 2**16), (2**14, 2**14)),
    "images": ("NHWC", (5, 2**14, 2**14, 4), (2**12, 2**12)),
    "images of planes": ("NCHW", (5, 4, 2**14, 2**14), (2**12, 2**12)),
}


@pytest.fixture(params=GIANTS)
def giant(request):
    """Layout, a giant x, strides, and the windows (n, i, j, 3, 3, c) that they reach."""
    data_format, shape, (down, across) = GIANTS[request.param]
    x = sparse(*shape)
    assert x.size > 2**32
    last, g = channels_last(x, data_format), rng(5)
    n, height, width, channels = last.shape
    corners = list(np.ndindex((height - 3) // down + 1, (width - 3) // across + 1))
    places = [np.s_[:, i * down : i * down + 3, j * across : j * across + 3] for i, j in corners]
    for place in places:
        last[place] = integers(g, (n, 3, 3, channels))
    windows = np.stack([last[place] for place in places], axis=1)
    x.flags.writeable = False
    return (
        data_format,
        x,
        (down, across),
        windows.reshape(n, corners[-1][0] + 1, corners[-1][1] + 1, 3, 3, channels),
    )


@needs_reserved_memory
def test_windows_of_more_than_two_to_the_32_elements(forced_isa, giant):
    data_format, x, strides, windows = giant
    channels, g = windows.shape[-1], rng(6)
    taps, mixer = integers(g, (3, 3, channels)), integers(g, (channels, 3), 1)
    options = {"data_format": data_format}
    wanted = (windows * taps).sum(axis=(3, 4))
    got = fastdw.depthwise_conv2d(x, taps, strides, **options)
    assert_same(channels_last(got, data_format), wanted)
    got = fastdw.separable_conv2d(x, taps, mixer, strides, **options)
    assert_same(channels_last(got, data_format), wanted @ mixer)


@needs_reserved_memory
def test_pixels_and_residuals_of_more_than_two_to_the_32_elements(forced_isa, giant):
    data_format, x, (down, across), windows = giant
    corners = windows[:, :, :, 0, 0]
    mixer = integers(rng(7), (corners.shape[-1],) * 2, 1)
    cut = tuple(
        slice(0, (n - 1) * s + 1, s)
        for n, s in zip(corners.shape[1:3], (down, across), strict=True)
    )
    pixels = x[(slice(None), *cut)] if data_format == "NHWC" else x[(..., *cut)]
    got = fastdw.pointwise_conv2d(pixels, mixer, data_format, residual=pixels)
    assert_same(channels_last(got, data_format), corners @ mixer + corners)


@needs_reserved_memory
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_many_images_of_more_than_two_to_the_32_elements(data_format):
    x = sparse(2**18 + 1, *((128, 128, 1) if data_format == "NHWC" else (1, 128, 128)))
    assert x.size > 2**32
    taps = integers(rng(8), (3, 3, 1))
    last = channels_last(x, data_format)
    chosen = [0, 2**17 - 1, 2**17, 2**18 - 1, 2**18]
    last[chosen, :3, :3] = integers(rng(9), (5, 3, 3, 1))
    wanted = np.zeros((2**18 + 1, 1, 1, 1), np.float32)
    wanted[chosen, 0, 0] = (last[chosen, :3, :3] * taps).sum(axis=(1, 2))
    got = fastdw.depthwise_conv2d(x, taps, 128, data_format=data_format)
    assert_same(channels_last(got, data_format), wanted)
