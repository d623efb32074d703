"""What 8-bit integers stand for: Quantization, quantize, dequantize, and the twin's own answers."""

import pickle

import numpy as np
import pytest
from fastdw import Quantization, dequantize, quantize, reference
from fastdw._quantization import clamp, rescale
from support import rng

HALF = Quantization(0.5, -128)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((0.0,), ValueError, "scale"),
        ((-1.0,), ValueError, "scale"),
        ((np.inf,), ValueError, "scale"),
        ((np.nan,), ValueError, "scale"),
        ((1e-39,), ValueError, "scale"),
        ((1e39,), ValueError, "scale"),
        (("1",), TypeError, "scale"),
        ((True,), TypeError, "scale"),
        ((1.0, 128), ValueError, "zero_point"),
        ((1.0, -129), ValueError, "zero_point"),
        ((1.0, -1, "uint8"), ValueError, "zero_point"),
        ((1.0, 256, "uint8"), ValueError, "zero_point"),
        ((1.0, 0.0), TypeError, "zero_point"),
        ((1.0, 0, "int16"), ValueError, "dtype"),
        ((1.0, 0, np.int8), TypeError, "dtype"),
    ],
)
def test_refused_quantizations(arguments, error, match):
    with pytest.raises(error, match=match):
        Quantization(*arguments)


def test_a_quantization_is_a_value():
    q = Quantization(np.float32(0.1), 3, "uint8")
    assert q == Quantization(float(np.float32(0.1)), 3, "uint8")
    assert hash(q) == hash(pickle.loads(pickle.dumps(q)))
    assert q == pickle.loads(pickle.dumps(q))
    assert eval(repr(q)) == q
    assert q != Quantization(0.1, 4, "uint8")
    assert q != Quantization(0.1, 3)
    assert q != (0.1, 3, "uint8")
    with pytest.raises(AttributeError, match="immutable"):
        q.scale = 1.0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_integer_survives(dtype):
    info = np.iinfo(dtype)
    every = np.arange(info.min, info.max + 1).astype(dtype)
    for scale in (0.5, 0.1, 3e-38, 1e36):
        for zero_point in (info.min, 5, info.max):
            q = Quantization(scale, zero_point, dtype)
            real = dequantize(every, q)
            assert real.dtype == np.float32
            np.testing.assert_array_equal(quantize(real, q), every)


def test_quantize_against_the_twin():
    x = (rng(3).standard_normal((5, 7, 3)) * 40).astype(np.float32)
    x[0, 0] = [0.25, 0.75, -0.25]  # ties
    x[0, 1] = [np.inf, -np.inf, 3e38]
    for q in (HALF, Quantization(0.5, 3, "uint8"), Quantization(0.3, 0)):
        got = quantize(x, q)
        assert got.dtype == q.dtype
        np.testing.assert_array_equal(got, reference.quantize(x, q))
        np.testing.assert_array_equal(dequantize(got, q), reference.dequantize(got, q))
    assert quantize(np.array([np.nan], np.float32), HALF) == [-128]


@pytest.mark.parametrize("function", [quantize, dequantize])
def test_refused_arrays(function):
    with pytest.raises(TypeError, match="must be an array of"):
        function(np.zeros(3, np.float64), HALF)
    with pytest.raises(TypeError, match="Quantization"):
        function(np.zeros(3, np.float32), 0.5)


# Factors, bias and activation of a kernel of ones, (1, 1, 2, 3), and what the refusal says.
REFUSED = {
    "no factor": (np.zeros(0, np.float32), None, None, ValueError, "shape"),
    "one too few": (np.ones(2, np.float32), None, None, ValueError, "shape"),
    "float64": (np.ones(3), None, None, TypeError, "float32"),
    "a factor of 0": (np.float32([1, 0, 1]), None, None, ValueError, "positive"),
    "a factor below 0": (np.float32([1, -1, 1]), None, None, ValueError, "positive"),
    "NaN": (np.float32([1, np.nan, 1]), None, None, ValueError, "positive"),
    "256": (np.float32([256]), None, None, ValueError, "256"),
    "subnormal": (np.float32([1e-30]), None, None, ValueError, "256"),
    "bias of float": (np.ones(1, np.float32), np.zeros(3, np.float32), None, TypeError, "int32"),
    "bias of two": (np.ones(1, np.float32), np.zeros(2, np.int32), None, ValueError, "bias"),
    "overflow": (
        np.ones(1, np.float32), np.int32([0, 2**31 - 1020, 0]), None, ValueError, "overflow",
    ),
    "a curve": (np.ones(1, np.float32), None, "swish", ValueError, "activation"),
    "a number": (np.ones(1, np.float32), None, 3, TypeError, "activation"),
    "clip upside down": (np.ones(1, np.float32), None, ("clip", 1.0, 0.0), ValueError, "lo <= hi"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_epilogues(case):
    scales, bias, activation, error, match = REFUSED[case]
    ones, one = np.ones((1, 1, 2, 3), np.int8), Quantization(1.0)
    result = Quantization(1e9 if case == "subnormal" else 1.0)
    with pytest.raises(error, match=match):
        rescale(("", "kernel_scales"), ones, scales, (one, result), bias, activation)


def test_the_largest_bias_that_cannot_overflow():
    ones, one = np.ones((1, 1, 2, 1), np.int8), Quantization(1.0)
    bias = np.int32([2**31 - 1 - 1020])
    assert not rescale(("", "scales"), ones, np.float32([1.5]), (one, one), bias, None).converts
    assert rescale(("", "scales"), ones, np.float32([0.5]), (one, one), bias, None).converts


def test_halves_of_bounds_go_away_from_zero():
    half = Quantization(0.5)
    assert clamp("activation", ("clip", 0.25, 1.25), half) == (1, 3)
    assert clamp("activation", ("clip", -1.25, -0.25), half) == (-3, -1)


def test_the_twin_by_hand():
    one, half = Quantization(1.0, 10), Quantization(2.0, -3)
    x = np.int8([[[10, 12], [13, 9]]])
    # (x - 10) * 3 + 1, of which half is rounded to even: 0.5, 3.5, 5, -1
    kernel, scales, bias = np.full((1, 1, 2), 3, np.int8), np.ones(1, np.float32), np.int32([1, 1])
    got = reference.quantized_depthwise_conv2d(x, kernel, scales, input=one, output=half, bias=bias)
    np.testing.assert_array_equal(got, [[[-3, 1], [2, -4]]])
    relu = reference.quantized_depthwise_conv2d(
        x, kernel, scales, input=one, output=half, bias=bias, activation="relu"
    )
    np.testing.assert_array_equal(relu, [[[-3, 1], [2, -3]]])
    padded = reference.quantized_depthwise_conv2d(
        x, np.ones((3, 3, 2), np.int8), scales, input=one, output=one, padding="same"
    )
    np.testing.assert_array_equal(padded, [[[13, 11], [13, 11]]])


def test_the_twin_adds_as_real_numbers_do():
    qa, qb, total = Quantization(0.1, 3), Quantization(0.27, -90), Quantization(0.3, 1)
    a, b = np.meshgrid(*[np.arange(-128, 128).astype(np.int8)] * 2)
    got = reference.quantized_add(a, b, qa, qb, total).astype(np.float64)
    real = dequantize(a, qa).astype(np.float64) + dequantize(b, qb)
    steps = np.clip(real / np.float64(np.float32(0.3)) + 1, -128, 127)
    assert np.abs(got - steps).max() < 0.501
