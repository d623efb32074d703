"""Strided views of buffers, in elements: what a value of a graph is when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]


class View(NamedTuple):
    """Element (i, j, …) lies at ``offset + i·strides[0] + j·strides[1] + …`` of a buffer."""

    buffer: int
    offset: int
    strides: tuple[int, ...]
    shape: Shape

    @property
    def dense(self) -> bool:
        return squeezed(self.shape, self.strides) == squeezed(self.shape, dense_strides(self.shape))

    def moved(self, buffer: int, offset: int) -> View:
        """The same view where its buffer has become a part of another."""
        return self._replace(buffer=buffer, offset=self.offset + offset)

    def part(self, begin: Sequence[int], size: Sequence[int], step: Sequence[int]) -> View:
        offset = sum(b * s for b, s in zip(begin, self.strides, strict=True))
        strides = tuple(n * s for n, s in zip(step, self.strides, strict=True))
        return View(self.buffer, self.offset + offset, strides, tuple(size))

    def along(self, axis: int, begin: int, size: int) -> View:
        """The part of one axis."""
        starts = [begin if i == axis else 0 for i in range(len(self.shape))]
        sizes = [size if i == axis else n for i, n in enumerate(self.shape)]
        return self.part(starts, sizes, [1] * len(sizes))

    def transposed(self, axes: Sequence[int]) -> View:
        strides, shape = (tuple(v[axis] for axis in axes) for v in (self.strides, self.shape))
        return self._replace(strides=strides, shape=shape)

    def reshaped(self, shape: Shape) -> View | None:
        """The same elements in the same order under another shape; None if that needs a copy.

        Axes are matched from the left in the smallest groups of equal products; inside a group of
        the old ones each stride must be the next one's times its size.
        """
        sizes, steps = squeezed(self.shape, self.strides)
        old, strides = 0, [0] * len(shape)
        new = 0
        while new < len(shape):
            if shape[new] == 1:
                new += 1
                continue
            first_old, first_new = old, new
            old, new = old + 1, new + 1
            while (left := prod(sizes[first_old:old])) != (right := prod(shape[first_new:new])):
                old, new = (old + 1, new) if left < right else (old, new + 1)
            for axis in range(first_old, old - 1):
                if steps[axis] != steps[axis + 1] * sizes[axis + 1]:
                    return None
            stride = steps[old - 1]
            for axis in reversed(range(first_new, new)):
                strides[axis] = stride
                stride *= shape[axis]
        return self._replace(strides=tuple(strides), shape=shape)


def dense_strides(shape: Shape) -> tuple[int, ...]:
    """Row by row, without gaps."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def squeezed(shape: Shape, strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """Shape and strides without the axes of one entry, whose strides mean nothing."""
    kept = [axis for axis, size in enumerate(shape) if size > 1]
    return [shape[axis] for axis in kept], [strides[axis] for axis in kept]
