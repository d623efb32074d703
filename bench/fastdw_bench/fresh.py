"""The way to a first answer, each time in a process of its own: import, read, compute.

NumPy is imported before the clock starts, for every engine needs it. The most memory that the
process ever had in use counts all, NumPy and Python too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import peers, text
from .run import Progress

# What a process does, in three parts; `path` and `threads` are known, and `np`.
_FASTDW = (
    "from fastdw import Network",
    "net = Network.load(path)",
    "net(*(np.zeros((1, *s.shape[1:]), s.dtype) for s in net.inputs), num_threads=threads)",
)
_LITERT = (
    "from ai_edge_litert.interpreter import Interpreter",
    "net = Interpreter(path, num_threads=threads); net.allocate_tensors()",
    "for port in net.get_input_details():\n"
    "    net.set_tensor(port['index'], np.zeros(port['shape'], port['dtype']))\n"
    "net.invoke(); [net.get_tensor(port['index']) for port in net.get_output_details()]",
)
_ONNX = (
    "import onnxruntime as ort",
    "options = ort.SessionOptions(); options.intra_op_num_threads = threads\n"
    "net = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])",
    "net.run(None, {p.name: np.zeros([n if type(n) is int else 1 for n in p.shape], np.float32)\n"
    "               for p in net.get_inputs()})",
)
_ENGINES = {
    ".fdw": ("fastdw", _FASTDW),
    ".tflite": ("litert", _LITERT),
    ".onnx": ("onnxruntime", _ONNX),
}
_MARK = "fresh: "
# Of this program alone: `getrusage` counts what the process was before it, a copy of its parent.
_PEAK = "next(int(s.split()[1]) << 10 for s in open('/proc/self/status') if s[:6] == 'VmHWM:')"


class Start(NamedTuple):
    """Seconds of one process, and the most bytes that it had resident."""

    imported: float
    loaded: float
    answered: float
    total: float
    memory: float


def measure(
    paths: Sequence[Path], threads: int, repetitions: int, progress: Progress
) -> dict[Path, list[Start]]:
    """The times of every file, in turn, each file being read by its own engine.

    Parameters
    ----------
    paths : sequence of Path
        Files of networks: .fdw, .tflite and .onnx.
    threads : int
        Of the first answer.
    repetitions : int
        Processes of each; one more comes first, which finds no file in the system's cache.
    progress : callable
        Receives a line on what is being measured.
    """
    commands = {path: _command(path, threads) for path in paths}
    samples: dict[Path, list[Start]] = {path: [] for path in paths}
    for i in range(repetitions + 1):
        for path, command in commands.items():
            progress(f"{path.name}, process {i} of {repetitions}")
            start = _run(path, command)
            if i:
                samples[path].append(start)
    return samples


def table(samples: dict[Path, list[Start]], threads: int) -> text.Table:
    """One line for each file: medians, and the fastest process."""
    head = ["network", "engine", "threads", "import ms", "load ms", "first answer ms"]
    lines = [[*head, "median of all ms", "minimum ms", "most memory MB"]]
    for path, starts in samples.items():
        *medians, memory = [statistics.median(column) for column in zip(*starts, strict=True)]
        least = min(start.total for start in starts)
        times = [f"{1e3 * time:.1f}" for time in (*medians, least)]
        engine = _ENGINES[path.suffix.lower()][0]
        lines.append([path.name, engine, str(threads), *times, f"{memory / 1e6:.1f}"])
    return lines


def _command(path: Path, threads: int) -> list[str]:
    if path.suffix.lower() not in _ENGINES:
        msg = f"{path} must end in one of {', '.join(_ENGINES)}"
        raise ValueError(msg)
    engine, parts = _ENGINES[path.suffix.lower()]
    if engine in peers.NAMES and peers.missing(engine):
        msg = (
            f"{path.name} is for {engine} to read, which is not installed: pip install "
            f"{' '.join(peers.missing(engine))}; fastdw reads what 'fastdw convert' makes of it"
        )
        raise ValueError(msg)
    clock = "times.append(time.perf_counter())"
    code = "\n".join(
        [
            "import json, time, numpy as np",
            f"path, threads = {str(path)!r}, {threads}",
            "times = [time.perf_counter()]",
            *(f"{part}\n{clock}" for part in parts),
            f"print({_MARK!r} + json.dumps([*times, {_PEAK}]))",
        ]
    )
    return [sys.executable, "-c", code]


def _run(path: Path, command: list[str]) -> Start:
    # Packages are installed with their bytecode; in a checkout the first process writes it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        msg = f"{path}: {last}"
        raise ValueError(msg)
    numbers: list[float] = json.loads(found[-1].removeprefix(_MARK))
    begin, imported, loaded, answered, memory = numbers
    parts = imported - begin, loaded - imported, answered - loaded, answered - begin
    return Start(*parts, memory)
