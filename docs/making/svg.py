"""Small line charts as SVG: no script, no font from outside, readable on light and on dark ground."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

Point = tuple[float, float]

STYLE = """
text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #24292f }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.c0 { stroke: #0969da } .c1 { stroke: #bc4c00 } .c2 { stroke: #1a7f37 }
.c3 { stroke: #8250df } .c4 { stroke: #9a6700 } .c5 { stroke: #cf222e }
.f0 { fill: #0969da } .f1 { fill: #bc4c00 } .f2 { fill: #1a7f37 }
.f3 { fill: #8250df } .f4 { fill: #9a6700 } .f5 { fill: #cf222e }
.band { opacity: .22; stroke: none }
.dash { stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #e6edf3 } .grid { stroke: #3d444d }
.c0 { stroke: #4493f8 } .c1 { stroke: #f0883e } .c2 { stroke: #3fb950 }
.c3 { stroke: #ab7df8 } .c4 { stroke: #d29922 } .c5 { stroke: #f85149 }
.f0 { fill: #4493f8 } .f1 { fill: #f0883e } .f2 { fill: #3fb950 }
.f3 { fill: #ab7df8 } .f4 { fill: #d29922 } .f5 { fill: #f85149 }
}
""".strip()

LEFT, RIGHT, TOP, BOTTOM, ROW = 52.0, 24.0, 46.0, 34.0, 15.0


@dataclass(frozen=True)
class Line:
    """One series. Points whose y is not finite (or not above 0 on a log axis) are gaps."""

    label: str
    points: Sequence[Point]
    colour: int = 0
    dashed: bool = False
    marks: bool = False
    joined: bool = True
    """A line through the points, or the marks alone."""
    low: Sequence[Point] = ()
    high: Sequence[Point] = ()
    """Edges of a band around the line."""


@dataclass(frozen=True)
class Panel:
    """One chart. ``names``: what stands at x = 0, 1, … instead of numbers."""

    title: str
    lines: Sequence[Line]
    x_label: str = ""
    scale: Literal["linear", "log"] = "linear"
    names: Sequence[str] = field(default_factory=tuple)
    y_range: tuple[float, float] | None = None


def picture(panels: Sequence[Panel], *, width: float = 720, height: float = 250, about: str = "") -> str:
    """The panels side by side."""
    each = width / len(panels)
    parts = [_panel(panel, at * each, each, height) for at, panel in enumerate(panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img">\n<title>{escape(about)}</title>\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _usable(panel: Panel, value: float) -> bool:
    return math.isfinite(value) and (panel.scale == "linear" or value > 0)


def _range(panel: Panel) -> tuple[float, float]:
    if panel.y_range is not None:
        return panel.y_range
    values = [y for line in panel.lines for _, y in (*line.points, *line.low, *line.high) if _usable(panel, y)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if panel.scale == "log":
        return (low / 1.15, high * 1.15) if high > low else (low / 2, high * 2)
    pad = 0.05 * (high - low) or 0.5
    return low - pad, high + pad


def _linear_ticks(low: float, high: float, most: int = 5) -> list[float]:
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= most)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 6))
    ticks = [10.0**k for k in range(first, last + 1, every) if low <= 10.0**k <= high]
    if len(ticks) >= 3:
        return ticks
    ticks = [m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5) if low <= m * 10.0**k <= high]
    return ticks if len(ticks) >= 2 else _linear_ticks(low, high)


def number(value: float) -> str:
    """A tick's text: short, without a needless exponent."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.6g}".replace(",", " ") if abs(value) >= 1000 else f"{value:.4g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{_superscript(int(exponent))}"
    return power if mantissa == "1" else f"{mantissa}·{power}"


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _panel(panel: Panel, left: float, width: float, height: float) -> str:
    x0, x1 = left + LEFT, left + width - RIGHT
    legend, rows = _legend(panel, x0, left + width)
    y0, y1 = height - BOTTOM, TOP + ROW * (rows - 1)
    low, high = _range(panel)
    xs = [x for line in panel.lines for x, _ in line.points]
    x_low, x_high = (-0.4, len(panel.names) - 0.6) if panel.names else (min(xs), max(xs)) if xs else (0.0, 1.0)
    if x_high <= x_low:
        x_high = x_low + 1
    bottom, top = (math.log(low), math.log(high)) if panel.scale == "log" else (low, high)

    def place(point: Point) -> Point:
        value = math.log(point[1]) if panel.scale == "log" else point[1]
        share = min(max((value - bottom) / (top - bottom), -0.02), 1.02)
        return x0 + (point[0] - x_low) / (x_high - x_low) * (x1 - x0), y0 - share * (y0 - y1)

    out = [f'<text class="title" x="{x0:g}" y="16">{escape(panel.title)}</text>']
    for tick in _log_ticks(low, high) if panel.scale == "log" else _linear_ticks(low, high):
        y = place((x_low, tick))[1]
        out.append(f'<path class="grid" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>')
        out.append(f'<text x="{x0 - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    steps = [tick for tick in _linear_ticks(x_low, x_high) if float(tick).is_integer()]
    for at, text in enumerate(panel.names) if panel.names else [(tick, number(tick)) for tick in steps]:
        x = place((at, high))[0]
        out.append(f'<text x="{x:.1f}" y="{y0 + 15:.1f}" text-anchor="middle">{escape(text)}</text>')
    if panel.x_label:
        label = escape(panel.x_label)
        out.append(f'<text x="{(x0 + x1) / 2:.1f}" y="{y0 + 29:.1f}" text-anchor="middle">{label}</text>')
    out += [text for line in panel.lines for text in _line(panel, line, place)]
    out += legend
    return "\n".join(out)


def _line(panel: Panel, line: Line, place: Callable[[Point], Point]) -> list[str]:
    out = []
    if line.low and line.high:
        edge = [place(p) for p in line.high if _usable(panel, p[1])]
        edge += [place(p) for p in reversed(line.low) if _usable(panel, p[1])]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        out.append(f'<polygon class="band f{line.colour}" points="{corners}"/>')
    path, pen = [], "M"
    for point in line.points:
        if not _usable(panel, point[1]):
            pen = "M"
            continue
        x, y = place(point)
        path.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
        if line.marks:
            out.append(f'<circle class="f{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    if line.joined and path:
        dash = " dash" if line.dashed else ""
        out.append(f'<path class="line c{line.colour}{dash}" d="{"".join(path)}"/>')
    return out


def _legend(panel: Panel, left: float, right: float) -> tuple[list[str], int]:
    """The labelled lines' names, and in how many rows they stand."""
    out, x, rows = [], left, 1
    for line in panel.lines:
        if not line.label:
            continue
        size = 28 + 6.4 * len(line.label)
        if x > left and x + size > right:
            x, rows = left, rows + 1
        y = 30 + ROW * (rows - 1)
        dash = " dash" if line.dashed else ""
        out.append(f'<path class="line c{line.colour}{dash}" d="M{x:.1f} {y:g}h16"/>')
        out.append(f'<text x="{x + 20:.1f}" y="{y + 4:g}">{escape(line.label)}</text>')
        x += size
    return out, rows
