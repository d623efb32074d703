"""The layers of 8-bit integers as objects: pickles, plans, refusals, floats and back."""

import pickle

import numpy as np
import pytest
from fastdw import (
    DepthwiseConv2D,
    PointwiseConv2D,
    Quantization,
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
    SeparableConv2D,
    _core,
    dequantize,
    quantize,
)
from support import rng, signed
from test_quantized_layers import ENDS, ISAS8, LOW, U8, separable, tensor


@pytest.fixture
def layer():
    weights, rest = separable(rng(7), 6, 5, ENDS["uint8"])
    return QuantizedSeparableConv2D(*weights, **rest, residual=U8, sum=LOW, padding="same")


def test_layers_are_pickled(layer):
    again = pickle.loads(pickle.dumps(layer))
    assert repr(again) == repr(layer)
    x = tensor(rng(8), (5, 5, 6), U8)
    residual = tensor(rng(9), (5, 5, 5), U8)
    np.testing.assert_array_equal(again(x, residual=residual), layer(x, residual=residual))
    assert again.num_parameters == layer.num_parameters == 9 * 6 + 6 + 30 + 5
    assert layer.macs((5, 5, 6)) == 25 * (54 + 30)
    assert layer.nbytes > 0
    assert (again.input_quantization, again.residual_quantization) == (U8, U8)
    assert again.output_quantization == LOW


def test_a_plan_as_text(layer):
    text = layer.plan((5, 5, 6), num_threads=1)
    active = _core.config8()["active"]
    assert active in text
    assert any(name in text for name in _core.kernels8(active) if "_3x3_s1" in name)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"x": np.zeros((5, 5, 6), np.int8)}, TypeError, "x must be an array of uint8"),
        ({"x": np.zeros((5, 5, 6), np.float32)}, TypeError, "x must be an array of uint8"),
        ({"x": np.zeros((5, 5, 7), np.uint8)}, ValueError, "channels"),
        ({"residual": None}, ValueError, "residual"),
        ({"residual": np.zeros((5, 5, 5), np.int8)}, TypeError, "residual"),
        ({"residual": np.zeros((5, 5, 4), np.uint8)}, ValueError, "residual"),
        ({"out": np.zeros((5, 5, 5), np.uint8)}, TypeError, "out must be of native int8"),
        ({"out": np.zeros((5, 5, 4), np.int8)}, ValueError, "out"),
        ({"num_threads": 0}, ValueError, "num_threads"),
    ],
)
def test_refused_calls(layer, arguments, error, match):
    usual = {"x": np.zeros((5, 5, 6), np.uint8), "residual": np.zeros((5, 5, 5), np.uint8)}
    usual |= arguments
    with pytest.raises(error, match=match):
        layer(usual.pop("x"), **usual)


def test_out_must_not_overlap(layer):
    memory = np.zeros((5, 5, 6), np.uint8)
    with pytest.raises(ValueError, match="overlap"):
        layer(memory, residual=np.zeros((5, 5, 5), np.uint8), out=memory[..., :5].view(np.int8))


def test_refused_arguments():
    ones, kernel = np.ones(1, np.float32), np.ones((3, 3, 2), np.int8)
    with pytest.raises(TypeError, match="int8"):
        QuantizedDepthwiseConv2D(kernel.astype(np.float32), ones, input=LOW, output=LOW)
    with pytest.raises(TypeError, match="input must be a Quantization"):
        QuantizedDepthwiseConv2D(kernel, ones, input=0.5, output=LOW)
    with pytest.raises(ValueError, match="residual and sum go together"):
        QuantizedPointwiseConv2D(kernel[0, :, :], ones, input=LOW, output=LOW, residual=LOW)
    with pytest.raises(ValueError, match="sum must have a scale"):
        QuantizedPointwiseConv2D(
            kernel[0], ones, input=LOW, output=LOW, residual=LOW, sum=Quantization(1e-5)
        )
    with pytest.raises(ValueError, match="pointwise_kernel has 3"):
        QuantizedSeparableConv2D(
            kernel, ones, np.ones((3, 4), np.int8), ones, input=LOW, middle=LOW, output=LOW
        )
    with pytest.raises(ValueError, match="overflow int32"):
        QuantizedDepthwiseConv2D(
            kernel, ones, input=LOW, output=LOW, bias=np.full(2, 2**31 - 1, np.int32)
        )


def test_from_float_and_back():
    g = rng(11)
    x = signed(g, (1, 9, 9, 8))
    kernels = signed(g, (3, 3, 8, 2)), signed(g, (16, 5))
    layer = SeparableConv2D(
        *kernels, padding="same", depthwise_activation="relu6", bias=signed(g, 5)
    )
    wanted = layer(x)
    given, middle = Quantization(1 / 127), Quantization(4 / 255, -128)
    output = Quantization(float(np.abs(wanted).max()) / 127)
    eight = QuantizedSeparableConv2D.from_float(layer, input=given, middle=middle, output=output)
    got = dequantize(eight(quantize(x, given)), output)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()
    again = QuantizedSeparableConv2D.from_float(
        eight.to_float(), input=given, middle=middle, output=output
    )
    for name, array in eight._weights().items():
        np.testing.assert_allclose(again._weights()[name], array, rtol=1e-6)
    one = PointwiseConv2D(kernels[1], activation="relu")
    eight = QuantizedPointwiseConv2D.from_float(one, input=given, output=output)
    assert eight.to_float().kernel_shapes["pointwise_kernel"] == (16, 5)
    first = DepthwiseConv2D(kernels[0], activation=("clip", -1.0, 1.0))
    eight = QuantizedDepthwiseConv2D.from_float(first, input=given, output=given)
    assert eight.to_float().activation == ("clip", -1.0, 1.0)
    with pytest.raises(TypeError, match="PointwiseConv2D"):
        QuantizedPointwiseConv2D.from_float(first, input=given, output=given)
    with pytest.raises(ValueError, match="NHWC"):
        QuantizedDepthwiseConv2D.from_float(
            DepthwiseConv2D(kernels[0], data_format="NCHW"), input=given, output=given
        )


# (multipliers, bias, zero_point, low, high, saturates) of two channels
EPILOGUE = (np.ones(2, np.float32), np.zeros(2, np.int32), 0, -128, 127, True)
TAPS, MATRIX = np.ones((3, 3, 2, 1), np.int8), np.ones((2, 2), np.int8)
SIGNED = (True, True)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("number", [0, -1, 2**33, 2**62])
def test_strides_and_dilation_of_the_core(place, number):
    numbers = [1, 1, 1, 1]
    numbers[place] = number
    with pytest.raises(ValueError, match="geometry"):
        _core.Depthwise8(TAPS, EPILOGUE, 0, SIGNED, tuple(numbers))


@pytest.mark.parametrize("taps", [1, 3])
@pytest.mark.parametrize("stride", [2**31, 2**33, 2**62])
def test_strides_without_a_second_output(taps, stride):
    """As those of float layers; so is the dilation of one tap."""
    kernel, one = np.ones((taps, taps, 2), np.int8), np.ones(1, np.float32)
    dilation = stride if taps == 1 else 1
    layers = [
        QuantizedDepthwiseConv2D(
            kernel, one, input=U8, output=U8, strides=s, padding="same", dilation_rate=d
        )
        for s, d in ((stride, dilation), (7, 1))
    ]
    x = np.arange(5 * 5 * 2, dtype=np.uint8).reshape(5, 5, 2)
    np.testing.assert_array_equal(layers[0](x), layers[1](x))
    assert layers[0].strides == (stride, stride)


@pytest.mark.skipif(len(ISAS8) < 2, reason="one instruction set alone")
def test_parts_of_two_instruction_sets():
    depthwise = _core.Depthwise8(TAPS, EPILOGUE, 0, SIGNED, (1, 1, 1, 1), ISAS8[0])
    pointwise = _core.Pointwise8(MATRIX, EPILOGUE, 0, SIGNED, ISAS8[1])
    layer = _core.Operator8(depthwise, pointwise)
    with pytest.raises(ValueError, match="instruction sets"):
        layer.plan((1, 4, 4, 2), (1, 4, 4, 2), 1)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_rounded(number):
    kernel = np.ones((2, 3), np.float32)
    kernel[1, 2] = number
    for layer in (
        PointwiseConv2D(kernel),
        PointwiseConv2D(np.ones((2, 3), np.float32), bias=np.full(3, number, np.float32)),
    ):
        with pytest.raises(ValueError, match="finite"):
            QuantizedPointwiseConv2D.from_float(layer, input=U8, output=LOW)


def test_weights_below_all_scales_are_none():
    kernel = np.full((2, 3), 1e-44, np.float32)
    layer = QuantizedPointwiseConv2D.from_float(PointwiseConv2D(kernel), input=U8, output=LOW)
    y = layer(np.full((1, 1, 2), 200, np.uint8))
    np.testing.assert_array_equal(y, np.full((1, 1, 3), LOW.zero_point))


def test_no_images_in_an_array_of_a_subclass():
    class Mine(np.ndarray):
        pass

    layer = QuantizedPointwiseConv2D(MATRIX, np.ones(2, np.float32), input=LOW, output=LOW)
    out = np.zeros((0, 1, 1, 2), np.int8).view(Mine)
    assert layer(np.zeros((0, 1, 1, 2), np.int8), out=out) is out
