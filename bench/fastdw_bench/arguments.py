"""Arguments that commands share, and types: what they refuse ends with one sentence."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

import fastdw

from . import peers

# As many as fastdw starts.
_MOST_THREADS = 1024
_MOST = 2**31 - 1


class Parser(argparse.ArgumentParser):
    """One whose errors are one sentence, without the list of all options before it."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists what there is\n")


def add_conditions(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--threads", type=threads, default=(1,), metavar="N[,N]")
    parser.add_argument("--cpus", metavar="0,2-3", help="run on these only")
    parser.add_argument(
        "--amx",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let engines use the matrix unit of x86 CPUs",
    )
    parser.add_argument(
        "--check", action=argparse.BooleanOptionalAction, default=True, help="compare results first"
    )
    parser.add_argument(
        "--limits", action=argparse.BooleanOptionalAction, default=True, help="measure the machine"
    )


def add_numbers(parser: argparse.ArgumentParser) -> None:
    """In what fastdw computes a network."""
    parser.add_argument(
        "--integers",
        choices=("float", "keep"),
        default="keep",
        help="how fastdw computes a network of 8-bit integers (default: keep)",
    )
    parser.add_argument(
        "--accumulate",
        choices=("float32", "float16"),
        default="float32",
        help="in what fastdw adds; float16 where the CPU can (default: float32)",
    )


def add_timing(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--peers", default="auto", help=f"auto, none, or of {','.join(peers.NAMES)}"
    )
    parser.add_argument("--repetitions", type=positive, default=30, help="rounds (default: 30)")
    parser.add_argument(
        "--min-time",
        type=seconds,
        default=0.01,
        help="seconds of a batch (default: 0.01)",
    )


def isas(argument: str) -> tuple[str, ...]:
    known = fastdw.show_config(mode="dict")["isas"]["supported"]
    names = tuple(dict.fromkeys(argument.lower().split(",")))
    if not set(names) <= set(known):
        msg = f"{argument} is not of {', '.join(known)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def positive(argument: str, most: int = _MOST) -> int:
    # Longer ones are above every bound, and Python reads no number of thousands of digits.
    if not (argument.isdecimal() and len(argument) < 20 and 1 <= int(argument) <= most):
        msg = f"{argument} is not a number from 1 to {most}"
        raise argparse.ArgumentTypeError(msg)
    return int(argument)


def threads(argument: str) -> tuple[int, ...]:
    counts = (positive(count, _MOST_THREADS) for count in argument.split(","))
    return tuple(dict.fromkeys(counts))


def shape(argument: str) -> tuple[int, ...]:
    return tuple(map(positive, argument.split(",")))


def width(argument: str) -> float:
    return _number(argument, 0.01, 100)


def seconds(argument: str) -> float:
    return _number(argument, 0, 3600)


def fraction(argument: str) -> float:
    return _number(argument, 0, math.inf)


def _number(argument: str, low: float, high: float) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not (low <= value <= high and math.isfinite(value)):
        bounds = f"from {low} to {high}" if math.isfinite(high) else f"from {low} on"
        msg = f"{argument} is not a number {bounds}"
        raise argparse.ArgumentTypeError(msg)
    return value
