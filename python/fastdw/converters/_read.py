"""Weights of other libraries as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastdw._typing import AnyArray

# Of BatchNorm; a convolution has float32 alone.
FLOATS = ("float32", "float64")


def require(kind: str, thing: object, attributes: tuple[str, ...]) -> None:
    for name in attributes:
        if not hasattr(thing, name):
            msg = f"expected a {kind}, got {type(thing).__name__}, which has no {name}"
            raise TypeError(msg)


def optional(
    owner: str, cure: str, value: Any, dtypes: tuple[str, ...] = ("float32",)
) -> AnyArray | None:
    return None if value is None else weight(owner, cure, value, dtypes)


def weight(owner: str, cure: str, value: Any, dtypes: tuple[str, ...] = ("float32",)) -> AnyArray:
    """A weight; of another dtype it is refused with what the owner of the layer can do."""
    dtype = getattr(value, "dtype", "float32")
    dtype = str(getattr(dtype, "name", dtype)).rpartition(".")[2]  # PyTorch's have no name
    if dtype not in dtypes:
        msg = f"{owner} must have weights of {' or '.join(dtypes)}, but has {dtype}; {cure}"
        raise TypeError(msg)
    return numpy(value)


def numpy(value: Any) -> AnyArray:
    """A variable, parameter or tensor, on whatever device, as an array."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (RuntimeError, TypeError) as error:  # such as a tensor without data, or a sparse one
        msg = f"a weight of type {type(value).__name__} cannot be read: {error}"
        raise ValueError(msg) from error
