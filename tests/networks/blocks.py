"""Small pieces of networks, and activations as models spell them out."""

import math

import numpy as np
from fastdw.network._graph import GraphBuilder, checked, content, run
from fastdw.network._rewrite import REWRITES, rewrite
from graphs import inputs, kernel

PADS = ((1, 1), (1, 1))
ALL = tuple(REWRITES)
PAIRS = tuple(name for name in ALL if name not in ("inverted", "expand_depthwise"))


def builder_of(*shape):
    builder = GraphBuilder()
    return builder, builder.input("x", shape or (5, 4, 6))


def affine(b, x, scale, offset, act=None):
    channels = b.shape(x)[-1]
    vectors = {"scale": np.full(channels, float(scale)), "offset": np.full(channels, float(offset))}
    return b.add("affine", x, **vectors, activation=act)


def norm(b, x, act=None):
    channels = b.shape(x)[-1]
    return b.add("affine", x, scale=kernel(1, channels), offset=kernel(2, channels), activation=act)


def act(b, x, function):
    return b.add("activation", x, activation=function)


def conv(b, x, filters=None, size=1, seed=3, **attrs):
    if isinstance(x, str):
        x = [x]
    channels = b.shape(x[0])[-1]
    filters = filters or channels
    depth = channels // attrs.get("groups", 1)
    attrs = {"padding": PADS if size == 3 else ((0, 0), (0, 0))} | attrs
    return b.add("conv2d", x, kernel=kernel(seed, size, size, depth, filters), **attrs)


def dw(b, x, size=3, multiplier=1, seed=4, **attrs):
    attrs = {"padding": PADS if size == 3 else ((0, 0), (0, 0))} | attrs
    return b.add(
        "depthwise", x, kernel=kernel(seed, size, size, b.shape(x)[-1], multiplier), **attrs
    )


def pad(b, x, rows=(1, 1), columns=(0, 1), **attrs):
    tables = {
        name: (-1,) * before + tuple(range(size)) + (-1,) * after
        for name, (before, after), size in zip(
            ("rows", "columns"), (rows, columns), b.shape(x), strict=False
        )
    }
    return b.add("gather", x, **(tables | attrs))


def squeeze(b, x):
    return act(b, conv(b, b.add("global_pool", x, function="average"), seed=6), "sigmoid")


def block(b, x, wide=12, narrow=6, gate=False, residual=True):
    """An inverted residual."""
    y = conv(b, x, wide, activation="relu6", seed=11)
    y = dw(b, y, activation="relu6", bias=kernel(12, wide))
    y = b.add("multiply", [y, squeeze(b, y)]) if gate else y
    y = conv(b, y, narrow, seed=13)
    return b.add("add", [y, x]) if residual else y


def plus_3(b, x):
    return act(b, affine(b, x, 1, 3), "relu6")


SPELLED = {
    "hard_sigmoid": [
        lambda b, x: affine(b, plus_3(b, x), 1 / 6, 0),
        lambda b, x: affine(b, affine(b, x, 1, 3, "relu6"), 1 / 6, 0),
        lambda b, x: affine(b, act(b, affine(b, x, 1, 3), ("clip", 0, 6)), 1 / 6, 0),
        lambda b, x: act(b, affine(b, x, 1 / 6, 0.5), ("clip", 0, 1)),
        lambda b, x: affine(b, x, 1 / 6, 0.5, ("clip", 0, 1)),
    ],
    "hard_swish": [
        lambda b, x: b.add("multiply", [x, affine(b, plus_3(b, x), 1 / 6, 0)]),
        lambda b, x: b.add("multiply", [affine(b, plus_3(b, x), 1 / 6, 0), x]),
        lambda b, x: affine(b, b.add("multiply", [x, plus_3(b, x)]), 1 / 6, 0),
        lambda b, x: b.add("multiply", [plus_3(b, x), affine(b, x, 1 / 6, 0)]),
        lambda b, x: b.add("multiply", [x, act(b, x, "hard_sigmoid")]),
    ],
    "swish": [
        lambda b, x: b.add("multiply", [x, act(b, x, "sigmoid")]),
        lambda b, x: b.add("multiply", [act(b, x, "sigmoid"), x]),
    ],
    "mish": [lambda b, x: b.add("multiply", [x, act(b, act(b, x, "softplus"), "tanh")])],
    "relu6": [
        lambda b, x: act(b, act(b, x, "relu"), ("clip", -1, 6)),
        lambda b, x: act(b, act(b, x, ("clip", -math.inf, 6)), "relu"),
        lambda b, x: act(b, x, ("clip", 0, 6)),
    ],
    ("clip", 2.0, 2.0): [lambda b, x: act(b, act(b, x, ("clip", -1, 1)), ("clip", 2, 3))],
}


NEAR_MISSES = [
    lambda b, x: affine(b, act(b, affine(b, x, 1, 3), "relu6"), 0.2, 0),
    lambda b, x: affine(b, act(b, affine(b, x, 1, 2.5), "relu6"), 1 / 6, 0),
    lambda b, x: affine(b, act(b, affine(b, x, 1, 3), ("clip", 0, 5)), 1 / 6, 0),
    lambda b, x: act(b, affine(b, x, 0.2, 0.5), ("clip", 0, 1)),
    lambda b, x: b.add("multiply", [x, act(b, affine(b, x, 1, 0), "sigmoid")]),
    lambda b, x: b.add("multiply", [x, act(b, x, "tanh")]),
    lambda b, x: b.add("multiply", [x, act(b, x, "sigmoid")], activation="relu"),
    lambda b, x: b.add("add", [x, act(b, x, "sigmoid")]),
    lambda b, x: act(b, act(b, x, "tanh"), "relu"),
    lambda b, x: b.add("affine", plus_3(b, x), scale=np.full(6, 1 / 6), offset=kernel(0, 6)),
]


def same_results(before, after):
    arrays = inputs(before)
    for old, new in zip(run(before, arrays), run(after, arrays), strict=True):
        assert old.shape == new.shape
        np.testing.assert_allclose(new, old, rtol=1e-12, atol=1e-12 * np.abs(old).max())


def ops(graph):
    return [node.op for node in graph.nodes]


def rewritten(b, outputs, enabled=ALL):
    """The operators that are left; results stay the same, and a second run finds nothing."""
    graph = b.build(outputs)
    result, counts = rewrite(graph, enabled=enabled)
    assert result.inputs == graph.inputs
    assert result.outputs == graph.outputs
    assert [content(n) for n in checked(result).nodes] == [content(n) for n in result.nodes]
    same_results(graph, result)
    again, none = rewrite(result, enabled=enabled)
    assert not any(none.values())
    assert again == result
    return result, counts


def alone(b, outputs, name):
    """As `rewritten`, by one rewrite; whether it found its case."""
    graph = b.build(outputs)
    result, counts = rewritten(b, outputs, (name,))
    if not counts[name]:
        assert result == graph
    return result, counts[name]
