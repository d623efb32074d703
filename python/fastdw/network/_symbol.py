"""Symbols: what layers and `ops` compute on where there is no array yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from fastdw._immutable import Immutable

if TYPE_CHECKING:
    from fastdw.network._graph import TensorSpec
    from fastdw.network._shapes import Shape


@final
class Symbol(Immutable):
    """A value of a network to be: what makes it, and its shape.

    `Input` makes the first ones, layers and `ops` the others, `Network` a network of them. It is
    here for annotations and ``isinstance``: nobody calls it. It holds no numbers, and is immutable.

    Examples
    --------
    >>> x = fastdw.Input((8, 8, 3))
    >>> fastdw.ops.max_pool(x, 2)
    Symbol(pool, shape=(None, 4, 4, 3))
    """

    __slots__ = ("attrs", "inputs", "op", "spec")

    op: str | None
    """The operator that makes it; None: an input."""
    inputs: tuple[Symbol | None, ...]
    """Of that operator; None: one that is left out."""
    attrs: dict[str, Any]
    """Of that operator."""
    spec: TensorSpec
    """Name, shape and dtype, without the batch."""

    def __init__(
        self,
        op: str | None,
        inputs: tuple[Symbol | None, ...],
        attrs: dict[str, Any],
        spec: TensorSpec,
    ) -> None:
        self._set(op=op, inputs=inputs, attrs=attrs, spec=spec)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """With the batch, as None."""
        return (None, *self.spec.shape)

    @property
    def image_shape(self) -> Shape:
        """Without the batch."""
        return tuple(int(size or 0) for size in self.spec.shape)

    @property
    def dtype(self) -> str:
        """The name of its dtype."""
        return self.spec.dtype

    def __repr__(self) -> str:
        return f"Symbol({self.op or repr(self.spec.name)}, shape={self.shape})"

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        msg = "a Symbol has no values; run a Network of it"
        raise TypeError(msg)

    def __reduce__(self) -> NoReturn:
        msg = "a Symbol cannot be pickled; pickle a Network of it"
        raise TypeError(msg)
