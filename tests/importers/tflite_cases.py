"""Small TFLite models of layers with weights or windows, and what NumPy says of them."""

from typing import NamedTuple

import numpy as np
from fastdw import reference
from support import rng, signed
from tflite_models import IMAGE, SAME, VALID, Quantised, Sparse, conv, depthwise, model, node, pool


class Case(NamedTuple):
    data: bytes
    x: tuple
    wanted: object
    """A function of the inputs."""


def weights(seed, *shape):
    return signed(rng(seed), shape)


def ints(*values):
    return np.array(values, np.int32)


W, B = weights(3, 5, 3, 2, 8), weights(4, 5)
DW, DB = weights(5, 1, 3, 2, 16), weights(6, 16)
ACTIVATIONS = {0: None, 1: "relu", 2: ("clip", -1, 1), 3: "relu6", 4: "tanh"}


def conv2d(x, w=W, b=B, padding="same", **options):
    return reference.conv2d(x, w.transpose(1, 2, 3, 0), bias=b, padding=padding, **options)


def scattered(x, w, strides, size, before):
    """A transposed convolution by weights (F, kh, kw, C), a pixel at a time."""
    n, height, width, _ = x.shape
    (kh, kw), (sh, sw) = w.shape[1:3], strides
    y = np.zeros((n, (height + 9) * sh + kh, (width + 9) * sw + kw, w.shape[0]))
    for i in range(height):
        for j in range(width):
            y[:, i * sh : i * sh + kh, j * sw : j * sw + kw] += np.einsum(
                "nc,fhwc->nhwf", x[:, i, j].astype(np.float64), w
            )
    top, left = before
    return y[:, top : top + size[0], left : left + size[1]]


def pooled(x, function, strides, pads):
    images = [reference.pool(image, function, (3, 2), strides, pads) for image in x]
    return np.maximum(images, 0)


def _convolutions():
    for strides in ((1, 1), (2, 2), (3, 4)):
        for padding in (SAME, VALID):
            name = "same" if padding == SAME else "valid"
            options = {"strides": strides, "padding": name}
            yield (
                f"CONV_2D {strides} {name}",
                Case(
                    model(conv(strides=strides, padding=padding), w=W, b=B),
                    IMAGE,
                    lambda x, o=options: conv2d(x, **o),
                ),
            )
            yield (
                f"DEPTHWISE_CONV_2D {strides} {name}",
                Case(
                    model(depthwise(strides=strides, padding=padding), w=DW, b=DB),
                    IMAGE,
                    lambda x, o=options: reference.depthwise_conv2d(
                        x, DW.reshape(3, 2, 8, 2), bias=DB, **o
                    ),
                ),
            )
    for code, activation in ACTIVATIONS.items():
        yield (
            f"CONV_2D fused {activation}",
            Case(
                model(conv(fused=code), w=W, b=B),
                IMAGE,
                lambda x, a=activation: conv2d(x, activation=a),
            ),
        )
    grouped, vector = weights(7, 6, 3, 3, 4), weights(7, 6)
    yield (
        "CONV_2D groups",
        Case(
            model(conv(), w=grouped, b=vector),
            IMAGE,
            lambda x: conv2d(x, grouped, vector, groups=2),
        ),
    )
    yield (
        "CONV_2D dilation",
        Case(
            model(conv(dilation=(2, 1)), w=W, b=B),
            IMAGE,
            lambda x: conv2d(x, dilation_rate=(2, 1)),
        ),
    )
    yield (
        "CONV_2D no bias",
        Case(model(conv("x w -"), w=W), IMAGE, lambda x: conv2d(x, b=None)),
    )
    single = weights(8, 1, 3, 3, 4)
    yield (
        "DEPTHWISE_CONV_2D one channel",
        Case(
            model(depthwise("x w"), (2, 6, 7, 1), w=single),
            (2, 6, 7, 1),
            lambda x: reference.depthwise_conv2d(x, single.reshape(3, 3, 1, 4), padding="same"),
        ),
    )


def _blocks(padding, crops, size):
    """A dilated convolution as TensorFlow 1 wrote it."""
    nodes = [
        node("SPACE_TO_BATCH_ND", "x b p", "s"),
        conv("s w v", "t", padding=padding),
        node("BATCH_TO_SPACE_ND", "t b c"),
    ]
    pads = ints((2, 2), (2, 3))
    w = weights(9, 5, 3, 3, 8)
    data = model(nodes, b=ints(2, 2), p=pads, c=ints(*crops), w=w, v=B)

    def wanted(x):
        more = 2 if padding == SAME else 0
        around = [(0, 0), (2 + more, 2 + more), (2 + more, 3 + more), (0, 0)]
        y = conv2d(np.pad(x, around), w, B, "valid", dilation_rate=2)
        return y[:, crops[0][0] : size[0], : size[1]]

    return Case(data, (1, *IMAGE[1:]), wanted)


def _layers():
    yield "SPACE_TO_BATCH_ND", _blocks(VALID, ((0, 0), (0, 1)), (6, 7))
    yield "SPACE_TO_BATCH_ND same", _blocks(SAME, ((1, 0), (0, 1)), (10, 11))
    for function in ("max", "average"):
        op = f"{function.upper()}_POOL_2D"
        for strides, padding in (((2, 2), "same"), ((1, 2), "valid")):
            pads = ((0, 1), (0, 1)) if padding == "same" else ((0, 0), (0, 0))
            code = SAME if padding == "same" else VALID
            yield (
                f"{op} {padding}",
                Case(
                    model(pool(op, (3, 2), strides, code, fused=1)),
                    IMAGE,
                    lambda x, f=function, s=strides, p=pads: pooled(x, f, s, p),
                ),
            )
        yield (
            f"{op} of everything",
            Case(
                model(pool(op, (6, 7), (6, 7), VALID)),
                IMAGE,
                lambda x, f=function: getattr(x, {"max": "max"}.get(f, "mean"))(
                    (1, 2), keepdims=True
                ),
            ),
        )
    matrix, vector = weights(10, 5, 8), weights(11, 5)
    for keep in (False, True):
        shape = (2, 4, 8) if keep else (2, 8)
        n = node(
            "FULLY_CONNECTED",
            "x w b",
            "y",
            "FullyConnectedOptions",
            KeepNumDims=keep,
            FusedActivationFunction=1,
        )
        yield (
            f"FULLY_CONNECTED {keep}",
            Case(
                model(n, shape, w=matrix, b=vector),
                shape,
                lambda x: np.maximum(x @ matrix.T + vector, 0),
            ),
        )
    flat = weights(12, 5, 6 * 7 * 8)
    yield (
        "FULLY_CONNECTED of an image",
        Case(
            model(node("FULLY_CONNECTED", "x w", "y", "FullyConnectedOptions"), w=flat),
            (1, *IMAGE[1:]),
            lambda x: x.reshape(len(x), -1) @ flat.T,
        ),
    )
    w = weights(13, 4, 3, 3, 8)
    for padding, size, before in ((SAME, (12, 13), (0, 1)), (VALID, (13, 16), (0, 0))):
        options = {"StrideH": 2, "StrideW": 2, "Padding": padding}
        n = node("TRANSPOSE_CONV", "s w x b", "y", "TransposeConvOptions", **options)
        yield (
            f"TRANSPOSE_CONV {padding}",
            Case(
                model(n, s=ints(1, *size, 4), w=w, b=weights(14, 4)),
                (1, *IMAGE[1:]),
                lambda x, s=size, b=before: scattered(x, w, (2, 2), s, b) + weights(14, 4),
            ),
        )


def _constants():
    half = W.astype(np.float16)
    nodes = [node("DEQUANTIZE", "h", "w"), conv()]
    yield (
        "DEQUANTIZE of float16",
        Case(model(nodes, h=half, b=B), IMAGE, lambda x: conv2d(x, half.astype(np.float32))),
    )
    matrix = np.zeros((4, 8), np.float16)
    matrix[0, 1], matrix[2, 0], matrix[2, 7], matrix[3, 4] = 1, 2, 3, -4
    plain = Sparse((4, 8), np.float16([1, 2, 3, -4]), [0, 1], [4, ([0, 1, 1, 3, 4], [1, 0, 7, 4])])
    # Blocks of 1 x 4: the first block of row 0, both of row 2, the second of row 3.
    numbers = np.concatenate(
        [matrix[r, 4 * c : 4 * c + 4] for r, c in ((0, 0), (2, 0), (2, 1), (3, 1))]
    )
    blocks = Sparse((4, 8), numbers, [0, 1, 2], [4, ([0, 1, 1, 3, 4], [0, 0, 1, 1]), 4], (1,))
    dense = matrix.astype(np.float32)
    for name, value in (("", plain), (" in blocks", blocks)):
        nodes = [
            node("DENSIFY", "s", "h"),
            node("DEQUANTIZE", "h", "w"),
            node("FULLY_CONNECTED", "x w", "y", "FullyConnectedOptions"),
        ]
        yield (
            f"DENSIFY{name}",
            Case(
                model(nodes, (2, 8), s=value, dtypes={"h": "float16"}),
                (2, 8),
                lambda x: x @ dense.T,
            ),
        )
    numbers = rng(15).integers(-128, 128, W.shape).astype(np.int8)
    scales = np.float32([0.01, 0.02, 0.03, 0.04, 0.05])
    real = (numbers * scales.astype(np.float64).reshape(-1, 1, 1, 1)).astype(np.float32)
    yield (
        "CONV_2D of int8 weights",
        Case(
            model(
                [node("DEQUANTIZE", "q", "w"), conv()],
                q=Quantised(scales, [0] * 5, numbers=numbers),
                b=B,
            ),
            IMAGE,
            lambda x: conv2d(x, real),
        ),
    )


LAYER_CASES = {
    name: case for cases in (_convolutions, _layers, _constants) for name, case in cases()
}
