"""Timing: many engines in turn, in short batches, medians of many rounds.

A clock that drifts or a neighbour that wakes up then meets all engines alike. What counts is the
ratio of two engines inside one measurement, not the time in another one.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import repeat

import numpy as np

Call = Callable[[], object]
Samples = dict[str, list[float]]

# Seconds to watch at a time, and at most in all.
_WATCH, _PATIENCE = 0.005, 0.5


class ColdCache:
    """Pushes everything out of the caches, by writing more than they hold."""

    def __init__(self, cache_bytes: int) -> None:
        self._rubbish = np.zeros(max(2 * cache_bytes, 1 << 24) // 4, np.float32)

    def __call__(self) -> None:
        self._rubbish += 1


def seconds_per_call(call: Call, count: int) -> float:
    start = time.perf_counter_ns()
    for _ in repeat(None, count):
        call()
    return (time.perf_counter_ns() - start) / count / 1e9


def batch_size(call: Call, min_time: float) -> int:
    """How many calls take at least `min_time` seconds together."""
    count = 1
    while (spent := count * seconds_per_call(call, count)) < min_time:
        count = max(2 * count, int(count * min_time / max(spent, 1e-7)))
    return count


def fastest(calls: Mapping[str, Call], min_time: float) -> str:
    """The name of the call that is the fastest in a short trial."""
    if len(calls) == 1:
        return next(iter(calls))
    times = interleaved(calls, 5, min_time / 5)
    return min(times, key=lambda name: statistics.median(times[name]))


def _settle() -> None:
    """Wait until no thread of this process spins, as those of some engines do for 20 ms."""
    for _ in range(round(_PATIENCE / _WATCH)):
        start = time.process_time()
        time.sleep(_WATCH)
        if time.process_time() - start < _WATCH / 10:
            return


def interleaved(
    calls: Mapping[str, Call],
    repetitions: int,
    min_time: float,
    *,
    settle: bool = False,
    before_call: Call | None = None,
) -> Samples:
    """Time each call `repetitions` times, one batch of each a round.

    Parameters
    ----------
    calls : mapping of name to callable
    repetitions : int
        Rounds, and so samples of each call.
    min_time : float
        Seconds that a batch takes at least.
    settle : bool, default False
        Before each batch wait for the threads of the engine before to fall asleep, then run a
        batch untimed, in which those of this one wake up and find cores of their own.
    before_call : callable, optional
        Runs before each call, outside the timed span; batches are then single calls.

    Returns
    -------
    dict of name to list of seconds for one call
    """
    counts = {
        name: 1 if before_call else batch_size(call, min_time) for name, call in calls.items()
    }
    samples: Samples = {name: [] for name in calls}
    names = list(calls)
    order = random.Random(0)
    for _ in range(repetitions):
        # Whoever follows a heavy engine meets a warmer core, or its threads still spinning.
        order.shuffle(names)
        for name in names:
            if settle:
                _settle()
            if before_call:
                before_call()
            else:
                seconds_per_call(calls[name], counts[name] if settle else 1)
            samples[name].append(seconds_per_call(calls[name], counts[name]))
    return samples


def load_average() -> float:
    return os.getloadavg()[0]
