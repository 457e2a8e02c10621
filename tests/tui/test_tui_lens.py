"""The dead-unit lens and what-if: what they show at three sizes, their keys, and what they say where they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fake_session import FakeSession, experiment, story
from screen_text import SIZES, check, lines, settle, shown, text, until
from textual.pilot import Pilot

from bptui.client.aside import Aside
from bptui.protocol.certificate import Certificate, Driver, Parts
from bptui.protocol.framing import Body, Frame
from bptui.protocol.lens import UnitState
from bptui.protocol.messages import Branch, GoTo, Lens, LensRow, LensSeen, Request, Wanted
from bptui.protocol.whatif import Change, Continue, Die, Found, Going, Job, Outcome, WhatIfError, Word
from bptui.tui.app import BptuiApp
from bptui.tui.screens.lens import LensScreen
from bptui.tui.screens.whatif import WhatIfScreen

SPEC = experiment()
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
CERTIFICATE = Certificate(
    run="r", layer="dense2", unit=3, activation="relu", at=300, samples=1438, rows=1438, last_fired=117, fired=12,
    cause="weights", z_before=1.187, z_after=-0.6437, parts=Parts(-0.0546, -1.901, 0.02, 0.1249), bias_before=0.1,
    bias_step=-0.0546, weights_before=1.38, weights_step=0.335, lr=1.0, optimizer="sgd", gradient=0.0885,
    gradient_all=9.51, loss=2.31, batch=32, drivers=(Driver(794, "8", 0.0109, -0.573), Driver(43, "7", 0.0012, -0.05)),
    pulls=-0.62, also=(1, 5), first=12, first_units=2, first_ids=(("dense1", 7), ("dense2", 3)),
)  # fmt: skip


class Session(FakeSession):
    """Answers ``Lens``: of dense2 all but two units are dead."""

    async def request(self, message: Request) -> Frame:
        if not isinstance(message, Lens):
            return await super().request(message)
        self.sent.append(message)
        if self.fail is not None:
            raise self.fail
        values = []
        for layer, units in enumerate((32, 16, 10)):
            for unit in range(units):
                dead = layer == 1 and unit not in (4, 9)
                state = UnitState.DEAD if dead else UnitState(unit % 3 if layer == 0 and unit < 6 else 0)
                fired = 0 if dead else 1438 - 40 * unit
                far = 0.1 * unit if dead else 0.0
                values.append([fired, -far if dead else 1.5, -1.0, far, 0.0 if dead else 1.1, state])
        body = Body()
        rows = tuple(
            LensRow(f"dense{layer + 1}", *kind)
            for layer, kind in enumerate((("relu", "zero", 32), ("relu", "zero", 16), ("identity", "open", 10)))
        )
        reply = LensSeen(step=self.step, samples=1438, rows=1438, layers=rows, seconds=0.001,
                         values=body.add(np.array(values, np.float64)))  # fmt: skip
        return Frame(reply, body.bytes())


class Jobs:
    """In the place of child processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Job] = []
        self.hold: asyncio.Event | None = None
        self.ended = 0
        self.error = ""
        monkeypatch.setattr(Aside, "do", self._do)

    async def _do(self, run: Path, job: Job, going: Callable[[Going], None] | None = None) -> Word:
        self.asked.append(job)
        try:
            if going is not None:
                going(Going(20, 100, tuple(2.5 - 0.02 * k for k in range(20))))
            if self.hold is not None:
                await self.hold.wait()
            if self.error:
                raise WhatIfError(self.error)
            if isinstance(job, Die):
                return Found(msgspec.structs.replace(CERTIFICATE, layer=job.layer, unit=job.unit))
            assert isinstance(job, Continue)
            slower = bool(job.wanted)
            losses = tuple((2.5 if not slower else 2.5 * 0.97**k) for k in range(job.steps))
            return Outcome(
                step=job.step + job.steps, changes=tuple(Change(one.key, 0.01) for one in job.wanted), losses=losses,
                loss=losses[-1], val_loss=losses[-1] + 0.1, val_accuracy=0.9 if slower else 0.1,
                dead=2 if slower else 46, units=48, gradient_ratio=1.5, held=0 if slower else job.steps,
            )  # fmt: skip
        finally:
            self.ended += 1


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    return Jobs(monkeypatch)


async def lens(app: BptuiApp, pilot: Pilot[Any]) -> LensScreen:
    await pilot.press("d")
    await until(pilot, lambda: isinstance(app.screen, LensScreen) and app.screen.view is not None)
    await settle(app, pilot)
    screen = app.screen
    assert isinstance(screen, LensScreen)
    return screen


async def what_if(app: BptuiApp, pilot: Pilot[Any]) -> WhatIfScreen:
    await pilot.press("x")
    await until(pilot, lambda: isinstance(app.screen, WhatIfScreen))
    await settle(app, pilot)
    screen = app.screen
    assert isinstance(screen, WhatIfScreen)
    return screen


@each_size
async def test_the_lens_and_a_certificate(size: tuple[int, int], jobs: Jobs) -> None:
    async with shown(Session(story(SPEC)), SPEC, size) as (app, pilot):
        screen = await lens(app, pilot)
        await pilot.press("right_square_bracket")
        await settle(app, pilot)
        check(f"lens-{size[0]}", app)
        await pilot.press("enter")
        await until(pilot, lambda: screen.certificate.found is not None)
        await settle(app, pilot)
        check(f"lens-certificate-{size[0]}", app)


@pytest.mark.parametrize("glyphs", ["block", "ascii"])
async def test_other_glyphs(glyphs: str, jobs: Jobs) -> None:
    async with shown(Session(story(SPEC)), SPEC, (80, 24), glyphs=glyphs) as (app, pilot):
        screen = await lens(app, pilot)
        await pilot.press("right_square_bracket", "enter")
        await until(pilot, lambda: screen.certificate.found is not None)
        await settle(app, pilot)
        check(f"lens-{glyphs}-80", app)


async def test_order_filter_and_where_the_cursor_stays(jobs: Jobs) -> None:
    async with shown(Session(story(SPEC)), SPEC) as (app, pilot):
        screen = await lens(app, pilot)
        await pilot.press("right_square_bracket")
        assert screen.units.of is not None and screen.units.of.name == "dense2"
        assert screen.units.unit == 15  # by state: of the dead ones the farthest from firing
        await pilot.press("o")
        assert screen.units.order == "fired" and screen.units.unit == 15
        await pilot.press("f", "f", "f", "f")
        assert screen.units.shown == "alive" and set(screen.units.rows) == {4, 9}
        await pilot.press("left_square_bracket", "f", "f")
        await settle(app, pilot)
        assert screen.units.shown == "dead or saturated" and "no unit of dense1 is dead or saturated" in text(app)
        assert app.main.selected == 0


async def test_a_certificate_is_asked_for_given_up_and_gone_to(jobs: Jobs) -> None:
    session = Session(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        screen = await lens(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "it fires for" in text(app))
        assert not jobs.asked
        jobs.hold = asyncio.Event()
        await pilot.press("right_square_bracket", "enter")
        await until(pilot, lambda: "20 of 100 steps looked at" in text(app))
        await pilot.press("backspace")
        await until(pilot, lambda: "given up" in text(app) and jobs.ended == 1)
        jobs.hold = None
        await pilot.press("enter")
        await until(pilot, lambda: screen.certificate.found is not None)
        assert jobs.asked == [Die("dense2", 15, 300)] * 2
        await pilot.press("enter")
        await until(pilot, lambda: GoTo(step=117) in session.sent)
        await pilot.press("w")
        await until(pilot, lambda: GoTo(step=12) in session.sent)
        await until(pilot, lambda: screen.view is not None and screen.view.step == 12)  # it follows
        assert screen.units.of is not None and (screen.units.of.name, screen.units.unit) == ("dense1", 7)
        await pilot.press("right_square_bracket")
        jobs.error = "r: the record is damaged"
        await pilot.press("down", "enter")
        await until(pilot, lambda: "the record is damaged" in text(app))
        jobs.hold = asyncio.Event()
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(jobs.asked) == 4)
        await pilot.press("escape")
        await until(pilot, lambda: jobs.ended == 4 and app.screen is app.main)  # a search ends with its screen


@each_size
async def test_what_if(size: tuple[int, int], jobs: Jobs) -> None:
    async with shown(Session(story(SPEC)), SPEC, size) as (app, pilot):
        screen = await what_if(app, pilot)
        check(f"whatif-{size[0]}", app)
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.selected.state == screen.unchanged.state == "done")
        await settle(app, pilot)
        check(f"whatif-done-{size[0]}", app)


async def test_a_row_is_typed_run_and_adopted(jobs: Jobs) -> None:
    session = Session(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        screen = await what_if(app, pilot)
        await pilot.press("a", *"lr", "enter")
        await until(pilot, lambda: "expected KEY=VALUE" in "".join(lines(app)))
        await pilot.press(*"=/5", "space", *"momentum=0", "enter")
        await until(pilot, lambda: screen.table.selected.state == "done")
        wanted = (Change("lr", "/5"), Change("momentum", 0.0))
        assert Continue(300, 100, wanted) in jobs.asked and Continue(300, 100) in jobs.asked
        assert "bit for bit (100 losses)" in text(app)
        await pilot.press("right_square_bracket")
        assert screen.steps == 200 and screen.table.selected.outcome is None
        await pilot.press("enter")
        await until(pilot, lambda: screen.table.selected.state == "done")
        await pilot.press("enter")
        adopted = Branch(step=300, changes=(Wanted("lr", 0.01), Wanted("momentum", 0.01)))
        await until(pilot, lambda: adopted in session.sent and app.screen is app.main)


async def test_all_rows_run_and_one_is_cancelled(jobs: Jobs) -> None:
    async with shown(Session(story(SPEC)), SPEC) as (app, pilot):
        screen = await what_if(app, pilot)
        jobs.hold = asyncio.Event()
        await pilot.press("A")
        await until(pilot, lambda: len(jobs.asked) == len(screen.table.rows))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "cancel what runs first" in text(app))
        row = screen.table.selected
        await pilot.press("backspace")
        await until(pilot, lambda: row.state == "cancelled" and jobs.ended == 1)
        await pilot.press("backspace")
        assert row not in screen.table.rows
        jobs.error = "no unit is dead at step 300"
        jobs.hold.set()
        await until(pilot, lambda: "no unit is dead at step 300" in text(app))
        await pilot.press("home", "enter", "escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_a_script_is_told_why_not() -> None:
    model, *rest = story(SPEC)
    script = Frame(msgspec.structs.replace(model.message, engine="script", spec=msgspec.Raw(b"null")))
    async with shown(Session([script, *rest]), None) as (app, pilot):
        await pilot.press("d")
        await until(pilot, lambda: "a script's samples are its own" in text(app))
        assert app.screen is app.main


async def test_what_if_waits_for_a_pause(jobs: Jobs) -> None:
    session = Session(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        session.say("RUNNING", 301)
        await until(pilot, lambda: app.store.snapshot.state == "RUNNING")
        await pilot.press("x")
        await until(pilot, lambda: "pause first" in text(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, LensScreen) and app.screen.view is not None)
