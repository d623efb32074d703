#!/usr/bin/env python3
"""A model estimate of a network on boards that nobody has timed.

For each step of the network, as it runs and without the rewrites that fuse its blocks, the larger
of two times: that of its multiply-adds, at the rate of the kernels' counted instructions, and that
of the bytes which it moves to and from memory. What fits the cache is taken to stay there, all
cores to share evenly, and nothing to cost time beside: a machine will take longer, and the fused
network less of it longer than the other.

    python bench/boards.py FILE… [--board pi-4] [--threads 4] [--steps]

Sources: clocks, caches and memory of the makers' data sheets; lanes a cycle of Arm's optimisation
guides; instructions of `bench/count_neon/count.py` and cycles of its `--inspect`; bytes a second,
of STREAM where somebody published it (Pi 4: sci-pi.org.uk), else 60 % of what the memory's clock
allows, which is an assumption.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from fastdw.importers._files import open_network
from fastdw.network import _summary
from fastdw.network._graph import Graph, rounded
from fastdw.network._lower import lower
from fastdw.network._rewrite import REWRITES, rewrite

BLOCKS = ("separable", "inverted", "expand_depthwise")
"""Rewrites that fuse the halves of blocks."""


class Board(NamedTuple):
    """A machine; cycles are those of a multiply-add of four lanes on one core."""

    core: str
    cores: int
    gigahertz: float
    cycles: float
    cache: int
    """Bytes, of all cores."""
    gigabytes: float
    """A second, to and from memory."""


BOARDS = {
    "pi-zero-2": Board("Cortex-A53", 4, 1.0, 32.0 / 24, 512 << 10, 2.2),
    "pi-4": Board("Cortex-A72", 4, 1.8, 1.0, 1 << 20, 5.0),
    "pi-5": Board("Cortex-A76", 4, 2.4, 0.5, 2 << 20, 10.2),
    "rk3588": Board("Cortex-A76", 4, 2.4, 0.5, 3 << 20, 20.5),
}


class Step(NamedTuple):
    """Milliseconds of a step."""

    name: str
    output: Any
    compute: float
    memory: float

    @property
    def time(self) -> float:
        return max(self.compute, self.memory)


def steps_of(graph: Graph, board: Board, threads: int) -> list[Step]:
    """What each step of a rewritten graph takes at best."""
    program = lower(rounded(graph))
    entries = _summary.rows(graph, program)
    # Weights that all fit the cache are read from memory once, by the first image.
    weights = sum(entry["nbytes"] for entry in entries)
    rate = board.gigahertz * 1e6 * min(threads, board.cores) / board.cycles
    steps = []
    for entry in entries:
        moved = entry["traffic"] if entry["traffic"] > board.cache else 0
        moved += entry["nbytes"] if weights > board.cache else 0
        compute, memory = entry["macs"] / 4 / rate, moved / (board.gigabytes * 1e6)
        steps.append(Step(entry["step"], entry["output"], compute, memory))
    return steps


def plans(graph: Graph) -> dict[str, Graph]:
    """The network as it runs, and without the rewrites that fuse blocks."""
    parts = tuple(name for name in REWRITES if name not in BLOCKS)
    return {"fused": rewrite(graph)[0], "in parts": rewrite(graph, enabled=parts)[0]}


def read(path: Path) -> Graph:
    """A model's graph as its importer gives it; that of a .fdw file is fused already."""
    if path.suffix == ".tflite":
        from fastdw.importers.tflite import from_tflite

        return from_tflite(path, integers="float")
    if path.suffix == ".onnx":
        from fastdw.importers.onnx import from_onnx

        return from_onnx(path, integers="float")
    return open_network(path)._graph


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="+", type=Path, help="a .tflite, .onnx or .fdw file")
    parser.add_argument("--board", choices=BOARDS, action="append", help="default: all")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--steps", action="store_true", help="show each step")
    options = parser.parse_args()
    for path in options.file:
        graphs = plans(read(path))
        for name in options.board or BOARDS:
            board = BOARDS[name]
            for plan, graph in graphs.items():
                steps = steps_of(graph, board, options.threads)
                total = sum(step.time for step in steps)
                waits = sum(step.time for step in steps if step.memory > step.compute)
                print(
                    f"{path.name}, {name} ({board.core}, {options.threads} threads), {plan}: "
                    f"{total:.1f} ms at best (model estimate), {waits / total:.0%} of it waits "
                    f"for memory"
                )
                for step in steps if options.steps else ():
                    bound = "memory" if step.memory > step.compute else "compute"
                    print(f"  {step.name:40} {step.output!s:18} {step.time:8.3f} ms  {bound}")


if __name__ == "__main__":
    main()
