"""Who keeps the GIL: a call whose estimated work is small, and it is small indeed."""

import threading
import time

import fastdw
import numpy as np
import pytest

KEPT_NS = 20e3  # python/call.cpp: less work keeps the GIL
LONGEST = 50e-6  # seconds that a call may keep it, about
NOISE = 4  # how far off a shared machine may be

C = 64


def layer(kind, data_format):
    g = np.random.default_rng(1)
    taps = g.normal(size=(3, 3, C, 1)).astype(np.float32)
    matrix = g.normal(size=(C, C)).astype(np.float32)
    options = {"data_format": data_format, "activation": "gelu"}
    return {
        "depthwise 1x1": lambda: fastdw.DepthwiseConv2D(taps[:1, :1], **options),
        "depthwise 3x3": lambda: fastdw.DepthwiseConv2D(taps, 1, "same", **options),
        "pointwise": lambda: fastdw.PointwiseConv2D(matrix, **options),
        "separable": lambda: fastdw.SeparableConv2D(
            taps, matrix, 1, "same", depthwise_activation="swish", **options
        ),
        "dense": lambda: fastdw.Conv2D(
            np.broadcast_to(matrix, (3, 3, C, C)).copy(), 1, "same", **options
        ),
    }[kind]()


def nanoseconds(made, shape):
    shape, plan = made._planned(shape)
    return made._operator.plan(shape, *plan, 1)["nanoseconds"]


def largest_that_keeps(made, data_format):
    """The widest image of four rows whose call keeps the GIL."""

    def shape(width):
        return (1, C, 4, width) if data_format == "NCHW" else (1, 4, width, C)

    width = 1
    while nanoseconds(made, shape(width + 1)) < KEPT_NS:
        width += 1
    return shape(width)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    "kind", ["depthwise 1x1", "depthwise 3x3", "pointwise", "separable", "dense"]
)
def test_no_call_keeps_it_for_long(forced_isa, kind, data_format):
    made = layer(kind, data_format)
    x = np.ones(largest_that_keeps(made, data_format), np.float32)
    out = made(x)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        made(x, out=out, num_threads=1)
        times.append(time.perf_counter() - start)
    assert min(times) < NOISE * LONGEST


def test_a_large_call_lets_others_run():
    """A second thread goes on counting while a call of some milliseconds computes.

    Not in each call: on a busy machine it may not get a core in time.
    """
    made = layer("separable", "NHWC")
    x = np.ones((1, 200, 200, C), np.float32)
    out = made(x)
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        during = []
        for _ in range(20):
            before = counted[0]
            made(x, out=out, num_threads=1)
            during.append(counted[0] - before)
    finally:
        stop.set()
        thread.join()
    assert max(during) > 10
