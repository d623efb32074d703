"""Old weights of uint8, which have nine bits without their zero point: two kernels of int8."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw import Network, Quantization, dequantize, reference
from test_tflite_kept import SHAPE, UNSIGNED, bias, single, stored
from tflite_models import VALID, Quantised, conv, depthwise


@pytest.mark.parametrize("taps", [(1, 1), (3, 3)])
@pytest.mark.parametrize("made", [conv, depthwise])
def test_weights_of_nine_bits(made, taps):
    """The definition takes them whole."""
    shape = (5, *taps, 8) if made is conv else (1, *taps, 16)
    w, filters = stored(1, shape, "uint8"), shape[0] if made is conv else shape[3]
    ends = UNSIGNED, Quantised(0.9, 119, "uint8")
    b = bias(2, np.full(filters, 0.012, np.float32), UNSIGNED)
    w, zero = Quantised(0.012, 97, "uint8", numbers=w), 97
    net = Network.from_tflite(single(made(strides=(2, 2), padding=VALID), ends=ends, w=w, b=b))
    whole = w.numbers.astype(int) - zero
    assert whole.max() > 127
    x = stored(3, SHAPE, "uint8")
    attrs = {
        "input": (UNSIGNED.scale, UNSIGNED.zero, "uint8"),
        "output": (0.9, 119, "uint8"),
        "bias": b.numbers,
    }
    scales = np.full(filters, 0.012, np.float32)
    if made is conv:
        kernel = whole.transpose(1, 2, 3, 0)
        wanted = reference.quantized_conv2d(x[0], kernel, scales, strides=(2, 2), **attrs)
    else:
        kernel = whole.reshape(*taps, 8, 2)
        wanted = reference.quantized_depthwise_conv2d(x[0], kernel, scales, strides=2, **attrs)
    np.testing.assert_array_equal(net(x)[0], wanted)


def test_weights_that_no_two_of_int8_make_up():
    """255 steps, and rows of a depthwise kernel that lie apart, with pads of the zero point."""
    ends = UNSIGNED, Quantised(0.9, 119, "uint8")
    for zero, dilation, float_ops in ((0, 1, True), (97, 1, False), (97, 2, True)):
        w = Quantised(0.012, zero, "uint8", numbers=np.full((1, 3, 3, 8), 255, np.uint8))
        b = bias(2, np.full(8, 0.012, np.float32), UNSIGNED)
        layer = depthwise(dilation=(dilation, dilation))
        net = Network.from_tflite(single(layer, ends=ends, w=w, b=b))
        notes = net.summary("dict")["notes"]
        assert bool(notes) == float_ops
        x = stored(4, SHAPE, "uint8")
        real = Network.from_tflite(single(layer, ends=ends, w=w, b=b), integers="float")
        apart = dequantize(net(x), Quantization(0.9, 119, "uint8")) - real(x)
        assert np.abs(apart).max() <= 0.51 * 0.9


@pytest.mark.parametrize(("filters", "depth"), [(6, 4), (8, 2)])
def test_weights_of_nine_bits_of_groups(filters, depth):
    """They run in float32, as those of eight bits do: on the channels of their own group."""
    w = Quantised(0.012, 97, "uint8", numbers=stored(1, (filters, 3, 3, depth), "uint8"))
    ends = UNSIGNED, Quantised(0.9, 119, "uint8")
    b = bias(2, np.full(filters, 0.012, np.float32), UNSIGNED)
    data = single(conv(), ends=ends, w=w, b=b)
    x = stored(3, SHAPE, "uint8")
    real = Network.from_tflite(data, integers="float")(x)
    apart = dequantize(Network.from_tflite(data)(x), Quantization(0.9, 119, "uint8")) - real
    assert np.abs(apart).max() <= 0.51 * 0.9
