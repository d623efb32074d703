"""What a network's steps cost alone: each a network of its own, warm, in turn with the whole."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from fastdw.network._graph import Graph, Node, TensorSpec
from fastdw.network._network import Network

from .measure import Call


def seconds(network: Network, threads: int, repetitions: int) -> tuple[float, float]:
    """Time of a run of the whole, and the sum of its steps.

    Values that are another's memory seen otherwise take no time in the whole, and count for none.

    Parameters
    ----------
    network : Network
    threads : int
    repetitions : int
        Rounds; of each step, and of the whole, the best counts: what disturbs a run of
        milliseconds often misses a step of microseconds, and medians would blame the whole.

    Returns
    -------
    (float, float)
    """
    program, nodes = network._program, network._graph.nodes
    steps = [nodes[i] for i in sorted(set(program.nodes)) if i < len(nodes)]
    shapes, dtypes = program.shapes, program.dtypes
    parts = [_ready(_part(node, shapes, dtypes), threads) for node in steps]
    calls = [_ready(network, threads), *parts]
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(repetitions):
        for call, times in zip(calls, samples, strict=True):
            call()  # The caches are another's.
            start = time.perf_counter_ns()
            call()
            times.append(float(time.perf_counter_ns() - start))
    whole, *alone = (min(times) / 1e9 for times in samples)
    return whole, sum(alone)


def _part(node: Node, shapes: dict[str, Any], dtypes: dict[str, str]) -> Network:
    names = dict.fromkeys(node.operands)
    specs = tuple(TensorSpec(name, shapes[name], dtypes[name]) for name in names)
    network = object.__new__(Network)
    network._prepare(Graph(specs, (node,), (node.output,)))
    return network


def _ready(network: Network, threads: int) -> Call:
    """The call of the core, which checks nothing: it is the step that counts."""
    g = np.random.default_rng(0)
    images = [_values(g, spec) for spec in network.inputs]
    found = network(*images)
    outputs = found if isinstance(found, tuple) else (found,)
    core = network._program.core
    return lambda: core.run(tuple(images), outputs, threads)


def _values(g: np.random.Generator, spec: TensorSpec) -> npt.NDArray[Any]:
    shape = (1, *(int(size or 0) for size in spec.shape[1:]))
    if spec.dtype == "float32":
        return g.standard_normal(shape, np.float32)
    return g.integers(0, 128, shape).astype(spec.dtype)
