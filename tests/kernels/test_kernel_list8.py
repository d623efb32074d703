"""The list of the 8-bit kernels: each has a name, and is forced by it."""

import re

import fastdw
import numpy as np
import pytest
from fastdw import (
    Quantization,
    QuantizedDepthwiseConv2D,
    QuantizedPointwiseConv2D,
    _core,
    reference,
)
from fastdw._isa import packed_for8
from support import rng

pytestmark = pytest.mark.emulated

# The steps of networks: tests/networks/test_lower.py runs each on every set.
NETWORK = {"add8", "multiply8", "table8", "bilinear8"}
INPUT, OUTPUT = Quantization(0.05, -3), Quantization(0.4, 5)


def whole(generator, *shape):
    return generator.integers(-128, 128, shape, np.int8)


def force_depthwise(isa8, name):
    """On channels that fill no vector, one, and some of the next."""
    found = re.match(r"dwconv8_(?:(\d)x(\d)|fives|generic)(?:_s(\d))?", name)
    kernel = (int(found[1]), int(found[2])) if found[1] else (4, 5 if "fives" in name else 2)
    stride, generator = int(found[3] or 1), rng(1)
    ends = {"input": INPUT, "output": OUTPUT, "strides": stride, "padding": "same"}
    for channels in (3, 16, 77):
        taps, scales = whole(generator, *kernel, channels), np.full(channels, 0.01, np.float32)
        with packed_for8(isa8):
            layer = QuantizedDepthwiseConv2D(taps, scales, **ends)
        x = whole(generator, 1, 9, 11, channels)
        assert name in layer.plan(x.shape)
        wanted = reference.quantized_depthwise_conv2d(x, taps, scales, **ends)
        np.testing.assert_array_equal(layer(x), wanted)


def force_pointwise(isa8, name):
    """By as many filters as fill its vectors, on as many pixels as fill a tile, and one more."""
    pixels, vectors = map(int, re.fullmatch(r"pwconv8_(\d+)x(\d)", name).groups())
    generator, ends, runs = rng(2), {"input": INPUT, "output": OUTPUT}, 0
    for lanes in (4, 8, 16):
        matrix = whole(generator, 37, lanes * vectors)
        scales = np.full(lanes * vectors, 0.01, np.float32)
        with packed_for8(isa8):
            layer = QuantizedPointwiseConv2D(matrix, scales, **ends)
        x = whole(generator, 1, 1, 2 * pixels + 1, 37)
        if f"up to {vectors} vectors, tiles of up to {pixels} pixels" not in layer.plan(x.shape):
            continue
        runs += 1
        wanted = reference.quantized_pointwise_conv2d(x, matrix, scales, **ends)
        np.testing.assert_array_equal(layer(x, num_threads=1), wanted)
    assert runs > 0


FORCE = {r"dwconv8_.*": force_depthwise, r"pwconv8_.*": force_pointwise}


@pytest.mark.parametrize("part", FORCE)
def test_every_kernel_is_forced_by_its_name(isa8, part):
    for name in _core.kernels8(isa8):
        first = next((pattern for pattern in FORCE if re.fullmatch(pattern, name)), None)
        assert first or name in NETWORK, f"{name} is not forced"
        if first == part:
            FORCE[part](isa8, name)


def test_names_are_unique_and_complete(isa8):
    names = _core.kernels8(isa8)
    assert len(names) == len(set(names))
    assert set(names) >= {*NETWORK, "dwconv8_generic"}


def test_they_are_shown():
    config = fastdw.show_config(mode="dict")
    assert config["kernels8"] == _core.kernels8(config["isas8"]["active"])
