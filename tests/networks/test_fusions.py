"""Rewrites that fuse: they find their case, near misses and second uses stay."""

import numpy as np
import pytest
from blocks import (
    PADS,
    PAIRS,
    act,
    alone,
    block,
    builder_of,
    conv,
    dw,
    norm,
    ops,
    pad,
    rewritten,
    squeeze,
)
from graphs import kernel

# --- affine ---


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, x, 4, 3, bias=kernel(6, 4)),
        lambda b, x: conv(b, x, 4, 3, groups=2),
        lambda b, x: dw(b, x, multiplier=2),
        lambda b, x: b.add("conv2d_transpose", x, kernel=kernel(7, 2, 2, 6, 5), strides=(2, 2)),
        lambda b, x: norm(b, x),
    ],
)
def test_affine_after(build):
    b, x = builder_of()
    graph, _ = alone(b, norm(b, build(b, x), "relu"), "affine")
    assert len(graph.nodes) == 1
    assert graph.nodes[0].attrs["activation"] == "relu"


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, x, 4, 2, bias=kernel(6, 4), activation="relu"),
        lambda b, x: conv(b, x, 4, 3, groups=2, padding=((0, 0), (0, 0))),
        lambda b, x: dw(b, x, 2, 2, bias=kernel(6, 12), strides=(1, 2)),
        lambda b, x: conv(b, [x, b.input("r", (5, 4, 3))], 3),
    ],
)
def test_affine_before(build):
    b, x = builder_of()
    assert len(alone(b, build(b, norm(b, x)), "affine")[0].nodes) == 1


def test_a_depthwise_kernel_of_one_tap_is_an_affine():
    b, x = builder_of()
    y = conv(b, dw(b, x, 1), 4)
    assert ops(rewritten(b, y)[0]) == ["conv2d"]


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, norm(b, x), size=3),  # padded
        lambda b, x: conv(b, norm(b, x, "relu")),
        lambda b, x: norm(b, conv(b, x, activation="relu")),
        lambda b, x: norm(b, conv(b, [x, x])),  # a residual comes before it
        lambda b, x: conv(b, [norm(b, x), "", b.add("global_pool", x, function="max")]),
        lambda b, x: norm(b, norm(b, x, "relu")),
        lambda b, x: dw(b, x, 1, activation="relu"),
        lambda b, x: dw(b, x, 1, 2),
    ],
)
def test_affines_that_stay(build):
    b, x = builder_of()
    assert alone(b, build(b, x), "affine")[1] == 0


def test_second_uses_keep_affines():
    b, x = builder_of()
    y, before = conv(b, x), norm(b, x)
    assert alone(b, [norm(b, y), y, conv(b, before), before], "affine")[1] == 0


# --- epilogue ---


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, x),
        lambda b, x: dw(b, x),
        lambda b, x: norm(b, x),
        lambda b, x: b.add("add", [x, x]),
        lambda b, x: b.add("multiply", [x, x]),
        lambda b, x: conv(b, x, activation="relu"),
    ],
)
def test_an_activation_joins_its_producer(build):
    b, x = builder_of()
    graph, _ = alone(b, act(b, build(b, x), "relu6"), "epilogue")
    assert [node.attrs["activation"] for node in graph.nodes] == ["relu6"]


def test_activations_that_stay():
    b, x = builder_of()
    y = act(b, conv(b, x, activation="tanh"), "relu")
    z = conv(b, x, seed=9)
    w = act(b, b.add("pool", x, function="max", window=(2, 2), strides=(1, 1)), "relu")
    assert alone(b, [y, act(b, z, "relu"), z, w], "epilogue")[1] == 0


def separable(b, x, seed=3, **attrs):
    return conv(b, dw(b, x, seed=seed, **attrs), seed=seed)


def test_pre_activation():
    b, x = builder_of()
    y = act(b, x, "relu")
    graph, _ = rewritten(b, [separable(b, y), separable(b, y, 5), x])
    assert ops(graph) == ["separable"] * 2
    assert {node.attrs["pre_activation"] for node in graph.nodes} == {"relu"}


def test_pre_activations_that_stay_nodes():
    b, x = builder_of()
    shared = act(b, x, "relu")
    moved, curve = act(b, x, "sigmoid"), act(b, x, "tanh")
    graph, _ = rewritten(
        b,
        [
            separable(b, shared),
            conv(b, shared, size=3),
            separable(b, moved),
            separable(b, curve),
            separable(b, curve, 5),
        ],
    )
    assert ops(graph).count("activation") == 3
    b, x = builder_of()
    graph, _ = rewritten(b, separable(b, act(b, x, "sigmoid"), padding=((0, 0), (0, 0))))
    assert ops(graph) == ["separable"]


# --- pad ---


def pool(b, x, function="average"):
    attrs = {"padding": ((1, 0), (0, 1)), "counted": ((0, 0), (0, 1))}
    return b.add("pool", x, function=function, window=(2, 2), strides=(2, 1), **attrs)


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, x, size=3, strides=(2, 2)),
        lambda b, x: dw(b, x, padding=((0, 0), (0, 0))),
        pool,
        lambda b, x: pool(b, x, "max"),
    ],
)
@pytest.mark.parametrize("rows", [(1, 2), (0, 0)])
def test_zeros_around_join_their_reader(build, rows):
    b, x = builder_of()
    assert len(alone(b, build(b, pad(b, x, rows)), "pad")[0].nodes) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: pad(b, x, constant=1.0),
        lambda b, x: pad(b, x, channels=(-1, 0, 1, 2, 3, 4, 5)),
        lambda b, x: b.add("gather", x, rows=(1, 0, 1)),
        lambda b, x: b.add("gather", x, rows=(-1, 0, -1)),
        lambda b, x: b.add("gather", x, rows=(-1, -1)),
    ],
)
def test_other_gathers_stay(build):
    b, x = builder_of()
    y = build(b, x)
    assert alone(b, conv(b, y, size=2), "pad")[1] == 0


def test_a_pad_with_a_second_use_or_another_reader_stays():
    b, x = builder_of()
    y, z = pad(b, x), pad(b, x, columns=(2, 2))
    assert alone(b, [conv(b, y), act(b, y, "relu"), act(b, z, "relu")], "pad")[1] == 0


def test_a_pad_before_a_pre_activation():
    b, x = builder_of()
    y = separable(b, act(b, pad(b, x), "relu"), padding=((0, 0), (0, 0)))
    assert ops(rewritten(b, y)[0]) == ["separable"]
    b, x = builder_of()
    y = separable(b, act(b, pad(b, x), "sigmoid"), padding=((0, 0), (0, 0)))
    assert ops(rewritten(b, y)[0]) == ["gather", "separable"]


# --- residual ---


def test_the_later_convolution_takes_the_residual():
    for swapped in (False, True):
        b, x = builder_of()
        first, second = conv(b, x, seed=3), conv(b, act(b, x, "tanh"), seed=5)
        terms = [second, first] if swapped else [first, second]
        graph, _ = alone(b, b.add("add", terms, "y", activation="relu"), "residual")
        assert ops(graph) == ["conv2d", "activation", "conv2d"]
        assert graph.nodes[-1].inputs[1] == first
        assert graph.nodes[-1].attrs["activation"] == "relu"


def test_the_only_convolution_takes_the_residual():
    for swapped in (False, True):
        b, x = builder_of()
        terms = [conv(b, x), x]
        y = b.add("add", terms[::-1] if swapped else terms)
        assert ops(alone(b, y, "residual")[0]) == ["conv2d"]


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: b.add("add", [conv(b, x, activation="relu"), x]),
        lambda b, x: b.add("add", [conv(b, x), b.add("global_pool", x, function="max")]),
        lambda b, x: b.add("add", [conv(b, [x, x]), x]),
        lambda b, x: b.add("add", [dw(b, x), x]),
        lambda b, x: b.add("multiply", [conv(b, x), x]),
        lambda b, x: b.add("add", [conv(b, x, seed=8)] * 2),
    ],
)
def test_adds_that_stay(build):
    b, x = builder_of()
    assert alone(b, build(b, x), "residual")[1] == 0


def test_a_convolution_read_twice_takes_no_residual():
    b, x = builder_of()
    y = conv(b, x)
    assert alone(b, [b.add("add", [y, x]), y], "residual")[1] == 0


# --- gate ---


def test_a_gate_scales_what_the_convolution_reads():
    for residual in (False, True):
        b, x = builder_of()
        gated = b.add("multiply", [x, squeeze(b, x)])
        y = conv(b, [gated, x] if residual else gated)
        graph, _ = alone(b, y, "gate")
        assert graph.nodes[-1].inputs[:2] == ("x", "x" if residual else "")
        assert "multiply" not in ops(graph)


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, b.add("multiply", [x, squeeze(b, x)]), size=3),
        lambda b, x: conv(b, b.add("multiply", [x, act(b, x, "sigmoid")])),
        lambda b, x: conv(b, b.add("multiply", [x, squeeze(b, x)]), groups=2),
        lambda b, x: conv(b, b.add("multiply", [x, squeeze(b, x)], activation="relu")),
        lambda b, x: conv(b, b.add("add", [x, squeeze(b, x)])),
        lambda b, x: conv(b, b.add("multiply", [squeeze(b, x), squeeze(b, x)])),
    ],
)
def test_gates_that_stay(build):
    b, x = builder_of()
    assert alone(b, build(b, x), "gate")[1] == 0


def test_a_gated_tensor_with_a_second_use_stays():
    b, x = builder_of()
    gated = b.add("multiply", [x, squeeze(b, x)])
    assert alone(b, [conv(b, gated), gated], "gate")[1] == 0


# --- separable and the blocks that expand ---


def test_inverted_residuals():
    b, x = builder_of()
    y = block(b, block(b, x))
    assert ops(rewritten(b, y)[0]) == ["inverted"] * 2
    assert ops(rewritten(b, y, PAIRS)[0]) == ["conv2d", "separable"] * 2


def test_a_gated_block_keeps_its_last_convolution():
    b, x = builder_of()
    y = block(b, x, gate=True)
    wanted = ["expand_depthwise", "global_pool", "conv2d", "conv2d"]
    graph, counts = rewritten(b, y)
    assert ops(graph) == wanted
    assert counts["gate"] == counts["residual"] == counts["expand_depthwise"] == 1


def test_a_chain_of_separable_blocks_does_not_expand():
    b, x = builder_of()
    for filters in (6, 12, 12, 24):
        x = conv(b, dw(b, x, activation="relu6"), filters, activation="relu6")
    assert ops(rewritten(b, x)[0]) == ["separable"] * 4


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x: conv(b, dw(b, x), size=2),
        lambda b, x: conv(b, dw(b, x), strides=(2, 2)),
        lambda b, x: conv(b, dw(b, x), padding=PADS),
        lambda b, x: conv(b, dw(b, x), groups=2),
        lambda b, x: conv(b, [dw(b, x), "", squeeze(b, x)]),
    ],
)
def test_what_is_not_separable(build):
    b, x = builder_of()
    assert alone(b, build(b, x), "separable")[1] == 0


def test_a_depthwise_result_read_twice_is_not_inside():
    b, x = builder_of()
    y = dw(b, x)
    assert alone(b, [conv(b, y), y], "separable")[1] == 0
    b, x = builder_of()
    y = conv(b, x, 12)
    assert rewritten(b, [conv(b, dw(b, y), 6), y])[1]["inverted"] == 0


def test_names_of_the_model_are_kept():
    b, x = builder_of()
    y = b.add("conv2d", x, source=["Conv1"], kernel=kernel(0, 1, 1, 6, 6))
    y = b.add("affine", y, source=["bn_Conv1"], scale=np.ones(6), offset=np.ones(6))
    y = b.add("activation", y, source=["Conv1_relu"], activation="relu6")
    graph, _ = rewritten(b, y)
    assert graph.nodes[0].source == ("Conv1", "bn_Conv1", "Conv1_relu")
    assert graph.nodes[0].output == y
