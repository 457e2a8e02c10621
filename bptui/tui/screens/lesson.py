"""A lesson: text, a formula with this run's numbers, a question, and what the trainer then says."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult

from bptui.lessons.course import Course, LessonStep, Verdict, figure, filled, judge, load_course
from bptui.lessons.formulas import start_of, values
from bptui.lessons.progress import keep_progress, read_progress
from bptui.protocol.messages import Inspect, Inspection, MicroStep
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.plain import spell
from bptui.tui.screens.base import TransportScreen, bindings
from bptui.tui.store import Snapshot
from bptui.tui.text import fit, right
from bptui.tui.widgets.header import HeaderLine
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.pane import Drawn, Line

if TYPE_CHECKING:
    from bptui.protocol.framing import Frame

Phase = Literal["wait", "ask", "press", "seen"]
_TYPED = set("0123456789.-+eE−,")
_WIDEST = 92
_HINTS_BEFORE_ANSWER = 2


class LessonScreen(TransportScreen):
    """One step after another: it waits for the trainer, a number (``ask``), n (``press``) or Enter (``seen``)."""

    PLACE = "lesson"
    BINDINGS = bindings("lesson")

    def __init__(self, name: str, snapshot: Snapshot, glyphs: Glyphs, *, again: bool = False) -> None:
        super().__init__(id="lesson")
        self.lesson, self.glyphs = name, glyphs
        self.course: Course = load_course(name)
        self.index = 0 if again else read_progress(name, len(self.course.step))
        self.phase: Phase = "wait"
        self.typed = ""
        self.verdict: Verdict | None = None
        self.wrong = 0
        self.numbers: dict[str, float] = {}
        self.made = 0
        """Micro-steps of the lesson's update that are done."""
        self.seen = ""
        """What the trainer computed, in words."""
        self.problem = ""
        self._begun = False
        self.header = HeaderLine(snapshot, glyphs=glyphs, id="header")
        self.page = LessonPage(self, snapshot, glyphs=glyphs, id="page")
        self.keybar = KeyBar(snapshot, "lesson", id="keys")

    @property
    def step(self) -> LessonStep:
        return self.course.step[self.index]

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.page
        yield self.keybar

    def on_mount(self) -> None:
        self.show(self.snapshot)

    def show(self, snapshot: Snapshot) -> None:
        if not self._begun and snapshot.state == "READY" and self.face.session is not None:
            self._begun = True
            self.run_worker(self._begin(), group="lesson")
        if snapshot.state in ("FAILED", "STALE") or snapshot.link == "ended":
            self.problem = "The run of this lesson has ended: esc leaves, and bptui lesson goes on where you were."
        self.header.show(snapshot)
        self.page.show(snapshot)
        self.keybar.show(snapshot)

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    # -- the trainer -------------------------------------------------------------------------------
    async def _begin(self) -> None:
        """State 0 and its row; then the micro-steps of what was learned the last time."""
        first = await self._tensors(0, "x", "y", "W", "b")
        second = await self._tensors(1, "W", "b")
        if first is None or second is None:
            self._say_problem("The trainer did not show the network's numbers: esc leaves.")
            return
        try:
            self.numbers = values(start_of(first, second, self.snapshot.lr or 0.5))
        except (msgspec.ValidationError, LookupError, ValueError, OverflowError):
            self._say_problem("This is not the network of the lesson: esc leaves.")
            return
        if done := self.course.before(self.index):
            await self.face.ask(MicroStep(count=done))
            self.made = done
        self._enter()

    async def _tensors(self, layer: int, *kinds: str) -> dict[str, Any] | None:
        frame = await self.face.ask(Inspect(layer=layer, kinds=kinds))
        return None if frame is None else {kind: array.tolist() for kind, array in _arrays(frame).items()}

    async def _micro(self) -> None:
        if await self.face.ask(MicroStep()) is None:
            self.phase = "press"
            self.page.show()
            return
        self.made += 1
        if self.made < self.course.before(self.index + 1):
            self.phase = "press"
            self.page.show()
        else:
            await self._look()

    async def _look(self) -> None:
        """What the trainer computed, beside what the formula says."""
        self.seen = ""
        wanted = self.step.show
        if wanted is not None:
            frame = await self.face.ask(Inspect(layer=wanted.layer, kinds=(wanted.quantity or "z",)))
            value = None if frame is None else _cell(frame, wanted.quantity, wanted.cell, wanted.loss)
            if value is not None:
                name = "L" if wanted.loss else f"{wanted.quantity}[{', '.join(map(str, wanted.cell))}]"
                self.seen = f"bptui computed {name} = {value!r}"
                expected = self.numbers[self.step.expect or "loss"]
                if abs(value - expected) > 1e-9 * max(1.0, abs(expected)):
                    self.seen += f", but the formula says {expected!r}"
        self.phase = "seen"
        self.page.show()

    def _say_problem(self, text: str) -> None:
        self.problem = text
        self.page.show()

    # -- from step to step -------------------------------------------------------------------------
    def _enter(self) -> None:
        self.typed, self.verdict, self.wrong, self.seen = "", None, 0, ""
        self.phase = "ask" if self.step.ask else "press" if self.step.micro else "seen"
        self.page.show()

    def action_answer(self) -> None:
        """Enter: check what was typed, or go on."""
        if self.phase == "ask":
            self.verdict = judge(self.step, self.typed, self.numbers)
            if self.verdict.right:
                self._after_answer()
            else:
                self.wrong += self.typed != ""
                self.page.show()
        elif self.phase == "seen":
            self.next()
        elif self.phase == "press":
            self.notice("n makes the next micro-step")

    def _after_answer(self) -> None:
        if self.step.micro:
            self.phase = "press"
            self.page.show()
        else:
            self.phase = "wait"
            self.run_worker(self._look(), group="lesson")

    def next(self) -> None:
        self.index += 1
        keep_progress(self.lesson, self.index)
        if self.index >= len(self.course.step):
            self.index = len(self.course.step) - 1
            self.dismiss()
            self.face.notice("the lesson is done: space trains on, i shows the same numbers, ? explains")
            return
        self._enter()

    def action_micro_step(self) -> None:
        if self.phase == "ask":
            self.notice("first the number, then n (tab shows it)")
        elif self.phase == "seen":
            self.notice("Enter goes on")
        elif self.phase == "press":
            self.phase = "wait"
            self.run_worker(self._micro(), group="lesson")

    def action_show_answer(self) -> None:
        if self.phase == "ask":
            self.typed = figure(self.numbers[self.step.expect])
            self.verdict = Verdict(True, "")
            self._after_answer()

    def action_erase(self) -> None:
        if self.phase == "ask":
            self.typed, self.verdict = self.typed[:-1], None
            self.page.show()

    def on_key(self, event: events.Key) -> None:
        if self.phase == "ask" and event.character in _TYPED:
            event.stop()
            self.typed, self.verdict = (self.typed + str(event.character))[:24], None
            self.page.show()

    def action_back(self) -> None:
        keep_progress(self.lesson, self.index)
        self.dismiss()
        self.face.notice(
            f"left at step {self.index + 1} of {len(self.course.step)}; bptui lesson {self.lesson} goes on there"
        )

    def explanation(self) -> tuple[str, str, Place]:
        formula = filled(self.step.formula, self.numbers, formula=True) if self.numbers else ""
        text = (
            "A step tells something, asks for a number, and lets the trainer compute it. Numbers are rounded to four "
            "decimals here; an answer worked out from them is right.\n\n"
            f"    {formula}\n\n{self.course.about}"
        )
        return self.course.title, text, "lesson"


class LessonPage(Drawn):
    """Text, formula, question, answer, and the table of what is known so far."""

    def __init__(self, screen: LessonScreen, snapshot: Snapshot, *, glyphs: Glyphs, id: str) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self._lesson = screen

    def build(self, width: int, height: int) -> list[Line]:
        screen = self._lesson
        room = min(_WIDEST, width - 4)
        if room < 20:
            return []
        at = f"{screen.index + 1}/{len(screen.course.step)}"
        lines: list[Line] = [[], [(f"  {at}  ", "key"), (fit(screen.step.title, room - len(at) - 2), "title")], []]
        if screen.problem:
            lines += self._text(screen.problem, room, "bad")
        elif not screen.numbers:
            lines += self._text("The network is being built …", room, "dim")
        else:
            lines += self._step(room)
            table = self._table(room)
            if len(lines) + 1 + len(table) <= height:
                lines += [[], *table]
        return lines

    def _step(self, room: int) -> list[Line]:
        screen, step = self._lesson, self._lesson.step
        numbers = screen.numbers
        lines = [*self._text(filled(step.text, numbers), room, "text"), []]
        if step.formula:
            lines += [*self._text(filled(step.formula, numbers, formula=True), room - 4, "first", "    "), []]
        if step.ask:
            cursor = "_" if screen.phase == "ask" else ""
            mark = "> "
            lines.append([("  ", "text"), (self._plain(f"{step.ask}  "), "strong"), (mark, "key"),
                          (self._plain(screen.typed) + cursor, "key")])  # fmt: skip
        lines += self._said(room)
        return lines

    def _said(self, room: int) -> list[Line]:
        screen, step = self._lesson, self._lesson.step
        lines: list[Line] = []
        verdict = screen.verdict
        if verdict is not None and not verdict.right:
            hint = verdict.hint
            if screen.wrong > _HINTS_BEFORE_ANSWER:
                hint += " (tab shows the answer)"
            return self._text(hint, room, "warn")
        if screen.phase == "ask":
            return self._text("Type the number, then Enter.", room, "dim")
        if verdict is not None and screen.phase in ("press", "wait"):
            lines += self._text("Right.", room, "good")
        if screen.phase == "press":
            left = screen.course.before(screen.index + 1) - screen.made
            lines += self._text("Press n." if left == 1 else f"Press n, {left} times.", room, "key")
        if screen.phase == "seen":
            if screen.seen:
                lines += self._text(screen.seen, room, "good")
            if step.then:
                lines += self._text(filled(step.then, screen.numbers), room, "text")
            lines += self._text("Enter goes on.", room, "key")
        return lines

    def _table(self, room: int) -> list[Line]:
        """What has been computed so far, a unit a row."""
        numbers, made = self._lesson.numbers, self._lesson.made
        known = 8 if self._lesson.index == len(self._lesson.course.step) - 1 else made
        asked = self._unanswered()
        rows = (
            ("hidden 1", ("z1", 2), ("a1", 2), ("g1", 2), ("u1", 6), ("d1", 6)),
            ("hidden 2", ("z2", 2), ("a2", 2), ("g2", 2), ("u2", 6), ("d2", 6)),
            ("output", ("z", 3), ("", 9), ("", 9), ("", 9), ("d", 5)),
        )
        label = 10
        column = min(12, (room - label) // 5)
        if column < 8:
            return []
        heads = [right(self._plain(head), column) for head in ("z", "a", "g′(z)", "upstream", "δ")]
        lines: list[Line] = [[("  " + fit("", label), "text"), ("".join(heads), "dim")]]
        for name, *cells in rows:
            line: Line = [("  ", "text"), (fit(str(name), label), "text")]
            for key, since in cells:
                there = bool(key) and known >= since and key.replace("2", "1") not in asked
                text = figure(numbers[key]) if there else "" if not key else "·"
                line.append((right(self._plain(text), column), "text" if there else "dim"))
            lines.append(line)
        if known >= 4:
            loss = right(figure(numbers["loss"]), column)
            lines.append([("  ", "text"), (fit("loss", label), "text"), (loss, "text")])
        return lines

    def _unanswered(self) -> set[str]:
        """What has been computed, but is still to be predicted: not in the table yet."""
        screen = self._lesson
        here = screen.index + (screen.phase == "seen")
        return {step.expect for step in screen.course.step[here:] if step.expect}

    def _text(self, text: str, room: int, style: str, lead: str = "") -> list[Line]:
        lines = textwrap.wrap(self._plain(" ".join(text.split())), room) if cell_len(text) else []
        return [[("  " + lead, "text"), (line, style)] for line in lines]

    def _plain(self, text: str) -> str:
        return spell(text) if self.glyphs.name == "ascii" else text


def _arrays(frame: Frame) -> dict[str, Any]:
    if not isinstance(frame.message, Inspection):
        return {}
    return {kind: frame.array(ref) for kind, ref in frame.message.arrays.items()}


def _cell(frame: Frame, quantity: str, cell: tuple[int, ...], loss: bool) -> float | None:
    if loss:
        return frame.message.loss if isinstance(frame.message, Inspection) else None
    array = _arrays(frame).get(quantity)
    if array is None or array.ndim != len(cell) or any(i >= n for i, n in zip(cell, array.shape, strict=True)):
        return None
    return float(array[cell])
