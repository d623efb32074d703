#!/usr/bin/env python3
"""What a step of a network costs beside its arithmetic.

Networks of 100 equal steps on images of 8, 16 and 24 rows of 8 pixels, 8 channels: what is left of
a step's time when the rows are taken away, borders of its window included. On two threads these
steps stay on the caller.

    python bench/steps.py [--threads 1,2] [--repetitions 60]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import fastdw
import numpy as np
from fastdw import Input, Network, ops

STEPS, WIDTH, CHANNELS = 100, 8, 8
ROWS = (8, 16, 24)
CALLS = 20

random = np.random.default_rng(0)


def numbers(*shape: int) -> Any:
    return (0.2 * random.standard_normal(shape)).astype(np.float32)


def kinds() -> dict[str, Callable[[Any, Any], Any]]:
    """The next value, of the last two."""
    pointwise = fastdw.PointwiseConv2D(numbers(CHANNELS, CHANNELS), activation="relu")
    depthwise = fastdw.DepthwiseConv2D(numbers(3, 3, CHANNELS), padding="same")
    separable = fastdw.SeparableConv2D(
        numbers(3, 3, CHANNELS), numbers(CHANNELS, CHANNELS), padding="same"
    )
    return {
        "add": lambda x, before: ops.add(x, before),
        "max pool 3x3": lambda x, before: ops.max_pool(x, 3, 1, "same"),
        "pointwise": lambda x, before: pointwise(x),
        "depthwise 3x3": lambda x, before: depthwise(x),
        "separable 3x3": lambda x, before: separable(x),
    }


def network(step: Callable[[Any, Any], Any], rows: int, steps: int) -> Network:
    start: Any = Input((rows, WIDTH, CHANNELS))
    x, before = start, start
    for _ in range(steps):
        x, before = step(x, before), x
    return Network(start, x)


def nanoseconds(net: Network, rows: int, threads: int, repetitions: int) -> float:
    """Of a call, the best of all."""
    x, out = numbers(rows, WIDTH, CHANNELS), np.empty((rows, WIDTH, CHANNELS), np.float32)
    best = float("inf")
    for _ in range(repetitions):
        begin = time.perf_counter_ns()
        for _ in range(CALLS):
            net(x, out=out, num_threads=threads)
        best = min(best, (time.perf_counter_ns() - begin) / CALLS)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2", metavar="N[,N]")
    parser.add_argument("--repetitions", type=int, default=60)
    options = parser.parse_args()
    print(f"{'step':16}{'threads':>8}{'ns a step':>12}{'beside arithmetic':>20}")
    for name, step in kinds().items():
        for threads in map(int, options.threads.split(",")):
            times = []
            for rows in ROWS:
                many, one = (
                    nanoseconds(network(step, rows, n), rows, threads, options.repetitions)
                    for n in (STEPS, 1)
                )
                times.append((many - one) / (STEPS - 1))
            beside = times[0] - (times[2] - times[0]) / 2
            print(f"{name:16}{threads:8}{times[0]:12.0f}{beside:20.0f}")


if __name__ == "__main__":
    main()
