"""Breakpoints (``b``): armed conditions with what their parts are now; one that is typed is checked as it grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import events
from textual.app import ComposeResult

from bptui.expr.language import names_for
from bptui.protocol.messages import Arm, Armed, Check, Checked, CheckedRow, GoTo
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.ports import ConnectionLost, RequestRefused
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, integer
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.pane import Line, Pane
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import BREAKPOINTS

MOST_TYPED = 400


class Typing:
    """A line that is typed, with a cursor and the word that completes it."""

    def __init__(self, text: str = "", script: bool = False) -> None:
        self.text, self.at = text, len(text)
        self._script = script
        self._turn = 0
        self._before = ""
        """What stood before the cursor when Tab was first pressed."""

    def take(self, event: events.Key) -> bool:
        """Whether the key edits the line."""
        key, text, at = event.key, self.text, self.at
        if key == "backspace":
            self.text, self.at = text[: max(0, at - 1)] + text[at:], max(0, at - 1)
        elif key in ("delete", "ctrl+d"):
            self.text = text[:at] + text[at + 1 :]
        elif key in ("left", "right"):
            self.at = max(0, min(len(text), at + (1 if key == "right" else -1)))
        elif key in ("home", "ctrl+a"):
            self.at = 0
        elif key in ("end", "ctrl+e"):
            self.at = len(text)
        elif key == "ctrl+u":
            self.text, self.at = text[at:], 0
        elif event.is_printable and event.character:
            self.insert(event.character)
        else:
            return False
        self._turn, self._before = 0, ""
        return True

    def insert(self, text: str) -> None:
        room = MOST_TYPED - len(self.text)
        self.text = self.text[: self.at] + text[:room] + self.text[self.at :]
        self.at += len(text[:room])

    def words(self, layers: list[str]) -> list[str]:
        """What may stand at the cursor."""
        return names_for(self._before or self.text[: self.at], layers, self._script)

    def complete(self, layers: list[str]) -> None:
        """The next of them in the place of what was typed of it."""
        words = self.words(layers)
        if not words:
            return
        before = self._before or self.text[: self.at]
        word = words[self._turn % len(words)]
        start = before[: len(before) - _typed(before, word)]
        self.text, self.at = start + word + self.text[self.at :], len(start + word)
        self._before, self._turn = before, self._turn + 1


def _typed(before: str, word: str) -> int:
    """How many characters of ``word`` stand at the end of ``before`` already; a quote may be of either kind."""
    plain = before.replace("'", '"')
    return next((n for n in range(min(len(word), len(plain)), 0, -1) if plain.endswith(word[:n])), 0)


class BreakpointsPane(Pane):
    """The conditions, and the one that is being typed with its error under a caret."""

    number, title = 0, "Breakpoints"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="breaks")
        self.armed: tuple[Armed, ...] = ()
        self.rows: tuple[CheckedRow, ...] = ()
        self.known_at = 0
        self.step = -1
        self.row = 0
        self._first = 0
        self.typing: Typing | None = None
        self.draft: CheckedRow | None = None
        """What is typed, as the trainer reads it."""
        self.note = ""

    def lit(self) -> bool:
        return True

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        if self.step < 0:
            return []
        return [(-1, f" in step {integer(self.step)}, layers as of {integer(self.known_at)} ", "dim")]

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return [(2, " a hit pauses before the update, in the very state in which its condition came to hold ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        lines: list[Line] = []
        typed = self._typed(width) if self.typing is not None else []
        if not self.armed and not typed:
            texts = ["No breakpoint is armed." if not self.note else self.note, "", "a types a condition, such as:"]
            lines += [[(text, "text" if at == 0 else "dim")] for at, text in enumerate(texts)]
            return [*lines, *([(f"    {example}", "first")] for example in self._examples())]
        blocks = [self._block(at, width) for at in range(len(self.armed))]
        room = height - len(typed)
        self.row = max(0, min(self.row, len(blocks) - 1))
        self._first = min(self._first, self.row)
        while sum(map(len, blocks[self._first : self.row + 1])) > room and self._first < self.row:
            self._first += 1
        for block in blocks[self._first :]:
            lines += block
        return lines[: max(0, room)] + typed

    def _examples(self) -> list[str]:
        if not self.snapshot.script:
            return BREAKPOINTS["examples"].splitlines()
        layers = [layer.name for layer in self.snapshot.model.layers if layer.parameters] or ["LAYER"]
        return BREAKPOINTS["script"].replace("LAYER", clean(layers[0])).splitlines()

    def _block(self, at: int, width: int) -> list[Line]:
        one = self.armed[at]
        row = self.rows[at] if at < len(self.rows) else CheckedRow(one.text)
        here = at == self.row and self.typing is None
        on = "+cursor" if here else ""
        mark = ("on ", "good") if one.enabled else ("off", "dim")
        head: Line = [(f"{self.glyphs.cursor if here else ' '} ", "key" + on), (f"{mark[0]} ", mark[1] + on),
                      (clean(one.text, 400), ("strong" if one.enabled else "dim") + on),
                      ("   ", "text" + on)]  # fmt: skip
        head += [_verdict(row), (_how_often(row.every), "dim")]
        return [head, *([self._part(row, width)] if row.parts else [])]

    def _part(self, row: CheckedRow, width: int) -> Line:
        line: Line = [("      ", "text")]
        for part in row.parts:
            value = "not known yet" if part.value is None else f"{part.value:.6g}"
            tone = "dim" if part.value is None else "good" if part.holds else "text"
            limit = f" {part.limit:.6g}" if part.limit is not None else ""
            text, _, sign = clean(part.text, 80).rpartition(" ") if part.limit is not None else (part.text, "", "")
            line += [(f"{text} = ", "dim"), (value, tone), (f" {sign}{limit}   " if limit else "   ", "dim")]
        return line

    def _typed(self, width: int) -> list[Line]:
        """The line that is typed, a caret where it is wrong, what it is now, and the words that may follow."""
        typing = self.typing
        assert typing is not None
        text = typing.text
        lead = "  new  "
        line: Line = [(lead, "key"), (text[: typing.at], "strong"),
                      (text[typing.at : typing.at + 1] or " ", "strong+caret"),
                      (text[typing.at + 1 :], "strong")]  # fmt: skip
        lines: list[Line] = [[], line]
        draft = self.draft if self.draft is not None and self.draft.text == text else None
        if draft is not None and draft.error and text.strip():
            lines.append([(" " * (len(lead) + draft.at) + "^", "bad")])
            lines.append([(f"       {clean(draft.error, 300)}"[:width], "bad")])
        elif draft is not None and text.strip():
            lines += [[(" " * len(lead), "text"), _verdict(draft)], self._part(draft, width)]
        layers = [layer.name for layer in self.snapshot.model.layers]
        words = typing.words(layers)
        if words:
            told = "  ".join(words)
            lines.append([("  tab  ", "key"), (told[: max(0, width - 7)], "dim")])
        return lines


def _verdict(row: CheckedRow) -> tuple[str, str]:
    if row.error:
        return clean(row.error, 200), "bad"
    if row.holds is None:
        return "not known yet", "dim"
    return ("holds now", "warn") if row.holds else ("does not hold", "dim")


def _how_often(every: int) -> str:
    """Steps between two looks at a condition; nothing where that is not known."""
    return f"   every {integer(every)} steps" if every > 1 else "   every step" if every else ""


class BreakpointsScreen(TransportScreen):
    """Keys of editing go first to what is being typed; the transport works where nothing is."""

    PLACE = "breakpoints"
    BINDINGS = bindings("breakpoints", first=False)

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="breakpoints")
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.pane = BreakpointsPane(snapshot, glyphs)
        self.hint = TextLine(snapshot, glyphs=glyphs, id="hint")
        self.keybar = KeyBar(snapshot, "breakpoints", id="keys")
        self._asked: tuple[object, ...] = ()
        self._number = 0
        self._search: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.pane
        yield self.hint
        yield self.keybar

    def on_mount(self) -> None:
        self.set_focus(self.pane)
        self.set_interval(0.5, self._again)
        self.show(self.snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def show(self, snapshot: Snapshot) -> None:
        self.header.show(snapshot)
        self.pane.show(snapshot)
        self.keybar.show(snapshot)
        hit = snapshot.text if snapshot.state == "PAUSED" and snapshot.text.startswith("break:") else ""
        self.hint.put([(" ", "text"), (hit, "warn")])
        if snapshot.state != "RUNNING" and _place(snapshot) != self._asked:
            self._check()

    def _again(self) -> None:
        """While it runs, twice a second."""
        if self.snapshot.state == "RUNNING" and self.is_current:
            self._check()

    def _check(self) -> None:
        self._asked = _place(self.snapshot)
        self._number += 1
        self.work("check", self._ask, self._number)

    async def _ask(self, number: int) -> None:
        session, pane = self.face.session, self.pane
        if session is None:
            return
        typed = pane.typing.text if pane.typing is not None else ""
        try:
            frame = await session.request(Check(texts=(typed,) if typed.strip() else ()))
        except RequestRefused as refused:
            pane.note = clean(str(refused.message), 200)
        except (ConnectionLost, OSError):
            pane.note = "connection lost"
        else:
            reply = frame.message
            if isinstance(reply, Checked) and number == self._number:
                pane.armed, pane.rows = reply.armed, reply.armed_rows
                pane.step, pane.known_at = reply.step, reply.known_at
                pane.draft = reply.rows[0] if reply.rows else None
        pane.show()

    # -- keys --------------------------------------------------------------------------------------
    def _typed(self, event: events.Key) -> bool:
        pane, typing = self.pane, self.pane.typing
        assert typing is not None
        if event.key == "escape":
            pane.typing, pane.draft = None, None
        elif event.key == "enter":
            self._finish(typing)
        elif event.key == "tab":
            typing.complete([layer.name for layer in self.snapshot.model.layers])
            self._check()
        elif typing.take(event):
            self._check()
        else:
            return False
        return True

    def on_paste(self, event: events.Paste) -> None:
        if self.pane.typing is not None:
            event.stop()
            self.pane.typing.insert(clean(event.text.splitlines()[0] if event.text else "", MOST_TYPED))
            self._check()

    def on_key(self, event: events.Key) -> None:
        """In the order in which they came: what follows ``a`` in a burst is typed, and steers nothing."""
        if self.pane.typing is not None:
            if self._typed(event):
                event.stop()
                event.prevent_default()
                self.pane.show()
            return
        if event.key in ("a", "insert", "e", "enter"):
            event.stop()
            event.prevent_default()
            (self.action_add if event.key in ("a", "insert") else self.action_change)()
            return
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "home": -1000, "end": 1000}
        if event.key in moves:
            event.stop()
            self.pane.row = max(0, min(len(self.pane.armed) - 1, self.pane.row + moves[event.key]))
            self.pane.show()

    def _finish(self, typing: Typing) -> None:
        text = typing.text.strip()
        if not text:
            self.pane.typing = None
            return
        self.work("arm", self._arm, (*self._without(self._editing), Armed(text)), f"armed: {text}", alone=False)

    _editing = ""

    def _without(self, text: str) -> list[Armed]:
        return [one for one in self.pane.armed if one.text != text]

    async def _arm(self, conditions: tuple[Armed, ...], done: str) -> None:
        if await self.face.ask(Arm(conditions=conditions)) is not None:
            self.pane.typing, self.pane.draft, self._editing = None, None, ""
            self.notice(done)
        self._check()

    def _selected(self) -> Armed | None:
        pane = self.pane
        return pane.armed[pane.row] if 0 <= pane.row < len(pane.armed) else None

    def action_add(self) -> None:
        self.pane.typing, self.pane.draft, self._editing = Typing(script=self.snapshot.script), None, ""
        self.pane.show()

    def action_change(self) -> None:
        one = self._selected()
        if one is not None:
            self.pane.typing, self.pane.draft, self._editing = Typing(one.text, self.snapshot.script), None, one.text
            self._check()

    def action_enable(self) -> None:
        one = self._selected()
        if one is not None:
            now = tuple(Armed(each.text, not each.enabled) if each is one else each for each in self.pane.armed)
            self.work("arm", self._arm, now, f"{'off' if one.enabled else 'on'}: {one.text}", alone=False)

    def action_remove(self) -> None:
        one = self._selected()
        if one is not None:
            self.work("arm", self._arm, tuple(self._without(one.text)), f"removed: {one.text}", alone=False)

    def action_recheck(self) -> None:
        self._check()
        self.notice("checked again in the present state")

    def action_first(self) -> None:
        """Look for the first step at which the condition under the cursor holds, and go there; again: leave off."""
        if not self.has("first"):
            return
        if self._search is not None:
            self._search.cancel()
            return
        one, session = self._selected(), self.face.session
        if one is None:
            self.notice("a types a condition to look for")
        elif session is not None:
            self._search = asyncio.create_task(self._look_for(session.directory, one.text))

    async def _look_for(self, run: Path, text: str) -> None:
        from bptui.client.bisecting import BisectError, Going, bisect

        def going(word: Going) -> None:
            self.notice(f"looking for {text}: step {integer(word.at)} of {integer(word.to)}; B leaves off")

        self.notice(f"looking for {text}; B leaves off")
        try:
            found = await bisect(run, text, going)
        except BisectError as error:
            self.notice(clean(str(error), 200), "warn")
        except asyncio.CancelledError:
            self.notice("left off")
        else:
            if found.step is None:
                self.notice(f"{text}: at none of {integer(found.looked_at)} steps ({found.way})", "warn")
            else:
                told = f"{text}: first at step {integer(found.step)} ({found.way})"
                self.notice(told)
                if await self.face.ask(GoTo(step=found.step)) is not None:
                    self.notice(told)
        finally:
            self._search = None

    def on_unmount(self) -> None:
        if self._search is not None:
            self._search.cancel()

    def action_back(self) -> None:
        self.dismiss()

    def explanation(self) -> tuple[str, str, Place]:
        return "Breakpoints", BREAKPOINTS["help"], "breakpoints"


def _place(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.state, snapshot.step, snapshot.micro, snapshot.link


def open_breakpoints(below: TransportScreen) -> None:
    """The armed conditions."""
    snapshot = below.snapshot
    if snapshot.read_only or snapshot.link == "ended":
        below.notice("the run has ended: there is no process that could pause; bptui bisect finds a step")
    else:
        below.app.push_screen(BreakpointsScreen(snapshot, below.face.glyphs))
