"""What docstrings and documents say of kernels, pads and strides from elsewhere."""

import fastdw
import numpy as np
import pytest
from support import integers, rng

X = integers(rng(1), (2, 7, 9, 3))
TAPS = integers(rng(2), (3, 2, 3, 2))
DENSE = integers(rng(3), (3, 2, 3, 4))


def same(got, wanted):
    np.testing.assert_array_equal(got, wanted)


def test_kernels_of_others():
    kh, kw, c, m = TAPS.shape
    torch = TAPS.transpose(2, 3, 0, 1).reshape(c * m, 1, kh, kw)
    same(torch.reshape(c, m, kh, kw).transpose(2, 3, 0, 1), TAPS)
    same(TAPS.reshape(1, kh, kw, c * m)[0].reshape(kh, kw, c, m), TAPS)
    same(DENSE.transpose(3, 2, 0, 1).transpose(2, 3, 1, 0), DENSE)
    same(DENSE.transpose(3, 0, 1, 2).transpose(1, 2, 3, 0), DENSE)
    matrix = DENSE[0, 0]
    same(matrix.T[:, :, None, None][:, :, 0, 0].T, matrix)
    same(matrix.T[:, None, None][:, 0, 0].T, matrix)


def test_pads_of_onnx_and_tf():
    top, left, bottom, right = 2, 0, 1, 3
    pairs = ((top, bottom), (left, right))
    wide = np.pad(X, ((0, 0), *pairs, (0, 0)))
    wanted = fastdw.depthwise_conv2d(wide, TAPS, (2, 1))
    same(fastdw.depthwise_conv2d(X, TAPS, (2, 1), pairs), wanted)
    same(fastdw.depthwise_conv2d(X, TAPS, (2, 1), ((0, 0), *pairs, (0, 0))), wanted)
    _, sh, sw, _ = [1, 2, 1, 1]
    same(fastdw.depthwise_conv2d(X, TAPS, (sh, sw), pairs), wanted)


def test_one_axis():
    x, taps = X[:, 0], TAPS[0]
    wanted = np.zeros((2, 8, 3, 2), np.float32)
    for tap in range(2):
        wanted += x[:, tap : tap + 8, :, None] * taps[tap]
    same(fastdw.depthwise_conv2d(x[:, None], taps[None])[:, 0], wanted.reshape(2, 8, 6))


@pytest.mark.parametrize("mode", ["reflect", "wrap", "edge"])
def test_other_paddings_by_numpy(mode):
    around = np.pad(X, ((0, 0), (1, 1), (1, 0), (0, 0)), mode=mode)
    y = fastdw.depthwise_conv2d(around, TAPS)
    assert y.shape == (2, 7, 9, 6)
    same(y[:, 1:-1, 1:], fastdw.depthwise_conv2d(X, TAPS, padding=((0, 0), (0, 0))))
