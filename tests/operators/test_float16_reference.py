"""The definition of sums of float16: one rounding a multiply-add, and the bound of errors."""

from fractions import Fraction

import numpy as np
import pytest
from fastdw import reference
from fastdw.reference._float16 import CHUNK, fused_multiply_add
from support import assert_same, rng, signed

F16, F32 = np.float16, np.float32
U = 2.0**-11  # the unit roundoff of float16


def rounded(value):
    """The half next to a fraction, of two the even one: by whole numbers alone."""
    size, step = abs(value), Fraction(2) ** -24
    while size >= 2048 * step:
        step *= 2
    whole, rest = divmod(size, step)
    if 2 * rest > step or (2 * rest == step and whole % 2):
        whole += 1
    size = whole * step
    return (-1 if value < 0 else 1) * (float(size) if size < 65520 else np.inf)


def any_halves(generator, count):
    """Every bit pattern of a finite half alike."""
    halves = generator.integers(0, 2**16, 2 * count, dtype=np.uint16).view(F16)
    return halves[np.isfinite(halves)][:count]


def triples():
    """Drawn, next to ties, and the largest and the smallest there are."""
    g = rng(1)
    a, b, c = (any_halves(g, 4000) for _ in range(3))
    yield from zip(a, b, c, strict=True)
    # Sums that cancel but for the last bits, and products at half a step of c.
    with np.errstate(all="ignore"):
        yield from zip(a, b, -(a * b), strict=True)
        near = np.spacing(np.abs(c)).astype(np.float64) / 2
        yield from zip((near / b).astype(F16), b, c, strict=True)
    least, most = F16(2.0**-24), F16(65504)
    ends = [least, most, F16(1), F16(1 + 2.0**-10), F16(32768), F16(2.0**-14), F16(1023 * 2.0**-24)]
    ends += [-v for v in ends]
    yield from ((a, b, c) for a in ends for b in ends for c in ends)


def test_one_rounding_a_multiply_add():
    cases = [t for t in triples() if all(map(np.isfinite, t))]
    got = fused_multiply_add(*zip(*cases, strict=True))
    for (a, b, c), result in zip(cases, got.astype(float).tolist(), strict=True):
        assert result == rounded(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


def test_rounding_to_float32_first_would_be_another():
    """Just below the middle of two halves, of which the upper one is even."""
    a, b, c = F16(1 + 2.0**-10), F16(2.0**-11 * (1 - 2.0**-10)), F16(1 + 2.0**-10)
    assert F16(F32(a) * F32(b) + F32(c)) == 1 + 2.0**-9
    assert fused_multiply_add(a, b, c) == 1 + 2.0**-10


@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 300, 1024])
def test_within_the_bound(inputs):
    g = rng(inputs)
    x, matrix = signed(g, (5, 7, inputs)).astype(F16), signed(g, (inputs, 6)).astype(F16)
    for given in (x, np.abs(x)):  # sums that grow have the largest errors
        got = reference.float16_pointwise_conv2d(given, np.abs(matrix))
        exact = reference.pointwise_conv2d(given, np.abs(matrix))
        size = reference.pointwise_conv2d(np.abs(given), np.abs(matrix))
        chunks = -(-inputs // CHUNK)
        bound = (CHUNK + chunks * 2.0**-13) * U * size + inputs * 2.0**-25
        # The result is rounded once more.
        assert (np.abs(got - exact) <= bound + U * (np.abs(exact) + bound) + 2.0**-25).all()


def test_chunks_are_of_64():
    """Ones beyond 2048 add nothing to a half, but 64 of them do to a float."""
    assert reference.float16_pointwise_conv2d(np.full((1, 1, 4096), 1), np.ones((4096, 1))) == 4096
    x = np.zeros((1, 1, 65))
    x[..., 0], x[..., 1:] = 2048, 1
    assert reference.float16_pointwise_conv2d(x, np.ones((65, 1))) == 2048  # 2049: to even
    assert reference.float16_pointwise_conv2d(x, np.ones((65, 1)), bias=[1]) == 2050
    assert reference.float16_depthwise_conv2d(x.reshape(5, 13, 1), np.ones((5, 13, 1))) == 2048


def test_small_numbers_are_exact():
    g = rng(3)
    x = g.integers(-4, 5, (2, 9, 8, 3))
    taps, matrix = g.integers(-4, 5, (3, 2, 3, 2)), g.integers(-2, 3, (6, 5))
    options = {"strides": (1, 2), "padding": "same", "dilation_rate": (2, 1)}
    got = reference.float16_depthwise_conv2d(x, taps, **options, activation="relu6")
    np.testing.assert_array_equal(
        got, reference.depthwise_conv2d(x, taps, **options, activation="relu6")
    )
    bias, residual = np.arange(5), g.integers(-9, 9, (2, 9, 4, 5))
    ends = {"depthwise_activation": "relu6", "bias": bias, "residual": residual}
    got = reference.float16_separable_conv2d(x, taps, matrix, **options, **ends)
    assert got.dtype == F16
    np.testing.assert_array_equal(
        got, reference.separable_conv2d(x, taps, matrix, **options, **ends)
    )
    planes = reference.float16_separable_conv2d(
        x.transpose(0, 3, 1, 2), taps, matrix, **options, data_format="NCHW",
        depthwise_activation="relu6", bias=bias, residual=residual.transpose(0, 3, 1, 2),
    )  # fmt: skip
    assert_same(planes.transpose(0, 2, 3, 1), got)
    strided = reference.float16_pointwise_conv2d(x, matrix[:3], strides=(2, 3))
    assert_same(strided, reference.float16_pointwise_conv2d(x[:, ::2, ::3], matrix[:3]))


def test_shapes_that_do_not_fit():
    x = np.zeros((4, 4, 3), F16)
    with pytest.raises(ValueError, match="pointwise_kernel is for 2"):
        reference.float16_pointwise_conv2d(x, np.ones((2, 4)))
    with pytest.raises(ValueError, match="depthwise_kernel is for 2"):
        reference.float16_depthwise_conv2d(x, np.ones((3, 3, 2)))
