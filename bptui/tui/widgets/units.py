"""The panes of the dead-unit lens: layers with a strip of their units, the units of one layer, a certificate."""

from __future__ import annotations

import textwrap

from bptui.protocol.certificate import Certificate, verdict
from bptui.protocol.lens import LensLayer, LensView, UnitState, firing_words
from bptui.tui.glyphs import Glyphs
from bptui.tui.lens import FILTERS, GLYPHS, ORDERS, rows_of, summary
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit, fit_layer, integer
from bptui.tui.widgets.pane import Line, Pane
from bptui.tui.widgets.rows import RowsPane


def glyph_of(state: UnitState, glyphs: Glyphs) -> tuple[str, str]:
    sign, plain, style = GLYPHS[state]
    return (plain if glyphs.name == "ascii" else sign), style


def figure(value: float | None, width: int) -> str:
    text = "–" if value is None else "0" if value == 0 else f"{value:.3g}"
    return f"{text:>{width}}"


class LayersPane(Pane):
    """A line a layer."""

    title = "Layers"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="lens-layers")
        self.view: LensView | None = None
        self.at = 0
        self.note = ""

    def lit(self) -> bool:
        return False

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        return [(-1, " dropout off · a sign a unit · [ ] change the layer ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        if self.view is None:
            return [[(self.note or "looking …", "dim")]]
        layers = self.view.layers
        first = max(0, min(self.at - height // 2, len(layers) - height))
        names = min(16, max((len(layer.name) for layer in layers), default=0))
        return [
            self._line(at, layers[at], names, width) for at in range(first, min(len(layers), first + max(1, height)))
        ]  # fmt: skip

    def _line(self, at: int, layer: LensLayer, names: int, width: int) -> Line:
        here = "+cursor" if at == self.at else ""
        words = f"{fit_layer(layer.name, names):<{names}} {layer.activation:<10}"
        counts = summary(layer)
        line: Line = [
            (f"{self.glyphs.cursor if here else ' '} ", "key" + here), (words, ("strong" if here else "text") + here),
            (f" {counts:<26} ", ("bad" if layer.lost else "dim") + here),
        ]  # fmt: skip
        room = width - sum(len(text) for text, _ in line)
        for unit in layer.units[:room]:
            sign, style = glyph_of(unit.state, self.glyphs)
            line.append((sign, style + here))
        return line


class UnitsPane(RowsPane[int]):
    """The units of the selected layer, under a cursor."""

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs, id="lens-units")
        self.of: LensLayer | None = None
        self.samples = 0
        self.order, self.shown = "state", "all"

    def put(self, layer: LensLayer | None, samples: int) -> None:
        """Another layer, or another state of the same: the cursor stays on its unit where that is still shown."""
        before = self.unit if self.of is not None and layer is not None and layer.name == self.of.name else None
        self.of, self.samples = layer, samples
        self.rows = rows_of(layer, self.order, self.shown) if layer is not None else []
        if before in self.rows:
            self.row = self.rows.index(before)
        self.row = max(0, min(self.row, len(self.rows) - 1))
        self.show()

    @property
    def unit(self) -> int | None:
        return self.rows[self.row] if self.rows else None

    def turn(self, *, order: int = 0, shown: int = 0) -> None:
        orders, filters = list(ORDERS), list(FILTERS)
        self.order = orders[(orders.index(self.order) + order) % len(orders)]
        self.shown = filters[(filters.index(self.shown) + shown) % len(filters)]
        self.put(self.of, self.samples)

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" Units of {self.of.name} " if self.of is not None else " Units ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        return [(-1, f" by {self.order} · {self.shown} ", "dim")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, f" {firing_words(self.of.gate)} ", "dim")] if self.of is not None else []

    def inside(self, width: int, height: int) -> list[Line]:
        if self.of is None:
            return []
        if not self.rows:
            return [[(f"no unit of {self.of.name} is {self.shown}; f shows others", "dim")]]
        wide = width >= 66
        head = f"  {'unit':>5} {'state':<11}{'fires for':>13} {'max z':>9}" + (
            f" {'mean z':>9} {'to firing':>9}" if wide else ""
        ) + f" {'|a|/mean':>9}"  # fmt: skip
        lines: list[Line] = [[(head, "dim")]]
        for place in self.seen(height):
            index = self.rows[place]
            unit = self.of.units[index]
            here = "+cursor" if place == self.row else ""
            sign, style = glyph_of(unit.state, self.glyphs)
            rate = f"{integer(unit.fired)} {unit.fired / max(1, self.samples):>6.1%}"
            numbers = f"{rate:>13} {figure(unit.z_max, 9)}"
            if wide:
                numbers += f" {figure(unit.z_mean, 9)} {figure(unit.distance, 9)}"
            lines.append([
                (f"{self.glyphs.cursor if here else ' '} {index:>5} ", ("key" if here else "text") + here),
                (f"{sign} {unit.state.name.lower():<9}", style + here),
                (numbers + f" {figure(unit.score, 9)}", "text" + here),
            ])  # fmt: skip
        return lines


class CertificatePane(Pane):
    """What killed a unit, or how far the search for it is."""

    title = "Death certificate"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="lens-certificate")
        self.found: Certificate | None = None
        self.note = ""

    def lit(self) -> bool:
        return False

    def put(self, found: Certificate | None, note: str = "") -> None:
        self.found, self.note = found, note
        self.show()

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        found = self.found
        if found is None or found.last_fired is None:
            return []
        return [(2, f" enter goes to step {integer(found.last_fired)}, the last in which it fired ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        if self.found is None:
            return [[(line, "dim")] for line in textwrap.wrap(self.note, max(10, width))]
        return certificate_lines(self.found, width, self.glyphs.bars[-1])


def certificate_lines(found: Certificate, width: int, block: str = "█") -> list[Line]:
    """The certificate in lines of ``width`` cells: the verdict, the parts of Δ max z, the update, its samples."""
    lines: list[Line] = [[(line, "strong")] for line in textwrap.wrap(clean(verdict(found), 400), max(10, width))]
    if found.last_fired is None:
        return lines
    parts, largest = found.parts, max(1e-30, *(abs(part) for part in four_parts(found)))
    for name, part, cause in (
        ("Δb", parts.bias, "bias"), ("ΔW", parts.weights, "weights"), ("inputs", parts.upstream, "upstream"),
        ("other sample", parts.other, ""),
    ):  # fmt: skip
        style = "bad" if cause == found.cause else "text"
        bar = block * round(abs(part) / largest * max(0, min(24, width - 40)))
        lines.append([(f"  {name:<13}{part:>+10.4g}  ", style), (bar, "bad" if part < 0 else "good")])
    lines.append([(f"  {'Δ max z':<13}{parts.total:>+10.4g}", "strong"), (
        f"  {found.share:.0%} of the fall: {found.cause}" if found.share else "", "dim")])  # fmt: skip
    lines.append([(
        f"lr {found.lr:g}  ‖∂L/∂w‖ {found.gradient:.3g} of {found.gradient_all:.3g}  ‖Δw‖ {found.weights_step:.3g} "
        f"of ‖w‖ {found.weights_before:.3g}", "text")])  # fmt: skip
    lines.append([(f"pull of this batch {found.pulls:+.3g}, of momentum etc. {found.rest:+.3g}", "text")])
    if found.also:
        lines.append([(f"{len(found.also)} other units fell silent in the same update", "warn")])
    if found.first is not None:
        text = f"w: step {integer(found.first)}, whose update killed the first {found.first_units}: {firsts(found)}"
        lines += [[(line, "warn")] for line in textwrap.wrap(text, max(10, width))]
    if found.drivers:
        lines.append([("samples of the batch that pulled it down:", "dim")])
    for driver in found.drivers:
        row = "?" if driver.row < 0 else integer(driver.row)
        lines.append([
            (f"  row {row:>6}  {fit(clean(driver.target, 40), 10):<10}", "text"),
            (f" δ {driver.delta:>+9.3g}  pull {driver.pull:>+9.3g}", "text"),
        ])  # fmt: skip
    if found.not_comparable:
        lines.append([(f"not comparable: {clean(found.not_comparable, 200)}", "warn")])
    return lines


def firsts(found: Certificate) -> str:
    """``dense1 3 8, dense2 5``: the units that died first."""
    layers: dict[str, list[str]] = {}
    for layer, unit in found.first_ids:
        layers.setdefault(clean(layer, 40), []).append(str(unit))
    more = " …" if found.first_units > len(found.first_ids) else ""
    return ", ".join(f"{layer} {' '.join(units)}" for layer, units in layers.items()) + more


def four_parts(found: Certificate) -> tuple[float, float, float, float]:
    parts = found.parts
    return parts.bias, parts.weights, parts.upstream, parts.other
