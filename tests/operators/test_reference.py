"""The reference itself: against plain loops, known answers and its fast twins' signatures."""

import inspect
import itertools

import fastdw
import numpy as np
import pytest
from fastdw import reference
from support import rng

pytestmark = pytest.mark.emulated


def by_loops(x, kernel, strides, pads, dilation):
    """The definition, one multiplication at a time, on an image that is really padded."""
    n, channels = x.shape[0], x.shape[3]
    kh, kw, _, multiplier = kernel.shape
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    oh = (padded.shape[1] - (kh - 1) * dilation[0] - 1) // strides[0] + 1
    ow = (padded.shape[2] - (kw - 1) * dilation[1] - 1) // strides[1] + 1
    y = np.zeros((n, oh, ow, channels * multiplier))
    for b, i, j, c, q in itertools.product(*map(range, (n, oh, ow, channels, multiplier))):
        for di, dj in itertools.product(range(kh), range(kw)):
            pixel = padded[b, i * strides[0] + di * dilation[0], j * strides[1] + dj * dilation[1]]
            y[b, i, j, c * multiplier + q] += pixel[c] * kernel[di, dj, c, q]
    return y


@pytest.mark.parametrize("seed", range(30))
def test_against_loops(seed):
    g = rng(seed)
    x = g.standard_normal((2, *g.integers(1, 7, 2), 3))
    kernel = g.standard_normal((*g.integers(1, 4, 2), 3, 2))
    strides, dilation = g.integers(1, 4, 2).tolist(), g.integers(1, 3, 2).tolist()
    pads = tuple(map(tuple, g.integers(2, 7, (2, 2)).tolist()))
    wanted = by_loops(x, kernel, strides, pads, dilation)
    got = reference.depthwise_conv2d(x, kernel, strides, pads, dilation_rate=dilation)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
    nchw = reference.depthwise_conv2d(
        x.transpose(0, 3, 1, 2), kernel, strides, ((0, 0), (0, 0), *pads), "NCHW", dilation
    )
    np.testing.assert_array_equal(nchw, got.transpose(0, 3, 1, 2))
    mixed = reference.separable_conv2d(
        x, kernel, np.eye(6)[:, :4], strides, pads, dilation_rate=dilation
    )
    np.testing.assert_allclose(mixed, got[..., :4], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "taps", "stride", "dilation", "name", "pads"),
    [
        (224, 3, 2, 1, "SAME", (0, 1)),
        (224, 3, 2, 1, "same_lower", (1, 0)),
        (225, 3, 2, 1, "same", (1, 1)),
        (7, 4, 1, 2, "same", (3, 3)),
        (1, 5, 3, 1, "same", (2, 2)),
        (6, 1, 3, 1, "same", (0, 0)),
    ],
)
def test_same_padding(size, taps, stride, dilation, name, pads):
    x = rng(0).standard_normal((size, 2, 1))
    kernel = rng(1).standard_normal((taps, 1, 1))
    got = reference.depthwise_conv2d(x, kernel, stride, name, dilation_rate=dilation)
    wanted = reference.depthwise_conv2d(x, kernel, stride, (pads, (0, 0)), dilation_rate=dilation)
    np.testing.assert_array_equal(got, wanted)
    assert got.shape[0] == -(-size // stride)


@pytest.mark.parametrize(
    ("activation", "value_at_minus_2", "left", "right"),
    [
        (None, -2, -np.inf, np.inf),
        ("relu", 0, 0, np.inf),
        ("relu6", 0, 0, 6),
        (("clip", -1, 2), -1, -1, 2),
        (("leaky_relu", 0.25), -0.5, -np.inf, np.inf),
        (("leaky_relu", 0), 0, 0, np.inf),
        (("prelu", np.array([0.5])), -1, -np.inf, np.inf),
        (("elu", 0.5), 0.5 * (np.exp(-2) - 1), -0.5, np.inf),
        ("hard_sigmoid", 1 / 6, 0, 1),
        ("hard_swish", -1 / 3, 0, np.inf),
        ("sigmoid", 0.11920292202211755, 0, 1),
        ("swish", -0.2384058440442351, 0, np.inf),
        ("tanh", -0.9640275800758169, -1, 1),
        ("gelu", -0.04550026389635839, 0, np.inf),
        ("gelu_tanh", -0.04540230591222325, 0, np.inf),
        ("softplus", 0.1269280110429725, 0, np.inf),
        ("mish", -0.2525014826957089, 0, np.inf),
    ],
    ids=str,
)
def test_values_and_limits_of_activations(activation, value_at_minus_2, left, right):
    got = reference.activate(np.array([[-2.0], [-np.inf], [np.inf]]), activation)
    np.testing.assert_allclose(got[:, 0], [value_at_minus_2, left, right], rtol=1e-12)
    assert np.isnan(reference.activate(np.array([np.nan]), activation))


def test_order_of_the_epilogue():
    x, kernel = np.full((1, 1, 1), 2.0), np.full((1, 1), 3.0)
    # 6 + 4 = 10; (10 − 1)·(2/√(3 + 1)) + 5 = 14; 14 − 20 = −6; relu.
    normal = ([2.0], [5.0], [1.0], [3.0], 1.0)
    common = {"bias": [4.0], "batch_norm": normal}
    assert reference.pointwise_conv2d(x, kernel, **common) == 14
    residual = np.full((1, 1, 1), -20.0)
    assert reference.pointwise_conv2d(x, kernel, **common, residual=residual) == -6
    rectified = reference.pointwise_conv2d(
        x, kernel, **common, residual=residual, activation="relu"
    )
    assert rectified == 0
    assert reference.depthwise_conv2d(x, kernel[..., None], **common) == 14


@pytest.mark.parametrize("name", ["depthwise_conv2d", "pointwise_conv2d", "separable_conv2d"])
def test_signatures_are_those_of_the_fast_operators(name):
    twins = [inspect.signature(getattr(module, name)) for module in (fastdw, reference)]
    fast, plain = (
        [(p.name, p.kind, p.default) for p in twin.parameters.values()] for twin in twins
    )
    assert fast == plain


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"x": np.ones((3, 3))}, "x"),
        ({"x": np.ones((3, 0, 2))}, "x"),
        ({"x": np.ones((3, 3, 4))}, "depthwise_kernel"),
        ({"depthwise_kernel": np.ones((2, 2))}, "depthwise_kernel"),
        ({"pointwise_kernel": np.ones((3, 4))}, "pointwise_kernel"),
        ({"strides": 0}, "strides"),
        ({"padding": -1}, "padding"),
        ({"padding": "SAMEE"}, "padding"),
        ({"padding": [[0, 0], [0, 0], [0, 0], [0, 1]]}, "padding"),
        ({"depthwise_kernel": np.ones((4, 1, 2))}, "output size"),
        ({"bias": np.ones(1)}, "bias"),
        ({"residual": np.ones((1, 1, 5))}, "residual"),
        ({"data_format": "NCWH"}, "data_format"),
        ({"activation": "swishh"}, "activation"),
        ({"activation": ("clip", 1, 0)}, "activation"),
        ({"pre_activation": "sigmoid", "padding": 1}, "pre_activation"),
        ({"out": np.ones((1, 1, 1))}, "out"),
    ],
)  # fmt: skip
def test_refuses_what_does_not_fit(change, word):
    arguments = {
        "x": np.ones((3, 3, 2)),
        "depthwise_kernel": np.ones((2, 2, 2)),
        "pointwise_kernel": np.ones((2, 5)),
    }
    with pytest.raises(ValueError, match=word):
        reference.separable_conv2d(**arguments | change)
