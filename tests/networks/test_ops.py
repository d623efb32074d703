"""`fastdw.ops`: the same on arrays and on symbols, against NumPy."""

import numpy as np
import pytest
from fastdw import ops, reference
from fastdw.network._network import Network
from fastdw.network._record import Input
from support import rng, signed
from test_network import close


def pads(rows, columns=(0, 0), channels=(0, 0)):
    return ((0, 0), rows, columns, channels)


X = signed(rng(5), (2, 6, 5, 4))
MEAN = X.mean((1, 2), keepdims=True)
GAMMA, BETA = signed(rng(6), (2, 6))
MIRRORED = pads((2, 3), (1, 4))


def windows(x, function, size, stride):
    height, width = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], size, stride, strict=True))
    cells = [
        x[:, i :: stride[0], j :: stride[1]][:, :height, :width]
        for i in range(size[0])
        for j in range(size[1])
    ]
    return function(np.stack(cells), axis=0)


CASES = {
    "max_pool": (lambda x: ops.max_pool(x, 2), windows(X, np.max, (2, 2), (2, 2))),
    "max_pool strides": (
        lambda x: ops.max_pool(x, (3, 2), (1, 2)),
        windows(X, np.max, (3, 2), (1, 2)),
    ),
    "average_pool": (lambda x: ops.average_pool(x, 2, 1), windows(X, np.mean, (2, 2), (1, 1))),
    "average_pool same": (
        lambda x: ops.average_pool(x, 2, 2, "same"),
        np.stack([reference.pool(x, "average", (2, 2), (2, 2), ((0, 0), (0, 1))) for x in X]),
    ),
    "global_average_pool": (ops.global_average_pool, X.mean((1, 2))),
    "keepdims": (lambda x: ops.global_average_pool(x, keepdims=True), MEAN),
    "add": (lambda x: ops.add(x, x), X + X),
    "gate": (lambda x: ops.multiply(x, ops.global_average_pool(x)), X * MEAN),
    "divide": (lambda x: ops.divide(x, ops.global_average_pool(x)), X / MEAN),
    "maximum": (lambda x: ops.maximum(x, ops.global_average_pool(x)), np.maximum(X, MEAN)),
    "minimum": (lambda x: ops.minimum(x, ops.global_average_pool(x)), np.minimum(X, MEAN)),
    "layer_normalization": (
        ops.layer_normalization,
        (X - X.mean(3, keepdims=True)) / np.sqrt(X.var(3, keepdims=True) + 1e-7),
    ),
    "layer_normalization rows": (
        lambda x: ops.layer_normalization(x, GAMMA, BETA, 1, 1e-3),
        (X - X.mean(1, keepdims=True))
        / np.sqrt(X.var(1, keepdims=True) + 1e-3)
        * GAMMA[:, None, None]
        + BETA[:, None, None],
    ),
    "concatenate": (lambda x: ops.concatenate([x, x]), np.concatenate([X, X], 3)),
    "concatenate rows": (lambda x: ops.concatenate([x, x], 1), np.concatenate([X, X], 1)),
    "pad": (
        lambda x: ops.pad(x, pads((1, 0), (0, 2), (0, 1))),
        np.pad(X, pads((1, 0), (0, 2), (0, 1))),
    ),
    "pad 2": (
        lambda x: ops.pad(x, pads((1, 1)), constant_values=2),
        np.pad(X, pads((1, 1)), constant_values=2),
    ),
    **{
        f"pad {mode}": (lambda x, mode=mode: ops.pad(x, MIRRORED, mode), np.pad(X, MIRRORED, mode))
        for mode in ("reflect", "symmetric", "edge")
    },
    "resize nearest": (lambda x: ops.resize(x, (12, 10), "nearest"), X.repeat(2, 1).repeat(2, 2)),
    "softmax": (ops.softmax, np.exp(X) / np.exp(X).sum(3, keepdims=True)),
    "softmax rows": (lambda x: ops.softmax(x, 1), np.exp(X) / np.exp(X).sum(1, keepdims=True)),
    "reshape": (lambda x: ops.reshape(x, (-1, 30, 4)), X.reshape(2, 30, 4)),
    "reshape rest": (lambda x: ops.reshape(x, (2, -1)), X.reshape(2, 120)),
}


@pytest.mark.parametrize("name", CASES)
def test_ops_on_arrays_and_symbols(name):
    function, wanted = CASES[name]
    close(function(X), wanted)
    symbol = Input(X.shape[1:])
    end = function(symbol)
    assert end.shape == (None, *wanted.shape[1:])
    close(Network(symbol, end)(X), wanted)


def test_bilinear_resizing_of_a_ramp():
    ramp = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)
    y = ops.resize(ramp, (8, 1))
    close(y.ravel(), np.array([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], np.float32))
    close(ops.resize(ramp, (2, 1)).ravel(), np.array([0.5, 2.5], np.float32))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, f: ops.max_pool(x, 2, 1, "same", f),
        lambda x, f: ops.resize(x, 7, "bilinear", f),
        ops.global_average_pool,
    ],
)
def test_ops_on_channels_first(function):
    y = function(X, "NHWC")
    first = function(X.transpose(0, 3, 1, 2), "NCHW")
    close(first, y.transpose(0, 3, 1, 2) if y.ndim == 4 else y)


def test_ops_on_one_image():
    close(ops.max_pool(X[0], 2), ops.max_pool(X, 2)[0])


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda: ops.max_pool(X, 0), ValueError, "pool_size"),
        (lambda: ops.max_pool(X, (1, 2, 3)), ValueError, "pool_size"),
        (lambda: ops.max_pool(X, 2.0), TypeError, "pool_size"),
        (lambda: ops.max_pool(X, 9), ValueError, "zero or negative"),
        (lambda: ops.max_pool(X.astype(np.float64), 2), TypeError, "float32"),
        (lambda: ops.add(X, X[:, :3]), ValueError, "same shape"),
        (lambda: ops.add(Input((2,)), X), TypeError, "Symbols alone"),
        (lambda: ops.concatenate([]), TypeError, "xs"),
        (lambda: ops.concatenate([X, X], 0), ValueError, "batch"),
        (lambda: ops.concatenate([X, X], 4), ValueError, "axis"),
        (lambda: ops.pad(X, 1), TypeError, "pad_width"),
        (lambda: ops.pad(X, ((0, 0), (1, 1))), ValueError, "pad_width"),
        (lambda: ops.pad(X, ((1, 0), (0, 0), (0, 0), (0, 0))), ValueError, "batch"),
        (lambda: ops.pad(X, ((0, 0), (6, 0), (0, 0), (0, 0)), "reflect"), ValueError, "at most 5"),
        (lambda: ops.pad(X, ((0, 0), (0, 0), (0, 0), (1, 0)), "edge"), ValueError, "channels"),
        (lambda: ops.pad(X, ((0, 0), (0, 0), (0, 0), (1, 0)), "wrap"), ValueError, "mode"),
        (lambda: ops.resize(X, 0), ValueError, "size"),
        (lambda: ops.resize(X, 3, "cubic"), ValueError, "interpolation"),
        (lambda: ops.softmax(X, 0), ValueError, "batch"),
        (lambda: ops.divide(X[:, :3], X), ValueError, "same shape"),
        (lambda: ops.layer_normalization(X, axis=0), ValueError, "batch"),
        (lambda: ops.layer_normalization(X, epsilon=-1.0), ValueError, "epsilon"),
        (lambda: ops.layer_normalization(X, epsilon="1"), TypeError, "epsilon"),
        (lambda: ops.layer_normalization(X, GAMMA), ValueError, "gamma"),
        (lambda: ops.layer_normalization(X, beta=[1.0] * 4), TypeError, "beta"),
        (lambda: ops.reshape(X, (2, 7)), ValueError, "newshape"),
        (lambda: ops.reshape(X, (2, -1, -1)), ValueError, "newshape"),
        (lambda: ops.reshape(X, (3, -1)), ValueError, "newshape must begin with the batch, 2"),
        (lambda: ops.reshape(X, 3), TypeError, "newshape"),
        (lambda: ops.global_average_pool(X[0, 0]), ValueError, "x must be"),
    ],
)
def test_refused_ops(call, error, word):
    with pytest.raises(error, match=word):
        call()


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_sizes_that_no_image_has(mode):
    with pytest.raises(ValueError, match=r"size\[0\] must be at most"):
        ops.resize(X, (1 << 40, 1), mode)


def test_a_variance_beyond_float32_leaves_beta():
    """As ONNX Runtime and Keras have it; PyTorch gives NaN."""
    x = np.array([[1e20, -1e20, 0, 3e19]], np.float32)
    for beta in (None, np.arange(4, dtype=np.float32)):
        wanted = np.zeros(4) if beta is None else beta
        np.testing.assert_array_equal(ops.layer_normalization(x, None, beta)[0], wanted)
