"""Charts of a result as SVG text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from html import escape

from . import document as doc
from .document import Document, Row

Scale = Callable[[float], float]

# fastdw first, then one colour an engine: the palette of Okabe and Ito, which the colour-blind see.
_OWN = "#0072b2"
_COLOURS = {
    "fastdw avx2": "#000000",  # where it runs beside AVX-512
    "litert": "#d55e00",
    "onnxruntime": "#009e73",
    "openvino": "#cc79a7",
    "ncnn": "#e69f00",
    "mnn": "#56b4e9",
    "torch": "#7f7f7f",
}
_LABEL, _PLOT, _LINE, _TOP = 330, 560, 22, 46


def colour(engine: str) -> str:
    return _COLOURS.get(engine, _OWN)


def bars(document: Document, threads: int) -> str:
    """GFLOP/s of every row: a bar for fastdw, a mark for each other engine."""
    rows = [row for row in document["rows"] if row["threads"] == threads]
    engines = [engine for engine in doc.engines(document) if _speeds(rows, engine)]
    limit = doc.limit(document, threads)
    fastest = max(speed for engine in engines for speed in _speeds(rows, engine))
    top = max(fastest, limit or 0.0) * 1.02
    height = _TOP + _LINE * len(rows) + 46
    bottom = height - 42
    labels = [f"{row['name']}  {doc.shape(row)}".rstrip() for row in rows]
    left = min(_LABEL, 30 + 7 * max(map(len, labels)))

    def x(speed: float) -> float:
        return left + _PLOT * speed / top

    parts = list(_legend(engines))
    for tick in _ticks(top / 1e9):
        parts.append(_vertical(x(1e9 * tick), _TOP, bottom, "grid"))
        parts.append(_text(x(1e9 * tick), bottom + 16, f"{tick:g}", "middle"))
    unit = "GOP/s" if any(row.get("unit") == "steps" for row in rows) else "GFLOP/s"
    parts.append(_text(left + _PLOT, bottom + 34, unit, "end"))
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        middle = _TOP + _LINE * (number + 0.5)
        parts.append(_text(left - 8, middle + 4, label, "end"))
        parts += _row_marks(row, engines, x, middle)
    if limit:
        parts.append(_vertical(x(limit), _TOP, bottom, "limit"))
        parts.append(_text(x(limit) - 4, _TOP - 4, "limit", "end"))
    return _svg(left + _PLOT + 20, height, parts)


def _row_marks(row: Row, engines: list[str], x: Scale, middle: float) -> Iterator[str]:
    own = [engine for engine in engines if doc.is_own(engine)]
    for engine in own + [engine for engine in engines if engine not in own]:
        time = doc.seconds(row, engine)
        if time is None:
            continue
        place, paint = x(2 * row["macs"] / time), colour(engine)
        hint = f"<title>{escape(engine)}: {1e6 * time:.5g} µs</title>"
        if doc.is_own(engine):
            left = x(0)
            size = f'x="{left:.0f}" y="{middle - 7:.1f}" width="{place - left:.1f}" height="14"'
            opacity = 1 / len(own)
            yield f'<rect {size} fill="{paint}" opacity="{opacity:.2f}">{hint}</rect>'
        else:
            where = f'cx="{place:.1f}" cy="{middle:.1f}" r="4.5"'
            yield f'<circle {where} fill="{paint}" stroke="white">{hint}</circle>'


def roofline(document: Document, threads: int) -> str:
    """GFLOP/s over FLOPs a compulsory byte, under the limits of arithmetic and of copying."""
    rows = [row for row in document["rows"] if row["threads"] == threads]
    limit = doc.limit(document, threads)
    if limit is None:
        return ""
    roofs = [r for r in document["bandwidth"] if r["threads"] == threads]
    points = [
        (2 * row["macs"] / row["bytes"], 2 * row["macs"] / time, engine, row["name"])
        for row in rows
        for engine in doc.engines(document)
        if (doc.is_own(engine) or engine == (doc.best_peer(row) or ("",))[0])
        and (time := doc.seconds(row, engine)) is not None
    ]
    xs = _octaves([point[0] for point in points])
    ys = _octaves([limit / 1e9, *(point[1] / 1e9 for point in points)])
    left, right, low, high = xs[0], xs[-1], 1e9 * ys[0], 1e9 * ys[-1]
    width, height, margin = 760, 440, 60

    def x(intensity: float) -> float:
        return margin + (width - margin) * math.log(intensity / left) / math.log(right / left)

    def y(speed: float) -> float:
        return height - 40 - (height - 100) * math.log(speed / low) / math.log(high / low)

    parts = list(_legend(list(dict.fromkeys(p[2] for p in points))))
    for tick in xs:
        parts.append(_vertical(x(tick), y(high), y(low), "grid"))
        parts.append(_text(x(tick), y(low) + 16, f"{tick:g}", "middle"))
    for tick in ys:
        parts.append(_segment(x(left), y(1e9 * tick), x(right), y(1e9 * tick), "grid"))
        parts.append(_text(x(left) - 6, y(1e9 * tick) + 4, f"{tick:g}", "end"))
    for roof in roofs:
        parts += _roof(1e9 * roof["gb_per_second"], limit, (left, right), (low, high), x, y)
    parts.append(_segment(x(left), y(limit), x(right), y(limit), "limit"))
    for intensity, speed, engine, name in points:
        hint = f"<title>{escape(name)}, {escape(engine)}: {speed / 1e9:.1f} GFLOP/s</title>"
        where = f'cx="{x(intensity):.1f}" cy="{y(speed):.1f}"'
        radius = 4.5 if doc.is_own(engine) else 3
        parts.append(
            f'<circle {where} r="{radius}" fill="{colour(engine)}" stroke="white">{hint}</circle>'
        )
    parts.append(_text(x(right), y(low) + 32, "FLOPs a byte of input, weights and output", "end"))
    parts.append(_text(x(left), y(high) - 8, "GFLOP/s", "start"))
    return _svg(width + 20, height, parts)


def _roof(
    rate: float, limit: float, xs: tuple[float, float], ys: tuple[float, float], x: Scale, y: Scale
) -> Iterator[str]:
    """The line of one copy speed, from the edge of the chart to where arithmetic takes over."""
    start = max(xs[0], ys[0] / rate)
    stop = min(xs[1], limit / rate)
    if start < stop:
        yield _segment(x(start), y(start * rate), x(stop), y(stop * rate), "roof")
        middle = math.sqrt(start * stop)
        yield _text(x(middle) + 6, y(middle * rate) + 12, f"{rate / 1e9:.0f} GB/s", "start")


def _speeds(rows: list[Row], engine: str) -> list[float]:
    times = ((row, doc.seconds(row, engine)) for row in rows)
    return [2 * row["macs"] / time for row, time in times if time is not None]


def _legend(engines: list[str]) -> Iterator[str]:
    place = 10.0
    for engine in engines:
        yield f'<circle cx="{place}" cy="14" r="5" fill="{colour(engine)}"/>'
        yield _text(place + 9, 18, engine, "start")
        place += 30 + 7.5 * len(engine)


def _ticks(top: float) -> list[float]:
    """Four to nine round numbers up to a value."""
    step = 10 ** math.floor(math.log10(top))
    while top / step < 4:
        step /= 2
    return [step * n for n in range(int(top / step) + 1)]


def _octaves(values: list[float]) -> list[float]:
    """Powers of two from below the smallest value to above the largest."""
    first, last = math.floor(math.log2(min(values))), math.ceil(math.log2(max(values)))
    return [2.0**exponent for exponent in range(first, max(last, first + 1) + 1)]


def _vertical(x: float, top: float, bottom: float, kind: str) -> str:
    return _segment(x, top, x, bottom, kind)


def _segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="{kind}" {ends}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: list[str]) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', *parts, "</svg>"])
