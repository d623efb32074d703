"""Layers on float16 whose sums are of float16 too, where the CPU has an FMA of halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw.layers._spec import Packed, Spec

if TYPE_CHECKING:
    import numpy.typing as npt

    Bits = npt.NDArray[np.uint16]

_FLOAT16 = "float16"


class _Operator(NamedTuple):
    """As much of an operator of the core as layers on float16 ask of it.

    It takes a copy of arrays whose channels do not lie side by side.
    """

    core: _core.Operator16

    def run_halves(
        self, x: Bits, residual: Bits | None, out: Bits, geometry: _core.Geometry, threads: int
    ) -> None:
        filled = _side_by_side(out)
        added = None if residual is None else _side_by_side(residual)
        self.core.run_halves(_side_by_side(x), added, filled, geometry, threads)
        if filled is not out:
            out[...] = filled

    def plan_halves(
        self,
        x_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        geometry: _core.Geometry,
        threads: int,
    ) -> str:
        return self.core.plan_halves(x_shape, out_shape, geometry, threads)

    def replay(self, *_: object) -> None:
        """No call is remembered."""


def _side_by_side(images: Bits) -> Bits:
    together = images.shape[3] == 1 or images.strides[3] == images.itemsize
    return images if together else np.ascontiguousarray(images)


class Float16Sums(Spec):
    """The arguments of a layer whose sums are of float16."""

    __slots__ = ()

    def pack(self) -> Packed:
        depthwise = pointwise = None
        for half in self.halves:
            kernel, bias, activation = half.packable()
            bits = kernel.astype(np.float16).view(np.uint16)
            if half.kernel_name == "pointwise_kernel":
                pointwise = _core.Pointwise16(bits, bias, activation)
            else:
                window = self.signature.window
                assert window is not None
                depthwise = _core.Depthwise16(bits, bias, activation, window.core_steps)
        operator = _Operator(_core.Operator16(depthwise, pointwise, self.signature.channels_first))
        parts = tuple(part for part in (depthwise, pointwise) if part is not None)
        return Packed(parts, cast("_core.Operator", operator))

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"accumulate": _FLOAT16}


S = TypeVar("S", bound=Spec)


def summed(spec: S, accumulate: object, kind: type[Float16Sums] = Float16Sums) -> S | Float16Sums:
    """`spec`, or with sums of float16 a `kind` of the same arguments."""
    if check.choice("accumulate", accumulate, ("float32", _FLOAT16)) == "float32":
        return spec
    if spec.signature.dtype != _FLOAT16:
        msg = f'accumulate="float16" goes with dtype="float16", got dtype={spec.signature.dtype!r}'
        raise ValueError(msg)
    if spec.pre_activation is not None and spec.pre_activation.argument is not None:
        msg = (
            'accumulate="float16" goes without pre_activation, '
            f"got {spec.pre_activation.argument!r}"
        )
        raise ValueError(msg)
    if not _core.config16()["supported"]:
        msg = (
            'accumulate="float16" needs a CPU that multiplies and adds in float16, ARM with '
            'FEAT_FP16: this one does not; accumulate="float32" runs everywhere. '
            "fastdw.show_config() names what there is as isas16"
        )
        raise RuntimeError(msg)
    return kind(*spec)
