"""The functions of `ops` on two values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fastdw.network._computed import computed
from fastdw.network._record import record
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import Float32

_Value = TypeVar("_Value", Symbol, "Float32")


def add(x1: _Value, x2: _Value) -> _Value:
    """Add two values of one shape, or to each channel one entry of the second.

    Parameters
    ----------
    x1 : Symbol or ndarray, (N, …, C)
        The first.
    x2 : Symbol or ndarray, as `x1`, or (N, C) or (N, 1, …, 1, C)
        The second.

    Returns
    -------
    Symbol or ndarray
        Of the shape of `x1`.

    Raises
    ------
    TypeError, ValueError
        For other types and shapes.

    References
    ----------
    ``keras.ops.add``.
    """
    return computed(lambda a, b: record("add", [a, b]), [x1, x2])


def multiply(x1: _Value, x2: _Value) -> _Value:
    """Multiply two values of one shape, or each channel by one entry of the second.

    Parameters
    ----------
    x1, x2
        As in `add`; so are the result and the errors.

    References
    ----------
    ``keras.ops.multiply``.
    """
    return computed(lambda a, b: record("multiply", [a, b]), [x1, x2])


def divide(x1: _Value, x2: _Value) -> _Value:
    """Divide one value by another of its shape, or each channel by one entry of that.

    Parameters
    ----------
    x1, x2
        As in `add`; so are the result and the errors.

    References
    ----------
    ``keras.ops.divide``.
    """
    return computed(lambda a, b: record("divide", [a, b]), [x1, x2])


def maximum(x1: _Value, x2: _Value) -> _Value:
    """Take the greater of two values of one shape, or of each channel and one entry of the second.

    Parameters
    ----------
    x1, x2
        As in `add`; so are the result and the errors.

    Notes
    -----
    NaN where either is.

    References
    ----------
    ``keras.ops.maximum``.
    """
    return computed(lambda a, b: record("maximum", [a, b]), [x1, x2])


def minimum(x1: _Value, x2: _Value) -> _Value:
    """Take the lesser of two values of one shape, or of each channel and one entry of the second.

    Parameters
    ----------
    x1, x2
        As in `add`; so are the result and the errors.

    Notes
    -----
    NaN where either is.

    References
    ----------
    ``keras.ops.minimum``.
    """
    return computed(lambda a, b: record("minimum", [a, b]), [x1, x2])
