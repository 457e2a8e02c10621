"""What the builder asks: which preset, which file, and how to apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from bptui.spec.check import SpecError
from bptui.spec.describe import describe
from bptui.spec.load import load, presets, sizes
from bptui.tui.text import clean, fit
from bptui.tui.widgets.field import Field
from bptui.tui.widgets.options import Options, OptionsScreen

BLANK = "nothing"


class Choice(OptionsScreen[str | None]):
    """A list with a line about the row under the cursor; gives back the row's name."""

    BINDINGS = [("escape,q", "dismiss(None)", "Back")]  # noqa: RUF012

    def __init__(self, title: str, rows: Sequence[tuple[str, str, str]], question: str = "") -> None:
        """``rows``: name, what is shown, what is said about it."""
        super().__init__()
        self._title, self._rows, self._question = title, tuple(rows), question

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "enter takes it, esc goes back"
            if self._question:
                yield Static(self._question, markup=False)
            yield Options(*(Option(text, id=name) for name, text, _ in self._rows), markup=False)
            yield Static(" ", id="about", markup=False)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one("#about", Static).update(self._rows[event.option_index][2] or " ")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


def preset_choice() -> Choice:
    """Every preset and variant, after a network without layers. Names: ``nothing``, ``digits``, ``init:zeros``."""
    rows = [(BLANK, fit("nothing", 22) + "an empty network: add layers with a", "Data and loss stay as they are.")]
    for name, description in presets().items():
        try:
            experiment = load(name)
        except SpecError:
            continue
        shape = sizes([row.units for row in describe(experiment) if row.units])
        rows.append((name, fit(name, 22) + fit(f"{experiment.data.source} {shape}", 40).rstrip(), clean(description)))
        for variant in experiment.variant:
            shown = fit(f"   {variant.name}", 22) + fit(clean(variant.about), 46).rstrip()
            rows.append((f"{name}:{variant.name}", shown, f"{name} with {', '.join(map(clean, variant.set))}"))
    return Choice("Start from", rows)


class PathScreen(ModalScreen[str | None]):
    """Asks for a file's name until ``act`` has done its work; gives back what ``act`` said.

    ``act(path, sure)`` does the work and returns what to say; it raises SpecError where it cannot, and
    ``AskFirst`` where Enter must be pressed once more.
    """

    BINDINGS = [("escape", "dismiss(None)", "Back")]  # noqa: RUF012

    def __init__(self, title: str, path: str, act: Callable[[Path, bool], str]) -> None:
        super().__init__()
        self._title, self._path, self._act = title, path, act
        self._asked = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            box.border_subtitle = "enter takes it, esc goes back"
            yield Field(self._path, id="path", compact=True, select_on_focus=False)
            yield Static(" ", id="problem", markup=False)

    def on_mount(self) -> None:
        self.query_one(Field).focus()

    def on_input_changed(self, event: Field.Changed) -> None:
        self._asked = ""
        self.query_one("#problem", Static).update(" ")

    def on_input_submitted(self, event: Field.Submitted) -> None:
        text = event.value.strip()
        if not text:
            return
        try:
            said = self._act(Path(text).expanduser(), self._asked == text)
        except AskFirst as question:
            self._asked = text
            self.query_one("#problem", Static).update(clean(str(question), 300))
        except SpecError as error:
            self.query_one("#problem", Static).update(clean(str(error), 300))
        else:
            self.dismiss(said)


class AskFirst(Exception):
    """Something would be lost: the text asks whether it shall be."""
