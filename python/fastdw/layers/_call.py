"""A call: its checks in their order, and then the core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import as_array, nhwc, readable
from fastdw._geometry import Plan, Signature

if TYPE_CHECKING:
    from fastdw._typing import AnyArray


class Call(NamedTuple):
    """Checked arguments of a call."""

    plan: Plan
    channels_first: bool
    x: AnyArray
    residual: AnyArray | None
    result: AnyArray
    """What the user gets: `out` itself, of whatever class, where it was given."""
    out: AnyArray
    """The same memory as a plain array."""
    num_threads: int

    def run(self, operator: _core.Operator) -> None:
        first, addend = self.channels_first, self.residual
        x, out = readable(nhwc(self.x, first)), nhwc(self.out, first)
        residual = None if addend is None else readable(nhwc(addend, first))
        if not self.halves:
            operator.run(x, residual, out, self.plan.geometry, self.num_threads)
            return
        operator.run_halves(
            x.view(np.uint16),
            None if residual is None else residual.view(np.uint16),
            out.view(np.uint16),
            self.plan.geometry,
            self.num_threads,
        )

    @property
    def halves(self) -> bool:
        """Whether all arrays are of float16."""
        return self.out.dtype == check.FLOAT16


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> AnyArray:
    """An array to fill."""
    return _core.empty(shape) if dtype == check.FLOAT32 else np.empty(shape, dtype)


def checked_call(
    signature: Signature,
    x: object,
    residual: object,
    out: Any,
    num_threads: object,
    weights: Iterable[tuple[str, AnyArray | None]] = (),
) -> Call:
    """Check a call; `weights` are further arrays, with their names, that `out` must not overlap.

    Every check comes before the first write to `out`.
    """
    dtype = np.dtype(signature.dtype)
    image = as_array("x", x, (dtype,))
    plan = signature.plan("x.shape", image.shape)
    addend = None if residual is None else check.residual(residual, plan.shape, dtype)
    count = check.num_threads(num_threads)
    result, filled = to_be_filled(out, plan.shape, dtype, image, addend)
    if out is not None:
        for name, array in weights:
            if array is not None:
                check.apart(filled, name, array)
    return Call(plan, signature.channels_first, image, addend, result, filled, count)


def to_be_filled(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], x: AnyArray, residual: AnyArray | None
) -> tuple[Any, AnyArray]:
    """What the user gets, a new array or `out` itself, and the same as a plain array."""
    if out is None:
        fresh = empty(shape, dtype)
        return fresh, fresh
    filled = check.out(out, shape, dtype, x=x)
    # The residual is read element by element, each just before the result takes its place.
    if residual is not None and not check.same_place(filled, residual):
        check.apart(filled, "residual", residual)
    return out, filled
