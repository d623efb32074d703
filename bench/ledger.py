#!/usr/bin/env python3
"""Where the time of float32 networks goes beyond their multiply-adds, on one thread.

The limit is what all multiply-adds take at the speed of a loop that does nothing else. Parts of it:

- curves: values of activations that are no clamp, at their speed in 16 KB;
- pixel: what steps of one pixel take longer, which read each weight for one multiply-add;
- lanes: the lanes of a vector that have no channel, in multiply-adds of pointwise matrices;
- other: steps without multiply-adds: pools, sums, affines, copies;
- tiles: all else of layers: depthwise windows, whose loads count, borders, copies of their input,
  starts and ends of tiles, weights that come from L3;
- run: what the whole takes longer than its steps in the profile.

    python bench/ledger.py FILE… [--input-shape 3,48,192] [--repetitions 60]
"""

from __future__ import annotations

import argparse
import time
from math import prod
from pathlib import Path
from typing import Any

import fastdw
import numpy as np
from fastdw import Network, _core
from fastdw.importers._files import open_network
from fastdw.network._graph import Node
from fastdw_bench import limits

COLUMNS = ("ms", "limit", "curves", "pixel", "lanes", "other", "tiles", "run")
CURVES = ("swish", "hard_swish", "sigmoid", "hard_sigmoid", "gelu", "tanh")
LANES = {"avx512": 16, "avx2": 8}

Shapes = dict[str, tuple[int, ...]]


def best(call: Any, repetitions: int) -> float:
    """Nanoseconds of a call."""
    call()
    found = float("inf")
    for _ in range(repetitions):
        begin = time.perf_counter_ns()
        call()
        found = min(found, time.perf_counter_ns() - begin)
    return found


def curve_costs() -> dict[str, float]:
    """Nanoseconds a value: a pointwise convolution with the curve against one without."""
    random = np.random.default_rng(0)
    kernel = random.standard_normal((64, 64), np.float32)
    values = random.standard_normal((8, 8, 64), np.float32)

    def layer(activation: str | None) -> float:
        convolution = fastdw.PointwiseConv2D(kernel, activation=activation)
        out = convolution(values)
        return best(lambda: convolution(values, out=out, num_threads=1), 2000)

    without = layer(None)
    return {name: max(layer(name) - without, 0) / values.size for name in CURVES}


def values_of_curves(node: Node, shapes: Shapes) -> list[tuple[str, int]]:
    """Names of curves, and how many values pass them."""
    output, image, attrs = shapes[node.output], shapes[node.inputs[0]], node.attrs
    found = [(attrs.get("activation"), prod(output))]
    found.append((attrs.get("pre_activation"), prod(image)))
    if (expand := attrs.get("expand_kernel")) is not None:
        found.append((attrs["expand_activation"], prod(image[:2]) * expand.shape[3]))
    if (kernel := attrs.get("depthwise_kernel")) is not None:
        channels = kernel.shape[2] * kernel.shape[3]
        found.append((attrs["depthwise_activation"], prod(output[:2]) * channels))
    return [(name, count) for name, count in found if name in CURVES]


def spare_lanes(node: Node, shapes: Shapes, lanes: int) -> float:
    """Multiply-adds of lanes without a channel; AVX-512 fills a vector with eight twice."""
    output, image = shapes[node.output], shapes[node.inputs[0]]
    places = {"expand_kernel": image, "pointwise_kernel": output}
    if node.op == "conv2d" and node.attrs["groups"] == 1:
        places["kernel"] = output
    spare = 0.0
    for name, place in places.items():
        if (kernel := node.attrs.get(name)) is None:
            continue
        channels = kernel.shape[3]
        step = lanes // 2 if lanes == 16 else lanes
        empty = -(-channels // step) * step - channels
        spare += prod(place[:2]) * kernel[..., 0].size * empty
    return spare


def ledger(network: Network, peak: float, costs: dict[str, float], repetitions: int) -> list[float]:
    """Microseconds, by `COLUMNS`; `peak` is in multiply-adds a nanosecond."""
    random = np.random.default_rng(0)
    images = [random.standard_normal((1, *spec.shape[1:]), np.float32) for spec in network.inputs]
    whole = best(lambda: network(*images, num_threads=1), repetitions) / 1e3
    profiles: list[Any] = [
        network.profile(*images, num_threads=1, repetitions=repetitions, mode="dict")["steps"]
        for _ in range(3)
    ]
    shapes, nodes = network._program.shapes, network._graph.nodes
    lanes = LANES.get(_core.config()["isas"]["active"], 4)
    found = dict.fromkeys(COLUMNS, 0.0)
    for index, rows in enumerate(zip(*profiles, strict=True)):
        step, macs = min(row["microseconds"] for row in rows), rows[0]["macs"]
        limit = macs / peak / 1e3
        found["limit"] += limit
        found["run"] -= step
        if not macs:
            found["other"] += step
        elif prod(rows[0]["output"][:2]) == 1:
            found["pixel"] += step - limit
        else:
            node = nodes[index]
            curves = sum(costs[name] * n for name, n in values_of_curves(node, shapes)) / 1e3
            spare = spare_lanes(node, shapes, lanes) / peak / 1e3
            found["curves"] += curves
            found["lanes"] += spare
            found["tiles"] += step - limit - curves - spare
    found["run"] += whole
    return [whole / 1e3, *(found[name] / found["limit"] for name in COLUMNS[1:])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--input-shape", help="of a file that leaves it open, as 3,48,192")
    parser.add_argument("--repetitions", type=int, default=60)
    options = parser.parse_args()
    isa = _core.config()["isas"]["active"]
    peak, costs = limits.arithmetic(isa, 1, 0.5)["gflops"] / 2, curve_costs()
    print(f"{isa}, {peak:.1f} multiply-adds a nanosecond; nanoseconds a value: ", end="")
    print(", ".join(f"{name} {cost:.3f}" for name, cost in costs.items()) + "\n")
    print("| network | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * len(COLUMNS))
    shape = options.input_shape and [int(size) for size in options.input_shape.split(",")]
    for path in options.files:
        network = open_network(path, input_shape=shape)
        row = ledger(network, peak, costs, options.repetitions)
        print(
            f"| {path.stem} | " + " | ".join(f"{number:.2f}" for number in row) + " |", flush=True
        )


if __name__ == "__main__":
    main()
