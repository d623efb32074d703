"""Let a process compute for minutes or days, and watch that it does not grow.

    python tests/long/soak.py                    a quarter of an hour
    python tests/long/soak.py --minutes 1440     a day
    python tests/long/soak.py --calls 1000000    a million calls, each of a shape of its own

Threads call layers and functions of random shapes, layouts and numbers of threads, build and
pickle layers, make calls that are refused, come and go; the process forks children that compute.
One result in fifty is compared with the float64 reference, within the bound of rounding. Between
rounds, when all is quiet, the resident memory, the threads, the descriptors and Python's memory
blocks are counted.

The code is 0 where, after the warm-up, memory grew by less than 1 MiB (in runs above an hour: by
less than 1 MiB an hour), and threads, descriptors and blocks did not grow.
"""

import argparse
import array
import collections
import contextlib
import ctypes
import gc
import itertools
import os
import pathlib
import pickle
import random
import signal
import statistics
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import fastdw
import numpy as np
import numpy.testing  # now: a child forked during an import would wait for it forever

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import support

Sample = collections.namedtuple("Sample", "seconds rss threads descriptors blocks")

POOL = np.random.default_rng(1).uniform(-1, 1, 2**20).astype(np.float32)
LIBC = ctypes.CDLL(None)


def values(*shape):
    """Numbers of a shape, always the same memory."""
    count = int(np.prod(shape))
    return POOL[:count].reshape(shape)


def keep_no_free_memory():
    """Without this, what the C library keeps for later, a heap a thread, hides what is lost."""
    if hasattr(LIBC, "mallopt"):
        arena_max, mmap_threshold = -8, -3
        LIBC.mallopt(arena_max, 1)
        LIBC.mallopt(mmap_threshold, 128 * 1024)


def sample(start):
    gc.collect()
    if hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)
    with open("/proc/self/statm") as file:
        rss = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    threads, descriptors = (len(os.listdir(f"/proc/self/{name}")) for name in ("task", "fd"))
    return Sample(time.monotonic() - start, rss, threads, descriptors, sys.getallocatedblocks())


class Soup:
    """The random calls of one thread."""

    def __init__(self, seed):
        self.choose = random.Random(seed)
        self.layer = None

    def call(self):
        choose = self.choose
        kinds = (self.depthwise, self.pointwise, self.separable, self.prepared, self.refused)
        choose.choice(kinds)()

    def geometry(self):
        choose = self.choose
        return {
            "strides": choose.choice([1, 1, 2, (2, 1), 3]),
            "padding": choose.choice(["same", "same_lower", "valid", 1, ((0, 1), (2, 0))]),
            "dilation_rate": choose.choice([1, 1, 1, (1, 2)]),
        }

    def image(self, channels):
        choose = self.choose
        height, width = choose.randint(10, 40), choose.randint(10, 40)
        if choose.random() < 0.5:
            return values(choose.randint(0, 3), height, width, channels), "NHWC"
        return values(choose.randint(0, 3), channels, height, width), "NCHW"

    def kernels(self):
        choose = self.choose
        channels, multiplier = choose.randint(1, 70), choose.choice([1, 1, 1, 2])
        size = choose.choice([(3, 3), (3, 3), (5, 5), (1, 4)])
        middle = channels * multiplier
        return values(*size, channels, multiplier), values(middle, choose.randint(1, 70))

    def checked(self, operator, twin, *arguments, **options):
        got = operator(*arguments, **options, num_threads=self.choose.randint(1, 4))
        if self.choose.random() < 0.02:  # the reference is slow
            support.assert_within(got, twin(*arguments, **options))

    def depthwise(self):
        taps, _ = self.kernels()
        x, layout = self.image(taps.shape[2])
        self.checked(
            fastdw.depthwise_conv2d, support.depthwise, x, taps,
            **self.geometry(), data_format=layout, bias=values(taps.shape[2] * taps.shape[3]),
            activation=self.choose.choice([None, "relu6", "swish"]),
        )  # fmt: skip

    def pointwise(self):
        _, mixer = self.kernels()
        x, layout = self.image(len(mixer))
        self.checked(
            fastdw.pointwise_conv2d, support.pointwise, x, mixer, layout,
            activation=self.choose.choice([None, "relu", ("prelu", values(mixer.shape[1]))]),
        )  # fmt: skip

    def separable(self):
        taps, mixer = self.kernels()
        x, layout = self.image(taps.shape[2])
        self.checked(
            fastdw.separable_conv2d, support.separable, x, taps, mixer,
            **self.geometry(), data_format=layout,
            pre_activation=self.choose.choice([None, "relu"]),
        )  # fmt: skip

    def prepared(self):
        """A layer that lives for some calls, and its pickled twin, of the same bits."""
        if self.layer is None or self.choose.random() < 0.2:
            taps, mixer = self.kernels()
            channels = taps.shape[2]
            normal = fastdw.BatchNorm(None, None, values(channels), values(channels) ** 2, 1e-3)
            self.layer = fastdw.SeparableConv2D(
                taps, mixer, padding="same",
                depthwise_batch_norm=normal if taps.shape[3] == 1 else None,
            )  # fmt: skip
            self.twin = pickle.loads(pickle.dumps(self.layer))
            self.channels = channels
        x = values(self.choose.randint(5, 30), self.choose.randint(5, 30), self.channels)
        out = np.empty(self.layer.output_shape(x.shape), np.float32)
        support.assert_same(self.layer(x, out=out), self.twin(x, num_threads=1))

    def refused(self):
        taps, mixer = self.kernels()
        x = values(1, 9, 9, taps.shape[2])
        calls = [
            lambda: fastdw.depthwise_conv2d(x[..., :0], taps),
            lambda: fastdw.depthwise_conv2d(x.astype(np.float64), taps),
            lambda: fastdw.separable_conv2d(x, taps, mixer[:, :0]),
            lambda: fastdw.separable_conv2d(x, taps, mixer, 0),
            lambda: fastdw.depthwise_conv2d(x, taps, out=x),
            lambda: fastdw.DepthwiseConv2D(taps, activation="swishh"),
            lambda: fastdw.PointwiseConv2D(mixer, bias=values(mixer.shape[1] + 1)),
        ]
        with contextlib.suppress(TypeError, ValueError):
            self.choose.choice(calls)()
            msg = "a wrong call was not refused"
            raise AssertionError(msg)


def fork(soup):
    """Let a child compute; it must end in time."""
    child = os.fork()
    if child == 0:
        signal.alarm(600)  # ends a child that hangs
        code = 1
        try:
            for _ in range(10):
                soup.call()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"a child ended with {code}"


def rounds(minutes):
    """Random calls by threads that stay and by threads that come and go."""
    start, numbers = time.monotonic(), itertools.count()

    def loop(soup, pause):
        while time.monotonic() < pause:
            soup.call()

    stay = [Soup(next(numbers)) for _ in range(4)]
    with ThreadPoolExecutor(4) as callers:
        while time.monotonic() < start + 60 * minutes:
            pause = time.monotonic() + 5
            with ThreadPoolExecutor(4) as guests:
                come = [Soup(next(numbers)) for _ in range(4)]
                busy = [callers.submit(loop, soup, pause) for soup in stay]
                busy += [guests.submit(loop, soup, pause) for soup in come]
                while time.monotonic() < pause:
                    fork(Soup(next(numbers)))
                    time.sleep(0.5)
            for future in busy:
                future.result()
            yield sample(start)


def new_shapes(calls):
    """Calls on one thread and on three, no two of the same shape."""
    start = time.monotonic()
    for i in range(calls):
        width, height, channels = 1 + i % 32, 1 + i // 32 % 32, 1 + i // 1024
        taps, x = values(3, 3, channels), values(height, width, channels)
        fastdw.depthwise_conv2d(x, taps, padding="same", num_threads=1 + 2 * (i % 2))
        if (i + 1) % max(1, calls // 100) == 0:
            yield sample(start)


def report(samples, warm_up):
    """Print the growth after the warm-up; return whether there is too much."""
    settled = [s for s in samples if s.seconds >= warm_up]
    if len(settled) < 5:
        sys.exit("too few samples after the warm-up")
    tenth = max(1, len(settled) // 10)
    hours = (settled[-1].seconds - settled[0].seconds) / 3600
    bounds = {"rss": 2**20 * max(1, hours), "threads": 0, "descriptors": 0, "blocks": 2000}
    failed = False
    print(f"{len(settled)} samples in {hours:.2f} h after a warm-up of {warm_up:.0f} s")
    for name, bound in bounds.items():
        numbers = [getattr(s, name) for s in settled]
        first, last = (statistics.median(part) for part in (numbers[:tenth], numbers[-tenth:]))
        slope = statistics.linear_regression([s.seconds / 3600 for s in settled], numbers).slope
        print(
            f"{name}: {first:,.0f} → {last:,.0f}, grown by {last - first:,.0f} "
            f"(bound {bound:,.0f}), slope {slope:,.0f} an hour, "
            f"least {min(numbers):,.0f}, most {max(numbers):,.0f}"
        )
        failed = failed or last - first > bound
    return failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15, help="how long (15; a day: 1440)")
    parser.add_argument("--warm-up", type=float, help="minutes not judged (a fifth of all)")
    parser.add_argument("--calls", type=int, help="new shapes instead, that many")
    options = parser.parse_args()
    keep_no_free_memory()
    numbers = array.array("d")  # no object for each: Python's memory blocks are counted too
    for taken in new_shapes(options.calls) if options.calls else rounds(options.minutes):
        numbers.extend(taken)
        if len(numbers) % (10 * len(taken)) == 0:
            print(taken, flush=True)
    samples = [Sample(*row) for row in np.reshape(numbers, (-1, len(Sample._fields)))]
    whole = samples[-1].seconds
    warm_up = whole / 5 if options.warm_up is None else 60 * options.warm_up
    return int(report(samples, warm_up))


if __name__ == "__main__":
    sys.exit(main())
