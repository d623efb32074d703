"""Inverted residuals in networks: bits as of their parts, arenas, steps."""

import pytest
from blocks import ALL, PAIRS, act, builder_of, conv, dw, squeeze
from bounds import run_program
from fastdw import _core
from fastdw.network._graph import rounded
from fastdw.network._lower import lower
from fastdw.network._rewrite import rewrite
from support import assert_same, rng, signed
from test_architectures import efficientnet_b0, mobilenet_v2

pytestmark = pytest.mark.emulated

MIB = 2**20


def block(b, x, wide, size, stride, gate, function="relu6"):
    """Expand, depthwise, perhaps a gate, project, perhaps a residual."""
    y = conv(b, x, wide, activation=function, seed=11)
    pads = ((size // 2,) * 2,) * 2
    y = dw(b, y, size, activation=function, strides=(stride,) * 2, padding=pads, seed=12)
    y = b.add("multiply", [y, squeeze(b, y)]) if gate else y
    y = conv(b, y, b.shape(x)[2], seed=13)
    return b.add("add", [y, x]) if stride == 1 else y


def outputs(graph, enabled, x, threads):
    program = lower(rounded(rewrite(graph, enabled=enabled)[0]))
    return run_program(program, graph, [x], threads)[0]


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize(
    ("shape", "wide", "size", "stride"),
    [
        ((90, 82, 8), 96, 3, 2),
        ((52, 60, 8), 48, 3, 1),
        ((14, 13, 24), 90, 5, 1),
        ((9, 7, 8), 40, 5, 2),
    ],
)
def test_fused_blocks_have_the_bits_of_their_parts(forced_isa, shape, wide, size, stride, gate):
    """Above and below what is kept between two steps, of two images."""
    b, x = builder_of(*shape)
    y = block(b, x, wide, size, stride, gate, "hard_swish" if size == 5 else "relu6")
    graph = b.build(y)
    data = signed(rng(1), (2, *shape))
    wanted = outputs(graph, PAIRS, data, 1)
    for threads in (1, 2, 5):
        assert_same(outputs(graph, ALL, data, threads), wanted)


def test_averages_of_what_else_is_read():
    """Row sums are made for all averages of a depthwise result, and for no maximum."""
    b, x = builder_of(11, 9, 6)
    y = dw(b, x, activation="relu")
    z = dw(b, y, seed=9)
    pools = [b.add("global_pool", name, function=f) for name in (y, z) for f in ("average", "max")]
    again = b.add("global_pool", act(b, y, "tanh"), function="average")
    graph = rounded(b.build([*pools, again, y]))
    data = signed(rng(2), (11, 9, 6))
    got = run_program(lower(graph), graph, [data])
    for i, name in enumerate((y, z)):
        alone = b.build(name)
        value = run_program(lower(rounded(alone)), alone, [data])[0]
        other = builder_of(11, 9, 6)[0]
        for j, function in enumerate(("average", "max")):
            pool = other.build(other.add("global_pool", "x", function=function))
            assert_same(got[2 * i + j], run_program(lower(pool), pool, [value])[0])


def test_a_gate_that_lies_elsewhere():
    """Channels first: what is scaled must have its channels side by side, by a copy if need be."""
    b, x = builder_of(6, 12, 10)
    turned = b.add("transpose", x, axes=(1, 2, 0))
    gate = b.add("transpose", squeeze(b, turned), axes=(2, 0, 1))
    gate = b.add("transpose", gate, axes=(1, 2, 0))
    y = b.add("multiply", [turned, gate])
    graph = rounded(b.build(conv(b, y, 4)))
    data = signed(rng(3), (6, 12, 10))
    assert_same(outputs(graph, ALL, data, 2), run_program(lower(graph), graph, [data])[0])


@pytest.mark.parametrize(
    ("build", "most"), [(mobilenet_v2, 2.5), (efficientnet_b0, 3.3)], ids=lambda v: str(v)[:20]
)
def test_arenas_of_published_networks(build, most):
    """No expanded tensor, and no depthwise result above what is kept."""
    program = lower(rounded(rewrite(build())[0]))
    assert 4 * program.arena.size <= most * MIB


def test_only_small_depthwise_results_are_kept():
    kept = _core.kept_bytes()
    for wide, steps in ((kept // 4 // 400, 2), (kept // 4 // 400 + 1, 1)):
        b, x = builder_of(20, 20, 4)
        y = block(b, x, wide, 3, 1, gate=False)
        program = lower(rounded(rewrite(b.build(y))[0]))
        assert len(program.nodes) == steps
