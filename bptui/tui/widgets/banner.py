"""One clear line where something is wrong: a lost connection, a run that could not start, a small terminal."""

from __future__ import annotations

from bptui.tui.glyphs import STATES, Glyphs, pick
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, integer, loss_text
from bptui.tui.widgets.pane import Drawn, Line


class Banner(Drawn):
    """``message``, else what the snapshot's link says; nothing to say: it is not displayed."""

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.message = ""

    def line(self) -> str:
        if self.message:
            return self.message
        snapshot = self.snapshot
        if snapshot.link == "lost":
            return snapshot.link_text or "connection lost, trying again"
        if snapshot.state == "FAILED" and snapshot.text:
            return snapshot.text
        if snapshot.link == "ended" and snapshot.shown_state == "STALE":
            return snapshot.link_text or "the trainer is gone"
        if snapshot.state == "DONE" and snapshot.step:
            return done(snapshot, "->" if self.glyphs.name == "ascii" else "→")
        return ""

    def build(self, width: int, height: int) -> list[Line]:
        text = self.line()
        if not text:
            return []
        good = not self.message and self.snapshot.state == "DONE" and self.snapshot.link != "lost"
        glyph = pick(STATES["DONE" if good else "FAILED"], self.glyphs)
        line: Line = [(" ", "text"), (fit(f"{glyph} {text}", width - 2), "good" if good else "bad")]
        return [[] for _ in range((height - 1) // 2)] + [line]


def done(snapshot: Snapshot, arrow: str = "→") -> str:
    """What happened, in figures, and the three next things to try."""
    said = f"{integer(snapshot.step)} steps"
    curves = snapshot.curves
    if curves is not None and (last := curves.latest("loss")) is not None:
        first = curves.reduce("loss", 0, 0, 1).low[0]
        said += f", loss {loss_text(first)}{arrow}{loss_text(last)}" if first == first else f", loss {loss_text(last)}"
        if (accuracy := curves.latest("val_accuracy")) is not None:
            said += f", val {accuracy * 100:.1f} %"
    if snapshot.read_only or snapshot.link == "ended" or snapshot.code is not None:
        return f"{said}. f findings, R runs it again, e edits it"
    second = "f findings" if snapshot.findings else "i looks at its values"
    return f"{said}. space trains on, {second}, e edits"
