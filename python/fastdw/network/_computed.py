"""Functions of `ops` on arrays: each is a small network, built for the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from fastdw._arguments import FLOAT32, as_array, describe, integer
from fastdw.network._network import Network
from fastdw.network._record import Input
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import Float32


def axis_of(axis: object, x: Symbol) -> int:
    """An axis of a value with its batch, as that of one image."""
    rank = len(x.shape)
    place = integer("axis", axis, -rank, rank - 1) % rank
    if place == 0:
        msg = f"axis must not be the batch, 0, got {axis}"
        raise ValueError(msg)
    return place - 1


@overload
def computed(
    build: Callable[..., Symbol], values: Sequence[Symbol], images: int = ...
) -> Symbol: ...
@overload
def computed(
    build: Callable[..., Symbol], values: Sequence[Float32], images: int = ...
) -> Float32: ...
def computed(build: Callable[..., Symbol], values: Sequence[Any], images: int = 0) -> Any:
    """What is built of symbols; of arrays, what a network of it gives.

    Arrays of `images` axes are one image; others begin with the batch.
    """
    if any(isinstance(value, Symbol) for value in values):
        for value in values:
            if not isinstance(value, Symbol):
                msg = f"a Symbol is computed with Symbols alone, got {describe(value)}"
                raise TypeError(msg)
        return build(*values)
    arrays = [as_array("x", value, (FLOAT32,)) for value in values]
    symbols = []
    for array in arrays:
        if array.ndim < 2 or 0 in array.shape[1:]:
            msg = f"x must have a batch and not be empty, got shape {array.shape}"
            raise ValueError(msg)
        symbols.append(Input(array.shape[array.ndim != images :]))
    return Network(symbols, build(*symbols))(*arrays)
