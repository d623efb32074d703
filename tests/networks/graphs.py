"""Graphs that the tests of networks share."""

import numpy as np
from fastdw.network._graph import GraphBuilder
from graphs8 import EXAMPLES8, dtypes_of
from support import rng, signed

PADS = ((1, 1), (1, 1))


def kernel(seed, *shape):
    return signed(rng(seed), shape).astype(np.float64)


def part(seed, prefix, *shape, act=None, outputs=None):
    """Kernel, bias and activation of a convolution."""
    channels = outputs or shape[3]
    return {
        f"{prefix}kernel": kernel(seed, *shape),
        f"{prefix}bias": kernel(seed + 1, channels),
        f"{prefix}activation": act,
    }


def last(seed, *shape, act=None):
    attrs = part(seed, "", *shape, act=act)
    return {"pointwise_kernel": attrs.pop("kernel"), **attrs}


# An example of every operator: shapes of its inputs, attributes, shape of its output.
SLOPES = ("prelu", np.array([0.5, -0.25, 0.1, 2.0], np.float32))
EXAMPLES = {
    "conv2d": (
        [(5, 6, 4), (3, 6, 6)],
        part(0, "", 3, 2, 2, 6, act="relu6")
        | {"strides": (2, 1), "padding": ((1, 1), (0, 1)), "groups": 2},
        (3, 6, 6),
    ),
    "depthwise": (
        [(5, 6, 4)],
        part(2, "", 3, 3, 4, 2, act="hard_swish", outputs=8)
        | {"padding": PADS, "dilation_rate": (1, 2)},
        (5, 4, 8),
    ),
    "conv2d_transpose": (
        [(3, 2, 4)],
        part(4, "", 2, 3, 4, 5, act="relu")
        | {"strides": (2, 3), "padding": ((0, 1), (1, 0)), "output_padding": (1, 0)},
        (6, 5, 5),
    ),
    "affine": (
        [(2, 3, 4)],
        {"scale": kernel(6, 4), "offset": kernel(7, 4), "activation": "sigmoid"},
        (2, 3, 4),
    ),
    "activation": ([(2, 3, 4)], {"activation": SLOPES}, (2, 3, 4)),
    "add": ([(2, 3, 4), (1, 1, 4)], {"activation": ("clip", -0.5, float("inf"))}, (2, 3, 4)),
    "multiply": ([(2, 3, 4), (2, 3, 4)], {}, (2, 3, 4)),
    "divide": ([(2, 3, 4), (4,)], {"activation": "tanh"}, (2, 3, 4)),
    "maximum": ([(2, 3, 4), (2, 3, 4)], {}, (2, 3, 4)),
    "minimum": ([(2, 3, 4), (1, 4)], {}, (2, 3, 4)),
    "unary": ([(2, 3, 4)], {"function": "exp"}, (2, 3, 4)),
    "pool": (
        [(5, 6, 4)],
        {
            "function": "average",
            "window": (3, 2),
            "strides": (2, 2),
            "padding": ((1, 2), (1, 1)),
            "counted": ((1, 0), (0, 1)),
        },
        (3, 4, 4),
    ),
    "global_pool": ([(2, 3, 4)], {"function": "max"}, (1, 1, 4)),
    "concat": ([(2, 3, 4), (2, 1, 4), (2, 2, 4)], {"axis": 1}, (2, 6, 4)),
    "slice": (
        [(5, 6, 4)],
        {"begin": (1, 0, 2), "size": (2, 3, 2), "step": (3, 2, 1)},
        (2, 3, 2),
    ),
    "gather": (
        [(2, 3, 4)],
        {"rows": (-1, 0, 0, 1), "channels": (3, 2, -1, 0, 1), "constant": 0.5},
        (4, 3, 5),
    ),
    "bilinear": (
        [(2, 3, 4)],
        {
            "row_low": (0, 0, 1),
            "row_high": (0, 1, 1),
            "row_weight": np.array([0.0, 0.5, 0.25]),
            "column_low": (0, 1),
            "column_high": (1, 2),
            "column_weight": np.array([0.25, 0.75]),
        },
        (3, 2, 4),
    ),
    "reshape": ([(2, 3, 4)], {"shape": (6, 2, 2)}, (6, 2, 2)),
    "transpose": ([(2, 3, 4)], {"axes": (2, 0, 1)}, (4, 2, 3)),
    "softmax": ([(6, 4)], {"beta": 0.5}, (6, 4)),
    "normalize": (
        [(2, 3, 4)],
        {"scale": kernel(25, 4), "offset": kernel(26, 4), "epsilon": 1e-5},
        (2, 3, 4),
    ),
    "separable": (
        [(5, 6, 4), (3, 3, 3)],
        part(8, "depthwise_", 3, 3, 4, 2, act="relu", outputs=8)
        | last(10, 1, 1, 8, 3)
        | {"strides": (2, 2), "padding": PADS, "pre_activation": "relu"},
        (3, 3, 3),
    ),
    "expand_depthwise": (
        [(5, 6, 4)],
        part(12, "expand_", 1, 1, 4, 6, act="relu6")
        | part(14, "depthwise_", 3, 3, 6, 1, act="relu6", outputs=6)
        | {"strides": (1, 2), "padding": PADS},
        (5, 3, 6),
    ),
    "inverted": (
        [(5, 6, 4), (5, 6, 4)],
        part(16, "expand_", 1, 1, 4, 6, act="relu6")
        | part(18, "depthwise_", 3, 3, 6, 1, act="relu6", outputs=6)
        | last(20, 1, 1, 6, 4)
        | {"padding": PADS},
        (5, 6, 4),
    ),
} | EXAMPLES8


def example(op):
    """A graph of one node."""
    shapes, attrs, _ = EXAMPLES[op]
    builder = GraphBuilder()
    dtypes = dtypes_of(op, attrs) if op in EXAMPLES8 else ["float32"] * len(shapes)
    names = [builder.input(f"x{i}", s, dtypes[i]) for i, s in enumerate(shapes)]
    return builder.build(builder.add(op, names, "y", (f"the {op}",), **attrs))


def inputs(graph, seed=0):
    """Arrays for the inputs of a graph."""
    generator = rng(seed)
    arrays = [drawn(generator, spec.shape, spec.dtype) for spec in graph.inputs]
    return [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]


def drawn(generator, shape, dtype):
    """An array for an input."""
    if dtype == "float32":
        return 2 * signed(generator, shape)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max + 1, shape).astype(dtype)
