"""One clear line where something is wrong: a lost connection, a run that could not start, a small terminal."""

from __future__ import annotations

from bptui.tui.glyphs import STATES, Glyphs, pick
from bptui.tui.store import Snapshot
from bptui.tui.text import fit
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
        return ""

    def build(self, width: int, height: int) -> list[Line]:
        text = self.line()
        if not text:
            return []
        glyph = pick(STATES["FAILED"], self.glyphs)
        line: Line = [(" ", "text"), (fit(f"{glyph} {text}", width - 2), "bad")]
        return [[] for _ in range((height - 1) // 2)] + [line]
