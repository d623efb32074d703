"""The result of a run, as JSON.

::

    format, version     "fastdw-bench", 1
    complete            false when the run was interrupted
    started             local time, ISO 8601
    environment         machine (machine.describe), fastdw (fastdw.show_config), engines (versions)
    settings            the options of the run
    limits              [{threads, isa, gflops}] of nothing but multiply-adds, before and after
    bandwidth           [{bytes, threads, gb_per_second}]
    rows                [{name, layer, threads, batch, macs, bytes, limit, results}], where
                        `results` has for each engine either {seconds, low, high, samples, variant,
                        error} or {problem}
    disturbance         {others, stolen}, in cores
    warnings            sentences
    probes              of bench/score only: what is measured besides the rows (probes.measure)
    goals               of bench/score only: [{goal, measured, wanted, met}] in words; `met` is
                        null where nothing was measured or no figure is wanted

`layer` is in the notation of `layers`, `macs` and `bytes` are for the batch, `limit` is FLOP/s of
nothing but multiply-adds, the median in turn with the engines (null or absent where it was not
measured), `seconds` is the median of `samples`, `low` and `high` are its quartiles, `error` is the
deviation from the reference relative to its largest value, or null when it was not checked.
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any, NoReturn

from .layers import Layer, parse_layer

Document = dict[str, Any]
Row = dict[str, Any]

FORMAT = "fastdw-bench"
NETWORKS = "fastdw-bench net"
"""Of results whose rows are whole networks: see `net`."""
VERSION = 1


def new(started: str, environment: dict[str, Any], settings: dict[str, Any]) -> Document:
    return {
        "format": FORMAT,
        "version": VERSION,
        "complete": False,
        "started": started,
        "environment": environment,
        "settings": settings,
        "limits": [],
        "bandwidth": [],
        "rows": [],
        "disturbance": {},
        "warnings": [],
    }


def result(samples: list[float], variant: str, error: float | None) -> dict[str, Any]:
    low, median, high = statistics.quantiles(samples, n=4) if len(samples) > 1 else samples * 3
    return {
        "seconds": median,
        "low": low,
        "high": high,
        "samples": [float(f"{sample:.5g}") for sample in samples],
        "variant": variant,
        "error": error,
    }


def layer_of(row: Row) -> Layer:
    return parse_layer(f"{row['name']}={row['layer']}")


def shape(row: Row) -> str:
    """The notation of a layer; a network has a name alone."""
    return str(row.get("layer", ""))


def seconds(row: Row, engine: str) -> float | None:
    """Median time of an engine, None where it has none."""
    value = row["results"].get(engine, {}).get("seconds")
    return None if value is None else float(value)


def of_networks(document: Document) -> bool:
    """Whether the rows are whole networks."""
    return bool(document["format"] == NETWORKS)


def engines(document: Document) -> list[str]:
    """Every engine of the rows, fastdw first."""
    found = {name: None for row in document["rows"] for name in row["results"]}
    return sorted(found, key=lambda name: not is_own(name))


def is_own(engine: str) -> bool:
    """Whether it is fastdw itself, on whatever instruction set."""
    return engine.partition(" ")[0] == "fastdw"


def limit(document: Document, threads: int) -> float | None:
    """Measured FLOP/s of the best instruction set, None where there is no measurement.

    Networks have limits of their own, in turn with the engines; here it is the highest of them.
    """
    found = [1e9 * gflops for gflops in best_limits(document, threads).values()]
    if of_networks(document):
        found = [r["limit"] for r in document["rows"] if r["threads"] == threads and r["limit"]]
    return max(found, default=None)


def limit_of(document: Document, row: Row) -> float | None:
    """FLOP/s of multiply-adds alone, if possible at the clock that the row's engines had."""
    found = row.get("limit") or limit(document, row["threads"])
    return None if found is None else float(found)


def best_limits(document: Document, threads: int) -> dict[str, float]:
    """GFLOP/s by instruction set."""
    best: dict[str, float] = {}
    for x in document["limits"]:
        if x["threads"] == threads:
            best[x["isa"]] = max(best.get(x["isa"], 0.0), x["gflops"])
    return best


def best_peer(row: Row) -> tuple[str, float] | None:
    times = {name: seconds(row, name) for name in row["results"] if not is_own(name)}
    known = {name: time for name, time in times.items() if time is not None}
    if not known:
        return None
    name = min(known, key=known.__getitem__)
    return name, known[name]


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def dumps(document: Document) -> str:
    """JSON with one line for each row of measurements."""
    rows = ",\n".join("  " + json.dumps(row) for row in document["rows"])
    frame = json.dumps({**document, "rows": []}, indent=1)
    return frame.replace(' "rows": []', f' "rows": [\n{rows}\n ]', 1)


def load(path: Path) -> Document:
    """Read a result.

    Raises
    ------
    ValueError
        When the file is no result, or of another version.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path} cannot be read: {error}"
        raise ValueError(msg) from error
    if not isinstance(document, dict) or document.get("format") not in (FORMAT, NETWORKS):
        msg = f"{path} is no result of {FORMAT}"
        raise ValueError(msg)
    if document.get("version") != VERSION:
        msg = f"{path} has version {document.get('version')}, this program reads {VERSION}"
        raise ValueError(msg)
    try:
        _check(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} is damaged: {type(error).__name__} {error}"
        raise ValueError(msg) from error
    return document


def _check(document: Document) -> None:
    """Raise for rows that no run has written; whatever else is damaged shows when it is used."""
    if not all(isinstance(document[name], list) for name in ("rows", "limits", "bandwidth")):
        _damaged("lists are missing")
    if not all(isinstance(warning, str) for warning in document["warnings"]):
        _damaged("the warnings are no sentences")
    counts, sizes = ["threads", "batch"], ["macs", "bytes"]
    if of_networks(document):
        counts, sizes = counts[:1], sizes[:1]
    for row in document["rows"]:
        if not of_networks(document):
            layer_of(row)
        if not all(type(row[name]) is int and row[name] > 0 for name in counts):
            _damaged(f"row {row['name']} has no numbers of {' and '.join(counts)}")
        numbers = [row[name] for name in sizes]
        for result in row["results"].values():
            if not isinstance(result.get("problem", ""), str):
                _damaged(f"row {row['name']} has a problem that is no sentence")
            if "problem" not in result:
                numbers += [
                    *result["samples"],
                    *(result[key] for key in ("seconds", "low", "high")),
                ]
        if not all(type(n) in (int, float) and 0 < n < math.inf for n in numbers):
            _damaged(f"row {row['name']} has a figure that is no number above 0")


def _damaged(what: str) -> NoReturn:
    raise ValueError(what)
