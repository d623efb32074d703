"""What the machine can do at most, as far as it can be measured from here.

The limit of arithmetic is fastdw's own pointwise operator at its best, on layers that stay in
cache: the nearest to a bare multiply-add loop that needs no code of its own. It is a measured
limit, not the theoretical peak, which is a few percent higher.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from . import own
from .blocks import make_block
from .layers import parse_layer
from .measure import batch_size, seconds_per_call

_LAYERS = ("16x16x256,f128,relu", "24x24x256,f256,relu", "28x28x384,f192,relu", "14x14x512,f512,relu")
_REPETITIONS = 15


def arithmetic(threads: int, min_time: float) -> dict[str, Any]:
    """Best FLOP/s of `threads` threads over a few pointwise layers."""
    best, where = 0.0, ""
    for notation in _LAYERS:
        block = make_block(parse_layer(notation))
        run = own.prepare(block, threads).run
        count = batch_size(run, min_time)
        seconds = min(seconds_per_call(run, count) for _ in range(_REPETITIONS))
        if 2 * block.layer.macs / seconds > best:
            best, where = 2 * block.layer.macs / seconds, notation
    return {"threads": threads, "gflops": round(best / 1e9, 2), "layer": where}


def bandwidth(num_bytes: int, threads: int, min_time: float) -> dict[str, Any]:
    """Copy speed over a working set, reads and writes counted together."""
    share = num_bytes // (8 * threads)
    pairs = [(np.ones(share, np.float32), np.zeros(share, np.float32)) for _ in range(threads)]
    count = batch_size(lambda: np.copyto(pairs[0][1], pairs[0][0]), min_time)

    def work(pair: Any) -> None:
        for _ in range(count):
            np.copyto(pair[1], pair[0])

    def together() -> None:
        helpers = [threading.Thread(target=work, args=(pair,)) for pair in pairs[1:]]
        for helper in helpers:
            helper.start()
        work(pairs[0])
        for helper in helpers:
            helper.join()

    seconds = min(seconds_per_call(together, 1) for _ in range(5))
    return {
        "bytes": num_bytes,
        "threads": threads,
        "gb_per_second": round(count * 8 * share * threads / seconds / 1e9, 1),
    }


def working_sets(caches: list[dict[str, Any]]) -> list[int]:
    """Half of each cache, and four times the last one: in memory."""
    sizes = sorted({int(cache["bytes"]) for cache in caches if cache["level"] > 1})
    return [size // 2 for size in sizes] + [max(4 * max(sizes, default=0), 1 << 26)]
