"""What the goals need besides the rows of a run: layouts, batches, activations, calls, memory.

All on one thread and by the active instruction set, calls in turn, medians of all rounds.
"""

from __future__ import annotations

import ctypes
import functools
import statistics
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fastdw
import numpy as np
from fastdw import _core
from fastdw_bench import own
from fastdw_bench.blocks import Block, make_block
from fastdw_bench.layers import Layer, parse_layer
from fastdw_bench.measure import Call, interleaved
from fastdw_bench.run import Progress, Settings, run, start

BATCH = 8
BATCHED = ("v1_5", "v2_8", "e_k5_2", "c_4")
ACTIVATIONS = ("hard_swish", "swish", "sigmoid", "tanh", "gelu")

_ACTIVATED = "32x32x64,k3"
_SMALL = "4x4x8,k3,f8"
# Many weights and little else to do.
_PACKED = "4x4x1024,k3,f1024"
_FIRST = "112x112x64,k3,f64"

Probes = dict[str, Any]


def measure(
    probes: Probes,
    blocks: Sequence[Layer],
    corners: Sequence[Layer],
    settings: Settings,
    progress: Progress,
) -> None:
    """Fill `probes`, entry by entry; an interrupt leaves those that are done.

    ::

        corners       rows of the corners, as in a document; engines as in the run
        corner_costs  {corner: time a multiply-add, relative to that of the first}
        layouts       {block: time of NCHW over that of NHWC}
        batches       {block: time of a batch of 8 over that of 8 calls on buffers of their own}
        activations   {activation: nanoseconds an element on top of relu}
        calls         {"out", "new": seconds of a call on a tiny image, with and without `out`}
        packing       time that the functional form adds, over that of copying the weights
        weights       {block: {packed, plain, padded}} bytes; padded to whole vectors of channels
        peak          bytes of Python memory at the peak of a call, less the output
        first_call    {threads: {growth, code}} bytes: of resident memory, less the output, and how
                      much of it is code; empty where the system does not tell
    """
    steps: dict[str, Callable[[], Any]] = {
        "corners": lambda: _corners(corners, settings, progress),
        "corner_costs": lambda: _corner_costs(corners, settings),
        "layouts": lambda: {layer.name: _layouts(layer, settings) for layer in blocks},
        "batches": lambda: {
            layer.name: _batches(layer, settings) for layer in blocks if layer.name in BATCHED
        },
        "activations": lambda: _activations(settings),
        "calls": lambda: _calls(settings),
        "packing": lambda: _packing(settings),
        "weights": lambda: {layer.name: _weights(layer) for layer in blocks},
        "peak": _peak,
        "first_call": lambda: _first_calls(settings.threads),
    }
    for name, step in steps.items():
        progress(name)
        probes[name] = step()


def _medians(calls: Mapping[str, Call], settings: Settings) -> dict[str, float]:
    samples = interleaved(calls, settings.repetitions, settings.min_time)
    return {name: statistics.median(times) for name, times in samples.items()}


def _corners(
    corners: Sequence[Layer], settings: Settings, progress: Progress
) -> list[dict[str, Any]]:
    alone = replace(settings, threads=(1,), isas=(), limits=False)
    document = start(alone)
    run(document, list(corners), alone, progress)
    if not document["complete"]:
        raise KeyboardInterrupt
    rows: list[dict[str, Any]] = document["rows"]
    return rows


def _corner_costs(corners: Sequence[Layer], settings: Settings) -> dict[str, float]:
    calls = {layer.name: own.prepare(make_block(layer), 1).run for layer in corners}
    times = _medians(calls, settings)
    costs = {layer.name: times[layer.name] / layer.macs for layer in corners}
    plain = costs[corners[0].name]
    return {name: cost / plain for name, cost in costs.items()}


def _layouts(layer: Layer, settings: Settings) -> float:
    block = make_block(layer)
    times = _medians({x: own.prepare(block, 1, x).run for x in ("NHWC", "NCHW")}, settings)
    return times["NCHW"] / times["NHWC"]


def _batches(layer: Layer, settings: Settings) -> float:
    block = make_block(layer, BATCH)
    prepared = own.build(block)
    x, out = _buffers(block)
    images = [_buffers(replace(block, x=block.x[i : i + 1])) for i in range(BATCH)]

    def one_by_one() -> None:
        for image, target in images:
            prepared(image, out=target, num_threads=1)

    together = functools.partial(prepared, x, out=out, num_threads=1)
    times = _medians({"together": together, "one by one": one_by_one}, settings)
    return times["together"] / times["one by one"]


def _buffers(block: Block) -> tuple[Any, Any]:
    """Input and output of a block."""
    return own.on_a_line(block.x), own.on_a_line(np.zeros(block.output_shape, np.float32))


def _activations(settings: Settings) -> dict[str, float]:
    layer = parse_layer(_ACTIVATED)
    calls = {
        name: own.prepare(make_block(replace(layer, depthwise_activation=name)), 1).run
        for name in ("relu", *ACTIVATIONS)
    }
    times = _medians(calls, settings)
    elements = layer.height * layer.width * layer.channels
    return {name: 1e9 * (times[name] - times["relu"]) / elements for name in ACTIVATIONS}


def _calls(settings: Settings) -> dict[str, float]:
    block = make_block(parse_layer(_SMALL))
    prepared, (x, out) = own.build(block), _buffers(block)
    calls = {
        "out": functools.partial(prepared, x, out=out, num_threads=1),
        "new": functools.partial(prepared, x, num_threads=1),
    }
    return _medians(calls, settings)


def _packing(settings: Settings) -> float:
    block = make_block(parse_layer(_PACKED))
    x, out = _buffers(block)
    weights = (block.depthwise_kernel, block.pointwise_kernel)
    copies = [np.empty_like(array) for array in weights]

    def copy() -> None:
        for target, source in zip(copies, weights, strict=True):
            np.copyto(target, source)

    calls: dict[str, Call] = {
        "prepared": functools.partial(own.build(block), x, out=out, num_threads=1),
        "functional": functools.partial(
            fastdw.separable_conv2d,
            *(x, *weights),
            padding="same",
            depthwise_bias=block.depthwise_bias,
            bias=block.bias,
            out=out,
            num_threads=1,
        ),
        "copy": copy,
    }
    times = _medians(calls, settings)
    return (times["functional"] - times["prepared"]) / times["copy"]


def _weights(layer: Layer) -> dict[str, int]:
    lanes = _core.lanes(fastdw.show_config(mode="dict")["isas"]["active"])
    return {
        "packed": own.build(make_block(layer)).nbytes,
        "plain": 4 * layer.num_weights,
        "padded": 4 * _padded_weights(layer, lanes),
    }


def _padded_weights(layer: Layer, lanes: int) -> int:
    """Weights when the outputs of each half are rounded up to whole vectors."""
    taps = layer.kernel[0] * layer.kernel[1] + 1 if layer.kernel else 0
    mixing = (layer.depthwise_channels + 1) * _rounded(layer.filters or 0, lanes)
    return taps * _rounded(layer.depthwise_channels, lanes) + mixing


def _rounded(count: int, lanes: int) -> int:
    return -(-count // lanes) * lanes


def _peak() -> int:
    block = make_block(parse_layer(_FIRST))
    prepared = own.build(block)
    prepared(block.x)
    tracemalloc.start()
    try:
        y = prepared(block.x)
        return tracemalloc.get_traced_memory()[1] - int(y.nbytes)
    finally:
        tracemalloc.stop()


def _first_calls(threads: Sequence[int]) -> dict[str, dict[str, int]]:
    if not Path("/proc/self/clear_refs").exists():
        return {}
    found = {}
    for count in threads:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            found[str(count)] = fresh.submit(_first_call, count).result()
    return found


def _first_call(threads: int) -> dict[str, int]:
    layer = parse_layer(_FIRST)
    prepared = own.build(make_block(replace(layer, height=4, width=4)))
    x = np.ones((1, layer.height, layer.width, layer.channels), np.float32)
    # Free pages would be used again and the peak of the preparations would hide that of the call.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
    with Path("/proc/self/clear_refs").open("wb", buffering=0) as file:
        file.write(b"5")
    before = _status()
    y = prepared(x, num_threads=threads)
    after = _status()
    return {
        "growth": after["VmHWM"] - before["VmRSS"] - int(y.nbytes),
        "code": after["RssFile"] - before["RssFile"],
    }


def _status() -> dict[str, int]:
    """Resident bytes of this process, by the names in proc(5)."""
    # In one small piece: a large buffer, freed, is memory that the call would use again.
    with Path("/proc/self/status").open("rb", buffering=0) as file:
        lines = file.read(8192).decode().splitlines()
    sizes = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): 1024 * int(size) for name, size, _ in sizes}
