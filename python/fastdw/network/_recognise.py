"""Activations that models spell out in several nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdw._activations import CLAMPS
from fastdw.network._graph import Node
from fastdw.network._match import Editor, Found, Pattern, Rule, affine, p

_CLAMPS = {None if name == "linear" else name: ends for name, ends in CLAMPS.items()}
_NAMES = {ends: name for name, ends in _CLAMPS.items()}


def limits(activation: Any) -> tuple[float, float] | None:
    """The limits of an activation that is a clamp."""
    if isinstance(activation, tuple):
        return activation[1:] if activation[0] == "clip" else None
    return _CLAMPS.get(activation)


def clamp(lo: float, hi: float) -> Any:
    """The activation that holds values between two limits; None where they are infinite."""
    return _NAMES.get((lo, hi), ("clip", lo, hi))


def composed(outer: Any, inner: Any) -> Any:
    """The activation that two are, one after the other; None if there is none.

    Two clamps are a clamp. (Nothing, None, before another is no case for this.)
    """
    first, second = limits(inner), limits(outer)
    if first is None or second is None:
        return None
    lo, hi = (min(max(end, second[0]), second[1]) for end in first)
    return clamp(lo, hi)


def _clip(lo: float, hi: float, x: Pattern | str) -> Pattern:
    return p("activation", x, activation=lambda value: limits(value) == (lo, hi))


def _becomes(name: str) -> Callable[[Editor, Found], Node | None]:
    def replace(editor: Editor, found: Found) -> Node | None:
        x = found.holes["x"]
        if editor.dtypes[x] != "float32":  # an affine reads bytes too
            return None
        return Node("activation", (x,), "", {"activation": name})

    return replace


def _short_name(editor: Editor, found: Found) -> Node | None:
    (node,) = found.nodes
    name = composed(node.attrs["activation"], None)
    known = limits(node.attrs["activation"]) is None or name == node.attrs["activation"]
    return None if known else node._replace(attrs={"activation": name})


def _one_clamp(editor: Editor, found: Found) -> Node | None:
    outer, inner = found.nodes
    ends = [limits(node.attrs["activation"]) for node in found.nodes]
    if None in ends:
        return None
    both = composed(outer.attrs["activation"], inner.attrs["activation"])
    return inner._replace(attrs={"activation": both})


def _prelu(editor: Editor, found: Found) -> Node:
    """relu(x) + s·relu(−x): the slope below 0 is −s."""
    slopes = -found.nodes[2].attrs["scale"].astype(np.float32)
    return Node("activation", (found.holes["x"],), "", {"activation": ("prelu", slopes)})


_PLUS_3 = _clip(0, 6, affine(1, 3, "x"))
_NEGATIVE = _clip(0, math.inf, affine(-1, 0, "x"))

_SOFTPLUS = p("activation", "x", activation="softplus")


def _product(function: str) -> Pattern:
    return p("multiply", "x", p("activation", "x", activation=function), activation=None)


RULES = [
    Rule(p("activation", "x"), _short_name),
    Rule(p("activation", p("activation", "x")), _one_clamp),
    Rule(affine(1 / 6, 0, _PLUS_3), _becomes("hard_sigmoid")),
    Rule(_clip(0, 1, affine(1 / 6, 0.5, "x")), _becomes("hard_sigmoid")),
    Rule(
        affine(1 / 6, 0, p("multiply", "x", _PLUS_3, activation=None)),
        _becomes("hard_swish"),
    ),
    Rule(
        p("multiply", affine(1 / 6, 0, "x"), _PLUS_3, activation=None),
        _becomes("hard_swish"),
    ),
    Rule(_product("hard_sigmoid"), _becomes("hard_swish")),
    Rule(_product("sigmoid"), _becomes("swish")),
    Rule(
        p("multiply", "x", p("activation", _SOFTPLUS, activation="tanh"), activation=None),
        _becomes("mish"),
    ),
    Rule(
        p(
            "add",
            _clip(0, math.inf, "x"),
            p("affine", _NEGATIVE, offset=lambda v: not v.any(), activation=None),
            activation=None,
        ),
        _prelu,
    ),
]
