"""What an engine offers to the measurement."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from ..blocks import F32, Block
from ..blocks8 import Block8


class Unsupported(Exception):  # noqa: N818  (no failure: the engine has no such operator)
    """The engine cannot express this layer, or read this file."""


@dataclass(frozen=True)
class Prepared:
    """A session that is built and bound to its input.

    `run` computes once; `output` returns what the last `run` computed, as NHWC. `variant` names
    the layout or mode, where the engine has several. `keep` holds what the engine only points to.
    """

    run: Callable[[], object]
    output: Callable[[], npt.NDArray[Any]]
    variant: str = ""
    keep: object = None


@dataclass(frozen=True)
class Model:
    """The file of a network, and images for it: a batch of one for each input, by name."""

    path: Path
    inputs: dict[str, npt.NDArray[Any]]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Session:
    """A network that is loaded and bound to its inputs.

    `run` computes once; `outputs` returns what the last `run` computed, in the order of the file.
    `variant` is the name of the file, where it is not the one that was asked for. `keep` holds what
    the engine only points to.
    """

    run: Callable[[], object]
    outputs: Callable[[], list[F32]]
    keep: object = None
    variant: str = ""


class Engine(Protocol):
    """A module of this package.

    `prepare` builds every mode in which the engine could be at its best; the fastest is measured.
    So does `prepare8` of a block of integers, whose outputs are of int8.
    `read` loads a file, of a kind that `READS` names.
    """

    NAME: str
    PACKAGES: tuple[str, ...]
    """What must be installed, by the names of the distributions; the first gives the version."""

    READS: tuple[str, ...]
    """Suffixes of files; without any there is no `read`."""

    def prepare(self, block: Block, threads: int) -> list[Prepared]: ...
    def prepare8(self, block: Block8, threads: int) -> list[Prepared]: ...
    def read(self, model: Model, threads: int) -> Session: ...


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


def raise_interrupt(error: BaseException) -> None:
    """Raise the KeyboardInterrupt that is behind an error.

    An engine's compiled module that is interrupted while it is imported makes an ImportError of it.
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        behind = behind.__cause__ or behind.__context__
