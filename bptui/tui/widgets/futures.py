"""The panes of what-if: a row a continuation, and the curve of the selected one over the unchanged one's."""

from __future__ import annotations

from bptui.tui.families import Family
from bptui.tui.glyphs import Glyphs
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit, integer
from bptui.tui.whatif import Overlay, Row
from bptui.tui.widgets.pane import Line, Pane
from bptui.tui.widgets.plot import Frame, Plot
from bptui.tui.widgets.rows import RowsPane

_TONES = {"done": "good", "failed": "bad", "cancelled": "warn", "runs": "info", "waits": "dim", "ready": "dim"}
_FAMILY = Family("What if", "changed", "unchanged", words=("changed", "unchanged"))


def figure(value: float | None, none: str = "–") -> str:
    return none if value is None else f"{value:.4g}"


class FuturesPane(RowsPane[Row]):
    """The table."""

    title = "What if"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs, id="whatif-table")
        self.row = 1
        self.steps = 0

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def inside(self, width: int, height: int) -> list[Line]:
        wide = width >= 96
        name = max(14, width - (66 if wide else 44))
        plays = self.snapshot.model.task == "policy"
        head = f"  {'':<{name}}{'':>11}{'loss':>10}{'return' if plays else 'val loss':>10}{'dead':>9}" + (
            f"{'∇ first/last':>13}{'val acc':>9}" if wide else ""
        )  # fmt: skip
        lines: list[Line] = [[(head, "dim")]]
        for index in self.seen(height):
            row = self.rows[index]
            here = "+cursor" if index == self.row else ""
            progress = f"{row.done / max(1, self.steps):.0%}" if row.state == "runs" else row.state
            line: Line = [
                (f"{self.glyphs.cursor if here else ' '} ", "key" + here),
                (f"{fit(clean(row.name), name - 1):<{name}}", ("strong" if here else "text") + here),
                (f"{progress:>11}", _TONES[row.state] + here),
            ]  # fmt: skip
            if row.outcome is not None:
                found = row.outcome
                tried = figure(found.val_return if plays else found.val_loss)
                line.append((f"{figure(found.loss, 'nan'):>10}{tried:>10}", "text" + here))
                dead = f"{found.dead}/{found.units}" if found.units else "–"
                line.append((f"{dead:>9}", ("bad" if found.alive < 0.5 else "text") + here))
                if wide:
                    more = f"{figure(found.gradient_ratio):>13}{figure(found.val_accuracy):>9}"
                    line.append((more, "text" + here))
            elif row.error:
                line.append((f"  {fit(clean(row.error), max(8, width - name - 16))}", "bad" + here))
            lines.append(line)
        return lines


class CurvesPane(Pane):
    """The loss, step by step."""

    title = "Loss"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="whatif-curves")
        self.first, self.steps = 0, 0
        self.unchanged: Row | None = None
        self.changed: Row | None = None
        self.logarithmic = False
        self._plot = Plot(glyphs)

    def lit(self) -> bool:
        return False

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        if self.changed is None or self.changed is self.unchanged:
            return [(-1, f" {self.glyphs.train} unchanged ", "second")]
        name = clean(self.changed.name, 30)
        return [(9, f" {self.glyphs.train} {name} ", "first"), (-1, f" {self.glyphs.validation} unchanged ", "second")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, f" step {integer(self.first)} to {integer(self.first + self.steps)} ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        unchanged = self.unchanged.losses if self.unchanged is not None else []
        changed = self.changed.losses if self.changed is not None else []
        if not unchanged and not changed:
            return [[("enter runs the selected row beside the unchanged continuation; A runs all", "dim")]]
        frame = Frame(self.first, self.first + max(1, self.steps - 1), width, height, log=self.logarithmic)
        return self._plot.lines(Overlay(self.first, unchanged, changed), _FAMILY, frame)
