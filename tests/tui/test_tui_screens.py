"""Each screen at three sizes, as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_session import FakeSession, LogWriter, experiment, histograms, losses, model_info, status, story, table
from screen_text import SIZES, check, lines, settle, shown, text, until

from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import Inspect, Inspection
from bptui.tui.screens.lesson import LessonScreen

SPEC = experiment()
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@each_size
async def test_a_paused_run(size: tuple[int, int]) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, size) as (app, _):
        check(f"paused-{size[0]}", app)


@each_size
async def test_ready_before_the_first_step(size: tuple[int, int]) -> None:
    async with shown(FakeSession([model_info(SPEC), status("READY")]), SPEC, size) as (app, _):
        check(f"ready-{size[0]}", app)


@each_size
@pytest.mark.parametrize(
    ("name", "keys"),
    [("inspector", ["i"]), ("leave", ["q"]), ("help", ["question_mark"]), ("findings", ["f"]),
     ("output", ["t"]), ("go-to", ["g"])],
)  # fmt: skip
async def test_screens_above_it(size: tuple[int, int], name: str, keys: list[str]) -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC, size, relaunch=lambda _: Path("/runs/x"), connect=_never) as (app, pilot):
        await pilot.press(*keys)
        await until(pilot, lambda: app.screen is not app.main)
        if name == "inspector":
            await until(pilot, lambda: "delta[0, 0]" in text(app))
        await settle(app, pilot)
        check(f"{name}-{size[0]}", app)


async def _never(directory: Path) -> FakeSession:
    raise AssertionError(f"nothing connects to {directory}")


class SmallNetwork(FakeSession):
    """Two inputs, two units, one output: the network of the lesson, with numbers of its own."""

    layers = (
        {"x": [[1.5, -0.5]], "y": [[1.0]], "W": [[0.5, -0.4], [0.3, 0.8]], "b": [0.1, -0.2]},
        {"W": [[0.7], [-0.6]], "b": [0.05]},
    )

    def inspection(self, message: Inspect) -> Frame:
        body = Body()
        held = {kind: np.array(self.layers[message.layer][kind]) for kind in message.kinds}
        arrays = {kind: body.add(values) for kind, values in held.items()}
        shapes = {kind: values.shape for kind, values in held.items()}
        reply = Inspection(step=0, micro="", layer=message.layer, loss=None, arrays=arrays, shapes=shapes)
        return Frame(reply, body.bytes())


@each_size
async def test_the_lesson_begins(size: tuple[int, int]) -> None:
    small = experiment((2, 1))
    session = SmallNetwork([model_info(small, features=2), status("READY")])
    async with shown(session, small, size, lesson=("backprop", True)) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, LessonScreen) and app.screen.numbers)
        await settle(app, pilot)
        check(f"lesson-{size[0]}", app)


@each_size
async def test_ascii_is_ascii_in_charts_and_frames(size: tuple[int, int]) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, size, glyphs="ascii") as (app, _):
        check(f"ascii-{size[0]}", app)
        beyond = {c for line in lines(app)[1:-1] for c in line if not c.isascii()}
        assert beyond == set()


async def test_block_glyphs() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, glyphs="block") as (app, _):
        check("block-120", app)


async def test_before_anything_has_come_the_skeleton_stands() -> None:
    async with shown(FakeSession(), SPEC) as (app, _):
        check("starting-120", app)


@pytest.mark.parametrize("size", [(39, 20), (80, 11), (20, 5), (5, 2)])
async def test_too_small_a_terminal_says_so(size: tuple[int, int]) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, size) as (app, pilot):
        shown_text = " ".join(text(app).split())
        assert shown_text.startswith("✖ terminal too small, needs 40×12"[: max(1, size[0] - 3)].strip())
        assert "1 Model" not in shown_text
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "1 Model" in text(app) and "too small" not in text(app))


async def test_one_pane_at_a_time_where_there_is_little_room() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, (50, 20)) as (app, pilot):
        assert "3 Gradients" in text(app) and "2 Loss" not in text(app)
        await pilot.press("2")
        await until(pilot, lambda: "2 Loss" in text(app) and "3 Gradients" not in text(app))


async def test_a_hundred_layers_scroll() -> None:
    spec = experiment([16] * 99 + [10])
    frames = [model_info(spec), status("PAUSED", 5), table(100), histograms(100)]
    async with shown(FakeSession(frames), spec, (80, 24)) as (app, pilot):
        assert "dense1 " in text(app) and "of 100" in text(app)
        await pilot.press("end")
        await until(pilot, lambda: "▸ dense100" in text(app))
        assert "dense1 " not in text(app)
        await pilot.press("home")
        await until(pilot, lambda: "▸ dense1 " in text(app))


@each_size
async def test_long_and_wide_names_stay_in_their_column(size: tuple[int, int]) -> None:
    spec = experiment((32, 16, 10), ["一二三四五六七八九十" * 8, "encoder.layers.0.attention.output.dense", ""])
    frames = [model_info(spec), status("PAUSED", 5), table(3), histograms(3)]
    async with shown(FakeSession(frames), spec, size) as (app, _):
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {size[0]}
        check(f"long-names-{size[0]}", app)


async def test_text_from_outside_is_not_markup_and_moves_no_cursor() -> None:
    nasty = "[red]x[/red]\x1b[2J\x07\r\n\u202eabc[/]"
    spec = experiment((32, 16, 10), [nasty, nasty, nasty])
    frames = story(spec)
    session = FakeSession([*frames, status("PAUSED", 300, text=nasty, micro=f"backward {nasty}")])
    async with shown(session, spec, relaunch=lambda _: Path("/runs/x"), connect=_never) as (app, pilot):
        for key in ("f", "escape", "t", "escape", "e", "escape", "question_mark", "escape", "i", "escape"):
            await pilot.press(key)
            await settle(app, pilot)
            content = text(app)
            assert "\x1b" not in content and "\x07" not in content and "\u202e" not in content
        assert "[red]x" in text(app)


async def test_not_finite_losses_are_a_marked_gap_and_a_count() -> None:
    values = losses(60)
    values[20:24] = [float("nan"), float("inf"), float("-inf"), float("nan")]
    frames = [model_info(SPEC), status("PAUSED", 60), LogWriter().losses(0, values)]
    async with shown(FakeSession(frames), SPEC) as (app, _):
        assert "× 4 not finite" in text(app)
        marks = [line for line in lines(app) if "×" in line.replace("× 4 not finite", "")]
        assert len(marks) == 1
        check("gap-120", app)


async def test_histograms_count_what_is_not_finite() -> None:
    frames = [model_info(SPEC), status("PAUSED", 5), table(3), histograms(3, nan=7)]
    async with shown(FakeSession(frames), SPEC) as (app, _):
        assert "× 7 nan" in text(app)


async def test_a_storm_of_sizes() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        for width, height in [(1, 1), (200, 60), (3, 80), (300, 2), (41, 13), (64, 18), (63, 17), (40, 12), (120, 36)]:
            await pilot.resize_terminal(width, height)
            await pilot.pause()
        await until(pilot, lambda: app.size == (120, 36) and app.main.model.size.width > 20)
        await settle(app, pilot)
        check("paused-120", app)


async def test_another_theme_is_another_colour_everywhere() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):

        def grounds() -> set[object]:
            strips = app.screen._compositor.render_strips()
            return {segment.style.bgcolor for strip in strips[1:-1] for segment in strip if segment.style}

        before = grounds()
        app.theme = "textual-light"
        await settle(app, pilot)
        await until(pilot, lambda: grounds().isdisjoint(before))
        check("paused-120", app)


async def test_the_focused_pane_has_another_frame_at_once() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        for pane in (*app.main.panes, app.main.model):
            await pilot.press(str(pane.number))
            corners = {each: next(iter(each.render_line(0))).style for each in app.main.panes}
            assert all((style == corners[pane]) is (each is pane) for each, style in corners.items())


async def test_moving_the_focus_repaints_frames_and_not_the_screen() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        painted: list[int] = []
        compositor = app.screen._compositor
        render = compositor.render_update

        def counted(**options: bool) -> object:
            update = render(**options)  # type: ignore[arg-type]
            spans = getattr(update, "spans", None)
            painted.append(120 * 36 if spans is None and update is not None else sum(b - a for _, a, b in spans or ()))
            return update

        compositor.render_update = counted  # type: ignore[method-assign, assignment]
        await pilot.press("2")
        await until(pilot, lambda: app.main.current is app.main.loss)
        await pilot.pause(0.1)
        assert painted and max(painted) < 120 * 36
