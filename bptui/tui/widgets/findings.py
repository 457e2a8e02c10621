"""The findings pane: glyph, place and message; the empty state in words."""

from __future__ import annotations

from textual import events

from bptui.tui.glyphs import SEVERITIES, pick
from bptui.tui.store import Finding
from bptui.tui.text import wrap
from bptui.tui.widgets.pane import Line, Pane

TONE = {"error": "bad", "warning": "warn", "info": "info"}


def sentence(finding: Finding) -> str:
    """The message, with its layer in front where the message does not name it."""
    if finding.layer and finding.layer not in finding.message:
        return f"{finding.layer}: {finding.message}"
    return finding.message


class FindingsPane(Pane):
    """All findings of the snapshot, root cause first."""

    number, title = 4, "Findings"
    _first = 0

    @property
    def at(self) -> int:
        """Index of the finding that stands first."""
        return self._first

    def top(self, width: int) -> list[tuple[int, str, str]]:
        total = len(self.snapshot.findings)
        return [(-1, f" {total} ", "dim")] if total else []

    def drawn_from(self) -> object:
        return self.snapshot.findings, self.snapshot.state in ("STARTING", "READY")

    def inside(self, width: int, height: int) -> list[Line]:
        findings = self.snapshot.findings
        if not findings:
            if self.snapshot.state in ("STARTING", "READY"):
                return [[(line, "dim")] for line in wrap("What goes wrong while it trains is named here.", width, 3)]
            return [[("Nothing found so far.", "good")]]
        lines: list[Line] = []
        self._first = max(0, min(self._first, len(findings) - 1))
        for finding in findings[self._first :]:
            tone = TONE.get(finding.severity, "info")
            glyph = pick(SEVERITIES.get(finding.severity, SEVERITIES["info"]), self.glyphs)
            for index, text in enumerate(wrap(sentence(finding), width - 2, 2)):
                lines.append([(f"{glyph} " if index == 0 else "  ", tone), (text, "text")])
        return lines

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, f" from {self._first + 1} of {len(self.snapshot.findings)} ", "dim")] if self._first else []

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down", "k", "j"):
            event.stop()
            self._scroll(1 if event.key in ("down", "j") else -1)

    def _scroll(self, by: int) -> None:
        self._first = max(0, min(len(self.snapshot.findings) - 1, self._first + by))
        self.show()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-1)
