"""Runs (``r``): every run with its branches below it, its state and result; open one, or delete it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import events
from textual.app import ComposeResult

from bptui.client.discover import list_runs
from bptui.client.tree import Placed, remove, result, tree
from bptui.runs.info import RunError
from bptui.tui.another import open_run
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, integer
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.pane import Line, Pane
from bptui.tui.words import RUNS

READ_SECONDS = 2.0
_STATES = {"RUNNING": "good", "FAILED": "bad", "DAMAGED": "bad", "STALE": "warn", "DONE": "strong"}


class RunsPane(Pane):
    """A line a run."""

    number, title = 0, "Runs"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="runs")
        self.placed: list[Placed] | None = None
        self.results: dict[str, str] = {}
        self.shown = ""
        """The id of the run that the screens show."""
        self.row = 0
        self._first = 0

    def lit(self) -> bool:
        return True

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        return [(-1, f" {len(self.placed)} ", "dim")] if self.placed else []

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, " a branch stands below the run that it left, with the step ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        if self.placed is None:
            return [[("Reading …", "dim")]]
        if not self.placed:
            return [[("No runs.", "text")]]
        self.row = max(0, min(self.row, len(self.placed) - 1))
        self._first = max(min(self._first, self.row), self.row - height + 1, 0)
        names = [self._branch(one) + clean(one.run.id, 60) for one in self.placed]
        room = min(max(map(len, names)), max(20, width - 34))
        return [
            self._line(at, names[at], room, width)
            for at in range(self._first, min(self._first + height, len(self.placed)))
        ]

    def _branch(self, one: Placed) -> str:
        if not one.depth:
            return ""
        down, last, bar = ("|-", "`-", "| ") if self.glyphs.name == "ascii" else ("├─", "└─", "│ ")
        before = "".join("  " if end else bar for end in one.ends[:-1])
        return before + (last if one.ends[-1] else down)

    def _line(self, at: int, name: str, room: int, width: int) -> Line:
        one = self.placed[at].run if self.placed else None
        assert one is not None
        on = "+cursor" if at == self.row else ""
        left = f"  left at {integer(one.parent.step)}" if one.parent is not None else ""
        shown = one.id == self.shown
        return [
            (f"{self.glyphs.cursor if at == self.row else ' '} ", "key" + on),
            (name[:room].ljust(room), ("strong" if shown else "text") + on),
            (f"  {one.state:8}", _STATES.get(one.state, "text") + on),
            (f" step {integer(one.step):>9}", "text" + on),
            (f"  {self.results.get(one.id, '')}", "first" + on),
            (left, "dim" + on),
            ("  shown" if shown else f"  {clean(one.title, 40)}", "dim" + on),
        ]

    def selected(self) -> Placed | None:
        return self.placed[self.row] if self.placed and self.row < len(self.placed) else None


class RunsScreen(TransportScreen):
    """It reads the runs again while it is open; figures of ended runs are read once."""

    PLACE = "runs"
    BINDINGS = bindings("runs")

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="runs-screen")
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.pane = RunsPane(snapshot, glyphs)
        self.keybar = KeyBar(snapshot, "runs", id="keys")
        self._known: dict[str, tuple[str, int]] = {}
        self._doomed = ""
        """The id that the next x deletes."""

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.pane
        yield self.keybar

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.set_interval(READ_SECONDS, self._read)
        self._read()
        self.show(self.snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def show(self, snapshot: Snapshot) -> None:
        self.header.show(snapshot)
        self.pane.shown = self.face.session.run if self.face.session is not None else ""
        self.pane.show(snapshot)
        self.keybar.show(snapshot)

    def _read(self) -> None:
        self.work("read", self._reading, alone=False)

    async def _reading(self) -> None:
        pane, chosen = self.pane, self.pane.selected()
        first = pane.placed is None
        pane.placed = await asyncio.to_thread(lambda: tree(list_runs()))
        wanted = pane.shown if first else chosen.run.id if chosen is not None else ""
        pane.row = next((at for at, one in enumerate(pane.placed) if one.run.id == wanted), pane.row)
        pane.show()
        for one in pane.placed:
            now = one.run.state, one.run.step
            if self._known.get(one.run.id) != now and self.is_mounted:
                self._known[one.run.id] = now
                pane.results[one.run.id] = await asyncio.to_thread(result, one.run.directory)
                pane.show()

    # -- keys --------------------------------------------------------------------------------------
    def on_key(self, event: events.Key) -> None:
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "home": -100_000, "end": 100_000, "pageup": -10, "pagedown": 10}
        if event.key in moves and self.pane.placed:
            event.stop()
            self._doomed = ""
            self.pane.row = max(0, min(len(self.pane.placed) - 1, self.pane.row + moves[event.key]))
            self.pane.show()

    def action_open(self) -> None:
        one = self.pane.selected()
        if one is None:
            return
        if one.run.id == self.pane.shown:
            self.dismiss()
        elif one.run.state == "DAMAGED":
            self.notice("its run.json cannot be read", "warn")
        else:
            self.work("open", self._open, one.run.directory, alone=False)

    async def _open(self, directory: Path) -> None:
        if await open_run(self.face, directory):
            self.dismiss()

    def action_delete(self) -> None:
        one = self.pane.selected()
        if one is None:
            return
        if one.run.id == self.pane.shown:
            self.notice("this run is shown: open another one first", "warn")
        elif one.run.live:
            self.notice("it is running: open it and stop it first", "warn")
        elif self._doomed != one.run.id:
            self._doomed = one.run.id
            self.notice(f"x again deletes {clean(one.run.id, 60)} from the disk; any other key leaves it", "warn")
        else:
            self._doomed = ""
            self.work("delete", self._delete, one.run.directory, alone=False)

    async def _delete(self, directory: Path) -> None:
        try:
            await asyncio.to_thread(remove, directory)
        except RunError as error:
            self.notice(clean(str(error), 200), "warn")
        else:
            self.notice(f"{clean(directory.name, 60)} is deleted")
        self._read()

    def action_back(self) -> None:
        self.dismiss()

    def explanation(self) -> tuple[str, str, Place]:
        return "Runs", RUNS["help"], "runs"


def open_runs(below: TransportScreen) -> None:
    """The runs there are."""
    below.app.push_screen(RunsScreen(below.snapshot, below.face.glyphs))
