"""What an engine offers to the measurement."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..blocks import F32, Block


class Unsupported(Exception):  # noqa: N818  (no failure: the engine has no such operator)
    """The engine cannot express this layer."""


@dataclass(frozen=True)
class Prepared:
    """A session that is built and bound to its input.

    `run` computes once; `output` returns what the last `run` computed, as NHWC. `variant` names
    the layout or mode, where the engine has several. `keep` holds what the engine only points to.
    """

    run: Callable[[], object]
    output: Callable[[], F32]
    variant: str = ""
    keep: object = None


class Engine(Protocol):
    """A module of this package.

    `prepare` builds every mode in which the engine could be at its best; the fastest is measured.
    """

    NAME: str
    PACKAGES: tuple[str, ...]
    """What must be installed, by the names of the distributions; the first gives the version."""

    def prepare(self, block: Block, threads: int) -> list[Prepared]: ...


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what compiled code prints: stdout belongs to the result."""
    saved = [(number, os.dup(number)) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in saved:
            os.dup2(nowhere, number)
        yield
    finally:
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
