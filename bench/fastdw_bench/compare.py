"""Is the second of two results, of layers or of networks, slower than the first?"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from . import document as doc
from .document import Document, Row, is_own


@dataclass(frozen=True)
class Verdict:
    """A layer in both results: the second time over the first, and how sure that is."""

    name: str
    layer: str
    threads: int
    before: float
    after: float
    p_value: float
    verdict: str

    @property
    def ratio(self) -> float:
        return self.after / self.before


@dataclass(frozen=True)
class LeftOut:
    """A layer that cannot be compared, and why; one that failed after it had worked regressed."""

    name: str
    layer: str
    reason: str
    regressed: bool = False


def left_out(
    before: Document, after: Document, *, engine: str = "fastdw", relative_to: str | None = None
) -> list[LeftOut]:
    """Every row of either result that `compare` has no verdict on."""
    documents = {"first": before, "second": after}
    rows = {place: {_key(row): row for row in d["rows"]} for place, d in documents.items()}
    found = [
        LeftOut(row["name"], doc.shape(row), f"is more than once in the {place} result")
        for place, document in documents.items()
        for row in document["rows"]
        if row is not rows[place][_key(row)]
    ]
    for key in dict.fromkeys([*rows["first"], *rows["second"]]):
        missing = {
            place: _missing(rows[place].get(key), engine, relative_to) for place in documents
        }
        reasons = [f"{reason} in the {place} result" for place, reason in missing.items() if reason]
        if reasons:
            row = rows["first"].get(key) or rows["second"][key]
            failed = not missing["first"] and missing["second"].startswith(f"{engine} failed")
            found.append(LeftOut(row["name"], doc.shape(row), "; ".join(reasons), failed))
    return found


def _missing(row: Row | None, engine: str, relative_to: str | None) -> str:
    """Why a row has no samples, or nothing."""
    if row is None:
        return "is not"
    for name in (engine, *([relative_to] if relative_to else [])):
        result = row["results"].get(_matching(row, name), {})
        if not result.get("samples"):
            problem = result.get("problem")
            return f"{name} failed ({problem})" if problem else f"{name} was not measured"
    return ""


def compare(
    before: Document,
    after: Document,
    *,
    engine: str = "fastdw",
    relative_to: str | None = None,
    threshold: float = 0.03,
    alpha: float = 0.01,
) -> list[Verdict]:
    """Compare every layer that both results have.

    Parameters
    ----------
    engine : str, default "fastdw"
        Whose times; "fastdw avx2" for one of several instruction sets.
    relative_to : str, optional
        Another engine: its times, measured in the same rounds, divide those of `engine`. This
        cancels a clock or a neighbour that differs between the runs.
    threshold : float, default 0.03
        Smaller changes of the median are "same".
    alpha : float, default 0.01
        Changes are "same" unless they are significant at this level by the Mann-Whitney U test,
        with the Holm correction for the number of layers.

    Returns
    -------
    list of Verdict, each "faster", "slower" or "same"
    """
    old, new = ({_key(row): row for row in document["rows"]} for document in (before, after))
    pairs = []
    for key, row in old.items():
        first = _samples(row, engine, relative_to)
        second = _samples(new[key], engine, relative_to) if key in new else []
        if first and second:
            pairs.append((row, first, second, mann_whitney(first, second)))
    significant = holm([p for *_, p in pairs], alpha)
    verdicts = []
    for (row, first, second, p), sure in zip(pairs, significant, strict=True):
        a, b = statistics.median(first), statistics.median(second)
        change = b / a - 1 if sure else 0.0
        word = "same" if abs(change) <= threshold else "slower" if change > 0 else "faster"
        verdicts.append(Verdict(row["name"], doc.shape(row), row["threads"], a, b, p, word))
    return verdicts


def mann_whitney(a: list[float], b: list[float]) -> float:
    """Two-sided p of the Mann-Whitney U test, by the normal approximation with ties."""
    n, m = len(a), len(b)
    ordered = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    rank_sum = ties = 0.0
    start = 0
    while start < n + m:
        stop = start
        while stop < n + m and ordered[stop][0] == ordered[start][0]:
            stop += 1
        rank = (start + stop + 1) / 2
        rank_sum += rank * sum(1 for _, group in ordered[start:stop] if group == 0)
        ties += (stop - start) ** 3 - (stop - start)
        start = stop
    u = rank_sum - n * (n + 1) / 2
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 1.0
    distance = max(0.0, abs(u - n * m / 2) - 0.5)
    return math.erfc(distance / math.sqrt(2 * variance))


def holm(p_values: list[float], alpha: float) -> list[bool]:
    """Which of several tests are significant, when all together may err with `alpha`."""
    significant = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - step):
            break
        significant[index] = True
    return significant


def differences(before: Document, after: Document) -> list[str]:
    """What in the surroundings of two results does not match."""
    found = []
    for title, path in {
        "kind of result": ("format",),
        "CPU": ("environment", "machine", "cpu"),
        "AMX": ("environment", "machine", "amx"),
        "instruction sets": ("environment", "fastdw", "isas"),
        "compiler": ("environment", "fastdw", "compiler"),
        "dtype": ("settings", "dtype"),
        "data format": ("settings", "data_format"),
        "cold cache": ("settings", "cold_cache"),
    }.items():
        a, b = _at(before, path), _at(after, path)
        if a != b:
            found.append(f"{title} differs: {a} and {b}")
    return found


def _at(document: Document, path: tuple[str, ...]) -> object:
    value: object = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _key(row: Row) -> tuple[str, int, int]:
    return doc.shape(row) or row["name"], row["threads"], row.get("batch", 1)


def _samples(row: Row, engine: str, relative_to: str | None) -> list[float]:
    times: list[float] = row["results"].get(_matching(row, engine), {}).get("samples", [])
    if relative_to is None:
        return times
    others = row["results"].get(relative_to, {}).get("samples", [])
    return [time / other for time, other in zip(times, others, strict=False)]


def _matching(row: Row, engine: str) -> str:
    """The engine by its name; plain "fastdw" is also the only instruction set there is."""
    if engine in row["results"] or engine != "fastdw":
        return engine
    own = [name for name in row["results"] if is_own(name)]
    return own[0] if len(own) == 1 else engine
