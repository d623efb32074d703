"""Types of the command line's arguments: what they refuse ends with one sentence."""

from __future__ import annotations

import argparse
import math

import fastdw

# As many as fastdw starts.
_MOST_THREADS = 1024
_MOST = 2**31 - 1


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
