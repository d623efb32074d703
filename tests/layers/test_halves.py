"""Layers of float16: the bits of the same layer on floats, rounded once."""

import copy
import pickle

import fastdw
import numpy as np
import pytest
import support
from fastdw import (
    BatchNorm,
    Conv2D,
    DepthwiseConv2D,
    Input,
    PointwiseConv2D,
    SeparableConv2D,
    reference,
)
from support import (
    Arena,
    assert_same,
    batch_norm,
    rng,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

F16, F32 = np.float16, np.float32


def halved(*shape, generator, limit=1.0):
    return (signed(generator, shape) * F32(limit)).astype(F16)


def make(kind, channels, filters, options, generator, **dtype):
    g = generator
    if kind is DepthwiseConv2D:
        return kind(signed(g, (3, 3, channels)), bias=signed(g, channels), **options, **dtype)
    if kind is SeparableConv2D:
        taps, matrix = signed(g, (3, 5, channels, 2)), signed(g, (2 * channels, filters))
        return kind(taps, matrix, bias=signed(g, filters), **options, **dtype)
    if kind is PointwiseConv2D:
        options = {k: v for k, v in options.items() if k in ("strides", "data_format")}
        return kind(signed(g, (channels, filters)), bias=signed(g, filters), **options, **dtype)
    return kind(signed(g, (2, 3, channels, filters)), **options, **dtype)


def pair(kind, channels, filters, **options):
    """The layer, and one of floats whose kernels are halves."""
    layer = make(kind, channels, filters, options, rng(7), dtype="float16")
    weights = layer._weights()
    settings = {k: v for k, v in layer._settings.items() if k != "dtype"}
    return layer, kind(**weights, **settings)


KINDS = [DepthwiseConv2D, PointwiseConv2D, SeparableConv2D, Conv2D]
OPTIONS = [
    {},
    {"padding": "same", "activation": "relu6"},
    {"strides": 2, "padding": "same_lower"},
    {"strides": (1, 3), "padding": 4, "activation": "swish"},
    {"dilation_rate": (5, 2), "padding": "same"},
]
SIZES = [(7, 8, 1, 3), (23, 31, 5, 9), (64, 70, 16, 24), (150, 40, 33, 17), (9, 300, 64, 130)]


@pytest.mark.emulated
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("kind", KINDS)
def test_bits_of_floats_rounded_once(forced_isa, kind, data_format):
    g = rng(1)
    few = support.emulated
    sizes = SIZES[:2] if few else SIZES[:: 2 if forced_isa == "scalar" else 1]
    for height, width, channels, filters in sizes:
        for options in OPTIONS[1::2] if few else OPTIONS:
            layer, floats = pair(kind, channels, filters, data_format=data_format, **options)
            first = data_format == "NCHW"
            shape = (channels, height, width) if first else (height, width, channels)
            x = halved(2, *shape, generator=g, limit=4)
            residual = {}
            if kind is not DepthwiseConv2D:
                residual["residual"] = halved(*layer.output_shape(x.shape), generator=g)
            wide = {k: v.astype(F32) for k, v in residual.items()}
            wanted = floats(x.astype(F32), **wide).astype(F16)
            for threads in (1, 2, 5):
                y = layer(x, **residual, num_threads=threads)
                assert y.dtype == F16
                assert_same(y, wanted)


def test_weights_are_halves_and_sums_are_not():
    """In halves the sum would stop at 2048; 2049 lies between two halves."""
    kernel = np.full((4096, 1), 1 + 2**-11 + 2**-20, F32)  # above the middle: 1 + 2**-10
    layer = PointwiseConv2D(kernel, dtype="float16")
    np.testing.assert_array_equal(layer._weights()["pointwise_kernel"], F32(1 + 2**-10))
    ones = PointwiseConv2D(np.ones((4096, 1), F32), dtype="float16")
    for count in (2048, 2049, 2051, 4096):
        x = np.zeros((1, 1, 4096), F16)
        x[..., :count] = 1
        assert ones(x)[0, 0, 0] == F16(count)
    twice = DepthwiseConv2D(np.full((2, 1, 1), 0.5, F32), dtype="float16")
    for term, wanted in ((2**-11, 0.5), (3 * 2**-11, 0.5 + 2**-10)):  # in the middle: the even one
        assert twice(np.array([1, term], F16).reshape(2, 1, 1))[0, 0, 0] == F16(wanted)


def test_within_the_bound():
    g = rng(2)
    taps, matrix = signed(g, (3, 3, 40)), signed(g, (40, 24))
    x = halved(1, 30, 30, 40, generator=g)
    layer = SeparableConv2D(taps, matrix, padding="same", dtype="float16")
    options = {"padding": "same"}
    wanted = reference.separable_conv2d(x.astype(np.float64), taps, matrix, **options)
    size = reference.separable_conv2d(
        np.abs(x.astype(np.float64)), np.abs(taps), np.abs(matrix), **options
    )
    # Two kernels, the result, and what is left of float32.
    assert (np.abs(layer(x) - wanted) <= (3 * 2.0**-11 + 2.0**-15) * size).all()


@pytest.mark.emulated
def test_numbers_that_are_odd(forced_isa):
    """Subnormals, infinities, NaN, and what is beyond float16."""
    bits = np.arange(2**16, dtype=np.uint32).astype(np.uint16)
    x = bits.view(F16).reshape(1, 256, 256, 1)
    same = DepthwiseConv2D(np.ones((1, 1, 1), F32), dtype="float16")
    y = same(x)
    numbers = ~np.isnan(x)
    np.testing.assert_array_equal(y[numbers], x[numbers])
    assert np.isnan(y[~numbers]).all()
    double = DepthwiseConv2D(np.full((1, 1, 1), 2, F32), dtype="float16")
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = (x.astype(F32) * 2).astype(F16)
    np.testing.assert_array_equal(double(x)[numbers], wanted[numbers])


def embedded(array):
    wide = np.full([2 * n + 3 for n in array.shape], np.nan, array.dtype)
    part = wide[tuple(slice(1, 2 * n + 1, 2) for n in array.shape)]
    part[...] = array
    return part


@pytest.mark.parametrize("kind", KINDS)
def test_any_layout(kind):
    g = rng(3)
    layer, _ = pair(kind, 6, 11, padding="same")
    x = halved(3, 20, 17, 6, generator=g)
    wanted = layer(x)
    views = {
        "strided": embedded(x),
        "planes": np.moveaxis(np.moveaxis(x, -1, 1).copy(), 1, -1),
        "reversed": np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        "odd": np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(F16).reshape(x.shape),
        "one": x[:1],
    }
    for name, view in views.items():
        assert_same(layer(view), wanted[:1] if name == "one" else wanted)
        out = embedded(np.zeros_like(wanted))
        if name != "one":
            assert layer(view, out=out) is out
            assert_same(out, wanted)
    assert_same(layer(x[0]), wanted[0])
    assert layer(x[:0]).shape == (0, *wanted.shape[1:])
    thin_, _ = pair(kind, 1, 1)
    column = halved(2, 50, 5, 1, generator=g)
    assert_same(thin_(embedded(column)), thin_(column))


def test_out_may_be_the_residual():
    layer, _ = pair(PointwiseConv2D, 8, 12)
    x = halved(1, 60, 60, 8, generator=rng(4))
    residual = halved(1, 60, 60, 12, generator=rng(5))
    wanted = layer(x, residual=residual)
    assert layer(x, residual=residual, out=residual) is residual
    assert_same(residual, wanted)


@pytest.mark.emulated
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_no_byte_outside_is_touched(forced_isa, at_end, data_format):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    arenas, g = [Arena() for _ in range(3)], rng(6)
    for channels in thin(range(1, 36)):
        layer, _ = pair(SeparableConv2D, channels, channels + 3, data_format=data_format)
        size = (9, 5 + channels % 7)
        shape = (channels, *size) if data_format == "NCHW" else (*size, channels)
        x = halved(1, *shape, generator=g)
        residual = halved(*layer.output_shape(x.shape), generator=g)
        wanted = layer(x, residual=residual)
        placed = [a.place(v, at_end) for a, v in zip(arenas, (x, residual, wanted), strict=True)]
        placed[2][...] = np.nan
        assert_same(layer(placed[0], residual=placed[1], out=placed[2]), wanted)


def test_groups_and_batch_norm():
    g = rng(8)
    norm = BatchNorm(*batch_norm(g, 12))
    kernel = signed(g, (3, 3, 4, 12))
    layer = Conv2D(kernel, padding="same", groups=2, batch_norm=norm, dtype="float16")
    floats = Conv2D(**layer._weights(), padding="same", groups=2)
    x = halved(2, 40, 40, 8, generator=g)
    assert_same(layer(x), floats(x.astype(F32)).astype(F16))


def test_pickles_copies_and_words():
    layer, _ = pair(SeparableConv2D, 5, 7, padding="same")
    x = halved(1, 9, 9, 5, generator=rng(9))
    for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert other.dtype == "float16"
        assert_same(other(x), layer(x))
    assert "dtype='float16'" in repr(layer)
    floats = SeparableConv2D(np.ones((3, 3, 5), F32), np.ones((5, 7), F32))
    assert floats.dtype == "float32"
    assert "dtype" not in repr(floats)
    assert layer.nbytes > 0
    text = layer.plan((1, 200, 200, 5), num_threads=2)
    assert "bands of at most" in text
    assert layer.macs(x.shape) == 81 * (5 * 15 * 2 + 10 * 7)


def test_refusals():
    layer, floats = pair(PointwiseConv2D, 3, 4)
    x = np.zeros((5, 5, 3), F16)
    with pytest.raises(
        TypeError, match=r"x must be .* float32.*make the layer with dtype=.float16"
    ):
        floats(x)
    with pytest.raises(TypeError, match="make the layer with dtype"):
        fastdw.pointwise_conv2d(x, np.ones((3, 4), F32))
    with pytest.raises(TypeError, match=r"x must be an array of native float16"):
        layer(x.astype(F32))
    with pytest.raises(TypeError, match=r"x must be an array of native float16"):
        layer(x.astype(">f2"))
    with pytest.raises(TypeError, match=r"residual must be an array of native float16"):
        layer(x, residual=np.zeros((5, 5, 4), F32))
    with pytest.raises(TypeError, match=r"out must be of native float16"):
        layer(x, out=np.zeros((5, 5, 4), F32))
    with pytest.raises(ValueError, match="out must not overlap"):
        pair(PointwiseConv2D, 3, 3)[0](x, out=x)
    with pytest.raises(TypeError, match="dtype must be a str"):
        PointwiseConv2D(np.ones((3, 4), F32), dtype=F16)
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float16'"):
        DepthwiseConv2D(np.ones((3, 3, 4), F32), dtype="int8")
    with pytest.raises(ValueError, match=r"pointwise_kernel must fit into float16, got 70000"):
        PointwiseConv2D(np.full((3, 4), 7e4, F32), dtype="float16")
    with pytest.raises(TypeError, match=r"pointwise_kernel must be .* float32"):
        PointwiseConv2D(np.ones((3, 4), F16), dtype="float16")
    with pytest.raises(ValueError, match=r"a network takes no layer of.*weights='float16'"):
        layer(Input((5, 5, 3)))
