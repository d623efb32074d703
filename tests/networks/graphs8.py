"""An example of every operator of 8-bit integers, as in `graphs`."""

import numpy as np
from support import rng

PADS = ((1, 1), (1, 1))
A, B, C = (0.05, -3, "int8"), (0.11, 128, "uint8"), (0.25, -128, "int8")
D = (0.07, 5, "int8")


def whole(seed, *shape):
    return rng(seed).integers(-127, 128, shape).astype(np.int8)


def epilogue(seed, channels, prefix="", activation=None, scale=0.01):
    g = rng(seed)
    return {
        f"{prefix}scales": g.uniform(scale, 2 * scale, channels).astype(np.float32),
        f"{prefix}bias": g.integers(-900, 900, channels).astype(np.int32),
        f"{prefix}activation": activation,
    }


EXAMPLES8 = {
    "quantized_conv2d": (
        [(5, 6, 3), (3, 6, 6)],
        {"kernel": whole(0, 3, 2, 3, 6), "strides": (2, 1), "padding": ((1, 1), (0, 1))}
        | epilogue(1, 6, activation="relu6")
        | {"input": A, "output": B, "residual": C, "sum": D},
        (3, 6, 6),
    ),
    "quantized_depthwise": (
        [(5, 6, 5)],
        {"kernel": whole(2, 3, 3, 5, 2), "padding": PADS, "dilation_rate": (1, 2)}
        | epilogue(3, 10, activation=("clip", -3.0, 9.0))
        | {"input": B, "output": A},
        (5, 4, 10),
    ),
    "quantized_separable": (
        [(5, 6, 7), (3, 3, 9)],
        {"depthwise_kernel": whole(4, 3, 3, 7, 1), "pointwise_kernel": whole(5, 1, 1, 7, 9)}
        | epilogue(6, 7, "depthwise_", activation="relu")
        | epilogue(7, 9)
        | {"strides": (2, 2), "padding": PADS}
        | {"input": A, "middle": C, "output": D, "residual": B, "sum": A},
        (3, 3, 9),
    ),
    "quantized_add": (
        [(2, 3, 37), (2, 3, 37)],
        {"input": A, "second": B, "output": C, "activation": "relu", "subtrahend": "second"},
        (2, 3, 37),
    ),
    "quantized_multiply": (
        [(2, 3, 5), (1, 1, 5)],
        {"input": A, "second": B, "output": C, "activation": "relu6"},
        (2, 3, 5),
    ),
    "quantized_pool": (
        [(5, 6, 4)],
        {
            "function": "average",
            "window": (3, 2),
            "strides": (2, 2),
            "padding": ((1, 2), (1, 1)),
            "input": A,
            "origin": 128,
            "activation": ("clip", -2.0, 3.0),
        },
        (3, 4, 4),
    ),
    "quantized_mean": ([(3, 5, 4)], {"input": B, "output": A}, (1, 1, 4)),
    "quantized_bilinear": (
        [(3, 4, 67)],
        {
            "row_low": (0, 1, 2, 2),
            "row_high": (1, 1, 2, 0),
            "row_weight": np.array([0.3, 1, 0, 0.5], np.float32),
            "column_low": (3, 0),
            "column_high": (2, 1),
            "column_weight": np.array([0.75, 0.0001], np.float32),
            "input": A,
            "origin": 128,
        },
        (4, 2, 67),
    ),
    "quantized_softmax": (
        [(3, 11)],
        {"beta": 0.5, "input": A, "output": (1 / 256, -128, "int8")},
        (3, 11),
    ),
    "table": (
        [(2, 3, 4)],
        {"table": tuple(int(n) for n in rng(8).integers(0, 256, 256)), "input": A, "output": B},
        (2, 3, 4),
    ),
    "quantize": ([(2, 3, 4)], {"output": (0.02, 7, "int8")}, (2, 3, 4)),
    "dequantize": ([(2, 3, 4)], {"input": B}, (2, 3, 4)),
}


def dtypes_of(op, attrs):
    """Of the inputs of an example."""
    second = attrs.get("residual") or attrs.get("second")
    first = attrs.get("input") if op != "quantize" else None
    return [q[2] if q else "float32" for q in (first, second)]
