"""A result of networks as text: times, points that a goal of speed needs, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdw.network._summary import table as steps_table

from . import document as doc
from . import text
from .document import Document, Row
from .text import Table

_OWN = "fastdw"


def points(document: Document) -> list[dict[str, Any]]:
    """What a goal of speed is held against, an entry for each row.

    Returns
    -------
    list of dict
        ``name`` and ``threads`` of the row, and numbers that are null where something was not
        measured: ``best`` is the best other engine and ``best_ratio`` its time over fastdw's;
        ``over_limit`` the time over that of the multiply-adds alone; ``gain`` the time on one
        thread over this one; ``over_steps`` the time over the sum of the steps, each alone.
    """
    single = {row["name"]: doc.seconds(row, _OWN) for row in document["rows"] if _threads(row) == 1}
    found = []
    for row in document["rows"]:
        own, best, alone = doc.seconds(row, _OWN), doc.best_peer(row), row.get("alone")
        one = single.get(row["name"]) if _threads(row) > 1 else None
        found.append(
            {
                "name": row["name"],
                "threads": _threads(row),
                "best": best[0] if best else None,
                "best_ratio": best[1] / own if best and own else None,
                "over_limit": own * row["limit"] / 2 / row["macs"]
                if own and row["limit"] and row["macs"]
                else None,
                "gain": one / own if one and own else None,
                "over_steps": alone["run"] / alone["steps"] if alone and alone["steps"] else None,
            }
        )
    return found


_POINTS = {
    "best_ratio": "best other ×",
    "over_limit": "time / limit",
    "gain": "1 thread ×",
    "over_steps": "run / steps alone",
}


def points_table(document: Document) -> Table:
    """The points that were measured, and their geometric means."""
    found = points(document)
    keys = [key for key in _POINTS if any(point[key] is not None for point in found)]
    lines = [["network", "threads", *(_POINTS[key] for key in keys)]]
    for point in found:
        lines.append([point["name"], str(point["threads"]), *(_number(point[k]) for k in keys)])
    for threads in sorted({point["threads"] for point in found}):
        rows = [point for point in found if point["threads"] == threads]
        columns = ([p[key] for p in rows if p[key] is not None] for key in keys)
        means = (doc.geometric_mean(column) if column else None for column in columns)
        lines.append(["geometric mean", str(threads), *map(_number, means)])
    return lines


def shown(document: Document, laid_out: Callable[[Table], str]) -> str:
    """All of it."""
    paragraphs = [
        "\n".join(text.header(document)),
        *profiles(document),
        *map(laid_out, (table(document), points_table(document))),
        "\n".join(summary(document) + missing(document)),
    ]
    return "\n\n".join(paragraphs)


def table(document: Document) -> Table:
    """One line for each engine that was measured."""
    lines = [
        [
            *("network", "engine", "threads", "median ms", "minimum ms", "GFLOP/s", "% of limit"),
            *("time / fastdw", "deviation", "from"),
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
                + [result["variant"] or row["name"]]
            )
    return lines


def overview(document: Document) -> Table:
    """One line for each network and number of threads: milliseconds of every engine."""
    engines = [e for e in doc.engines(document) if any(doc.seconds(r, e) for r in document["rows"])]
    lines = [["network", "threads", *(f"{engine} ms" for engine in engines), "best other ×"]]
    for row, point in zip(document["rows"], points(document), strict=True):
        times = (doc.seconds(row, engine) for engine in engines)
        best = f"{point['best_ratio']:.2f} {point['best']}" if point["best_ratio"] else "–"
        lines.append(
            [row["name"], str(row["threads"])]
            + ["–" if time is None else f"{1e3 * time:#.3g}".rstrip(".") for time in times]
            + [best]
        )
    return lines


def profiles(document: Document) -> list[str]:
    """The steps of each network, with their times."""
    return [
        f"{row['name']}, threads: {row['threads']}\n{steps_table(row['steps'])}"
        for row in document["rows"]
        if row["steps"]
    ]


def summary(document: Document) -> list[str]:
    """Sentences: fastdw against every engine and against the best one, and on two threads."""
    lines = []
    for threads in sorted({row["threads"] for row in document["rows"]}):
        rows = [row for row in document["rows"] if row["threads"] == threads]
        for engine in doc.engines(document):
            pairs = ((doc.seconds(row, engine), doc.seconds(row, _OWN)) for row in rows)
            ratios = [time / own for time, own in pairs if time and own]
            if ratios and not doc.is_own(engine):
                lines.append(f"threads: {threads}: {_times(ratios)} {engine} ({_range(ratios)})")
        found = [p for p in points(document) if p["threads"] == threads and p["best_ratio"]]
        if found:
            ratios = [point["best_ratio"] for point in found]
            lost = [f"{p['name']} {p['best_ratio']:.2f}" for p in found if p["best_ratio"] < 1]
            lines.append(
                f"threads: {threads}: {_times(ratios)} the best engine of each network "
                f"({_range(ratios)}); behind on {', '.join(lost) or 'none'}"
            )
    return lines


def missing(document: Document) -> list[str]:
    """Who was not measured on which network, and why."""
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for row in document["rows"]:
        for engine, result in row["results"].items():
            if "problem" in result:
                reasons.setdefault((engine, result["problem"]), {})[row["name"]] = None
    return [f"{', '.join(names)}: {e}: {problem}" for (e, problem), names in reasons.items()]


def _times(ratios: list[float]) -> str:
    return f"fastdw is {doc.geometric_mean(ratios):.2f} times as fast as"


def _range(ratios: list[float]) -> str:
    return f"geometric mean of {len(ratios)}, from {min(ratios):.2f} to {max(ratios):.2f}"


def _threads(row: Row) -> int:
    return int(row["threads"])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _deviation(error: float, unit: str) -> str:
    return f"{error:.0f} steps" if unit == "steps" else f"{error:.0e}"
