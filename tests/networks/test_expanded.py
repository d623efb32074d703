"""Blocks that expand first: bits as of their parts one after the other, and their plans."""

import itertools
from math import prod

import numpy as np
import pytest
from fastdw import _core
from hypothesis import given
from hypothesis import strategies as st
from support import CLAMP, assert_same, rng, signed, thin

RELU6 = _core.Activation("clamp", 0.0, 6.0)
SWISH = _core.Activation("swish")

# Input channels, expanded, rows, columns, kernel, stride, dilation, multiplier.
BLOCKS = [
    (8, 24, 9, 11, 3, 1, 1, 1),
    (3, 11, 7, 5, 3, 1, 1, 1),
    (16, 96, 23, 30, 3, 2, 1, 1),
    (24, 144, 14, 14, 3, 1, 1, 1),
    (40, 120, 13, 10, 5, 1, 1, 1),
    (24, 72, 18, 17, 5, 2, 1, 1),
    (12, 200, 7, 7, 5, 1, 1, 1),
    (10, 40, 16, 9, 3, 1, 2, 1),
    (6, 20, 9, 9, 3, 1, 3, 1),
    (5, 18, 8, 9, 3, 2, 1, 2),
    (4, 30, 1, 9, 3, 1, 1, 1),
    (4, 30, 12, 1, 7, 3, 1, 1),
    (4, 30, 12, 10, 1, 2, 1, 1),
    (9, 70, 40, 6, 2, 4, 1, 1),
    (7, 65, 60, 64, 3, 1, 1, 1),
]


def geometry(size, kernel, stride, dilation, pad):
    """Geometry of one axis: outputs, and its three numbers."""
    extent = (kernel - 1) * dilation + 1
    outputs = max((size + 2 * pad - extent) // stride + 1, 1)
    return outputs, stride if outputs > 1 else 1, dilation if kernel > 1 else 1


class Block:
    """Weights of a block, and how its parts compute it."""

    def __init__(self, isa, case, activation=RELU6, pad=None, residual=False, filters=20):
        depth, wide, height, width, k, stride, dilation, multiplier = case
        g = rng(prod(case))
        pad = (k - 1) * dilation // 2 if pad is None else pad
        rows, stride_h, dilation_h = geometry(height, k, stride, dilation, pad)
        columns, stride_w, dilation_w = geometry(width, k, stride, dilation, pad)
        self.geometry = (stride_h, stride_w, dilation_h, dilation_w, pad, pad)
        self.x = signed(g, (2, height, width, depth))
        self.expand = _core.Pointwise(signed(g, (depth, wide)), signed(g, wide), activation, isa)
        taps = signed(g, (k, k, wide, multiplier))
        bias = signed(g, wide * multiplier)
        self.depthwise = _core.Depthwise(taps, bias, activation, isa)
        self.fused = _core.Depthwise(taps, bias, activation, isa, fused=True)
        self.project = _core.Pointwise(signed(g, (wide * multiplier, filters)), None, CLAMP, isa)
        self.middle = (2, height, width, wide)
        self.spread = (2, rows, columns, wide * multiplier)
        self.shape = (2, rows, columns, filters)
        self.residual = signed(g, self.shape) if residual else None

    def expanded(self):
        middle, spread = (np.full(s, np.nan, np.float32) for s in (self.middle, self.spread))
        _core.Operator(None, self.expand).run(self.x, None, middle, (1, 1, 1, 1, 0, 0), 1)
        _core.Operator(self.depthwise, None).run(middle, None, spread, self.geometry, 1)
        return spread

    def projected(self):
        out = np.full(self.shape, np.nan, np.float32)
        operator = _core.Operator(None, self.project)
        operator.run(self.expanded(), self.residual, out, (1, 1, 1, 1, 0, 0), 1)
        return out


@pytest.mark.emulated
@pytest.mark.parametrize("case", thin(BLOCKS), ids=str)
def test_expanded_channels_have_the_bits_of_the_parts(isa, case):
    for activation, pad in ((RELU6, None), (SWISH, 0)):
        block = Block(isa, case, activation, pad)
        operator = _core.Operator(block.depthwise, None, expand=block.expand)
        wanted = block.expanded()
        for threads in (1, 2, 3, 8):
            got = np.full(block.spread, np.nan, np.float32)
            operator.run(block.x, None, got, block.geometry, threads)
            assert_same(got, wanted)


@pytest.mark.emulated
@pytest.mark.parametrize("case", thin(BLOCKS), ids=str)
def test_inverted_residuals_have_the_bits_of_the_parts(isa, case):
    for activation, pad, residual in ((RELU6, None, True), (SWISH, 0, False)):
        block = Block(isa, case, activation, pad, residual)
        operator = _core.Operator(block.fused, block.project, expand=block.expand)
        wanted = block.projected()
        for threads in (1, 2, 3, 8):
            got = np.full(block.shape, np.nan, np.float32)
            operator.run(block.x, block.residual, got, block.geometry, threads)
            assert_same(got, wanted)


def test_views_with_channels_side_by_side(isa):
    block = Block(isa, BLOCKS[3])
    whole = signed(rng(1), (2, 20, 20, 40))
    block.x = whole[:, 2:16, 3:17, 8:32]
    wanted = block.expanded()
    memory = np.full((2, 15, 15, 150), np.nan, np.float32)
    got = memory[:, 1:, :-1, 3:147]
    operator = _core.Operator(block.depthwise, None, expand=block.expand)
    operator.run(block.x, None, got, block.geometry, 2)
    assert_same(got, wanted)
    got[...] = np.nan
    assert np.isnan(memory).all()


def test_parts_that_do_not_fit_are_refused(isa):
    block = Block(isa, BLOCKS[0])
    pre = _core.Activation("clamp", 0.0, 1.0)
    other = Block(isa, BLOCKS[1])
    out = np.empty(block.spread, np.float32)
    planar = np.ascontiguousarray(block.x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    for operator, x in (
        (_core.Operator(block.depthwise, None, pre, expand=block.expand), block.x),
        (_core.Operator(block.depthwise, None, expand=other.expand), block.x),
        (_core.Operator(block.depthwise, None, expand=block.expand), other.x),
        (_core.Operator(block.depthwise, None, expand=block.expand), planar),
    ):
        with pytest.raises(ValueError, match=r"expand|x"):
            operator.run(x, None, out, block.geometry, 1)
    with pytest.raises(ValueError, match="expand"):
        _core.Operator(None, block.project, expand=block.expand).run(
            signed(rng(0), block.spread),
            None,
            np.empty(block.shape, np.float32),
            (1, 1, 1, 1, 0, 0),
            1,
        )


# --- plans ---

WIDTHS = st.integers(1, 130)
CHANNELS = st.sampled_from([11, 16, 24, 40, 72, 96, 144, 384, 960])


@st.composite
def problems(draw):
    isa = draw(st.sampled_from(_core.config()["isas"]["supported"]))
    wide, k, stride = draw(CHANNELS), draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    height, width = draw(WIDTHS), draw(WIDTHS)
    project = draw(st.booleans())
    expand = _core.Pointwise(np.zeros((8, wide), np.float32), None, CLAMP, isa)
    taps = np.zeros((k, k, wide, 1), np.float32)
    depthwise = _core.Depthwise(taps, None, CLAMP, isa, fused=project)
    pointwise = (
        _core.Pointwise(np.zeros((wide, 24), np.float32), None, CLAMP, isa) if project else None
    )
    operator = _core.Operator(depthwise, pointwise, expand=expand)
    out = (1, -(-height // stride), -(-width // stride), 24 if project else wide)
    return operator, (1, height, width, 8), out, (stride, stride, 1, 1, k // 2, k // 2)


@given(problems(), st.integers(1, 9))
def test_plans_compute_every_output_once(problem, threads):
    operator, x, out, geometry, *_ = problem
    plan = operator.plan(x, out, geometry, threads)
    count = np.zeros((plan["panel_shares"], *out[:3]), int)
    for image, row, rows, column, columns, _, _, share in plan["tasks"]:
        assert min(rows, columns) > 0
        count[share, image, row : row + rows, column : column + columns] += 1
    assert (count == 1).all()


@given(problems(), st.integers(1, 9))
def test_scratch_is_bounded_by_the_width(problem, threads):
    """With all channels: 256 KB, or what one column needs; with shares of them: some rows."""
    operator, x, out, geometry, *_ = problem
    plan = operator.plan(x, out, geometry, threads)
    least = 16 * 1024 + 64 * out[3] * 7
    rows = (6 * geometry[0] + 5) * x[2] * 80
    assert plan["scratch_floats"] <= 64 * 1024 + 2 * least + (0 if out[3] == 24 else 2 * rows)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("wide", [96, 144, 576])
def test_shares_are_even(isa, wide, threads):
    """No thread has more than a third above its share, rows that are expanded twice included."""
    expand = _core.Pointwise(np.zeros((24, wide), np.float32), None, CLAMP, isa)
    depthwise = _core.Depthwise(np.zeros((3, 3, wide, 1), np.float32), None, CLAMP, isa)
    shape = (1, 28, 28, wide)
    operator = _core.Operator(depthwise, None, expand=expand)
    plan = operator.plan((1, 28, 28, 24), shape, (1, 1, 1, 1, 1, 1), threads)
    tasks = [min(rows + 2, 28) for _, _, rows, *_ in plan["tasks"]]
    ends = [len(tasks) * i // threads for i in range(threads + 1)]
    longest = max(sum(tasks[begin:end]) for begin, end in itertools.pairwise(ends))
    assert longest * threads <= 1.34 * 28 * plan["panel_shares"]


def test_shares_that_are_left_over_are_cut_into_rows():
    """Five shares for two threads: two for each, and half the rows of the last."""
    expand = _core.Pointwise(np.zeros((256, 300), np.float32), None, CLAMP, "scalar")
    depthwise = _core.Depthwise(np.zeros((3, 3, 300, 1), np.float32), None, CLAMP, "scalar")
    operator = _core.Operator(depthwise, None, expand=expand)
    plan = operator.plan((1, 7, 7, 256), (1, 7, 7, 300), (1, 1, 1, 1, 1, 1), 2)
    assert plan["panel_shares"] == 5
    shares = [(row, rows, share) for _, row, rows, *_, share in plan["tasks"]]
    assert shares == [(0, 7, 0), (0, 7, 1), (0, 3, 4), (0, 7, 2), (0, 7, 3), (3, 4, 4)]


def test_a_plan_is_text():
    block = Block(None, BLOCKS[3])
    operator = _core.Operator(block.depthwise, None, expand=block.expand)
    plan = operator.plan(block.x.shape, block.spread, block.geometry, 2)
    for word in ("expand", "slab", "dwconv_3x3_s1"):
        assert word in plan["text"]
