"""The screen of breakpoints: what is armed, what it is now, and what is typed."""

from __future__ import annotations

import pytest
from fake_session import FakeSession, experiment, status, story
from screen_text import SIZES, check, lines, settle, shown, text, until

from bptui.expr.language import names_for
from bptui.protocol.messages import Arm, Armed

SPEC = experiment()
ARMED = (Armed("loss > 3"), Armed('dead("dense1") > 0.2 and step > 100'), Armed("val_loss < 0.5", enabled=False))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("typed", ["", "delta(loss, 100) > x"])
async def test_what_is_armed_and_what_is_typed(size: tuple[int, int], typed: str) -> None:
    session = FakeSession(story(SPEC))
    session.armed = ARMED
    async with shown(session, SPEC, size) as (app, pilot):
        await pilot.press("b")
        await until(pilot, lambda: "holds now" in text(app))
        if typed:
            await pilot.press("a", *typed)
            await until(pilot, lambda: "unknown name 'x'" in text(app))
        await settle(app, pilot)
        check(f"breakpoints{'-typed' if typed else ''}-{size[0]}", app)


async def test_a_condition_is_typed_completed_armed_switched_off_and_removed() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("b")
        await until(pilot, lambda: "No breakpoint is armed" in text(app))
        await pilot.press("a", *"grad_n", "tab")
        await until(pilot, lambda: 'grad_norm("' in text(app))
        await pilot.press(*"de", "tab", "tab")
        await until(pilot, lambda: 'grad_norm("dense2")' in text(app))
        await pilot.press(*" > 1 ")
        await until(pilot, lambda: "does not hold" in text(app))
        assert "= 0.0125" in text(app) and "PAUSED" in lines(app)[0]  # a space was typed: nothing ran
        await pilot.press("enter")
        await until(pilot, lambda: session.armed == (Armed('grad_norm("dense2") > 1'),))
        await until(pilot, lambda: "armed: grad_norm" in text(app))
        await pilot.press("o")
        await until(pilot, lambda: session.armed == (Armed('grad_norm("dense2") > 1', enabled=False),))
        await until(pilot, lambda: "off grad_norm" in text(app))
        await pilot.press("e", "backspace", "2", "enter")
        await until(pilot, lambda: session.armed == (Armed('grad_norm("dense2") > 2'),))
        await until(pilot, lambda: "on  grad_norm" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: session.armed == ())
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert [type(m) for m in session.sent if isinstance(m, Arm)] == [Arm] * 4


async def test_a_caret_stands_under_what_is_wrong() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("b", "a", *"loss > 1 and los < 2")
        await until(pilot, lambda: "did you mean 'loss'" in text(app))
        at = next(i for i, line in enumerate(lines(app)) if "^" in line)
        assert lines(app)[at].index("^") == lines(app)[at - 1].index("los <")
        await pilot.press("escape")
        await until(pilot, lambda: "No breakpoint" in text(app))


async def test_a_hit_is_told_with_the_part_that_held() -> None:
    told = "break: loss > 0.5  (loss = 0.531 > 0.5) at step 300"
    session = FakeSession([*story(SPEC), status("PAUSED", 300, text=told)])
    session.armed = (Armed("loss > 0.5"),)
    async with shown(session, SPEC, (200, 60)) as (app, pilot):
        assert told in lines(app)[0]
        await pilot.press("b")
        await until(pilot, lambda: "holds now" in text(app))
        assert sum("loss = 0.531 > 0.5" in line for line in lines(app)) >= 2


def test_words_that_complete() -> None:
    layers = ["dense1", "conv.relu#1"]
    assert names_for("lo", layers) == ["loss", "log("]
    assert names_for("loss > 1 and d", layers) == ['dead("', 'delta_norm("', "delta("]
    assert names_for('dead("', layers) == ['"dense1")', '"conv.relu#1")']
    assert names_for("dead('conv", layers) == ['"conv.relu#1")']
    assert names_for("1 + ", layers) == [] and names_for("loss", layers) == []
