"""Integer networks of ONNX that stay integers: QuantizeLinear, an operator, DequantizeLinear."""

import itertools

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastdw import Network, Quantization
from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from onnx import TensorProto, helper
from onnx_models import ints, model, node
from support import rng

SHAPE = (1, 6, 7, 8)  # N, C, H, W
STEP, OUT = np.float32(0.031), np.float32(0.11)
POINTS = {"int8": (np.int8(3), np.int8(-9)), "uint8": (np.uint8(131), np.uint8(119))}


def whole(seed, *shape):
    return rng(seed).integers(-127, 128, shape).astype(np.int8)


def scales(seed, channels):
    return rng(seed).uniform(0.01, 0.02, channels).astype(np.float32)


def convolution(name, filters, depth, taps=3, **attributes):
    """Nodes and constants of a convolution with a bias, of x to y."""
    spread = scales(2, filters)
    constants = {
        f"{name}w": whole(1, filters, depth, taps, taps),
        f"{name}s": spread,
        f"{name}b": rng(3).integers(-3000, 3000, filters).astype(np.int32),
        f"{name}t": spread * STEP,
    }
    nodes = [
        node("DequantizeLinear", f"{name}w {name}s", f"{name}W", axis=0),
        node("DequantizeLinear", f"{name}b {name}t", f"{name}B", axis=0),
        node("Conv", f"X {name}W {name}B", "Y", **attributes),
    ]
    return nodes, constants


def between(nodes, dtype="uint8", points=None, outputs="y", shape=SHAPE, **constants):
    """A model whose input and output are real, and what is between them quantised."""
    zero, other = POINTS[dtype] if points is None else points
    inner = [
        node("QuantizeLinear", "x sx zx", "q"),
        node("DequantizeLinear", "q sx zx", "X"),
        *nodes,
        node("QuantizeLinear", "Y sy zy", "r"),
        node("DequantizeLinear", "r sy zy", "y"),
    ]
    return model(inner, shape, sx=STEP, sy=OUT, zx=zero, zy=other, **constants)


def _cases():
    for dtype in POINTS:
        nodes, constants = convolution("c", 5, 6, pads=[1, 1, 1, 1], strides=[2, 2])
        yield f"Conv {dtype}", between(nodes, dtype, **constants), "quantized_conv2d"
        nodes, constants = convolution("c", 12, 1, group=6, pads=[1, 0, 1, 2])
        yield f"Conv depthwise {dtype}", between(nodes, dtype, **constants), "quantized_depthwise"
    nodes, constants = convolution("c", 5, 6, taps=1)
    nodes[-1].output[0] = "V"
    relu = [*nodes, node("Relu", "V", "Y")]
    yield "Conv, Relu", between(relu, **constants), "quantized_conv2d"
    limits = {"low": np.float32(0), "high": np.float32(6)}
    clip = [*nodes, node("Clip", "V low high", "Y")]
    yield "Conv, Clip", between(clip, **constants, **limits), "quantized_conv2d"
    yield "Add", between(node_list("Add", "X X")), "quantized_add"
    for op, number in (("Add", 1.5), ("Sub", -0.75), ("Mul", 0.3), ("Div", 7.0)):
        sums = [
            node("DequantizeLinear", "n sn zn", "N"),
            node(op, "X N", "V"),
            node("Clip", "V low high", "Y"),
        ]
        numbers = {"n": np.int8(np.sign(number) * 100), "zn": np.int8(0)}
        numbers |= {"sn": np.float32(abs(number) / 100), **limits}
        yield f"{op} of a number, Clip", between(sums, **numbers), "table"
    yield "GlobalAveragePool", between(node_list("GlobalAveragePool", "X")), "quantized_mean"
    yield "Sigmoid", between(node_list("Sigmoid", "X")), "table"
    point = POINTS["uint8"][0]
    pool = node_list("MaxPool", "X", kernel_shape=[2, 2])
    same = model(
        [
            node("QuantizeLinear", "x sx zx", "q"),
            node("DequantizeLinear", "q sx zx", "X"),
            *pool,
            node("QuantizeLinear", "Y sx zx", "r"),
            node("DequantizeLinear", "r sx zx", "y"),
        ],
        SHAPE, sx=STEP, zx=point,
    )  # fmt: skip
    yield "MaxPool", same, "quantized_pool"


def gemm(transposed, zero, scale_count, relu=False):
    """Gemm with a bias, of x to y; weights are bytes with a zero point that int8 can take off."""
    shape = (5, 6) if transposed else (6, 5)
    spread = scales(2, scale_count)
    constants = {
        "w": (whole(1, *shape).astype(np.int16) + zero).astype(np.uint8 if zero else np.int8),
        "s": spread if scale_count > 1 else spread[0],
        "z": np.full(scale_count, zero, np.uint8 if zero else np.int8),
        "b": rng(3).integers(-3000, 3000, 5).astype(np.int32),
        "t": np.broadcast_to(spread * STEP, 5).copy(),
    }
    if scale_count == 1:
        constants["z"] = constants["z"][0]
    nodes = [
        node("DequantizeLinear", "w s z", "W", axis=0 if transposed else 1),
        node("DequantizeLinear", "b t", "B", axis=0),
        node("Gemm", "X W B", "V" if relu else "Y", transB=transposed),
    ]
    return [*nodes, node("Relu", "V", "Y")] if relu else nodes, constants


def _dense():
    """Models of a dense layer, and the shape that they take."""
    for dtype, transposed, zero, count in itertools.product(POINTS, (0, 1), (0, 128), (1, 5)):
        nodes, constants = gemm(transposed, zero, count, relu=count == 1)
        name = f"Gemm {dtype} {transposed} {zero} {count}"
        yield name, between(nodes, dtype, shape=(1, 6), **constants), (1, 6)
    for shape in ((1, 6), (1, 7, 6)):
        matrix = {"w": whole(4, 6, 5), "s": scales(5, 5)}
        nodes = [
            node("DequantizeLinear", "w s", "W", axis=1),
            node("MatMul", "X W", "Y"),
        ]
        yield f"MatMul {shape}", between(nodes, shape=shape, **matrix), shape
    nodes, constants = gemm(1, 0, 5)
    nodes[2].input[0] = "flat"
    constants["w"] = whole(6, 5, 6 * 7 * 8)
    flat = between([node("Flatten", "X", "flat"), *nodes], **constants)
    yield "Gemm of a picture", flat, SHAPE
    matrix = {"w": whole(4, 6, 5), "sw": scales(5, 5), "zw": np.zeros(5, np.int8)}
    ends = {"sx": STEP, "sy": OUT, "zx": POINTS["uint8"][0], "zy": POINTS["uint8"][1]}
    nodes = [
        node("QuantizeLinear", "x sx zx", "q"),
        node("QLinearMatMul", "q sx zx w sw zw sy zy", "r"),
        node("DequantizeLinear", "r sy zy", "y"),
    ]
    yield "QLinearMatMul", model(nodes, (1, 6), **matrix, **ends), (1, 6)


DENSE = {name: (proto.SerializeToString(), shape) for name, proto, shape in _dense()}


def node_list(op, inputs, **attributes):
    return [node(op, inputs, "Y", **attributes)]


CASES = {name: (proto, op) for name, proto, op in _cases()}


def image(seed):
    return rng(seed).uniform(-4, 4, SHAPE).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_a_group_is_one_node_on_integers(name):
    proto, op = CASES[name]
    data = proto.SerializeToString()
    graph, net = from_onnx(data, integers="keep"), Network.from_onnx(data, integers="keep")
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert op in steps
    assert steps.count("quantize") == steps.count("dequantize") == 1
    x = image(4)
    (wanted,) = run(graph, [x[0]], np.float32)
    np.testing.assert_array_equal(net(x)[0], wanted)
    apart = np.abs(net(x) - Network.from_onnx(data, integers="float")(x)).max()
    assert apart <= 3 * OUT  # the inputs of a whole window are rounded, and the result


@pytest.mark.parametrize("name", CASES)
def test_the_answers_of_onnx_runtime(name):
    runtime = pytest.importorskip("onnxruntime")
    data = CASES[name][0].SerializeToString()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    net = Network.from_onnx(data, integers="keep")
    step = STEP if name == "MaxPool" else OUT
    for seed in range(5):
        x = image(seed)
        (wanted,) = session.run(None, {"x": x})
        steps = np.abs(net(x) - wanted) / step
        # Convolutions have its bits; it adds and averages in other roundings.
        assert np.max(steps) < (0.01 if name.startswith("Conv") else 1.01)


@pytest.mark.parametrize("name", DENSE)
def test_dense_layers(name):
    """By what they compute in whole numbers, and by ONNX Runtime where that is installed."""
    data, shape = DENSE[name]
    graph, net = from_onnx(data), Network.from_onnx(data)
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert "quantized_conv2d" in steps
    assert steps.count("quantize") == steps.count("dequantize") == 1
    x = rng(4).uniform(-4, 4, shape).astype(np.float32)
    (wanted,) = run(graph, [x[0]], np.float32)
    np.testing.assert_array_equal(net(x)[0], wanted)
    real = Network.from_onnx(data, integers="float")(x)
    assert np.abs(net(x) - real).max() <= (30 if "picture" in name else 3) * OUT
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for seed in range(5):
        x = rng(seed).uniform(-4, 4, shape).astype(np.float32)
        (theirs,) = session.run(None, {"x": x})
        assert np.abs(net(x) - theirs).max() <= 0.01 * OUT


def test_inputs_and_outputs_of_integers():
    nodes, constants = convolution("c", 5, 6)
    inner = [
        node("DequantizeLinear", "x sx zx", "X"),
        *nodes,
        node("QuantizeLinear", "Y sy zy", "y"),
    ]
    zero, other = POINTS["uint8"]
    proto = model(
        inner, SHAPE, dtype=TensorProto.UINT8, sx=STEP, sy=OUT, zx=zero, zy=other, **constants
    )
    net = Network.from_onnx(proto.SerializeToString(), integers="keep")
    assert net.inputs[0].quantization == Quantization(float(STEP), 131, "uint8")
    assert net.outputs[0].dtype == "uint8"
    x = rng(5).integers(0, 256, (3, *SHAPE[1:])).astype(np.uint8)
    y = net(x)
    assert y.dtype == np.uint8
    assert y.shape == (3, 5, 5, 6)
    assert [s["step"].split()[0] for s in net.summary("dict")["steps"]].count("dequantize") == 0


def test_moves_stay_integers():
    nodes = [
        node("Reshape", "X s", "V"),
        node("Transpose", "V", "Y", perm=[0, 2, 1]),
    ]
    point = POINTS["int8"][0]
    inner = [
        node("QuantizeLinear", "x sx zx", "q"),
        node("DequantizeLinear", "q sx zx", "X"),
        nodes[0],
        node("QuantizeLinear", "V sx zx", "t"),
        node("DequantizeLinear", "t sx zx", "T"),
        node("Transpose", "T", "y", perm=[0, 2, 1]),
    ]
    proto = model(inner, SHAPE, sx=STEP, zx=point, s=ints(1, 6, -1))
    net = Network.from_onnx(proto.SerializeToString(), integers="keep")
    x = image(6)
    wanted = Network.from_onnx(proto.SerializeToString(), integers="float")(x)
    assert np.abs(net(x) - wanted).max() <= 0.51 * STEP


@pytest.mark.parametrize("dtype", POINTS)
def test_pads_and_nearest_pixels_stay_integers(dtype):
    """A constant beyond the integers' range becomes the end of these."""
    zero = POINTS[dtype][0]
    pads = ints(0, 0, 1, 2, 0, 0, 0, 3)
    for constant, integer in ((0, int(zero)), (0.47, int(zero) + 15), (99, np.iinfo(dtype).max)):
        inner = [
            node("DequantizeLinear", "x sx zx", "X"),
            node("Pad", "X p c", "P"),
            node("QuantizeLinear", "P sx zx", "q"),
            node("DequantizeLinear", "q sx zx", "Q"),
            node("Resize", "Q - k", "R", mode="nearest", nearest_mode="floor",
                 coordinate_transformation_mode="asymmetric"),
            node("QuantizeLinear", "R sx zx", "y"),
        ]  # fmt: skip
        inner[4].input[1] = ""
        factors = np.array([1, 1, 2, 2], np.float32)
        kind = getattr(TensorProto, dtype.upper())
        c = np.float32(constant)
        proto = model(inner, SHAPE, dtype=kind, sx=STEP, zx=zero, p=pads, c=c, k=factors)
        net = Network.from_onnx(proto.SerializeToString())
        steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
        assert not {"quantize", "dequantize", "table"} & {*steps}
        limits = np.iinfo(dtype)
        x = rng(6).integers(limits.min, limits.max + 1, SHAPE).astype(dtype)
        wide = np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 3)), constant_values=integer)
        np.testing.assert_array_equal(net(x), wide.repeat(2, axis=2).repeat(2, axis=3))


def qlinear(dtype, name):
    """A model of one QLinear operator between real numbers."""
    zero, other = POINTS[dtype]
    spread = scales(2, 5)
    constants = {"sx": STEP, "sy": OUT, "zx": zero, "zy": other}
    if name == "QLinearConv":
        inner = node(name, "q sx zx w sw zw sy zy b", "r", pads=[1, 1, 1, 1])
        constants |= {"w": whole(1, 5, 6, 3, 3), "sw": spread, "zw": np.zeros(5, np.int8)}
        constants["b"] = rng(3).integers(-3000, 3000, 5).astype(np.int32)
    elif name == "QLinearAdd":
        inner = node(name, "q sx zx q sx zx sy zy", "r", domain="com.microsoft")
    elif name == "QLinearConcat":
        inner = node(name, "sy zy q sx zx q sx zx", "r", domain="com.microsoft", axis=1)
    else:
        inner = node(name, "q sx zx sy zy", "r", domain="com.microsoft")
    nodes = [
        node("QuantizeLinear", "x sx zx", "q"),
        inner,
        node("DequantizeLinear", "r sy zy", "y"),
    ]
    return model(nodes, SHAPE, domains=("com.microsoft",), **constants)


QLINEAR = ["QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "QLinearSigmoid"]


@pytest.mark.parametrize("name", [*QLINEAR, "QLinearConcat"])
@pytest.mark.parametrize("dtype", POINTS)
def test_qlinear_operators(name, dtype):
    data = qlinear(dtype, name).SerializeToString()
    net = Network.from_onnx(data)
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert steps.count("quantize") == steps.count("dequantize") == (2 if "Concat" in name else 1)
    x = image(3)
    apart = np.abs(net(x) - Network.from_onnx(data, integers="float")(x)).max()
    assert apart <= 3 * OUT
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": x})
    most = 0.01 if name == "QLinearConv" else 1.01
    assert np.abs(net(x) - wanted).max() <= most * OUT


def test_pools_say_which_axis_is_last():
    """As ONNX Runtime's tools write them; channels at the end are another operator."""
    proto = qlinear("uint8", "QLinearGlobalAveragePool")
    attributes = proto.graph.node[1].attribute
    wanted = Network.from_onnx(proto.SerializeToString())(image(3))
    attributes.append(helper.make_attribute("channels_last", 0))
    np.testing.assert_array_equal(Network.from_onnx(proto.SerializeToString())(image(3)), wanted)
    attributes[0].i = 1
    with pytest.raises(ValueError, match="channels_last"):
        Network.from_onnx(proto.SerializeToString())


def qgemm(transposed, bias=True, **attributes):
    """A model of QGemm with a square matrix, in which rows can be taken for columns."""
    zero, other = POINTS["uint8"]
    weights, terms = whole(1, 6, 6), rng(3).integers(-3000, 3000, 6).astype(np.int32)
    constants = {"sx": STEP, "sy": OUT, "zx": zero, "zy": other, "c": terms}
    constants |= {"w": weights, "sw": np.geomspace(0.002, 0.05, 6).astype(np.float32)}
    constants["zw"] = np.zeros(6, np.int8)
    nodes = [
        node("QuantizeLinear", "x sx zx", "q"),
        node("QGemm", "", "r", domain="com.microsoft", transB=transposed, **attributes),
        node("DequantizeLinear", "r sy zy", "y"),
    ]
    del nodes[1].input[:]
    nodes[1].input.extend(["q", "sx", "zx", "w", "sw", "zw", "c" if bias else "", "sy", "zy"])
    return model(nodes, (1, 6), domains=("com.microsoft",), **constants), constants


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("transposed", [0, 1])
def test_qgemm(transposed, bias):
    """One scale a column of the product, however the matrix is stored."""
    proto, c = qgemm(transposed, bias)
    net = Network.from_onnx(proto.SerializeToString())
    x = rng(5).uniform(-3, 3, (1, 6)).astype(np.float32)
    q = np.clip(np.rint(x / STEP) + 131, 0, 255) - 131
    columns = c["w"].T if transposed else c["w"]
    sums = q @ columns + (c["c"] if bias else 0)
    steps = np.rint(sums * (STEP * c["sw"].astype(np.float64)) / OUT) + 119
    wanted = (np.clip(steps, 0, 255) - 119) * OUT
    assert np.abs(net(x) - wanted).max() <= 0.01 * OUT
    runtime = pytest.importorskip("onnxruntime")
    data = proto.SerializeToString()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": x})
    assert np.abs(net(x) - theirs).max() <= 0.01 * OUT


def test_qgemm_with_a_factor_is_refused():
    with pytest.raises(ValueError, match="QGemm"):
        Network.from_onnx(qgemm(0, alpha=0.5)[0].SerializeToString())


def test_weights_with_a_zero_point_that_int8_holds():
    nodes, constants = convolution("c", 5, 6, taps=1)
    plain = Network.from_onnx(between(nodes, **constants).SerializeToString())
    nodes[0] = node("DequantizeLinear", "cw cs cz", "cW", axis=0)
    moved = (constants["cw"].astype(np.int16) + 128).astype(np.uint8)
    constants |= {"cw": moved, "cz": np.full(5, 128, np.uint8)}
    net = Network.from_onnx(between(nodes, **constants).SerializeToString())
    np.testing.assert_array_equal(net(image(7)), plain(image(7)))
    assert "quantized_conv2d" in [s["step"].split()[0] for s in net.summary("dict")["steps"]]


def test_what_integers_cannot_hold_runs_in_float():
    """Sums beyond 32 bits."""
    nodes, constants = convolution("c", 5, 6, taps=1)
    constants["cb"] = np.full(5, 2**31 - 1, np.int32)
    net = Network.from_onnx(between(nodes, **constants).SerializeToString(), integers="keep")
    steps = [s["step"].split()[0] for s in net.summary("dict")["steps"]]
    assert "quantized_conv2d" not in steps
