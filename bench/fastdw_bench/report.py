"""One self-contained page of all results in a folder, and the same as Markdown."""

from __future__ import annotations

from html import escape
from pathlib import Path

from . import charts, net_text, text
from . import document as doc
from .document import Document

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 960px; margin: 2em auto;
       padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5em; border-top: 1px solid #ccc;
       padding-top: 1em; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: #333; } .grid { stroke: #e4e4e4; } .limit { stroke: #222; stroke-dasharray: 5 3; }
.roof { stroke: #999; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: 2px 9px; text-align: right;
       white-space: nowrap; }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
tr:nth-child(even) { background: #f6f6f6; }
.scroll { overflow-x: auto; margin-bottom: 1.5em; }
.warning { color: #a33; } pre { white-space: pre-wrap; }
"""

_METHOD = (
    "Every engine computes the same {what}, in the layout that it likes best, built once "
    "and with its input bound; its result is checked first. Engines take turns in short batches, "
    "and the median of many rounds counts. The limit is the measured speed of a loop that "
    "does nothing but multiply-adds."
)
_BLOCKS, _NETWORKS = "block", "network, from the file of its own format"


def write(folder: Path) -> list[Path]:
    """Write report.html and report.md into a folder of results.

    Raises
    ------
    ValueError
        When there is no result in it, or a broken one.
    """
    documents = {path.stem: doc.load(path) for path in sorted(folder.glob("*.json"))}
    filled = {name: document for name, document in documents.items() if document["rows"]}
    if not filled:
        msg = f"no results (*.json of fastdw-bench run and net) in {folder}"
        raise ValueError(msg)
    page, notes = folder / "report.html", folder / "report.md"
    try:
        texts = {page: _html(filled), notes: _markdown(filled)}
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"a result in {folder} is damaged: {type(error).__name__} {error}"
        raise ValueError(msg) from error
    for path, content in texts.items():
        path.write_text(content)
    return [page, notes]


def _html(documents: dict[str, Document]) -> str:
    sections = [_section(name, document) for name, document in documents.items()]
    head = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>fastdw benchmarks</title>\n<style>{_STYLE}</style>"
    )
    method = f"<p>{_method(documents)}</p>"
    return "\n".join([head, "<h1>fastdw benchmarks</h1>", method, *sections, ""])


def _method(documents: dict[str, Document]) -> str:
    kinds = {doc.of_networks(document): None for document in documents.values()}
    return _METHOD.format(what=" or ".join(_NETWORKS if kind else _BLOCKS for kind in kinds))


def _section(name: str, document: Document) -> str:
    parts = [f"<h2>{escape(name)}</h2>", _paragraph(_surroundings(document))]
    parts += [f'<p class="warning">Warning: {escape(w)}.</p>' for w in document["warnings"]]
    for threads in sorted({row["threads"] for row in document["rows"]}):
        if not any(_measured(document, threads)):
            continue
        parts += [
            f"<h3>{threads} thread{'s' * (threads > 1)}</h3>",
            charts.bars(document, threads),
            "" if doc.of_networks(document) else charts.roofline(document, threads),
        ]
    parts.append(f"<pre>{escape(chr(10).join(_sentences(document)))}</pre>")
    parts += [f'<div class="scroll">{_table(table)}</div>' for table in _tables(document)]
    return "\n".join(parts)


def _sentences(document: Document) -> list[str]:
    if doc.of_networks(document):
        return net_text.summary(document) + net_text.missing(document)
    return text.summary(document)


def _tables(document: Document) -> list[text.Table]:
    if doc.of_networks(document):
        return [net_text.overview(document), net_text.points_table(document)]
    return [text.results(document)]


def _measured(document: Document, threads: int) -> list[float]:
    return [
        time
        for row in document["rows"]
        if row["threads"] == threads
        for engine in row["results"]
        if (time := doc.seconds(row, engine)) is not None
    ]


def _surroundings(document: Document) -> list[str]:
    settings = document["settings"]
    details = f"{settings['repetitions']} rounds, batch {settings['batch']}"
    if not doc.of_networks(document):
        details += f", {settings['data_format']}" + ", cold cache" * settings["cold_cache"]
    lines = [*text.header(document), f"{document['started']}; {details}"]
    return lines + [f"command: {command}" for command in document.get("commands", [])]


def _paragraph(lines: list[str]) -> str:
    return "<p>" + "<br>\n".join(map(escape, lines)) + "</p>"


def _table(table: text.Table) -> str:
    tags = ["th", *["td"] * (len(table) - 1)]
    rows = [
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        for tag, cells in zip(tags, table, strict=True)
    ]
    return "\n".join(["<table>", *rows, "</table>"])


def _markdown(documents: dict[str, Document]) -> str:
    parts = ["# fastdw benchmarks", _method(documents)]
    for name, document in documents.items():
        parts += [f"## {name}", "\n".join(f"- {line}" for line in _surroundings(document))]
        parts += [f"Warning: {warning}." for warning in document["warnings"]]
        parts += [*map(text.markdown, _tables(document)), _code(_sentences(document))]
    return "\n\n".join(parts) + "\n"


def _code(lines: list[str]) -> str:
    return "\n".join(["```", *lines, "```"])
