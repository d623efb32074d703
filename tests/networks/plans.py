"""Steps of the core on arrays, one at a time: what the tests of networks call it by."""

from typing import NamedTuple

import numpy as np
from fastdw import _core

GAP = 3


class Placed(NamedTuple):
    """An array somewhere in a line of floats."""

    view: np.ndarray
    flat: np.ndarray

    def operand(self, buffer):
        address, base = (a.__array_interface__["data"][0] for a in (self.view, self.flat))
        size = self.flat.itemsize
        return (
            buffer,
            (address - base) // size,
            self.view.shape,
            tuple(stride // size for stride in self.view.strides),
        )


def dense(array):
    array = np.ascontiguousarray(array)
    return Placed(array, array.reshape(-1))


def spaced(array):
    """A copy with NaN between rows, between pixels, and around."""
    bigger = np.full([size + GAP for size in array.shape], np.nan, np.float32)
    view = bigger[tuple(slice(1, 1 + size) for size in array.shape)]
    view[...] = array
    return Placed(view, bigger.reshape(-1))


def planar(array):
    """A copy with each channel's pixels side by side."""
    planes = np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return Placed(np.moveaxis(planes, 0, -1), planes.reshape(-1))


def unset(shape):
    return np.full(shape, np.nan, np.float32)


def network(isa, kind, out, inputs, settings):
    """A network of one step, on inputs and an output of its own."""
    operands = [placed.operand(i + 1) for i, placed in enumerate([*inputs, out])]
    return _core.Network(
        0,
        tuple((placed.flat.size, placed.flat.dtype.name) for placed in inputs),
        ((out.flat.size, out.flat.dtype.name),),
        ((kind, (operands[-1], *operands[:-1]), settings),),
        isa,
    )


def run_step(isa, kind, shape, inputs, settings=None, threads=1, place=dense):
    """What a step makes of arrays, which `place` puts into memory."""
    inputs = [x if isinstance(x, Placed) else place(x) for x in inputs]
    out = place(unset(shape))
    made = network(isa, kind, out, inputs, settings or {})
    before = out.flat.copy()
    made.run(tuple(x.flat for x in inputs), (out.flat,), threads)
    result = out.view.copy()
    out.view[...] = np.nan
    np.testing.assert_array_equal(out.flat, before)  # NaN: nothing else was written
    return result
