"""What the machine can do at most: multiply-adds in registers, and copies at every cache level."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from fastdw import _core

from .measure import Call

# Does something so many times; returns how much that was.
Work = Callable[[int], int]

_REPETITIONS = 20


def arithmetic(isa: str, threads: int, min_time: float) -> dict[str, Any]:
    """FLOP/s of a loop that does nothing but multiply-adds, on `threads` threads at once."""
    work = [functools.partial(_core.fma_loop, isa)] * threads
    # Significant digits: a try that was too short to measure is little, but never nothing.
    gflops = float(f"{_rate(work, min_time) / 1e9:.5g}")
    return {"threads": threads, "isa": isa, "gflops": gflops}


def loop(isa: str, threads: int, min_time: float) -> tuple[Call, int]:
    """Return a call that does nothing but multiply-adds for `min_time`, and their FLOPs.

    On several threads it also starts them, some 50 µs.
    """
    work = [functools.partial(_core.fma_loop, isa)] * threads
    count = _enough(work[0], min_time)
    return functools.partial(_seconds, work, count), sum(worker(count) for worker in work)


def bandwidth(num_bytes: int, threads: int, min_time: float) -> dict[str, Any]:
    """Copy speed over a working set that the threads share, reads and writes counted together."""
    work = [_copier(num_bytes // threads) for _ in range(threads)]
    rate = round(_rate(work, min_time) / 1e9, 1)
    return {"bytes": num_bytes, "threads": threads, "gb_per_second": rate}


def working_sets(caches: list[dict[str, Any]]) -> list[int]:
    """Half of each cache from the second level on, and four times the last: in memory."""
    sizes = sorted({int(cache["bytes"]) for cache in caches if cache["level"] > 1})
    return [size // 2 for size in sizes] + [max(4 * max(sizes, default=0), 1 << 26)]


def _copier(num_bytes: int) -> Work:
    source = np.ones(num_bytes // 8, np.float32)
    target = np.zeros_like(source)

    def copy(count: int) -> int:
        for _ in repeat(None, count):
            np.copyto(target, source)
        return count * 2 * source.nbytes

    return copy


def _rate(work: Sequence[Work], min_time: float) -> float:
    """Units a second of all workers together, one on a thread: the best of some tries."""
    count = _enough(work[0], min_time)
    done = sum(worker(count) for worker in work)
    return max(done / _seconds(work, count) for _ in range(_REPETITIONS))


def _enough(worker: Work, min_time: float) -> int:
    count = 1
    while _seconds([worker], count) < min_time:
        count *= 2
    return count


def _seconds(work: Sequence[Work], count: int) -> float:
    helpers = [threading.Thread(target=worker, args=(count,)) for worker in work[1:]]
    start = time.perf_counter()
    for helper in helpers:
        helper.start()
    work[0](count)
    for helper in helpers:
        helper.join()
    return time.perf_counter() - start
