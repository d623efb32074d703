"""Threads, and what the package was built with and runs on."""

from __future__ import annotations

import functools
import os
import threading
from contextlib import AbstractContextManager
from typing import Any, Literal, overload

from fastdw import _core
from fastdw._arguments import MAX_THREADS, choice, num_threads


class _ThisThread(threading.local):
    threads: int | None = None

    def __init__(self) -> None:
        self.outer: list[int | None] = []  # of the blocks that this thread is in


_process_threads: int | None = None
_this_thread = _ThisThread()


def set_num_threads(n: int) -> None:
    """Set the process's default number of threads for one call.

    Parameters
    ----------
    n : int
        1 ... 1024. More than there are cores are really started.

    Raises
    ------
    TypeError, ValueError
        For what is no int, and for one outside the range.

    See Also
    --------
    threads : a number for the calling thread alone.
    """
    global _process_threads
    _process_threads = num_threads(n)


def get_num_threads() -> int:
    """Number of threads that a call from this thread uses unless it is told another.

    The first of these that is set: ``threads(n)`` around the call, `set_num_threads`, the
    environment variables ``FASTDW_NUM_THREADS`` and ``OMP_NUM_THREADS`` (of a list the first), and
    the smallest of affinity mask, cgroup quota and cores.

    Returns
    -------
    int
        1 ... 1024.
    """
    return _this_thread.threads or _process_threads or _initial_threads()


def threads(n: int) -> AbstractContextManager[None]:
    """Use `n` threads in the calls that the calling thread makes inside a ``with`` block.

    Parameters
    ----------
    n : int
        1 ... 1024.

    Returns
    -------
    context manager
        For any number of blocks.

    Raises
    ------
    TypeError, ValueError
        For what is no int, and for one outside the range.

    Examples
    --------
    >>> with fastdw.threads(1):
    ...     fastdw.get_num_threads()
    1
    """
    return _Threads(num_threads(n))


class _Threads(AbstractContextManager[None]):
    """The block of `threads`; one object serves any number, one in another and in any thread."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __enter__(self) -> None:
        _this_thread.outer.append(_this_thread.threads)
        _this_thread.threads = self._n

    def __exit__(self, *exception: object) -> None:
        _this_thread.threads = _this_thread.outer.pop()


def _count(text: str) -> int | None:
    """A number of threads from the environment; None for anything else."""
    digits = text.strip().lstrip("0")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(MAX_THREADS))):
        return None
    return int(digits) if int(digits) <= MAX_THREADS else None


def _environment_threads() -> int | None:
    text = os.environ.get("FASTDW_NUM_THREADS", "")
    count = _count(text)
    if text and count is None:
        msg = f"FASTDW_NUM_THREADS must be an integer from 1 to {MAX_THREADS}, got {text!r}"
        raise RuntimeError(msg)
    return count or _count(os.environ.get("OMP_NUM_THREADS", "").split(",")[0])


_ENVIRONMENT_THREADS = _environment_threads()


@functools.cache
def _initial_threads() -> int:
    # Not at import: it reads files.
    return _ENVIRONMENT_THREADS or min(_core.available_cpus(), MAX_THREADS)


@overload
def show_config(mode: Literal["text"] = ...) -> None: ...
@overload
def show_config(mode: Literal["dict"]) -> dict[str, Any]: ...
def show_config(mode: str = "text") -> dict[str, Any] | None:
    """Show version, compiler, instruction sets, kernels and threads.

    Parameters
    ----------
    mode : {"text", "dict"}
        Print it, or return it.

    Returns
    -------
    dict or None
        ``version``, ``compiler``, ``isas`` (``built`` and ``supported``, best first, and the
        ``active`` one), ``isas8`` and ``isas16`` (the same of the 8-bit kernels and of those for
        ``accumulate="float16"``, of which None may be active), ``kernels``, ``kernels8`` and
        ``kernels16`` (of the active instruction sets), ``pool`` (``threads``: worker threads
        started so far) and ``threads``, which is `get_num_threads`; None for "text".

    Raises
    ------
    TypeError, ValueError
        For another mode.
    """
    choice("mode", mode, ("text", "dict"))
    config, isas8, isas16 = _core.config(), _core.config8(), _core.config16()
    config |= {
        "isas8": isas8,
        "isas16": isas16,
        "kernels": _core.kernels(config["isas"]["active"]),
        "kernels8": _core.kernels8(isas8["active"]),
        "kernels16": [] if isas16["active"] is None else _core.kernels16(isas16["active"]),
        "threads": get_num_threads(),
    }
    if mode == "dict":
        return config
    for name, value in config.items():
        if isinstance(value, dict):
            for key, part in value.items():
                print(f"{name}.{key}: {_words(part)}")
        else:
            print(f"{name}: {_words(value)}")
    return None


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
