"""The experiment that is being built, with every step back: no screen in here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from bptui.spec.changes import Change, between, changes
from bptui.spec.check import Problem, check, needed_units
from bptui.spec.describe import Row, describe
from bptui.spec.experiment import Dense, EngineName, Experiment, Layer, Spec, layer_names
from bptui.spec.fields import TAGGED, Field, fields_of, switched
from bptui.spec.layers.base import Joining
from bptui.spec.sources import source_of

NEW_UNITS = 16


class Machine(Spec, frozen=True, kw_only=True):
    """What the run is computed with, and where. (The precision is a key of the experiment: dtype.)"""

    engine: EngineName = "auto"
    """auto: torch where there is CUDA, else NumPy where it can run the model, else torch."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1; the NumPy engine runs on the cpu."""


class Item(NamedTuple):
    """One table of the outline; ``layer`` counts the layers."""

    table: str
    layer: int = 0


class State(msgspec.Struct, frozen=True):
    """What is undone and redone."""

    experiment: Experiment
    machine: Machine


#: The outline's order: layers stand between data and loss.
ABOVE, BELOW = ("data",), ("loss", "optimizer", "schedule", "stop", "experiment", "machine")


@cache
def kind_field(table: str) -> Field:
    """The row that chooses between the kinds of a tagged table."""
    key, kinds = TAGGED[table]
    return Field(key, "choice", tuple(kinds), None, False, "")


def chooses_kind(item: Item, field: Field) -> bool:
    return item.table in TAGGED and field is kind_field(item.table)


class Draft:
    """``now`` is what stands there; ``running`` is what it is compared with."""

    def __init__(
        self, running: Experiment, machine: Machine | None = None, features: int = 0, sample: tuple[int, ...] = ()
    ) -> None:
        """Of the running experiment's data, where only the trainer knows it: columns, and the shape of a sample."""
        self.running = State(running, machine or Machine())
        self._features, self._sample = features, sample
        self._past: list[State] = []
        self._future: list[State] = []
        self.merging: Hashable = None
        self.now = self.running
        self._rows: tuple[State | None, tuple[Row, ...]] = None, ()
        self._problems: tuple[State | None, list[Problem]] = None, []

    # -- looking -----------------------------------------------------------------------------------
    @property
    def experiment(self) -> Experiment:
        return self.now.experiment

    def items(self) -> list[Item]:
        layers = [Item("model", index) for index in range(len(self.experiment.model))]
        found, adversary = [*map(Item, ABOVE), *layers, *map(Item, BELOW)], self.experiment.adversary
        if adversary is not None:
            judges = [Item("adversary.model", index) for index in range(len(adversary.model))]
            place = found.index(Item("optimizer")) + 1
            found[place:place] = [Item("adversary"), *judges, Item("adversary.optimizer")]
        return found

    def struct(self, item: Item) -> Any:
        """The Struct that an item stands for."""
        if item.table == "machine":
            return self.now.machine
        if item.table == "model":
            return self.experiment.model[item.layer]
        outer, _, inner = item.table.partition(".")
        found = getattr(self.experiment, outer)
        found = getattr(found, inner) if inner else found
        return found[item.layer] if isinstance(found, tuple) else found

    def word(self, item: Item) -> str:
        """What a table of the discriminator is called: a layer by its name."""
        adversary = self.experiment.adversary
        if item.table == "adversary.model" and adversary is not None:
            return layer_names(adversary.model)[item.layer]
        return item.table.rpartition(".")[2]

    def fields(self, item: Item) -> tuple[Field, ...]:
        """The rows of an item's form; the first one of a tagged table chooses its kind."""
        kind: type[msgspec.Struct] = type(self.struct(item))
        own = fields_of(kind)
        return (kind_field(item.table), *own) if item.table in TAGGED else own

    def value(self, item: Item, field: Field) -> Any:
        struct = self.struct(item)
        return str(struct.__struct_config__.tag) if chooses_kind(item, field) else getattr(struct, field.key)

    @property
    def features(self) -> int:
        """Columns of the data, 0 where they are not known before they are read."""
        data = self.experiment.data
        if (source := source_of(data)) is not None:
            return source.features
        return self._features if data.source == self.running.experiment.data.source else 0

    def rows(self) -> tuple[Row, ...]:
        """Names, shapes and parameter counts of the layers as they now are; of two networks the generator's."""
        if self.experiment.adversary is None:
            return self.every()
        own = self.every()[: len(self.experiment.model)]
        return tuple(
            row._replace(name=name) for row, name in zip(own, layer_names(self.experiment.model), strict=True)
        )

    def every(self) -> tuple[Row, ...]:
        """The layers of both networks too, where there are two, by their whole names."""
        if self._rows[0] is not self.now:
            self._rows = self.now, describe(self.experiment, self.features or None, self.sample)
        return self._rows[1]

    @property
    def sample(self) -> tuple[int, ...] | None:
        """Shape of a sample, None where it is a row, or not known before it is read."""
        same = self.experiment.data == self.running.experiment.data
        return self._sample if self._sample and same else None

    def problems(self) -> list[Problem]:
        if self._problems[0] is not self.now:
            self._problems = self.now, self._found()
        return self._problems[1]

    def _found(self) -> list[Problem]:
        known = self.sample or ((self.features,) if self.features else None)
        found = list(check(self.experiment, known))
        machine = self.now.machine
        if machine.engine == "numpy" and machine.device not in ("auto", "cpu", ""):
            found.append(Problem("machine", "device", "the NumPy engine runs on the cpu: take auto or cpu"))
        return found

    def problems_of(self, item: Item) -> list[Problem]:
        tables, adversary = item.table, self.experiment.adversary
        if not tables.endswith("model"):
            return [p for p in self.problems() if p.table == tables]
        model = adversary.model if tables != "model" and adversary is not None else self.experiment.model
        name, own = layer_names(model)[item.layer], model[item.layer].name
        return [
            p for p in self.problems()
            if p.table == f"{tables}.{name}" or (p.table == tables and p.key == "name" and repr(own[:64]) in p.message)
        ]  # fmt: skip

    def changes(self) -> list[Change]:
        """What differs from the running experiment."""
        return changes(self.running.experiment, self.experiment) + between(
            "machine", self.running.machine, self.now.machine
        )

    # -- changing ----------------------------------------------------------------------------------
    def put(self, state: State, merge: Hashable = None) -> bool:
        """Another state; changes with the same ``merge`` in a row are undone as one. Whether anything changed."""
        if state == self.now:
            return False
        if merge is None or merge != self.merging:
            self._past.append(self.now)
        self.merging = merge
        self._future.clear()
        self.now = state
        return True

    def separate(self) -> None:
        """What comes next is undone on its own."""
        self.merging = None

    def undo(self) -> bool:
        return self._travel(self._past, self._future)

    def redo(self) -> bool:
        return self._travel(self._future, self._past)

    def _travel(self, source: list[State], into: list[State]) -> bool:
        self.merging = None
        if not source:
            return False
        into.append(self.now)
        self.now = source.pop()
        return True

    def load(self, experiment: Experiment) -> None:
        """A whole other experiment, from a preset or a file."""
        self.put(replace(self.now, experiment=experiment))

    def set(self, item: Item, field: Field, value: Any, merge: Hashable = None) -> str:
        """One key. Returns what else was changed with it, in words; empty: nothing."""
        struct = self.struct(item)
        if chooses_kind(item, field):
            changed = switched(struct, TAGGED[item.table][1][value])
        else:
            changed = replace(struct, **{field.key: value})
        state = self._with(item, changed)
        said = ""
        if item.table in ("data", "loss"):
            state, said = _head_follows(self.now, state)
        self.put(state, merge)
        return said

    def _with(self, item: Item, struct: Any) -> State:
        if item.table == "machine":
            return replace(self.now, machine=struct)
        if item.table == "model":
            model = list(self.experiment.model)
            model[item.layer] = struct
            return self._model(model)
        outer, _, inner = item.table.partition(".")
        if inner:
            whole = getattr(self.experiment, outer)
            if inner == "model":
                struct = (*whole.model[: item.layer], struct, *whole.model[item.layer + 1 :])
            struct = replace(whole, **{inner: struct})
        return replace(self.now, experiment=replace(self.experiment, **{outer: struct}))

    def _model(self, layers: list[Any]) -> State:
        return replace(self.now, experiment=replace(self.experiment, model=tuple(layers)))

    # -- layers ------------------------------------------------------------------------------------
    def place(self, after: int) -> int:
        """Where a layer behind layer ``after`` (−1: the first) stands: before the last, which belongs to the data."""
        return min(max(after + 1, 0), max(0, len(self.experiment.model) - 1))

    def with_layer(self, layer: Layer, place: int) -> Draft:
        """Another draft, with the layer at ``place``; of nothing that could be undone."""
        other = Draft(self.running.experiment, self.running.machine, self._features, self._sample)
        order: list[int | Layer] = list(range(len(self.experiment.model)))
        order.insert(place, layer)
        other.now = self._arranged(order)
        return other

    def add(self, layer: Layer, after: int) -> int:
        """``layer`` behind layer ``after``, or before the last; returns its index."""
        place = self.place(after)
        self.put(self.with_layer(layer, place).now)
        return place

    def begin(self) -> int:
        """Into an empty network the output layer comes first, as wide as the data need. Returns its index."""
        self.put(self._model([Dense(units=needed_units(self.experiment) or NEW_UNITS)]))
        return 0

    def remove(self, index: int) -> int:
        """Take a layer away; returns the index of the one to look at next."""
        total = len(self.experiment.model)
        self.put(self._arranged([at for at in range(total) if at != index]))
        return max(0, min(index, total - 2))

    def duplicate(self, index: int) -> int:
        """The same layer once more, behind it (a copy of the last comes before it)."""
        order: list[int | Layer] = list(range(len(self.experiment.model)))
        order.insert(index + 1, replace(self.experiment.model[index], name=""))
        self.put(self._arranged(order))
        return index + 1

    def move(self, index: int, by: int) -> int:
        """Change places with a neighbour; returns where the layer is then."""
        order, place = list(range(len(self.experiment.model))), index + by
        if not 0 <= place < len(order):
            return index
        order[index], order[place] = order[place], order[index]
        self.put(self._arranged(order))
        return place

    def _arranged(self, order: Sequence[int | Layer]) -> State:
        """The layers of these indices, and new ones, in this order.

        Who reads a layer by its name goes on reading that layer: names that are a kind and a running number change.
        """
        model = self.experiment.model
        before = layer_names(model)
        layers = [model[each] if isinstance(each, int) else each for each in order]
        after = layer_names(layers)
        now = {before[each]: after[at] for at, each in enumerate(order) if isinstance(each, int)}
        now = {was: name for was, name in now.items() if was != name}
        for at, layer in enumerate(layers):
            given: dict[str, Any] = {"input": now[layer.input]} if layer.input in now else {}
            if isinstance(layer, Joining) and any(name in now for name in layer.of):
                given["of"] = tuple(now.get(name, name) for name in layer.of)
            if given:
                layers[at] = replace(layer, **given)
        return self._model(layers)

    def blank(self) -> None:
        """No layer at all; data, loss and the rest stay."""
        self.put(self._model([]))


def _head_follows(before: State, after: State) -> tuple[State, str]:
    """Other data or another loss: a last layer that fitted before shall fit again."""
    experiment = after.experiment
    if not experiment.model or not before.experiment.model:
        return after, ""
    last, needed = experiment.model[-1], needed_units(experiment)
    was = getattr(before.experiment.model[-1], "units", 0)
    if not isinstance(last, Dense) or not needed or last.units == needed or was != needed_units(before.experiment):
        return after, ""
    model = (*experiment.model[:-1], replace(last, units=needed))
    name = layer_names(model)[-1]
    return replace(after, experiment=replace(experiment, model=model)), f"{name} follows: {last.units} → {needed} units"
