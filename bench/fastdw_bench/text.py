"""A result as text: aligned columns, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from . import document as doc
from .document import Document, Row

FORMATS = ("table", "markdown", "json", "csv")

Table = list[list[str]]


def results(document: Document) -> Table:
    """One line a row: microseconds of every engine, speed and share of the limit of fastdw."""
    engines = doc.engines(document)
    has_peers = any(not doc.is_own(engine) for engine in engines)
    several_threads = len({row["threads"] for row in document["rows"]}) > 1
    table = [
        ["layer", "shape"]
        + ["threads"] * several_threads
        + [f"{engine} µs" for engine in engines]
        + ["GFLOP/s", "% of limit"]
        + ["best peer ×"] * has_peers
    ]
    for row in document["rows"]:
        own = _own_best(row)
        table.append(
            [row["name"], row["layer"]]
            + [str(row["threads"])] * several_threads
            + [_microseconds(row, engine) for engine in engines]
            + [_gflops(row, own), _share(document, row, own)]
            + [_speedup(row, own)] * has_peers
        )
    return table


def summary(document: Document) -> list[str]:
    """Sentences: share of the limit, speed against every peer, the sum over the network."""
    lines = []
    for threads in sorted({row["threads"] for row in document["rows"]}):
        rows = [row for row in document["rows"] if row["threads"] == threads]
        times = {id(row): _own_best(row) for row in rows}
        measured = [(row, time) for row in rows if (time := times[id(row)]) is not None]
        if not measured:
            continue
        total = sum(time * doc.layer_of(row).times for row, time in measured)
        line = f"{_threads(threads)}: {1e3 * total:.2f} ms over all layers"
        shares = [
            2 * row["macs"] / time / limit
            for row, time in measured
            if (limit := doc.limit_of(document, row))
        ]
        if shares:
            line += f", {doc.geometric_mean(shares):.0%} of the limit (geometric mean)"
        lines.append(line)
        for peer in doc.engines(document):
            if not doc.is_own(peer):
                lines += _against(peer, measured)
        best = [(row, found[1] / time) for row, time in measured if (found := doc.best_peer(row))]
        if best:
            ratios = [ratio for _, ratio in best]
            won = sum(ratio > 1 for ratio in ratios)
            lines.append(
                f"  {doc.geometric_mean(ratios):.2f} × the best engine of each layer, "
                f"faster in {won} of {len(ratios)}"
            )
    return lines


def header(document: Document) -> list[str]:
    """Sentences on the machine and its limits."""
    machine, fastdw = document["environment"]["machine"], document["environment"]["fastdw"]
    cpus = ", ".join(f"{count} × {name}" for name, count in machine["cpu"].items())
    caches = [f"L{c['level']} {_size(c['bytes'])}" for c in machine["caches"]]
    lines = [
        f"{cpus}; {machine['board'] or machine['system']}",
        f"extensions: {' '.join(machine['extensions'])}"
        + (f"; AMX {machine['amx']}" if machine.get("amx") else ""),
        f"caches: {', '.join(caches) or 'unknown'}; memory {_size(machine['memory_bytes'])}",
        f"fastdw {fastdw['version']}, {_isas(fastdw)}; compiled by {fastdw['compiler']}",
    ]
    if document["environment"]["engines"]:
        engines = document["environment"]["engines"].items()
        lines.append("against " + ", ".join(f"{name} {version}" for name, version in engines))
    for threads in dict.fromkeys(x["threads"] for x in document["limits"]):
        best = doc.best_limits(document, threads).items()
        rates = [f"{gflops:.1f} GFLOP/s {isa}" for isa, gflops in best]
        lines.append(f"multiply-adds on {_threads(threads)}: {', '.join(rates)}")
    speeds = [
        f"{x['gb_per_second']:.0f} GB/s over {_size(x['bytes'])}"
        + (f" on {x['threads']} threads" if x["threads"] > 1 else "")
        for x in document["bandwidth"]
    ]
    return lines + ["copying: " + ", ".join(speeds)] * bool(speeds)


def aligned(table: Table) -> str:
    """Columns of equal width; the first two to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def markdown(table: Table) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in cells] for cells in table]
    rule = ["---" if index < 2 else "---:" for index in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *body])


def as_csv(document: Document) -> str:
    """One line for each layer and engine, in seconds."""
    file = io.StringIO()
    fields = ["name", "layer", "threads", "batch", "macs", "bytes", "engine", "variant"]
    fields += ["seconds", "low", "high", "error", "problem"]
    writer = csv.DictWriter(file, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in document["rows"]:
        for engine, result in row["results"].items():
            writer.writerow({**row, **result, "engine": engine})
    return file.getvalue()


def _against(peer: str, measured: list[tuple[Row, float]]) -> list[str]:
    ratios = [found / time for row, time in measured if (found := doc.seconds(row, peer))]
    if not ratios:
        return []
    return [
        f"  {doc.geometric_mean(ratios):.2f} × {peer} "
        f"(from {min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} layers)"
    ]


def _own_best(row: Row) -> float | None:
    """Time of fastdw; of several instruction sets the best."""
    times = [doc.seconds(row, engine) for engine in row["results"] if doc.is_own(engine)]
    return min((time for time in times if time is not None), default=None)


def _microseconds(row: Row, engine: str) -> str:
    time = doc.seconds(row, engine)
    if time is not None:
        return f"{1e6 * time:.1f}" if time < 1e-4 else f"{1e6 * time:.0f}"
    problem = row["results"].get(engine, {}).get("problem", "unsupported")
    return "–" if problem.startswith("unsupported") else "failed"


def _gflops(row: Row, time: float | None) -> str:
    return "–" if time is None else f"{2 * row['macs'] / time / 1e9:.1f}"


def _share(document: Document, row: Row, time: float | None) -> str:
    limit = doc.limit_of(document, row)
    if time is None or limit is None:
        return "–"
    return f"{200 * row['macs'] / time / limit:.0f}"


def _speedup(row: Row, time: float | None) -> str:
    best = doc.best_peer(row)
    return "–" if time is None or best is None else f"{best[1] / time:.2f} {best[0]}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _isas(config: dict[str, Any]) -> str:
    isas = config["isas"]
    integers = f"; of integers {config['isas8']['active']}" if "isas8" in config else ""
    return f"instruction set {isas['active']} (of {', '.join(isas['supported'])}){integers}"


def _size(num_bytes: int) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20)):
        if num_bytes >= 1 << shift:
            return f"{num_bytes / (1 << shift):.3g} {unit}"
    return f"{num_bytes >> 10} KiB"
