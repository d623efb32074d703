"""`out` of any layout: a slice of a concatenation, or the residual itself; nothing beside it is
written."""

import fastdw
import numpy as np
import pytest
import support
from support import assert_same, rng, signed

pytestmark = pytest.mark.emulated

F32 = np.float32


def channels_and_filters():
    every = [(3, 4), (5, 17), (16, 32), (40, 67)]
    return every[::3] if support.emulated else every


def make(kind, data_format, channels, filters, **options):
    g = rng(1)
    taps, mixer = signed(g, (3, 3, channels, 2)), signed(g, (channels, filters))
    if kind == "depthwise":
        return fastdw.DepthwiseConv2D(taps, 1, "same", data_format, **options)
    if kind == "pointwise":
        return fastdw.PointwiseConv2D(mixer, data_format, **options)
    if kind == "dense":
        dense = signed(g, (3, 3, channels, filters))
        return fastdw.Conv2D(dense, 1, "same", data_format, **options)
    return fastdw.SeparableConv2D(
        taps, signed(g, (2 * channels, filters)), 1, "same", data_format, **options
    )


KINDS = pytest.mark.parametrize("kind", ["depthwise", "pointwise", "dense", "separable"])
ADDING = pytest.mark.parametrize("kind", ["pointwise", "dense", "separable"])
FORMATS = pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])


def surrounded(shape, cut):
    """A view of this shape in an array of NaN, and the array."""
    wide = np.full([n + 6 for n in shape], np.nan, F32)
    return wide[tuple(slice(3, 3 + n) if c else slice(n) for n, c in zip(shape, cut, strict=True))]


VIEWS = {
    "a slice of channels": lambda s, c: surrounded(s, [a == c for a in range(4)]),
    "a crop": lambda s, c: surrounded(s, [True] * 4),
    "reversed rows": lambda s, c: np.full(s, np.nan, F32)[:, ::-1],
    "every second column": lambda s, c: np.full((*s[:2], 2 * s[2], s[3]), np.nan, F32)[:, :, ::2],
    "the other order": lambda s, c: np.moveaxis(
        np.full([*np.delete(s, c), s[c]] if c == 1 else [s[0], s[3], *s[1:3]], np.nan, F32),
        3 if c == 1 else 1,
        c,
    ),
    "Fortran order": lambda s, c: np.full(s[::-1], np.nan, F32).T,
    "all reversed": lambda s, c: np.full(s, np.nan, F32)[::-1, ::-1, ::-1, ::-1],
}


@KINDS
@FORMATS
@pytest.mark.parametrize("name", VIEWS)
def test_any_layout_gives_the_same_bits(forced_isa, kind, data_format, name):
    for channels, filters in channels_and_filters():
        size = (9, 13, channels) if data_format == "NHWC" else (channels, 9, 13)
        layer, x = make(kind, data_format, channels, filters), signed(rng(2), (2, *size))
        wanted = layer(x)
        out = VIEWS[name](wanted.shape, 3 if data_format == "NHWC" else 1)
        memory = out if out.base is None else out.base
        assert out.shape == wanted.shape
        assert layer(x, out=out) is out
        assert_same(np.ascontiguousarray(out), wanted)
        assert np.count_nonzero(~np.isnan(memory)) == wanted.size  # and none beside it


@ADDING
@FORMATS
@pytest.mark.parametrize("activation", ["relu", "swish", ("prelu", None)], ids=str)
def test_out_may_be_the_residual(forced_isa, kind, data_format, activation):
    for channels, filters in channels_and_filters():
        size = (9, 13, channels) if data_format == "NHWC" else (channels, 9, 13)
        if activation[0] == "prelu":
            activation = ("prelu", signed(rng(3), filters))
        layer = make(kind, data_format, channels, filters, activation=activation)
        x = signed(rng(2), (2, *size))
        residual = signed(rng(4), layer.output_shape(x.shape))
        for threads in (1, 2):
            wanted = layer(x, residual=residual, num_threads=threads)
            plain, crop = residual.copy(), surrounded(residual.shape, [True] * 4)
            crop[...] = residual
            for out in (plain, crop):
                assert layer(x, residual=out, out=out, num_threads=threads) is out
                assert_same(np.ascontiguousarray(out), wanted)


@ADDING
def test_out_must_not_be_a_part_of_the_residual(kind):
    layer = make(kind, "NHWC", 4, 4)
    memory = np.ones(300, F32)
    x, residual, out = np.ones((1, 8, 8, 4), F32), memory[:256], memory[4:260]
    residual, out = residual.reshape(x.shape), out.reshape(x.shape)
    for flipped in (out, residual[:, ::-1]):
        with pytest.raises(ValueError, match=r"out .*overlap.* residual"):
            layer(x, residual=residual, out=flipped)
    assert np.all(memory == 1)
