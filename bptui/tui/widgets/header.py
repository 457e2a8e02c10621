"""The header line: the state word first, then what fits."""

from __future__ import annotations

from rich.cells import cell_len

from bptui.tui.glyphs import STATES, pick
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, integer, speed
from bptui.tui.widgets.pane import Drawn, Line

TONE = {"RUNNING": "good", "PAUSED": "warn", "HELD": "warn", "FAILED": "bad", "STALE": "bad", "DONE": "good"}
#: What goes first where it is narrow.
DROPPED = ("probe", "speed", "sizes", "engine", "title", "epoch")


def facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Name and text of what stands behind the state word, in order."""
    model = snapshot.model
    place = f"step {integer(snapshot.step)}"
    out = [("step", place)]
    if snapshot.micro:
        out.append(("micro", f"· {snapshot.micro}"))
    total = model.epochs
    if total and snapshot.total_steps and model.steps_per_epoch:  # trained on: as long again
        total = max(total, -(-snapshot.total_steps // model.steps_per_epoch))
    epochs = f"/{total}" if total else ""
    has_epochs = snapshot.state not in ("STARTING", "WAITING") and not snapshot.script
    out.append(("epoch", f"epoch {int(snapshot.epoch)}{epochs}" if has_epochs else ""))
    if snapshot.shown_state in ("FAILED", "PAUSED", "HELD", "WAITING") and snapshot.text:
        out.append(("text", snapshot.text))
    out.append(("title", model.title))
    out.append(("sizes", f"· {model.sizes}" if model.layers else ""))
    engine = " ".join(
        word for word in (model.engine, model.dtype, "" if model.device == "cpu" else model.device) if word
    )
    out.append(("engine", f"· {engine}" if model.engine else ""))
    if snapshot.state == "RUNNING" and snapshot.steps_per_second > 0:
        out.append(("speed", f"· {speed(snapshot.steps_per_second)}"))
    elif snapshot.state not in ("STARTING", "WAITING") and not snapshot.script:
        out.append(("speed", f"· pace {pace_word(snapshot.pace)}"))
    if snapshot.probe_share > 0:
        out.append(("probe", f"· probe {snapshot.probe_share * 100:.1f} %"))
    return [(name, text) for name, text in out if text]


def pace_word(pace: float) -> str:
    """``50/s``, ``max`` or ``micro``."""
    return "micro" if pace < 0 else "max" if pace == 0 else f"{pace:g}/s"


class HeaderLine(Drawn):
    """One line; it never wraps."""

    def build(self, width: int, height: int) -> list[Line]:
        snapshot = self.snapshot
        state = snapshot.shown_state
        glyph = pick(STATES.get(state, ("?", "?")), self.glyphs)
        line: Line = [(" ", "text"), (f"{glyph} {fit(state, 8)}", TONE.get(state, "strong"))]
        rest = facts(snapshot)
        if not snapshot.controller and snapshot.link == "live" and state not in ("STARTING",):
            rest.insert(0, ("watch", "watching" if not snapshot.read_only else "from files"))
        space = width - 12
        for drop in ("", *DROPPED):
            rest = [(name, text) for name, text in rest if name != drop]
            if self._length(rest) <= space:
                break
        for index, (name, text) in enumerate(rest):
            gap = " " if text.startswith("·") or index == 0 else "  "
            style = {"step": "strong", "micro": "second", "text": "text", "watch": "info"}.get(name, "dim")
            line.append((gap, "text"))
            line.append((text, style))
        return [line]

    @staticmethod
    def _length(rest: list[tuple[str, str]]) -> int:
        return sum(cell_len(text) + (1 if text.startswith("·") else 2) for _, text in rest)
