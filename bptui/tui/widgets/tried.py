"""The table of what-if on one batch: loss before and after the update, a row a change."""

from __future__ import annotations

import math

from bptui.tui.glyphs import Glyphs
from bptui.tui.onebatch import Row
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit, integer
from bptui.tui.widgets.pane import Line
from bptui.tui.widgets.rows import RowsPane

_TONES = {"done": "good", "failed": "bad", "runs": "info", "ready": "dim"}


class TriedPane(RowsPane[Row]):
    """``rows``: the first is the step as the script makes it."""

    title = "What if, on this batch"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs, id="tried")

    def lit(self) -> bool:
        return True

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, " the same batch, random numbers and buffers, on a copy: the script is not touched ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        wide = width >= 84
        columns = 62 if wide else 34
        name = max(12, width - columns - 2)
        head = f"  {'':<{name}}{'loss':>11}{'then':>11}{'change':>11}"
        if wide:
            head += f"{self._norm:>10}{'silent':>9}{self._ratio:>9}"
        lines: list[Line] = [[(head, "dim")]]
        for index in self.seen(height):
            row = self.rows[index]
            here = "+cursor" if index == self.row else ""
            line: Line = [
                (f"{self.glyphs.cursor if here else ' '} ", "key" + here),
                (f"{fit(clean(row.name), name - 1):<{name}}", ("strong" if here else "text") + here),
            ]  # fmt: skip
            if row.result is not None:
                line += self._figures(row, here, wide)
            elif row.error:
                line.append((f"  {fit(clean(row.error), max(8, width - name - 4))}", "bad" + here))
            else:
                line.append((f"{row.state:>11}", _TONES[row.state] + here))
            lines.append(line)
        return lines

    @property
    def _norm(self) -> str:
        return "|grad|" if self.glyphs.name == "ascii" else "‖∇‖"

    @property
    def _ratio(self) -> str:
        return "D/w" if self.glyphs.name == "ascii" else "Δ/θ"

    def _figures(self, row: Row, here: str, wide: bool) -> Line:
        found = row.result
        assert found is not None
        by = (found.after - found.loss) / abs(found.loss) if found.loss else math.nan
        tone = "bad" if not math.isfinite(found.after) or by > 0 else "good"
        change = f"{by:+.1%}" if math.isfinite(by) and abs(by) < 100 else ("–" if math.isfinite(found.after) else "!")
        line: Line = [
            (f"{found.loss:>11.5g}{found.after:>11.5g}", "text" + here), (f"{change:>11}", tone + here),
        ]  # fmt: skip
        if wide:
            silent = f"{found.silent}/{found.units}" if found.units else "–"
            line += [
                (f"{found.grad_norm:>10.3g}", "text" + here),
                (f"{silent:>9}", ("bad" if found.silent * 2 > found.units else "text") + here),
                (f"{found.update_ratio:>9.2g}", "text" + here),
            ]
        return line


def claim(step: int, plain: Row) -> Line:
    """Whether the step was reproduced: nothing is offered that was not."""
    begin: Line = [(" ", "text"), (f"update of step {integer(step)}", "strong"), (" · ", "dim")]
    if plain.state == "done":
        note = plain.result.note if plain.result is not None else ""
        return [
            *begin, ("its loss and gradients are the script's, bit for bit", "good"),
            *([(f" · {clean(note, 120)}", "warn")] if note else []),
        ]  # fmt: skip
    if plain.state == "failed":
        return [*begin, (clean(plain.error, 240), "bad")]
    return [*begin, ("done again on a copy…", "dim")]
