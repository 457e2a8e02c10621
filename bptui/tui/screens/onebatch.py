"""What if (``x``) under a script: its paused step again on a copy, changed, and the loss of the same batch after it."""

from __future__ import annotations

from textual.app import ComposeResult

from bptui.protocol.messages import Set, Tried, Try
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.onebatch import OFFERED, Row, live, row_of
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.ask import AskScreen
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.strips import TextLine
from bptui.tui.widgets.tried import TriedPane, claim
from bptui.tui.words import ONE_BATCH


class OneBatchScreen(TransportScreen):
    """Of the step in which the script stands; after ``s`` of the next."""

    PLACE = "onebatch"
    BINDINGS = bindings("onebatch")
    AUTO_FOCUS = "#tried"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="onebatch")
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.claim = TextLine(snapshot, glyphs=glyphs, id="claim")
        self.table = TriedPane(snapshot, glyphs)
        self.made = TextLine(snapshot, glyphs=glyphs, id="made")
        self.keybar = KeyBar(snapshot, "onebatch", id="keys")
        self.plain = Row("as the script does it")
        self.table.rows = [self.plain, *map(row_of, OFFERED)]
        self._seen: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.claim
        yield self.table
        yield self.made
        yield self.keybar

    def on_mount(self) -> None:
        self.show(self.snapshot)

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        place = snapshot.state, snapshot.step, snapshot.link
        if place != self._seen:
            self._seen = place
            for row in self.table.rows:
                row.again()
            if snapshot.state == "PAUSED":
                self._start(self.plain)
        self.header.show(snapshot)
        self.keybar.show(snapshot)
        self._draw()

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def _draw(self) -> None:
        if self.snapshot.state == "PAUSED":
            self.claim.put(claim(self.snapshot.step, self.plain))
        else:
            self.claim.put([(" pause first (space): what-if does the update again that is paused in", "warn")])
        row = self.table.selected
        text = "; ".join(clean(word, 120) for word in row.result.made) if row.result is not None else row.error
        self.made.put([(" ", "text"), (text, "bad" if row.error else "first")])
        self.table.show()

    def on_rows_pane_moved(self) -> None:
        self._draw()

    # -- asking --------------------------------------------------------------------------------------
    def _start(self, *rows: Row) -> None:
        ready = [row for row in rows if row.state in ("ready", "failed")]
        for row in ready:
            row.state, row.error = "runs", ""
        self.work("try", self._try, ready, self._seen, alone=False)
        self._draw()

    async def _try(self, rows: list[Row], seen: tuple[object, ...]) -> None:
        session = self.face.session
        for row in rows:
            if session is None or seen != self._seen:
                return
            try:
                reply = (await session.request(Try(wanted=row.asked))).message
            except RequestRefused as refused:
                row.state, row.error = "failed", clean(str(refused.message), 240)
            except (ConnectionLost, OSError):
                row.state, row.error = "failed", "connection lost"
            else:
                if isinstance(reply, Tried) and seen == self._seen:
                    row.state, row.result = "done", reply
            self._draw()

    # -- actions -----------------------------------------------------------------------------------
    def action_enter(self) -> None:
        row = self.table.selected
        if row.state == "done":
            self._apply(row)
        elif self._may():
            self._start(row)

    def _may(self) -> bool:
        if self.snapshot.state != "PAUSED":
            self.notice("pause first (space)")
        elif self.plain.state == "failed":
            self.notice("this step cannot be done again; s does the next one", "warn")
        else:
            return True
        return False

    def _apply(self, row: Row) -> None:
        """Make the change in the script itself, where it is one that a running script can take."""
        if row is self.plain:
            self.notice("this is what the script does by itself: space or s goes on")
            return
        settings = {**dict(self.snapshot.settings), "lr": self.snapshot.lr}
        changes = live(row, settings)
        if not changes:
            self.notice("a running script cannot take this change: it is written in the script")
        for key, value in changes:
            self.face.send(Set(key=key, value=value), f"in the script now: {key} {value:g}")

    def action_all(self) -> None:
        if self._may():
            self._start(*self.table.rows)

    def action_remove(self) -> None:
        row = self.table.selected
        if row is self.plain:
            self.notice("this row stays: the others are read beside it")
            return
        self.table.rows.remove(row)
        self.table.go(self.table.row)

    def action_add(self) -> None:
        about = "lr=0.03   momentum=0   clip_norm=1   optimizer=sgd lr=0.1   LAYER.activation=gelu   LAYER.bias+=0.1"
        self.app.push_screen(AskScreen("What if", about, hint="lr=/10", check=row_of), self._added)

    def _added(self, text: str | None) -> None:
        if text is not None:
            self.table.rows.append(row_of(text))
            self.table.go(len(self.table.rows) - 1)
            if self._may():
                self._start(self.table.selected)

    def action_back(self) -> None:
        self.dismiss()

    def explanation(self) -> tuple[str, str, Place]:
        return "What if, on one batch", ONE_BATCH, "onebatch"


def open_one_batch(below: TransportScreen) -> None:
    """Of the step in which the script stands."""
    snapshot = below.snapshot
    if snapshot.read_only or snapshot.link == "ended" or below.face.session is None:
        below.notice("the script has ended: there is no step that could be done again")
    elif snapshot.state != "PAUSED":
        below.notice("pause first (space): what-if does the update again that is paused in")
    else:
        below.app.push_screen(OneBatchScreen(snapshot, below.face.glyphs))
