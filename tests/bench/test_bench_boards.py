"""The model of boards: arithmetic that can be done by hand."""

import numpy as np
import pytest
from fastdw.network._graph import GraphBuilder

from bench import boards

BOARD = boards.Board("a core", 2, 1.0, 2.0, 1 << 11, 1.0)


def graph(size):
    """A depthwise and a pointwise convolution."""
    b = GraphBuilder()
    x = b.input("x", (size, size, 8))
    pads = ((1, 1), (1, 1))
    y = b.add("depthwise", x, kernel=np.ones((3, 3, 8, 1)), padding=pads)
    return b.build(b.add("conv2d", y, kernel=np.ones((1, 1, 8, 8))))


def test_a_step_takes_the_larger_of_two_times():
    plans = boards.plans(graph(64))
    assert [len(g.nodes) for g in plans.values()] == [1, 2]
    (step,) = boards.steps_of(plans["fused"], BOARD, 1)
    pixels = 64 * 64
    assert step.compute == pytest.approx(pixels * 8 * (9 + 8) / 4 * 2 / 1e6)
    # Beyond the cache: what is read and written; the weights fit.
    assert step.memory == pytest.approx(2 * pixels * 8 * 4 / 1e6)
    assert step.time == max(step.compute, step.memory)
    (both,) = boards.steps_of(plans["fused"], BOARD, 4)
    assert both.compute == pytest.approx(step.compute / 2)
    assert both.memory == step.memory


def test_parts_move_the_tensor_between_them():
    plans = boards.plans(graph(64))
    fused, parts = (
        sum(step.memory for step in boards.steps_of(g, BOARD, 1)) for g in plans.values()
    )
    assert parts == pytest.approx(2 * fused)


def test_what_fits_the_cache_is_not_moved():
    fused = boards.plans(graph(3))["fused"]
    assert boards.steps_of(fused, BOARD, 1)[0].memory == 0
