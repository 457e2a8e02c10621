"""What is read and closed again: findings in full, and what the trainer printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from bptui.tui.glyphs import SEVERITIES, Glyphs, pick
from bptui.tui.screens.base import TransportScreen
from bptui.tui.store import Finding, Snapshot
from bptui.tui.widgets.findings import sentence

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp

FOLLOW_SECONDS = 0.25
_COLOUR = {"error": "bold $error", "warning": "bold $warning", "info": "bold $secondary"}


class Reading(ModalScreen[None]):
    """A box of text that scrolls."""

    BINDINGS = [("escape,q,enter", "dismiss", "Close")]  # noqa: RUF012
    title_text = ""
    at_end = False

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__()
        self.snapshot, self.glyphs = snapshot, glyphs

    def text(self) -> Content:
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box wide reading") as box:
            box.border_title = self.title_text
            box.border_subtitle = "esc closes"
            yield Static(self.text())

    def on_mount(self) -> None:
        if self.at_end:
            self.query_one(VerticalScroll).scroll_end(animate=False)


class FindingsScreen(Reading):
    """Each finding with its evidence and fix."""

    title_text = "Findings"
    BINDINGS = [("f", "dismiss", "Close")]  # noqa: RUF012

    def text(self) -> Content:
        if not self.snapshot.findings:
            return Content("Nothing found so far.")
        return Content("\n\n").join([finding_text(finding, self.glyphs) for finding in self.snapshot.findings])


class OutputScreen(Reading):
    """The tail of trainer.log; what comes is added."""

    at_end = True
    BINDINGS = [("t", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs)
        self.title_text = f"Output of the {'script' if snapshot.script else 'trainer'}"

    def text(self) -> Content:
        return Content("\n".join(self.snapshot.output) or "It has printed nothing.")

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(FOLLOW_SECONDS, self._follow)

    def _follow(self) -> None:
        snapshot = cast("BptuiApp", self.app).store.snapshot
        if snapshot.output == self.snapshot.output:
            return
        self.snapshot = snapshot
        box = self.query_one(VerticalScroll)
        follows = box.scroll_offset.y >= box.max_scroll_y
        self.query_one(Static).update(self.text())
        if follows:
            self.call_after_refresh(box.scroll_end, animate=False)


def finding_text(finding: Finding, glyphs: Glyphs) -> Content:
    """Severity, message, since when, evidence, fix."""
    style = _COLOUR.get(finding.severity, "bold")
    glyph = pick(SEVERITIES.get(finding.severity, SEVERITIES["info"]), glyphs)
    parts = [Content.styled(f"{glyph} {finding.severity}  {finding.fault}", style), Content(f"\n  {sentence(finding)}")]
    since = f"first at step {finding.first_step:,}"
    if finding.not_before < finding.first_step:
        since = f"first seen at step {finding.first_step:,}, not before step {finding.not_before:,}"
    parts.append(Content.styled(f"\n  {since}", "dim"))
    if finding.units:
        units = ", ".join(str(unit) for unit in finding.units[:40]) + (" …" if len(finding.units) > 40 else "")
        parts.append(Content.styled(f"\n  units {units}", "dim"))
    for name, value in finding.evidence:
        parts.append(Content.styled(f"\n  {name} {value}", "dim"))
    if finding.fix:
        parts.append(Content(f"\n  fix: {finding.fix}"))
    return Content("").join(parts)


def open_findings(below: TransportScreen) -> None:
    """All findings."""
    below.app.push_screen(FindingsScreen(below.snapshot, below.face.glyphs))


def open_output(below: TransportScreen) -> None:
    """The trainer's log."""
    below.app.push_screen(OutputScreen(below.snapshot, below.face.glyphs))
