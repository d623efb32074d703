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
    protos = [*_onnx_operators(), *_onnx_forms(), _onnx_shapes()]
    files += [proto.SerializeToString() for proto in protos]
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


def _onnx_forms():
    """Functions that exporters spell out, or fuse."""
    from onnx_models import model, node, weights
    from test_onnx_functions import torch_softplus
    from test_onnx_layers import FUSED
    from test_onnx_math import SPELT, spelt

    numbers = {"half": 0.5, "root": 2**0.5, "three": 3, "six": 6, "zero": 0, "one": 1, "two": 2}
    constants = {name: np.float32(number) for name, number in numbers.items()}
    yield from (model(spelt(*steps), **constants) for steps in SPELT.values())
    yield torch_softplus("x", 20)
    for name, (parameters, _) in FUSED.items():
        options = {"activation_params": parameters} if parameters else {}
        conv = node("FusedConv", "x w", activation=name, domain="com.microsoft", **options)
        yield model(conv, domains=["com.microsoft"], w=weights(3, 4, 6, 1, 1))


def _onnx_shapes():
    """A shape that the model computes, and a constant, by every operator that only folds."""
    from onnx_models import ints, model, node

    steps = [
        ("Shape", "x", "s"), ("Gather", "s two", "h"), ("Equal", "h eight", "e"),
        ("Less", "h eight", "l"), ("Greater", "h eight", "g"), ("Or", "e l", "o"),
        ("Not", "g", "n"), ("And", "o n", "a"), ("Where", "a h eight", "w"),
        ("Concat", "w eight", "p"), ("ReduceProd", "p", "r"), ("Mul", "r six", "k"),
        ("Concat", "minus k", "to"), ("Reshape", "x to", "flat"), ("Size", "to", "z"),
        ("Range", "none z one", "f"), ("Cast", "f", "c"), ("Floor", "c", "d"), ("Ceil", "d", "i"),
        ("ReduceMax", "i", "m"), ("ConstantOfShape", "six", "b"), ("Add", "m b", "t"),
        ("ReduceMin", "t", "q"), ("Add", "flat q", "y"),
    ]  # fmt: skip
    more = {"Concat": {"axis": 0}, "Cast": {"to": 1}, "ReduceProd": {"keepdims": 1}}
    numbers = {"none": np.array(0), "one": np.array(1), "two": ints(2), "eight": ints(8)}
    numbers |= {"six": ints(6), "minus": ints(-1)}
    return model([node(*step, **more.get(step[0], {})) for step in steps], **numbers)


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
    from onnx_models import spelt_norm

    yield [node("LayerNormalization", "x g b", epsilon=1e-3)]
    yield [node("LayerNormalization", "x g", "y m d"), node("Add", "m d", "s")]
    yield [node("InstanceNormalization", "x c c")]
    yield [node("LpNormalization", "x", axis=1)]
    yield [node("ReduceL2", "x second", "l"), node("Div", "x l")]
    yield [node("LogSoftmax", "x", axis=1)]
    root = [node("Add", "v e", "w"), node("Sqrt", "w", "d")]
    ends = (
        [node("Div", "c d", "n"), node("Mul", "n g", "s"), node("Add", "s b")],
        [node("Reciprocal", "d", "i"), node("Mul", "c i")],
    )
    for end in ends:
        yield spelt_norm([*root, *end], "last", "Pow")


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
    from tflite_plain_cases import PLAIN_CASES

    files = [case.data for case in (LAYER_CASES | PLAIN_CASES).values()]
    files += [*_moves_of_integers(), *kept_tflite_files()]
    return _readable(files, Network.from_tflite)


def _moves_of_integers():
    """Integers that only lie elsewhere afterwards."""
    from test_tflite_kept import X, single
    from tflite_cases import ints
    from tflite_models import node

    nodes = [
        node("RELU", "x"), node("RELU6", "x"), node("RELU_N1_TO_1", "x"), node("ELU", "x"),
        node("EXPAND_DIMS", "x one"), node("TILE", "x steps"),
        node("GATHER", "x pick", "y", "GatherOptions", Axis=3), node("REVERSE_V2", "x one"),
        node("MIRROR_PAD", "x pads", "y", "MirrorPadOptions", Mode=1),
        node("PADV2", "x pads value"), node("SLICE", "x begin size"),
        node("STRIDED_SLICE", "x begin end steps", "y", "StridedSliceOptions"),
        node("SPLIT", "one x", "a y", "SplitOptions", NumSplits=2),
        node("SPLIT_V", "x parts one", "a y", "SplitVOptions", NumSplits=2),
        node("PACK", "x x", "y", "PackOptions", ValuesCount=2, Axis=2),
        node("UNPACK", "x", "a b c d e y", "UnpackOptions", Num=6, Axis=1),
        node("SPACE_TO_DEPTH", "x", "y", "SpaceToDepthOptions", BlockSize=1),
        node("DEPTH_TO_SPACE", "x", "y", "DepthToSpaceOptions", BlockSize=2),
    ]  # fmt: skip
    numbers = {
        "one": ints(1), "pick": ints(3, 0, 3), "pads": ints((0, 0), (1, 0), (0, 1), (0, 0)),
        "begin": ints(0, 1, 0, 2), "size": ints(1, 3, -1, 4), "end": ints(1, 5, 7, 8),
        "steps": ints(1, 2, 1, 3), "parts": ints(2, 4), "value": np.int8(5),
    }  # fmt: skip
    for n in nodes:
        yield single(n, ends=(X, X), **{k: v for k, v in numbers.items() if k in n.inputs})
    squeeze = node("SQUEEZE", "x", "y", "SqueezeOptions", SqueezeDims=(1,))
    yield single(squeeze, (1, 1, 7, 8), (X, X))


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
def keras_models():
    """The configurations of models of many layers, and an .h5 file of each."""
    from keras_models import IMAGE, entry, h5, layer, model, weights
    from test_keras_layers import ACTIVATIONS, CONV, DW, PLAIN, SIZE

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
    affine = {"gamma": weights(4, 8), "beta": weights(5, 8)}
    named = layer("Conv2D", "c", "x", CONV, **SIZE)
    inner = model(entry(IMAGE), named, name="inner")
    kernel, matrix = weights(6, 3, 2, 5, 8), weights(7, 8, 5)
    separable = {"depthwise_kernel": DW, "pointwise_kernel": weights(8, 1, 1, 16, 5)}
    statistics = {"mean": [0.5] * 8, "variance": [2.0] * 8}
    layers = [
        layer("LayerNormalization", arrays=affine, axis=-1),
        layer("GroupNormalization", arrays=affine, axis=-1, groups=2),
        layer("LayerScale", arrays={"v": weights(4, 8)}, init_values=1.0, projection_dim=8),
        layer("Normalization", axis=[-1], **statistics),
        layer("Rescaling", scale=0.5, offset=[0.25] * 8),
        layer("Conv2DTranspose", arrays={"kernel": kernel}, use_bias=False, strides=[2, 2], **SIZE),
        layer("DepthwiseConv2D", arrays={"depthwise_kernel": DW}, use_bias=False, **SIZE),
        layer("SeparableConv2D", arrays=separable, use_bias=False, **SIZE),
        layer("Dense", arrays={"kernel": matrix}, units=5, use_bias=False, activation="gelu"),
        layer("AveragePooling2D", pool_size=2, strides=2, padding="same"),
        *(layer(kind, reads="x x") for kind in ("Add", "Subtract", "Multiply", "Average")),
        *(layer(kind, reads="x x") for kind in ("Maximum", "Minimum")),
    ]
    functions = [layer("Activation", name, activation=name) for name in ACTIVATIONS]
    plain = [part for part, _ in PLAIN.values()]
    nested = layer("Functional", "inner", ["x"], **inner["config"])
    stored = layer("", "inner", arrays={f"inner/c/{key}:0": CONV[key] for key in CONV})
    results = [
        (model(*parts), parts),
        (model(entry(), nested, layer("ReLU", "y", "inner:1")), [stored]),
    ]
    for several in (layers, functions, plain):
        renamed = [_renamed(part, f"n{i}") for i, part in enumerate(several)]
        outputs = [part["name"] for part in renamed]
        results.append((model(entry(), *renamed, outputs=outputs), renamed))
    results.append((_operations(model(entry(), layer("ReLU", "y"))), []))
    return [(json.dumps(config), h5(config, parts)) for config, parts in results]


TWO = ("add", "subtract", "multiply", "divide", "maximum", "minimum")


def _renamed(part, name):
    return part | {"name": name, "config": part["config"] | {"name": name}}


def _operations(config):
    """The model with functions of keras.ops in place of its layers, one after the other."""
    from fastdw.importers.keras import OPERATIONS

    layers = config["config"]["layers"]
    del layers[1:]
    for i, name in enumerate(OPERATIONS):
        second = {"y": 0.5 if i % 2 else ["x", 0, 0]} if name in TWO else {}
        before = [layers[-1]["name"], 0, 0, second]
        key = "y" if name == list(OPERATIONS)[-1] else f"o{i}"
        entry = {"name": key, "function": f"math.{name}"}
        layers.append({"class_name": "TFOpLambda", "config": entry, "name": key})
        layers[-1]["inbound_nodes"] = [before]
    return config
