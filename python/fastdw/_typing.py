"""Types of the public signatures, for type checkers: nothing imports this file at run time."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt


class SupportsDLPack(Protocol):
    """An array of another library, on the CPU."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


Float32: TypeAlias = npt.NDArray[np.float32]
AnyArray: TypeAlias = npt.NDArray[Any]
ArrayInput: TypeAlias = AnyArray | SupportsDLPack | memoryview
Number: TypeAlias = SupportsFloat
Ints: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Pads: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
PaddingInput: TypeAlias = (
    str | SupportsIndex | Sequence[SupportsIndex] | Sequence[Sequence[SupportsIndex]]
)
ActivationInput: TypeAlias = str | tuple[Any, ...] | None
ForeignActivation: TypeAlias = ActivationInput | Callable[..., Any]
"""Also a layer, module or function of another library."""
