"""Edit the model: units and activation of a layer, the learning rate; Apply starts a new run with them."""

from __future__ import annotations

from typing import get_args

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from bptui.spec.experiment import Activation, Dense, Experiment, layer_names
from bptui.tui.text import clean, number

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
MOST_UNITS = 1_000_000


class EditScreen(ModalScreen[Experiment | None]):
    """Gives back the changed experiment, or None."""

    BINDINGS = [  # noqa: RUF012 (as Textual declares it)
        Binding("escape", "dismiss(None)", "Back"),
        Binding("ctrl+s", "apply", "Apply and restart", priority=True),
        Binding("ctrl+up", "layer(-1)", "Layer before", priority=True),
        Binding("ctrl+down", "layer(1)", "Next layer", priority=True),
        Binding("ctrl+n", "add", "Add a layer", priority=True),
        Binding("ctrl+d", "remove", "Remove the layer", priority=True),
    ]

    def __init__(self, experiment: Experiment, layer: int) -> None:
        super().__init__()
        self._before = experiment
        self.draft = experiment
        self._index = min(layer, len(experiment.model) - 1)
        self.problem = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Edit"
            yield Static("", id="sizes", markup=False)
            for label, name in FIELDS:
                with Horizontal(classes="row"):
                    yield Static(label, classes="label", markup=False)
                    if name == "name":
                        yield Static("", id="name", markup=False)
                    else:
                        suggester = SuggestFromList(ACTIVATIONS) if name == "activation" else None
                        yield Input(id=name, suggester=suggester, compact=True, select_on_focus=True)
                        yield Static(HINTS[name], classes="hint", markup=False)
            yield Static("", id="problem", markup=False)
            yield Static(
                "enter applies and restarts · ctrl+↑ ctrl+↓ layer · ctrl+n adds one after it · ctrl+d removes it"
                " · esc back",
                id="how",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one("#units", Input).focus()
        self._fill()

    # -- the form ----------------------------------------------------------------------------------
    def _fill(self) -> None:
        layer = self.draft.model[self._index]
        with self.prevent(Input.Changed):
            self.query_one("#units", Input).value = str(layer.units)
            self.query_one("#activation", Input).value = layer.activation
            self.query_one("#lr", Input).value = number(self.draft.optimizer.lr)
        for field in self.query(Input):
            if field.has_focus:
                field.action_select_all()  # typing replaces what is there
        self._judge()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._judge()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_apply()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down"):
            event.stop()
            self.focus_next(Input) if event.key == "down" else self.focus_previous(Input)

    def _judge(self) -> None:
        """Read the form into the draft, or say what is wrong with it."""
        try:
            self.draft = self._read()
            self.problem = problem_of(self.draft)
        except ValueError as error:
            self.problem = str(error)
        names = layer_names(self.draft.model)
        marked = [f"[{la.units}]" if i == self._index else str(la.units) for i, la in enumerate(self.draft.model)]
        self.query_one("#sizes", Static).update(" - ".join(marked))
        self.query_one("#name", Static).update(f"{clean(names[self._index], 60)}   {self._index + 1} of {len(names)}")
        self.query_one("#problem", Static).update(clean(self.problem, 300))

    def _read(self) -> Experiment:
        units = _whole(self.query_one("#units", Input).value)
        activation = self.query_one("#activation", Input).value.strip()
        if activation not in ACTIVATIONS:
            from bptui.spec.check import nearest

            raise ValueError(f"activation: no {clean(activation, 30)!r}{nearest(activation, ACTIVATIONS)}")
        rate = _rate(self.query_one("#lr", Input).value)
        layer = msgspec.structs.replace(self.draft.model[self._index], units=units, activation=activation)
        model = (*self.draft.model[: self._index], layer, *self.draft.model[self._index + 1 :])
        optimizer = msgspec.structs.replace(self.draft.optimizer, lr=rate)
        return msgspec.structs.replace(self.draft, model=model, optimizer=optimizer)

    # -- actions -----------------------------------------------------------------------------------
    def action_layer(self, by: int) -> None:
        if not self.problem:
            self._index = max(0, min(len(self.draft.model) - 1, self._index + by))
            self._fill()

    def action_add(self) -> None:
        if self.problem:
            return
        here = self.draft.model[self._index]
        last = self._index == len(self.draft.model) - 1
        # the last layer's size belongs to the data: a new one comes before it
        place = self._index if last else self._index + 1
        activation = self.draft.model[self._index - 1].activation if last and self._index else here.activation
        new = Dense(units=16 if last else here.units, activation=activation if activation != "identity" else "relu")
        self.draft = msgspec.structs.replace(
            self.draft, model=(*self.draft.model[:place], new, *self.draft.model[place:])
        )
        self._index = place
        self._fill()

    def action_remove(self) -> None:
        if len(self.draft.model) < 2 or self._index == len(self.draft.model) - 1:
            self.query_one("#problem", Static).update("the last layer gives the outputs: it stays")
            return
        self.draft = msgspec.structs.replace(
            self.draft, model=(*self.draft.model[: self._index], *self.draft.model[self._index + 1 :])
        )
        self._fill()

    def action_apply(self) -> None:
        self._judge()  # what was typed last may not have been looked at yet
        if not self.problem:
            self.dismiss(self.draft)


FIELDS = (("layer", "name"), ("units", "units"), ("activation", "activation"), ("learning rate", "lr"))
HINTS = {
    "units": "outputs of this layer",
    "activation": "→ takes the suggestion",
    "lr": "η in W ← W − η·∂L/∂W",
}


def _whole(text: str) -> int:
    try:
        value = int(text.strip().replace(",", "").replace("_", ""))
    except ValueError:
        raise ValueError(f"units: {clean(text.strip(), 30)!r} is not a whole number") from None
    if not 1 <= value <= MOST_UNITS:
        raise ValueError(f"units: {value} is not between 1 and {MOST_UNITS:,}")
    return value


def _rate(text: str) -> float:
    try:
        value = float(text.strip())
    except ValueError:
        raise ValueError(f"learning rate: {clean(text.strip(), 30)!r} is not a number") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"learning rate: {text.strip()} is not a number of 0 or more")
    return value


def problem_of(experiment: Experiment) -> str:
    """The first thing that the experiment's own rules say against it; empty: nothing."""
    from bptui.spec.check import check

    problems = check(experiment)
    return str(problems[0]) if problems else ""
