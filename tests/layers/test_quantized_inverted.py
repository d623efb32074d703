"""The inverted residual of 8-bit integers, and 8-bit layers as nodes of a network."""

import pickle

import numpy as np
import pytest
from fastdw import (
    Input,
    InvertedResidual,
    Network,
    Quantization,
    QuantizedDepthwiseConv2D,
    QuantizedInvertedResidual,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
    dequantize,
    quantize,
)
from support import rng, signed

Q, WIDE, MID = Quantization(0.05, -7), Quantization(0.03, -128), Quantization(0.04, 9, "uint8")
OUT, SUM = Quantization(0.2, 3), Quantization(0.25, -1)


def whole(seed, *shape):
    return rng(seed).integers(-127, 128, shape).astype(np.int8)


def scales(seed, channels):
    return rng(seed).uniform(0.001, 0.003, channels).astype(np.float32)


def halves(strides=1):
    """The three layers that the block is made of."""
    expand = QuantizedPointwiseConv2D(
        whole(1, 5, 21), scales(2, 21), input=Q, output=WIDE, activation="relu6",
        bias=rng(3).integers(-900, 900, 21).astype(np.int32),
    )  # fmt: skip
    taps = QuantizedDepthwiseConv2D(
        whole(4, 3, 3, 21), scales(5, 21), input=WIDE, output=MID, strides=strides,
        padding="same", activation="relu",
    )  # fmt: skip
    project = QuantizedPointwiseConv2D(
        whole(6, 21, 5), scales(7, 5), input=MID, output=OUT, residual=Q, sum=SUM
    )
    return expand, taps, project


def block(strides=1, **more):
    return QuantizedInvertedResidual(
        whole(1, 5, 21), scales(2, 21), whole(4, 3, 3, 21), scales(5, 21), whole(6, 21, 5),
        scales(7, 5), input=Q, expanded=WIDE, middle=MID, output=OUT, strides=strides,
        padding="same", expand_activation="relu6", depthwise_activation="relu",
        expand_bias=rng(3).integers(-900, 900, 21).astype(np.int32), **more,
    )  # fmt: skip


@pytest.mark.emulated
def test_the_block_is_its_parts():
    x = whole(8, 2, 9, 7, 5)
    expand, taps, project = halves()
    wanted = project(taps(expand(x)), residual=x)
    layer = block(residual=Q, sum=SUM)
    for made in (layer, pickle.loads(pickle.dumps(layer))):
        for threads in (1, 3):
            np.testing.assert_array_equal(made(x, residual=x, num_threads=threads), wanted)
    assert layer.num_parameters == 5 * 21 + 21 + 9 * 21 + 21 * 5
    assert layer.output_shape(x.shape) == wanted.shape
    assert layer.plan(x.shape).count("8-bit kernels") == 2


def test_strides_and_no_residual():
    x = whole(9, 1, 9, 8, 5)
    expand, taps, _ = halves(2)
    middle = taps(expand(x))
    project = QuantizedPointwiseConv2D(whole(6, 21, 5), scales(7, 5), input=MID, output=OUT)
    np.testing.assert_array_equal(block(2)(x), project(middle))


def test_from_float_and_back():
    g = rng(10)
    layer = InvertedResidual(
        signed(g, (4, 12)), signed(g, (3, 3, 12)), signed(g, (12, 4)), padding="same",
        expand_activation="relu6", depthwise_activation="relu6",
    )  # fmt: skip
    six = Quantization(6 / 255, -128)
    made = QuantizedInvertedResidual.from_float(
        layer, input=Quantization(1 / 64), expanded=six, middle=six, output=Quantization(1 / 4)
    )
    x = signed(g, (1, 6, 6, 4))
    y = dequantize(made(quantize(x, Quantization(1 / 64))), Quantization(1 / 4))
    again = made.to_float()(x)
    assert np.abs(layer(x) - again).max() < 0.3
    assert np.abs(y - layer(x)).max() < 0.6


def test_channels_that_do_not_fit():
    with pytest.raises(ValueError, match="depthwise_kernel has 3 input channels, but expand_"):
        QuantizedInvertedResidual(
            whole(1, 5, 21), scales(2, 21), whole(4, 3, 3, 3), scales(5, 3), whole(6, 3, 5),
            scales(7, 5), input=Q, expanded=WIDE, middle=MID, output=OUT,
        )  # fmt: skip


@pytest.mark.emulated
def test_layers_on_symbols_are_a_network_of_the_same_bits():
    expand, taps, project = halves()
    last = QuantizedSeparableConv2D(
        whole(11, 3, 3, 5), scales(12, 5), whole(13, 5, 4), scales(14, 4),
        input=SUM, middle=MID, output=OUT, strides=2,
    )  # fmt: skip
    symbol = Input((9, 7, 5), "x", "int8")
    apart = project(taps(expand(symbol)), residual=symbol)
    whole_block = block(residual=Q, sum=SUM)(symbol, residual=symbol)
    x = whole(8, 2, 9, 7, 5)
    wanted = last(project(taps(expand(x)), residual=x))
    for y in (apart, whole_block):
        net = Network(symbol, last(y))
        np.testing.assert_array_equal(net(x), wanted)
        assert len(net.summary("dict")["steps"]) == 3
        assert net.inputs[0].quantization == Q
        assert net.outputs[0].quantization == OUT


def test_symbols_that_do_not_fit():
    expand, _, project = halves()
    with pytest.raises(ValueError, match="channels"):
        expand(Input((4, 4, 6), "x", "int8"))
    with pytest.raises(TypeError, match="reads what input says"):
        expand(Input((4, 4, 5), "x", "uint8"))
    with pytest.raises(ValueError, match="adds a residual"):
        project(Input((4, 4, 21), "x", "uint8"))


@pytest.mark.parametrize("strides", [1, 2])
def test_multiply_accumulates(strides):
    layer = block(strides)
    assert layer.macs((9, 8, 5)) == layer.to_float().macs((9, 8, 5))


def test_layers_that_take_the_same_integers_for_other_numbers():
    """Not one layer of two halves, nor a convolution that adds: these have one scale between."""
    _, taps, _ = halves()
    other = Quantization(0.3, 77, "uint8")
    project = QuantizedPointwiseConv2D(whole(6, 21, 5), scales(7, 5), input=other, output=OUT)
    x = tensor = whole(8, 2, 9, 7, 21)
    symbol = Input((9, 7, 21), "x", "int8")
    net = Network(symbol, project(taps(symbol)))
    np.testing.assert_array_equal(net(x), project(taps(tensor)))
    assert len(net.summary("dict")["steps"]) == 2
