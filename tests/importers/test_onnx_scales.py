"""QuantizeLinear and DequantizeLinear of ONNX: what each of the two says of its integers."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastdw import Network, Quantization, dequantize
from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from onnx import TensorProto
from onnx_models import model, node, onnx
from support import rng
from test_onnx_kept import (
    OUT,
    POINTS,
    SHAPE,
    STEP,
    between,
    convolution,
    image,
    node_list,
    scales,
    whole,
)


def test_a_number_less_integers_is_a_table():
    minus = [node("Sub", "n X", "Y")]
    proto = between(minus, n=np.float32(1.25))
    net = Network.from_onnx(proto.SerializeToString())
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert "table" in steps
    assert "affine" not in steps
    x = image(7)
    wanted = Network.from_onnx(proto.SerializeToString(), integers="float")(x)
    assert np.abs(net(x) - wanted).max() <= OUT


def test_other_scales_on_the_way_than_before():
    """DequantizeLinear may read integers as other numbers than QuantizeLinear wrote."""
    first, constants = convolution("c", 6, 1, group=6)
    matrix = {"dw": whole(11, 5, 6, 1, 1), "ds": scales(12, 5)}
    nodes = [
        *first,
        node("QuantizeLinear", "Y sm zm", "m"),
        node("DequantizeLinear", "m so zo", "M"),
        node("DequantizeLinear", "dw ds", "D", axis=0),
        node("Conv", "M D", "Z"),
    ]
    ends = {"sm": np.float32(0.2), "zm": np.int8(5), "so": np.float32(0.05), "zo": np.int8(-7)}
    inner = [
        node("QuantizeLinear", "x sx zx", "q"),
        node("DequantizeLinear", "q sx zx", "X"),
        *nodes,
        node("QuantizeLinear", "Z sy zy", "r"),
        node("DequantizeLinear", "r sy zy", "y"),
    ]
    zeros = dict(zip(("zx", "zy"), POINTS["int8"], strict=True))
    proto = model(inner, SHAPE, sx=STEP, sy=OUT, **zeros, **constants, **matrix, **ends)
    data, x = proto.SerializeToString(), image(8)
    net, graph = Network.from_onnx(data), from_onnx(data)
    (wanted,) = run(graph, [x[0]], np.float32)
    np.testing.assert_array_equal(net(x)[0], wanted)
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert "quantized_separable" not in steps


@pytest.mark.parametrize("dtype", POINTS)
def test_dequantized_inputs_without_a_zero_point(dtype):
    nodes = [
        node("DequantizeLinear", "x sx", "X"),
        node("Sigmoid", "X", "Y"),
        node("QuantizeLinear", "Y sy", "y", output_dtype={"uint8": 2, "int8": 3}[dtype]),
    ]
    kind = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[dtype]
    proto = model(nodes, (1, 6), sx=STEP, sy=np.float32(1 / 127))
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.elem_type = kind
    net = Network.from_onnx(proto.SerializeToString())
    x = np.arange(6, dtype=dtype)[None] * 15
    wanted = np.rint(127 / (1 + np.exp(-x.astype(np.float64) * STEP)))
    np.testing.assert_array_equal(net(x), wanted)


def test_a_dilated_pool_with_padding_runs_in_float():
    """A window of padding alone has no maximum of bytes."""
    pool = node_list("MaxPool", "X", kernel_shape=[2, 2], dilations=[6, 6], pads=[1, 1, 1, 1])
    net = Network.from_onnx(between(pool).SerializeToString())
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert "pool" in steps
    assert "quantized_pool" not in steps


POOL = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}


def of_integers(zero, *nodes):
    """A model of operators on the integers q, which give r."""
    ends = [
        node("QuantizeLinear", "x s z", "q"),
        *nodes,
        node("DequantizeLinear", "r s z", "y"),
    ]
    return model(ends, SHAPE, s=STEP, z=zero)


@pytest.mark.parametrize("dtype", POINTS)
def test_a_pool_of_integers_themselves(dtype):
    zero = POINTS[dtype][0]
    direct = of_integers(zero, node("MaxPool", "q", "r", **POOL))
    ends = [node("DequantizeLinear", "q s z", "X"), node("QuantizeLinear", "Y s z", "r")]
    spelt = of_integers(zero, ends[0], node("MaxPool", "X", "Y", **POOL), ends[1])
    net, wanted = (Network.from_onnx(proto.SerializeToString()) for proto in (direct, spelt))
    assert "quantized_pool" in [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    np.testing.assert_array_equal(net(image(3)), wanted(image(3)))


def test_integers_that_are_more_than_dequantized_are_refused_in_float():
    proto = of_integers(np.uint8(131), node("Relu", "q", "r"))
    wanted = r"1 operator .* QuantizeLinear that more than DequantizeLinear reads \(node"
    with pytest.raises(ValueError, match=wanted):
        from_onnx(proto.SerializeToString(), integers="float")


MOVES = {
    "MaxPool": [node("MaxPool", "q", "r", **POOL)],
    "Transpose": [node("Transpose", "q", "r", perm=[0, 2, 3, 1])],
    "Flatten": [node("Flatten", "q", "r")],
    "Concat": [
        node("MaxPool", "q", "p", kernel_shape=[1, 1]),
        node("Concat", "q p q", "r", axis=2),
    ],
    "Split": [node("Split", "q", "p r", axis=3, num_outputs=2)],
    "Identity": [node("Identity", "q", "i"), node("Identity", "i", "r")],
}


@pytest.mark.parametrize("name", MOVES)
def test_integers_that_are_moved_stay_real_numbers_in_float(name):
    proto = of_integers(np.uint8(131), *MOVES[name])
    whole, real = (
        Network.from_onnx(proto.SerializeToString(), integers=way)(image(3))
        for way in ("keep", "float")
    )
    assert whole.shape == real.shape
    # In float alone nothing is rounded.
    assert 0 < np.abs(whole - real).max() <= STEP / 2 * np.float32(1.01)


def test_integers_of_two_steps_are_not_joined():
    nodes = [node("QuantizeLinear", "x t z", "p"), node("Concat", "q p", "r", axis=2)]
    proto = of_integers(np.uint8(131), *nodes)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "t"))
    with pytest.raises(ValueError, match="QuantizeLinear that more than DequantizeLinear reads"):
        from_onnx(proto.SerializeToString(), integers="float")


@pytest.mark.parametrize("way", ["keep", "float"])
@pytest.mark.parametrize("scale", [np.nan, 0.0, -0.5, np.inf, 1e-40])
def test_scales_that_are_none_are_refused(scale, way):
    nodes = [node("QuantizeLinear", "x t z", "q"), node("DequantizeLinear", "q t z")]
    proto = model(nodes, SHAPE, t=np.float32(scale), z=np.uint8(1))
    with pytest.raises(ValueError, match="scale must be positive, finite and normal"):
        from_onnx(proto.SerializeToString(), integers=way)


def test_integers_of_16_bits_become_a_range():
    """As ONNX Runtime writes them before opset 21."""
    both = [
        node("QuantizeLinear", "x s z", "q", domain="com.microsoft"),
        node("DequantizeLinear", "q s z", domain="com.microsoft"),
    ]
    more = {"s": np.float32(1e-4), "z": np.uint16(30000)}
    proto = model(both, SHAPE, domains=("com.microsoft",), **more)
    x = image(3) * 3
    wanted = np.clip(x, np.float32(-3), np.float32(3.5535))
    assert (wanted != x).any()
    np.testing.assert_array_equal(Network.from_onnx(proto.SerializeToString())(x), wanted)


@pytest.mark.parametrize("dtype", POINTS)
def test_integers_that_a_model_takes_and_gives_run_in_float(dtype):
    """int8 as the real numbers that it stands for, uint8 as such; what comes out is real."""
    nodes, constants = convolution("c", 5, 6)
    inner = [
        node("DequantizeLinear", "x sx zx", "X"),
        *nodes,
        node("QuantizeLinear", "Y sy zy", "y"),
    ]
    ends = {"sx": STEP, "sy": OUT, **dict(zip(("zx", "zy"), POINTS[dtype], strict=True))}
    kind = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[dtype]
    data = model(inner, SHAPE, dtype=kind, **ends, **constants).SerializeToString()
    net, real = (Network.from_onnx(data, integers=way) for way in ("keep", "float"))
    limits = np.iinfo(dtype)
    x = rng(5).integers(limits.min, limits.max + 1, SHAPE).astype(dtype)
    q = Quantization(float(STEP), int(ends["zx"]), dtype)
    y = real(x if dtype == "uint8" else dequantize(x, q))
    assert y.dtype == np.float32
    assert np.abs(y - dequantize(net(x), net.outputs[0].quantization)).max() <= 0.51 * OUT
    if dtype == "int8":
        with pytest.raises(TypeError, match=r"integers become real numbers by fastdw\.dequantize"):
            real(x)


@pytest.mark.parametrize("integers", ["keep", "float"])
def test_a_quantised_image_has_its_axes_as_wanted(integers):
    nodes, constants = convolution("c", 5, 6)
    data, x = between(nodes, **constants).SerializeToString(), image(3)
    first, last = (
        Network.from_onnx(data, integers=integers, data_format=order) for order in ("NCHW", "NHWC")
    )
    assert (first.inputs[0].shape, last.inputs[0].shape) == ((None, 6, 7, 8), (None, 7, 8, 6))
    y = first(x)
    np.testing.assert_array_equal(last(x.transpose(0, 2, 3, 1)), y.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("scale", "zero"), [(np.float32(0.2), 3), (STEP, 4)])
def test_a_float_input_stands_for_the_numbers_of_one_reader(scale, zero):
    nodes = [
        node("DequantizeLinear", "x s z", "X"),
        node("DequantizeLinear", "x s z", "Y"),
        node("Add", "X Y", "Z"),
        node("DequantizeLinear", "x t w", "W"),
        node("Add", "Z W", "y"),
    ]
    ends, others = {"s": STEP, "z": np.int8(3)}, {"t": scale, "w": np.int8(zero)}
    data = model(nodes, SHAPE, dtype=TensorProto.INT8, **ends, **others).SerializeToString()
    x = rng(6).integers(-128, 128, SHAPE).astype(np.int8)
    wanted = 2 * STEP * (x - 3.0) + scale * (x - float(zero))
    np.testing.assert_allclose(Network.from_onnx(data)(x), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"another scale or zero point .*'DequantizeLinear W'"):
        Network.from_onnx(data, integers="float")
    same = model([*nodes[:2], node("Add", "X Y", "y")], SHAPE, dtype=TensorProto.INT8, **ends)
    real = Network.from_onnx(same.SerializeToString(), integers="float")
    x = rng(7).standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_array_equal(real(x), 2 * x)


@pytest.mark.parametrize("dtype", POINTS)
def test_casts_of_integers_give_real_numbers(dtype):
    kind = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[dtype]
    x = np.arange(256).astype(dtype).reshape(1, 4, 8, 8)
    alone = [node("Cast", "x", to=TensorProto.FLOAT)]
    before = [node("Cast", "x", "X", to=TensorProto.FLOAT), node("Mul", "X a")]
    for nodes, factor in ((alone, 1), (before, 0.5)):
        proto = model(nodes, x.shape, dtype=kind, a=np.float32(0.5))
        y = Network.from_onnx(proto.SerializeToString())(x)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, x * np.float32(factor))


def test_a_name_that_is_no_text_is_damage():
    """Of an operator that is spelt out, where the name is written again."""
    matrix, ends = whole(1, 5, 6, 1, 1), {"s": STEP, "z": np.int8(0)}
    proto = model(node("QLinearConv", "x s z w s z s z"), dtype=TensorProto.INT8, w=matrix, **ends)
    data = proto.SerializeToString()
    assert from_onnx(data).outputs == ("y",)
    with pytest.raises(ValueError, match="the model is no model that fastdw can read"):
        from_onnx(data.replace(b"QLinearConv y", b"QLinearConv\xffy"))
