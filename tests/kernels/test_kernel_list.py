"""The one list of kernels: each has a name, and is forced by it or by the shape that it serves."""

import re

import fastdw
import numpy as np
import pytest
from fastdw import _core, reference
from fastdw._activations import FUNCTIONS
from support import (
    CLAMP,
    assert_same,
    assert_within,
    integers,
    of_function,
    rng,
    run_depthwise,
    run_pointwise,
)
from support import depthwise as bounded_depthwise

pytestmark = pytest.mark.emulated

# The steps of networks: tests/networks/test_steps.py runs each alone.
NETWORK = {
    "add", "multiply", "divide", "maximum", "minimum", "affine", "normalize",
    "from_bytes", "from_halves", "to_halves",
    "max_pool", "average_pool", "global_max", "global_average", "row_sums", "bilinear", "softmax",
}  # fmt: skip


def depthwise_shape(name):
    """(kernel, strides) of a depthwise kernel's name."""
    found = re.match(r"dw\w+?_(\d+)x(\d+)_s(\d+)(?:x(\d+))?", name)
    if not found:
        return (2, 3), (1, 2)  # the generic one
    return (int(found[1]), int(found[2])), (int(found[3]), int(found[4] or found[3]))


def run_separable(isa, x, taps, matrix, strides, kernel_name=None, planar=False):
    """The result, and the text of the plan; x (n, h, w, c), "same" pads at the top and left."""
    kh, kw = taps.shape[:2]
    sizes = [-(-n // s) for n, s in zip(x.shape[1:3], strides, strict=True)]
    out = np.full((x.shape[0], *sizes, matrix.shape[1]), np.nan, np.float32)
    half = _core.Depthwise(taps, None, CLAMP, isa, kernel_name, fused=True)
    operator = _core.Operator(half, _core.Pointwise(matrix, None, CLAMP, isa), None, planar)
    geometry = (*strides, 1, 1, kh // 2, kw // 2)
    if planar:
        x, result = np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.moveaxis(out, -1, 1).copy()
        operator.run(x.transpose(0, 2, 3, 1), None, result.transpose(0, 2, 3, 1), geometry, 1)
        return np.moveaxis(result, 1, -1), operator.plan(x.shape, result.shape, geometry, 1)["text"]
    operator.run(x, None, out, geometry, 1)
    return out, operator.plan(x.shape, out.shape, geometry, 1)["text"]


def separable_reference(x, taps, matrix, strides, shape):
    kh, kw = taps.shape[:2]
    pads = [(k // 2, (n - 1) * s + k - size - k // 2) for k, s, n, size in zip(
        (kh, kw), strides, shape[1:3], x.shape[1:3], strict=True)]  # fmt: skip
    pads = [(before, max(after, 0)) for before, after in pads]
    y = reference.separable_conv2d(x, taps, matrix, strides, pads).astype(np.float32)
    return y[:, : shape[1], : shape[2]]


def force_depthwise(isa, name):
    multiplier = 2 if name.endswith("_multiplied") else 1
    base = name.removesuffix("_multiplied")
    kernel, strides = depthwise_shape(base)
    generator = rng(1)
    for c in (3, _core.lanes(isa), 2 * _core.lanes(isa) + 1):
        x = integers(generator, (1, 11, 13, c))
        taps = integers(generator, (*kernel, c, multiplier))
        pads = [(k // 2, k // 2) for k in kernel]
        got = run_depthwise(isa, x, taps, None, strides, (1, 1), pads, base)
        assert_same(got, reference.depthwise_conv2d(x, taps, strides, pads).astype(np.float32))


def force_in_block(isa, name):
    kernel, strides = depthwise_shape(name)
    generator = rng(2)
    base = name.removesuffix("_in_block")
    x = integers(generator, (1, 12, 14, 40))
    taps, matrix = integers(generator, (*kernel, 40, 1)), integers(generator, (40, 9))
    got, text = run_separable(isa, x, taps, matrix, strides, base)
    assert base in text
    assert_same(got, separable_reference(x, taps, matrix, strides, got.shape))


def force_pointwise(isa, name):
    pixels, vectors = re.fullmatch(r"pwconv_(\d+)x([\d.]+)", name).groups()
    filters = int(float(vectors) * _core.lanes(isa))
    generator = rng(3)
    x, matrix = integers(generator, (1, 1, int(pixels), 19)), integers(generator, (19, filters))
    got = run_pointwise(isa, x, matrix)
    assert_same(got, reference.pointwise_conv2d(x, matrix).astype(np.float32))


def force_windows(isa, name):
    """Rows of outputs that some largest tile cuts into ones of this size."""
    pixels, vectors = map(float, re.fullmatch(r"pwconv_(\d+)x([\d.]+)_windows", name).groups())
    generator = rng(7)
    kernel = integers(generator, (3, 2, 3, int(vectors * _core.lanes(isa))))
    weights = _core.Pointwise(kernel.reshape(-1, kernel.shape[-1]), None, CLAMP, isa)
    operator = _core.Operator(None, weights, None, False, (3, 2))
    for columns in range(24, 60):
        counts = {-(-columns // most) for most in range(int(pixels), 17)}
        cuts = [(columns // count, -(-columns // count)) for count in counts]
        if not any(pixels in cut for cut in cuts):
            continue
        x = integers(generator, (1, 5, columns + 1, 3))
        out = np.full((1, 5, columns, kernel.shape[-1]), np.nan, np.float32)
        operator.run(x, None, out, (1, 1, 1, 1, 1, 0), 1)
        expected = reference.conv2d(x, kernel, padding=((1, 1), (0, 0))).astype(np.float32)
        assert_same(out, expected)
        assert "in place" in operator.plan(x.shape, out.shape, (1, 1, 1, 1, 1, 0), 1)["text"]


def force_planes(isa, name):
    lanes, generator = _core.lanes(isa), rng(4)
    if name.startswith("dw"):
        kernel, strides = depthwise_shape(name)
        height, width, filters = 9, strides[0] * 2 * lanes, 5
    else:
        vectors, rest = map(int, re.fullmatch(r"pwplanes_(\d)x(\d)", name).groups())
        filters = 8 + rest  # a tile of all eight channels that one may have, and one of the rest
        kernel, strides, height, width = (3, 3), (1, 1), 1, vectors * lanes
    x = integers(generator, (1, height, width, 6))
    taps, matrix = integers(generator, (*kernel, 6, 1)), integers(generator, (6, filters))
    got, text = run_separable(isa, x, taps, matrix, strides, planar=True)
    assert "in planes" in text
    assert_same(got, separable_reference(x, taps, matrix, strides, got.shape))


def force_curve(isa, name):
    curve = name.removeprefix("curve_")
    numbers = {"leaky_relu": (0.25,), "elu": (0.5,), "clamp": ()}.get(curve, ())
    generator = rng(5)
    x = generator.normal(0, 4, (1, 5, 7, 37)).astype(np.float32)
    taps = np.ones((1, 1, 37, 1), np.float32)
    if curve == "prelu":
        slopes = generator.normal(size=37).astype(np.float32)
        core, activation = _core.Activation(curve, slopes=slopes), (curve, slopes)
    elif curve == "clamp":
        core, activation = _core.Activation(curve, 0, 6), "relu6"
    else:
        core, activation = _core.Activation(curve, *numbers), (curve, *numbers)
    out = np.full(x.shape, np.nan, np.float32)
    operator = _core.Operator(_core.Depthwise(taps, None, core, isa), None)
    operator.run(x, None, out, (1, 1, 1, 1, 0, 0), 1)
    activation = activation[0] if activation == (curve,) else activation
    if curve in FUNCTIONS:
        return assert_within(out, of_function(x, curve))
    assert_within(out, bounded_depthwise(x, taps, activation=activation))


def force_copies(isa, name):
    """Packing, patches and transposes move numbers: what they feed must be right."""
    del name
    generator = rng(6)
    x, kernel = integers(generator, (1, 7, 8, 21)), integers(generator, (2, 3, 21, 10))
    weights = _core.Pointwise(kernel.reshape(-1, 10), None, CLAMP, isa)
    operator = _core.Operator(None, weights, None, False, (2, 3))
    expected = reference.conv2d(x, kernel).astype(np.float32)
    for source in (x, np.asfortranarray(x), np.moveaxis(np.moveaxis(x, -1, 1).copy(), 1, -1)):
        out = np.full(expected.shape, np.nan, np.float32)
        operator.run(source, None, out, (1, 1, 1, 1, 0, 0), 1)
        assert_same(out, expected)
    planar = np.moveaxis(np.moveaxis(x, -1, 1).copy(), 1, -1)
    matrix = integers(generator, (21, 10))
    got = run_pointwise(isa, planar, matrix)
    assert_same(got, reference.pointwise_conv2d(x, matrix).astype(np.float32))


def force_fma_loop(isa, name):
    del name
    assert _core.fma_loop(isa, 10) > 0


FORCE = {
    r"dwconv_.*_in_block": force_in_block,
    r"dwconv_.*": force_depthwise,
    r"pwconv_.*_windows": force_windows,
    r"pwconv_.*": force_pointwise,
    r"(dw|pw)planes_.*": force_planes,
    r"curve_.*": force_curve,
    r"pack_quads|copy_patches|transpose": force_copies,
    r"fma_loop": force_fma_loop,
}


@pytest.mark.parametrize("part", FORCE)
def test_every_kernel_is_forced_by_its_name(isa, part):
    names = _core.kernels(isa)
    for name in names:
        first = next((pattern for pattern in FORCE if re.fullmatch(pattern, name)), None)
        assert first or name in NETWORK, f"{name} is not forced"
        if first == part:
            FORCE[part](isa, name)


def test_names_are_unique_and_complete(isa):
    names = _core.kernels(isa)
    assert len(names) == len(set(names))
    assert set(names) >= NETWORK
    assert {f"curve_{curve}" for curve in _core.curves} <= set(names)


def test_they_are_shown():
    config = fastdw.show_config(mode="dict")
    assert config["kernels"] == _core.kernels(config["isas"]["active"])
