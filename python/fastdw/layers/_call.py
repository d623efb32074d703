"""A call: its checks in their order, and then the core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import as_array, nhwc, readable
from fastdw._geometry import Plan, Signature

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32


class Call(NamedTuple):
    """Checked arguments of a call."""

    plan: Plan
    channels_first: bool
    x: Float32
    residual: Float32 | None
    result: Float32
    """What the user gets: `out` itself, of whatever class, where it was given."""
    out: Float32
    """The same memory as a plain array."""
    num_threads: int

    def run(self, operator: _core.Operator) -> None:
        first, addend = self.channels_first, self.residual
        operator.run(
            readable(nhwc(self.x, first)),
            None if addend is None else readable(nhwc(addend, first)),
            nhwc(self.out, first),
            self.plan.geometry,
            self.num_threads,
        )


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
    image = as_array("x", x)
    plan = signature.plan("x.shape", image.shape)
    addend = None if residual is None else check.residual(residual, plan.shape)
    count = check.num_threads(num_threads)
    if out is None:
        out = filled = _core.empty(plan.shape)
    else:
        filled = check.out(out, plan.shape, x=image)
        # The residual is read element by element, each just before the result takes its place.
        if addend is not None and not check.same_place(filled, addend):
            check.apart(filled, "residual", addend)
        for name, array in weights:
            if array is not None:
                check.apart(filled, name, array)
    return Call(plan, signature.channels_first, image, addend, out, filled, count)
