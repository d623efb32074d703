"""No operator touches a byte outside its arrays: they lie flush against forbidden pages."""

import fastdw
import numpy as np
import pytest
from support import (
    Arena,
    assert_same,
    batch_norm,
    rng,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

# And by how many columns each widens the image, for kernels that do not fit into it.
PADDINGS = {
    "valid": 0,
    "same": 99,
    "same_lower": 99,
    3: 6,
    ((0, 1), (0, 1)): 1,
    ((8, 5), (9, 7)): 16,
}

pytestmark = [pytest.mark.emulated, pytest.mark.parametrize("at_end", [True, False])]


def cases(seed):
    """(channels, width, kernel, stride, dilation, padding) over all channels and widths."""
    g = rng(seed)
    for case in range(99):
        kernel = tuple(g.integers(1, 8, 2).tolist()) if case % 3 else (3, 3)
        stride, dilation, width = 1 + case % 3, 1 + (case % 5 == 4), 1 + case % 33
        padding, wider = list(PADDINGS.items())[case % len(PADDINGS)]
        if width + wider < (kernel[1] - 1) * dilation + 1:
            padding = "same"
        yield 1 + case % 65, width, kernel, stride, dilation, padding


def guarded(arenas, at_end, arrays):
    return {
        name: arena.place(array, at_end)
        for arena, (name, array) in zip(arenas, arrays.items(), strict=False)
    }


def normalisation(arenas, at_end, g, channels):
    *vectors, epsilon = batch_norm(g, channels)
    placed = (arena.place(vector, at_end) for arena, vector in zip(arenas, vectors, strict=False))
    return fastdw.BatchNorm(*placed, epsilon)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_depthwise(forced_isa, at_end, data_format):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    arenas, normal_arenas, g = [Arena() for _ in range(4)], [Arena() for _ in range(4)], rng(1)
    for c, width, kernel, stride, dilation, padding in thin(cases(2)):
        m = 1 + c % 3
        shape = (15, width, c) if data_format == "NHWC" else (c, 15, width)
        arrays = {
            "x": signed(g, (1, *shape)),
            "depthwise_kernel": signed(g, (*kernel, c, m)),
            "bias": signed(g, c * m),
        }
        options = {
            "strides": stride, "dilation_rate": dilation, "padding": padding,
            "data_format": data_format, "activation": "relu6",
            "batch_norm": normalisation(normal_arenas, at_end, g, c * m),
        }  # fmt: skip
        wanted = fastdw.depthwise_conv2d(**arrays, **options)
        arrays["out"] = np.full_like(wanted, np.nan)
        got = fastdw.depthwise_conv2d(**guarded(arenas, at_end, arrays), **options)
        assert_same(got, wanted)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_pointwise(forced_isa, at_end, data_format):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    arenas, g = [Arena() for _ in range(5)], rng(3)
    for c, width, _, _, _, _ in thin(cases(4)):
        f = 1 + 3 * c % 65
        shape, out_shape = (3, width, c), (3, width, f)
        if data_format == "NCHW":
            shape, out_shape = (c, 3, width), (f, 3, width)
        arrays = {
            "x": signed(g, (1, *shape)),
            "pointwise_kernel": signed(g, (c, f)),
            "bias": signed(g, f),
            "residual": signed(g, (1, *out_shape)),
        }
        options = {"data_format": data_format, "activation": ("swish", "relu")[c % 2]}
        wanted = fastdw.pointwise_conv2d(**arrays, **options)
        arrays["out"] = np.full_like(wanted, np.nan)
        got = fastdw.pointwise_conv2d(**guarded(arenas, at_end, arrays), **options)
        assert_same(got, wanted)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_separable(forced_isa, at_end, data_format):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    arenas, normal_arenas, g = [Arena() for _ in range(6)], [Arena() for _ in range(4)], rng(5)
    for c, width, kernel, stride, dilation, padding in thin(cases(6)):
        m, f = 1 + (c % 4 == 3), 1 + 7 * c % 41
        shape = (15, width, c) if data_format == "NHWC" else (c, 15, width)
        arrays = {
            "x": signed(g, (1, *shape)),
            "depthwise_kernel": signed(g, (*kernel, c, m)),
            "pointwise_kernel": signed(g, (1, 1, c * m, f)),
            "depthwise_bias": signed(g, c * m),
        }
        options = {
            "strides": stride, "dilation_rate": dilation, "padding": padding,
            "data_format": data_format, "pre_activation": (None, "relu")[c % 2],
            "depthwise_activation": "relu", "activation": (None, "hard_swish")[width % 2],
            "batch_norm": normalisation(normal_arenas, at_end, g, f),
        }  # fmt: skip
        wanted = fastdw.separable_conv2d(**arrays, **options)
        arrays["residual"] = signed(g, wanted.shape)
        wanted = fastdw.separable_conv2d(**arrays, **options)
        arrays["out"] = np.full_like(wanted, np.nan)
        got = fastdw.separable_conv2d(**guarded(arenas, at_end, arrays), **options)
        assert_same(got, wanted)
