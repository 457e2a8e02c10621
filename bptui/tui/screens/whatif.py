"""What if (``x``): the run from the present step on, changed, beside its unchanged continuation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.worker import Worker

from bptui.client.aside import Aside, cores
from bptui.protocol.messages import Branch, Branched, Wanted
from bptui.protocol.whatif import Change, Continue, Going, Outcome, WhatIfError
from bptui.runs.info import RunError
from bptui.tui.another import follow_branch
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.screens.ask import AskScreen
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, integer
from bptui.tui.whatif import MOST_STEPS, OFFERED, STEPS, Row, row_of
from bptui.tui.widgets.futures import CurvesPane, FuturesPane
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import WHATIF

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp


class WhatIfScreen(TransportScreen):
    """All continuations are from ``first``, the step at which it was opened."""

    PLACE = "whatif"
    BINDINGS = bindings("whatif")
    AUTO_FOCUS = "#whatif-table"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="whatif")
        self.glyphs = glyphs
        self.first, self.steps = snapshot.step, STEPS
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.claim = TextLine(snapshot, glyphs=glyphs, id="claim")
        self.table = FuturesPane(snapshot, glyphs)
        self.curves = CurvesPane(snapshot, glyphs)
        self.keybar = KeyBar(snapshot, "whatif", id="keys")
        self.unchanged = Row("unchanged")
        self.table.rows = [self.unchanged, *map(row_of, OFFERED)]
        self._aside = Aside()
        self._workers: dict[int, Worker[None]] = {}

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.claim
        yield self.table
        yield self.curves
        yield self.keybar

    def on_mount(self) -> None:
        self.show(self.snapshot)
        self._draw()

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        self.header.show(snapshot)
        self.keybar.show(snapshot)
        tall = self.app.size.height
        self.table.styles.height = min(len(self.table.rows) + 3, max(7, tall // 2 - 1))

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _draw(self) -> None:
        self.table.steps = self.curves.steps = self.steps
        self.curves.first, self.curves.unchanged = self.first, self.unchanged
        self.curves.changed = self.table.selected
        plays = self.table.snapshot.model.task == "policy"
        self.claim.put([
            (" ", "text"), (f"from step {integer(self.first)}", "strong"),
            (f" · {integer(self.steps)} steps · ", "dim"), self._held(),
            (f"{'the same draws' if plays else 'identical batches'} · {cores()} at once", "dim"),
        ])  # fmt: skip
        self.table.show()
        self.curves.show()

    def _held(self) -> tuple[str, str]:
        found = self.unchanged.outcome
        if found is None:
            return "", "dim"
        if found.not_comparable:
            return f"bits not comparable: {clean(found.not_comparable, 200)} · ", "warn"
        if found.differs:
            return f"unchanged is not the record: {clean(found.differs, 200)} · ", "bad"
        if not found.held:
            return "nothing recorded from here on to hold it against · ", "dim"
        return f"unchanged = the record, bit for bit ({integer(found.held)} losses) · ", "good"

    def on_rows_pane_moved(self) -> None:
        self._draw()

    # -- running -----------------------------------------------------------------------------------
    def _start(self, row: Row) -> None:
        if row.busy or row.state == "done" or self.face.session is None:
            return
        row.begin()
        self._workers[id(row)] = self.run_worker(self._run(row), group="whatif")
        if row is not self.unchanged:
            self._start(self.unchanged)
        self._draw()

    async def _run(self, row: Row) -> None:
        session = self.face.session
        assert session is not None
        job = Continue(self.first, self.steps, row.wanted)

        def going(word: Going) -> None:
            row.going(word)
            self._draw()

        try:
            word = await self._aside.do(session.directory, job, going)
        except (WhatIfError, OSError) as error:
            row.state, row.error = "failed", clean(str(error))
        else:
            assert isinstance(word, Outcome)
            row.end(word)
        self._draw()

    # -- actions -----------------------------------------------------------------------------------
    def action_enter(self) -> None:
        row = self.table.selected
        if row.state != "done":
            self._start(row)
        elif row is self.unchanged or row.outcome is None:
            self.notice("this is what the run does by itself: there is nothing to adopt")
        else:
            self._adopt(row.outcome)

    def _adopt(self, outcome: Outcome) -> None:
        """Go on in it, as a branch: the trainer makes it, or, where there is none, this face."""
        if self.snapshot.read_only or self.snapshot.link == "ended":
            self.face.spawn(adopt_from_files(self.face, self.first, outcome.changes))
        else:
            wanted = tuple(Wanted(one.key, one.value) for one in outcome.changes)
            self.face.send(Branch(step=self.first, changes=wanted))
        self.dismiss()

    def action_all(self) -> None:
        for row in self.table.rows:
            self._start(row)

    def action_cancel(self) -> None:
        row = self.table.selected
        if row.busy:
            self._workers[id(row)].cancel()
            row.state = "cancelled"
        elif row is not self.unchanged:
            self.table.rows.remove(row)
            self.table.row = min(self.table.row, len(self.table.rows) - 1)
        self._draw()

    def action_add(self) -> None:
        about = "lr=0.03   momentum=0   optimizer=adam lr=0.001   dense1.activation=gelu   revive=he_normal   bias+=0.1"
        asked = AskScreen("What if", about, hint="lr=/10", check=row_of)
        self.app.push_screen(asked, self._added)

    def _added(self, text: str | None) -> None:
        if text is not None:
            self.table.rows.append(row_of(text))
            self.table.row = len(self.table.rows) - 1
            self.show(self.snapshot)
            self._start(self.table.selected)

    def action_steps(self, by: float) -> None:
        if any(row.busy for row in self.table.rows):
            self.notice("cancel what runs first (backspace)")
            return
        self.steps = max(1, min(MOST_STEPS, round(self.steps * by)))
        for row in self.table.rows:  # what was done was over another number of steps
            row.state, row.outcome, row.error = "ready", None, ""
            row.losses.clear()
        self._draw()

    def action_log_axis(self) -> None:
        self.curves.logarithmic = not self.curves.logarithmic
        self._draw()

    def action_back(self) -> None:
        self.dismiss()

    def explanation(self) -> tuple[str, str, Place]:
        return "What if", WHATIF, "whatif"


async def adopt_from_files(app: BptuiApp, step: int, changes: Sequence[Change]) -> None:
    """A branch of a run that no process serves any more."""
    from bptui.runs.branches import make
    from bptui.runs.interventions import Change as Recorded

    assert app.session is not None
    old = app.session.directory
    wanted = [Recorded(step, one.key, one.value) for one in changes]
    try:
        directory = await asyncio.to_thread(make, old, step, wanted)
    except RunError as error:
        app.notice(clean(str(error)), "bad")
        return
    app.experiment = app.experiment or app.store.snapshot.model.experiment
    await follow_branch(app, Branched(run=directory.name, directory=str(directory), step=step))


def open_whatif(below: TransportScreen) -> None:
    """From the step that is shown."""
    snapshot = below.snapshot
    if snapshot.script:
        from bptui.tui.screens.onebatch import open_one_batch

        open_one_batch(below)
    elif below.face.session is None or snapshot.state == "STARTING":
        below.notice("not yet: the run has not begun")
    elif snapshot.state == "RUNNING":
        below.notice("pause first (space): what-if begins at the step at which the run stands")
    else:
        below.app.push_screen(WhatIfScreen(snapshot, below.face.glyphs))
