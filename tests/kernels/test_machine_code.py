"""The built module, disassembled: vector code stays in its instruction set, and cleans up."""

import collections
import functools
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest
from fastdw import _core

pytestmark = pytest.mark.skipif(
    "avx2" not in _core.config()["isas"]["built"], reason="needs a module for x86-64"
)

FUNCTION = re.compile(r"[0-9a-f]+ <(.+)>:$")
# In 64-bit code these bytes begin a VEX or EVEX instruction and nothing else; segment and
# address-size prefixes may stand before them.
ENCODING = re.compile(r"(?:(?:26|2e|36|3e|64|65|67) )*(c4|c5|62) ")
PREFIX = re.compile(r"(?:(?:bnd|notrack|repz|\{vex\}) )*")
# Old SSE code waits for the upper halves of these sixteen alone.
WIDE = re.compile(r"%[yz]mm(\d|1[0-5])\b")


class Instruction(NamedTuple):
    address: int
    code: str
    mnemonic: str
    operands: str


@functools.cache
def functions():
    """Every instruction of the module, by its function."""
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("objdump (binutils) is not installed")
    command = [objdump, "--disassemble", "--demangle", "--wide", _core.__file__]
    found, body = {}, []
    for line in subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if match := FUNCTION.match(line):
            body = found.setdefault(match[1], [])
        elif len(columns := line.split("\t")) == 3:
            address, code, text = columns
            mnemonic, _, operands = PREFIX.sub("", text).partition(" ")
            body.append(Instruction(int(address.strip(" :"), 16), code, mnemonic, operands.strip()))
    if not any("fastdw::avx2::" in name for name in found):
        pytest.skip("the installed module is stripped: no instruction has a name")
    return found


def homes(instruction):
    """The instruction sets whose functions may hold it, or None if every function may."""
    encoding = ENCODING.match(instruction.code)
    if encoding is None:
        return None
    if encoding[1] == "62" or instruction.mnemonic.startswith("k"):
        return {"avx512"}
    # The others are of BMI, which no instruction set here asks the CPU for.
    return {"avx2", "avxvnni", "avx512"} if instruction.mnemonic.startswith("v") else set()


def test_vector_instructions_stay_in_their_instruction_set():
    """Elsewhere they would run on CPUs that lack them."""
    counts, strangers = collections.Counter(), collections.Counter()
    for name, body in functions().items():
        sets = ("avx512", "avxvnni", "avx2")
        here = next((isa for isa in sets if f"fastdw::{isa}" in name), None)
        for instruction in body:
            allowed = homes(instruction)
            if allowed is None:
                continue
            if here in allowed:
                counts[here] += 1
            else:
                strangers[name] += 1
    assert not strangers
    assert min(counts["avx2"], counts["avx512"]) > 100


def dirty_exits(body):
    """Addresses where a path leaves the function after wide registers, without vzeroupper."""
    places = {instruction.address: i for i, instruction in enumerate(body)}
    ahead = [i for i, instruction in enumerate(body) if WIDE.search(instruction.operands)]
    seen = set()
    while ahead:
        i = ahead.pop()
        if i in seen:
            continue
        seen.add(i)
        address, _, mnemonic, operands = body[i]
        if mnemonic in ("vzeroupper", "vzeroall"):
            continue
        target = None
        if mnemonic.startswith("j") and not operands.startswith("*"):
            target = places.get(int(operands.split()[0], 16))
        if mnemonic.startswith(("ret", "call")) or (mnemonic.startswith("j") and target is None):
            yield hex(address)
            continue
        if target is not None:
            ahead.append(target)
        if not mnemonic.startswith("jmp"):
            ahead.append(i + 1)


def test_no_function_leaves_wide_registers_dirty():
    """SSE code after it, the caller's or libm's, would be slow."""
    wide = {
        name: body
        for name, body in functions().items()
        if any(WIDE.search(instruction.operands) for instruction in body)
    }
    assert len(wide) > 10
    dirty = {name: exits for name, body in wide.items() if (exits := [*dirty_exits(body)])}
    assert not dirty
