"""Layers from their pickles.

Pickles name `fastdw._layers._restore`: it keeps its place and its name for ever. Arrays are plain
Python in them, for NumPy's own pickles name modules that older NumPys do not have; those of version
1 hold arrays.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import _arguments as check
from fastdw import layers
from fastdw._arguments import describe
from fastdw._quantization import Quantization

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.layers._layer import Layer

VERSION = 2
_DTYPES = ("<f4", "<f8", "|i1", "<i4")


def layer_class(name: str) -> type[Layer] | None:
    """The class that a pickle means by a name."""
    return getattr(layers, name) if name in layers.__all__ else None


def _restore(*state: Any) -> Layer:
    """Build a layer from its pickle, packed for this CPU."""
    if state and type(state[0]) is int and state[0] > VERSION:
        msg = (
            f"this layer was pickled by a newer fastdw (format {describe(state[0])}; "
            f"this one reads {VERSION})"
        )
        raise ValueError(msg)
    try:
        version, name, arguments, num_parameters = state
        check.integer("version", version, 1)
        layer = _rebuild(name, arguments)
        entries = sum(map(prod, layer._kernels.values()))
        layer._set(
            _num_parameters=check.integer(
                "num_parameters", num_parameters, entries, layer.num_parameters
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"this pickled layer is damaged: {error}"
        raise ValueError(msg) from error
    return layer


def _rebuild(name: object, arguments: object) -> Layer:
    """The layer of a class, from exactly the arguments that its pickle holds."""
    cls = layer_class(name) if isinstance(name, str) else None
    if cls is None:
        msg = f"the class must be one of {', '.join(layers.__all__)}, got {describe(name)}"
        raise ValueError(msg)
    if not isinstance(arguments, dict):
        msg = f"the arguments must be a dict, got {describe(arguments)}"
        raise TypeError(msg)
    arguments = {key: _value(value) for key, value in arguments.items()}
    for key, value in arguments.items():
        # A stride of 0 would make a few bytes look like many gigabytes.
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            msg = f"{key} must be C-contiguous"
            raise ValueError(msg)
    layer = cls(**arguments)
    if arguments.keys() != layer._weights().keys() | layer._settings.keys():
        msg = f"arguments are missing or too many: {sorted(arguments)}"
        raise ValueError(msg)
    return layer


def plain(value: object) -> object:
    """An argument of a layer as a pickle holds it."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Quantization):
        return {"scale": value.scale, "zero_point": value.zero_point, "dtype": value.dtype}
    if not isinstance(value, np.ndarray):
        return value
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return {"dtype": little.dtype.str, "shape": value.shape, "data": little.tobytes()}


def array(value: Any) -> AnyArray:
    """The array of `plain`'s dict."""
    if (
        not isinstance(value, dict)
        or value.keys() != {"dtype", "shape", "data"}
        or not isinstance(value["dtype"], str)
        or value["dtype"] not in _DTYPES
    ):
        msg = (
            f"an array must be dtype, shape and data of {', '.join(_DTYPES)}, got {describe(value)}"
        )
        raise ValueError(msg)
    if not isinstance(value["data"], bytes) or not isinstance(value["shape"], tuple):
        msg = "an array must have bytes of data and a tuple as shape"
        raise TypeError(msg)
    shape = [check.integer("an axis", n, 0) for n in value["shape"]]
    flat = np.frombuffer(value["data"], value["dtype"])
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="), copy=False)


def _value(value: Any) -> Any:
    """An argument from a pickle: an array may be it, or a part of it, as prelu's slopes are."""
    if isinstance(value, tuple):
        return tuple(array(part) if isinstance(part, dict) else part for part in value)
    if isinstance(value, dict) and value.keys() == {"scale", "zero_point", "dtype"}:
        return Quantization(**value)
    return array(value) if isinstance(value, dict) else value
