"""The charts that fill the screen: what each shows at three sizes, its cursor, and what it says when it is empty."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from fake_session import FakeSession, LogWriter, experiment, losses, model_info, status, story
from screen_text import SIZES, check, lines, settle, shown, text, until
from textual.pilot import Pilot

from bptui.client.session import RequestRefused
from bptui.protocol.framing import Frame
from bptui.protocol.messages import EventRow, Events, Look
from bptui.runs import log
from bptui.runs.records import CELLS, LOW_EXPONENT, SPECIAL_CELLS, TABLE_COLUMNS
from bptui.tui.app import BptuiApp
from bptui.tui.screens.charts import VIEWS, ChartsScreen

SPEC = experiment()
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


def table_block(step: int, norms: list[float]) -> bytes:
    values = np.full((len(norms), len(TABLE_COLUMNS)), np.nan, np.float32)
    values[:, 0] = norms
    return log.table(0, step, float(step), values)


def histogram_block(step: int, layers: int, centre: float) -> bytes:
    counts = np.zeros((layers, CELLS), np.uint32)
    for exponent in range(-24, 0):
        counts[:, len(SPECIAL_CELLS) + exponent - LOW_EXPONENT] = int(500 * math.exp(-(((exponent - centre) / 3) ** 2)))
    counts[:, 0] = step // 10
    counts[0, 1] = 3 if step > 250 else 0
    return log.histogram(0, step, float(step), 0, counts)


def charts_story(steps: int = 300) -> list[Frame]:
    """As ``story``, with what the charts need: tables and histograms over time, and one change."""
    frames = story(SPEC, steps)
    writer = LogWriter()
    writer.offset = max(f.message.offset + len(f.raw(f.message.data)) for f in frames if hasattr(f.message, "offset"))
    for step in range(0, steps, 20):
        bad = step == 200
        norms = [math.nan if bad else 0.3 * math.exp(-step / 80), 0.0 if step > 120 else 3e-6, 1e-2]
        frames.append(writer.chunk(table_block(step, norms)))
        frames.append(writer.chunk(histogram_block(step, 3, -6 - step / 30)))
    frames.append(writer.points("lr", [0, 150, 299], [0.1, 0.05, 0.05]))
    frames.append(Frame(Events(events=(EventRow(150, "lr", 0.1, 0.05),))))
    return frames


async def opened(app: BptuiApp, pilot: Pilot[Any], view: str) -> ChartsScreen:
    await pilot.press("v", str(VIEWS.index(view) + 1))
    await until(pilot, lambda: isinstance(app.screen, ChartsScreen) and app.screen.view == view)
    screen = app.screen
    assert isinstance(screen, ChartsScreen)
    if view == "confusion":
        await until(pilot, lambda: screen.confusion.view is not None)
    if view == "boundary":
        await until(pilot, lambda: screen.boundary.view is not None)
        await until(pilot, lambda: len(screen.boundary.view.classes[0]) == screen.boundary.grid[0])
    await settle(app, pilot)
    return screen


@each_size
@pytest.mark.parametrize("view", VIEWS)
async def test_each_view(size: tuple[int, int], view: str) -> None:
    async with shown(FakeSession(charts_story()), SPEC, size) as (app, pilot):
        await opened(app, pilot, view)
        check(f"view-{view}-{size[0]}", app)


@pytest.mark.parametrize("glyphs", ["block", "ascii"])
@pytest.mark.parametrize("view", VIEWS)
async def test_other_glyphs(view: str, glyphs: str) -> None:
    async with shown(FakeSession(charts_story()), SPEC, (80, 24), glyphs=glyphs) as (app, pilot):
        await opened(app, pilot, view)
        check(f"view-{view}-{glyphs}-80", app)
        if glyphs == "ascii":
            beyond = {c for line in lines(app)[1:-1] for c in line if not c.isascii()}
            assert beyond <= set("‖∇W²→δ")


@pytest.mark.parametrize(
    ("view", "words"),
    [("loss", "No step yet"), ("metrics", "No step yet"), ("histogram", "No histogram yet"),
     ("ridge", "No histograms in the record yet"), ("heat", "No table of norms yet")],
)  # fmt: skip
async def test_an_empty_view_says_what_will_come(view: str, words: str) -> None:
    async with shown(FakeSession([model_info(SPEC), status("READY")]), SPEC, (80, 24)) as (app, pilot):
        await opened(app, pilot, view)
        assert words in text(app)


async def test_a_refusal_stands_where_the_chart_would() -> None:
    session = FakeSession(charts_story())
    async with shown(session, SPEC, (80, 24)) as (app, pilot):
        session.fail = RequestRefused("bad-request", "a decision boundary needs data with two features; digits has 64")
        await pilot.press("v", "7")
        await until(pilot, lambda: "two features; digits has 64" in text(app))


async def test_a_run_shown_from_its_files_has_nobody_to_ask() -> None:
    session = FakeSession(charts_story(), read_only=True)
    async with shown(session, SPEC, (80, 24)) as (app, pilot):
        await pilot.press("v", "6")
        await until(pilot, lambda: "no process that could be asked" in text(app))
    assert not any(isinstance(m, Look) for m in session.sent)


async def test_a_look_is_asked_for_again_only_once_the_state_changed_and_seldom() -> None:
    session = FakeSession(charts_story())
    async with shown(session, SPEC, (80, 24)) as (app, pilot):
        screen = await opened(app, pilot, "boundary")
        asked = len([m for m in session.sent if isinstance(m, Look)])
        for _ in range(20):
            screen.show(screen.snapshot)
        assert len([m for m in session.sent if isinstance(m, Look)]) == asked
        for step in range(301, 330):
            session.say("RUNNING", step)
        await until(pilot, lambda: screen.boundary.view.step == 329)
        looks = [m for m in session.sent if isinstance(m, Look)]
        assert asked < len(looks) <= asked + 3
        assert looks[0].points > 0 and looks[-1].points == 0 and len(screen.boundary.view.points) == 4


async def test_escape_takes_the_crosshair_then_leads_back_to_the_panes() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        await opened(app, pilot, "heat")
        await pilot.press("left", "left", "down")
        await until(pilot, lambda: "dense2  ‖∇W‖" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "dense2  ‖∇W‖" not in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_transport_and_tabs_work_inside() -> None:
    session = FakeSession(charts_story())
    async with shown(session, SPEC) as (app, pilot):
        screen = await opened(app, pilot, "ridge")
        await pilot.press("space")
        await until(pilot, lambda: "RUNNING" in lines(app)[0])
        await pilot.press("tab")
        await until(pilot, lambda: screen.view == "heat")
        await pilot.press("shift+tab", "shift+tab")
        await until(pilot, lambda: screen.view == "histogram")


async def test_a_pane_leads_to_its_own_view() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        await pilot.press("3", "down", "v")
        await until(pilot, lambda: isinstance(app.screen, ChartsScreen) and "dense2 2/3" in text(app))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "dense3 3/3" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main and "▸ dense3" in text(app))


async def test_exact_counts_under_the_cursor_of_the_histograms() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        screen = await opened(app, pilot, "histogram")
        view = screen.snapshot.histogram("W")[0]
        last = max(i for i, n in enumerate(view.cells) if n)
        await pilot.press("left", "left", "left")
        exponent = screen.histogram.exponent
        assert exponent == LOW_EXPONENT + last - 2
        count = view.cells[exponent - LOW_EXPONENT]
        await until(pilot, lambda: f": {count} of" in text(app))


async def test_a_cell_of_the_confusion_matrix_is_read() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        await opened(app, pilot, "confusion")
        await pilot.press(*["down"] * 3, *["right"] * 8)
        await until(pilot, lambda: "true 3, predicted 8  5 of 38 (13.2 %)" in text(app))
        assert "97.7 % of 353 right" in text(app)


async def test_dead_and_not_finite_layers_are_marked_in_the_heat_chart() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        screen = await opened(app, pilot, "heat")
        rows = [line for line in lines(app) if "dense" in line and "│" in line]
        assert "×" in rows[0] and "○" not in rows[0] and "○" in rows[1]
        assert screen.heat.level(screen.heat._ends[0]) == 0 and screen.heat.level(screen.heat._ends[1]) == 8


# -- the loss chart --------------------------------------------------------------------------------
async def test_the_crosshair_tells_exact_values_and_what_happened() -> None:
    async with shown(FakeSession(charts_story()), SPEC, (160, 40)) as (app, pilot):
        chart = app.main.loss
        await pilot.press("2", "left")
        await until(pilot, lambda: "step 299" in lines(app)[1])
        assert f"train {np.float32(losses(300)[299]):.7g}" in lines(app)[1]
        chart.point(150)
        await until(pilot, lambda: "lr 0.1→0.05 at 150" in lines(app)[1] and "(of 135)" in lines(app)[1])
        await pilot.press("escape")
        await until(pilot, lambda: "step 150" not in lines(app)[1])
        assert app.screen is app.main


async def test_zoom_pan_follow_and_back() -> None:
    session = FakeSession(charts_story())
    async with shown(session, SPEC) as (app, pilot):
        window = app.main.loss.window
        await pilot.press("2", "up", "up")
        await until(pilot, lambda: not window.whole and 70 <= window.last - window.first <= 80)
        assert window.follow and window.last >= 299
        await pilot.press("shift+left")
        await until(pilot, lambda: not window.follow and " fixed " in text(app))
        first = window.first
        writer = LogWriter()
        writer.offset = app.store.snapshot.log_bytes
        session.put(writer.losses(300, losses(400)[300:]))
        await until(pilot, lambda: app.store.snapshot.curves.last_step == 399)
        await settle(app, pilot)
        assert window.first == first
        await pilot.press("end")
        await until(pilot, lambda: window.follow and window.first <= 399 <= window.last)
        await pilot.press("home")
        await until(pilot, lambda: window.whole and window.first == 0)
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: not window.whole)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: window.whole)


async def test_metrics_and_smoothing_turn() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        await pilot.press("2", "m")
        await until(pilot, lambda: "2 Accuracy" in text(app) and "val" in lines(app)[1])
        await pilot.press("m")
        await until(pilot, lambda: "2 Learning rate" in text(app))
        await pilot.press("m")
        await until(pilot, lambda: "2 Loss" in text(app))
        await pilot.press("a")
        await until(pilot, lambda: "Loss, smoothed 0.6" in text(app))


async def test_a_click_puts_the_crosshair_there() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        chart = app.main.loss
        await pilot.click(chart, offset=(20, 5))
        await until(pilot, lambda: chart.cursor is not None)
        assert chart.cursor == chart._frame.step(20 - 2 - 8)


async def test_a_ridge_is_read_in_numbers() -> None:
    async with shown(FakeSession(charts_story()), SPEC) as (app, pilot):
        screen = await opened(app, pilot, "ridge")
        await pilot.press("up")
        await until(pilot, lambda: " step 280 " in text(app) and "NaN 3" in lines(app)[-2])
        _, row = screen.snapshot.curves.ridge("grad_W", 0, 100)[-1]
        cells = row[len(SPECIAL_CELLS) :]
        middle = next(i for i in range(len(cells)) if 2 * sum(cells[: i + 1]) >= sum(cells))
        shown_power = str(LOW_EXPONENT + middle + 1).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        assert f"{sum(row):,} values, half of them below 2{shown_power}, zero 28" in lines(app)[-2]
