"""What the drawn checks share: a seed for every case, and a child process that may die.

A script gives `main` a function that draws one case and raises AssertionError where it fails. The
cases run in a forked child, not an executed one: a fork stays on an emulated CPU.
"""

import argparse
import mmap
import os
import pathlib
import random
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # for `support`

SECONDS_A_CASE = 120  # what takes longer hangs
SHOWN = 20  # failures with their traceback


def main(description, count, draw_case, report):
    """Run `draw_case(random.Random)` `count` times, then print the lines of `report()`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=count, help="cases (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    current = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        os._exit(_run(options, current, draw_case, report))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = int.from_bytes(current[:], "little")
        name = signal.Signals(os.WTERMSIG(status)).name
        print(f"case {number}: {name}; again with {_again(options.seed, number)}")
        raise SystemExit(1)
    raise SystemExit(os.WEXITSTATUS(status))


def _run(options, current, draw_case, report):
    failures, start = 0, time.monotonic()
    for number in range(options.first, options.first + options.count):
        current[:] = number.to_bytes(8, "little")
        signal.alarm(SECONDS_A_CASE)
        try:
            draw_case(random.Random(f"{options.seed} {number}"))
        except Exception:
            failures += 1
            if failures <= SHOWN:
                print(f"case {number}; again with {_again(options.seed, number)}")
                traceback.print_exc(file=sys.stdout)
    signal.alarm(0)
    for line in report():
        print(line)
    seconds = time.monotonic() - start
    print(f"{options.count} cases of seed {options.seed}: {failures} failures, {seconds:.0f} s")
    sys.stdout.flush()
    return 1 if failures else 0


def _again(seed, number):
    return f"--seed {seed} --first {number} --count 1"
