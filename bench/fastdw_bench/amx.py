"""AMX, the matrix unit of some x86 CPUs, whose use a process must ask the kernel for."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NoReturn

# linux: arch/x86/include/uapi/asm/prctl.h, asm/unistd_64.h, linux/seccomp.h, linux/audit.h
_ARCH_PRCTL, _SECCOMP = 158, 317
_GET_PERMISSION, _ASK = 0x1022, 0x1023
_TILES, _NOTHING = 18, 63
_NO_NEW_PRIVILEGES = 38
_FILTER, _ALL_THREADS = 1, 1
_X86_64 = 0xC000003E
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM
# Of the classic packet filter: load a word of the call, jump if equal, return.
_LOAD, _IF, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def state(extensions: list[str]) -> str:
    """What a program that asks for AMX meets, in a word or two; nothing on other CPUs than x86."""
    if not _is_x86():
        return ""
    if "amx_tile" not in extensions:
        return "not there"
    return "refused" if _is_refused() else "open"


def refuse() -> None:
    """Let the kernel refuse AMX to this process and to those that it starts, for good.

    Engines then choose what they choose on CPUs without it.

    Raises
    ------
    OSError
        When the kernel takes no filter, or AMX is in use already.
    """
    if not _is_x86():
        return
    granted = ctypes.c_uint64()
    known = not _call(_ARCH_PRCTL, _GET_PERMISSION, ctypes.byref(granted))
    if known and granted.value >> _TILES & 1:
        msg = "AMX cannot be refused: this process was granted it before"
        raise OSError(msg)
    if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        _fail("this process cannot give up new privileges")
    instructions = [
        *((_LOAD, 0, 0, _ARCHITECTURE), (_IF, 0, 5, _X86_64)),
        *((_LOAD, 0, 0, _NUMBER), (_IF, 0, 3, _ARCH_PRCTL)),
        *((_LOAD, 0, 0, _FIRST_ARGUMENT), (_IF, 0, 1, _ASK)),
        *((_RETURN, 0, 0, _FAIL), (_RETURN, 0, 0, _ALLOW)),
    ]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    program = _Program(len(instructions), code)
    if _call(_SECCOMP, _FILTER, _ALL_THREADS, ctypes.byref(program)):
        _fail("the kernel takes no filter of system calls")


def _is_x86() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64" and sys.maxsize > 2**32


def _is_refused() -> bool:
    # Asked for something that no CPU has, so that nothing is granted: not permitted, says only a
    # filter.
    return bool(_call(_ARCH_PRCTL, _ASK, _NOTHING)) and ctypes.get_errno() == errno.EPERM


def _call(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))


def _fail(what: str) -> NoReturn:
    msg = f"AMX cannot be refused: {what}: {os.strerror(ctypes.get_errno())}"
    raise OSError(msg)
