"""The model builder: its draft without a screen, and what its keys and the mouse do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_session import FakeSession, experiment, model_info, status, story
from screen_text import SIZES, check, lines, settle, shown, text, until
from textual.widgets import OptionList

from bptui.protocol.messages import Keep, Stop
from bptui.runs.keyframes import folder
from bptui.spec.experiment import Adam, BinaryCrossEntropy, Dense, Experiment
from bptui.spec.fields import TAGGED, fields_of
from bptui.spec.load import load, presets
from bptui.tui import keys, shapes
from bptui.tui.app import BptuiApp
from bptui.tui.glyphs import ASCII, BRAILLE
from bptui.tui.screens.builder.adding import offers
from bptui.tui.screens.builder.draft import Draft, Item
from bptui.tui.screens.builder.screen import BuilderScreen

SPEC = experiment()
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


TABLES = {f.name for f in msgspec.structs.fields(Experiment)} - {"variant"} | {"machine"}


def field(draft: Draft, item: Item, key: str) -> Any:
    return next(each for each in draft.fields(item) if each.key == key)


# -- the draft -------------------------------------------------------------------------------------
def test_every_table_of_an_experiment_is_an_item_and_every_key_a_field() -> None:
    assert {item.table for item in Draft(SPEC).items()} == TABLES - {"adversary"}
    draft = Draft(load("gan-2d"))
    assert {item.table for item in draft.items()} == TABLES | {"adversary.model", "adversary.optimizer"}
    for item in [*Draft(SPEC).items(), *draft.items()]:
        if item.table == "adversary":
            assert [each.key for each in draft.fields(item)] == ["noise", "goal", "updates"]
            continue
        keys = [each.key for each in draft.fields(item)]
        own = draft.struct(item).__struct_fields__
        assert sorted(keys) == sorted([TAGGED[t][0] for t in (item.table,) if t in TAGGED] + list(own))
        shown_values = {each.key: draft.value(item, each) for each in draft.fields(item)}
        assert [shown_values[key] for key in own] == [getattr(draft.struct(item), key) for key in own]


def test_each_of_two_networks_is_changed_in_its_own_tables() -> None:
    draft = Draft(load("gan-2d"))
    judge, rate = Item("adversary.model", 2), Item("adversary.optimizer")
    draft.set(judge, field(draft, judge, "units"), 3)
    assert [str(problem) for problem in draft.problems_of(judge)] == [
        "[adversary.model.dense3] units: true or generated is told by one logit, got 3 outputs"
    ]
    assert not draft.problems_of(Item("model", 2)), "of the generator's layer of that name nothing is wrong"
    assert draft.undo()
    draft.set(rate, field(draft, rate, "lr"), 0.5)
    draft.set(Item("adversary"), field(draft, Item("adversary"), "noise"), 3)
    changed = [str(change) for change in draft.changes()]
    assert changed[0] == "adversary.noise: 8 → 3" and changed[1].startswith("adversary.optimizer.lr: 0.00")
    assert [row.name for row in draft.rows()] == ["dense1", "dense2", "dense3"] and draft.rows()[0].inputs == 3
    draft.add(Dense(units=5), 0)
    assert [row.units for row in draft.every()] == [64, 5, 64, 2, 2, 64, 64, 1] and not draft.problems()


def test_undo_and_redo_take_typing_as_one_step() -> None:
    draft, item = Draft(SPEC), Item("model", 0)
    units = field(draft, item, "units")
    for value in (2, 24, 240):
        draft.set(item, units, value, merge="one")
    draft.separate()
    draft.set(Item("optimizer"), field(draft, Item("optimizer"), "lr"), 0.3, merge="one")
    assert draft.undo() and draft.experiment.model[0].units == 240 and draft.experiment.optimizer.lr == 0.1
    assert draft.undo() and draft.experiment == SPEC and not draft.undo()
    assert draft.redo() and draft.redo() and not draft.redo()
    assert draft.experiment.model[0].units == 240 and draft.experiment.optimizer.lr == 0.3
    assert draft.undo()
    draft.duplicate(0)
    assert not draft.redo(), "another change forgets what was undone"


def test_layers_come_go_double_and_move() -> None:
    draft = Draft(SPEC)

    def sizes() -> list[int]:
        return [layer.units for layer in draft.experiment.model]

    def add(after: int) -> int:
        return draft.add(offers(draft, after)[0].layer, after)

    assert add(0) == 1 and sizes() == [32, 32, 16, 10]
    assert add(3) == 3 and sizes() == [32, 32, 16, 16, 10], "the last layer belongs to the data"
    assert draft.experiment.model[3].activation == "relu"
    assert draft.move(0, 1) == 1 and draft.move(0, -1) == 0 and sizes() == [32, 32, 16, 16, 10]
    assert draft.move(1, 1) == 2 and sizes() == [32, 16, 32, 16, 10]
    assert draft.duplicate(2) == 3 and sizes() == [32, 16, 32, 32, 16, 10]
    for _ in range(6):
        draft.remove(0)
    assert sizes() == [] and "at least one layer" in str(draft.problems()[0])
    assert draft.begin() == 0 and sizes() == [10], "as many as the data need"
    assert add(0) == 0 and sizes() == [16, 10] and draft.problems() == []


def test_other_data_take_the_last_layer_along() -> None:
    draft = Draft(SPEC)
    said = draft.set(Item("data"), field(draft, Item("data"), "source"), "spiral")
    assert draft.experiment.model[-1].units == 3 and said == "dense3 follows: 10 → 3 units" and not draft.problems()
    assert draft.rows()[0].inputs == 2
    assert draft.undo() and draft.experiment == SPEC


@pytest.mark.parametrize(
    ("preset", "behind", "first"),
    [
        ("cnn", "conv2d1", "conv2d"), ("cnn", "max_pool1", "conv2d"), ("cnn", "flatten1", "dense"),
        ("resnet", "block1", "conv2d"), ("lstm-speech", "", "lstm"), ("char-transformer", "transformer_block1",
        "transformer_block"), ("digits", "dense1", "dense"),
    ],
)  # fmt: skip
def test_what_is_offered_first_fits_and_names_stay_with_their_layers(preset: str, behind: str, first: str) -> None:
    draft = Draft(load(preset))
    names = [row.name for row in draft.rows()]
    of = {row.name: [names[s] for s in row.sources if s >= 0] for row in draft.rows()}
    after = names.index(behind) if behind else -1
    found = offers(draft, after)
    assert found[0].kind == first and not found[0].misfit and not found[0].later
    assert {offer.kind for offer in found} == set(TAGGED["model"][1]), "those that do not fit stand there with a reason"
    assert all(offer.misfit for offer in found if offer.kind == "embedding")
    at = draft.add(found[0].layer, after)
    assert at == after + 1 and draft.problems() == []
    rows = draft.rows()
    was = dict(zip((row.name for i, row in enumerate(rows) if i != at), names, strict=True))
    for index, row in enumerate(rows):
        if index not in (at, at + 1) and row.sources[0] >= 0:
            assert [was[rows[s].name] for s in row.sources] == of[was[row.name]]
    assert draft.undo() and draft.experiment == load(preset)


def test_who_reads_a_layer_by_its_name_goes_on_reading_that_layer() -> None:
    draft = Draft(load("resnet"))
    draft.set(Item("model", 6), field(draft, Item("model", 6), "of"), ("conv2d1",))
    draft.duplicate(0)
    assert draft.experiment.model[7].of == ("conv2d1",) and draft.experiment.model[0].name == ""
    draft.move(0, 1)
    assert draft.experiment.model[7].of == ("conv2d2",), "the first of two convolutions is now the second"
    draft.remove(0)
    assert draft.experiment.model[6].of == ("conv2d1",)


def test_behind_a_layer_that_does_not_fit_nothing_is_known() -> None:
    draft = Draft(load("cnn"))
    draft.set(Item("model", 2), field(draft, Item("model", 2), "kernel"), 40)
    rows = draft.rows()
    assert [bool(row.shape) for row in rows] == [True, True, False, False, False, False, False]
    assert [row.parameters for row in rows[2:]] == [None] * 5
    assert [bool(draft.problems_of(Item("model", at))) for at in range(7)] == [at == 2 for at in range(7)]


def test_lanes_join_a_layer_to_those_that_read_it() -> None:
    rows = [(-1,), (0,), (1,), (2, 0), (3,), (4,), (5, 3), (6, 0)]
    assert shapes.lanes(rows, BRAILLE) == ["╭─", "│ ", "│ ", "├╭", "││", "││", "│╰", "╰─"]
    assert shapes.lanes([(-1,), (0,), (1,)], BRAILLE) == [""] * 3
    assert all(line.isascii() for line in shapes.lanes(rows, ASCII))
    deep = [(-1,), *((k - 1,) for k in range(1, 6)), *((5 + k, 5 - k) for k in range(1, 6))]
    assert {len(line) for line in shapes.lanes(deep, BRAILLE)} == {shapes.MOST_LANES}


def test_problems_stand_at_their_field() -> None:
    draft = Draft(SPEC)
    draft.set(Item("model", 1), field(draft, Item("model", 1), "units"), 0)
    draft.set(Item("model", 0), field(draft, Item("model", 0), "name"), "2 bad")
    draft.set(Item("machine"), field(draft, Item("machine"), "engine"), "numpy")
    draft.set(Item("machine"), field(draft, Item("machine"), "device"), "cuda")
    assert [p.key for p in draft.problems_of(Item("model", 1))] == ["units"]
    assert [p.key for p in draft.problems_of(Item("model", 0))] == ["name"]
    assert [p.key for p in draft.problems_of(Item("machine"))] == ["device"]
    assert draft.problems_of(Item("loss")) == []


# -- the screen ------------------------------------------------------------------------------------
class Launches:
    """Counts what is launched, and gives a fresh READY session for it."""

    def __init__(self) -> None:
        self.experiments: list[Experiment] = []
        self.starts: list[Any] = []

    def relaunch(self, changed: Experiment, start: Any = None) -> Path:
        self.experiments.append(changed)
        self.starts.append(start)
        return Path(f"/runs/new-{len(self.experiments)}")

    async def connect(self, directory: Path) -> FakeSession:
        return FakeSession([model_info(self.experiments[-1]), status("READY")], directory)

    @property
    def options(self) -> dict[str, Any]:
        return {"relaunch": self.relaunch, "connect": self.connect}


def ready() -> FakeSession:
    return FakeSession([model_info(SPEC), status("READY")])


def draft_of(app: BptuiApp) -> Draft:
    assert isinstance(app.screen, BuilderScreen)
    return app.screen.draft


@each_size
async def test_it_looks_as_it_should(size: tuple[int, int]) -> None:
    async with shown(ready(), SPEC, size, **Launches().options) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "BUILD" in text(app) and "+ add a layer" in text(app))
        await settle(app, pilot)
        check(f"builder-{size[0]}", app)
        await pilot.press("enter", *"0", "down", "down", *"tan", "escape", "end", *["up"] * 4, "enter", "right")
        await until(pilot, lambda: "problem" in lines(app)[0] and "rmsprop" in text(app))
        app.screen.keybar.notice("")  # type: ignore[attr-defined]
        await settle(app, pilot)
        check(f"builder-form-{size[0]}", app)


@each_size
async def test_branches_shapes_and_fields(size: tuple[int, int]) -> None:
    spec = load("resnet")
    session = FakeSession([model_info(spec), status("READY")])
    async with shown(session, spec, size, **Launches().options) as (app, pilot):
        await pilot.press("2", "1", *["down"] * 6, "e")
        await until(pilot, lambda: "block1 reads batch_norm3 and stem" in text(app))
        await settle(app, pilot)
        check(f"builder-branches-{size[0]}", app)
        if size[0] != 80:
            return
        await pilot.press("down", "a")
        await until(pilot, lambda: "Add a layer behind half" in text(app) and "slides over pictures" in text(app))
        await settle(app, pilot)
        check("builder-kinds", app)
        kinds = app.screen.query_one(OptionList)
        kinds.highlighted = kinds.get_option_index("max_pool")
        await pilot.press("enter")
        await until(pilot, lambda: "1 problem" in lines(app)[0] and "[model.block2] of: adds inputs" in lines(app)[-2])
        await pilot.press(*["down"] * 5)
        await settle(app, pilot)
        check("builder-misfit", app)


async def test_ascii_glyphs() -> None:
    async with shown(ready(), SPEC, glyphs="ascii", **Launches().options) as (app, pilot):
        await pilot.press("e", "0")
        await until(pilot, lambda: "BUILD" in text(app) and "problem" in text(app))
        await settle(app, pilot)
        assert {c for line in lines(app) for c in line if not c.isascii()} == set()


async def test_shapes_and_parameters_follow_as_one_types() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "4", "0")  # a number in the rows is a number of units
        await until(pilot, lambda: "64 → 40 → 16 → 10  3,426 parameters" in lines(app)[0])
        await until(pilot, lambda: "64→40" in text(app) and "40→16" in text(app) and "2.6k" in text(app))
        assert "dense1.units 32 → 40" in text(app)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "as it runs" in lines(app)[0])


@pytest.mark.parametrize(
    ("typed", "says"),
    [([*"0"], "expected a whole number from 1"), ([*"7x"], "'7x' is not a whole number"),
     (["enter", "delete", "backspace", "backspace"], "expected a whole number")],
)  # fmt: skip
async def test_an_impossible_edit_says_why_and_cannot_be_applied(typed: list[str], says: str) -> None:
    launches = Launches()
    async with shown(ready(), SPEC, **launches.options) as (app, pilot):
        await pilot.press("e", *typed)
        await until(pilot, lambda: says in text(app) and "1 problem" in lines(app)[0], says)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: says in lines(app)[-1])
        assert launches.experiments == [] and isinstance(app.screen, BuilderScreen)


async def test_applying_starts_another_run_and_stops_the_old_one() -> None:
    launches, session = Launches(), ready()
    async with shown(session, SPEC, **launches.options) as (app, pilot):
        await pilot.press("e", "2", "4", "down", "down", *"tanh", "ctrl+s")
        await until(pilot, lambda: "64-24-16-10" in lines(app)[0] and "READY" in lines(app)[0])
    assert (launches.experiments[0].model[0].units, launches.experiments[0].model[0].activation) == (24, "tanh")
    assert launches.starts == [None]
    assert any(isinstance(m, Stop) for m in session.sent) and session.closed is True


async def test_another_optimiser_engine_and_device_by_keys_alone() -> None:
    launches = Launches()
    async with shown(ready(), SPEC, **launches.options) as (app, pilot):
        await pilot.press("e", "end", "up", "up", "up", "up", "enter", *"adam", "down", *"0.01")
        await until(pilot, lambda: draft_of(app).experiment.optimizer == Adam(lr=0.01))
        await pilot.press("escape", "end", "enter", *"num", "down", *"cpu", "ctrl+s")
        await until(pilot, lambda: launches.starts)
    assert (launches.starts[0].engine, launches.starts[0].device, launches.starts[0].weights) == ("numpy", "cpu", "")


async def test_what_was_learned_can_be_kept(tmp_path: Path) -> None:
    launches, session = Launches(), FakeSession(story(SPEC), tmp_path)
    folder(tmp_path).mkdir()
    keyframe = folder(tmp_path) / "000000000300.safetensors"
    keyframe.write_bytes(b"weights")
    async with shown(session, SPEC, **launches.options) as (app, pilot):
        await pilot.press("2", "1", "down", "e")
        await until(pilot, lambda: "BUILD" in text(app))
        assert app.screen.outline.item == Item("model", 1), "the layer of pane 1"  # type: ignore[attr-defined]
        await pilot.press(*"17", "ctrl+s")
        await until(pilot, lambda: "Keep the weights of dense1" in text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: launches.starts)
    assert launches.starts[0].weights == str(keyframe)
    assert [type(m) for m in session.sent] == [Keep, Stop]


async def test_from_nothing_by_keys() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "p")
        await until(pilot, lambda: "Start from" in text(app) and "an empty network" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "at least one layer" in text(app))
        await pilot.press("a", "a", "enter", *"48", "escape", "a", "enter", *"24")
        await until(pilot, lambda: "64 → 48 → 24 → 10" in lines(app)[0] and "problem" not in lines(app)[0])


async def test_presets_and_their_variants() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "p")
        await until(pilot, lambda: "Start from" in text(app))
        for _ in range(3 * len(presets())):  # wherever it stands among them
            if "dead-relu with optimizer.lr" in text(app):
                break
            await pilot.press("down")
        await until(pilot, lambda: "dead-relu with optimizer.lr" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "started from dead-relu:tenth" in lines(app)[-1])
        assert draft_of(app).experiment == load("dead-relu", variant="tenth")
        await pilot.press("ctrl+z")
        await until(pilot, lambda: draft_of(app).experiment == SPEC)


async def test_a_file_is_saved_asked_about_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", *"48", "escape", "w")
        await until(pilot, lambda: "Save as" in text(app))
        app.screen.query_one("#path").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "saved" in text(app))
        first = load(str(path))
        assert first == draft_of(app).experiment
        await pilot.press("w")
        await until(pilot, lambda: "Save as" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "enter again overwrites it" in text(app))
        await pilot.press("escape")
        path.write_text(path.read_text().replace('source = "digits"', 'source = "dgits-nowhere"\nbatch = 3'))
        await pilot.press("o")
        await until(pilot, lambda: "Load an experiment" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "unknown key 'batch'" in text(app))
        path.write_text(path.read_text().replace("batch = 3", "batch_size = 3").replace("dgits-nowhere", "digits"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BuilderScreen) and "loaded" in text(app))
        assert draft_of(app).experiment.data.batch_size == 3


async def test_the_mouse_does_what_keys_do() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: "+ add a layer" in text(app))

        def place(word: str) -> tuple[int, int]:
            return next((line.index(word) + 1, y) for y, line in enumerate(lines(app)) if word in line)

        await pilot.click(offset=place("+ add a layer"))
        await until(pilot, lambda: "Add a layer behind dense2" in text(app))
        await pilot.click(offset=place("batch_norm "))
        await until(pilot, lambda: len(draft_of(app).experiment.model) == 4)
        await pilot.click(offset=place("loss "))
        await until(pilot, lambda: "label_smoothing" in text(app))
        x, y = place("label_smoothing")
        await pilot.click(offset=(x, y - 1))
        await pilot.click(offset=(x, y - 1))
        await until(pilot, lambda: isinstance(draft_of(app).experiment.loss, BinaryCrossEntropy))


async def test_leaving_with_changes_asks_once() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "d", "escape")
        await until(pilot, lambda: "not applied: esc again drops them" in lines(app)[-1])
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_transport_and_help_do_not_reach_through() -> None:
    session = ready()
    async with shown(session, SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "s", "n", "plus", "question_mark")
        await until(pilot, lambda: "Model builder" in text(app) and "Remove the layer" in text(app))
        assert session.sent == []


async def test_pasted_text_is_one_clean_line() -> None:
    from textual import events

    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "enter", "down")
        app.screen.post_message(events.Paste("enc\x1boder\nmore"))
        await until(pilot, lambda: draft_of(app).experiment.model[0].name == "enc oder")
        await until(pilot, lambda: "a letter, then letters" in text(app))


@pytest.mark.parametrize("place", ["builder", "form"])
def test_its_keys_stand_in_the_table_once(place: keys.Place) -> None:
    rows = keys.keys_of(place)
    names = [name for key in rows for name in key.keys]
    assert len(names) == len(set(names)) and all(key.help.endswith(".") for key in rows)
    if place == "builder":
        assert all(callable(getattr(BuilderScreen, f"action_{key.action}")) for key in rows)


async def test_the_palette_has_its_actions() -> None:
    async with shown(ready(), SPEC, **Launches().options) as (app, pilot):
        await pilot.press("e", "ctrl+p")
        await until(pilot, lambda: len(app.screen_stack) == 3)
        await pilot.press(*"double")
        await until(pilot, lambda: "double  (d)" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BuilderScreen) and "64 → 32 → 32 → 16 → 10" in lines(app)[0])


async def test_an_observer_may_build_and_not_apply() -> None:
    launches = Launches()
    session = FakeSession([model_info(SPEC), status("RUNNING", 12, controller=False)])
    async with shown(session, SPEC, **launches.options) as (app, pilot):
        await pilot.press("e", "d", "ctrl+s")
        await until(pilot, lambda: "another face has control" in lines(app)[-1])
        assert isinstance(app.screen, BuilderScreen) and launches.experiments == []


async def test_a_run_from_files_can_be_built_on(tmp_path: Path) -> None:
    launches = Launches()
    session = FakeSession([model_info(SPEC), status("DONE", 900)], read_only=True)
    async with shown(session, SPEC, **launches.options) as (app, pilot):
        await pilot.press("e", "2", "0")
        await until(pilot, lambda: "64→20" in text(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Keep the weights of dense3" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: launches.experiments)
    assert session.sent == []


def test_every_activation_has_its_curve() -> None:
    import math

    from bptui.tui.screens.builder.curve import CURVES

    field = next(field for field in fields_of(Dense) if field.key == "activation")
    assert tuple(CURVES) == field.choices
    at_one = {name: curve(1.0) for name, curve in CURVES.items()}
    assert at_one["gelu"] == pytest.approx(0.841345) and at_one["silu"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert all(math.isfinite(curve(z)) for curve in CURVES.values() for z in (-1e3, -4.0, 0.0, 4.0, 1e3))
