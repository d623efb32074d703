"""TFLite models of single operators without weights, and what NumPy says of them."""

import numpy as np
from tflite_cases import Case, ints, weights
from tflite_models import IMAGE, model, node

GATE, IMAGES = (2, 1, 1, 8), {"x": IMAGE, "z": IMAGE}


def interpolated(x, size, place):
    """Bilinear, from the positions of rows and columns."""
    for axis, out in ((1, size[0]), (2, size[1])):
        n = x.shape[axis]
        at = np.clip(place(np.arange(out), n, out), 0, n - 1)
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, n - 1)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def one(op, wanted, x=IMAGE, kind=None, inputs="x", **more):
    """A single operator; names in capitals are options, others are constants."""
    options = {k: v for k, v in more.items() if k[0].isupper()}
    constants = {k: v for k, v in more.items() if not k[0].isupper()}
    inputs = " ".join([inputs, *constants])
    return Case(model(node(op, inputs, "y", kind, **options), x, **constants), x, wanted)


def binary(op, wanted, b=None, x=IMAGE, order="x b", fused=0):
    kind = f"{op.capitalize()}Options"
    n = node(op, order, "y", kind, FusedActivationFunction=fused)
    return Case(model(n, x, **({} if b is None else {"b": b})), x, wanted)


def _arithmetic():
    functions = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide}
    constants = {"number": (), "channels": (8,), "1, 1, C": (1, 1, 1, 8), "pixels": (6, 7, 1)}
    for op, function in functions.items():
        for name, shape in constants.items():
            b = weights(16, *shape) + np.float32(2)
            yield f"{op} {name}", binary(op, lambda x, f=function, b=b: f(x, b), b)
        b = weights(17, 8)
        wanted = lambda x, f=function, b=b: np.maximum(f(b, x), 0)  # noqa: E731
        yield f"{op} constant first", binary(op, wanted, b, order="b x", fused=1)
        shapes = {"image": IMAGE, "gate": GATE, "map": (2, 6, 7, 1)}
        for name, shape in shapes.items():
            case = binary(op, function, x={"x": IMAGE, "z": shape}, order="x z")
            yield f"{op} {name}", case
        case = binary(op, function, x={"x": GATE, "z": IMAGE}, order="x z")
        yield f"{op} gate first", case
        b = weights(19, 6, 1, 8)
        case = binary(op, lambda x, f=function, b=b: f(x, b + 2), b + 2, (2, 1, 7, 1))
        yield f"{op} constant that is larger", case
    yield "MAXIMUM", one("MAXIMUM", lambda x: np.maximum(x, 0.25), b=np.float32(0.25))
    yield "MINIMUM", one("MINIMUM", lambda x: np.minimum(x, 0.25), b=np.float32([0.25]))
    values = {"x": IMAGE, "z": GATE}
    more = {"MAXIMUM": np.maximum, "MINIMUM": np.minimum}
    for op, function in (more | {"SQUARED_DIFFERENCE": lambda x, z: (x - z) ** 2}).items():
        yield f"{op} of two", Case(model(node(op, "x z", "y"), values), values, function)
    b = weights(20, 8)
    yield "SQUARED_DIFFERENCE", one("SQUARED_DIFFERENCE", lambda x: (x - b) ** 2, b=b)


def _activations():
    def sigmoid(x):
        return 1 / (1 + np.exp(-x.astype(np.float64)))

    functions = {
        "RELU": lambda x: np.maximum(x, 0),
        "RELU6": lambda x: np.clip(x, 0, 6),
        "RELU_N1_TO_1": lambda x: np.clip(x, -1, 1),
        "LOGISTIC": sigmoid,
        "TANH": lambda x: np.tanh(x.astype(np.float64)),
        "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "ELU": lambda x: np.where(x > 0, x, np.expm1(x.astype(np.float64))),
        "NEG": lambda x: -x,
        "SQUARE": np.square,
        "ABS": np.abs,
        "EXP": np.exp,
        "LOG_SOFTMAX": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    }
    for op, function in (
        ("LOG", np.log),
        ("SQRT", np.sqrt),
        ("RSQRT", lambda x: 1 / np.sqrt(x)),
    ):
        nodes = [node("ABS", "x", "a"), node(op, "a", "y")]
        yield op, Case(model(nodes, IMAGE), IMAGE, lambda x, f=function: f(np.abs(x)))
    length = lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True))  # noqa: E731
    yield "L2_NORMALIZATION", one("L2_NORMALIZATION", length, kind="L2NormOptions")
    for op, function in functions.items():
        yield op, one(op, function)
    leaky = lambda x: np.where(x > 0, x, x * np.float32(0.2))  # noqa: E731
    yield "LEAKY_RELU", one("LEAKY_RELU", leaky, kind="LeakyReluOptions", Alpha=0.2)
    for shape in ((1, 1, 8), (1, 1, 1)):
        slopes = weights(18, *shape)
        wanted = lambda x, s=slopes: np.where(x > 0, x, x * s)  # noqa: E731
        yield f"PRELU {shape}", one("PRELU", wanted, s=slopes)

    def softmax(x, beta=1.0):
        e = np.exp(beta * (x.astype(np.float64) - x.max(-1, keepdims=True)))
        return e / e.sum(-1, keepdims=True)

    for beta in (1.0, 0.5):
        wanted = lambda x, b=beta: softmax(x, b)  # noqa: E731
        yield f"SOFTMAX {beta}", one("SOFTMAX", wanted, kind="SoftmaxOptions", Beta=beta)
    yield "SOFTMAX of vectors", one("SOFTMAX", softmax, (2, 5), "SoftmaxOptions", Beta=1.0)


def _reductions():
    functions = {"MEAN": np.mean, "SUM": np.sum, "REDUCE_MAX": np.max, "REDUCE_MIN": np.min}
    for op, function in functions.items():
        for axes, keep in (((1, 2), True), ((2, 1), False), ((3,), True), ((-2,), False)):
            wanted = lambda x, f=function, a=axes, k=keep: f(x, a, keepdims=k)  # noqa: E731
            case = one(op, wanted, kind="ReducerOptions", a=ints(*axes), KeepDims=keep)
            yield f"{op} {axes} {keep}", case


def _moves():
    flat = lambda x: x.reshape(len(x), -1)  # noqa: E731
    yield "RESHAPE", one("RESHAPE", flat, s=ints(-1, 336))
    yield "RESHAPE by options", one("RESHAPE", flat, kind="ReshapeOptions", NewShape=(-1, 336))
    yield "SQUEEZE", one("SQUEEZE", flat, GATE, "SqueezeOptions", SqueezeDims=(1, -2))
    yield "EXPAND_DIMS", one("EXPAND_DIMS", lambda x: x[:, None], (2, 5), a=ints(1))
    yield "TRANSPOSE", one("TRANSPOSE", lambda x: x.transpose(0, 3, 1, 2), p=ints(0, 3, 1, 2))
    for axis in (1, 3, -1):
        n = node("CONCATENATION", "x z", "y", "ConcatenationOptions", Axis=axis)
        case = Case(model(n, IMAGES), IMAGES, lambda *v, a=axis: np.concatenate(v, a))
        yield f"CONCATENATION {axis}", case
    n = node("PACK", "x z", "y", "PackOptions", Axis=2, ValuesCount=2)
    yield "PACK", Case(model(n, IMAGES), IMAGES, lambda *v: np.stack(v, 2))
    nodes = [
        node("UNPACK", "x", "a b", "UnpackOptions", Num=2, Axis=1),
        node("SUB", "a b", "y", "SubOptions"),
    ]
    x = (2, 2, 5)
    yield "UNPACK", Case(model(nodes, x), x, lambda x: x[:, 0] - x[:, 1])
    for op, inputs, constants in (
        ("SPLIT", "a x", {}),
        ("SPLIT_V", "x s a", {"s": ints(4, -1)}),
    ):
        options = {"NumSplits": 2}
        kind = {"SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions"}[op]
        nodes = [node(op, inputs, "p q", kind, **options), node("MUL", "p q", "y", "MulOptions")]
        data = model(nodes, a=ints(3), **constants)
        yield op, Case(data, IMAGE, lambda x: x[..., :4] * x[..., 4:])
    begin, size = ints(0, 1, 2, 0), ints(-1, 3, -1, 4)
    yield "SLICE", one("SLICE", lambda x: x[:, 1:4, 2:, :4], b=begin, s=size)
    masks = {"BeginMask": 0b1001, "EndMask": 0b1011, "ShrinkAxisMask": 0b0100}
    bounds = {"b": ints(0, 1, -2, 0), "e": ints(0, 0, 0, 0), "s": ints(1, 2, 1, 1)}
    wanted = lambda x: x[:, 1::2, -2]  # noqa: E731
    yield (
        "STRIDED_SLICE",
        one("STRIDED_SLICE", wanted, kind="StridedSliceOptions", **masks, **bounds),
    )
    backwards = {"b": ints(0, 4, 0, 7), "e": ints(0, 0, 0, 2), "s": ints(1, -2, 1, -1)}
    wanted = lambda x: x[:, 4::-2, :, 7:2:-1]  # noqa: E731
    masks = {"BeginMask": 0b0101, "EndMask": 0b0111}
    yield (
        "STRIDED_SLICE backwards",
        one("STRIDED_SLICE", wanted, kind="StridedSliceOptions", **masks, **backwards),
    )
    wanted = lambda x: x[..., [3, 0, 3]]  # noqa: E731
    yield "GATHER", one("GATHER", wanted, kind="GatherOptions", i=ints(3, 0, 3), Axis=3)
    for times in ((1, 1, 1, 2), (1, 3, 2, 1)):
        yield f"TILE {times}", one("TILE", lambda x, t=times: np.tile(x, t), t=ints(*times))
    yield "REVERSE_V2", one("REVERSE_V2", lambda x: x[:, :, ::-1], a=ints(2))
    blocks = lambda x: (  # noqa: E731
        x.reshape(2, 6, 7, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 12, 14, 2)
    )
    yield "DEPTH_TO_SPACE", one("DEPTH_TO_SPACE", blocks, kind="DepthToSpaceOptions", BlockSize=2)
    x = (2, 6, 4, 3)
    blocks = lambda x: (  # noqa: E731
        x.reshape(2, 3, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 3, 2, 12)
    )
    yield "SPACE_TO_DEPTH", one("SPACE_TO_DEPTH", blocks, x, "SpaceToDepthOptions", BlockSize=2)


def _sizes():
    for pads in (((0, 0), (1, 2), (0, 3), (0, 0)), ((0, 0), (0, 0), (0, 0), (0, 4))):
        yield f"PAD {pads}", one("PAD", lambda x, p=pads: np.pad(x, p), p=ints(*pads))
    pads = ((0, 0), (1, 2), (3, 0), (0, 1))
    wanted = lambda x: np.pad(x, pads, constant_values=1.5)  # noqa: E731
    yield "PADV2", one("PADV2", wanted, p=ints(*pads), v=np.float32(1.5))
    for mode, name in enumerate(("reflect", "symmetric")):
        wanted = lambda x, m=name: np.pad(x, pads, m)  # noqa: E731
        case = one("MIRROR_PAD", wanted, kind="MirrorPadOptions", p=ints(*pads), Mode=mode)
        yield f"MIRROR_PAD {name}", case
    ways = {
        "asymmetric": (0, 0, lambda i, n, out: i * n / out),
        "align_corners": (1, 0, lambda i, n, out: i * (n - 1) / (out - 1)),
        "half_pixel": (0, 1, lambda i, n, out: (i + 0.5) * n / out - 0.5),
    }
    for size in ((12, 21), (9, 4)):
        for way, (corners, half, place) in ways.items():
            options = {"AlignCorners": corners, "HalfPixelCenters": half}
            wanted = lambda x, s=size, p=place: interpolated(x, s, p)  # noqa: E731
            yield (
                f"RESIZE_BILINEAR {way} {size}",
                one(
                    "RESIZE_BILINEAR",
                    wanted,
                    kind="ResizeBilinearOptions",
                    s=ints(*size),
                    **options,
                ),
            )
            round_ = np.floor if way == "asymmetric" else lambda at: np.floor(at + 0.5)
            wanted = lambda x, s=size, p=place, r=round_: interpolated(  # noqa: E731
                x, s, lambda i, n, out: r(p(i, n, out))
            )
            kind = "ResizeNearestNeighborOptions"
            yield (
                f"RESIZE_NEAREST_NEIGHBOR {way} {size}",
                one("RESIZE_NEAREST_NEIGHBOR", wanted, kind=kind, s=ints(*size), **options),
            )


PLAIN_CASES = {
    name: case
    for cases in (_arithmetic, _activations, _reductions, _moves, _sizes)
    for name, case in cases()
}
