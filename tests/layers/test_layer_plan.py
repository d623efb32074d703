"""Plans, which need no arrays: every output once, scratch within its bound, even shares."""

import heapq
import itertools
from math import prod

import numpy as np
import pytest
from fastdw import _core
from hypothesis import given
from hypothesis import strategies as st
from support import CLAMP

SCRATCH_FLOATS = 64 * 1024
MOST_THREADS = 9

sizes = st.integers(1, 120)
channels = st.sampled_from([1, 3, 8, 11, 16, 24, 40, 64, 96, 144, 320, 512, 1024])


@st.composite
def problems(draw):
    """(operator, shape of x, shape of the result, geometry, pixels of the result)."""
    kind = draw(st.sampled_from(["depthwise", "pointwise", "separable"]))
    isa = draw(st.sampled_from(_core.config()["isas"]["supported"]))
    planar = draw(st.booleans())
    c, filters = draw(channels), draw(channels)
    k, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 3))
    images, height, width = draw(st.integers(1, 3)), draw(sizes), draw(sizes)
    depthwise = pointwise = None
    if kind != "pointwise":
        taps = np.zeros((k, k, c, 1), np.float32)
        depthwise = _core.Depthwise(taps, None, CLAMP, isa, fused=kind == "separable")
    else:
        k = stride = 1
    if kind != "depthwise":
        pointwise = _core.Pointwise(np.zeros((c, filters), np.float32), None, CLAMP, isa)
    operator = _core.Operator(depthwise, pointwise, None, planar)
    out_height, out_width = -(-height // stride), -(-width // stride)
    results = filters if pointwise else c

    def shape(h, w, depth):
        return (images, depth, h, w) if planar else (images, h, w, depth)

    geometry = (stride, stride, 1, 1, k // 2, k // 2)
    x, out = shape(height, width, c), shape(out_height, out_width, results)
    return operator, x, out, geometry, (images, out_height, out_width, results)


def covered(plan, tasks):
    """How often each output is computed; panels of a share count as all."""
    count = np.zeros(plan["plane"], int)
    for image, row, rows, column, columns, _, _, share in tasks:
        assert rows > 0
        assert columns > 0
        if share == 0:
            count[image, row : row + rows, column : column + columns] += 1
    return count


@given(problems(), st.integers(1, MOST_THREADS))
def test_every_output_is_computed_once(problem, threads):
    operator, x, out, geometry, shape = problem
    plan = operator.plan(x, out, geometry, threads)
    assert prod(plan["plane"]) == prod(shape[:3])
    parts = {task[-1] for task in plan["tasks"]}
    assert parts == set(range(plan["panel_shares"]))
    by_channel = itertools.groupby(
        sorted(plan["tasks"], key=lambda task: task[5:7]), key=lambda task: task[5:7]
    )
    ranges = []
    for channel_range, tasks in by_channel:
        ranges.append(channel_range)
        assert (covered(plan, tasks) == 1).all()
    if len(ranges) > 1:
        assert [first for first, _ in ranges] == [0, *np.cumsum([n for _, n in ranges])[:-1]]
        assert sum(n for _, n in ranges) == shape[3]


@given(problems(), st.integers(1, MOST_THREADS))
def test_scratch_stays_within_its_bound(problem, threads):
    operator, x, out, geometry, _ = problem
    plan = operator.plan(x, out, geometry, threads)
    assert 1 <= plan["threads"] <= threads
    # One pixel of very many channels may need more than there is for all.
    least = 4 * max(x[1], x[3], out[1], out[3])
    assert plan["scratch_floats"] <= SCRATCH_FLOATS + 16 * least


@pytest.mark.parametrize("threads", range(2, MOST_THREADS))
@pytest.mark.parametrize("size", [28, 56, 112])
def test_shares_are_even(isa, size, threads):
    """No thread has more than a quarter above its share of the pixels."""
    depthwise = _core.Depthwise(np.zeros((3, 3, 128, 1), np.float32), None, CLAMP, isa, fused=True)
    pointwise = _core.Pointwise(np.zeros((128, 128), np.float32), None, CLAMP, isa)
    shape = (1, size, size, 128)
    plan = _core.Operator(depthwise, pointwise).plan(shape, shape, (1, 1, 1, 1, 1, 1), threads)
    assert plan["threads"] == threads
    tasks = [rows * columns for _, _, rows, _, columns, _, _, _ in plan["tasks"]]
    assert longest(tasks, threads) * threads <= 1.25 * size * size


@pytest.mark.parametrize("size", [7, 14])
def test_shares_are_even_where_rows_and_columns_are_not(isa, size):
    """Row by row two threads take 28 and 21 pixels of 7×7, by diagonals 25 and 24."""
    depthwise = _core.Depthwise(np.zeros((3, 3, 960, 1), np.float32), None, CLAMP, isa, fused=True)
    pointwise = _core.Pointwise(np.zeros((960, 160), np.float32), None, CLAMP, isa)
    shapes = (1, size, size, 960), (1, size, size, 160)
    plan = _core.Operator(depthwise, pointwise).plan(*shapes, (1, 1, 1, 1, 1, 1), 2)
    tasks = [rows * columns for _, _, rows, _, columns, _, _, _ in plan["tasks"]]
    assert 2 * longest(tasks, 2) <= size * size + 3


def longest(tasks, threads):
    """Each thread has as many neighbours; who is done with them takes the next of another's."""
    ends = [len(tasks) * i // threads for i in range(threads + 1)]
    left = [tasks[begin:end] for begin, end in itertools.pairwise(ends)]
    busy = [(0, thread) for thread in range(threads)]
    while any(left):
        time, thread = busy[0]
        mine = next(t for t in (*left[thread:], *left[:thread]) if t)
        heapq.heapreplace(busy, (time + mine.pop(0), thread))
    return max(busy)[0]


@pytest.mark.parametrize("pixels", [196, 784])
@pytest.mark.parametrize("threads", [2, 3, 4])
def test_pixels_are_shared_evenly(isa, pixels, threads):
    """A buffer limits blocks, to three of 196 pixels; threads want as many each."""
    weights = _core.Pointwise(np.zeros((384, 64), np.float32), None, CLAMP, isa)
    shapes = (1, 1, pixels, 384), (1, 1, pixels, 64)
    plan = _core.Operator(None, weights).plan(*shapes, (1, 1, 1, 1, 0, 0), threads)
    tasks = [task[4] for task in plan["tasks"] if task[-1] == 0]
    assert len(tasks) % threads == 0
    assert max(tasks) - min(tasks) <= 1


def test_weights_are_worth_threads_too(isa):
    """One pixel of 960 channels → 240 is few products, but 900 KB."""
    weights = _core.Pointwise(np.zeros((960, 240), np.float32), None, CLAMP, isa)
    plan = _core.Operator(None, weights).plan((1, 1, 1, 960), (1, 1, 1, 240), (1, 1, 1, 1, 0, 0), 2)
    assert plan["threads"] == 2
    assert plan["panel_shares"] > 1


def test_one_cost_for_all(isa):
    """A curve, a copy, another layout cost something; so threads and the GIL see them."""

    def cost(activation=CLAMP, planar=False, channels=64):
        kernel = np.zeros((3, 3, channels, 1), np.float32)
        half = _core.Depthwise(kernel, None, activation, isa)
        shape = (1, channels, 20, 20) if planar else (1, 20, 20, channels)
        operator = _core.Operator(half, None, None, planar)
        return operator.plan(shape, shape, (1, 1, 1, 1, 1, 1), 1)["nanoseconds"]

    assert cost(_core.Activation("gelu")) > 1.5 * cost()
    assert cost(planar=True) > 1.2 * cost()
    assert cost(channels=128) == pytest.approx(2 * cost())


def test_a_plan_is_text():
    depthwise = _core.Depthwise(np.zeros((3, 3, 32, 1), np.float32), None, CLAMP, fused=True)
    pointwise = _core.Pointwise(np.zeros((32, 64), np.float32), None, CLAMP)
    operator = _core.Operator(depthwise, pointwise)
    plan = operator.plan((1, 56, 56, 32), (1, 56, 56, 64), (1, 1, 1, 1, 1, 1), 2)
    for word in ("dwconv_3x3_s1", "pointwise", "blocks", "threads", "scratch", "56 x 56"):
        assert word in plan["text"]
