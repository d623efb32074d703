#!/usr/bin/env python3
"""Count the instructions of separable blocks on AArch64, on a machine that is none.

NEON code cannot be timed under emulation, but its instructions can be counted. For each block the
table gives the executed instructions, (11 runs - 1 run) / 10, and how many that makes for each
four-lane multiply-add that the block's arithmetic fills, OH*OW*C*(k*k + F) / 4. One would be
perfect. The last column is the same figure of ncnn 20261020.

That is for neon. neon_inorder, its variant for Cortex-A53 and -A55, is not written to run fewer
instructions: what --inspect says of it is a model estimate, by the rules in in_order.py.

With --integers it counts the blocks in 8-bit integers instead, with --halves those with sums of
float16, and neon beside them: instructions for each single multiply-add, OH*OW*C*(k*k + F).

Before it counts floats, the program compares blocks of many shapes with a plain loop over fused
multiply-adds, bit by bit. Integers and halves are the emulated tests' business.

Needs: g++-aarch64-linux-gnu, gcc, qemu-user up to 8; for --inspect also llvm-19.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import in_order

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent.parent / "csrc"
ISAS = ("neon", "neon_inorder")
# Of integers, with the flags that CMakeLists.txt gives each data sheet.
ISAS8: dict[str, list[str]] = {
    "i8mm": ["-march=armv8.2-a+dotprod+i8mm", "-fno-schedule-insns", "-frename-registers"],
    "dotprod": ["-march=armv8.2-a+dotprod", "-fno-schedule-insns", "-frename-registers"],
    "neon": ["-fno-schedule-insns"],
}
# With sums of halves.
ISAS16: dict[str, list[str]] = {
    "fp16": ["-march=armv8.2-a+fp16", "-fno-schedule-insns", "-frename-registers"],
}
SCALAR = ("scalar", "scalar8")
EMULATOR = "qemu-aarch64"
# What CMakeLists.txt gives the wheel.
FLAGS = ["-std=c++17", "-O3", "-DNDEBUG", "-fPIC", "-ffp-contract=off", "-fvisibility=hidden"]


@dataclass(frozen=True)
class Block:
    """A depthwise k x k convolution, SAME, and a pointwise one, each with bias and activation."""

    name: str
    height: int
    width: int
    channels: int
    filters: int
    depthwise_high: str
    high: str
    ncnn: float
    kernel: int = 3
    stride: int = 1

    def arguments(self) -> list[str]:
        sizes = (
            self.height,
            self.width,
            self.channels,
            self.kernel,
            self.stride,
            self.filters,
        )
        return [*map(str, sizes), self.depthwise_high, self.high]

    def multiply_adds(self) -> float:
        pixels = math.ceil(self.height / self.stride) * math.ceil(self.width / self.stride)
        return pixels * self.channels * (self.kernel**2 + self.filters) / 4


BLOCKS = (
    Block("v1_1", 112, 112, 32, 64, "6", "6", 1.63),
    Block("v1_7", 14, 14, 512, 512, "6", "6", 1.17),
    Block("v1_13", 7, 7, 1024, 1024, "6", "6", 1.18),
    Block("v2_3", 56, 56, 144, 24, "6", "inf", 1.56),
    Block("v2_12", 14, 14, 576, 96, "6", "inf", 1.32),
)


def run(*command: str | Path) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


@dataclass(frozen=True)
class Built:
    """Programs for floats, integers and halves, the plugin, and the float data sheets alone."""

    block: Path
    block8: Path
    block16: Path
    plugin: Path
    kernels: list[Path]

    def instructions(self, isa: str, block: Block) -> float:
        """Return the instructions of one run in floats."""
        return self._instructions([self.block, isa, "run", *block.arguments()])

    def others(self, program: Path, isa: str, block: Block) -> float:
        """Return the same of integers or halves."""
        sizes = map(str, (block.height, block.width, block.channels, block.filters))
        return self._instructions([program, isa, *sizes])

    def _instructions(self, command: list[str | Path]) -> float:
        few, many = (self._executed([*command, times]) for times in ("1", "11"))
        return (many - few) / 10

    def _executed(self, arguments: list[str | Path]) -> int:
        command = (EMULATOR, "-plugin", self.plugin, *arguments)
        return int(subprocess.run(command, check=True, text=True, stderr=subprocess.PIPE).stderr)


def build(compiler: list[str], folder: Path) -> Built:
    """Compile the programs, the data sheets by themselves, and the plugin."""
    rooms = ("base", "pack", "plan", "ops")
    sources = [path for room in rooms for path in sorted((CSRC / room).glob("*.cpp"))]
    sheets = {isa: [] for isa in ISAS} | {f"{isa}8": flags for isa, flags in ISAS8.items()} | ISAS16
    units = [(path, []) for path in (*sources, CSRC / "isa/dispatch.cpp")]
    units += [(CSRC / f"isa/{name}.cpp", sheets.get(name, [])) for name in (*sheets, *SCALAR)]
    objects = []
    for source, flags in units:
        objects.append(folder / f"{source.parent.name}-{source.stem}.o")
        run(*compiler, *FLAGS, *flags, f"-I{CSRC}", "-c", source, "-o", objects[-1])
    programs = [folder / name for name in ("block", "block8", "block16")]
    for program in programs:
        main = HERE / f"{program.name}.cpp"
        link = ["-static", "-pthread", f"-I{CSRC}", main, *objects, "-o", program]
        run(*compiler, *FLAGS, *link)
    plugin = folder / "count_insns.so"
    run("gcc", "-O2", "-shared", "-fPIC", HERE / "count_insns.c", "-o", plugin)
    return Built(*programs, plugin, [folder / f"isa-{isa}.o" for isa in ISAS])


def count(built: Built, isa: str, blocks: list[Block]) -> None:
    print(f"\n{isa}\n{'block':8}{'instructions':>14}{'per FMLA':>10}{'ncnn':>7}")
    figures = []
    for block in blocks:
        instructions = built.instructions(isa, block)
        figures.append(instructions / block.multiply_adds())
        print(f"{block.name:8}{instructions:14.0f}{figures[-1]:10.3f}{block.ncnn:7.2f}", flush=True)
    means = [math.exp(sum(map(math.log, f)) / len(f)) for f in (figures, [b.ncnn for b in blocks])]
    print(f"{'geometric mean':22}{means[0]:10.3f}{means[1]:7.2f}")


def count_others(built: Built, program: Path, isas: Iterable[str], blocks: list[Block]) -> None:
    """Count integers or halves, with floats beside them."""
    print(f"\nper multiply-add\n{'block':8}" + "".join(f"{isa:>12}" for isa in (*isas, "float")))
    for block in blocks:
        counts = [built.others(program, isa, block) for isa in isas]
        counts.append(built.instructions("neon", block))
        figures = [count / (4 * block.multiply_adds()) for count in counts]
        print(f"{block.name:8}" + "".join(f"{figure:12.3f}" for figure in figures), flush=True)


def inner_loops(kernels: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every innermost loop with multiply-adds: its function, and its instructions."""
    listing = run("aarch64-linux-gnu-objdump", "-dC", "--no-show-raw-insn", kernels)
    for function in re.split(r"\n(?=[0-9a-f]+ <)", listing):
        name = re.match(r"[0-9a-f]+ <(.*)>:\n", function)
        if not name:
            continue
        lines = re.findall(r"^ +([0-9a-f]+):\t(.*)$", function, re.M)
        places = {int(address, 16): i for i, (address, _) in enumerate(lines)}
        loops = []
        for end, (_, text) in enumerate(lines):
            jump = re.match(r"(?:b\.\w+|cbnz|cbz|tbnz|tbz)\s.*?\b([0-9a-f]+) <", text)
            start = places.get(int(jump[1], 16)) if jump else None
            if start is not None and start <= end:
                loops.append((start, end))
        for start, end in loops:
            if any(s >= start and e <= end and (s, e) != (start, end) for s, e in loops):
                continue
            body = [re.sub(r"\s*(//|<).*", "", text) for _, text in lines[start : end + 1]]
            if any(text.startswith("fmla") for text in body):
                yield name[1], body


def throughput(body: list[str]) -> float:
    """Return the multiply-adds a cycle that llvm-mca expects of a Neoverse N1."""
    text = "\n".join(
        re.sub(r"^((?:bl?|b\.\w+|cbn?z|tbn?z)\s.*?)[0-9a-f]+$", r"\1 0", t) for t in body
    )
    report = subprocess.run(
        ["llvm-mca-19", "-mtriple=aarch64", "-mcpu=neoverse-n1", "-iterations=100"],
        input=text,
        check=True,
        text=True,
        capture_output=True,
    ).stdout
    cycles = int(report.split("Total Cycles:")[1].split()[0])
    return 100 * sum(t.startswith("fmla") for t in body) / cycles


def short(function: str) -> str:
    return re.sub(r"fastdw::(\w+::)?\(anonymous namespace\)::", "", function).split("(")[0]


def inspect(kernels: list[Path]) -> None:
    """Print each inner loop, and what the tiles of neon_inorder gain by the model estimate."""
    print("\nFMLA a cycle: of a Neoverse N1 (llvm-mca), of a Cortex-A53 and -A55 (model estimate)")
    print(f"{'FMLA':>5}{'all':>5}{'stack':>6}{'N1':>6}{'A53':>6}{'A55':>6}  inner loop of")
    turns: dict[str, tuple[int, list[float | None]]] = {}  # of a pointwise tile's longest loop
    for kernel in kernels:
        for name, body in inner_loops(kernel):
            stack = sum("[sp" in text for text in body)
            fmla = sum(text.startswith("fmla") for text in body)
            cycles = [in_order.cycles(core, body) for core in in_order.CORES]
            rates = "".join("     -" if c is None else f"{fmla / c:6.2f}" for c in cycles)
            print(f"{fmla:5}{len(body):5}{stack:6}{throughput(body):6.2f}{rates}  {short(name)}")
            tile = re.search(r"pwconv_\w+<\d+, \d+>", name)
            if tile and fmla > turns.get(tile[0], (0,))[0]:
                turns[tile[0]] = fmla, cycles
    print("\nModel estimate: cycles an input channel")
    unknown = 0, [None] * len(in_order.CORES)
    for name in turns:
        ordinary = name.replace("inorder", "grouped")
        if name == ordinary:
            continue
        pixels, vectors = map(int, re.findall(r"\d+", name))
        for i, core in enumerate(in_order.CORES):
            before, after = (
                cycles[i] and cycles[i] * pixels * vectors / adds
                for adds, cycles in (turns.get(ordinary, unknown), turns[name])
            )
            print(f"{pixels:2}x{vectors} on a Cortex-{core.name}: ", end="")
            if before and after:
                gain = f"{before / after:.2f} times as fast"
                print(f"neon {before:.1f}, neon_inorder {after:.1f}, {gain}")
            else:
                print("a loop that the model does not know")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("blocks", nargs="*", metavar="BLOCK", help="v1_1 ... (default: all five)")
    parser.add_argument(
        "--compiler", default="aarch64-linux-gnu-g++", help="C++ compiler and its target option"
    )
    parser.add_argument("--no-check", action="store_true", help="count without comparing first")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--integers", action="store_true", help="count 8-bit integers")
    kinds.add_argument("--halves", action="store_true", help="count sums of float16")
    parser.add_argument(
        "--inspect",
        action="store_true",
        help="also list the kernels' inner loops: multiply-adds, all instructions, accesses to "
        "the stack (spills), llvm-mca's estimate for a Neoverse N1, and the model estimate for "
        "Cortex-A53 and -A55",
    )
    options = parser.parse_args()
    blocks = [b for b in BLOCKS if not options.blocks or b.name in options.blocks]
    with tempfile.TemporaryDirectory() as folder:
        built = build(options.compiler.split(), Path(folder))
        if options.integers or options.halves:
            of = (built.block8, ISAS8) if options.integers else (built.block16, ISAS16)
            count_others(built, *of, blocks)
            return 0
        if not options.no_check:
            for isa in ISAS:
                print(run(EMULATOR, built.block, isa, "check"), end="", flush=True)
        for isa in ISAS:
            count(built, isa, blocks)
        if options.inspect:
            inspect(built.kernels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
