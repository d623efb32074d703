"""One result of networks out of several runs on the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import document as doc
from . import net_text
from .document import Document


def merged(documents: Sequence[Document]) -> Document:
    """All rows in one result, with the warnings and commands of every run.

    The steps of a profile, which are most of a file, stay in the files of the runs.

    Parameters
    ----------
    documents : sequence of Document
        At least one; in their order. `started` is the first's, `disturbance` the worst.

    Raises
    ------
    ValueError
        For results of layers, of different machines, builds, engines or settings, and where two
        hold the same row.
    """
    first, *others = documents
    if not all(map(doc.of_networks, documents)):
        msg = "only results of networks are merged: layers are measured in one run"
        raise ValueError(msg)
    for other in others:
        for what, a, b in _surroundings(first, other):
            if a != b:
                msg = f"{what} differ: {a} and {b}"
                raise ValueError(msg)
    rows = [row | {"steps": None} for document in documents for row in document["rows"]]
    seen = [(row["name"], row["threads"]) for row in rows]
    if twice := sorted({row for row in seen if seen.count(row) > 1}):
        msg = f"more than once: {', '.join(f'{name} on {threads}' for name, threads in twice)}"
        raise ValueError(msg)
    result = first | {
        "complete": all(document["complete"] for document in documents),
        "commands": _each(documents, "commands"),
        "rows": rows,
        "disturbance": {
            key: max(document["disturbance"][key] for document in documents)
            for key in first["disturbance"]
        },
        "warnings": _each(documents, "warnings"),
    }
    return result | {"points": net_text.points(result)}


def _surroundings(a: Document, b: Document) -> list[tuple[str, Any, Any]]:
    def of(document: Document) -> dict[str, Any]:
        machine, own = document["environment"]["machine"], document["environment"]["fastdw"]
        return {
            "the processors": machine["cpu"],
            "the systems": machine["system"],
            "the versions of fastdw": own["version"],
            "the compilers": own["compiler"],
            "the instruction sets": own["isas"],
            "the kernels": own["kernels"],
            "the engines": document["environment"]["engines"],
            "the settings": document["settings"],
        }

    left, right = of(a), of(b)
    return [(what, left[what], right[what]) for what in left]


def _each(documents: Sequence[Document], key: str) -> list[str]:
    """The sentences of all, once."""
    return [*dict.fromkeys(line for document in documents for line in document.get(key, []))]
