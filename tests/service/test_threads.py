"""Threads: the caller's choice; never other bits."""

import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import bits
import fastdw
import numpy as np
import pytest
from fastdw import _core
from support import rng, signed


def layers():
    """Layers, and inputs big enough to be worth several threads."""
    g = rng(1)
    separable = fastdw.SeparableConv2D(
        signed(g, (3, 3, 48)), signed(g, (48, 64)), padding="same", activation="relu6"
    )
    late = fastdw.SeparableConv2D(signed(g, (3, 3, 256)), signed(g, (256, 200)), padding="same")
    return [
        (separable, signed(g, (2, 40, 41, 48))),
        (late, signed(g, (1, 7, 7, 256))),
        (fastdw.DepthwiseConv2D(signed(g, (5, 5, 48)), 2, "same"), signed(g, (1, 40, 41, 48))),
        (fastdw.PointwiseConv2D(signed(g, (48, 72))), signed(g, (1, 40, 41, 48))),
        (separable, signed(g, (1, 5, 5, 48))),
    ]


@pytest.mark.emulated
def test_same_bits_for_every_number_of_threads(forced_isa):
    for layer, x in layers():
        results = [layer(x, num_threads=n).tobytes() for n in (1, 2, 3, 4, 5, 6, 7, 8, 40)]
        assert len(set(results)) == 1


@pytest.mark.emulated
@pytest.mark.parametrize("case", [case for case in bits.CASES if not case.startswith("curve")])
def test_same_bits_of_the_stored_cases(forced_isa, case):
    digests = set()
    for count in range(1, 9):
        with fastdw.threads(count):
            digests.add(bits.digest(case))
    assert len(digests) == 1


@pytest.mark.emulated
@pytest.mark.parametrize("size", [(7, 7), (14, 14), (5, 9), (2, 30), (16, 4)])
def test_same_bits_where_threads_share_a_small_plane(forced_isa, size):
    g = rng(2)
    layer = fastdw.SeparableConv2D(
        signed(g, (3, 3, 200)), signed(g, (200, 200)), padding="same", activation="hard_swish"
    )
    x, residual = signed(g, (2, 1, *size, 200))
    results = [layer(x, residual=residual, num_threads=n).tobytes() for n in range(1, 9)]
    assert len(set(results)) == 1


def test_as_many_threads_as_asked_for_are_started():
    layer, x = layers()[0]
    layer(x, num_threads=6)
    assert _core.config()["pool"]["threads"] >= 5
    assert fastdw.show_config(mode="dict")["pool"] == _core.config()["pool"]


@pytest.fixture
def process_default():
    before = fastdw.get_num_threads()
    yield before
    fastdw.set_num_threads(before)


def test_an_object_of_threads_is_used_again(process_default):
    fastdw.set_num_threads(3)
    five, two = fastdw.threads(5), fastdw.threads(2)
    for _ in range(2):
        with five, two, five:
            assert fastdw.get_num_threads() == 5
            with two:
                assert fastdw.get_num_threads() == 2
            assert fastdw.get_num_threads() == 5
        assert fastdw.get_num_threads() == 3

    def inside(_):
        with five:
            time.sleep(0.01)
            assert fastdw.get_num_threads() == 5
        return fastdw.get_num_threads()

    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(inside, range(16))) == [3] * 16
    with pytest.raises(KeyError), five:
        raise KeyError
    assert fastdw.get_num_threads() == 3


def test_who_decides_the_number_of_threads(process_default):
    fastdw.set_num_threads(3)
    assert fastdw.get_num_threads() == 3
    with fastdw.threads(5):
        assert fastdw.get_num_threads() == 5
        with fastdw.threads(2):
            assert fastdw.get_num_threads() == 2
        fastdw.set_num_threads(7)
        assert fastdw.get_num_threads() == 5
        with ThreadPoolExecutor(1) as other:
            assert other.submit(fastdw.get_num_threads).result() == 7
    assert fastdw.get_num_threads() == 7
    with pytest.raises(KeyError), fastdw.threads(4):
        raise KeyError
    assert fastdw.get_num_threads() == 7


@pytest.mark.parametrize("function", [fastdw.set_num_threads, fastdw.threads])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (-1, ValueError), (1025, ValueError), (2**70, ValueError),
     (2.0, TypeError), ("4", TypeError), (True, TypeError), (None, TypeError)],
)  # fmt: skip
def test_refused_numbers_of_threads(process_default, function, value, error):
    with pytest.raises(error, match="num_threads") as caught:
        function(value)
    assert type(caught.value) is error
    assert fastdw.get_num_threads() == process_default


@pytest.mark.parametrize("value", [1, 1024, np.int64(4)])
def test_accepted_numbers_of_threads(process_default, value):
    fastdw.set_num_threads(value)
    assert fastdw.get_num_threads() == value


def test_workers_may_run_wherever_the_process_may():
    """Also after they were kept off their caller's CPU for a moment."""
    code = """
        import os, time, numpy as np, fastdw
        layer = fastdw.PointwiseConv2D(np.ones((64, 64), np.float32))
        x = np.ones((1, 64, 64, 64), np.float32)
        for _ in range(30):
            layer(x, num_threads=4)
            time.sleep(0.001)  # longer than workers spin
        time.sleep(0.1)
        masks = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
        assert len(masks) >= 4, masks
        assert all(mask == os.sched_getaffinity(0) for mask in masks), masks
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
