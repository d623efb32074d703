"""Integer networks of TFLite that stay integers: every operator alone, against the twins, and
against LiteRT where that is installed."""

import itertools
import zlib

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw import Network, Quantization, quantize, reference
from fastdw.importers.tflite import from_tflite
from fastdw.network._graph import run
from support import rng
from tflite_cases import ints
from tflite_models import SAME, VALID, Quantised, conv, depthwise, model, node, pool

SHAPE = (1, 6, 7, 8)
X, Y = Quantised(0.031, 3), Quantised(0.11, -9)
UNSIGNED = Quantised(0.047, 131, "uint8")
SHARES = Quantised(1 / 256, -128)


def stored(seed, shape, dtype="int8"):
    limits = np.iinfo(dtype)
    return rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


def kernel(seed, shape, axis, channels):
    scales = rng(seed + 1).uniform(0.01, 0.02, channels).astype(np.float32)
    return Quantised(
        scales, np.zeros(channels), "int8", axis, np.maximum(stored(seed, shape), -127)
    )


def bias(seed, scales, x=X):
    numbers = rng(seed).integers(-3000, 3000, scales.size).astype(np.int32)
    return Quantised(scales * np.float32(x.scale), np.zeros(scales.size), "int32", 0, numbers)


def single(n, x=SHAPE, ends=(X, Y), **constants):
    """A model of one operator from x, and z if there is one, to y."""
    quantised = {"x": ends[0], "y": ends[-1]}
    if isinstance(x, dict):
        quantised["z"] = ends[1]
    return model(n, x, quantised=quantised, signature=(), **constants)


def _convolutions():
    for strides, padding, dilation, fused in [
        ((1, 1), SAME, (1, 1), 0),
        ((2, 2), SAME, (1, 1), 3),
        ((2, 1), VALID, (1, 1), 1),
        ((1, 1), SAME, (2, 2), 2),
    ]:
        w, dw = kernel(1, (5, 3, 3, 8), 0, 5), kernel(2, (1, 3, 3, 16), 3, 16)
        options = {"strides": strides, "padding": padding, "dilation": dilation, "fused": fused}
        name = f"{strides} {padding} {dilation} {fused}"
        yield f"CONV_2D {name}", single(conv(**options), w=w, b=bias(3, w.scale))
        yield f"DEPTHWISE {name}", single(depthwise(**options), w=dw, b=bias(4, dw.scale))
    one = kernel(5, (5, 1, 1, 8), 0, 5)
    yield "CONV_2D 1x1", single(conv(), w=one, b=bias(6, one.scale))
    tensor = Quantised(0.013, 0, numbers=one.numbers)
    yield "CONV_2D one scale", single(conv(), w=tensor, b=bias(6, np.full(5, 0.013, np.float32)))
    yield (
        "CONV_2D of uint8",
        single(conv(), ends=(UNSIGNED, Y), w=one, b=bias(6, one.scale)),
    )
    matrix = kernel(7, (5, 8 * 6 * 7), 0, 5)
    dense = node("FULLY_CONNECTED", "x w b", "y", "FullyConnectedOptions")
    yield "FULLY_CONNECTED", single(dense, w=matrix, b=bias(8, matrix.scale))


def _old():
    """Weights of uint8, whose zero point leaves them in nine bits."""
    ends = (UNSIGNED, Quantised(0.3, 119, "uint8"))
    shapes = {"CONV_2D": (5, 3, 3, 8), "CONV_2D 1x1": (5, 1, 1, 8), "DEPTHWISE": (1, 3, 3, 16)}
    for (name, shape), strides in itertools.product(shapes.items(), ((1, 1), (2, 2))):
        made = conv if "CONV_2D" in name else depthwise
        filters = shape[3] if made is depthwise else shape[0]
        for zero in (128, 97):
            w = Quantised(0.012, zero, "uint8", numbers=stored(zero, shape, "uint8"))
            b = bias(9, np.full(filters, 0.012, np.float32), UNSIGNED)
            n = made(strides=strides, fused=3)
            yield f"{name} of old weights {strides} {zero}", single(n, ends=ends, w=w, b=b)
    w = Quantised(0.012, 151, "uint8", numbers=stored(7, (5, 8 * 6 * 7), "uint8"))
    dense = node("FULLY_CONNECTED", "x w b", "y", "FullyConnectedOptions")
    numbers = rng(8).integers(-3000, 3000, 5).astype(np.int32)
    b = Quantised(np.float32(0.012) * np.float32(UNSIGNED.scale), 0, "int32", 0, numbers)
    yield "FULLY_CONNECTED of old weights", single(dense, ends=ends, w=w, b=b)


def _others():
    two = {"x": SHAPE, "z": SHAPE}
    for fused in (0, 1):
        for window, padding in (((3, 2), SAME), ((6, 7), VALID), ((2, 2), VALID)):
            average = pool("AVERAGE_POOL_2D", window, (2, 2), padding, fused)
            yield f"AVERAGE_POOL_2D {window} {padding} {fused}", single(average, ends=(X, X))
            most = pool("MAX_POOL_2D", window, (2, 2), padding, fused)
            yield f"MAX_POOL_2D {window} {padding} {fused}", single(most, ends=(X, X))
    for keep in (True, False):
        mean = node("MEAN", "x a", "y", "ReducerOptions", KeepDims=keep)
        yield f"MEAN {keep}", single(mean, a=ints(1, 2))
    for op in ("LOGISTIC", "TANH"):
        end = SHARES if op == "LOGISTIC" else Quantised(1 / 128, 0)
        yield op, single(node(op, "x"), ends=(X, end))
    for given, result in ((0.031, 0.026), (0.9, 0.9), (0.004, 0.0017), (0.0011, 0.004)):
        ends = Quantised(given, -31), Quantised(result, -57)
        yield f"HARD_SWISH {given}", single(node("HARD_SWISH", "x"), ends=ends)
    yield (
        "SOFTMAX",
        single(node("SOFTMAX", "x", "y", "SoftmaxOptions", Beta=1.0), (1, 50), (X, SHARES)),
    )
    yield "QUANTIZE of uint8", single(node("QUANTIZE", "x"), ends=(UNSIGNED, X))
    yield "RESHAPE", single(node("RESHAPE", "x s"), ends=(X, X), s=ints(1, 3, -1))
    yield "TRANSPOSE", single(node("TRANSPOSE", "x p"), ends=(X, X), p=ints(0, 2, 1, 3))
    pads = ints((0, 0), (1, 0), (2, 1), (0, 0))
    yield "PAD", single(node("PAD", "x p"), ends=(X, X), p=pads)
    concat = node("CONCATENATION", "x z", "y", "ConcatenationOptions", Axis=3)
    yield "CONCATENATION", single(concat, two, (X, X, X))


def _pairs():
    """Sums, differences and products of two values, and of one with constants."""
    ends = (X, Quantised(0.05, -20), Y)
    unsigned = (UNSIGNED, Quantised(0.05, 20, "uint8"), Quantised(0.08, 99, "uint8"))
    for kind, fused in itertools.product(("Add", "Sub", "Mul"), (0, 1)):
        op, options = kind.upper(), (f"{kind}Options", {"FusedActivationFunction": fused})
        for order in ("x z", "z x"):
            whole = node(op, order, "y", options[0], **options[1])
            for shape in (SHAPE, (1, 1, 1, 8)):
                name = f"{op} {order} {shape} {fused}"
                yield name, single(whole, {"x": SHAPE, "z": shape}, ends)
            constants = node(op, order.replace("z", "c"), "y", options[0], **options[1])
            for shape in ((), (8,), (1, 1, 1, 8)):
                numbers = Quantised(0.02, 11, numbers=stored(fused, shape))
                yield (
                    f"{op} {order} of constants {shape} {fused}",
                    single(constants, ends=(X, Y), c=numbers),
                )
        whole = node(op, "x z", "y", options[0], **options[1])
        yield f"{op} of uint8 {fused}", single(whole, {"x": SHAPE, "z": SHAPE}, unsigned)
        number = Quantised(0.02, 11, numbers=np.array(93, np.int8))
        numbered = node(op, "x c" if fused else "c x", "y", options[0], **options[1])
        yield f"{op} of a number {fused}", single(numbered, ends=(X, Y), c=number)


WAYS = ({}, {"AlignCorners": True}, {"HalfPixelCenters": True})


def _resizes(op, ends):
    kind = f"{''.join(word.title() for word in op.split('_'))}Options"
    for way, size in itertools.product(WAYS, ((9, 4), (12, 14), (1, 31))):
        resize = node(op, "x s", "y", kind, **way)
        name = " ".join([op, *way, ends[0].dtype, str(size)])
        yield name, single(resize, ends=ends, s=ints(*size))


CASES = dict(
    itertools.chain(
        _convolutions(),
        _old(),
        _others(),
        _pairs(),
        _resizes("RESIZE_BILINEAR", (X, X)),
        _resizes("RESIZE_NEAREST_NEIGHBOR", (X, X)),
    )
)
ROUNDED_OTHERWISE = {
    "QUANTIZE": single(node("QUANTIZE", "x")),
    "LEAKY_RELU": single(node("LEAKY_RELU", "x", "y", "LeakyReluOptions", Alpha=0.2)),
    **dict(_resizes("RESIZE_BILINEAR", (UNSIGNED, UNSIGNED))),
    "CONCATENATION of two scales": single(
        node("CONCATENATION", "x z", "y", "ConcatenationOptions", Axis=3),
        {"x": SHAPE, "z": SHAPE},
        (X, Quantised(0.05, -20), Y),
    ),
}
"""What LiteRT computes in other roundings: within one step."""
DIGITS = {0.031: 1222190368, 0.9: 3488849304, 0.004: 1223126556, 0.0011: 2688176923}
REFUSED = ("CONV_2D of uint8", "CONCATENATION of two scales")
"""Models that LiteRT does not run."""


def arrays_of(graph, seed=0):
    return [stored(seed + i, (1, *spec.shape), spec.dtype) for i, spec in enumerate(graph.inputs)]


@pytest.mark.emulated
@pytest.mark.parametrize("name", CASES | ROUNDED_OTHERWISE)
def test_integers_are_those_of_the_twins(name):
    data = (CASES | ROUNDED_OTHERWISE)[name]
    graph = from_tflite(data, integers="keep")
    arrays = arrays_of(graph)
    (wanted,) = run(graph, [a[0] for a in arrays], np.float32)
    result = Network.from_tflite(data, integers="keep")(*arrays)
    assert result.dtype == wanted.dtype
    np.testing.assert_array_equal(result[0], wanted)


@pytest.mark.parametrize("name", CASES)
def test_no_operator_runs_in_float(name):
    graph = from_tflite(CASES[name], integers="keep")
    assert graph.notes == ()
    assert not {"quantize", "dequantize"} & {n.op for n in graph.nodes}


def litert(data, arrays):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    net = interpreter.Interpreter(model_content=data)
    net.allocate_tensors()
    for detail, array in zip(net.get_input_details(), arrays, strict=True):
        net.set_tensor(detail["index"], array)
    net.invoke()
    # Nodes that XNNPACK does not take go to kernels of TFLite, which round twice.
    delegated = any(op["op_name"] == "DELEGATE" for op in net._get_ops_details())
    return net.get_tensor(net.get_output_details()[0]["index"]), delegated


@pytest.mark.parametrize(
    "name", [name for name in CASES | ROUNDED_OTHERWISE if name not in REFUSED]
)
def test_the_bits_of_litert(name):
    pytest.importorskip("ai_edge_litert.interpreter")
    data = (CASES | ROUNDED_OTHERWISE)[name]
    net = Network.from_tflite(data, integers="keep")
    for seed in range(5):
        arrays = arrays_of(from_tflite(data, integers="keep"), 10 * seed)
        result, (wanted, delegated) = net(*arrays), litert(data, arrays)
        assert result.shape == wanted.shape
        apart = np.abs(result.astype(int) - wanted)
        rounded_twice = name.startswith(("CONV", "DEPTH")) and not delegated
        assert np.max(apart) <= (name in ROUNDED_OTHERWISE or rounded_twice)


def test_inputs_and_outputs_say_what_they_stand_for():
    net = Network.from_tflite(CASES["CONV_2D of uint8"], integers="keep")
    (x,), (y,) = net.inputs, net.outputs
    assert (x.dtype, y.dtype) == ("uint8", "int8")
    assert x.quantization == Quantization(UNSIGNED.scale, 131, "uint8")
    assert y.quantization == Quantization(Y.scale, -9)


def test_real_numbers_in_between():
    """Quantised inside, floats outside, and a curve that has no integer form."""
    nodes = [
        node("QUANTIZE", "x", "i"),
        node("PRELU", "i a", "j"),
        node("DEQUANTIZE", "j", "y"),
    ]
    data = model(nodes, SHAPE, a=np.full((1, 1, 8), 0.25, np.float32), quantised={"i": X, "j": Y})
    net = Network.from_tflite(data, integers="keep")
    ops = [step["step"].split()[0] for step in net.summary("dict")["steps"]]
    assert ops == ["quantize", "dequantize", "activation", "quantize", "dequantize"]
    assert net.summary("dict")["notes"] == ("In float32 between integers: PRELU.",)
    x = rng(1).uniform(-3.8, 3.8, SHAPE).astype(np.float32)
    y = net(x)
    assert y.dtype == np.float32
    assert np.abs(y - np.where(x > 0, x, x / 4)).max() < 0.11


def test_a_whole_network_is_fused_and_keeps_its_bits(tmp_path):
    w, dw = kernel(1, (8, 1, 1, 8), 0, 8), kernel(2, (1, 3, 3, 8), 3, 8)
    pads = ints((0, 0), (1, 1), (1, 1), (0, 0))
    nodes = [
        node("PAD", "x p", "p0"),
        depthwise("p0 dw b0", "a", padding=VALID),
        conv("a w b1", "b"),
        node("ADD", "x b", "y", "AddOptions"),
    ]
    data = model(
        nodes, SHAPE, p=pads, dw=dw, w=w, b0=bias(3, dw.scale), b1=bias(4, w.scale),
        quantised={"x": X, "p0": X, "a": Y, "b": Quantised(0.4, 1), "y": Quantised(0.3, 2)},
    )  # fmt: skip
    graph = from_tflite(data, integers="keep")
    net = Network.from_tflite(data, integers="keep")
    assert [s["step"] for s in net.summary("dict")["steps"]] == ["quantized_separable 3x3"]
    x = stored(5, (4, *SHAPE[1:]))
    wanted = [run(graph, [image])[0] for image in x]
    path = tmp_path / "net.fdw"
    net.save(path)
    for made in (net, Network.load(path)):
        for threads in (1, 2, 5):
            np.testing.assert_array_equal(made(x, num_threads=threads), wanted)
        out = np.empty(x.shape, np.int8)
        assert made(x, out=out) is out
        np.testing.assert_array_equal(out, wanted)
    assert path.stat().st_size < 8 * 8 + 9 * 8 + 6000


def test_hard_swish_has_the_digits_of_litert():
    """Its answers to all integers, as checksums of what LiteRT 2.3 gave."""
    found = {}
    for scale in DIGITS:
        net = Network.from_tflite(CASES[f"HARD_SWISH {scale}"], integers="keep")
        x = np.zeros(SHAPE, np.int8)
        x.flat[:256] = np.arange(-128, 128)
        found[scale] = zlib.crc32(net(x).tobytes()[:256])
    assert found == DIGITS


@pytest.mark.parametrize(("kind", "fused"), [*itertools.product(("ADD", "SUB", "MUL"), (0, 1))])
def test_one_operand_is_a_number(kind, fused):
    net = Network.from_tflite(CASES[f"{kind} of a number {fused}"], integers="keep")
    x = stored(4, SHAPE)
    number = np.full_like(x, 93)
    ends = [Quantization(float(q.scale), q.zero) for q in (X, Quantised(0.02, 11), Y)]
    more = ["relu" if fused else None]
    if kind == "SUB":  # the number less x, or x less the number
        more.append("second" if fused else "input")
    twin = reference.quantized_multiply if kind == "MUL" else reference.quantized_add
    wanted = twin(x, number, *ends, *more)
    np.testing.assert_array_equal(net(x), wanted)


def test_tables_one_after_the_other_are_one():
    numbers = {"c": Quantised(0.02, 11, numbers=np.array(93, np.int8))}
    nodes = [node("MUL", "x c", "a", "MulOptions"), node("ADD", "a c", "b", "AddOptions")]
    nodes += [node("HARD_SWISH", "b")]
    ends = {"x": UNSIGNED, "a": Y, "b": X, "y": Quantised(0.06, 99, "uint8")}
    data = model(nodes, SHAPE, quantised=ends, signature=(), **numbers)
    graph, net = from_tflite(data, integers="keep"), Network.from_tflite(data, integers="keep")
    assert [s["step"] for s in net.summary("dict")["steps"]] == ["table"]
    x = stored(6, SHAPE, "uint8")
    np.testing.assert_array_equal(net(x)[0], run(graph, [x[0]])[0])


def test_pixels_are_rescaled_and_quantised():
    net = Network.from_tflite(CASES["CONV_2D 1x1"], integers="keep")
    pixels = stored(3, SHAPE, "uint8")
    scale, offset = np.float32(1 / 64), np.float32(-1.5)
    (q,) = (spec.quantization for spec in net.inputs)
    wanted = net(quantize(pixels.astype(np.float32) * scale + offset, q))
    camera = net.rescale_input(scale, offset, "uint8")
    np.testing.assert_array_equal(camera(pixels), wanted)


@pytest.mark.parametrize(("integers", "error"), [("both", ValueError), (8, TypeError)])
def test_other_words_are_refused(integers, error):
    with pytest.raises(error, match="integers must be"):
        from_tflite(CASES["PAD"], integers=integers)


def test_wrong_dtypes_of_calls():
    net = Network.from_tflite(CASES["CONV_2D of uint8"], integers="keep")
    x = stored(1, SHAPE, "uint8")
    with pytest.raises(TypeError, match="x must be an array of native uint8"):
        net(x.astype(np.int8))
    with pytest.raises(TypeError, match="out must be of native int8"):
        net(x, out=np.empty((1, 6, 7, 5), np.uint8))
