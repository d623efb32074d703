"""Every depthwise kernel of every instruction set, forced by its name."""

import functools
import re

import numpy as np
import pytest
import support
from fastdw import _core, reference
from support import (
    CHANNELS,
    CLAMP,
    Arena,
    assert_same,
    assert_within,
    depthwise,
    exact,
    integers,
    rng,
    run_depthwise,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

pytestmark = pytest.mark.emulated

GENERIC_KERNELS = [(1, 1), (1, 3), (3, 1), (2, 3), (3, 2), (4, 4), (5, 3), (6, 7), (7, 6), (9, 9)]


def geometries(name, count, seed):
    """(kernel, strides, dilation, pads, height, width) for a kernel, widths 1 … 33 in turn."""
    special = re.fullmatch(r"dwconv_(\d+)x(\d+)_s(\d+)(?:x(\d+))?_(?:\w+_packed_)?\d+x\d+", name)
    return _geometries(special and special.groups(), count, seed)


@functools.cache
def _geometries(special, count, seed):
    """Drawn once: many kernels take the same shapes."""
    return list(_drawn(special, count, rng(seed)))


def _drawn(special, count, generator):
    for case in range(count):
        height, width = int(generator.integers(1, 14)), 1 + case % 33
        if special:
            kernel = (int(special[0]), int(special[1]))
            strides = (int(special[2]), int(special[3] or special[2]))
            # At stride 1 any dilation, by phases.
            most = 3 if strides == (1, 1) and case % 2 else 1
            dilation = tuple(generator.integers(1, most + 1, 2).tolist())
        else:
            kernel = GENERIC_KERNELS[case % len(GENERIC_KERNELS)]
            strides, dilation = (tuple(generator.integers(1, 4, 2).tolist()) for _ in range(2))
        # Pads up to beyond the whole image and kernel, and as many as the window needs.
        pads = []
        for size, taps, d in zip((height, width), kernel, dilation, strict=True):
            extent = (taps - 1) * d + 1
            most = extent + 2 if case % 4 else size + extent
            before, after = generator.integers(0, most, 2).tolist() if case % 3 else (0, 0)
            pads.append((before, after + max(0, extent - size - before - after)))
        yield kernel, strides, dilation, tuple(pads), height, width


def expected(x, kernel, bias, strides, dilation, pads):
    return reference.depthwise_conv2d(
        x, kernel, strides, pads, dilation_rate=dilation, bias=bias
    ).astype(np.float32)


def test_small_integers_are_exact(dwconv):
    isa, name = dwconv
    lanes = _core.lanes(isa)
    channels = [
        *CHANNELS,
        *(33 * [3]),
        *(33 * [11]),
        *(33 * [lanes]),
        *(33 * [3 * lanes + lanes // 2 + 1]),
    ]
    generator = rng(1)
    cases = zip(channels, geometries(name, len(channels), 2), strict=True)
    for c, (taps, strides, dilation, pads, height, width) in thin(cases):
        x = integers(generator, (2, height, width, c))
        kernel, bias = integers(generator, (*taps, c, 1)), integers(generator, c)
        got = run_depthwise(isa, x, kernel, bias, strides, dilation, pads, name)
        assert_same(got, expected(x, kernel, bias, strides, dilation, pads))


@pytest.mark.parametrize("kernel_shape", [(3, 3), (3, 1), (5, 5)])
def test_the_kernel_chosen_is_exact(isa, kernel_shape):
    """By rows of the plane, channels, strides, and where the pixels lie."""
    generator = rng(10)
    cases = [(h, c, s) for h in range(1, 18) for c in (1, 3, 11, 15, 16, 44) for s in (1, 2)]
    for height, c, stride in thin(cases):
        x = integers(generator, (2, height, 9, c + 2))
        kernel, bias = integers(generator, (*kernel_shape, c, 1)), integers(generator, c)
        pads = [(k // 2, k // 2) for k in kernel_shape]
        wanted = expected(x[..., 1:-1], kernel, bias, (stride, stride), (1, 1), pads)
        for part in (x[..., 1:-1], np.ascontiguousarray(x[..., 1:-1])):
            assert_same(
                run_depthwise(isa, part, kernel, bias, (stride, stride), (1, 1), pads), wanted
            )


@pytest.mark.parametrize("multiplier", [2, 3, 4, 7, 32])
def test_multipliers_are_exact(isa, multiplier):
    generator = rng(multiplier)
    channels = [c for c in CHANNELS if c * multiplier < 800]
    name = next(n for n in _core.kernels(isa) if n.startswith("dwconv_generic"))
    cases = zip(channels, geometries(name, len(channels), 3), strict=True)
    for c, (taps, strides, dilation, pads, height, width) in thin(cases):
        x = integers(generator, (1, height, width, c))
        kernel = integers(generator, (*taps, c, multiplier))
        bias = integers(generator, c * multiplier)
        got = run_depthwise(isa, x, kernel, bias, strides, dilation, pads)
        assert_same(got, expected(x, kernel, bias, strides, dilation, pads))


def random_data(generator, x_shape, kernel_shape):
    return signed(generator, x_shape), signed(generator, kernel_shape)


def cancelling_data(generator, x_shape, kernel_shape):
    """Neighbours of opposite sign and nearly equal size."""
    x = 1 + signed(generator, x_shape) * np.float32(2.0**-12)
    sign = np.where(np.arange(kernel_shape[0] * kernel_shape[1]) % 2, -1, 1)
    kernel = (1 + signed(generator, kernel_shape) * np.float32(2.0**-12)) * sign.reshape(
        *kernel_shape[:2], 1, 1
    )
    return x, kernel.astype(np.float32)


def far_apart_data(generator, x_shape, kernel_shape):
    """Sizes from 1e-30 to 1e30 that meet in one sum."""
    scales = np.array([1e-30, 1e-15, 1, 1e15], np.float32)
    x = signed(generator, x_shape) * scales[generator.integers(0, 4, x_shape)]
    kernel = signed(generator, kernel_shape) * np.float32(1e15)
    return x, kernel * scales[generator.integers(0, 3, kernel_shape)]


def subnormal_data(generator, x_shape, kernel_shape):
    x = signed(generator, x_shape) * np.float32(2.0**-130)
    return x, integers(generator, kernel_shape)


def power_data(generator, x_shape, kernel_shape):
    """Each tap another power of two: shows swapped taps."""
    kh, kw = kernel_shape[:2]
    powers = np.float32(2.0) ** -np.arange(kh * kw, dtype=np.float32).reshape(kh, kw, 1, 1)
    return integers(generator, x_shape, 1), np.broadcast_to(powers, kernel_shape).copy()


@pytest.mark.parametrize(
    "data", [random_data, cancelling_data, far_apart_data, subnormal_data, power_data]
)
def test_error_bound(dwconv, data):
    isa, name = dwconv
    generator = rng(4)
    for case, geometry in enumerate(thin(geometries(name, 40, 5))):
        taps, strides, dilation, pads, height, width = geometry
        c = 1 + 7 * case % 65
        x, kernel = data(generator, (1, height, width, c), (*taps, c, 1))
        bias = None if case % 2 else signed(generator, c) * np.float32(2.0**-20)
        got = run_depthwise(isa, x, kernel, bias, strides, dilation, pads, name)
        # The typical error grows with the square root of the terms, far below the bound.
        share = 0.5 if data is random_data and taps[0] * taps[1] >= 9 else 1.0
        wanted = depthwise(exact(x), kernel, strides, pads, dilation_rate=dilation, bias=bias)
        assert_within(got, wanted, share)


@pytest.mark.parametrize("planted", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs_reach_exactly_their_outputs(dwconv, planted):
    isa, name = dwconv
    generator = rng(6)
    for case, geometry in enumerate(thin(geometries(name, 66, 7))):
        taps, strides, dilation, pads, height, width = geometry
        c = 1 + 5 * case % 37
        x = integers(generator, (1, height, width, c))
        x.flat[generator.integers(0, x.size)] = planted
        kernel = integers(generator, (*taps, c, 1))
        got = run_depthwise(isa, x, kernel, None, strides, dilation, pads, name)
        assert_same(got, expected(x, kernel, None, strides, dilation, pads))


def test_more_channels_than_a_patch_holds(dwconv):
    isa, name = dwconv
    generator = rng(10)
    c = 20_000  # all in one block of the separable operator
    count = 1 if support.emulated else 3
    for taps, strides, dilation, pads, height, width in geometries(name, count, 11):
        x = integers(generator, (1, c, height, width)).transpose(0, 2, 3, 1)
        kernel, matrix = integers(generator, (*taps, c, 1)), integers(generator, (c, 1), 1)
        wanted = expected(x, kernel, None, strides, dilation, pads) @ matrix
        out = np.full_like(wanted, np.nan)
        depthwise_half = _core.Depthwise(kernel, None, CLAMP, isa, name)
        operator = _core.Operator(depthwise_half, _core.Pointwise(matrix, None, CLAMP, isa))
        operator.run(x, None, out, (*strides, *dilation, pads[0][0], pads[1][0]), 1)
        assert_same(out, wanted)


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
def test_no_byte_outside_the_arrays_is_touched(dwconv, at_end):
    isa, name = dwconv
    skip_where_qemu_reads_too_much(isa, at_end)
    generator = rng(8)
    places = [Arena() for _ in range(4)]
    channels = [*range(1, 66), *(33 * [1]), *(33 * [5]), *(33 * [2 * _core.lanes(isa) + 1])]
    cases = zip(channels, geometries(name, len(channels), 9), strict=True)
    for c, (taps, strides, dilation, pads, height, width) in thin(cases):
        x = integers(generator, (1, height, width, c))
        kernel, bias = integers(generator, (*taps, c, 1)), integers(generator, c)
        wanted = expected(x, kernel, bias, strides, dilation, pads)
        nans = np.full_like(wanted, np.nan)
        x, kernel, bias, out = (
            arena.place(array, at_end)
            for arena, array in zip(places, (x, kernel, bias, nans), strict=True)
        )
        run_depthwise(isa, x, kernel, bias, strides, dilation, pads, name, out)
        assert_same(out, wanted)
