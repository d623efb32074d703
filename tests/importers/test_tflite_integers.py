"""Integer networks of TFLite, run as float: weights, biases, ranges, zero points."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw.importers.tflite import from_tflite
from support import rng
from tflite_cases import conv2d, ints
from tflite_models import VALID, Quantised, agrees, computed, conv, model, node

STEP, ZERO = 1 / 32, 3
SHAPE = (2, 6, 7, 8)


def stored(seed, shape, dtype="int8"):
    limits = np.iinfo(dtype)
    return rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


def held(y, scale, zero, dtype="int8"):
    """Clamped to what an integer can stand for."""
    limits = np.iinfo(dtype)
    return np.clip(y, (limits.min - zero) * scale, (limits.max - zero) * scale)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("axis", [0, 3])
def test_a_convolution(per_channel, dtype, axis):
    """A bias is of rank 1, so whatever its quantized_dimension says, its only axis is 0."""
    scales = np.float32([0.01, 0.02, 0.03, 0.04, 0.05] if per_channel else [0.02])
    zeros = [0] * len(scales) if per_channel else [7]
    numbers, bias = stored(1, (5, 3, 3, 8), dtype), rng(2).integers(-900, 900, 5).astype(np.int32)
    out = Quantised(1 / 4, 10, dtype)
    data = model(
        conv(fused=1),
        SHAPE,
        w=Quantised(scales, zeros, dtype, 0, numbers),
        b=Quantised(scales * np.float32(STEP), zeros, "int32", axis, bias)
        if per_channel
        else Quantised(scales * np.float32(STEP), 0, "int32", axis, bias),
        quantised={"x": Quantised(STEP, ZERO, "int8"), "y": out},
    )
    spread = scales.astype(np.float64)
    weights = (numbers.astype(np.float64) - zeros[0]) * spread.reshape(-1, 1, 1, 1)
    x = (stored(3, SHAPE).astype(np.float32) - ZERO) * np.float32(STEP)
    if per_channel:
        bias = bias.astype(np.float64) - np.array(zeros)
    y = conv2d(x, weights, bias * spread * STEP)
    graph = agrees(data, [x], [held(np.maximum(y, 0), 1 / 4, 10, dtype)])
    assert np.any(y > 40)
    assert len(graph.nodes) == 1
    assert graph.notes[0].startswith("The model computes in integers")


@pytest.mark.parametrize("way", ["keep", "float"])
@pytest.mark.parametrize("scale", [np.nan, 0.0, -0.5, np.inf, 1e-40])
def test_scales_that_are_none_are_refused(scale, way):
    end = Quantised(np.float32(scale), 1, "int8")
    data = model(node("RELU", "x"), SHAPE, quantised={"x": end, "y": end})
    with pytest.raises(ValueError, match="scale"):
        from_tflite(data, integers=way)


def test_an_input_of_uint8_is_taken_as_such():
    data = model(
        node("RELU", "x"),
        SHAPE,
        quantised={"x": Quantised(STEP, 128, "uint8"), "y": Quantised(STEP, 128, "uint8")},
    )
    graph = from_tflite(data, integers="float")
    assert graph.inputs[0].dtype == "uint8"
    x = stored(4, SHAPE, "uint8")
    (y,) = computed(graph, x)
    np.testing.assert_allclose(y, np.maximum((x.astype(np.float64) - 128) * STEP, 0))


def test_pixels_of_uint8_without_a_scale():
    data = model(node("CAST", "x"), SHAPE, dtypes={"x": "uint8"})
    x = stored(4, SHAPE, "uint8")
    agrees(data, [x], [x.astype(np.float64)])


def test_pads_are_the_zero_point():
    """Of a tensor whose zero point is 3 the padding holds 3, which is the number 0."""
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    numbers = stored(1, (5, 3, 3, 8))
    q = Quantised(STEP, ZERO)
    nodes = [
        node("QUANTIZE", "x", "i"),
        node("PAD", "i p", "j"),
        conv("j w b", "k", padding=VALID),
        node("DEQUANTIZE", "k", "y"),
    ]
    data = model(
        nodes,
        SHAPE,
        p=ints(*pads),
        w=Quantised(1 / 64, 0, numbers=numbers),
        b=Quantised(STEP / 64, 0, "int32", numbers=np.zeros(5, np.int32)),
        quantised={"i": q, "j": q, "k": Quantised(1.0, 0)},
    )
    x = 8 * (stored(5, SHAPE) / np.float32(128))
    inside = held(x, STEP, ZERO)
    y = conv2d(np.pad(inside, pads), numbers / 64, np.zeros(5), "valid")
    agrees(data, [x], [held(y, 1.0, 0)])


def test_a_range_is_a_clamp_only_where_it_changes():
    q, other = Quantised(STEP, ZERO), Quantised(STEP / 4, ZERO)
    nodes = [
        node("RESHAPE", "x s", "a"),
        node("CONCATENATION", "a a", "b", "ConcatenationOptions", Axis=1),
        node("QUANTIZE", "b", "y"),
    ]
    data = model(nodes, (2, 5), s=ints(-1, 5), quantised={"x": q, "a": q, "b": q, "y": other})
    x = (stored(6, (2, 5)).astype(np.float32) - ZERO) * np.float32(STEP)
    graph = agrees(data, [x], [held(np.concatenate([x, x], 1), STEP / 4, ZERO)])
    assert [n.op for n in graph.nodes] == ["concat", "activation"]


def test_sums_take_the_range_as_their_activation():
    q = Quantised(STEP, ZERO)
    data = model(
        node("ADD", "x b", "y", "AddOptions"),
        SHAPE,
        b=Quantised(STEP, ZERO, numbers=stored(7, 8)),
        quantised={"x": q, "y": q},
    )
    x = (stored(6, SHAPE).astype(np.float32) - ZERO) * np.float32(STEP)
    term = (stored(7, 8).astype(np.float64) - ZERO) * STEP
    graph = agrees(data, [x], [held(x + term, STEP, ZERO)])
    assert [n.op for n in graph.nodes] == ["affine"]


def test_values_by_channel_are_refused():
    data = model(node("RELU", "x"), SHAPE, quantised={"y": Quantised([1.0] * 8, [0] * 8, axis=3)})
    with pytest.raises(
        ValueError, match="RELU with a computed value that is quantised by channels"
    ):
        from_tflite(data)
