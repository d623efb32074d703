"""A model estimate of what an inner loop costs on the in-order cores Cortex-A53 and Cortex-A55.

llvm-mca knows too little of these two: it ranks the pattern of every tuned A53 kernel worst. The
rules here are published ones, of loops that are in the first-level cache:

- Two instructions start in a cycle, in program order, one of them a load. A multiply-add of four
  lanes only comes first in a pair. (Cortex-A53 and -A55 in GCC and LLVM; SLOTHY's Cortex-A55, after
  Arm's Software Optimization Guide.)
- A load of a 128-bit register takes two cycles, in which nothing else starts. (daniestevez/qsdr,
  benchmarks of instructions, measured on an A53; ncnn, arm-a53-a55-dual-issue.md, for both.)
- Beside a multiply-add of four lanes an A53 starts a load of x, an integer instruction or a branch,
  but neither a load of d nor an insertion from x, which share a cycle. (qsdr, measured; ncnn.)
- Four cycles after a multiply-add, when it takes its accumulator, an A53 starts no vector load.
  (ncnn. Arm's own A53 kernel, arm_gemm a64_sgemm_8x12, keeps every fourth cycle free for it.)
- An A55 of revision 1 or later starts all these beside a multiply-add. (ncnn; XNNPACK on its A55
  kernels; Arm's a55r1 kernel is woven so.)
- Results come after: multiply-add 4 cycles, for another to add to; load of d 3, of 128 bits 4, of x
  3 or, on the A55, 4; insertion 2. (qsdr; SLOTHY.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """What the two cores differ in."""

    name: str
    pairs_vectors: bool  # a multiply-add with a load of d or an insertion
    accumulator_stage: int | None  # cycles after a multiply-add without a vector load
    load_x: int


CORES = (Core("A53", False, 4, 3), Core("A55", True, None, 4))

INTEGER = {"add", "sub", "subs", "cmp", "mov", "nop", "prfm"}
BRANCH = re.compile(r"b\.|cbn?z|tbn?z|b$")


@dataclass(frozen=True)
class Instruction:
    """kind: fmla, load128, load64, load_x, insert or integer."""

    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    address: str | None = None  # a register that the instruction steps
    registers: int = 1  # of 128 bits


def names(text: str) -> tuple[str, ...]:
    """Return the registers in an operand, a vector's by its number whatever the width."""
    return tuple(
        ("v" if bank in "vqds" else "x") + number
        for bank, number in re.findall(r"\b([vqdswx])(\d+)\b", text)
    )


def span(text: str) -> tuple[str, ...]:
    """Return the registers of a list, {v1.4s-v3.4s} or {v1.4s, v2.4s}."""
    first, *rest = names(text)
    if "-" not in text:
        return (first, *rest)
    return tuple(f"v{n}" for n in range(int(first[1:]), int(rest[0][1:]) + 1))


def parse(text: str) -> Instruction | None:
    """Return an instruction of objdump's, or None where the rules say nothing of it."""
    mnemonic, _, operands = text.strip().partition("\t")
    stepped = re.search(r"\[(x\d+)\], [#x]|\[(x\d+)[^]]*\]!", operands)
    address = (stepped[1] or stepped[2]) if stepped else None
    target, _, rest = operands.partition(", ")
    if mnemonic == "fmla" and ".4s" in target:
        return Instruction("fmla", names(operands), names(target))
    if mnemonic in ("ld1", "ldp"):
        targets, pointer = operands.split("[", 1)
        if mnemonic == "ldp" and "q" not in target:
            return None
        loaded = span(targets)
        return Instruction("load128", names(pointer), loaded, address, len(loaded))
    if mnemonic in ("ldr", "ldur") and target[0] in "qdx":
        kind = {"q": "load128", "d": "load64", "x": "load_x"}[target[0]]
        return Instruction(kind, names(rest), names(target), address)
    if mnemonic in ("ins", "mov") and ".d[1]" in target:
        return Instruction("insert", names(operands), names(target))
    vector = target.startswith("v")
    if (mnemonic in INTEGER and not vector) or BRANCH.match(mnemonic):
        return Instruction("integer", names(rest), names(target))
    return None


def may_pair(core: Core, first: str, second: str) -> bool:
    if "load128" in (first, second) or second == "fmla":
        return False
    loads = {"load64", "load_x"}
    if first in loads and second in loads:
        return False
    return core.pairs_vectors or first != "fmla" or second not in ("load64", "insert")


def latency(core: Core, kind: str, register: int) -> int:
    """Cycles from an instruction's start to the use of the registers-th that it writes."""
    fixed = {"fmla": 4, "load64": 3, "load128": 4 + 2 * register, "insert": 2, "integer": 1}
    return core.load_x if kind == "load_x" else fixed[kind]


def starts(core: Core, loop: list[Instruction], times: int) -> Iterator[int]:
    """Yield the cycle in which each turn of the loop begins."""
    ready: dict[str, int] = {}
    multiply_adds: set[int] = set()
    cycle, before = -1, ""  # the last start, and the kind that may take a partner in that cycle
    free = 0  # the first cycle in which an instruction may be alone or first
    for _ in range(times):
        for i, instruction in enumerate(loop):
            kind = instruction.kind
            earliest = max((ready.get(name, 0) for name in instruction.reads), default=0)
            paired = before and earliest <= cycle and may_pair(core, before, kind)
            start = cycle if paired else max(free, earliest)
            if core.accumulator_stage and kind in ("load64", "load128"):
                while start - core.accumulator_stage in multiply_adds:
                    start += 1
            paired = start == cycle
            cycle, before = start, "" if paired else kind
            free = cycle + (2 * instruction.registers if kind == "load128" else 1)
            if kind == "fmla":
                multiply_adds.add(cycle)
            for register, name in enumerate(instruction.writes):
                ready[name] = cycle + latency(core, kind, register)
            if instruction.address:
                ready[instruction.address] = cycle + 1
            if i == 0:
                yield cycle


def cycles(core: Core, body: list[str]) -> float | None:
    """Return the model estimate of a turn of the loop, None where the rules are silent on it."""
    loop = [instruction for text in body if (instruction := parse(text))]
    if len(loop) < len(body):
        return None
    settled, last, times = 20, 60, 61
    begins = list(starts(core, loop, times))
    return (begins[last] - begins[settled]) / (last - settled)
