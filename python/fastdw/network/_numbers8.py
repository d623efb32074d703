"""The numbers that 8-bit steps compute with, from the attributes of their nodes, and their checks.

Bytes count from 0 here, as the core's do: q + 128 where q is of int8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw._half8 import Half8, checked_sum, core_sum, half8, offset
from fastdw._quantization import MOST_FACTOR, TINY, Quantization, clamp

if TYPE_CHECKING:
    from fastdw.network._shapes import Attrs


def _q(attrs: Attrs, name: str) -> Quantization:
    return Quantization(*attrs[name])


def _half(attrs: Attrs, kernel: Any, prefix: str, ends: tuple[str, str]) -> Half8:
    given, result = (_q(attrs, name) for name in ends)
    epilogue = attrs[f"{prefix}bias"], attrs[f"{prefix}activation"]
    scales = attrs[f"{prefix}scales"].astype(np.float32, copy=False)
    return half8(prefix, f"{prefix}scales", kernel, scales, (given, result), epilogue)


def convolution(attrs: Attrs, kernel: str = "kernel", given: str = "input") -> Half8:
    """A dense convolution's matrix, whose inputs are the windows' pixels."""
    matrix = attrs[kernel].reshape(-1, attrs[kernel].shape[3])
    return _half(attrs, matrix, "", (given, "output"))


def depthwise(attrs: Attrs, prefix: str = "", result: str = "output") -> Half8:
    return _half(attrs, attrs[f"{prefix}kernel"], prefix, ("input", result))


def residual(attrs: Attrs) -> tuple[int, ...] | None:
    """How the residual of a convolution is added."""
    term, total = (None if attrs[name] is None else _q(attrs, name) for name in ("residual", "sum"))
    output = _q(attrs, "output")
    return core_sum(output, checked_sum(term, total, output))


def add(attrs: Attrs) -> dict[str, Any]:
    first, second, output = (_q(attrs, name) for name in ("input", "second", "output"))
    pair = checked_sum(second, output, first)
    total = core_sum(first, pair, attrs["activation"], attrs["subtrahend"])
    return {"sum": total, "term": _term(attrs, second)}


def _term(attrs: Attrs, q: Quantization) -> tuple[int, ...] | None:
    """Constants as they are stored."""
    _check_entries("term", attrs["term"] or (), q)
    return None if attrs["term"] is None else tuple(entry % 256 for entry in attrs["term"])


def multiply(attrs: Attrs) -> dict[str, Any]:
    a, b, output = (_q(attrs, name) for name in ("input", "second", "output"))
    with np.errstate(all="ignore"):
        factor = np.float32(a.scale) * np.float32(b.scale) / np.float32(output.scale)
    return {
        "zero_a": _zero(a),
        "zero_b": _zero(b),
        "flip_a": offset(a),
        "flip_b": offset(b),
        "factor": _factor(factor),
        "rescale": _rescale(output, attrs["activation"]),
        "term": _term(attrs, b),
    }


def bilinear(attrs: Attrs) -> dict[str, Any]:
    tables = {}
    for axis in ("row", "column"):
        weights = attrs[f"{axis}_weight"].astype(np.float64)
        if not np.all((weights >= 0) & (weights <= 1)):
            msg = f"{axis}_weight must be between 0 and 1"
            raise ValueError(msg)
        whole = (np.rint(weights * 2048) / 2048).astype(np.float32)
        tables[f"{axis}s"] = (attrs[f"{axis}_low"], attrs[f"{axis}_high"], whole)
    return tables | {"origin": _origin(attrs), "flip": offset(_q(attrs, "input"))}


def pool(attrs: Attrs) -> dict[str, Any]:
    q = _q(attrs, "input")
    low, high = (end + offset(q) for end in clamp("activation", attrs["activation"], q))
    return {"origin": _origin(attrs), "low": low, "high": high, "flip": offset(q)}


def mean(attrs: Attrs, pixels: int) -> dict[str, Any]:
    given, output = _q(attrs, "input"), _q(attrs, "output")
    with np.errstate(all="ignore"):
        factor = np.float32(given.scale) / np.float32(output.scale) / np.float32(pixels)
    return {
        "zero": _zero(given),
        "flip": offset(given),
        "factor": _factor(factor),
        "rescale": _rescale(output),
    }


def softmax(attrs: Attrs) -> dict[str, Any]:
    given, output, beta = _q(attrs, "input"), _q(attrs, "output"), attrs["beta"]
    if beta < 0:
        msg = f"beta must be at least 0, got {beta}"
        raise ValueError(msg)
    step = beta * given.scale
    with np.errstate(over="ignore"):
        factor = _factor(np.float32(1 / output.scale))
    return {
        "powers": tuple(math.exp(-step * n) for n in range(256)),
        "factor": factor,
        "flip": offset(given),
        "rescale": _rescale(output),
    }


def table(attrs: Attrs) -> dict[str, Any]:
    given, output = _q(attrs, "input"), _q(attrs, "output")
    _check_entries("table", attrs["table"], output)
    return {"table": tuple(entry % 256 for entry in attrs["table"]), "flip": offset(given)}


def quantize(attrs: Attrs) -> dict[str, Any]:
    output = _q(attrs, "output")
    return {"factor": output.scale, "rescale": _rescale(output)}


def dequantize(attrs: Attrs) -> dict[str, Any]:
    given = _q(attrs, "input")
    return {"factor": given.scale, "zero": _zero(given), "flip": offset(given)}


def _check_entries(name: str, entries: tuple[int, ...], q: Quantization) -> None:
    low, high = q.limits
    if not all(low <= entry <= high for entry in entries):
        msg = f"entries of {name} must be of {q.dtype}"
        raise ValueError(msg)


def _origin(attrs: Attrs) -> int:
    origin: int = attrs["origin"]
    if origin not in (0, 128):
        msg = f"origin must be 0 or 128, got {origin}"
        raise ValueError(msg)
    return origin


def _zero(q: Quantization) -> int:
    return q.zero_point + offset(q)


def _factor(factor: np.float32) -> float:
    if not TINY <= factor < MOST_FACTOR**2:
        msg = f"the scales of inputs over the output's are out of range: {float(factor)!r}"
        raise ValueError(msg)
    return float(factor)


def _rescale(q: Quantization, activation: object = None) -> tuple[int, int, int, int]:
    """Zero point, bounds, and the sign's bit."""
    low, high = (end + offset(q) for end in clamp("activation", activation, q))
    return _zero(q), low, high, offset(q)
