"""The model builder (``e``): outline, form, differences, and a line that explains the field under the cursor.

All keys come to the screen itself, in the order in which they were typed: no widget has the focus.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from bptui.spec.experiment import Experiment
from bptui.spec.load import load
from bptui.spec.save import save
from bptui.tui.glyphs import Glyphs
from bptui.tui.keys import Place
from bptui.tui.plan import Plan
from bptui.tui.screens.base import TransportScreen
from bptui.tui.screens.builder.adding import kind_choice
from bptui.tui.screens.builder.applying import apply_choice, fitting
from bptui.tui.screens.builder.dialogs import BLANK, AskFirst, PathScreen, preset_choice
from bptui.tui.screens.builder.draft import Draft, Item, Machine
from bptui.tui.screens.builder.form import Form
from bptui.tui.screens.builder.lines import help_of, top_line
from bptui.tui.screens.builder.outline import ADD, BuilderPane, Changes, Outline
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit
from bptui.tui.widgets.keybar import KeyBar
from bptui.tui.widgets.strips import TextLine
from bptui.tui.words import BUILDER

LEFT = 0.34
"""Share of the width that the outline has at the least."""
FORM = 40
"""Cells that it leaves to the form: a name, a value, and a frame."""


class BuilderScreen(TransportScreen):
    """Changes a draft of ``experiment``; what comes of it takes the place of the run."""

    PLACE = "builder"

    def __init__(
        self, experiment: Experiment, *, layer: int, glyphs: Glyphs, machine: Machine | None = None, features: int = 0,
        sample: tuple[int, ...] = (), learned: bool = False,
    ) -> None:  # fmt: skip
        """``learned``: the run has weights worth keeping."""
        super().__init__(id="builder")
        self.draft = Draft(experiment, machine, features, sample)
        self.glyphs = glyphs
        self._learned = learned
        self.top_line = TextLine(Snapshot(), glyphs=glyphs, id="header")
        self.outline = Outline(self.draft, glyphs, "outline")
        self.changes = Changes(self.draft, glyphs, "changes")
        self.form = Form(self.draft, glyphs, "form")
        self.help = TextLine(Snapshot(), glyphs=glyphs, id="help")
        self.help_more = TextLine(Snapshot(), glyphs=glyphs, id="more")
        self.keybar = KeyBar(Snapshot(), "builder", id="keys")
        self._leaving = False
        self._path = ""
        if experiment.model:
            self.outline.select(Item("model", min(layer, len(experiment.model) - 1)))
        self.outline.active = True
        self.form.turn_to(self.outline.item)

    def compose(self) -> ComposeResult:
        yield self.top_line
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self.outline
                yield self.changes
            yield self.form
        yield self.help
        yield self.help_more
        yield self.keybar

    def on_mount(self) -> None:
        self._arrange()
        self.call_after_refresh(self.draw)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self.call_after_refresh(self.draw)

    def _arrange(self) -> None:
        width, height = self.app.size
        least = max(30, round(width * LEFT))
        self.query_one("#left").styles.width = min(56, max(least, min(self.outline.wanted() + 4, width - FORM)))
        rows = height - 4
        wanted = len(self.outline.entries()) + 3
        self.outline.styles.height = max(6, min(wanted, rows - max(4, rows // 5)))

    # -- drawing -----------------------------------------------------------------------------------
    def show(self, snapshot: Snapshot) -> None:
        """The run goes on behind it; only its state word is shown here."""
        self._draw_top()

    def notice(self, text: str, tone: str = "info") -> None:
        self.keybar.notice(text, tone)

    def draw(self) -> None:
        """Everything that may have changed; widgets repaint the spans that did."""
        if not self.is_mounted:
            return
        self.outline.active, self.form.active = not self._in_form, self._in_form
        self._arrange()
        self._draw_top()
        for pane in (self.outline, self.changes, self.form):
            pane.show()
        self._draw_help()
        self.keybar.place = "form" if self._in_form else "builder"
        self.keybar.show()

    @property
    def _in_form(self) -> bool:
        return self.form.active

    def _draw_top(self) -> None:
        self.top_line.put(top_line(self.draft, self.form.error, self.glyphs, self.app.size.width))

    def _draw_help(self) -> None:
        first, second, bad = help_of(self.draft, self.outline.item, self.form if self._in_form else None)
        width = self.app.size.width - 2
        self.help.put([(" ", "text"), (fit(clean(first), width).rstrip(), "text")])
        self.help_more.put([(" ", "text"), (fit(clean(second), width).rstrip(), "bad" if bad else "dim")])

    # -- keys --------------------------------------------------------------------------------------
    async def run_action(self, action: Any, *args: Any, **options: Any) -> None:
        """Also what the palette runs is shown at once."""
        await super().run_action(action, *args, **options)
        self.draw()

    async def on_key(self, event: events.Key) -> None:
        was_leaving, self._leaving = self._leaving, False
        taken = self._anywhere(event.key)
        if not taken:
            taken = self._form_key(event) if self._in_form else self._outline_key(event, was_leaving)
        if taken:
            event.stop()
            event.prevent_default()
            self.draw()

    def on_paste(self, event: events.Paste) -> None:
        if self._in_form:
            event.stop()
            self.form.insert(clean(event.text.splitlines()[0] if event.text else "", 500))
            self.draw()

    def _anywhere(self, key: str) -> bool:
        if key == "ctrl+s":
            self.action_apply()
        elif key == "ctrl+z":
            self.action_undo()
        elif key in ("ctrl+y", "ctrl+shift+z"):
            self.action_redo()
        elif key == "f1":
            self.action_explain()
        else:
            return False
        return True

    def _outline_key(self, event: events.Key, was_leaving: bool) -> bool:
        key = event.key
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -8, "pagedown": 8, "home": -(10**6), "end": 10**6}
        if key in moves:
            self._select(self.outline.selected + moves[key])
        elif key in ("enter", "right", "tab", "l", "space"):
            self._enter()
        elif key == "escape":
            self._leave(was_leaving)
        elif key == "q":
            self.notice("esc goes back to the run")
        elif event.is_printable and (event.character or "").isdecimal() and self.outline.item.table == "model":
            self._type(event)  # a number is a number of units
        elif (action := _OUTLINE.get(key)) is not None:
            getattr(self, f"action_{action}")()
        else:
            return False
        return True

    def _type(self, event: events.Key) -> None:
        fields = [field.key for field in self.form.fields]
        if self.outline.item is ADD or "units" not in fields:
            return
        self._enter()
        self.form.row = fields.index("units")
        self.form.leave_field()
        self.form.take_key(event)

    def _form_key(self, event: events.Key) -> bool:
        key = event.key
        moves = {"up": -1, "shift+tab": -1, "down": 1, "tab": 1, "enter": 1, "pageup": -8, "pagedown": 8}
        if key == "escape":
            if not self.form.revert():
                self.form.leave_field()
                self.form.active = False
        elif key in moves:
            if not self.form.step(moves[key]):
                self.notice(f"{self.form.field.key}: {self.form.error}; esc takes it back", "bad")
        elif key == "ctrl+r":
            self.form.reset()
        elif self.form.take_key(event):
            if self.form.said:
                self.notice(self.form.said)
        else:
            return False
        return True

    def _select(self, entry: int) -> None:
        self.outline.selected = max(0, min(len(self.outline.entries()) - 1, entry))
        if self.outline.item is not ADD:
            self.form.turn_to(self.outline.item)

    def _enter(self) -> None:
        if self.outline.item is ADD:
            self.action_add()
            return
        self.form.turn_to(self.outline.item)
        fields = self.form.fields
        if self.form.row == 0 and self.outline.item.table == "model" and len(fields) > 1:
            self.form.row = 1  # the kind is seldom what one wants to change
        self.form.active = True

    def _leave(self, sure: bool) -> None:
        changed = len(self.draft.changes())
        if changed and not sure:
            self._leaving = True
            word = f"{changed} change{'s' * (changed > 1)}"
            self.notice(f"{word} not applied: esc again drops them, ctrl+s applies", "warn")
            return
        self.dismiss(None)

    # -- mouse -------------------------------------------------------------------------------------
    def on_builder_pane_clicked(self, message: BuilderPane.Clicked) -> None:
        if self.form.error:
            self.notice(f"{self.form.field.key}: {self.form.error}; esc takes it back", "bad")
            return
        if message.pane is self.outline:
            entry = self.outline.entry_at(message.row)
            if entry is not None:
                again = entry == self.outline.selected
                self.form.active = False
                self._select(entry)
                if self.outline.item is ADD or again:
                    self._enter()
        elif message.pane is self.form and message.row < len(self.form.fields):
            again = self._in_form and message.row == self.form.row
            self.form.active = True
            self.form.row = message.row
            if not again:
                self.form.leave_field()
            elif self.form.field.kind in ("choice", "flag"):
                self.form._turn(1)
        self.draw()

    def on_builder_pane_scrolled(self, message: BuilderPane.Scrolled) -> None:
        if message.pane is self.form and not self.form.error:
            self.form.step(message.by)
        elif message.pane is self.outline and not self._in_form:
            self._select(self.outline.selected + message.by)
        self.draw()

    # -- actions -----------------------------------------------------------------------------------
    def action_enter(self) -> None:
        self._enter()
        self.draw()

    def action_back(self) -> None:
        if self._in_form:
            self.form.leave_field()
            self.form.active = False
            self.draw()
        else:
            self._leave(False)

    def action_add(self) -> None:
        if not self.draft.experiment.model:
            self._look_at(self.draft.begin())
            return
        item = self.outline.item
        after = item.layer if item.table == "model" else len(self.draft.experiment.model) - 1 if item is ADD else -1
        choice, layers = kind_choice(self.draft, after, self.glyphs)

        def added(kind: str | None) -> None:
            if kind is not None:
                self._look_at(self.draft.add(layers[kind], after))
                self.draw()

        self.app.push_screen(choice, added)

    def _look_at(self, layer: int) -> None:
        self.outline.select(Item("model", layer))
        self.form.turn_to(Item("model", layer))
        self.form.leave_field()

    def _layer(self) -> int | None:
        item = self.outline.item
        if item.table != "model":
            self.notice("select a layer first")
            return None
        return item.layer

    def action_remove(self) -> None:
        if (layer := self._layer()) is not None:
            left = self.draft.remove(layer)
            if self.draft.experiment.model:
                self._look_at(left)
            else:
                self._select(1)
                self.form.turn_to(Item("data"))
            self.notice("removed; ctrl+z brings it back")

    def action_duplicate(self) -> None:
        if (layer := self._layer()) is not None:
            self._look_at(self.draft.duplicate(layer))

    def action_move(self, by: int) -> None:
        if (layer := self._layer()) is not None:
            self._look_at(self.draft.move(layer, by))

    def action_earlier(self) -> None:
        self.action_move(-1)

    def action_later(self) -> None:
        self.action_move(1)

    def action_undo(self) -> None:
        self._travel(self.draft.undo(), "undone", "nothing to undo")

    def action_redo(self) -> None:
        self._travel(self.draft.redo(), "done again", "nothing to do again")

    def _travel(self, done: bool, word: str, nothing: str) -> None:
        item = self.outline.item
        self.outline.selected = min(self.outline.selected, len(self.outline.entries()) - 1)
        items = self.draft.items()
        target = item if item in items else self.outline.item if self.outline.item is not ADD else items[0]
        self.outline.select(target)
        self.form.turn_to(target)
        self.notice(word if done else nothing)

    def action_presets(self) -> None:
        self.app.push_screen(preset_choice(), self._preset)

    def _preset(self, name: str | None) -> None:
        if name is None:
            return
        if name == BLANK:
            self.draft.blank()
            self._select(1)
            self.form.turn_to(Item("data"))
        else:
            preset, _, variant = name.partition(":")
            self.draft.load(load(preset, variant=variant or None))
            self._look_at(0)
        self.notice(f"started from {name}; ctrl+z takes it back")
        self.draw()

    def action_open(self) -> None:
        def act(path: Path, sure: bool) -> str:
            self.draft.load(load(str(path if path.suffix or "/" in str(path) else Path(f"./{path}"))))
            self._path = str(path)
            return f"loaded {path}; ctrl+z takes it back"

        self.app.push_screen(PathScreen("Load an experiment (TOML)", self._path, act), self._filed)

    def action_write(self) -> None:
        if problems := self.draft.problems():
            self.notice(f"not saved: {problems[0]}", "bad")
            return

        def act(path: Path, sure: bool) -> str:
            if path.suffix == "":
                path = path.with_suffix(".toml")
            if path.exists() and not sure:
                raise AskFirst(f"{path} is there already: enter again overwrites it")
            save(self.draft.experiment, path)
            self._path = str(path)
            return f"saved {path}"

        name = self._path or f"{clean(self.draft.experiment.experiment.name or 'experiment', 60)}.toml"
        self.app.push_screen(PathScreen("Save as (TOML)", name, act), self._filed)

    def _filed(self, said: str | None) -> None:
        if said is not None:
            if self.draft.experiment.model and said.startswith("loaded"):
                self._look_at(0)
            self.notice(said)
        self.draw()

    def action_apply(self) -> None:
        problems = self.draft.problems()
        if self.form.error:
            self.notice(f"{self.form.field.key}: {self.form.error}", "bad")
        elif problems:
            self._show_problem()
            self.notice(f"cannot be applied: {problems[0]}", "bad")
        elif not self.draft.changes():
            self.notice("nothing has changed; esc goes back, R there restarts")
        elif not self.face.may_restart():
            return  # the draft stays
        elif self._learned and (layers := fitting(self.draft, self.snapshot.model.features)):
            self.app.push_screen(apply_choice(layers, len(self.draft.every())), self._applied)
        else:
            self._applied("restart")

    def _show_problem(self) -> None:
        """Go to the first table with a problem."""
        for item in self.draft.items():
            problems = self.draft.problems_of(item)
            if problems:
                self.outline.select(item)
                self.form.turn_to(item)
                keys = [field.key for field in self.form.fields]
                self.form.row = keys.index(problems[0].key) if problems[0].key in keys else 0
                return

    def _applied(self, how: str | None) -> None:
        if how is None:
            return
        state = self.draft.now
        changed = state.machine != self.draft.running.machine
        plan = Plan(
            state.experiment, engine=state.machine.engine if changed else "",
            device=state.machine.device if changed else "", keep=how == "keep",
        )  # fmt: skip
        self.dismiss(None)
        done = "changed, with the weights that fit" if plan.keep else "changed, and started anew"
        self.face.restart(plan.experiment, f"{done}: space runs it", plan)

    def explanation(self) -> tuple[str, str, Place]:
        item = self.outline.item
        text = BUILDER["model" if item is ADD else item.table]
        if self._in_form:
            return self.form.field.key, "\n\n".join((*self.form.help_lines(), text)), "form"
        return "Model builder", f"{BUILDER['']}\n\n{text}", "builder"


_OUTLINE = {
    "a": "add", "x": "remove", "delete": "remove", "d": "duplicate", "shift+up": "earlier", "K": "earlier",
    "shift+down": "later", "J": "later", "u": "undo", "p": "presets", "o": "open", "w": "write",
    "question_mark": "explain",
}  # fmt: skip


def open_builder(below: TransportScreen) -> None:
    """The experiment of the run that is shown."""
    face, snapshot = below.face, below.snapshot
    experiment = snapshot.model.experiment or face.experiment
    if experiment is None or face.relaunch is None:
        below.notice("this run cannot be edited: it was not started from an experiment here")
        return
    below.app.push_screen(BuilderScreen(
        experiment, layer=face.main.selected, glyphs=face.glyphs, machine=face.machine(),
        features=snapshot.model.features, sample=snapshot.model.sample, learned=snapshot.step > 0,
    ))  # fmt: skip
