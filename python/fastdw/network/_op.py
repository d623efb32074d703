"""What the graph knows of an operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdw.network import _types
from fastdw.network._attributes import Attribute
from fastdw.network._steps import Lowering

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._shapes import Attrs, Shape


class Op(NamedTuple):
    """An operator; inputs beyond the first `least` are optional."""

    least: int
    most: int
    attributes: dict[str, Attribute]
    shape: Callable[[Sequence[Any], Attrs], Shape]
    reference: Callable[[Sequence[Any], Attrs], AnyArray]
    lowering: Lowering | None = None  # none: the operator moves its input, see `_plan`
    dtype: _types.Rule = _types.floats
