"""Values brought to mean 0 and variance 1, which models spell out in many ways.

(x − mean)/deviation·scale + offset is written so, or as x·(scale/deviation) + (offset − mean·scale/
deviation). Each value of an importer remembers what it is on that way, as long as it is anything.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw.importers._common import MAX_CHANNELS

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

ONE, NOTHING = np.ones(()), np.zeros(())


class Moment(NamedTuple):
    """What a value is of another's distribution over some axes, on the way to normalize that.

    Or its softplus, which some models spell out too.
    """

    kind: str
    """mean, centred, squares, variance (and epsilon), deviation, inverse (of that), normal (the
    base times that), shift (the mean times that); normalized, at the end; softplus."""
    base: Any
    """A value of the importer's, which knows its shape and whether it is `same` as another."""
    axes: tuple[int, ...]
    epsilon: float = 0.0
    scale: AnyArray = ONE
    """What mean, inverse, normal, shift and normalized are times, besides."""
    offset: AnyArray = NOTHING
    """What is added to the last two of these."""


def _moment(value: Any) -> Moment | None:
    moment: Moment | None = getattr(value, "moment", None)
    return moment


def _of_one(m: Moment, n: Moment) -> bool:
    """Whether both are of the same value over the same axes."""
    return m.axes == n.axes and bool(m.base.same(n.base))


def of_mean(x: Any, axes: list[int]) -> Moment:
    """What the mean of a value over these axes is."""
    squares = _moment(x)
    if squares and squares.kind == "squares" and squares.axes == tuple(axes):
        return squares._replace(kind="variance")
    return Moment("mean", x, tuple(axes))


def of_root(x: Any) -> Moment | None:
    """What the root of a value is."""
    m = _moment(x)
    return m._replace(kind="deviation") if m and m.kind == "variance" else None


def of_reciprocal(x: Any) -> Moment | None:
    """What one over a value is."""
    m = _moment(x)
    return m._replace(kind="inverse") if m and m.kind == "deviation" else None


def of_two(op: str, a: Any, b: Any) -> Moment | None:
    """What a sum, difference, product or quotient is: Add, Sub, Mul, Div."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _of_constant(op, a, b)
    m, n = _moment(a), _moment(b)
    if op == "Sub":
        if n and n.kind == "mean" and n.scale is ONE and n.base.same(a):
            return n._replace(kind="centred")
        return _sum(m, n, -1) if m and n else None
    if op == "Add":
        return (_sum(m, n, 1) or _sum(n, m, 1)) if m and n else None
    if op == "Mul" and m and m.kind == "centred" and a.same(b):
        return m._replace(kind="squares")
    if op == "Mul":
        return _times(a, n) or _times(b, m)
    if op == "Div" and m and n and (m.kind, n.kind) == ("centred", "deviation"):
        return _done(n) if _of_one(m, n) else None
    return None


def _of_constant(op: str, a: Any, b: Any) -> Moment | None:
    """Of a value and a constant that has no more axes."""
    constant, value = (b, a) if isinstance(b, np.ndarray) else (a, b)
    m = _moment(value)
    if m is None or constant.ndim > len(value.shape):
        return None
    number = constant.astype(np.float64)
    if op == "Mul" and m.kind in ("mean", "inverse") and m.scale is ONE:
        return m._replace(scale=number)
    if op == "Add" and m.kind == "variance" and number.size == 1:
        return m._replace(epsilon=m.epsilon + float(number.reshape(-1)[0]))
    if op in ("Add", "Sub") and m.kind == "shift" and m.offset is NOTHING:
        if op == "Add":
            return m._replace(offset=number)
        if value is a:
            return m._replace(offset=-number)
        return m._replace(scale=-m.scale, offset=number)
    return None


def _times(x: Any, inverse: Moment | None) -> Moment | None:
    """What a value becomes by one over a deviation."""
    if inverse is None or inverse.kind != "inverse":
        return None
    m = _moment(x)
    if m and m.kind == "centred" and _of_one(m, inverse):
        return _done(inverse)
    if m and m.kind == "mean" and _of_one(m, inverse):
        if m.scale.size > 1 and inverse.scale.size > 1:
            return None
        return inverse._replace(kind="shift", scale=m.scale * inverse.scale)
    return inverse._replace(kind="normal") if inverse.base.same(x) else None


def _sum(normal: Moment | None, shift: Moment | None, sign: int) -> Moment | None:
    """What the base by its deviation and, with this sign, what moves it there become."""
    if not normal or not shift or (normal.kind, shift.kind) != ("normal", "shift"):
        return None
    opposite = np.array_equal(normal.scale, -sign * shift.scale)
    if not opposite or normal.epsilon != shift.epsilon or not _of_one(normal, shift):
        return None
    return _done(normal._replace(offset=sign * shift.offset))


def _done(m: Moment) -> Moment | None:
    """The end of the way, where there is a norm of so many entries."""
    count = prod(m.base.shape[axis] for axis in m.axes)
    fits = 1 < count <= MAX_CHANNELS and m.epsilon >= 0
    scale, offset = np.asarray(m.scale), np.asarray(m.offset)
    return m._replace(kind="normalized", scale=scale, offset=offset) if fits else None
