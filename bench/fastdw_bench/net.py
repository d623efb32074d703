"""Whole networks from files: fastdw beside the engines that read the same file.

The result is as `document` says, with other rows::

    format, version     "fastdw-bench net", 1
    rows                [{name, threads, macs, parameters, limit, unit, results, steps}], where
                        `error` of a result is the deviation from fastdw's float64 twins: the
                        largest of an output over its largest value where `unit` is "relative",
                        the largest difference of integers where it is "steps"; `steps` are those of
                        `Network.profile`, or null
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fastdw
import numpy as np
import numpy.typing as npt
from fastdw.importers._files import open_network
from fastdw.network._graph import quantizations
from fastdw.network._graph import run as run_twins
from fastdw.network._network import Network
from fastdw.network._summary import table as steps_table

from . import document as doc
from . import limits, machine, peers, text
from .blocks import F32, TOLERANCE
from .document import Document, Row
from .measure import Call, interleaved
from .own import on_a_line
from .peers.base import Model, Session, Unsupported, quiet
from .run import Progress, Settings, afterthoughts, start

FORMAT = "fastdw-bench net"

_OWN, _LIMIT = "fastdw", "limit"

# Engines round integers in several ways, and what one layer rounds otherwise grows in the next.
_MOST_STEPS = 32
_STEPS = 255


class Differs(ArithmeticError):  # noqa: N818  (a finding about an engine)
    """An engine computes something else."""


class Case(NamedTuple):
    """A network, the file that it came from, and images for it."""

    network: Network
    model: Model


def open_cases(
    paths: Sequence[Path], input_shape: Sequence[int] | None = None, integers: str = "keep"
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
    """
    cases = []
    for path in paths:
        network = open_network(path, input_shape=input_shape, integers=integers)
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
        Time the steps of fastdw too.
    progress : callable
        Receives a line on what is being measured.
    """
    document = start(settings) | {"format": FORMAT, "version": 1}
    before = machine.cpu_seconds()
    try:
        for case in cases:
            name = case.model.path.name
            progress(f"{name}, reference")
            wanted = _reference(case) if settings.check else None
            for threads in settings.threads:
                progress(f"{name}, threads: {threads}")
                document["rows"].append(_row(case, threads, settings, wanted))
                if profile:
                    document["rows"][-1]["steps"] = _steps(case, threads, settings.repetitions)
        document["complete"] = True
    except KeyboardInterrupt:
        document["warnings"].append("interrupted: the result is incomplete")
    document["disturbance"] = machine.disturbance(before, machine.cpu_seconds())
    document["warnings"] += afterthoughts(document)
    return document


def table(document: Document) -> text.Table:
    """One line for each engine that was measured."""
    lines = [
        [
            *("network", "engine", "threads", "median ms", "minimum ms", "GFLOP/s", "% of limit"),
            *("time / fastdw", "deviation"),
        ]
    ]
    for row in document["rows"]:
        own = doc.seconds(row, _OWN)
        for engine, result in row["results"].items():
            time = doc.seconds(row, engine)
            if time is None:
                continue
            flops, limit, error = 2 * row["macs"] / time, row["limit"], result["error"]
            lines.append(
                [row["name"], engine, str(row["threads"])]
                + [f"{1e3 * t:.4g}" for t in (time, min(result["samples"]))]
                + [f"{flops / 1e9:.1f}", f"{100 * flops / limit:.0f}" if limit else "–"]
                + [f"{time / own:.2f}" if own else "–"]
                + ["–" if error is None else _deviation(error, row["unit"])]
            )
    return lines


def _deviation(error: float, unit: str) -> str:
    return f"{error:.0f} steps" if unit == "steps" else f"{error:.0e}"


def profiles(document: Document) -> list[str]:
    """The steps of each network, with their times."""
    return [
        f"{row['name']}, threads: {row['threads']}\n{steps_table(row['steps'])}"
        for row in document["rows"]
        if row["steps"]
    ]


def summary(document: Document) -> list[str]:
    """Who was not measured and why, and fastdw against the best engine of each network."""
    problems = {
        f"{row['name']}: {engine}: {result['problem']}": None
        for row in document["rows"]
        for engine, result in row["results"].items()
        if "problem" in result
    }
    lines = list(problems)
    for threads in document["settings"]["threads"]:
        ratios = [
            best[1] / own
            for row in document["rows"]
            if row["threads"] == threads
            and (own := doc.seconds(row, _OWN))
            and (best := doc.best_peer(row))
        ]
        if ratios:
            lines.append(
                f"threads: {threads}: fastdw is {doc.geometric_mean(ratios):.2f} times as fast as "
                f"the best engine of each network (geometric mean of {len(ratios)})"
            )
    return lines


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


def _reference(case: Case) -> list[npt.NDArray[Any]]:
    """The outputs by the twins, in float64."""
    images = [x[0] for x in case.model.inputs.values()]
    return [y[None] for y in run_twins(case.network._graph, images)]


def _row(
    case: Case, threads: int, settings: Settings, wanted: list[npt.NDArray[Any]] | None
) -> Row:
    sessions: dict[str, Session] = {}
    errors: dict[str, float | None] = {}
    results: dict[str, Any] = {}
    differ = 0
    for name in (_OWN, *settings.peers):
        try:
            with quiet():
                session = _own(case, threads) if name == _OWN else _peer(name, case, threads)
                session.run()
                outputs = session.outputs()
                errors[name] = _checked(outputs, wanted, case, name) if wanted else None
            sessions[name] = session
        except Unsupported as reason:
            results[name] = {"problem": f"unsupported: {reason}"}
        except Differs as error:
            differ += 1
            results[name] = {"problem": str(error)}
        except Exception as error:  # A peer that fails must not end the run of the others.
            sentence = " ".join(str(error).split())
            results[name] = {"problem": f"{type(error).__name__}: {sentence}"}
    if differ and [*sessions] == [_OWN]:
        # Its twins cannot tell that the file was misread.
        del sessions[_OWN]
        results[_OWN] = {"problem": "no other engine agrees with it"}
    calls: dict[str, Call] = {name: session.run for name, session in sessions.items()}
    if settings.limits and not quantizations(case.network._graph):
        isa = fastdw.show_config(mode="dict")["isas"]["active"]
        calls[_LIMIT], flops = limits.loop(isa, threads, settings.min_time)
    samples = interleaved(calls, settings.repetitions, settings.min_time, settle=threads > 1)
    for name in sessions:
        results[name] = doc.result(samples[name], "", errors[name])
    return {
        "name": case.model.path.name,
        "threads": threads,
        "macs": case.network.macs,
        "parameters": case.network.num_parameters,
        "limit": flops / statistics.median(samples[_LIMIT]) if _LIMIT in samples else None,
        "unit": "steps" if _in_steps(case) else "relative",
        "results": {name: results[name] for name in (_OWN, *settings.peers)},
        "steps": None,
    }


def _steps(case: Case, threads: int, repetitions: int) -> list[dict[str, Any]]:
    found: Any = case.network.profile(
        *case.model.inputs.values(), repetitions=repetitions, num_threads=threads, mode="dict"
    )
    return [{**step, "from": list(step["from"])} for step in found["steps"]]


def _own(case: Case, threads: int) -> Session:
    images = list(case.model.inputs.values())
    found = case.network(*images)
    outputs = list(found) if isinstance(found, tuple) else [found]
    run = functools.partial(case.network, *images, out=outputs, num_threads=threads)
    return Session(run, lambda: outputs)


def _peer(name: str, case: Case, threads: int) -> Session:
    engine, suffix = peers.load(name), case.model.path.suffix.lower()
    if suffix not in engine.READS:
        msg = f"it reads no {suffix}"
        raise Unsupported(msg)
    session: Session = engine.read(case.model, threads)
    return session


def _in_steps(case: Case) -> bool:
    return all(spec.dtype != "float32" for spec in case.network.outputs)


def _bound(case: Case, engine: str) -> float:
    """The largest deviation that counts as the same network, in the row's unit."""
    graph, unit = case.network._graph, 1 if _in_steps(case) else _STEPS
    if not quantizations(graph):
        return TOLERANCE
    if engine == _OWN and not graph.notes:
        return TOLERANCE  # Less than a step.
    return _MOST_STEPS / unit


def _checked(outputs: list[F32], wanted: list[npt.NDArray[Any]], case: Case, engine: str) -> float:
    """The largest deviation: in steps, or relative to the largest value of each output."""
    shapes = [y.shape for y in outputs]
    if shapes != [y.shape for y in wanted]:
        msg = f"its outputs are of shapes {shapes}"
        raise Differs(msg)
    errors = []
    for y, expected in zip(outputs, wanted, strict=True):
        most = np.abs(expected).max() or 1.0
        if expected.dtype.kind in "iu":
            most = 1 if _in_steps(case) else _STEPS
        errors.append(np.abs(np.subtract(y, expected, dtype=np.float64)).max() / most)
    error = float(np.max(errors))
    if not error <= _bound(case, engine):
        steps = f"{error:.0f} of {_STEPS} steps"
        size = steps if _in_steps(case) else f"{error:.1e} of its largest value"
        msg = f"differs from the reference by {size}"
        raise Differs(msg)
    return error
