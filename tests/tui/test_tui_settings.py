"""Live settings: what is typed is sent, what is sent is shown, and u takes it back."""

from __future__ import annotations

from typing import Any

import pytest
from fake_session import FakeSession, experiment, model_info, status
from screen_text import SIZES, check, lines, settle, shown, text, until

from bptui.protocol.framing import Frame
from bptui.protocol.messages import AnyRequest, Set
from bptui.tui.screens.settings import SettingsScreen

SPEC = experiment()
NOW = {"momentum": 0.9, "weight_decay": 0.0, "batch_size": 32.0, "dropout.dense1": 0.0, "dropout.dense2": 0.1,
       "dropout.dense3": 0.0}  # fmt: skip


class Settable(FakeSession):
    """Takes settings as a trainer does."""

    def __init__(self, state: str = "RUNNING") -> None:
        super().__init__([model_info(SPEC), status(state, 50, settings=NOW)])
        self.now, self.lr = dict(NOW), 0.1

    async def request(self, message: AnyRequest) -> Frame:
        if isinstance(message, Set):
            if message.key == "lr":
                self.lr = message.value
            elif message.key == "dropout":
                self.now |= dict.fromkeys(("dropout.dense1", "dropout.dense2"), message.value)
            else:
                self.now[message.key] = message.value
            self.fields = {"settings": self.now, "lr": self.lr}
            self.say(self.state)
        return await super().request(message)

    @property
    def sets(self) -> list[tuple[str, float]]:
        return [(m.key, m.value) for m in self.sent if isinstance(m, Set)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_it_looks_as_it_should(size: tuple[int, int]) -> None:
    async with shown(Settable("PAUSED"), SPEC, size) as (app, pilot):
        await pilot.press("l", "down", *"0.5")
        await until(pilot, lambda: "Live settings" in text(app) and "0.5" in text(app))
        await settle(app, pilot)
        check(f"settings-{size[0]}", app)


async def test_a_change_is_sent_shown_and_taken_back() -> None:
    session = Settable()
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l", *"0.02", "enter")
        await until(pilot, lambda: "lr 0.1 → 0.02; u takes it back" in lines(app)[-1])
        await until(pilot, lambda: "lr 0.02 momentum 0.9" in text(app), "the model pane follows")
        await pilot.press("down", *"0.5", "enter", "escape")
        await until(pilot, lambda: "lr 0.02 momentum 0.5" in text(app) and app.screen is app.main)
        await pilot.press("u")
        await until(pilot, lambda: "undone: momentum 0.5 → 0.9" in lines(app)[-1])
        await pilot.press("u")
        await until(pilot, lambda: "undone: lr 0.02 → 0.1" in lines(app)[-1])
        await pilot.press("u")
        await until(pilot, lambda: "no setting was changed here" in lines(app)[-1])
    assert session.sets == [("lr", 0.02), ("momentum", 0.5), ("momentum", 0.9), ("lr", 0.1)]


async def test_dropout_of_all_layers_gives_each_its_own_back() -> None:
    session = Settable()
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l", *["down"] * 5)
        await until(pilot, lambda: "differs" in text(app))
        await pilot.press(*"0.3", "enter", "u")
        await until(pilot, lambda: len(session.sets) == 3)
    assert session.sets == [("dropout", 0.3), ("dropout.dense1", 0.0), ("dropout.dense2", 0.1)]


async def test_a_batch_size_says_when_it_holds() -> None:
    session = Settable()
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l", *["down"] * 6, *"64", "enter")
        await until(pilot, lambda: "batch_size 32 → 64 from the next epoch on" in lines(app)[-1])
        await pilot.press("escape")
        await until(pilot, lambda: "digits batch 64" in text(app))


@pytest.mark.parametrize(
    ("keys", "says"),
    [([*"0"], "lr: expected a number above 0"), ([*".e"], "lr: '.e' is not a number"), (["down", *"1"], "less than 1"),
     ([*["down"] * 6, *"1.5"], "whole number")],
)  # fmt: skip
async def test_what_cannot_be_says_why_and_is_not_sent(keys: list[str], says: str) -> None:
    session = Settable()
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l", *keys, "enter")
        await until(pilot, lambda: says in app.screen.pane.error, says)  # type: ignore[attr-defined]
        assert session.sets == []


async def test_a_limit_can_be_switched_off_and_on() -> None:
    session = Settable()
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l", "down", "down", "down", *"1.5", "enter")
        await until(pilot, lambda: "clip_norm off → 1.5" in lines(app)[-1])
        await until(pilot, lambda: "lr 0.1 momentum 0.9" in text(app) and "clip norm 1.5" in text(app))
        await pilot.press("u")
        await until(pilot, lambda: "undone: clip_norm 1.5 → off" in lines(app)[-1])
    assert session.sets == [("clip_norm", 1.5), ("clip_norm", float("inf"))]


@pytest.mark.parametrize("fields", [{"controller": False}, {}])
async def test_an_observer_changes_nothing(fields: dict[str, Any]) -> None:
    session = Settable()
    session.put(status("RUNNING", 50, settings=NOW, **fields))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(*"0.5", "enter")
        await until(pilot, lambda: ("another face has control" if fields else "u takes it back") in lines(app)[-1])
    assert bool(session.sets) is not bool(fields)
