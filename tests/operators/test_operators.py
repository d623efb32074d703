"""The three operators against the reference, on every instruction set."""

import itertools

import fastdw
import numpy as np
import pytest
import support
from fastdw import reference
from support import assert_same, assert_within, batch_norm, integers, rng, signed, thin

pytestmark = pytest.mark.emulated

PADDINGS = [
    "valid",
    "SAME",
    "same_lower",
    1,
    (2, 0),
    ((0, 1), (0, 1)),
    ((9, 0), (1, 12)),
    [[0, 0], [3, 1], [0, 2], [0, 0]],
]
KERNELS = [(3, 3), (5, 5), (7, 7), (1, 1), (1, 6), (4, 2), (7, 3)]
STRIDES = [1, 2, 3, (1, 2), [3, 1]]
DILATIONS = [1, 2, (3, 1)]
MULTIPLIERS = [1, 2, 3]


def rounded(y):
    return y.astype(np.float32)


def oriented(padding, data_format):
    """The list of four pairs has the order of the data format."""
    if isinstance(padding, list) and data_format == "NCHW":
        return [padding[0], padding[3], padding[1], padding[2]]
    return padding


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_geometry_is_exact(forced_isa, padding):
    g = rng(1)
    grid = itertools.product(KERNELS, STRIDES, DILATIONS, MULTIPLIERS)
    for case, (taps, strides, dilation, multiplier) in enumerate(thin(grid)):
        data_format = ("NHWC", "NCHW")[case % 2]
        height, width, channels = 13 + case % 7, 13 + case % 9, 1 + case % 21
        shape = (height, width, channels) if case % 2 == 0 else (channels, height, width)
        x = integers(g, (1 + case % 2, *shape))
        kernel = integers(g, (*taps, channels, multiplier))
        geometry = (strides, oriented(padding, data_format), data_format, dilation)
        try:
            wanted = rounded(reference.depthwise_conv2d(x, kernel, *geometry))
        except ValueError:
            with pytest.raises(ValueError, match="Computed output size"):
                fastdw.depthwise_conv2d(x, kernel, *geometry)
            continue
        assert_same(fastdw.depthwise_conv2d(x, kernel, *geometry), wanted)
        mixer = integers(g, (channels * multiplier, 1 + case % 17))
        wanted = rounded(reference.separable_conv2d(x, kernel, mixer, *geometry))
        assert_same(fastdw.separable_conv2d(x, kernel, mixer, *geometry), wanted)


@pytest.mark.parametrize("activation", [*support.CLAMPS, *support.CURVES, "prelu"], ids=str)
@pytest.mark.parametrize("data_format", ["NHWC", "channels_first"])
def test_epilogues(forced_isa, activation, data_format):
    g = rng(2)
    c, m, f = 19, 2, 21

    def activations(channels):
        return ("prelu", signed(g, channels)) if activation == "prelu" else activation

    def arranged(array):
        return array if data_format == "NHWC" else np.ascontiguousarray(array.transpose(0, 3, 1, 2))

    x, residual = arranged(signed(g, (2, 9, 8, c))), arranged(signed(g, (2, 9, 8, f)))
    taps, mixer = signed(g, (3, 3, c, m)), signed(g, (c * m, f))
    depthwise_bias, bias = 3 * signed(g, c * m), 3 * signed(g, f)
    depthwise_normal, normal = batch_norm(g, c * m), batch_norm(g, f)

    options = {"bias": depthwise_bias, "activation": activations(c * m)}
    wanted = support.depthwise(
        x, taps, 1, "same", data_format, batch_norm=depthwise_normal, **options
    )
    normalised = {"batch_norm": fastdw.BatchNorm(*depthwise_normal)}
    got = fastdw.depthwise_conv2d(x, taps, 1, "same", data_format, **options, **normalised)
    assert_within(got, wanted)

    options = {"bias": bias, "residual": residual, "activation": activations(f)}
    wide = arranged(signed(g, (2, 9, 8, c * m)))
    wanted = support.pointwise(wide, mixer, data_format, batch_norm=normal, **options)
    normalised = {"batch_norm": fastdw.BatchNorm(*normal)}
    assert_within(
        fastdw.pointwise_conv2d(wide, mixer, data_format, **options, **normalised), wanted
    )

    zeros_move = activation in ("sigmoid", "hard_sigmoid", "softplus")
    before = "swish" if zeros_move else activations(c)
    options |= {
        "depthwise_bias": depthwise_bias,
        "depthwise_activation": activations(c * m),
        "pre_activation": before,
    }
    wanted = support.separable(
        x, taps, mixer, 1, "same", data_format,
        depthwise_batch_norm=depthwise_normal, batch_norm=normal, **options,
    )  # fmt: skip
    normalised["depthwise_batch_norm"] = fastdw.BatchNorm(*depthwise_normal)
    got = fastdw.separable_conv2d(x, taps, mixer, 1, "same", data_format, **options, **normalised)
    assert_within(got, wanted)


@pytest.mark.parametrize("activation", ["sigmoid", ("clip", 0.5, 2.0)], ids=str)
def test_a_pre_activation_that_moves_zero_needs_no_padding(forced_isa, activation):
    g = rng(3)
    x, taps, mixer = signed(g, (1, 6, 7, 5)), signed(g, (3, 3, 5)), signed(g, (5, 4))
    for padding in ("valid", 0, ((0, 0), (0, 0))):
        arguments = (x, taps, mixer, 1, padding)
        got = fastdw.separable_conv2d(*arguments, pre_activation=activation)
        assert_within(got, support.separable(*arguments, pre_activation=activation))


@pytest.mark.parametrize(
    ("size", "c", "k", "stride", "f"),
    [
        ((56, 56), 64, 3, 1, 128),
        ((57, 61), 24, 3, 2, 40),
        ((28, 28), 72, 5, 2, 40),
        ((7, 7), 728, 3, 1, 200),
        ((14, 14), 184, 5, 1, 88),
        ((21, 1), 44, 7, 1, 33),
        ((1, 150), 22, 7, 2, 11),
        ((130, 3), 3, 3, 1, 64),
    ],
    ids=str,
)
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_layers_of_real_size(forced_isa, size, c, k, stride, f, data_format):
    if support.emulated:
        size = tuple(min(s, 16) for s in size)
    g = rng(4)
    x = integers(g, (1, *size, c) if data_format == "NHWC" else (1, c, *size), 2)
    taps, mixer = integers(g, (k, k, c), 1), integers(g, (c, f), 1)
    geometry = (stride, "same", data_format)
    wanted = rounded(reference.separable_conv2d(x, taps, mixer, *geometry))
    for num_threads in (1, 3):
        got = fastdw.separable_conv2d(x, taps, mixer, *geometry, num_threads=num_threads)
        assert_same(got, wanted)
    wanted = rounded(reference.depthwise_conv2d(x, taps, *geometry, bias=integers(rng(5), c)))
    assert_same(fastdw.depthwise_conv2d(x, taps, *geometry, bias=integers(rng(5), c)), wanted)
    wanted = rounded(reference.pointwise_conv2d(x, mixer, data_format))
    assert_same(fastdw.pointwise_conv2d(x, mixer, data_format), wanted)


def test_known_answers(forced_isa):
    x = np.arange(1, 13, dtype=np.float32).reshape(1, 2, 3, 2)
    kernel = np.arange(1, 17, dtype=np.float32).reshape(2, 2, 2, 2)
    got = fastdw.depthwise_conv2d(x, kernel)
    assert got.shape == (1, 1, 2, 4)
    assert got.ravel().tolist() == [196, 216, 272, 296, 252, 280, 344, 376]

    x = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    kernel = np.array([[1, 2], [3, 4]], np.float32).reshape(2, 1, 1, 2)
    assert fastdw.depthwise_conv2d(x, kernel).tolist() == [
        [[[13, 18], [17, 24], [21, 30]], [[25, 36], [29, 42], [33, 48]]]
    ]


@pytest.mark.parametrize("stride", [65536, 2**31, 2**62])
def test_huge_strides(forced_isa, stride):
    g = rng(6)
    x, taps, mixer = integers(g, (1, 5, 6, 3)), integers(g, (3, 3, 3)), integers(g, (3, 4))
    for padding in ("same", "valid", 4):
        wanted = rounded(reference.separable_conv2d(x, taps, mixer, stride, padding))
        assert wanted.shape == (1, 1, 1, 4)
        assert_same(fastdw.separable_conv2d(x, taps, mixer, (stride, stride), padding), wanted)
    wanted = rounded(reference.depthwise_conv2d(x, taps, (1, stride), "same"))
    assert_same(fastdw.depthwise_conv2d(x, taps, (1, stride), "same"), wanted)


def test_stride_and_dilation_of_65536_between_pixels(forced_isa):
    x = integers(rng(7), (1, 3 * 65536 + 2, 1, 1))
    taps = integers(rng(8), (2, 1, 1))
    for strides, dilation in [((65536, 1), 1), (1, (65536, 1)), ((65535, 1), (65537, 1))]:
        wanted = rounded(reference.depthwise_conv2d(x, taps, strides, dilation_rate=dilation))
        assert_same(fastdw.depthwise_conv2d(x, taps, strides, dilation_rate=dilation), wanted)


def test_windows_far_outside_the_image_see_zeros(forced_isa):
    g = rng(9)
    x, taps = integers(g, (1, 2, 3, 5)), integers(g, (3, 3, 5))
    bias = integers(g, 5)
    for strides, padding in [(1, 40), (7, (100, 3)), (2**20, ((2**22, 2**21), (2**22, 1)))]:
        wanted = rounded(reference.depthwise_conv2d(x, taps, strides, padding, bias=bias))
        assert_same(fastdw.depthwise_conv2d(x, taps, strides, padding, bias=bias), wanted)


def test_kernels_far_larger_than_the_image(forced_isa):
    g = rng(10)
    x, taps = integers(g, (1, 3, 2, 6)), integers(g, (125, 65, 6), 2)
    for strides in (1, 2):
        wanted = rounded(reference.depthwise_conv2d(x, taps, strides, (63, 33)))
        assert_same(fastdw.depthwise_conv2d(x, taps, strides, (63, 33)), wanted)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_non_finite_pixels(forced_isa, planted, data_format):
    g = rng(11)
    taps, mixer = integers(g, (3, 3, 7)), integers(g, (7, 9))
    for activation in ("relu", "relu6", "hard_swish"):
        x = integers(g, (2, 7, 6, 7) if data_format == "NHWC" else (2, 7, 7, 6))
        x.flat[g.integers(0, x.size)] = planted
        options = {"pre_activation": "relu", "activation": activation}
        arguments = (x, taps, mixer, 2, "same", data_format)
        wanted = support.separable(*arguments, **options)
        assert_within(fastdw.separable_conv2d(*arguments, **options), wanted)


def test_overflow_becomes_infinity(forced_isa):
    x = np.full((1, 4, 4, 3), 3e38, np.float32)
    taps = np.ones((3, 3, 3), np.float32)
    assert np.all(np.isposinf(fastdw.depthwise_conv2d(x, taps)))
    assert np.all(fastdw.depthwise_conv2d(x, -taps, activation="relu6") == 0)
