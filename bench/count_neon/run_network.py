"""For networks.py, under emulation: runs a network RUNS times, and saves what came out last.

    python run_network.py FILE RUNS LARGEST ACCUMULATE RESULT

FILE is a .fdw file, or an ncnn network's .param with its .bin beside it. Its input is one image of
224 × 224 × 3, drawn from 0 to LARGEST. Prints, as JSON, the multiply-adds if they are known, and
where the compiled module lies in memory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (224, 224, 3)


def ours(path: Path, image: Any, accumulate: str) -> tuple[Callable[[], Any], dict[str, Any]]:
    fastdw, core = import_module("fastdw"), import_module("fastdw._core")
    net = fastdw.Network.load(path, accumulate=accumulate)
    out = net(image, num_threads=1)
    maps = Path("/proc/self/maps").read_text().splitlines()
    first = next(line for line in maps if line.endswith(core.__file__))
    facts = {"macs": net.macs, "module": core.__file__, "base": int(first.split("-")[0], 16)}
    return lambda: net(image, out=out, num_threads=1), facts


def ncnn(path: Path, image: Any) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Float32 throughout, in packed layouts, on one thread; it takes the image in planes."""
    package = import_module("ncnn")
    net = package.Net()
    net.opt.num_threads = 1
    net.opt.use_packing_layout = True
    for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{kind}", False)
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        msg = f"ncnn refuses {path}"
        raise SystemExit(msg)
    height, width, channels = image.shape
    # Of its own memory, which a first step in place may write to.
    mat = package.Mat(width, height, channels)
    np.asarray(mat)[...] = image.transpose(2, 0, 1)

    def run() -> Any:
        extractor = net.create_extractor()
        extractor.input("in0", mat)
        return np.array(extractor.extract("out0")[1])

    return run, {}


def main() -> None:
    path, runs, largest, accumulate, result = sys.argv[1:]
    image = np.random.default_rng(0).uniform(0, float(largest), SHAPE).astype(np.float32)
    ncnns = path.endswith(".param")
    run, facts = ncnn(Path(path), image) if ncnns else ours(Path(path), image, accumulate)
    for _ in range(int(runs)):
        last = run()
    np.save(result, last)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
