"""One clear line where something is wrong: a lost connection, a run that could not start, a small terminal."""

from __future__ import annotations

from rich.cells import cell_len

from bptui.tui.glyphs import STATES, Glyphs, pick
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, integer, loss_text
from bptui.tui.widgets.pane import Drawn, Line

HELD = ": space lets it end, t its output"


def _waits_at_break(snapshot: Snapshot) -> bool:
    return snapshot.state == "PAUSED" and snapshot.text.startswith("break: ")


class Banner(Drawn):
    """``message``, else what the snapshot's link says; nothing to say: it is not displayed."""

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.message = ""

    def line(self, width: int = 10**6) -> str:
        """What there is to say; in ``width`` cells, so far as it can be said in fewer words."""
        if self.message:
            return self.message
        snapshot = self.snapshot
        if snapshot.link == "lost":
            return snapshot.link_text or "connection lost, trying again"
        if snapshot.state == "FAILED" and snapshot.text:
            return snapshot.text
        if snapshot.link == "ended" and snapshot.shown_state == "STALE":
            return snapshot.link_text or "the trainer is gone"
        if snapshot.link != "ended" and (snapshot.state == "HELD" or _waits_at_break(snapshot)):
            return f"{snapshot.text}{HELD if snapshot.state == 'HELD' else ''}"
        if snapshot.saw_little:
            return f"{snapshot.text}. t its output"
        if snapshot.state == "DONE" and snapshot.step:
            return done(snapshot, "->" if self.glyphs.name == "ascii" else "→", width)
        return ""

    def build(self, width: int, height: int) -> list[Line]:
        text = self.line(width - 4)
        if not text:
            return []
        waits = not self.message and self.snapshot.link == "live" and _waits_at_break(self.snapshot)
        snapshot = self.snapshot
        little = not self.message and snapshot.saw_little
        good = not self.message and snapshot.state == "DONE" and snapshot.link != "lost" and not little
        waits = waits or little
        glyph = pick(STATES["DONE" if good else "PAUSED" if waits else "FAILED"], self.glyphs)
        tone = "good" if good else "warn" if waits else "bad"
        line: Line = [(" ", "text"), (fit(f"{glyph} {text}", width - 2), tone)]
        return [[] for _ in range((height - 1) // 2)] + [line]


def done(snapshot: Snapshot, arrow: str = "→", width: int = 10**6) -> str:
    """What happened, in figures, and the three next things to try: these stay where it is narrow."""
    if snapshot.read_only or snapshot.link == "ended" or snapshot.code is not None:
        then = "f findings, " + ("t its output" if snapshot.script else "R runs it again, e edits it")
    else:
        then = f"space trains on, {'f findings' if snapshot.findings else 'i looks at its values'}, e edits"
    steps = f"{integer(snapshot.step)} step{'' if snapshot.step == 1 else 's'}"
    for said in (*_figures(snapshot, steps, arrow), steps):
        text = f"{said}. {then}"
        if cell_len(text) <= width:
            break
    return text


def _figures(snapshot: Snapshot, steps: str, arrow: str) -> list[str]:
    """The longest first."""
    curves = snapshot.curves
    if curves is None or (last := curves.latest("loss")) is None:
        return []
    first = curves.reduce("loss", 0, 0, 1).low[0]
    fell = f"{loss_text(first)}{arrow}" if first == first and curves.last_step else ""
    if (returned := curves.latest("train_return")) is not None:
        tried = curves.latest("val_return")
        val = f", val {loss_text(tried)}" if tried is not None else ""
        return [f"{steps}, mean return {loss_text(returned)}{end}" for end in (val, "")]
    accuracy = curves.latest("val_accuracy")
    val = f", val {accuracy * 100:.1f} %" if accuracy is not None else ""
    losses = (f", loss {fell}{loss_text(last)}", f", loss {loss_text(last)}")
    return [f"{steps}{loss}{end}" for end in (val, "") for loss in losses]
