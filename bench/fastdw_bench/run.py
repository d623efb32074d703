"""One run: layers × thread counts × engines, into a document."""

from __future__ import annotations

import datetime
import functools
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import fastdw

from . import document as doc
from . import limits, machine, own, peers
from .blocks import Block, make_block
from .blocks8 import Block8, make_block8
from .document import Document, Row
from .layers import Layer
from .measure import Call, ColdCache, fastest, interleaved
from .peers.base import Prepared, Unsupported, quiet, raise_interrupt

Progress = Callable[[str], None]

# A clock or a neighbour that moves the limit by more than this leaves doubtful figures.
_DRIFT = 0.05
# So do other programs, before the run by the load average.
_LOAD = 0.5
# So does a layer whose quartiles lie further apart, relative to the median.
_SPREAD = 0.1
# Takes part in a measurement as if it were an engine.
_LIMIT = "limit"


@dataclass(frozen=True)
class Settings:
    """Options of a run; see `fastdw-bench run --help`."""

    threads: tuple[int, ...] = (1,)
    batch: int = 1
    dtype: str = "float32"
    data_format: str = "NHWC"
    peers: tuple[str, ...] = ()
    isas: tuple[str, ...] = ()
    """Instruction sets of fastdw, measured in turn; empty is the active one."""
    repetitions: int = 30
    min_time: float = 0.01
    cold_cache: bool = False
    check: bool = True
    limits: bool = True


def start(settings: Settings) -> Document:
    """An empty document with the surroundings of a run."""
    environment = {
        "machine": machine.describe(),
        "fastdw": fastdw.show_config(mode="dict"),
        "engines": {name: peers.version(name) for name in settings.peers},
    }
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    document = doc.new(started, environment, asdict(settings))
    document["warnings"] += machine.warnings(environment["machine"])
    load = environment["machine"]["load_average"]
    if load > _LOAD:
        document["warnings"].append(f"the machine was busy before the run: load average {load}")
    return document


def run(document: Document, layers: list[Layer], settings: Settings, progress: Progress) -> None:
    """Measure into a document, row by row; an interrupt leaves the rows that are done.

    Parameters
    ----------
    document : Document
        From `start`; its rows grow, its warnings and `complete` are set at the end.
    layers : list of Layer
    settings : Settings
    progress : callable
        Receives a line on what is being measured.
    """
    before = machine.cpu_seconds()
    try:
        for threads in settings.threads:
            _measure_limits(document, threads, settings, progress)
            for number, layer in enumerate(layers, start=1):
                progress(f"{number}/{len(layers)}  {layer.name}, {_plural(threads, 'thread')}")
                document["rows"].append(_measure_row(document, layer, threads, settings))
            _watch_drift(document, threads, settings)
        document["complete"] = True
    except KeyboardInterrupt:
        document["warnings"].append("interrupted: the result is incomplete")
    document["disturbance"] = machine.disturbance(before, machine.cpu_seconds())
    document["warnings"] += afterthoughts(document)


def problems(document: Document) -> list[str]:
    """Failures of fastdw itself."""
    return [
        f"{row['name']}, {engine}: {result['problem']}"
        for row in [*document["rows"], *document.get("probes", {}).get("corners", [])]
        for engine, result in row["results"].items()
        if doc.is_own(engine) and "problem" in result
    ]


def _measure_limits(
    document: Document, threads: int, settings: Settings, progress: Progress
) -> None:
    if not settings.limits:
        return
    progress(f"limits of {_plural(threads, 'thread')}")
    document["limits"] += _arithmetic(document, threads, settings)
    for size in limits.working_sets(document["environment"]["machine"]["caches"]):
        document["bandwidth"].append(limits.bandwidth(size, threads, settings.min_time))


def _arithmetic(document: Document, threads: int, settings: Settings) -> list[dict[str, Any]]:
    isas = document["environment"]["fastdw"]["isas"]["supported"]
    return [limits.arithmetic(isa, threads, settings.min_time) for isa in isas]


def _measure_row(document: Document, layer: Layer, threads: int, settings: Settings) -> Row:
    make = make_block8 if settings.dtype == "int8" else make_block
    block = make(layer, settings.batch)
    engines = _engines(block, threads, settings)
    results: dict[str, Any] = {}
    sessions: dict[str, Prepared] = {}
    errors: dict[str, float | None] = {}
    for name, prepare in engines.items():
        try:
            with quiet():
                sessions[name] = _best(prepare(), settings)
            own_result = doc.is_own(name)
            errors[name] = _checked(sessions[name], block, own_result) if settings.check else None
        except Unsupported as reason:
            results[name] = {"problem": f"unsupported: {reason}"}
        except Exception as error:  # A peer that fails must not end the run of the others.
            raise_interrupt(error)
            sessions.pop(name, None)
            results[name] = {"problem": f"{type(error).__name__}: {error}"}
    calls: dict[str, Call] = {name: session.run for name, session in sessions.items()}
    isas = doc.best_limits(document, threads)
    if isas:
        best = max(isas, key=isas.__getitem__)
        calls[_LIMIT], flops = limits.loop(best, threads, settings.min_time)
    samples = _samples(document, calls, threads, settings)
    for name, session in sessions.items():
        results[name] = doc.result(samples[name], session.variant, errors[name])
    return {
        "name": layer.name,
        "layer": str(layer),
        "threads": threads,
        "batch": settings.batch,
        "macs": settings.batch * layer.macs,
        "bytes": block.compulsory_bytes,
        "limit": flops / statistics.median(samples[_LIMIT]) if isas else None,
        "results": {name: results[name] for name in engines},
    }


def _engines(
    block: Block | Block8, threads: int, settings: Settings
) -> dict[str, Callable[[], list[Prepared]]]:
    """What prepares each engine, by the name that it has in the result."""
    engines: dict[str, Callable[[], list[Prepared]]] = {}
    if isinstance(block, Block8):
        engines["fastdw"] = lambda: [own.prepare8(block, threads)]
        for name in settings.peers:
            engines[name] = functools.partial(peers.load(name).prepare8, block, threads)
        return engines
    for isa in settings.isas or (None,):
        name = f"fastdw {isa}" if isa else "fastdw"
        own_engine = functools.partial(own.prepare, block, threads, settings.data_format, isa)
        engines[name] = lambda prepare=own_engine: [prepare()]  # type: ignore[misc]
    for name in settings.peers:
        engines[name] = functools.partial(peers.load(name).prepare, block, threads)
    return engines


def _best(variants: list[Prepared], settings: Settings) -> Prepared:
    calls: dict[str, Call] = {session.variant: session.run for session in variants}
    name = fastest(calls, settings.min_time)
    return next(session for session in variants if session.variant == name)


def _checked(session: Prepared, block: Block | Block8, own_result: bool) -> float:
    session.run()
    error = block.error(session.output())
    if error > block.tolerance(own_result):
        msg = f"differs from the reference by {block.in_words(error)}"
        raise ArithmeticError(msg)
    return error


def _samples(
    document: Document, calls: dict[str, Call], threads: int, settings: Settings
) -> dict[str, list[float]]:
    cold = None
    if settings.cold_cache:
        cold = ColdCache(sum(c["bytes"] for c in document["environment"]["machine"]["caches"]))
    return interleaved(
        calls,
        settings.repetitions,
        settings.min_time,
        settle=threads > 1,
        before_call=cold,
    )


def _watch_drift(document: Document, threads: int, settings: Settings) -> None:
    if not settings.limits:
        return
    after = _arithmetic(document, threads, settings)
    before = doc.limit(document, threads) or 0.0
    # The best of both is the limit: other programs can only hide it.
    document["limits"] += after
    highest = max(1e9 * x["gflops"] for x in after)
    if before and abs(highest / before - 1) > _DRIFT:
        document["warnings"].append(
            f"the limit of {_plural(threads, 'thread')} drifted from {before / 1e9:.1f} to "
            f"{highest / 1e9:.1f} GFLOP/s during the run"
        )


def afterthoughts(document: Document) -> list[str]:
    """Warnings that only the finished rows and the machine after them can give."""
    found = []
    disturbed = document["disturbance"]
    if disturbed["others"] > 0.05:
        found.append(f"other programs kept {disturbed['others']:.2f} cores busy during the run")
    if disturbed["stolen"] > 0.01:
        found.append(f"the host took {disturbed['stolen']:.2f} cores away during the run")
    now = machine.warnings(machine.state())
    found += [warning for warning in now if warning not in document["warnings"]]
    spreads = [
        (result["high"] - result["low"]) / result["seconds"]
        for row in document["rows"]
        for result in row["results"].values()
        if "seconds" in result
    ]
    wide = sum(spread > _SPREAD for spread in spreads)
    if wide:
        found.append(
            f"{wide} of {len(spreads)} times vary by more than {_SPREAD:.0%} between quartiles; "
            f"the median of these spreads is {statistics.median(spreads):.0%}"
        )
    return found


def pin(cpus: set[int]) -> None:
    """Keep the process, and all threads that it starts, on these CPUs.

    Raises
    ------
    ValueError
        When the machine has none of them, or they may not be used.
    """
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        msg = f"cannot run on CPUs {sorted(cpus)}: {error.strerror}"
        raise ValueError(msg) from error


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
