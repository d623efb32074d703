"""Activations as the user names them, turned into the numbers of the core."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastdw import _core
from fastdw._arguments import describe, number, vector

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, Float32

CLAMPS = {"linear": (-math.inf, math.inf), "relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
_ALIASES = {"silu": "swish", "hard_silu": "hard_swish"}
_PARAMETERS = {
    "clip": ("lo", "hi"),
    "leaky_relu": ("slope",),
    "elu": ("alpha",),
    "prelu": ("slopes",),
}
FUNCTIONS = ("abs", "exp", "log", "reciprocal", "sqrt")
"""Curves that networks compute, but that are no activations."""
_CURVES = tuple(name for name in _core.curves if name not in (*_PARAMETERS, *FUNCTIONS))

_KNOWN = frozenset({*CLAMPS, *_CURVES, *_PARAMETERS})

_FLOAT32_MAX = float.fromhex("0x1.fffffep+127")


class Activation(NamedTuple):
    """An accepted activation."""

    argument: ActivationInput
    """What the user may pass to get it again; None where it changes nothing."""
    core: _core.Activation
    slopes: Float32 | None = None
    """Those of prelu as they were given; `argument` has a copy."""

    @property
    def zero_at_zero(self) -> bool:
        """Whether it maps 0 to 0, by a convolution of 0 with 1."""
        channels = 1 if self.slopes is None else len(self.slopes)
        zeros = np.zeros((1, 1, 1, channels), np.float32)
        values = np.empty_like(zeros)
        weights = _core.Depthwise(np.ones((1, 1, channels, 1), np.float32), None, self.core)
        _core.Operator(weights, None).run(zeros, None, values, (1, 1, 1, 1, 0, 0), 1)
        return not values.any()

    def sliced(self, name: str, part: slice) -> Activation:
        """The same on some of the channels."""
        if isinstance(self.argument, tuple) and self.argument[0] == "prelu":
            slopes = self.argument[1][part]
            return parse_activation(name, ("prelu", slopes), len(slopes))
        return self


def parse_activation(name: str, value: object, channels: int) -> Activation:
    """Check the argument `name`; `channels` is the length of prelu's slopes."""
    curve, parameters = _split(name, value)
    if not parameters:
        return _named(curve)
    if curve == "clip":
        lo, hi = (
            number(f"{name} {key}", p)
            for key, p in zip(_PARAMETERS[curve], parameters, strict=True)
        )
        if not lo <= hi:
            msg = f"{name} clip needs lo <= hi, got lo={lo}, hi={hi}"
            raise ValueError(msg)
        return Activation((curve, lo, hi), _core.Activation("clamp", lo, hi))
    if curve == "prelu":
        given = vector(f"{name} prelu slopes", parameters[0], channels)
        slopes = given.copy()
        slopes.flags.writeable = False
        return Activation((curve, slopes), _core.Activation(curve, slopes=slopes), given)
    slope = number(f"{name} {_PARAMETERS[curve][0]}", parameters[0])
    if not abs(slope) <= _FLOAT32_MAX:
        msg = f"{name} {_PARAMETERS[curve][0]} must be a finite float32, got {slope}"
        raise ValueError(msg)
    if curve == "leaky_relu" and slope == 0:  # 0 * -inf is no number
        return _named("relu")
    return Activation((curve, slope), _core.Activation(curve, slope))


@functools.cache
def _named(curve: str) -> Activation:
    """An activation without parameters."""
    if curve in CLAMPS:
        argument = None if curve == "linear" else curve
        return Activation(argument, _core.Activation("clamp", *CLAMPS[curve]))
    return Activation(curve, _core.Activation(curve))


def _split(name: str, value: object) -> tuple[str, tuple[object, ...]]:
    """The name of the function, and as many parameters as it takes."""
    if value is None:
        return "linear", ()
    if isinstance(value, (tuple, list)):
        head, *parameters = value or ("",)
    else:
        head, parameters = value, []
    if not isinstance(head, str):
        msg = f"{name} must be None, a str or a tuple that begins with one, got {describe(value)}"
        raise TypeError(msg)
    curve = _ALIASES.get(head, head)
    if curve not in _KNOWN:
        known = sorted({*_KNOWN, *_ALIASES})
        msg = f"{name} must be None or one of {', '.join(known)}, got {head!r}"
        raise ValueError(msg)
    wanted = _PARAMETERS.get(curve, ())
    if len(parameters) != len(wanted):
        form = f"({', '.join((repr(head), *wanted))})" if wanted else repr(head)
        msg = f"{name} must be given as {form}, got {describe(value)}"
        raise ValueError(msg)
    return curve, tuple(parameters)
