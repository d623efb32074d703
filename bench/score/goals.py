"""The goals of the project's speed, measured in one run and judged.

By number: 1 time over the limit, 2 against the other engines, 3 AVX2 alone, 4 unusual layers,
5 layouts, batches and activations, 6 overhead of a call, 7 memory, 8 two threads. Instructions on
NEON, the ninth, are counted elsewhere: see `NOTE`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import fastdw
from fastdw_bench import document as doc
from fastdw_bench import presets
from fastdw_bench.document import Document, Row
from fastdw_bench.run import Progress, Settings, run, start
from fastdw_bench.text import Table

from . import probes

BLOCKS = tuple(presets.preset("blocks32"))
CORNERS = tuple(presets.preset("corners28"))

NOTE = "Goal 9, the instructions on NEON, is counted by `python bench/count_neon/count.py`."

_KIB = 1024
_NO_PEERS = "no other engine"
_ONE_CPU = "one CPU"
_SKIPPED = "not in this run"
# Three input channels fill no vector: this block has a goal of its own.
_RGB = "c_1"
# A ratio this close to 1 counts as equal.
_EQUAL = 0.98
# Threads must pay on blocks that take longer than this on one.
_WORTH_SHARING = 80e-6
_ACTIVATION_NS = {"hard_swish": 0.1, "swish": 0.35, "sigmoid": 0.35, "tanh": 0.6, "gelu": 0.6}


@dataclass(frozen=True)
class Goal:
    """A goal in words; `met` is None where nothing was measured or no figure is wanted."""

    goal: str
    measured: str
    wanted: str
    met: bool | None


def settings(peers: Sequence[str], repetitions: int, min_time: float) -> Settings:
    """A run with one thread and, where there are two CPUs, with two; AVX2 always has a column."""
    isas = fastdw.show_config(mode="dict")["isas"]
    return Settings(
        threads=(1, 2) if len(os.sched_getaffinity(0)) > 1 else (1,),
        peers=tuple(peers),
        isas=tuple(dict.fromkeys([isas["active"], *({"avx2"} & set(isas["supported"]))])),
        repetitions=repetitions,
        min_time=min_time,
    )


def measure(settings: Settings, progress: Progress) -> Document:
    """Measure and judge; after an interrupt the goals that lack their figures say so."""
    document = start(settings)
    document["probes"] = {}
    run(document, list(BLOCKS), settings, progress)
    if document["complete"]:
        try:
            probes.measure(document["probes"], BLOCKS, CORNERS, settings, progress)
        except KeyboardInterrupt:
            document["complete"] = False
            document["warnings"].append("interrupted: the result is incomplete")
    document["goals"] = [asdict(goal) for goal in judge(document)]
    return document


def judge(document: Document) -> list[Goal]:
    """Every goal, from the rows and the probes of a document."""
    goals = _over_limit(document)
    for threads in (1, 2):
        goals += _against_engines(document, threads)
    return [
        *goals,
        _avx2(document),
        *_corners(document),
        *_layouts_and_batches(document),
        *_activations(document),
        *_calls(document),
        *_memory(document),
        *_scaling(document),
    ]


def table(document: Document) -> Table:
    words = {True: "yes", False: "no", None: "–"}
    body = [[g["goal"], g["measured"], g["wanted"], words[g["met"]]] for g in document["goals"]]
    return [["goal", "measured", "wanted", "met"], *body]


def _goal(
    goal: str,
    value: float | None,
    sign: str,
    bound: float,
    *,
    unit: str = "",
    note: str = "",
    lacks: str = _SKIPPED,
) -> Goal:
    """`sign` is "≤" or "≥"; `lacks` says why there is no value."""
    wanted = f"{sign} {bound:g}{unit}"
    if value is None:
        return Goal(goal, f"not measured: {lacks}", wanted, None)
    met = value <= bound if sign == "≤" else value >= bound
    return Goal(goal, f"{value:.3f}{unit}" + (f" ({note})" if note else ""), wanted, met)


def _mean(values: Sequence[float]) -> float | None:
    return doc.geometric_mean(list(values)) if values else None


def _extreme(ratios: dict[str, float], *, least: bool = False) -> tuple[float | None, str]:
    """The largest ratio, or the least, and its name."""
    if not ratios:
        return None, ""
    name = (min if least else max)(ratios, key=ratios.__getitem__)
    return ratios[name], name


# 1


def _over_limit(document: Document) -> list[Goal]:
    rows = _rows(document, 1)
    plain = [row for row in rows if row["name"] != _RGB]
    own, best = _times(document, plain), _best_times(plain)
    ideal = {
        row["name"]: 2 * row["macs"] / limit
        for row in plain
        if (limit := doc.limit_of(document, row))
    }
    over = {name: own[name] / ideal[name] for name in own if name in ideal}
    peers = _mean([best[name] / ideal[name] for name in best if name in ideal])
    large = {row["name"] for row in plain if doc.layer_of(row).kernel == (5, 5)}
    slowest, name = _extreme({name: x for name, x in over.items() if name not in large})
    slowest_5, name_5 = _extreme({name: x for name, x in over.items() if name in large})
    note = f"the best engine {peers:.3f}" if peers else _NO_PEERS
    rgb = _speedups(document, [row for row in rows if row["name"] == _RGB])
    return [
        _goal(
            "1 time over the limit, one thread", _mean(list(over.values())), "≤", 1.12, note=note
        ),
        _goal("1 the slowest block", slowest, "≤", 1.35, note=name),
        _goal("1 the slowest 5×5 block", slowest_5, "≤", 1.5, note=name_5),
        _goal(f"1 {_RGB} against the best engine", rgb.get(_RGB), "≥", 2, lacks=_NO_PEERS),
    ]


# 2


def _against_engines(document: Document, threads: int) -> list[Goal]:
    label = f"2 against the best engine of each block, {_threads(threads)}"
    ratios = _speedups(document, _rows(document, threads))
    lacks = _NO_PEERS if _rows(document, threads) else _ONE_CPU
    worst = f"2 the worst block of these, {_threads(threads)}"
    least, name = _extreme(ratios, least=True)
    slower = sum(ratio < _EQUAL for ratio in ratios.values())
    note = f"{name}; {slower} of {len(ratios)} blocks below"
    return [
        _goal(label, _mean(list(ratios.values())), "≥", 1.15, lacks=lacks),
        _goal(worst, least, "≥", _EQUAL, note=note, lacks=lacks),
    ]


# 3


def _avx2(document: Document) -> Goal:
    limits = doc.best_limits(document, 1)
    ratios = _speedups(document, _rows(document, 1), "fastdw avx2")
    lacks = _NO_PEERS if "avx2" in document["settings"]["isas"] else "no AVX2"
    note = "the engines use AVX-512 where the CPU has it"
    if "avx2" in limits:
        share = limits["avx2"] / max(limits.values())
        note += f"; the limit of AVX2 is {share:.2f} of the highest"
    mean = _mean(list(ratios.values()))
    return _goal("3 AVX2 against the best engine", mean, "≥", 1.05, note=note, lacks=lacks)


# 4


def _corners(document: Document) -> list[Goal]:
    costs = document["probes"].get("corner_costs", {})
    rows = document["probes"].get("corners", [])
    speedups = _speedups(document, rows, "fastdw")
    goals = []
    for layer in CORNERS[1:]:
        note = (
            f"{speedups[layer.name]:.2f} × the best engine" if layer.name in speedups else _NO_PEERS
        )
        label = f"4 {layer.name}: time a multiply-add over {CORNERS[0].name}"
        goals.append(_goal(label, costs.get(layer.name), "≤", 2, note=note))
    return goals


# 5


def _layouts_and_batches(document: Document) -> list[Goal]:
    layouts = document["probes"].get("layouts", {})
    batches = document["probes"].get("batches", {})
    worst, name = _extreme(layouts)
    worst_batch, name_batch = _extreme(batches)
    batch = f"5 a batch of {probes.BATCH} over as many calls"
    return [
        _goal("5 NCHW over NHWC", _mean(list(layouts.values())), "≤", 1.15),
        _goal("5 the worst block in NCHW", worst, "≤", 1.5, note=name),
        _goal(batch, _mean(list(batches.values())), "≤", 1.02, note=", ".join(batches)),
        _goal(f"{batch}, the worst", worst_batch, "≤", 1.02, note=name_batch),
    ]


def _activations(document: Document) -> list[Goal]:
    costs = document["probes"].get("activations", {})
    return [
        _goal(f"5 {name} over relu, an element", costs.get(name), "≤", bound, unit=" ns")
        for name, bound in _ACTIVATION_NS.items()
    ]


# 6


def _calls(document: Document) -> list[Goal]:
    calls = document["probes"].get("calls", {})
    given, new = (1e6 * calls[key] if key in calls else None for key in ("out", "new"))
    packing = document["probes"].get("packing")
    return [
        _goal("6 a call on 4×4×8 with out", given, "≤", 2, unit=" µs"),
        _goal("6 a call on 4×4×8 without out", new, "≤", 3, unit=" µs"),
        _goal("6 packing by the functional form, over a copy of the weights", packing, "≤", 2),
    ]


# 7


def _memory(document: Document) -> list[Goal]:
    sizes = document["probes"].get("weights", {})
    plain, name = _extreme({block: x["packed"] / x["plain"] for block, x in sizes.items()})
    padded, _ = _extreme({block: x["packed"] / x["padded"] for block, x in sizes.items()})
    note = f"over the bare weights at most {plain:.3f}, {name}" if plain else ""
    peak = document["probes"].get("peak")
    goals = [
        _goal("7 a layer over its weights, padded to vectors", padded, "≤", 1.1, note=note),
        _goal("7 Python memory of a call beyond its output", _kib(peak), "≤", 1, unit=" KiB"),
    ]
    lacks = "the system does not tell" if "first_call" in document["probes"] else _SKIPPED
    for threads in (1, 2):
        label = f"7 memory of a first call beyond its output, {_threads(threads)}"
        found = document["probes"].get("first_call", {}).get(str(threads))
        lacks = _ONE_CPU if threads not in document["settings"]["threads"] else lacks
        scratch = _kib(found["growth"] - found["code"]) if found else None
        note = f"and {found['code'] // _KIB} KiB of code" if found else ""
        bound = 256 * threads
        goals.append(_goal(label, scratch, "≤", bound, unit=" KiB", note=note, lacks=lacks))
    return goals


# 8


def _scaling(document: Document) -> list[Goal]:
    one, two = (_times(document, _rows(document, threads)) for threads in (1, 2))
    gains = {name: one[name] / two[name] for name in one if name in two}
    large = [gain for name, gain in gains.items() if one[name] > _WORTH_SHARING]
    lacks = "no block takes that long" if gains else _ONE_CPU
    least, name = _extreme(gains, least=True)
    micros = f"{1e6 * _WORTH_SHARING:g} µs"
    return [
        _goal(f"8 two threads, blocks above {micros}", _mean(large), "≥", 1.85, lacks=lacks),
        _goal("8 two threads, the worst block", least, "≥", _EQUAL, note=name, lacks=_ONE_CPU),
    ]


# What the goals share


def _rows(document: Document, threads: int) -> list[Row]:
    return [row for row in document["rows"] if row["threads"] == threads]


def _times(document: Document, rows: Sequence[Row], engine: str | None = None) -> dict[str, float]:
    """Seconds of fastdw by block; by default on the active instruction set."""
    engine = engine or f"fastdw {document['settings']['isas'][0]}"
    times = {row["name"]: doc.seconds(row, engine) for row in rows}
    return {name: time for name, time in times.items() if time is not None}


def _best_times(rows: Sequence[Row]) -> dict[str, float]:
    """Seconds of the best other engine by block."""
    return {row["name"]: found[1] for row in rows if (found := doc.best_peer(row))}


def _speedups(
    document: Document, rows: Sequence[Row], engine: str | None = None
) -> dict[str, float]:
    own, best = _times(document, rows, engine), _best_times(rows)
    return {name: best[name] / own[name] for name in own if name in best}


def _kib(num_bytes: int | None) -> float | None:
    return None if num_bytes is None else num_bytes / _KIB


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"
