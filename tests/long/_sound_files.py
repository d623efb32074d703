"""Small files of every format that are right: what hostile_files.py makes others of."""

import functools
import itertools
import json
import pathlib
import sys

import numpy as np

TESTS = pathlib.Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "importers"), str(TESTS / "networks")]

from fastdw import Network  # noqa: E402


@functools.cache
def fdw_files():
    from graphs import EXAMPLES, example
    from small_networks import blazeface

    graphs = [blazeface(), *map(example, EXAMPLES)]
    networks = [Network._from_graph(graph) for graph in graphs]
    networks += [Network.from_tflite(data) for data in kept_tflite_files()]
    networks += [Network.from_onnx(data) for data in kept_onnx_files()]
    files = (net._bytes(weights) for net in networks for weights in ("float32", "float16"))
    return [*dict.fromkeys(files)]


@functools.cache
def onnx_files():
    import onnx
    from test_onnx_backend import collected, single

    folder = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"
    files = [path.read_bytes() for path in sorted(folder.glob("pytorch-*/*/model.onnx"))]
    files += [single(case)[0] for case in collected()]
    files += [proto.SerializeToString() for proto in _onnx_operators()]
    return _readable([*files, *kept_onnx_files()], Network.from_onnx)


def _onnx_operators():
    """Operators that the cases of the onnx package lack, or have alone."""
    from onnx_models import IMAGE, ints, model, node, weights
    from test_onnx_layers import ALONG, LINE
    from test_onnx_math import MOVES, PARTS

    def with_constants(nodes, constants, shape=IMAGE, **options):
        names = {name for n in nodes for name in n.input}
        x = dict.fromkeys(("x", "z"), shape) if "z" in names else shape
        used = {name: value for name, value in constants.items() if name in names}
        return model(nodes, x, **options, **used)

    for nodes in MOVES.values():
        yield with_constants(nodes, PARTS)
    line = {"w": weights(1, 4, 3, 3), "b": weights(2, 4)}
    for window in ALONG.values():
        conv = node("Conv", "x w b", "c", group=2, **window)
        for pool in ("MaxPool", "AveragePool"):
            ends = node(pool, "c", kernel_shape=[3], strides=[2], pads=[1, 1], ceil_mode=1)
            yield with_constants([conv, ends], line, LINE)
    windows = [{}, {"strides": [2, 1], "pads": [1, 0, 1, 1]}, {"dilations": [1, 2]}]
    for window in windows:
        nodes = [node("ConvTranspose", "x w", group=2, **window)]
        yield with_constants(nodes, {"w": weights(3, 6, 2, 3, 2)})
    for op in ("Max", "Min", "Div", "Mean"):
        nodes = [node("ReduceMean", "x hw", "m"), node(op, "m z", "a"), node(op, "a x", "y")]
        yield with_constants(nodes, {"hw": ints(2, 3)})
    chained = [node(op, a, b) for op, a, b in zip(CURVES, "xabcdef", "abcdefg", strict=True)]
    yield with_constants([*chained, node("Celu", "g", alpha=0.4)], {})
    yield from (with_constants(nodes, NORMS) for nodes in _norms(node))
    for domain, dtype in itertools.product(("", "com.microsoft"), (np.uint16, np.int16)):
        nodes = [
            node("QuantizeLinear", "x s n", "q", domain=domain),
            node("DequantizeLinear", "q s n", domain=domain),
        ]
        ends = {"s": np.float32(1e-4), "n": dtype(3000)}
        yield with_constants(nodes, ends, opset=21, domains=[domain] if domain else [])
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s n"),
        node("DequantizeLinear", "q s n", "r"),
        node("Conv", "r w"),
    ]
    yield with_constants(nodes, {"w": weights(4, 5, 6, 1, 1)})
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s n"),
        node("ConvInteger", "q w n", "i"),
        node("Cast", "i", "f", to=1),
        node("Mul", "s t", "u"),
        node("Mul", "f u"),
    ]
    kernel = (weights(4, 5, 6, 1, 1) * 127).astype(np.int8)
    yield with_constants(nodes, {"w": kernel, "t": np.float32(0.01)})


CURVES = ["Selu", "Softplus", "Mish", "Softsign", "Abs", "Reciprocal", "Elu"]
NORMS = {
    "g": np.linspace(0.5, 2, 8, dtype=np.float32),
    "b": np.linspace(-1, 1, 8, dtype=np.float32),
    "c": np.linspace(-1, 1, 6, dtype=np.float32),
    "last": np.array([-1]),
    "second": np.array([1]),
    "e": np.float32(1e-5),
    "two": np.float32(2),
}


def _norms(node):
    """Values brought to mean 0 and variance 1, or to length 1, by one operator or spelt out."""
    yield [node("LayerNormalization", "x g b", epsilon=1e-3)]
    yield [node("LayerNormalization", "x g", "y m d"), node("Add", "m d", "s")]
    yield [node("InstanceNormalization", "x c c")]
    yield [node("LpNormalization", "x", axis=1)]
    yield [node("ReduceL2", "x second", "l"), node("Div", "x l")]
    yield [node("LogSoftmax", "x", axis=1)]
    spelt = [
        node("ReduceMean", "x last", "m"),
        node("Sub", "x m", "d"),
        node("Pow", "d two", "p"),
        node("ReduceMean", "p last", "v"),
        node("Add", "v e", "w"),
        node("Sqrt", "w", "r"),
        node("Div", "d r", "n"),
        node("Mul", "n g", "s"),
        node("Add", "s b"),
    ]
    yield spelt
    yield [*spelt[:6], node("Reciprocal", "r", "i"), node("Mul", "d i")]


@functools.cache
def kept_onnx_files():
    from test_onnx_kept import CASES, DENSE, POINTS, QLINEAR, qgemm, qlinear

    protos = [proto for proto, _ in CASES.values()]
    protos += [qlinear(dtype, name) for dtype in POINTS for name in (*QLINEAR, "QLinearConcat")]
    protos += [qgemm(transposed)[0] for transposed in (0, 1)]
    return [proto.SerializeToString() for proto in protos] + [data for data, _ in DENSE.values()]


@functools.cache
def tflite_files():
    from tflite_cases import LAYER_CASES

    files = [case.data for case in LAYER_CASES.values()]
    return _readable([*files, *kept_tflite_files()], Network.from_tflite)


@functools.cache
def kept_tflite_files():
    from test_tflite_kept import CASES, ROUNDED_OTHERWISE

    return [*CASES.values(), *ROUNDED_OTHERWISE.values()]


def _readable(files, read):
    result = []
    for data in files:
        try:
            read(data)
        except ValueError:
            continue
        result.append(data)
    return result


@functools.cache
def keras_model():
    """The configuration of a model of many layers, and an .h5 file of it."""
    from keras_models import entry, h5, layer, model, weights

    conv = {"kernel": weights(1, 3, 3, 8, 8), "bias": weights(2, 8)}
    norm = {name: weights(3, 8) + 2 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    parts = [
        entry(),
        layer("ZeroPadding2D", "pad", "x", padding=[[0, 1], [0, 1]]),
        layer("Conv2D", "conv", "pad", conv, filters=8, kernel_size=[3, 3], strides=[2, 2]),
        layer("BatchNormalization", "norm", "conv", norm, axis=[3], epsilon=1e-3),
        layer("ReLU", "relu", "norm", max_value=6.0),
        layer("MaxPooling2D", "pool", "relu", pool_size=[2, 2], padding="same"),
        layer("UpSampling2D", "up", "pool", size=[2, 2], interpolation="bilinear"),
        layer("Concatenate", "join", "up up", axis=-1),
        layer("GlobalAveragePooling2D", "mean", "join", keepdims=True),
        layer("Reshape", "shape", "mean", target_shape=[16]),
        layer("Softmax", "soft", "shape", axis=-1),
    ]
    config = json.dumps(model(*parts))
    return config, h5(config, parts)
