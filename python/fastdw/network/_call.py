"""What a network is called with, and what it fills, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import describe

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._graph import Graph
    from fastdw.network._lower import Program


def arrays(graph: Graph, inputs: Sequence[object]) -> tuple[list[AnyArray], int | None]:
    """The inputs as arrays, and their batch; None for one image without it."""
    specs = graph.inputs
    if len(inputs) != len(specs):
        names = ", ".join(spec.name for spec in specs)
        more = "s" if len(specs) > 1 else ""
        msg = f"the network takes {len(specs)} input{more} ({names}), got {len(inputs)}"
        raise TypeError(msg)
    found, batches = [], set()
    for spec, value in zip(specs, inputs, strict=True):
        array = check.as_array(spec.name, value, (np.dtype(spec.dtype),))
        with_batch = array.ndim == len(spec.shape) + 1
        if array.shape[with_batch:] != spec.shape:
            wanted = ", ".join(map(str, spec.shape))
            msg = f"{spec.name} must be (N, {wanted}) or ({wanted}), got {array.shape}"
            raise ValueError(msg)
        found.append(array)
        batches.add(len(array) if with_batch else None)
    if len(batches) > 1:
        msg = f"all inputs must have the same batch, got {[a.shape for a in found]}"
        raise ValueError(msg)
    return found, batches.pop()


def results(
    graph: Graph, program: Program, batch: int | None, out: object, inputs: Sequence[AnyArray]
) -> tuple[list[Any], list[AnyArray]]:
    """What the call returns, and the same as plain arrays to be filled."""
    first = () if batch is None else (batch,)
    wanted = [(*first, *program.shapes[name]) for name in graph.outputs]
    dtypes = [np.dtype(program.dtypes[name]) for name in graph.outputs]
    if out is None:
        fresh = [_empty(shape, dtype) for shape, dtype in zip(wanted, dtypes, strict=True)]
        return list(fresh), list(fresh)
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    if len(given) != len(wanted):
        msg = f"out must have {len(wanted)} arrays, one for each output, got {describe(out)}"
        raise ValueError(msg)
    others = {spec.name: a for spec, a in zip(graph.inputs, inputs, strict=True)}
    filled: list[AnyArray] = []
    for i, (array, shape) in enumerate(zip(given, wanted, strict=True)):
        checked = check.out(array, shape, dtypes[i], **others)
        filled.append(check.contiguous(f"out[{i}]", checked))
        others[f"out[{i}]"] = filled[-1]
    return given, filled


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> AnyArray:
    if dtype != np.float32:
        return np.empty(shape, dtype)
    return _core.empty((prod(shape),)).reshape(shape)
