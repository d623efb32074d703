"""Whole networks from files: fastdw beside the engines that read the same network.

The result is as `document` says, with other rows::

    format, version     "fastdw-bench net", 1
    commands            what was typed, one for each run that is in it
    rows                [{name, threads, macs, parameters, limit, unit, results, steps, alone}],
                        where `error` of a result is the deviation from fastdw's float64 twins: the
                        largest of an output over its largest value where `unit` is "relative",
                        the largest difference of integers where it is "steps"; `variant` is the
                        name of the file that was measured, where it is another than `name`; `steps`
                        are those of `Network.profile`, or null; `alone` is {run, steps}, the
                        seconds of a run and of its steps each alone and warm, or null
    points              [{name, threads, best, best_ratio, over_limit, gain, over_steps}] of the
                        rows, as `net_text.points` says
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastdw
import numpy as np
import numpy.typing as npt
from fastdw.importers._files import open_network
from fastdw.network._graph import quantizations

from . import alone, limits, machine, net_engines, net_text, peers
from . import document as doc
from .document import NETWORKS, Document, Row
from .measure import Call, fastest, interleaved
from .net_engines import Build, Case, Differs
from .own import on_a_line
from .peers.base import Model, Session, Unsupported, quiet, raise_interrupt
from .run import Progress, Settings, afterthoughts, start

_OWN, _LIMIT = "fastdw", "limit"
# Characters of a complaint; some engines add the places of their sources.
_LONGEST = 240


def open_cases(
    paths: Sequence[Path],
    input_shape: Sequence[int] | None = None,
    integers: str = "keep",
    accumulate: str = "float32",
) -> list[Case]:
    """Read networks.

    Parameters
    ----------
    paths : sequence of Path
        Files of any kind that `fastdw convert` reads.
    input_shape : sequence of int, optional
        Shape of one image of all of them, where the models leave it open.
    integers : {"keep", "float"}
        As in `Network.from_tflite`.
    accumulate : {"float32", "float16"}
        As in `Network`.
    """
    cases = []
    for path in paths:
        network = open_network(
            path, input_shape=input_shape, integers=integers, accumulate=accumulate
        )
        images = {
            spec.name: _image((1, *(int(size or 0) for size in spec.shape[1:])), spec.dtype)
            for spec in network.inputs
        }
        outputs = tuple(spec.name for spec in network.outputs)
        cases.append(Case(network, Model(path, images, outputs)))
    return cases


def measure(
    cases: Sequence[Case], settings: Settings, profile: bool, progress: Progress
) -> Document:
    """Measure networks; an interrupt leaves the rows that are done.

    Parameters
    ----------
    cases : sequence of Case
    settings : Settings
        Its threads, peers, repetitions, min_time, check and limits.
    profile : bool
        Time the steps of fastdw too, in a run and alone.
    progress : callable
        Receives a line on what is being measured.
    """
    installed = tuple(name for name in settings.peers if not peers.missing(name))
    document = start(replace(settings, peers=installed))
    document |= {"format": NETWORKS, "version": doc.VERSION}
    before = machine.cpu_seconds()
    try:
        for case in cases:
            name = case.model.path.name
            progress(f"{name}, reference")
            wanted = net_engines.reference(case) if settings.check else None
            for threads in settings.threads:
                progress(f"{name}, threads: {threads}")
                document["rows"].append(_row(case, threads, settings, wanted))
                if profile:
                    document["rows"][-1] |= _profiled(case, threads, settings.repetitions)
        document["complete"] = True
    except KeyboardInterrupt:
        document["warnings"].append("interrupted: the result is incomplete")
    document["disturbance"] = machine.disturbance(before, machine.cpu_seconds())
    document["warnings"] += afterthoughts(document)
    document["points"] = net_text.points(document)
    return document


def _image(shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """A picture in [0, 1], or of all integers, that is smooth as pictures are.

    On noise many networks give the same answer everywhere, and any error is the largest.
    """
    walk: npt.NDArray[np.float64] = np.random.default_rng(0).standard_normal(shape)
    for axis in range(1, len(shape)):
        walk = walk.cumsum(axis)
    walk -= walk.min()
    walk /= walk.max() or 1.0
    if dtype != "float32":
        return (255 * walk + np.iinfo(dtype).min).astype(dtype)
    return on_a_line(walk.astype(np.float32))


def _row(
    case: Case, threads: int, settings: Settings, wanted: list[npt.NDArray[Any]] | None
) -> Row:
    sessions: dict[str, Session] = {}
    errors: dict[str, float | None] = {}
    results: dict[str, Any] = {}
    differ = 0
    for name in (_OWN, *settings.peers):
        try:
            sessions[name], errors[name] = _session(name, case, threads, settings, wanted)
        except Unsupported as reason:
            results[name] = {"problem": f"unsupported: {reason}"}
        except Differs as error:
            differ += 1
            results[name] = {"problem": str(error)}
        except Exception as error:  # A peer that fails must not end the run of the others.
            raise_interrupt(error)
            sentence = textwrap.shorten(str(error), _LONGEST, placeholder=" …")
            results[name] = {"problem": f"{type(error).__name__}: {sentence}"}
    if differ and [*sessions] == [_OWN]:
        # Its twins cannot tell that the file was misread.
        del sessions[_OWN]
        results[_OWN] = {"problem": "no other engine agrees with it"}
    calls: dict[str, Call] = {name: session.run for name, session in sessions.items()}
    in_floats = case.network.accumulate == "float32" and not quantizations(case.network._graph)
    if settings.limits and in_floats:
        isa = fastdw.show_config(mode="dict")["isas"]["active"]
        calls[_LIMIT], flops = limits.loop(isa, threads, settings.min_time)
    samples = interleaved(calls, settings.repetitions, settings.min_time, settle=threads > 1)
    for name, session in sessions.items():
        results[name] = doc.result(samples[name], session.variant, errors[name])
    return {
        "name": case.model.path.name,
        "threads": threads,
        "macs": case.network.macs,
        "parameters": case.network.num_parameters,
        "limit": flops / statistics.median(samples[_LIMIT]) if _LIMIT in samples else None,
        "unit": "steps" if case.in_steps else "relative",
        "results": {name: results[name] for name in (_OWN, *settings.peers)},
        "steps": None,
        "alone": None,
    }


def _session(
    name: str,
    case: Case,
    threads: int,
    settings: Settings,
    wanted: list[npt.NDArray[Any]] | None,
) -> tuple[Session, float | None]:
    """The fastest session of an engine that computes the network, and its deviation."""
    builds = _builds(name, case, threads)
    found: dict[str, tuple[Session, float | None]] = {}
    failures = []
    with quiet():
        for build in builds:
            try:
                session = build()
                session.run()
                outputs = session.outputs()
                error = (
                    net_engines.deviation(outputs, wanted, case, name == _OWN) if wanted else None
                )
                found[session.variant] = session, error
            except Exception as failure:  # The other file may do.
                raise_interrupt(failure)
                failures.append(failure)
        if not found:
            raise failures[0]
        return found[fastest({v: s.run for v, (s, _) in found.items()}, settings.min_time)]


def _builds(name: str, case: Case, threads: int) -> list[Build]:
    if name == _OWN:
        return [lambda: net_engines.own(case, threads)]
    return net_engines.candidates(name, case, threads)


def _profiled(case: Case, threads: int, repetitions: int) -> dict[str, Any]:
    found: Any = case.network.profile(
        *case.model.inputs.values(), repetitions=repetitions, num_threads=threads, mode="dict"
    )
    run, steps = alone.seconds(case.network, threads, repetitions)
    return {
        "steps": [{**step, "from": list(step["from"])} for step in found["steps"]],
        "alone": {"run": run, "steps": steps},
    }
