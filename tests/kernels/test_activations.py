"""The curves, against their definitions, over floats of every magnitude."""

import numpy as np
import pytest
import support
from fastdw import _core, reference
from fastdw._activations import FUNCTIONS

pytestmark = pytest.mark.emulated

NUMBERS = {"leaky_relu": [0.01, -0.5, 2.0], "elu": [1.0, 0.7, 0.0]}
CURVES = [
    (name, *numbers)
    for name in _core.curves
    if name != "prelu"
    for numbers in ([(n,) for n in NUMBERS[name]] if name in NUMBERS else [()])
]


def floats():
    """Bit patterns of every magnitude, the special ones, and many where curves bend."""
    step = 2**14 * (16 if support.emulated else 1) - 1
    patterns = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    numbers = [0.0, np.inf, np.nan, np.finfo(np.float32).max, 2.0**-149, 2.0**-126]
    special = np.array(numbers, np.float32)
    near = np.linspace(-20, 20, 4001, dtype=np.float32)
    v = np.concatenate([patterns, special, -special, near])
    return np.resize(v, (-(-v.size // 64), 64))


def through_depthwise(isa, v, activation):
    channels = v.shape[1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    out = np.full((1, 1, *v.shape), np.nan, np.float32)
    weights = _core.Depthwise(ones, None, activation, isa)
    _core.Operator(weights, None).run(v[None, None], None, out, support.POINTWISE, 1)
    return out[0, 0]


def through_pointwise(isa, v, activation):
    # One input channel: no product with a zero of an identity matrix makes a NaN of an infinity.
    out = np.full((1, 1, v.size, 1), np.nan, np.float32)
    weights = _core.Pointwise(np.ones((1, 1), np.float32), None, activation, isa)
    _core.Operator(None, weights).run(v.reshape(1, 1, -1, 1), None, out, support.POINTWISE, 1)
    return out.reshape(v.shape)


def wanted(v, activation):
    with np.errstate(invalid="ignore"):  # a signalling NaN
        if activation in FUNCTIONS:  # of +0 where it is -0: the layer adds +0
            return support.of_function(v + np.float32(0), activation)
        return support.activated(support.exact(v), activation)


@pytest.mark.parametrize("through", [through_depthwise, through_pointwise])
@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_error_of_every_curve(isa, curve, through):
    v = floats()
    got = through(isa, v, _core.Activation(*curve))
    name = curve if len(curve) > 1 else curve[0]
    support.assert_within(got, wanted(v, name))


@pytest.mark.parametrize("curve", ["sigmoid", "tanh"])
def test_within_four_ulp(isa, curve):
    v = floats()
    got = through_depthwise(isa, v, _core.Activation(curve))
    with np.errstate(invalid="ignore"):
        value = reference.activate(v, curve)
    number = ~np.isnan(v)
    ulp = np.spacing(np.abs(value[number]).astype(np.float32))
    assert np.all(np.abs(got[number] - value[number]) <= 4 * ulp)
    assert np.all(np.isnan(got[~number]))


@pytest.mark.parametrize("scale", [1, 0])  # a slope of zero times -inf is 0
def test_prelu_has_one_slope_a_channel(isa, scale):
    v = floats()
    slopes = support.signed(support.rng(1), 64) * np.float32(scale)
    got = through_depthwise(isa, v, _core.Activation("prelu", slopes=slopes))
    support.assert_within(got, wanted(v, ("prelu", slopes)))


@pytest.mark.parametrize("clamp", [("clip", 0.0, np.inf), ("clip", 0.0, 6.0), ("clip", -1.5, 0.25)])
@pytest.mark.parametrize("through", [through_depthwise, through_pointwise])
def test_clamps_are_exact_and_keep_nan(isa, clamp, through):
    v = floats()
    got = through(isa, v, _core.Activation("clamp", *clamp[1:]))
    support.assert_same(got, wanted(v, clamp).value.astype(np.float32))


def test_curves_leave_the_bytes_around_them_alone(isa):
    for name in _core.curves:
        for channels in support.thin(range(1, 34)):
            slopes = np.full(channels, 0.5, np.float32) if name == "prelu" else None
            weights = _core.Depthwise(
                np.ones((1, 1, channels, 1), np.float32),
                None,
                _core.Activation(name, 0.5, slopes=slopes),
                isa,
            )
            # Above 0, where every curve has a value.
            x = 1.5 + support.signed(support.rng(channels), (1, 3, 5, channels))
            place, wall = np.full((1, 3, 5, channels + 2), np.nan, np.float32), np.float32(77)
            place[..., 0] = place[..., -1] = wall
            _core.Operator(weights, None).run(x, None, place[..., 1:-1], support.POINTWISE, 1)
            assert np.all(place[..., [0, -1]] == wall)
            assert not np.isnan(place).any()
