"""Every pointwise kernel of every instruction set, forced by the shape that only it computes."""

import re

import numpy as np
import pytest
from fastdw import _core, reference
from support import (
    CHANNELS,
    Arena,
    assert_same,
    assert_within,
    integers,
    pointwise,
    rng,
    run_pointwise,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

pytestmark = pytest.mark.emulated


def tile(pwconv):
    """(pixels, output channels) of a kernel's full tile."""
    isa, name = pwconv
    pixels, vectors = re.fullmatch(r"pwconv_(\d+)x(\d+(?:\.5)?)", name).groups()
    return int(pixels), int(float(vectors) * _core.lanes(isa))


def outputs(pwconv):
    """Numbers of output channels that fill the kernel's panel to every degree."""
    _, filters = tile(pwconv)
    lanes = _core.lanes(pwconv[0])
    return [*range(max(1, filters - lanes), filters + 1), filters + 1]


def expected(x, kernel, bias=None, residual=None):
    y = reference.pointwise_conv2d(x, kernel, bias=bias, residual=residual)
    return y.astype(np.float32)


def test_small_integers_are_exact(pwconv):
    isa, _ = pwconv
    pixels, _ = tile(pwconv)
    generator = rng(1)
    for case, channels in enumerate(thin(CHANNELS)):
        f = outputs(pwconv)[case % len(outputs(pwconv))]
        x = integers(generator, (1, 1, pixels, channels))
        kernel, bias = integers(generator, (channels, f)), integers(generator, f)
        residual = integers(generator, (1, 1, pixels, f)) if case % 2 else None
        got = run_pointwise(isa, x, kernel, bias, residual)
        assert_same(got, expected(x, kernel, bias, residual))


def test_every_output_count_is_exact(isa):
    generator = rng(2)
    for case, f in enumerate(thin(CHANNELS)):
        x = integers(generator, (1, 1, 1 + case % 33, 1 + case % 19))
        kernel = integers(generator, (x.shape[3], f))
        assert_same(run_pointwise(isa, x, kernel), expected(x, kernel))


@pytest.mark.parametrize("scale", ["one", "cancelling", "far apart", "subnormal"])
def test_error_bound(pwconv, scale):
    isa, _ = pwconv
    pixels, filters = tile(pwconv)
    generator = rng(3)
    for channels in thin([1, 2, 8, 9, 33, 64, 200, 728]):
        x = signed(generator, (1, 1, pixels, channels))
        kernel = signed(generator, (channels, filters))
        if scale == "cancelling":
            x = 1 + x * np.float32(2.0**-12)
            kernel = (1 + kernel * np.float32(2.0**-12)) * np.where(
                np.arange(channels) % 2, np.float32(-1), np.float32(1)
            ).reshape(-1, 1)
        elif scale == "far apart":
            sizes = np.array([1e-30, 1e-15, 1, 1e15], np.float32)
            x *= sizes[generator.integers(0, 4, x.shape)]
            kernel *= np.float32(1e15) * sizes[generator.integers(0, 3, kernel.shape)]
        elif scale == "subnormal":
            x *= np.float32(2.0**-130)
        residual = signed(generator, (1, 1, pixels, filters)) if channels % 2 else None
        got = run_pointwise(isa, x, kernel, None, residual)
        share = 0.5 if scale == "one" and channels >= 9 else 1.0
        assert_within(got, pointwise(x, kernel, residual=residual), share)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs_reach_exactly_their_outputs(pwconv, planted):
    isa, _ = pwconv
    pixels, _ = tile(pwconv)
    generator = rng(4)
    for f in thin(outputs(pwconv)):
        x = integers(generator, (1, 1, pixels, 7))
        x.flat[generator.integers(0, x.size)] = planted
        kernel, residual = integers(generator, (7, f)), integers(generator, (1, 1, pixels, f))
        assert_same(run_pointwise(isa, x, kernel), expected(x, kernel))
        x = integers(generator, x.shape)
        residual.flat[generator.integers(0, residual.size)] = planted
        got = run_pointwise(isa, x, kernel, None, residual)
        assert_same(got, expected(x, kernel, None, residual))


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
def test_no_byte_outside_the_arrays_is_touched(pwconv, at_end):
    isa, _ = pwconv
    skip_where_qemu_reads_too_much(isa, at_end)
    pixels, _ = tile(pwconv)
    generator = rng(5)
    places = [Arena() for _ in range(5)]
    for case, f in enumerate(thin(2 * outputs(pwconv))):
        channels = 1 + case % 33
        x = integers(generator, (1, 1, pixels, channels))
        kernel = integers(generator, (channels, f))
        bias, residual = integers(generator, f), integers(generator, (1, 1, pixels, f))
        wanted = expected(x, kernel, bias, residual)
        arrays = (x, kernel, bias, residual, np.full_like(wanted, np.nan))
        x, kernel, bias, residual, out = (
            arena.place(array, at_end) for arena, array in zip(places, arrays, strict=True)
        )
        run_pointwise(isa, x, kernel, bias, residual, out)
        assert_same(out, wanted)
