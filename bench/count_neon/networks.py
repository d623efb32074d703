#!/usr/bin/env python3
"""Count the instructions of whole networks on AArch64, on a machine that is none.

    python bench/count_neon/networks.py FILE.fdw... --sysroot FOLDER --site FOLDER [--functions]

For each network the table gives its multiply-adds, the executed instructions of a run, (1 + n runs
- 1 run) / n, and how many that makes for each multiply-add of four lanes. One would be perfect.
Where FILE.ncnn.param lies beside FILE.fdw, the last column is the same figure of ncnn, in float32,
once its answer has been compared with ours. All is counted for a Cortex-A72; with --halves, by
which ours adds in float16, for a CPU that does.

The sysroot is Debian's Python and NumPy for arm64, which .ci/emulation.sh unpacks. The site holds
packages for arm64 and that Python, wheels unpacked: fastdw, and ncnn where it is compared. ncnn
takes the image in planes: `pnnx FILE.onnx "inputshape=[1,3,224,224]" fp16=0` makes its network.

Needs: gcc, qemu-user up to 8, NumPy; for --functions also aarch64-linux-gnu-nm, and a module that
still has its symbols.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
ELSEWHERE = "outside the module"
TOLERANCE = 1e-3
"""Of the largest output."""


class Symbol(NamedTuple):
    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Counted:
    """Instructions at each address where a block of them begins, and what else a process said."""

    blocks: Mapping[int, int]
    facts: Mapping[str, Any]
    result: Any

    @property
    def total(self) -> int:
        return sum(self.blocks.values())

    def functions(self, symbols: list[Symbol]) -> Counter[str]:
        """Return the instructions of each function of the module, and of all else."""
        starts = [symbol.start for symbol in symbols]
        counts: Counter[str] = Counter()
        for address, executed in self.blocks.items():
            place = address - self.facts["base"]
            at = bisect_right(starts, place) - 1
            inside = at >= 0 and place < symbols[at].end
            counts[symbols[at].name if inside else ELSEWHERE] += executed
        return counts


@dataclass(frozen=True)
class Emulator:
    """An arm64 Python with packages, whose instructions a plugin counts."""

    sysroot: Path
    site: Path
    folder: Path
    largest: float
    accumulate: str

    def build(self) -> None:
        source, plugin = HERE / "count_insns.c", self.folder / "count_insns.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", source, "-o", plugin], check=True)

    def run(self, file: Path, runs: int) -> Counted:
        blocks, result = self.folder / "blocks", self.folder / "result.npy"
        plugin = f"{self.folder / 'count_insns.so'},blocks={blocks}"
        # Links that a package's script would have made lead to the BLAS.
        found = [next(self.sysroot.glob(f"usr/lib/*/{name}")) for name in ("blas", "lapack")]
        python = self.sysroot / "usr/bin/python3.11"
        environment = {"PYTHONPATH": str(self.site), "PYTHONHASHSEED": "0", "FASTDW_ISA": "neon"}
        cpu = "cortex-a72" if self.accumulate == "float32" else "neoverse-n1"
        emulator = ["qemu-aarch64", "-cpu", cpu, "-L", self.sysroot, "-plugin", plugin]
        libraries = ["-E", "LD_LIBRARY_PATH=" + ":".join(map(str, found))]
        numbers = (str(runs), str(self.largest), self.accumulate)
        script = [HERE / "run_network.py", file, *numbers, result]
        printed = subprocess.run(
            [*emulator, *libraries, python, *script],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        ).stdout
        return Counted(parse_blocks(blocks.read_text()), json.loads(printed), np.load(result))


def parse_blocks(text: str) -> Counter[int]:
    """Return what the plugin wrote: an address and a count a line, an address as often as it is."""
    counts: Counter[int] = Counter()
    for line in text.splitlines():
        address, executed = line.split()
        counts[int(address, 16)] += int(executed)
    return counts


def parse_symbols(text: str) -> list[Symbol]:
    """Return the functions that `nm --print-size --demangle` names, by their addresses."""
    pattern = r"^([0-9a-f]+) ([0-9a-f]+) [tTwW] (.*)$"
    found = re.findall(pattern, text, re.MULTILINE)
    return sorted(Symbol(int(a, 16), int(a, 16) + int(n, 16), name) for a, n, name in found)


def short(function: str) -> str:
    function = re.sub(r"(fastdw|neon)::|\(anonymous namespace\)::|^void | \[clone.*", "", function)
    return re.sub(r"\(TileOptions\)|\(Outside\)|\([^()]*\)( const)?$", "", function)


def table(name: str, macs: int, ours: float, ncnn: float | None) -> str:
    """Return a network's line: what a multiply-add of four lanes takes."""
    fours = macs / 4
    beside = f"{ncnn / fours:8.3f}" if ncnn is not None else "       –"
    return f"{name:20}{macs / 1e6:9.1f}{ours:14.0f}{ours / fours:10.3f}{beside}"


def per_run(emulator: Emulator, file: Path, runs: int) -> tuple[float, Counted, Counted]:
    few, many = (emulator.run(file, times) for times in (1, 1 + runs))
    return (many.total - few.total) / runs, few, many


def breakdown(few: Counted, many: Counted, runs: int, macs: int) -> list[str]:
    """Return a line for each function that takes a thousandth or more of a multiply-add."""
    module = many.facts["module"]
    listing = subprocess.run(
        ["aarch64-linux-gnu-nm", "--print-size", "--demangle", module],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    symbols = parse_symbols(listing)
    before, after = (counted.functions(symbols) for counted in (few, many))
    figures = {name: (after[name] - before[name]) / runs / (macs / 4) for name in after}
    lines = sorted(figures.items(), key=lambda item: -item[1])
    return [f"{figure:10.3f}  {short(name)}" for name, figure in lines if figure >= 1e-3]


def compared(ours: Any, theirs: Any) -> None:
    """Refuse to count what gives another answer."""
    ours, theirs = np.ravel(ours), np.ravel(theirs)
    error = np.abs(ours - theirs).max() / np.abs(ours).max()
    if not error <= TOLERANCE:
        msg = f"ncnn's answer is {error:.1e} of the largest output away from ours"
        raise SystemExit(msg)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.fdw")
    parser.add_argument("--sysroot", type=Path, required=True)
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=1, help="n (default: 1)")
    parser.add_argument(
        "--largest", type=float, default=1, help="of the input's values (default: 1)"
    )
    parser.add_argument("--halves", action="store_true", help="sums of float16")
    parser.add_argument("--functions", action="store_true", help="and by the functions of ours")
    options = parser.parse_args()
    print(f"{'network':20}{'M MACs':>9}{'instructions':>14}{'per FMLA':>10}{'ncnn':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        accumulate = "float16" if options.halves else "float32"
        emulator = Emulator(
            options.sysroot, options.site, Path(folder), options.largest, accumulate
        )
        emulator.build()
        for file in options.files:
            ours, few, many = per_run(emulator, file, options.runs)
            theirs, beside = None, file.with_suffix(".ncnn.param")
            if beside.exists() and not options.halves:
                theirs, _, counted = per_run(emulator, beside, options.runs)
                compared(many.result, counted.result)
            macs = many.facts["macs"]
            print(table(file.stem, macs, ours, theirs), flush=True)
            if options.functions:
                print(*breakdown(few, many, options.runs, macs), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
