"""Where tensors lie in one arena: offsets from lifetimes.

Two greedy ways, the better one is kept: by size (Pisarchyk and Lee, Efficient Memory Management for
Deep Neural Net Inference, 2020), the largest tensor first; and by breadth, the step with the most
live bytes first. The second meets the bound in networks where the first does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Lifetime(NamedTuple):
    """A tensor: its size, and the first and the last step that touch it."""

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


class Arena(NamedTuple):
    """An offset for each lifetime, the size of all, and the least that any arena could have."""

    offsets: tuple[int, ...]
    size: int
    bound: int


def arena(lifetimes: Sequence[Lifetime], alignment: int = 1) -> Arena:
    """Place tensors so that no two that live at the same step overlap.

    Sizes are rounded up to multiples of `alignment`, so offsets are multiples too.
    """
    tensors = [life._replace(size=-(-life.size // alignment) * alignment) for life in lifetimes]
    breadths = _breadths(tensors)
    places = min(
        (_placed(tensors, order) for order in (_by_size(tensors), _by_breadth(tensors, breadths))),
        key=lambda offsets: _end(tensors, offsets),
    )
    return Arena(tuple(places), _end(tensors, places), max(breadths.values(), default=0))


def _end(tensors: Sequence[Lifetime], offsets: Sequence[int]) -> int:
    return max((o + t.size for o, t in zip(offsets, tensors, strict=True)), default=0)


def _breadths(tensors: Sequence[Lifetime]) -> dict[int, int]:
    """Live bytes at each step where a tensor begins: between them, none is larger."""
    return {
        step: sum(t.size for t in tensors if t.first <= step <= t.last)
        for step in {t.first for t in tensors}
    }


def _by_size(tensors: Sequence[Lifetime]) -> list[int]:
    return sorted(range(len(tensors)), key=lambda i: (-tensors[i].size, tensors[i].first))


def _by_breadth(tensors: Sequence[Lifetime], breadths: dict[int, int]) -> list[int]:
    by_size = _by_size(tensors)
    order: dict[int, None] = {}
    for step in sorted(breadths, key=lambda step: (-breadths[step], step)):
        live = (i for i in by_size if tensors[i].first <= step <= tensors[i].last)
        order |= dict.fromkeys(live)
    return list(order)


def _placed(tensors: Sequence[Lifetime], order: Iterable[int]) -> list[int]:
    """Each in its turn into the smallest gap that is free while it lives."""
    offsets = [0] * len(tensors)
    done: list[int] = []
    for i in order:
        taken = sorted(
            (offsets[j], offsets[j] + tensors[j].size) for j in done if tensors[j].meets(tensors[i])
        )
        best, smallest, end = -1, 0, 0
        for begin, stop in taken:
            gap = begin - end
            if gap >= tensors[i].size and (best < 0 or gap < smallest):
                best, smallest = end, gap
            end = max(end, stop)
        offsets[i] = end if best < 0 else best
        done.append(i)
    return offsets
