"""Live settings (``l``): learning rate and the like, changed while it trains; ``u`` takes the last change back.

The box stands at the left, so that the loss chart beside it shows at once what a change does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from bptui.protocol.messages import Set
from bptui.spec.experiment import Experiment
from bptui.spec.fields import fields_of
from bptui.spec.layers.base import has_activation
from bptui.spec.networks import layers_of
from bptui.tui.glyphs import Glyphs
from bptui.tui.layout import left_width
from bptui.tui.screens.base import TransportScreen
from bptui.tui.store import Snapshot
from bptui.tui.text import clean, fit, fit_layer, number, wrap
from bptui.tui.widgets.pane import STYLES, Line, Pane

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp

#: What is changed with the optimiser, in this order, where it has it.
OPTIMIZER = ("lr", "momentum", "weight_decay", "clip_norm", "clip_value")
LEAST = 32
"""Cells of the box; where the left column of the main screen is wider, it is as wide."""
VALUE = 11
"""Of them, what is left for the cursor and the value beside a key."""
OFF = math.inf
"""A limit that is off."""


class Setting(NamedTuple):
    """One row: ``key`` as ``Set`` takes it, its value now, and what it does."""

    key: str
    value: float
    about: str

    @property
    def text(self) -> str:
        return "off" if self.value == OFF else number(self.value)


class Changed(NamedTuple):
    """One change that can be taken back: keys with the values they had."""

    key: str
    before: tuple[tuple[str, float], ...]
    after: float


def settings_of(snapshot: Snapshot) -> list[Setting]:
    """What may be changed now, with its values; empty for a run without an experiment."""
    experiment = snapshot.model.experiment
    if experiment is None:
        return script_settings(snapshot) if snapshot.script else []
    now = dict(snapshot.settings)
    helps = {field.key: field.help for field in fields_of(type(experiment.optimizer))}
    rows = []
    for key in OPTIMIZER:
        if not hasattr(experiment.optimizer, key):
            continue
        given = getattr(experiment.optimizer, key)
        value = now.get(key, OFF if key.startswith("clip_") and (now or given is None) else float(given or 0.0))
        if key == "lr" and snapshot.lr:
            value = snapshot.lr
        rows.append(Setting(key, value, helps.get(key, "")))
    rows += _adversary(experiment, now)
    rates = _rates(experiment, snapshot)
    hidden = rates[:-1] or rates
    if hidden:
        every = {value for _, value in hidden}
        rows.append(Setting("dropout", every.pop() if len(every) == 1 else math.nan, "Share of outputs zeroed, in every"
                            " layer but the last."))  # fmt: skip
    batch = now.get("batch_size", float(experiment.data.batch_size))
    rows.append(Setting("batch_size", batch, "Rows an update; a change holds from the next epoch on."))
    if len(hidden) > 1:
        rows += [Setting(f"dropout.{name}", value, f"Share of {name}'s outputs zeroed.") for name, value in hidden]
    return rows


def _adversary(experiment: Experiment, now: dict[str, float]) -> list[Setting]:
    """Of the second optimiser, where there is one: its rate, and what differs from its default."""
    if experiment.adversary is None:
        return []
    optimizer, rows = experiment.adversary.optimizer, []
    for field in fields_of(type(optimizer)):
        given = getattr(optimizer, field.key)
        if field.key in OPTIMIZER and (field.key == "lr" or given != field.default):
            key = f"adversary.{field.key}"
            rows.append(Setting(key, now.get(key, float(given)), f"Of the discriminator. {field.help}"))
    return rows


def script_settings(snapshot: Snapshot) -> list[Setting]:
    """Of a script: what its optimisers say of themselves, then each layer that can be frozen, and dead units."""
    model, now = snapshot.model, dict(snapshot.settings)
    if not model.layers:
        return []
    rows = [
        Setting(
            "lr", snapshot.lr, f"Learning rate of {(*model.optimizers, 'the optimiser')[0]}; groups keep their ratios."
        )
    ]
    for key, value in now.items():
        if "." not in key:
            name, _, number = key.partition("#")
            index = int(number) - 1 if number.isdigit() else 0
            rows.append(Setting(key, value, f"{name} of {(*model.optimizers[index:], 'the optimiser')[0]}."))
    for layer in model.layers:
        if layer.parameters:
            key = f"freeze.{layer.name}"
            rows.append(Setting(key, now.get(key, 0.0), "1: its parameters are updated no more; 0: they are again."))
    for layer, row in zip(model.layers, snapshot.rows, strict=False):
        if row.dead > 0:
            rows.append(Setting(f"revive.{layer.name}", float(row.dead), "Dead units; 0 draws their weights anew."))
    return rows


def freeze(face: BptuiApp) -> None:
    """Freeze the selected layer, or thaw it."""
    snapshot, layers = face.store.snapshot, face.store.snapshot.model.layers
    if not layers:
        face.notice("no layers known yet")
        return
    name = layers[min(face.main.selected, len(layers) - 1)].name
    frozen = dict(snapshot.settings).get(f"freeze.{name}", 0.0)
    face.live_changes.append(Changed(f"freeze.{name}", ((f"freeze.{name}", frozen),), 1.0 - frozen))
    said = f"{name} is updated again" if frozen else f"{name} is frozen: no more updates of it; F again lets it learn"
    face.send(Set(key=f"freeze.{name}", value=1.0 - frozen), said)


def revive(face: BptuiApp) -> None:
    """New weights for the dead units of the selected layer."""
    layers, rows = face.store.snapshot.model.layers, face.store.snapshot.rows
    if not layers:
        face.notice("no layers known yet")
        return
    index = min(face.main.selected, len(layers) - 1)
    dead = rows[index].dead if index < len(rows) else -1
    face.send(
        Set(key=f"revive.{layers[index].name}", value=1.0), f"{layers[index].name}: {max(dead, 0)} units begin anew"
    )


def _rates(experiment: Experiment, snapshot: Snapshot) -> list[tuple[str, float]]:
    now = dict(snapshot.settings)
    rates = []
    for view, layer in zip(snapshot.model.layers, layers_of(experiment), strict=False):
        if not has_activation(layer):
            continue
        rates.append((view.name, now.get(f"dropout.{view.name}", float(getattr(layer, "dropout", 0.0)))))
    return rates


def read_value(key: str, text: str) -> float:
    """What was typed for a setting. ValueError in one line."""
    text = text.strip()
    if key.startswith("clip_") and text.lower() in ("", "off", "none"):
        return OFF
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{key}: {text[:20]!r} is not a number" if text else f"{key}: expected a number") from None
    if key == "batch_size" and (value != value or value != int(value) or value < 1):
        raise ValueError(f"{key}: expected a whole number of at least 1")
    if key.startswith("freeze.") and value not in (0, 1):
        raise ValueError(f"{key}: expected 1 (frozen) or 0")
    rate = key in ("lr", "adversary.lr")
    if not math.isfinite(value) or value < 0 or (value == 0 and (rate or key.startswith("clip_"))):
        raise ValueError(f"{key}: expected a number {'above 0' if rate else 'of at least 0'}")
    if (key.startswith("dropout") or key == "momentum") and value >= 1:
        raise ValueError(f"{key}: expected less than 1")
    return value


def change(face: BptuiApp, setting: Setting, value: float) -> None:
    """Send a change, and remember what takes it back."""
    key = setting.key
    before: tuple[tuple[str, float], ...] = ((key, setting.value),)
    if key == "dropout":  # each layer gets back its own
        rows = settings_of(face.store.snapshot)
        single = tuple((row.key, row.value) for row in rows if row.key.startswith("dropout."))
        before = single or before
    if key.startswith("revive."):  # what is drawn anew cannot be taken back
        face.send(Set(key=key, value=1.0), f"{key.partition('.')[2]}: its dead units begin anew")
        return
    word = "off" if value == OFF else number(value)
    later = " from the next epoch on" if key == "batch_size" else ""
    face.live_changes.append(Changed(key, before, value))
    face.send(Set(key=key, value=value), f"{key} {setting.text} → {word}{later}; u takes it back")


def undo(face: BptuiApp) -> None:
    """Take the last change of this face back, and say what it was."""
    if not face.live_changes:
        face.notice("no setting was changed here")
        return
    last = face.live_changes.pop()
    words = ", ".join("off" if value == OFF else number(value) for value in dict.fromkeys(v for _, v in last.before))
    now = "off" if last.after == OFF else number(last.after)
    for key, value in last.before:
        face.send(Set(key=key, value=value), f"undone: {last.key} {now} → {words}")


def key_within(key: str, width: int) -> str:
    """A key as its row shows it: of a layer's long name what it lies in gives way (``dropout.g.dense1``)."""
    head, dot, layer = key.partition(".")
    return key if len(key) <= width or not dot else f"{head}.{fit_layer(layer, width - len(head) - 1).rstrip()}"


class SettingsPane(Pane, can_focus=False):
    """The rows, and what is being typed into one."""

    title = "Live settings"

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(snapshot, glyphs=glyphs, id="live")
        self.row = 0
        self.text: str | None = None
        self.error = ""
        self._first = 0

    def lit(self) -> bool:
        return True

    def heading(self) -> list[tuple[int, str, str]]:
        return [(1, f" {self.title} ", "title")]

    def rows(self) -> list[Setting]:
        return settings_of(self.snapshot)

    def inside(self, width: int, height: int) -> list[Line]:
        rows = self.rows()
        if not rows:
            return [[("This run has no settings to change.", "dim")]]
        self.row = min(self.row, len(rows) - 1)
        given = max(1, height - 5)
        self._first = max(0, min(max(self._first, self.row - given + 1), self.row, len(rows) - given))
        keys = [key_within(clean(row.key, 60), max(12, width - VALUE)) for row in rows]
        label = max(map(len, keys))
        lines: list[Line] = []
        for index, row in enumerate(rows[self._first : self._first + given], self._first):
            here = index == self.row
            on = "+cursor" if here else ""
            lead = (f"{self.glyphs.cursor} " if here else "  ", "key" + on)
            value: Line = [(row.text, ("dim" if row.value in (0, OFF) else "first") + on)]
            if row.value != row.value:
                value = [("differs", "dim" + on)]
            if here and self.text is not None:
                value = [(self.text, "strong" + on), (" ", "strong+caret")]
            lines.append([lead, (fit(keys[index], label + 2), ("strong" if here else "text") + on), *value])
            used = sum(len(text) for text, _ in lines[-1])
            lines[-1].append((" " * max(0, width - used), "text" + on))
        lines += [[] for _ in range(height - 5 - len(lines))]
        note, tone = (self.error, "bad") if self.error else (rows[self.row].about, "dim")
        lines += [[(part, tone)] for part in [*wrap(note, width, 3), "", "", ""][:3]]
        hint = "enter applies, esc drops" if self.text is not None else "type a value, u undo, esc"
        lines.append([])
        lines.append([(fit(hint, width).rstrip(), "dim")])
        return lines

    def rows_wanted(self) -> int:
        return len(self.rows()) + 7

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        row = event.y - 1 + self._first
        if self.text is None and 0 <= row < len(self.rows()):
            self.row = row
            self.show()


class SettingsScreen(ModalScreen[None]):
    """All keys come to the screen, in their order."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"drawn--{name}" for name in STYLES}

    def __init__(self, snapshot: Snapshot, glyphs: Glyphs) -> None:
        super().__init__(id="settings")
        self.pane = SettingsPane(snapshot, glyphs)

    @property
    def face(self) -> BptuiApp:
        return cast("BptuiApp", self.app)

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self._arrange()
        self.set_interval(0.25, self._follow)

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        self.pane.styles.width = max(LEAST, left_width(self.app.size.width))
        self.pane.styles.height = min(self.pane.rows_wanted(), self.app.size.height - 2)

    def _follow(self) -> None:
        """Values as the trainer says they are."""
        self.pane.show(self.face.store.snapshot)

    async def on_key(self, event: events.Key) -> None:
        if self._take(event):
            event.stop()
            event.prevent_default()
            self.pane.show(self.face.store.snapshot)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.pane.text = clean(event.text.splitlines()[0] if event.text else "", 30)
        self.pane.show()

    def _take(self, event: events.Key) -> bool:
        pane, key = self.pane, event.key
        rows = pane.rows()
        moves = {"up": -1, "k": -1, "shift+tab": -1, "down": 1, "j": 1, "tab": 1}
        typing = pane.text is not None
        if key == "escape":
            if typing or pane.error:
                pane.text, pane.error = None, ""
            else:
                self.dismiss(None)
        elif key == "enter":
            self._apply(rows)
        elif key in moves and (not typing or key not in ("j", "k")):
            if rows:
                pane.row = max(0, min(len(rows) - 1, pane.row + moves[key]))
            pane.text, pane.error = None, ""
        elif key == "backspace":
            pane.text = (pane.text if pane.text is not None else rows[pane.row].text if rows else "")[:-1]
            pane.error = ""
        elif not typing and key == "u":
            undo(self.face)
        elif not typing and key in ("l", "q"):
            self.dismiss(None)
        elif not typing and key == "space":
            self.face.main.action_run_pause()
        elif event.is_printable and event.character and event.character in "0123456789.e+-off":
            pane.text, pane.error = ((pane.text or "") + event.character)[:24], ""
        else:
            return event.is_printable
        return True

    def _apply(self, rows: list[Setting]) -> None:
        pane = self.pane
        if pane.text is None or not rows:
            return
        row = rows[pane.row]
        try:
            value = read_value(row.key, pane.text)
        except ValueError as error:
            pane.error = str(error)
            return
        pane.text, pane.error = None, ""
        if value != row.value:
            change(self.face, row, value)


def open_settings(below: TransportScreen) -> None:
    """The settings that may be changed now."""
    snapshot = below.snapshot
    if not settings_of(snapshot):
        below.notice("the script has made no update yet" if snapshot.script else "this run has no settings to change")
    elif snapshot.read_only or snapshot.link == "ended":
        below.notice("the run has ended: there is nothing to set")
    else:
        below.app.push_screen(SettingsScreen(snapshot, below.face.glyphs))
