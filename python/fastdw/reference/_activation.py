"""The activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import F64, as_real, as_vector, require


@np.errstate(all="ignore")
def activate(v: npt.ArrayLike, activation: Any) -> F64:
    """Apply an activation, with its right limits at ±inf; NaN stays NaN.

    Parameters
    ----------
    v : array_like, (..., channels)
        The values.
    activation : str, tuple or None
        ========================  =====================================================
        None, "linear"            v
        "relu"                    max(v, 0)
        "relu6"                   min(max(v, 0), 6)
        ("clip", lo, hi)          min(max(v, lo), hi)
        ("leaky_relu", slope)     v where v > 0, else slope·v
        ("prelu", slopes)         the same, with one slope a channel
        ("elu", alpha)            v where v > 0, else alpha·(exp(v) − 1)
        "hard_sigmoid"            relu6(v + 3) / 6
        "hard_swish"/"hard_silu"  v·relu6(v + 3) / 6
        "sigmoid"                 1 / (1 + exp(−v))
        "swish"/"silu"            v·sigmoid(v)
        "tanh"                    tanh(v)
        "gelu"                    v·Φ(v), with Φ the normal distribution
        "gelu_tanh"               v/2·(1 + tanh(√(2/π)·(v + 0.044715·v³)))
        "softplus"                log(1 + exp(v))
        "mish"                    v·tanh(log(1 + exp(v)))
        ========================  =====================================================

    Returns
    -------
    ndarray of float64, shape of `v`

    Raises
    ------
    ValueError
        For an unknown name, or numbers that do not fit.
    """
    v = as_real(v)
    name, *numbers = (activation,) if isinstance(activation, str | None) else activation
    require(name in _ACTIVATIONS, f"activation is unknown: {activation!r}")
    return _ACTIVATIONS[name](v, *numbers)


@np.errstate(all="ignore")
def unary(x: npt.ArrayLike, function: str) -> F64:
    """Compute a function of every number.

    Parameters
    ----------
    x : array_like
        The values.
    function : {"abs", "exp", "log", "reciprocal", "sqrt"}
        As NumPy calls it: the logarithm of 0 is −inf, those of negative numbers and their roots
        are NaN.

    Returns
    -------
    ndarray of float64, shape of `x`

    Raises
    ------
    ValueError
        For an unknown name.
    """
    require(function in _FUNCTIONS, f"function is unknown: {function!r}")
    return np.asarray(_FUNCTIONS[function](as_real(x)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "reciprocal": np.reciprocal,
    "sqrt": np.sqrt,
}


def _scaled(v: F64, factor: F64) -> F64:
    """v·factor, where a factor of 0 takes an infinity to the limit 0 instead of NaN."""
    return np.where((factor == 0) & np.isinf(v), 0.0, v * factor)


def _clip(v: F64, lo: float, hi: float) -> F64:
    require(lo <= hi, f"activation clips at {lo} above {hi}")
    return np.clip(v, lo, hi)


def _leaky_relu(v: F64, slope: npt.ArrayLike) -> F64:
    return np.where(v > 0, v, _scaled(v, as_real(slope)))


def _hard_sigmoid(v: F64) -> F64:
    return np.clip(v + 3, 0, 6) / 6


def _sigmoid(v: F64) -> F64:
    return 1 / (1 + np.exp(-v))


def _normal_distribution(v: F64) -> F64:
    # erfc, because 1 + erf cancels for negative v.
    return np.asarray(np.vectorize(math.erfc, otypes=[np.float64])(-v / math.sqrt(2)) / 2)


def _tanh_distribution(v: F64) -> F64:
    # (1 + tanh(u))/2 as sigmoid(2u), which does not cancel for negative u.
    return _sigmoid(2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))


def _softplus(v: F64) -> F64:
    return np.logaddexp(v, 0)


_ACTIVATIONS: dict[str | None, Callable[..., F64]] = {
    None: lambda v: v,
    "linear": lambda v: v,
    "relu": lambda v: np.clip(v, 0, None),
    "relu6": lambda v: np.clip(v, 0, 6),
    "clip": _clip,
    "leaky_relu": _leaky_relu,
    "prelu": lambda v, slopes: _leaky_relu(v, as_vector(slopes, v.shape[-1], "slopes")),
    "elu": lambda v, alpha: np.where(v > 0, v, alpha * np.expm1(v)),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda v: _scaled(v, _hard_sigmoid(v)),
    "sigmoid": _sigmoid,
    "swish": lambda v: _scaled(v, _sigmoid(v)),
    "tanh": np.tanh,
    "gelu": lambda v: _scaled(v, _normal_distribution(v)),
    "gelu_tanh": lambda v: _scaled(v, _tanh_distribution(v)),
    "softplus": _softplus,
    "mish": lambda v: _scaled(v, np.tanh(_softplus(v))),
}
_ACTIVATIONS |= {"silu": _ACTIVATIONS["swish"], "hard_silu": _ACTIVATIONS["hard_swish"]}
