"""Layers with sums of float16: the bits of their definition, where a CPU has an FMA of halves."""

import copy
import pickle
import re

import fastdw
import numpy as np
import pytest
from fastdw import (
    BatchNorm,
    Conv2D,
    DepthwiseConv2D,
    PointwiseConv2D,
    SeparableConv2D,
    _core,
    _layers,
    reference,
)
from fastdw.reference import _float16
from support import CURVES, Arena, assert_same, batch_norm, rng, signed, thin

pytestmark = pytest.mark.emulated

F16, F32 = np.float16, np.float32
SUMS = {"dtype": "float16", "accumulate": "float16"}


def halves(generator, *shape, limit=4.0):
    return (signed(generator, shape) * F32(limit)).astype(F16)


def check_pointwise(x, matrix, threads=1, **options):
    """Against the twin, whose clamps are numbers of float32 as well."""
    settings = {k: v for k, v in options.items() if k != "residual"}
    given = {k: v for k, v in options.items() if k == "residual"}
    layer = PointwiseConv2D(matrix, **settings, **SUMS)
    got = layer(x, **given, num_threads=threads)
    assert_same(got, reference.float16_pointwise_conv2d(x, matrix, **options))


def check_depthwise(x, taps, threads=1, **options):
    layer = DepthwiseConv2D(taps, **options, **SUMS)
    got = layer(x, num_threads=threads)
    assert_same(got, reference.float16_depthwise_conv2d(x, taps, **options))


@pytest.mark.parametrize("end", ["plain", "added"])
def test_pointwise_at_every_tail(isa16, end):
    g = rng(1)
    for filters in thin(range(1, 35)):
        for inputs, pixels in ((1, 17), (7, 9), (8, 8), (9, 7), (23, 3), (64, 15), (65, 1)):
            x, matrix = halves(g, 1, 1, pixels, inputs), signed(g, (inputs, filters))
            options = {}
            if end == "added":
                options = {"bias": signed(g, filters), "activation": ("clip", -0.75, 1.5)}
                options["residual"] = halves(g, 1, 1, pixels, filters)
            check_pointwise(x, matrix, **options)


@pytest.mark.parametrize("inputs", [63, 64, 65, 127, 128, 129, 191, 320])
def test_pointwise_chunks(isa16, inputs):
    g = rng(inputs)
    x, matrix = halves(g, 2, 3, 5, inputs), signed(g, (inputs, 40))
    check_pointwise(x, matrix, activation="relu6")
    residual = halves(g, 2, 3, 5, 40)
    check_pointwise(x, matrix, bias=signed(g, 40), residual=residual)


def test_pointwise_in_blocks_and_strides(isa16):
    g = rng(2)
    x, matrix = halves(g, 2, 40, 37, 33), signed(g, (33, 19))
    for threads in (1, 2, 5):
        check_pointwise(x, matrix, threads, bias=signed(g, 19), activation="relu")
    for strides in (2, (1, 3), (3, 50)):
        check_pointwise(x, matrix, 2, strides=strides)


SHAPES = [
    ((3, 3), 1, "same", 1, 1),
    ((3, 3), 1, "valid", 1, 1),
    ((3, 3), 2, "same", 1, 1),
    ((3, 3), 2, ((2, 0), (5, 1)), 1, 1),
    ((5, 5), 1, "same", 1, 1),
    ((5, 5), 2, "same_lower", 1, 1),
    ((3, 3), 1, "same", 2, 1),
    ((3, 3), 1, "same", 1, 3),
    ((3, 3), (1, 2), "same", 1, 1),
    ((2, 4), (3, 1), 3, (1, 2), 1),
    ((9, 8), 1, "same", 1, 1),  # 72 taps: two sums
    ((1, 1), 1, "valid", 1, 2),
    ((3, 3), 2**33, "same", 1, 1),  # no second output
    ((1, 1), (2**62, 1), "valid", (1, 2**62), 1),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_depthwise(isa16, shape):
    size, strides, padding, dilation, multiplier = shape
    g = rng(3)
    where = {"strides": strides, "padding": padding, "dilation_rate": dilation}
    for channels, height, width in ((1, 9, 10), (8, 9, 14), (11, 12, 9), (24, 10, 8)):
        x, taps = halves(g, 2, height, width, channels), signed(g, (*size, channels, multiplier))
        bias = signed(g, channels * multiplier)
        check_depthwise(x, taps, 2, **where)
        check_depthwise(x, taps, **where, bias=bias, activation=("clip", -0.5, 2.25))


def test_depthwise_of_every_width_and_tail(isa16):
    g = rng(4)
    for number in thin(range(1, 26)):
        taps = signed(g, (3, 3, number))
        check_depthwise(halves(g, 1, 3, 6, number), taps, padding="same")
        check_depthwise(halves(g, 1, 4, number, 8), signed(g, (3, 3, 8)), padding="same")
        check_depthwise(halves(g, 1, 4, number, 8), signed(g, (5, 5, 8)), padding="same", strides=2)


def test_separable(isa16):
    g = rng(5)
    for channels, filters, multiplier in ((8, 16, 1), (13, 21, 1), (70, 9, 1), (3, 5, 2)):
        x = halves(g, 2, 11, 13, channels)
        middle = channels * multiplier
        kernels = signed(g, (3, 3, channels, multiplier)), signed(g, (middle, filters))
        options = {
            "padding": "same",
            "depthwise_bias": signed(g, middle),
            "depthwise_activation": "relu6",
            "bias": signed(g, filters),
            "activation": "relu",
        }
        layer = SeparableConv2D(*kernels, **options, **SUMS)
        residual = halves(g, *layer.output_shape(x.shape))
        wanted = reference.float16_separable_conv2d(x, *kernels, **options, residual=residual)
        for threads in (1, 3):
            assert_same(layer(x, residual=residual, num_threads=threads), wanted)


def test_separable_in_blocks(isa16):
    """Rows and columns that one block does not hold."""
    g = rng(6)
    x, kernels = halves(g, 1, 12, 40, 300), (signed(g, (3, 3, 300)), signed(g, (300, 8)))
    layer = SeparableConv2D(*kernels, padding="same", **SUMS)
    wanted = reference.float16_separable_conv2d(x, *kernels, padding="same")
    for threads in (1, 4):
        assert_same(layer(x, num_threads=threads), wanted)
    assert int(re.search(r"tasks +(\d+)", layer.plan(x.shape, num_threads=1))[1]) > 1


DENSE = [
    ((3, 3), 2, "same", 1, 1),
    ((3, 3), 1, "valid", 1, 1),
    ((3, 3), 1, ((2, 0), (0, 3)), 2, 2),
    ((2, 5), (1, 3), "same", (3, 1), 3),
    ((1, 1), 2, "valid", 1, 1),
    ((1, 1), 1, ((0, 1), (0, 2)), 1, 2),
    ((7, 7), 2, "same", 1, 1),
    ((3, 3), 2**33, "same", 1, 1),  # no second output
]


@pytest.mark.parametrize("shape", DENSE, ids=str)
def test_dense(isa16, shape):
    size, strides, padding, dilation, groups = shape
    g = rng(13)
    where = {"strides": strides, "padding": padding, "dilation_rate": dilation, "groups": groups}
    for channels, filters, height, width in ((1, 5, 9, 14), (3, 16, 12, 9), (9, 21, 7, 8)):
        x = halves(g, 2, height, width, channels * groups)
        kernel = signed(g, (*size, channels, filters * groups))
        options = where | {"bias": signed(g, filters * groups), "activation": "relu6"}
        layer = Conv2D(kernel, **options, **SUMS)
        residual = halves(g, *layer.output_shape(x.shape))
        wanted = reference.float16_conv2d(x, kernel, **options)
        added = reference.float16_conv2d(x, kernel, **options, residual=residual)
        for threads in (1, 3):
            assert_same(layer(x, num_threads=threads), wanted)
        assert_same(layer(x, residual=residual), added)
        planes = Conv2D(kernel, data_format="NCHW", **options, **SUMS)
        turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        assert_same(planes(turned).transpose(0, 2, 3, 1), wanted)
        assert "scratch" in planes.plan(turned.shape)


SLOPED = [*CURVES, ("prelu", np.linspace(-1, 2, 21, dtype=F32))]


@pytest.mark.parametrize("activation", SLOPED, ids=str)
def test_curves_are_those_of_floats(isa16, activation):
    """On the totals, and then they are rounded."""
    g = rng(7)
    x, matrix, taps = halves(g, 1, 4, 5, 21), signed(g, (21, 21)), signed(g, (1, 1, 21))
    curve = DepthwiseConv2D(np.ones((1, 1, 21), F32), activation=activation)
    terms = [(x[..., k, None].astype(np.float64), matrix[k].astype(F16)) for k in range(21)]
    totals = _float16._summed(terms, np.zeros((1, 4, 5, 21), F32))
    layer = PointwiseConv2D(matrix, activation=activation, **SUMS)
    assert_same(layer(x), curve(totals).astype(F16))
    products = _float16.fused_multiply_add(x, taps.astype(F16), F16(0))
    layer = DepthwiseConv2D(taps, activation=activation, **SUMS)
    assert_same(layer(x), curve(products.astype(F32)).astype(F16))


@pytest.mark.parametrize("activation", ["hard_swish", "swish", SLOPED[-1]], ids=str)
def test_curves_of_windows(isa16, monkeypatch, activation):
    """By tiles, at borders and inside, and where channels are left."""
    g = rng(14)
    curve = DepthwiseConv2D(np.ones((1, 1, 21), F32), activation=activation)
    monkeypatch.setattr(_float16, "activate", lambda totals, activation: curve(totals))
    x = halves(g, 1, 6, 9, 21)
    for size, strides in ((3, 1), (5, 2)):
        taps, bias = signed(g, (size, size, 21)), signed(g, 21)
        options = {"padding": "same", "strides": strides, "bias": bias}
        check_depthwise(x, taps, activation=activation, **options)


def test_numbers_that_are_odd(isa16):
    """Subnormals, infinities, NaN, and what is beyond float16."""
    x = np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(F16).reshape(1, 256, 256, 1)
    numbers = ~np.isnan(x)
    for weight in (1.0, 2.0, 2.0**-14, 3 * 2.0**-24, 1 + 2.0**-10):
        for layer, kernel in ((DepthwiseConv2D, (1, 1, 1)), (PointwiseConv2D, (1, 1))):
            y = layer(np.full(kernel, weight, F32), **SUMS)(x)
            with np.errstate(all="ignore"):
                wanted = (x.astype(F32) * F32(weight)).astype(F16)
            np.testing.assert_array_equal(y[numbers], wanted[numbers])
            assert np.isnan(y[~numbers]).all()
    # A sum of halves is infinite where one of floats is not.
    pair = PointwiseConv2D(np.array([[1.0], [1.0], [-1.0]], F32), **SUMS)
    assert pair(np.full((1, 1, 3), 40000, F16))[0, 0, 0] == np.inf
    clamped = PointwiseConv2D(np.ones((2, 1), F32), activation="relu6", **SUMS)
    assert clamped(np.full((1, 1, 2), 40000, F16))[0, 0, 0] == 6


@pytest.mark.parametrize("at_end", [True, False])
def test_no_byte_outside_is_touched(isa16, at_end):
    arenas, g = [Arena() for _ in range(3)], rng(8)
    for channels in thin(range(1, 36)):
        kernels = signed(g, (3, 3, channels)), signed(g, (channels, channels + 3))
        layers = [
            DepthwiseConv2D(kernels[0], padding="same", **SUMS),
            PointwiseConv2D(kernels[1], **SUMS),
            SeparableConv2D(*kernels, **SUMS),
            Conv2D(signed(g, (3, 2, channels, 7)), padding="same", **SUMS),
        ]
        for layer in layers:
            x = halves(g, 1, 4, 5 + channels % 7, channels)
            shape = layer.output_shape(x.shape)
            added = {} if layer is layers[0] else {"residual": halves(g, *shape)}
            wanted = layer(x, **added)
            out = arenas[1].place(np.full(shape, np.nan, F16), at_end)
            added = {k: arenas[2].place(v, at_end) for k, v in added.items()}
            assert_same(layer(arenas[0].place(x, at_end), **added, out=out), wanted)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_any_layout(isa16, data_format):
    g = rng(9)
    kernels = signed(g, (3, 3, 6)), signed(g, (6, 6))
    layer = SeparableConv2D(*kernels, padding="same", data_format=data_format, **SUMS)
    first = data_format == "NCHW"
    x = halves(g, 3, *((6, 8, 7) if first else (8, 7, 6)))
    wanted = reference.float16_separable_conv2d(
        x, *kernels, padding="same", data_format=data_format, residual=x
    )
    wide = np.zeros([2 * n for n in x.shape], F16)
    apart = wide[::2, ::2, 1::2, ::2]
    apart[...] = x
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(F16).reshape(x.shape)
    for given in (x, apart, odd, np.ascontiguousarray(x[:, ::-1])[:, ::-1]):
        assert_same(layer(given, residual=given), wanted)
    out = np.zeros_like(wide)[::2, ::2, 1::2, ::2]
    assert layer(x, residual=x, out=out) is out
    assert_same(out, wanted)
    out[...] = x
    assert layer(x, residual=out, out=out) is out
    assert_same(out, wanted)
    assert_same(layer(x[0], residual=x[0]), wanted[0])
    assert layer(x[:0]).shape == x[:0].shape
    assert "scratch" in layer.plan(x.shape)


def test_batch_norm(isa16):
    g = rng(10)
    norm, matrix = BatchNorm(*batch_norm(g, 12)), signed(g, (5, 12))
    layer = PointwiseConv2D(matrix, batch_norm=norm, activation="relu6", **SUMS)
    folded, bias = norm.fold(matrix, None)
    x = halves(g, 1, 3, 3, 5)
    wanted = reference.float16_pointwise_conv2d(x, folded, bias=bias, activation="relu6")
    assert_same(layer(x), wanted)


def test_pickles_copies_and_words(isa16):
    g = rng(11)
    matrix = signed(g, (5, 7))
    layers = [
        PointwiseConv2D(matrix, strides=2, bias=signed(g, 7), **SUMS),
        PointwiseConv2D(matrix, **SUMS),
        DepthwiseConv2D(signed(g, (3, 3, 5, 2)), **SUMS),
        SeparableConv2D(signed(g, (3, 3, 5)), signed(g, (5, 40)), padding="same", **SUMS),
        Conv2D(signed(g, (3, 3, 5, 8)), 2, **SUMS),
        Conv2D(signed(g, (3, 3, 1, 20)), groups=5, activation=("prelu", signed(g, 20)), **SUMS),
    ]
    x = halves(g, 1, 9, 9, 5)
    for layer in layers:
        assert "accumulate='float16'" in repr(layer)
        assert layer.nbytes > 0
        assert layer.plan(x.shape).startswith(f"sums of float16: {isa16}\n")
        for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
            assert other.dtype == other.accumulate == "float16"
            assert_same(other(x), layer(x))
            assert repr(other) == repr(layer)


def test_every_kernel_by_its_name(isa16):
    g, names = rng(12), _core.kernels16(isa16)
    assert fastdw.show_config("dict")["kernels16"] == names
    shown = {"scale16"}  # that of networks' gates
    for size, stride in ((3, 1), (3, 2), (5, 1), (5, 2), (7, 1)):
        layer = DepthwiseConv2D(signed(g, (size, size, 8)), stride, **SUMS)
        shown.update(re.findall(r"\w+16_\w+", layer.plan((1, 9, 9, 8))))
    for filters in (8, 16):
        text = PointwiseConv2D(signed(g, (4, filters)), **SUMS).plan((1, 9, 9, 4))
        pixels, vectors = re.search(r"(\d) vectors, tiles of up to (\d)", text).groups()[::-1]
        shown.add(f"pwconv16_{pixels}x{vectors}")
    assert shown == set(names)
    assert len(names) == len(shown)


def test_options_that_do_not_go_together():
    matrix = np.ones((3, 4), F32)
    with pytest.raises(ValueError, match="accumulate must be one of 'float32', 'float16', got"):
        PointwiseConv2D(matrix, dtype="float16", accumulate="int8")
    with pytest.raises(TypeError, match="accumulate must be a str"):
        PointwiseConv2D(matrix, dtype="float16", accumulate=F16)
    with pytest.raises(ValueError, match="goes with dtype=\"float16\", got dtype='float32'"):
        DepthwiseConv2D(np.ones((3, 3, 4), F32), accumulate="float16")
    with pytest.raises(ValueError, match="goes without pre_activation, got 'relu'"):
        SeparableConv2D(np.ones((3, 3, 3), F32), matrix, pre_activation="relu", **SUMS)
    assert PointwiseConv2D(matrix, dtype="float16").accumulate == "float32"


@pytest.mark.skipif(bool(_core.config16()["supported"]), reason="this CPU has an FMA of halves")
def test_a_cpu_that_lacks_it():
    for make in (
        lambda: DepthwiseConv2D(np.ones((3, 3, 4), F32), **SUMS),
        lambda: PointwiseConv2D(np.ones((3, 4), F32), **SUMS),
        lambda: Conv2D(np.ones((3, 3, 3, 4), F32), **SUMS),
        lambda: SeparableConv2D(np.ones((3, 3, 3), F32), np.ones((3, 4), F32), **SUMS),
    ):
        with pytest.raises(RuntimeError, match="ARM with FEAT_FP16: this one does not"):
            make()
    weights = {"pointwise_kernel": np.ones((3, 4), F32), "bias": np.zeros(4, F32)}
    pickled = weights | {"data_format": "NHWC", "activation": None} | SUMS
    with pytest.raises(RuntimeError, match="ARM with FEAT_FP16: this one does not"):
        _layers._restore(_layers.VERSION, "PointwiseConv2D", pickled, 16)
    config = fastdw.show_config("dict")
    assert config["isas16"]["active"] is None
    assert config["kernels16"] == []
    with pytest.raises(ValueError, match="is not among"):
        _core.kernels16("fp16")


def test_bad_numbers_are_refused_by_the_core(isa16):
    bits, plain = np.ones((3, 4), np.uint16), _core.Activation("clamp")
    with pytest.raises(ValueError, match="kernel"):
        _core.Pointwise16(bits.astype(F32), None, plain)
    with pytest.raises(ValueError, match="bias"):
        _core.Pointwise16(bits, np.ones(3, F32), plain)
    slopes = _core.Activation("prelu", slopes=np.ones(3, F32))
    with pytest.raises(ValueError, match="slopes"):
        _core.Pointwise16(bits, None, slopes)
    with pytest.raises(ValueError, match="geometry"):
        _core.Depthwise16(bits.reshape(1, 1, 3, 4), None, plain, (0, 1, 1, 1))
    with pytest.raises(ValueError, match="parts"):
        _core.Operator16(None, None)
    weights = _core.Pointwise16(bits, None, plain, isa16)
    assert weights.isa == isa16
    operator, one = _core.Operator16(None, weights), (1, 1, 1, 1, 0, 0)
    x, out = np.zeros((1, 2, 2, 3), np.uint16), np.zeros((1, 2, 2, 4), np.uint16)
    operator.run_halves(x, None, out, one, 1)
    cases = {
        "channels": (x[..., :2], None, out, one, 1),
        "channels apart": (np.zeros((1, 2, 3, 2), np.uint16).swapaxes(2, 3), None, out, one, 1),
        "x": (x, None, out, (2, 1, 1, 1, 0, 0), 1),
        "pads": (x, None, out, (1, 1, 1, 1, 1, 0), 1),
        "residual": (x, x, out, one, 1),
        "num_threads": (x, None, out, one, 0),
        "out": (x, None, out.astype(F32), one, 1),
    }
    for message, arguments in cases.items():
        with pytest.raises(ValueError, match=message):
            operator.run_halves(*arguments)
