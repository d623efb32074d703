"""Layers on float16 whose sums are of float16 too, where the CPU has an FMA of halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._isa import checked_sums
from fastdw.layers._spec import Packed, Spec

if TYPE_CHECKING:
    import numpy.typing as npt

    Bits = npt.NDArray[np.uint16]

_FLOAT16 = "float16"


class _Operator(NamedTuple):
    """As much of an operator of the core as layers on float16 ask of it.

    It takes a copy of arrays whose channels do not lie side by side.
    """

    groups: tuple[_core.Operator16, ...]
    """Each on a share of the channels."""
    channels_first: bool

    def run_halves(
        self, x: Bits, residual: Bits | None, out: Bits, geometry: _core.Geometry, threads: int
    ) -> None:
        filled = _side_by_side(out)
        added = None if residual is None else _side_by_side(residual)
        shares = (self._shares(array) for array in (_side_by_side(x), added, filled))
        for core, *arrays in zip(self.groups, *shares, strict=True):
            core.run_halves(*arrays, geometry, threads)
        if filled is not out:
            out[...] = filled

    def _shares(self, images: Bits | None) -> list[Any]:
        count = len(self.groups)
        if images is None or count == 1:
            return [images] * count
        each = images.shape[3] // count
        return [images[..., first : first + each] for first in range(0, images.shape[3], each)]

    def plan_halves(
        self,
        x_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        geometry: _core.Geometry,
        threads: int,
    ) -> str:
        count, channels = len(self.groups), 1 if self.channels_first else 3
        shares = [list(shape) for shape in (x_shape, out_shape)]
        for shape in shares:
            shape[channels] //= count
        given, made = (tuple(shape) for shape in shares)
        text = self.groups[0].plan_halves(given, made, geometry, threads)
        return text if count == 1 else f"{text}\nfor each of {count} groups"

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
        first = self.signature.channels_first
        operator = _core.Operator16(depthwise, pointwise, first)
        parts = tuple(part for part in (depthwise, pointwise) if part is not None)
        return packed(parts, (operator,), first)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"accumulate": _FLOAT16}


def packed(
    parts: tuple[_core.Depthwise16 | _core.Pointwise16, ...],
    groups: tuple[_core.Operator16, ...],
    channels_first: bool,
) -> Packed:
    """Weights, and an operator for each group of channels."""
    return Packed(parts, cast("_core.Operator", _Operator(groups, channels_first)))


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
    checked_sums(accumulate)
    return kind(*spec)
