"""The screen of a user's own script: its layers by qualified names and shapes, and why some keys are not there."""

from __future__ import annotations

from typing import Any

import pytest
from fake_session import FakeSession, LogWriter, histograms, losses, table
from screen_text import SIZES, check, lines, shown, text, until

from bptui.protocol.framing import Frame
from bptui.protocol.messages import (
    Keep,
    LayerRow,
    ModelInfo,
    Output,
    Pause,
    Request,
    Set,
    Status,
    Tried,
    Try,
    Wanted,
)
from bptui.tui.ports import RequestRefused

LAYERS = (
    LayerRow("features.0", "Conv2d", 1, (6, 8, 8), "", 60),
    LayerRow("features.1", "ReLU", 0, (6, 8, 8), "", 0),
    LayerRow("features.3", "Conv2d", 6, (12, 4, 4), "", 660),
    LayerRow("features.4", "ReLU", 0, (12, 4, 4), "", 0),
    LayerRow("classifier.1", "Linear", 48, (10,), "", 490),
)


def told(state: str, step: int = 0, **fields: Any) -> Frame:
    fields = {"controller": True, "lr": 0.01, "settings": {"momentum": 0.9, "eps": 1e-8}, **fields}
    return Frame(Status(state=state, step=step, epoch=0.0, **fields))


def story(state: str = "RUNNING", **fields: Any) -> list[Frame]:
    model = ModelInfo(
        run="20261123-134558-cnn-ab12", title="cnn", engine="script", engine_reason="", device="cpu", dtype="f32",
        layers=LAYERS, features=0, outputs=10, task="script", steps_per_epoch=0, total_steps=None, spec=b"{}",
        optimizers=("SGD",),
    )  # fmt: skip
    return [
        Frame(model), told(state, 300, **fields), LogWriter().losses(0, losses(300)), table(len(LAYERS), {3: 4}, 12),
        histograms(len(LAYERS)), Frame(Output(lines=("step 200 loss 0.4",))),
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("name", "frames"),
    [("script", story(probe_share=0.012, steps_per_second=80.0)),
     ("script-break", story("PAUSED", text="break: loss > 2  (loss = 2.3) at step 300", micro="clip")),
     ("script-waiting", [told("WAITING", text="before the first update"), Frame(Output(lines=("reading data …",)))])],
    ids=["running", "break", "waiting"],
)  # fmt: skip
async def test_a_scripts_screen(size: tuple[int, int], name: str, frames: list[Frame]) -> None:
    async with shown(FakeSession(frames), None, size) as (app, _):
        assert "epoch" not in lines(app)[0]
        check(f"{name}-{size[0]}", app)


@pytest.mark.parametrize(
    ("key", "why"),
    [("n", "a script's update is one step"), ("e", "a script's model is written in the script"),
     ("plus", "keeps its own pace"), ("R", "begins anew from the shell"), ("S", "a script cannot rewind"),
     ("N", "a script cannot rewind"), ("g", "K keeps one")],
)  # fmt: skip
async def test_keys_that_a_script_has_not_say_why(key: str, why: str) -> None:
    session = FakeSession(story())
    async with shown(session) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: why in lines(app)[-1])
        assert not session.sent


async def test_what_is_asked_of_a_script() -> None:
    session = FakeSession(story())
    async with shown(session) as (app, pilot):
        await pilot.press("K", "down", "down", "F", "down", "D")
        await until(pilot, lambda: len(session.sent) == 3)
        assert isinstance(session.sent[0], Keep)
        assert session.sent[1:] == [
            Set(key="freeze.features.3", value=1.0), Set(key="revive.features.4", value=1.0)
        ]  # fmt: skip
        await pilot.press("l")
        await until(pilot, lambda: "freeze.features.0" in text(app) and "revive.features.4" in text(app))


async def test_space_before_the_first_update_pauses_in_it() -> None:
    session = FakeSession([told("WAITING", text="before the first update")])
    async with shown(session) as (_, pilot):
        await pilot.press("space")
        await until(pilot, lambda: [type(one) for one in session.sent] == [Pause])


async def test_a_scripts_status_2_is_its_own_affair() -> None:
    frames = [told("FAILED", code=2, text="the script ended with exit status 2"), Frame(Output(lines=("usage: me",)))]
    async with shown(FakeSession(frames), relaunch=lambda _: None) as (app, _):
        assert app.is_running and "usage: me" in text(app)


async def test_a_script_in_which_nothing_was_seen_says_why() -> None:
    why = "no optimiser's step() and no backward(): there was no training to watch"
    frames = [told("DONE", code=0, text=why), Frame(Output(lines=("sum 3",)))]
    async with shown(FakeSession(frames)) as (app, _):
        assert why in lines(app)[1] and "sum 3" in text(app)
    async with shown(FakeSession([*story(), told("DONE", 300, code=0, text="snapshot of step 9 kept")])) as (app, _):
        assert "300 steps, loss" in lines(app)[1], "what was said while it ran is no reason"


class Trying(FakeSession):
    """Answers what-if as a script does; ``why``: its step cannot be done again."""

    why = ""

    async def request(self, message: Request) -> Frame:
        if not isinstance(message, Try):
            return await super().request(message)
        self.sent.append(message)
        if self.why:
            raise RequestRefused("bad-request", self.why)
        if message.wanted[:1] == (Wanted("revive", "uniform"),):
            raise RequestRefused("bad-request", "no dead units (of those that gave 0 for 3,000 samples)")
        made = ("lr 0.01 → 0.001",) if message.wanted else ()
        after = 2.21875 if not message.wanted else 2.4375
        return Frame(Tried(step=300, loss=2.3125, after=after, grad_norm=1.5, silent=4, units=18, update_ratio=1e-3,
                           made=made))  # fmt: skip


def paused() -> list[Frame]:
    return story("PAUSED", micro="clip")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_what_if_on_one_batch(size: tuple[int, int]) -> None:
    session = Trying(paused())
    async with shown(session, None, size) as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: "bit for bit" in text(app))
        await pilot.press("A")
        await until(pilot, lambda: text(app).count("2.4375") == 9)
        await pilot.press("down")
        await until(pilot, lambda: "lr 0.01 → 0.001" in text(app))
        check(f"one-batch-{size[0]}", app)


async def test_a_change_that_was_tried_is_made_in_the_script() -> None:
    session = Trying(paused())
    async with shown(session) as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: "bit for bit" in text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "2.4375" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: Set(key="lr", value=0.001) in session.sent)
        await pilot.press("a", *"activation", "equals_sign", *"gelu", "enter")
        await until(pilot, lambda: Try(wanted=(Wanted("activation", "gelu"),)) in session.sent)
        await until(pilot, lambda: text(app).count("2.4375") == 2)
        await pilot.press("enter")
        await until(pilot, lambda: "cannot take this change" in lines(app)[-1])
        await pilot.press("backspace")
        await until(pilot, lambda: "activation=gelu" not in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_a_step_that_cannot_be_done_again_says_why_and_offers_the_next() -> None:
    session = Trying(paused())
    session.why = "this step cannot be done again: its inputs were changed in place since"
    async with shown(session) as (app, pilot):
        await pilot.press("x")
        await until(pilot, lambda: session.why in lines(app)[1])
        await pilot.press("down", "enter")
        await until(pilot, lambda: "s does the next one" in lines(app)[-1])
        session.why = ""
        await pilot.press("s")
        await until(pilot, lambda: "bit for bit" in lines(app)[1])
