"""The dense convolution: patches that meet the pointwise tiles, exact and within its bound."""

import fastdw
import numpy as np
import pytest
from fastdw import reference
from hypothesis import given
from hypothesis import strategies as st
from support import (
    Arena,
    assert_same,
    assert_within,
    dense,
    integers,
    rng,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

pytestmark = pytest.mark.emulated

SIZES = [(1, 1), (1, 3), (3, 1), (3, 3), (2, 5), (4, 4), (5, 5), (7, 2)]
PADDINGS = ["valid", "same", "same_lower", ((0, 1), (2, 0)), 3]


def as_format(array, data_format):
    return array if data_format == "NHWC" else np.ascontiguousarray(np.moveaxis(array, -1, -3))


@st.composite
def cases(draw):
    """(x, kernel, arguments) of whole numbers."""
    generator = rng(draw(st.integers(0, 2**32 - 1)))
    kh, kw = draw(st.sampled_from(SIZES))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels, filters = (groups * draw(st.integers(1, 21)) for _ in range(2))
    strides, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    size = [draw(st.integers((k - 1) * d + 1, 24)) for k, d in zip((kh, kw), dilation, strict=True)]
    x = integers(generator, (draw(st.integers(1, 2)), *size, channels))
    kernel = integers(generator, (kh, kw, channels // groups, filters))
    arguments = {
        "strides": strides,
        "padding": draw(st.sampled_from(PADDINGS)),
        "data_format": draw(st.sampled_from(["NHWC", "NCHW"])),
        "dilation_rate": dilation,
        "groups": groups,
        "bias": draw(st.sampled_from([None, integers(generator, filters)])),
        "activation": draw(st.sampled_from([None, "relu", ("clip", -9, 30)])),
    }
    return as_format(x, arguments["data_format"]), kernel, arguments


@given(case=cases(), threads=st.integers(1, 4), data=st.data())
def test_small_integers_are_exact(forced_isa, case, threads, data):
    x, kernel, arguments = case
    expected = reference.conv2d(x, kernel, **arguments)
    residual = None
    if data.draw(st.booleans()):
        residual = integers(rng(3), expected.shape)
        expected = reference.conv2d(x, kernel, **arguments, residual=residual)
    got = fastdw.conv2d(x, kernel, **arguments, residual=residual, num_threads=threads)
    assert_same(got, expected.astype(np.float32))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("size", "channels", "filters", "kernel_size", "strides"),
    [(28, 3, 32, 3, 2), (19, 32, 64, 3, 1), (9, 200, 30, 5, 1), (13, 7, 9, 1, 2)],
)
def test_error_bound(forced_isa, data_format, size, channels, filters, kernel_size, strides):
    generator = rng(5)
    x = as_format(signed(generator, (2, size, size + 3, channels)), data_format)
    kernel = signed(generator, (kernel_size, kernel_size, channels, filters))
    normal = fastdw.BatchNorm(*(np.abs(signed(generator, filters)) + 0.5 for _ in range(4)), 1e-3)
    options = {"bias": signed(generator, filters), "activation": "swish"}
    got = fastdw.conv2d(x, kernel, strides, "same", data_format, batch_norm=normal, **options)
    wanted = dense(
        x, kernel, strides, "same", data_format, batch_norm=(*normal.vectors, 1e-3), **options
    )
    assert_within(got, wanted, 0.5)


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
def test_no_byte_outside_the_arrays_is_touched(forced_isa, at_end):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    generator = rng(8)
    arenas = [Arena() for _ in range(4)]
    for channels in thin(range(1, 40)):
        x = integers(generator, (1, 6, 5, channels))
        kernel, bias = integers(generator, (3, 2, channels, 5)), integers(generator, 5)
        wanted = reference.conv2d(x, kernel, 1, 1, bias=bias).astype(np.float32)
        nans = np.full_like(wanted, np.nan)
        x, kernel, bias, out = (
            arena.place(array, at_end)
            for arena, array in zip(arenas, (x, kernel, bias, nans), strict=True)
        )
        assert_same(fastdw.conv2d(x, kernel, 1, 1, bias=bias, out=out), wanted)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_reach_exactly_their_outputs(forced_isa, planted):
    x = np.ones((1, 9, 8, 3), np.float32)
    x[0, 4, 5, 1] = planted
    kernel = np.ones((3, 3, 3, 17), np.float32)
    got = fastdw.conv2d(x, kernel, 2, "same")
    assert_same(got, reference.conv2d(x, kernel, 2, "same").astype(np.float32))


def test_groups_are_convolutions_of_slices(forced_isa):
    generator = rng(9)
    x, kernel = signed(generator, (1, 8, 8, 12)), signed(generator, (3, 3, 4, 15))
    slopes = signed(generator, 15)
    whole = fastdw.conv2d(x, kernel, 1, "same", groups=3, activation=("prelu", slopes))
    for i in range(3):
        ins, outs = slice(4 * i, 4 * i + 4), slice(5 * i, 5 * i + 5)
        part = fastdw.conv2d(
            x[..., ins], kernel[..., outs], 1, "same", activation=("prelu", slopes[outs])
        )
        assert_same(whole[..., outs], part)


def test_one_pixel_windows_are_a_pointwise_convolution(forced_isa):
    generator = rng(10)
    x, kernel = signed(generator, (2, 9, 7, 20)), signed(generator, (1, 1, 20, 33))
    assert_same(fastdw.conv2d(x, kernel), fastdw.pointwise_conv2d(x, kernel))
    strided = fastdw.conv2d(x, kernel, (2, 3))
    assert_same(strided, fastdw.pointwise_conv2d(x[:, ::2, ::3], kernel))


@pytest.mark.parametrize("strides", [2**31, 2**62])
def test_huge_strides(forced_isa, strides):
    x, kernel = integers(rng(11), (1, 5, 6, 3)), integers(rng(12), (3, 3, 3, 4))
    got = fastdw.conv2d(x, kernel, strides, "same")
    assert_same(got, reference.conv2d(x, kernel, 100, "same").astype(np.float32))


def test_a_layer(forced_isa):
    generator = rng(13)
    kernel, bias = signed(generator, (3, 3, 4, 6)), signed(generator, 6)
    layer = fastdw.Conv2D(kernel, 2, "same", groups=2, bias=bias, activation="relu6")
    x = signed(generator, (2, 9, 9, 8))
    residual = signed(generator, layer.output_shape(x.shape))
    expected = fastdw.conv2d(
        x, kernel, 2, "same", groups=2, bias=bias, activation="relu6", residual=residual
    )
    for _ in range(2):
        assert_same(layer(x, residual=residual), expected)
    assert layer.num_parameters == kernel.size + bias.size
    assert layer.macs(x.shape) == 2 * 5 * 5 * kernel.size
    assert "windows" in layer.plan(x.shape)


@pytest.mark.parametrize("groups", [0, -1, 4, 2**70])
def test_refused_groups(groups):
    with pytest.raises(ValueError, match="groups"):
        fastdw.Conv2D(np.ones((3, 3, 2, 6), np.float32), groups=groups)


@pytest.mark.parametrize("groups", [1.0, "2", True, None])
def test_groups_are_an_int(groups):
    with pytest.raises(TypeError, match="groups"):
        fastdw.Conv2D(np.ones((3, 3, 2, 6), np.float32), groups=groups)
