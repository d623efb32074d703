"""Values brought to mean 0 and variance 1, also where a model spells that out."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw.importers import _common
from fastdw.importers._common import Unsupported
from fastdw.importers._onnx_values import Conversion, Live, Value

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

ONE, NOTHING = np.ones(()), np.zeros(())


class Moment(NamedTuple):
    """What a value is of another's distribution over some axes, on the way to normalize that.

    Or its softplus, which some models spell out too.
    """

    kind: str
    """mean, centred, squares, variance (and epsilon), deviation, inverse (of that), softplus."""
    base: Live
    axes: tuple[int, ...]
    epsilon: float = 0.0


def normalized(
    c: Conversion,
    x: Live,
    axes: list[int],
    epsilon: float,
    scale: AnyArray = ONE,
    offset: AnyArray = NOTHING,
) -> Live:
    """(x − mean)/√(variance + epsilon) over these axes, times scale and plus offset by them."""
    sizes = [x.shape[axis] for axis in axes]
    if prod(sizes) == 1 or prod(sizes) > _common.MAX_CHANNELS:
        msg = f"over {sizes} entries"
        raise Unsupported(msg)
    c.keep_images_apart(x, axes)
    vectors: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(value, np.float64), sizes).reshape(-1)
        for name, value in (("scale", scale), ("offset", offset))
    }
    return c.over_last(x, axes, "normalize", **vectors, epsilon=epsilon)


def of_mean(x: Live, axes: list[int]) -> Moment:
    """What the mean of a value over these axes is."""
    squares = x.moment
    if squares and squares.kind == "squares" and squares.axes == tuple(axes):
        return squares._replace(kind="variance")
    return Moment("mean", x, tuple(axes))


def of_root(x: Live) -> Moment | None:
    """What the root of a value is."""
    known = x.moment is not None and x.moment.kind == "variance"
    return x.moment._replace(kind="deviation") if x.moment and known else None


def of_reciprocal(x: Live) -> Moment | None:
    """What one over a value is."""
    known = x.moment is not None and x.moment.kind == "deviation"
    return x.moment._replace(kind="inverse") if x.moment and known else None


def of_two(op: str, a: Value, b: Value) -> Moment | None:
    """What a sum, difference or product is."""
    if isinstance(b, np.ndarray):
        known = isinstance(a, Live) and a.moment and a.moment.kind == "variance"
        if not (op == "Add" and b.size == 1 and isinstance(a, Live) and a.moment and known):
            return None
        if b.ndim > len(a.shape):
            return None
        return a.moment._replace(epsilon=a.moment.epsilon + float(b.reshape(-1)[0]))
    if not isinstance(a, Live) or not isinstance(b, Live):
        return of_two(op, b, a) if isinstance(a, np.ndarray) else None
    if op == "Sub" and b.moment and b.moment.kind == "mean" and b.moment.base.same(a):
        return b.moment._replace(kind="centred")
    if op == "Mul" and a.moment and a.moment.kind == "centred" and a.same(b):
        return a.moment._replace(kind="squares")
    return None


def completed(c: Conversion, op: str, a: Value, b: Value) -> Live | None:
    """The value that a quotient or product spells out: what is centred, by its deviation."""
    wanted = {"Div": "deviation", "Mul": "inverse"}.get(op)
    for centred, other in ((a, b), (b, a))[: 1 + (op == "Mul")]:
        if not isinstance(centred, Live) or not isinstance(other, Live):
            return None
        x, by = centred.moment, other.moment
        if not x or not by or (x.kind, by.kind, x.axes) != ("centred", wanted, by.axes):
            continue
        if x.base.same(by.base) and by.epsilon >= 0:
            return normalized(c, x.base, list(x.axes), by.epsilon)
    return None
