"""The layers of 8-bit integers: to the last bit what the reference gives, on every set."""

import numpy as np
import pytest
from fastdw import (
    Quantization,
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
    _core,
    reference,
)
from fastdw._isa import packed_for8
from support import Arena, rng, thin

ISAS8 = _core.config8()["supported"]
LOW, HIGH = Quantization(0.05, -128), Quantization(0.05, 127)
U8, U8_HIGH = Quantization(0.05, 3, "uint8"), Quantization(0.04, 255, "uint8")
# Before and after a layer, and its activation: zero points at both ends, both signs, ties, and
# large factors.
ENDS = {
    "relu6": (LOW, Quantization(6 / 255, -128), "relu6"),
    "no clamp": (Quantization(0.05, 7), Quantization(0.3, -5), None),
    "high": (HIGH, HIGH, ("clip", -3.0, 2.0)),
    "uint8": (U8, U8_HIGH, "relu"),
    "to uint8": (LOW, U8, None),
    "to int8": (U8, Quantization(0.1, 0), "relu_n1_to_1"),
    "ties": (Quantization(0.5, 1), Quantization(2.0**7, 3), None),
    "factors above 1": (Quantization(2.0, 1), Quantization(0.25, 3), None),
}


def whole(g, shape, least=-127):
    return g.integers(least, 128, shape).astype(np.int8)


def tensor(g, shape, q):
    return g.integers(q.limits[0], q.limits[1] + 1, shape).astype(q.dtype)


def scales(g, channels, ends):
    given, result, _ = ends
    if given.scale == 0.5:  # powers of two: halves occur
        return np.full(channels, np.float32(2.0**-3))
    least = 0.3 if given.scale > 1 else 0.001
    return (g.uniform(least, 3 * least, channels) * result.scale / given.scale).astype(np.float32)


def check_depthwise(isa8, g, shape, kernel, ends, **arguments):
    given, result, activation = ends
    x = tensor(g, shape, given)
    channels = kernel.shape[2] * (kernel.shape[3] if kernel.ndim == 4 else 1)
    bias = g.integers(-3000, 3000, channels).astype(np.int32)
    arguments |= {"input": given, "output": result, "bias": bias, "activation": activation}
    factors = scales(g, channels, ends)
    with packed_for8(isa8):
        layer = QuantizedDepthwiseConv2D(kernel, factors, **arguments)
    wanted = reference.quantized_depthwise_conv2d(x, kernel, factors, **arguments)
    got = layer(x, num_threads=1)
    assert got.dtype == wanted.dtype == result.dtype
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.emulated
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("taps", [3, 5])
def test_depthwise_channels(isa8, stride, padding, taps):
    g = rng(1)
    ends = list(ENDS.values())
    for channels in thin(range(1, 131)):
        kernel = whole(g, (taps, taps, channels), -128 + channels // 10 % 2)
        check_depthwise(
            isa8, g, (1, 5, 6, channels), kernel, ends[channels % len(ends)],
            strides=stride, padding=padding,
        )  # fmt: skip


@pytest.mark.emulated
@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("taps", [3, 5])
def test_depthwise_borders(isa8, name, stride, taps):
    g = rng(2)
    for height in range(1, 6):
        for width in range(1, 8):
            pads = tuple(map(tuple, g.integers(2, 5, (2, 2)).tolist()))
            kernel = whole(g, (taps, taps, 19), -128 + (height + width) % 2)
            check_depthwise(
                isa8, g, (2, height, width, 19), kernel, ENDS[name], strides=stride, padding=pads
            )


@pytest.mark.emulated
@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("strides", [(1, 1), (3, 2), (2, 1)])
def test_rows_of_five_taps(isa8, rows, strides):
    g = rng(4)
    for width in (5, 8, 9, 14, 23):
        kernel = whole(g, (rows, 5, 21), -128)
        check_depthwise(
            isa8, g, (1, 9, width, 21), kernel, ENDS["uint8"], strides=strides,
            dilation_rate=(2 if rows == 3 else 1, 1), padding="same",
        )  # fmt: skip


@pytest.mark.emulated
@pytest.mark.parametrize("seed", range(30))
def test_depthwise_of_any_kind(isa8, seed):
    g = rng(seed)
    channels, multiplier = int(g.integers(1, 40)), int(g.integers(1, 4))
    kernel = whole(g, (*g.integers(1, 8, 2), channels, multiplier), -128)
    strides, dilation = g.integers(1, 4, 2).tolist(), g.integers(1, 4, 2).tolist()
    padding = ["same", "same_lower", ((3, 1), (2, 4))][seed % 3]
    shape = (2, *(g.integers(18, 24, 2).tolist()), channels)
    ends = list(ENDS.values())[seed % len(ENDS)]
    check_depthwise(
        isa8, g, shape, kernel, ends, strides=strides, dilation_rate=dilation, padding=padding
    )


def check_pointwise(isa8, g, pixels, inputs, outputs, ends):
    given, result, activation = ends
    kernel = whole(g, (inputs, outputs), -128 + (inputs + outputs) // 10 % 2)
    x = tensor(g, (1, *pixels, inputs), given)
    bias = g.integers(-3000, 3000, outputs).astype(np.int32)
    arguments = {"input": given, "output": result, "bias": bias, "activation": activation}
    factors = scales(g, outputs, ends)
    with packed_for8(isa8):
        layer = QuantizedPointwiseConv2D(kernel, factors, **arguments)
    wanted = reference.quantized_pointwise_conv2d(x, kernel, factors, **arguments)
    np.testing.assert_array_equal(layer(x, num_threads=1), wanted)


@pytest.mark.parametrize("inputs", [255, 256, 257, 512, 513, 700])
def test_pointwise_of_many_inputs(isa8, inputs):
    check_pointwise(isa8, rng(inputs), (1, 19), inputs, 27, ENDS["no clamp"])


@pytest.mark.emulated
def test_pointwise_inputs_and_outputs(isa8):
    g = rng(3)
    ends = list(ENDS.values())
    for n in thin(range(1, 131)):
        check_pointwise(isa8, g, (3, 7), n, 40, ends[n % len(ends)])
        check_pointwise(isa8, g, (1, 5), 9, n, ends[n % len(ends)])


@pytest.mark.emulated
@pytest.mark.parametrize("name", ENDS)
def test_pointwise_pixels(isa8, name):
    g = rng(4)
    for pixels in thin(range(1, 40)):
        for outputs in (4, 8, 12, 16, 31, 48, 64):
            check_pointwise(isa8, g, (1, pixels), 8, outputs, ENDS[name])


@pytest.mark.emulated
def test_the_largest_sums(isa8):
    """Sums far beyond 2**24, where float32(sum) is rounded, and factors that leave int32."""
    for value, other in ((-128, -128), (127, -127), (-128, 127), (-128, -127)):
        x = np.full((1, 1, 1, 4096), value, np.int8)
        kernel = np.full((4096, 5), other, np.int8)
        bias = np.int32([0, 2**30, -(2**30), 12345677, -1])
        for factor, zero in ((1e-7, 2), (1e-3, -128), (255.9, 2), (255.9, -128)):
            arguments = {"input": Quantization(1.0, -1), "output": Quantization(1.0, zero)}
            layers = kernel, np.float32([factor])
            with packed_for8(isa8):
                layer = QuantizedPointwiseConv2D(*layers, bias=bias, **arguments)
            wanted = reference.quantized_pointwise_conv2d(x, *layers, bias=bias, **arguments)
            np.testing.assert_array_equal(layer(x), wanted)


@pytest.mark.emulated
def test_the_largest_sums_of_a_window(isa8):
    """Twice as much as some of these leaves int32; such sums are those of 3x3 with AVX2."""
    g = rng(6)
    bias = np.int32([2**30, -(2**30), 2**29, 2**29 - 1, -(2**29), 2**31 - 700_000, 7])
    for some in (bias, *np.split(bias, len(bias))):
        arguments = {
            "input": Quantization(1.0, -128), "output": Quantization(1.0, 2),
            "padding": "same", "bias": some,
        }  # fmt: skip
        layers = whole(g, (3, 3, len(some))), np.float32([1e-7])
        x = whole(g, (1, 5, 5, len(some)))
        with packed_for8(isa8):
            layer = QuantizedDepthwiseConv2D(*layers, **arguments)
        wanted = reference.quantized_depthwise_conv2d(x, *layers, **arguments)
        np.testing.assert_array_equal(layer(x), wanted)


def separable(g, channels, filters, ends, multiplier=1, taps=(3, 3)):
    """Kernels, scales and the rest of a separable layer's arguments."""
    given, result, activation = ends
    middle = Quantization(6 / 255, -128) if given.scale < 0.5 else Quantization(40.0, 3)
    kernels = whole(g, (*taps, channels, multiplier)), whole(g, (channels * multiplier, filters))
    first = scales(g, channels * multiplier, (given, middle, None))
    second = scales(g, filters, (middle, result, None))
    return (kernels[0], first, kernels[1], second), {
        "input": given, "middle": middle, "output": result, "activation": activation,
        "depthwise_bias": g.integers(-999, 999, channels * multiplier).astype(np.int32),
        "bias": g.integers(-999, 999, filters).astype(np.int32),
        "depthwise_activation": "relu6",
    }  # fmt: skip


@pytest.mark.emulated
@pytest.mark.parametrize("seed", range(24))
def test_separable(isa8, seed):
    g = rng(seed)
    ends = list(ENDS.values())[seed % len(ENDS)]
    channels, filters = (int(n) for n in g.integers(1, 100, 2))
    weights, rest = separable(
        g, channels, filters, ends, 1 + seed % 5 // 4, [(3, 3), (5, 5), (1, 3)][seed % 7 // 3]
    )
    rest |= {"strides": 1 + seed % 2, "padding": ["same", "valid"][seed % 3 // 2]}
    residual = {}
    if seed % 4 == 1:
        rest |= {"residual": U8_HIGH, "sum": Quantization(0.09, 11)}
    with packed_for8(isa8):
        layer = QuantizedSeparableConv2D(*weights, **rest)
    x = tensor(g, (2, 13, 11, channels), ends[0])
    if seed % 4 == 1:
        residual = {"residual": tensor(g, layer.output_shape(x.shape), U8_HIGH)}
        rest = rest | residual | {"addend": U8_HIGH}
    wanted = reference.quantized_separable_conv2d(x, *weights, **rest)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(layer(x, **residual, num_threads=threads), wanted)


def test_images_larger_than_a_block(isa8):
    g = rng(9)
    weights, rest = separable(g, 70, 33, ENDS["relu6"])
    with packed_for8(isa8):
        layer = QuantizedSeparableConv2D(*weights, **rest, padding="same")
    for shape in ((1, 60, 40, 70), (1, 3, 1500, 70)):
        x = tensor(g, shape, LOW)
        wanted = reference.quantized_separable_conv2d(x, *weights, **rest, padding="same")
        for threads in (1, 4):
            np.testing.assert_array_equal(layer(x, num_threads=threads), wanted)


def test_threads_share_the_panels_of_a_late_plane(isa8):
    g = rng(11)
    weights, rest = separable(g, 384, 500, ENDS["to uint8"])
    with packed_for8(isa8):
        layer = QuantizedSeparableConv2D(*weights, **rest, padding="same")
    x = tensor(g, (1, 3, 3, 384), LOW)
    wanted = reference.quantized_separable_conv2d(x, *weights, **rest, padding="same")
    assert "shares of the panels: 2" in layer.plan(x.shape, num_threads=2)
    for threads in (1, 2, 3, 4):
        np.testing.assert_array_equal(layer(x, num_threads=threads), wanted)


@pytest.mark.parametrize("name", ["to uint8", "to int8"])  # of which a set takes one in place
@pytest.mark.parametrize("kind", ["separable", "residual", "pointwise"])
def test_threads_share_pixels_where_rows_are_not_even(isa8, kind, name):
    """Two threads have 25 and 24 pixels of 7×7; a view's rows do not follow each other."""
    g = rng(12)
    weights, rest = separable(g, 384, 200, ENDS[name])
    layer, twin = QuantizedSeparableConv2D, reference.quantized_separable_conv2d
    if kind == "pointwise":
        layer, twin = QuantizedPointwiseConv2D, reference.quantized_pointwise_conv2d
        weights = weights[2:]
        rest = {name: rest[name] for name in ("input", "output", "bias", "activation")}
    else:
        rest["padding"] = "same"
    x, given = tensor(g, (1, 7, 7, 384), rest["input"]), {}
    wanted = twin(x, *weights, **rest)
    if kind != "separable":
        rest |= {"residual": U8_HIGH, "sum": LOW}
        given = {"residual": tensor(g, wanted.shape, U8_HIGH)}
        wanted = twin(x, *weights, **rest | given, addend=U8_HIGH)
    with packed_for8(isa8):
        compute = layer(*weights, **rest)
    assert "runs: 2, at most 25 pixels" in compute.plan(x.shape, num_threads=2)
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(compute(x, **given, num_threads=threads), wanted)
    out = np.zeros((1, 7, 9, 200), wanted.dtype)[:, :, 1:8]
    np.testing.assert_array_equal(compute(x, **given, out=out, num_threads=2), wanted)


@pytest.mark.emulated
@pytest.mark.parametrize("at_end", [True, False])
def test_no_byte_outside_the_arrays(isa8, at_end):
    places = [Arena() for _ in range(3)]
    g = rng(5)
    q = Quantization(0.09, 11)
    for channels, filters in ((1, 1), (3, 5), (17, 16), (63, 65), (64, 64), (65, 130), (130, 63)):
        for stride, taps in ((1, 3), (2, 3), (1, 5), (2, 5)):
            weights, rest = separable(g, channels, filters, ENDS["no clamp"], 1, (taps, taps))
            rest |= {"strides": stride, "padding": "same"}
            with packed_for8(isa8):
                layer = QuantizedSeparableConv2D(*weights, **rest, residual=U8, sum=q)
                half = QuantizedDepthwiseConv2D(
                    *weights[:2], input=rest["input"], output=q, strides=stride, padding="same"
                )
            x = places[0].place(tensor(g, (1, 5, 7, channels), rest["input"]), at_end)
            shape = layer.output_shape(x.shape)
            residual = places[1].place(tensor(g, shape, U8), at_end)
            out = places[2].place(np.zeros(shape, np.int8), at_end)
            wanted = reference.quantized_separable_conv2d(
                x, *weights, **rest, residual=residual, addend=U8, sum=q
            )
            np.testing.assert_array_equal(layer(x, residual=residual, out=out), wanted)
            out = places[2].place(np.zeros((*shape[:3], channels), np.int8), at_end)
            np.testing.assert_array_equal(half(x, out=out), half(x))


def test_arrays_of_any_strides(isa8):
    g = rng(6)
    q = Quantization(0.1, 2)
    weights, rest = separable(g, 6, 5, ENDS["no clamp"])
    with packed_for8(isa8):
        layer = QuantizedSeparableConv2D(*weights, **rest, residual=q, sum=q)
    x, residual = tensor(g, (2, 9, 8, 6), rest["input"]), tensor(g, (2, 7, 6, 5), q)
    wanted = layer(x, residual=residual)
    apart = np.zeros((2, 6, 9, 16), np.int8)
    apart[..., ::2] = x.transpose(0, 3, 1, 2)
    out = np.zeros((2, 7, 6, 12), np.int8)
    for part in (out[..., 3:8], out[..., 1:11:2]):
        got = layer(apart[..., ::2].transpose(0, 2, 3, 1), residual=residual, out=part)
        assert got is part
        np.testing.assert_array_equal(part, wanted)
    assert not out[..., 0].any()
    assert not out[..., 11].any()
    assert layer(x[0], residual=residual[0]).shape == (7, 6, 5)
    assert layer(x[:0], residual=residual[:0]).shape == (0, 7, 6, 5)
    in_place = residual.copy()
    np.testing.assert_array_equal(layer(x, residual=in_place, out=in_place), wanted)
