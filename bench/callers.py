"""Calls of one layer a second, by threads and by processes.

    python bench/callers.py [--seconds 3]

What a service chooses between: one caller whose calls use all cores; callers on threads of one
process, or in processes of their own, whose calls use one thread each; and both at once, where
more threads than cores take turns. Prints a table of calls a second, of all callers together, and
of how long a call takes.
"""

import argparse
import multiprocessing
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import fastdw
import numpy as np

RNG = np.random.default_rng(0)
LAYER = fastdw.SeparableConv2D(
    RNG.standard_normal((3, 3, 128), np.float32),
    RNG.standard_normal((128, 256), np.float32),
    padding="same",
    activation="relu6",
)
X = RNG.standard_normal((1, 56, 56, 128), np.float32)


def call(num_threads: int, begin: float, seconds: float) -> list[float]:
    """Call from `begin` on, a time of time.monotonic(); the seconds of each call."""
    out = LAYER(X, num_threads=num_threads)
    time.sleep(max(0.0, begin - time.monotonic()))
    times = [time.monotonic()]
    while times[-1] < begin + seconds:
        LAYER(X, out=out, num_threads=num_threads)
        times.append(time.monotonic())
    return np.diff(times).tolist()


def measure(executor: Executor, callers: int, num_threads: int, seconds: float) -> str:
    """Two cells: calls a second, and the milliseconds of a call, median and 99 %."""
    begin = time.monotonic() + 0.2
    runs = [executor.submit(call, num_threads, begin, seconds) for _ in range(callers)]
    took = np.concatenate([run.result() for run in runs])
    median, late = np.percentile(took, [50, 99]) * 1e3
    return f"{took.size / seconds:.0f} | {median:.2f}, {late:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    cores = fastdw.get_num_threads()
    print(f"{cores} cores, 56x56x128, 3x3, to 256\n")
    print("| callers | `num_threads` | calls a second | ms a call, median and 99 % |")
    print("| --- | ---: | ---: | ---: |")
    fork = multiprocessing.get_context("fork")
    for name, callers, num_threads in (
        ("1", 1, cores),
        (f"{cores} threads", cores, 1),
        (f"{cores} threads", cores, cores),
        (f"{cores} processes", cores, 1),
        (f"{cores} processes", cores, cores),
    ):
        pool = ProcessPoolExecutor(callers, fork) if "proc" in name else ThreadPoolExecutor(callers)
        with pool as executor:
            print(
                f"| {name} | {num_threads} | {measure(executor, callers, num_threads, seconds)} |"
            )


if __name__ == "__main__":
    main()
