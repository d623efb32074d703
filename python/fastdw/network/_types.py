"""The dtype rule of every operator: what its inputs must be, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Attrs = dict[str, Any]
Types = Sequence[Any]
"""The dtypes of the inputs; None where one is left out."""
Rule = Callable[[Types, Attrs], str]


def _refuse(wanted: str, got: object) -> str:
    msg = f"it reads {wanted}, got {got}"
    raise TypeError(msg)


def floats(types: Types, attrs: Attrs) -> str:
    """From float32 to float32."""
    odd = [dtype for dtype in types if dtype not in ("float32", None)]
    return _refuse("float32", odd[0]) if odd else "float32"


def camera(types: Types, attrs: Attrs) -> str:
    """The same; uint8 too, as the numbers that it holds."""
    return "float32" if types[0] == "uint8" else floats(types, attrs)


def same(types: Types, attrs: Attrs) -> str:
    """Numbers that are moved, not read."""
    odd = [dtype for dtype in types if dtype != types[0]]
    return _refuse(f"{types[0]} as before", odd[0]) if odd else str(types[0])


def picked(types: Types, attrs: Attrs) -> str:
    """The same beside a constant, which must be one of the numbers."""
    dtype, constant = same(types, attrs), attrs["constant"]
    if dtype != "float32":
        limits = np.iinfo(dtype)
        if not (limits.min <= constant <= limits.max and constant == int(constant)):
            msg = f"it reads a constant of {dtype}, got {constant}"
            raise ValueError(msg)
    return dtype


class Integers:
    """From and to what quantizations among the attributes say; "float32" stands for itself.

    `inputs` are their names in the order of the inputs; of `outputs` the last one that is there
    counts.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.inputs, self.outputs = inputs, outputs

    def result(self, attrs: Attrs) -> str:
        """The name of the output's."""
        return [name for name in self.outputs if name == "float32" or attrs[name] is not None][-1]

    def __call__(self, types: Types, attrs: Attrs) -> str:
        for dtype, name in zip(types, self.inputs, strict=False):
            if name == "float32":
                floats([dtype], attrs)
            elif dtype is not None and (attrs[name] is None or dtype != attrs[name][2]):
                _refuse(f"what {name} says, {attrs[name]}", dtype)
        result = self.result(attrs)
        return result if result == "float32" else str(attrs[result][2])
