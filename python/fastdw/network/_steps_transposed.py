"""Transposed convolutions as steps: a convolution of stride 1 for each phase of the output."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdw.network._steps import Lowering, Site, convolution, core_activation, image_step

if TYPE_CHECKING:
    from fastdw._core import Step
    from fastdw._typing import AnyArray
    from fastdw.network._shapes import Attrs, Shape


class _Phase(NamedTuple):
    """Every s-th output along an axis of a transposed convolution: a convolution of stride 1."""

    first: int  # output
    outputs: int
    taps: list[int]  # of the kernel, in the order in which they meet the input
    begin: int  # input under the first one of the first output; negative: padding


def _phases(size: int, taps: int, stride: int, pad: int, outputs: int) -> list[_Phase]:
    """Those that meet the input: output r sums x[i]·kernel[a] over i·stride + a = r + pad."""
    phases = []
    for tap in range(min(stride, taps)):
        first = (tap - pad) % stride
        met = list(range(tap, taps, stride))[::-1]
        begin = (first + pad) // stride - len(met) + 1
        if first < outputs and begin < size:
            phases.append(_Phase(first, -(-(outputs - first) // stride), met, begin))
    return phases


def _conv2d_transpose(site: Site) -> Iterator[Step]:
    attrs, out = site.attrs, site.out
    kernel, strides = attrs["kernel"], attrs["strides"]
    rows, columns = (
        _phases(
            site.x.shape[axis],
            kernel.shape[axis],
            strides[axis],
            attrs["padding"][axis][0],
            out.shape[axis],
        )
        for axis in (0, 1)
    )
    # The activation goes over the whole output at once: in a phase pixels lie apart, and those of
    # a single channel would take a vector each.
    activation = core_activation(attrs["activation"], out.shape[-1])
    attrs = attrs | {"activation": None}
    covered = sum(p.outputs for p in rows) * sum(p.outputs for p in columns)
    if covered < prod(out.shape[:2]):
        yield from convolution(
            site.store, attrs | _BESIDE | _no_tap(kernel, out.shape), site.x, out
        )
    for row, column in product(rows, columns):
        x = site.x
        for axis, phase in enumerate((row, column)):
            skipped = max(phase.begin, 0)
            x = x.along(axis, skipped, x.shape[axis] - skipped)
        phase_attrs = {
            "kernel": kernel[np.ix_(row.taps, column.taps)],
            "padding": tuple((max(-phase.begin, 0), 0) for phase in (row, column)),
        }
        size = (row.outputs, column.outputs, out.shape[2])
        target = out.part((row.first, column.first, 0), size, (*strides, 1))
        yield from convolution(site.store, attrs | _BESIDE | phase_attrs, x, target)
    if site.attrs["activation"] is not None:
        yield image_step("activation", out, (out,), activation=activation)


_BESIDE = {"strides": (1, 1), "dilation_rate": (1, 1)}


def _no_tap(kernel: AnyArray, out: Shape) -> Attrs:
    """A convolution that meets padding alone: what no tap meets is the bias, activated."""
    return {
        "kernel": np.zeros((1, 1, *kernel.shape[2:]), np.float32),
        "padding": ((out[0], 0), (out[1], 0)),
    }


conv2d_transpose = Lowering(_conv2d_transpose, anywhere=True)
