"""What the tests share: data, the error bounds, guarded memory, and calls of single kernels."""

import ctypes
import mmap
from typing import NamedTuple

import numpy as np
import pytest
from fastdw import _core, reference

emulated = False  # set by --emulated

U = 2.0**-24  # the unit roundoff of float32
TINY = 2.0**-149  # its smallest subnormal

CHANNELS = [*range(1, 66), 72, 88, 184, 200, 728]

CURVES = [
    "hard_sigmoid",
    "hard_swish",
    "sigmoid",
    "swish",
    "tanh",
    "gelu",
    "gelu_tanh",
    "softplus",
    "mish",
    ("leaky_relu", 0.3),
    ("elu", 0.7),
]
CLAMPS = [None, "relu", "relu6", ("clip", -0.5, 0.75)]

# Upper bounds of |f'|, for the error that an activation passes on.
LIPSCHITZ = {"hard_swish": 1.5, "swish": 1.1, "gelu": 1.13, "gelu_tanh": 1.13, "mish": 1.1}


def thin(cases):
    """The cases, or under emulation eight of them, an odd number apart: so all remainders occur."""
    cases = list(cases)
    return cases[:: -(-len(cases) // 8) | 1] if emulated else cases


def rng(seed):
    return np.random.Generator(np.random.PCG64(seed))


def integers(generator, shape, limit=4):
    """Small whole numbers, whose sums and products float32 holds exactly."""
    return generator.integers(-limit, limit + 1, shape).astype(np.float32)


def signed(generator, shape):
    """Uniform in [-1, 1) with 24 bits, made without a platform's libm."""
    return generator.integers(-(2**23), 2**23, shape).astype(np.float32) * np.float32(2.0**-23)


def batch_norm(generator, channels):
    """(gamma, beta, mean, variance, epsilon) with a variance well above 0."""
    vectors = [signed(generator, channels) for _ in range(4)]
    return (*vectors[:3], np.abs(vectors[3]) + np.float32(0.25), 1e-3)


class Bounded(NamedTuple):
    """Values in float64, and how far a float32 result may lie from each."""

    value: np.ndarray
    error: np.ndarray


def exact(x):
    return Bounded(np.asarray(x, np.float64), np.zeros(np.shape(x)))


def gamma(n):
    return n * U / (1 - n * U)


def _sum(operator, x, kernel, terms, geometry, bias, batch_norm, residual=None):
    """The linear half of an operator, with the bound for sums in any order.

    |y − y64| ≤ gamma_n·M with M = Σ|x||w| + |b| and so on: the operator itself, of absolute
    values. Folding BatchNorm in float64 rounds each weight once more; a residual is one more term.
    """
    value = operator(
        x.value, kernel, *geometry, bias=bias, batch_norm=batch_norm,
        **({} if residual is None else {"residual": residual}),
    )  # fmt: skip
    size = np.abs(x.value) + x.error
    magnitude = _magnitude(operator, size, kernel, geometry, bias, batch_norm)
    inherited = 0.0
    if np.any(x.error):
        inherited = _magnitude(operator, x.error, kernel, geometry, None, batch_norm, offset=False)
    if residual is not None:
        magnitude = magnitude + np.abs(residual)
        terms += 1
    if batch_norm is not None:
        terms += 2
    with np.errstate(all="ignore"):
        return Bounded(value, gamma(terms + 1) * magnitude + inherited + (terms + 1) * TINY)


def _magnitude(operator, size, kernel, geometry, bias, batch_norm, offset=True):
    bias = None if bias is None else np.abs(bias)
    if batch_norm is not None:
        scale, beta, mean, variance, epsilon = batch_norm
        scale, beta = (None if v is None else np.abs(v) for v in (scale, beta))
        # The reference subtracts the mean: -|mean| adds it.
        mean, beta = (-np.abs(mean), beta) if offset else (np.zeros_like(mean), None)
        batch_norm = (scale, beta, mean, variance, epsilon)
    return operator(size, np.abs(kernel), *geometry, bias=bias, batch_norm=batch_norm)


def of_function(x, function):
    """What the step of `reference.unary` may return."""
    value, x = reference.unary(x, function), np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        rounded = {"abs": 0, "sqrt": U, "reciprocal": U}.get(function, 4 * U)
        error = rounded * np.abs(value) + TINY
        return Bounded(value, error + (4 * U * np.abs(x) if function == "log" else 0))


def activated(v, activation):
    value = reference.activate(v.value, activation)
    name, *numbers = activation if isinstance(activation, tuple) else (activation,)
    slope = max(1.0, LIPSCHITZ.get(name, 1.0))
    if name in ("leaky_relu", "elu", "prelu"):
        slope = max(1.0, np.max(np.abs(numbers[0])))
    with np.errstate(all="ignore"):
        passed = slope * v.error
        error = passed
        if name not in (None, "linear", "relu", "relu6", "clip"):
            error = passed + 4 * U * (np.abs(value) + passed + np.abs(v.value) + v.error) + TINY
        return Bounded(value, np.where(np.isfinite(v.value), error, 4 * U * np.abs(value)))


def _activated(v, activation, data_format):
    """`activated` along the channels of either layout: prelu has one slope for each."""
    if data_format in ("NHWC", "channels_last"):
        return activated(v, activation)
    last = activated(Bounded(*(np.moveaxis(a, -3, -1) for a in v)), activation)
    return Bounded(*(np.moveaxis(a, -1, -3) for a in last))


def depthwise(
    x, depthwise_kernel, strides=1, padding="valid", data_format="NHWC", dilation_rate=1, *,
    bias=None, batch_norm=None, activation=None,
):  # fmt: skip
    """What `depthwise_conv2d` may return."""
    x = x if isinstance(x, Bounded) else exact(x)
    taps = depthwise_kernel.shape[0] * depthwise_kernel.shape[1]
    geometry = (strides, padding, data_format, dilation_rate)
    v = _sum(reference.depthwise_conv2d, x, depthwise_kernel, taps, geometry, bias, batch_norm)
    return _activated(v, activation, data_format)


def pointwise(
    x, pointwise_kernel, data_format="NHWC", *,
    bias=None, batch_norm=None, activation=None, residual=None,
):  # fmt: skip
    """What `pointwise_conv2d` may return."""
    x = x if isinstance(x, Bounded) else exact(x)
    terms = pointwise_kernel.shape[-2]
    v = _sum(
        reference.pointwise_conv2d, x, pointwise_kernel, terms, (data_format,), bias, batch_norm,
        residual,
    )  # fmt: skip
    return _activated(v, activation, data_format)


def dense(
    x, kernel, strides=1, padding="valid", data_format="NHWC", dilation_rate=1, *,
    bias=None, batch_norm=None, activation=None, residual=None,
):  # fmt: skip
    """What `conv2d` may return."""
    terms = kernel[..., 0].size
    geometry = (strides, padding, data_format, dilation_rate)
    v = _sum(reference.conv2d, exact(x), kernel, terms, geometry, bias, batch_norm, residual)
    return _activated(v, activation, data_format)


def separable(
    x, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format="NHWC",
    dilation_rate=1, *, pre_activation=None, depthwise_bias=None, depthwise_batch_norm=None,
    depthwise_activation=None, **epilogue,
):  # fmt: skip
    """What `separable_conv2d` may return."""
    z = depthwise(
        _activated(x if isinstance(x, Bounded) else exact(x), pre_activation, data_format),
        depthwise_kernel, strides, padding, data_format, dilation_rate,
        bias=depthwise_bias, batch_norm=depthwise_batch_norm, activation=depthwise_activation,
    )  # fmt: skip
    return pointwise(z, pointwise_kernel, data_format, **epilogue)


def assert_within(got, expected, share=1.0):
    """Every element within `share` of its bound, and of the same class where that is not finite."""
    assert got.dtype == np.float32
    assert got.shape == expected.value.shape
    with np.errstate(all="ignore"):
        rounded = expected.value.astype(np.float32)
        finite = np.isfinite(rounded)
        np.testing.assert_array_equal(got[~finite], rounded[~finite])
        ratio = np.abs(got - expected.value)[finite] / expected.error[finite]
    ratio = np.where(got[finite] == expected.value[finite], 0.0, ratio)
    assert np.all(ratio <= share), f"error of {np.max(ratio):.3g} bounds (NaN: not a number)"


def assert_same(got, expected):
    """Equal to the last bit, but for the sign of a zero and the payload of a NaN."""
    assert got.dtype == expected.dtype
    assert got.dtype in (np.float16, np.float32, np.int8, np.uint8)
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def skip_where_qemu_reads_too_much(isa, at_end):
    """QEMU reads all of a vector where AVX2 masks a part of it, and faults at a page's end."""
    if emulated and at_end and isa == "avx2":
        pytest.skip("QEMU reads whole vectors where AVX2 masks them")


class Arena:
    """Memory between two pages that must not be touched, for arrays that end or begin at one."""

    SIZE = 1 << 20

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        page = mmap.PAGESIZE
        self._map = mmap.mmap(-1, self.SIZE + 2 * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        for guard in (base, base + page + self.SIZE):
            assert libc.mprotect(guard, page, 0) == 0
        self._bytes = np.frombuffer(self._map, np.uint8)[page : page + self.SIZE]

    def place(self, array, at_end):
        """A copy of `array` flush against the page behind it, or else the page before it."""
        flat = self._bytes[self.SIZE - array.nbytes :] if at_end else self._bytes[: array.nbytes]
        copy = flat.view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy


CLAMP = _core.Activation("clamp", -np.inf, np.inf)
POINTWISE = (1, 1, 1, 1, 0, 0)  # a geometry of the core


def run_depthwise(isa, x, kernel, bias, strides, dilation, pads, kernel_name=None, out=None):
    """One call of the core, into an output full of NaN: x (n, h, w, c), kernel (kh, kw, c, m)."""
    kh, kw, channels, multiplier = kernel.shape
    sizes = [
        (size + sum(pad) - (taps - 1) * d - 1) // s + 1
        for size, taps, pad, s, d in zip(
            x.shape[1:3], (kh, kw), pads, strides, dilation, strict=True
        )
    ]
    if out is None:
        out = np.full((x.shape[0], *sizes, channels * multiplier), np.nan, np.float32)
    weights = _core.Depthwise(kernel, bias, CLAMP, isa, kernel_name)
    geometry = (*strides, *dilation, pads[0][0], pads[1][0])
    _core.Operator(weights, None).run(x, None, out, geometry, 1)
    return out


def run_pointwise(isa, x, kernel, bias=None, residual=None, out=None):
    """One call of the core, into an output full of NaN: x (n, h, w, cin), kernel (cin, f)."""
    if out is None:
        out = np.full((*x.shape[:3], kernel.shape[1]), np.nan, np.float32)
    weights = _core.Pointwise(kernel, bias, CLAMP, isa)
    _core.Operator(None, weights).run(x, residual, out, POINTWISE, 1)
    return out
