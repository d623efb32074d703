"""The instruction set that weights are packed for: of a process, or in tests of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fastdw import _arguments as check
from fastdw import _core

_isa: ContextVar[str | None] = ContextVar("isa", default=None)
_isa8: ContextVar[str | None] = ContextVar("isa8", default=None)


def chosen_isa() -> str | None:
    """Its name, or None for the active one."""
    return _isa.get()


def chosen_isa8() -> str | None:
    """The same of the 8-bit instruction sets."""
    return _isa8.get()


@contextmanager
def packed_for(isa: str) -> Iterator[None]:
    """Pack the layers and networks that this thread builds inside for one instruction set.

    The public choice, FASTDW_ISA, holds for a process; in tests and benchmarks several take turns
    in one.
    """
    token = _isa.set(isa)
    try:
        yield
    finally:
        _isa.reset(token)


@contextmanager
def packed_for8(isa: str) -> Iterator[None]:
    """Pack what this thread builds of 8-bit integers inside for one of their instruction sets."""
    token = _isa8.set(isa)
    try:
        yield
    finally:
        _isa8.reset(token)


def checked_sums(value: object) -> str:
    """What `accumulate` may be: the same, "float16" where the CPU adds in it."""
    if check.choice("accumulate", value, ("float32", "float16")) == "float32":
        return "float32"
    if not _core.config16()["supported"]:
        msg = (
            'accumulate="float16" needs a CPU that multiplies and adds in float16, ARM with '
            'FEAT_FP16: this one does not; accumulate="float32" runs everywhere. '
            "fastdw.show_config() names what there is as isas16"
        )
        raise RuntimeError(msg)
    return "float16"
