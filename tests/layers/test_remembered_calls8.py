"""As test_remembered_calls.py, for the layers of 8-bit integers."""

import numpy as np
import pytest
from fastdw import (
    Quantization,
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    QuantizedSeparableConv2D,
)
from fastdw.layers import _layer8
from support import rng

pytestmark = pytest.mark.emulated

SHAPE = (2, 6, 5, 4)
SIGNED, UNSIGNED = Quantization(0.05, -3), Quantization(0.04, 130, "uint8")
ENDS = {"int8": (SIGNED, SIGNED), "uint8": (UNSIGNED, UNSIGNED), "mixed": (UNSIGNED, SIGNED)}
SCALES = np.full(4, 0.01, np.float32)


def whole(shape, q=SIGNED, seed=1):
    low, high = q.limits
    return rng(seed).integers(low, high + 1, shape).astype(q.dtype)


def make(kind="separable", ends=(SIGNED, SIGNED), **more):
    given, output = ends
    taps, mixer = whole((3, 3, 4)), whole((4, 4), seed=2)
    if kind == "depthwise":
        return QuantizedDepthwiseConv2D(taps, SCALES, input=given, output=output, padding="same")
    if kind == "pointwise":
        return QuantizedPointwiseConv2D(mixer, SCALES, input=given, output=output, **more)
    return QuantizedSeparableConv2D(
        *(taps, SCALES, mixer, SCALES), input=given, middle=SIGNED, output=output, padding="same",
        **more,
    )  # fmt: skip


def adding(kind="separable"):
    return make(kind, residual=UNSIGNED, sum=UNSIGNED)


@pytest.fixture
def no_checks(monkeypatch):
    def refuse(*_):
        msg = "the checks were asked"
        raise AssertionError(msg)

    return lambda: monkeypatch.setattr(_layer8, "integers", refuse)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", ["depthwise", "pointwise", "separable"])
def test_the_second_call_needs_no_checks(kind, rank, ends, no_checks):
    given, output = ENDS[ends]
    layer = make(kind, ENDS[ends])
    first, second = (whole(SHAPE[-rank:], given, seed) for seed in (3, 4))
    wanted = [make(kind, ENDS[ends])(x) for x in (first, second)]
    out = np.empty_like(wanted[0])
    np.testing.assert_array_equal(layer(first), wanted[0])
    no_checks()
    for x, y in zip((second, first), wanted[::-1], strict=True):
        result = layer(x)
        assert result.dtype == output.dtype
        np.testing.assert_array_equal(result, y)
        assert layer(x, out=out, num_threads=2) is out
        np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("kind", ["pointwise", "separable"])
def test_a_residual_is_needed_still_and_may_be_the_output(kind, no_checks):
    layer, x, residual = adding(kind), whole(SHAPE), whole(SHAPE, UNSIGNED, 5)
    wanted = adding(kind)(x, residual=residual)
    layer(x, residual=residual)
    with pytest.raises(ValueError, match="needs one"):
        layer(x)
    plain = make(kind)
    plain(x)
    with pytest.raises(ValueError, match="adds no residual"):
        plain(x, residual=residual)
    no_checks()
    np.testing.assert_array_equal(layer(x, residual=residual), wanted)
    assert layer(x, residual=residual, out=residual) is residual
    np.testing.assert_array_equal(residual, wanted)


# Calls that are wrong, though the last one was like them but for this.
WRONG = {
    "x of the other sign": ({"x": whole(SHAPE, UNSIGNED)}, TypeError),
    "a residual of the other sign": ({"residual": whole(SHAPE)}, TypeError),
    "out of the other sign": ({"out": whole(SHAPE)}, TypeError),
    "a residual of another shape": ({"residual": whole((2, 5, 5, 4), UNSIGNED)}, ValueError),
    "out of another shape": ({"out": whole((2, 5, 5, 4), UNSIGNED)}, ValueError),
    "no threads": ({"num_threads": 0}, ValueError),
    "threads that are no number": ({"num_threads": "2"}, TypeError),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_refused_after_a_right_one(name):
    layer, (change, error) = adding(), WRONG[name]
    right = {"x": whole(SHAPE), "residual": whole(SHAPE, UNSIGNED, 5)}
    wanted = layer(**right)
    with pytest.raises(error):
        layer(**right | change)
    np.testing.assert_array_equal(layer(**right), wanted)


@pytest.mark.parametrize("start", [-1, 1, 17, 239, -239])
def test_overlap_is_still_seen(start):
    memory = np.ones(3 * 240, np.int8)
    x, out = (memory[240 + i : 480 + i].reshape(SHAPE) for i in (0, start))
    layer = make()
    layer(x)
    with pytest.raises(ValueError, match=r"out .*overlap"):
        layer(x, out=out)
    assert np.all(memory == 1)


def test_the_core_refuses_shapes_that_do_not_fit():
    operator = make()._operator
    for x, out in [
        ((2, 6, 5, 3), SHAPE),
        (SHAPE, (2, 6, 5, 5)),
        (SHAPE, (1, 6, 5, 4)),
        ((5, 4), (5, 4)),
        ((2, 0, 5, 4), SHAPE),
    ]:
        with pytest.raises(ValueError, match=r"\w+"):
            operator.remember(x, out, (1, 1))
    assert operator.replay(whole(SHAPE), None, None, 1) is None
