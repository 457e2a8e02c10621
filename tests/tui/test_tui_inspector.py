"""The inspector's views at three sizes, and what their keys do."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from fake_session import FakeSession, experiment, story
from screen_text import SIZES, check, lines, settle, shown, text, until

from bptui.client.reference import VIEWS, is_view, parse
from bptui.protocol.messages import Set, Sheet
from bptui.spec.load import load
from bptui.tui.glyphs import ASCII, BRAILLE
from bptui.tui.screens.inspector.fading import fading
from bptui.tui.screens.inspector.formula import last_delta, percent
from bptui.tui.screens.inspector.grid import Grid, sparkline
from bptui.tui.screens.inspector.inside import _label
from bptui.tui.screens.inspector.inside_view import MEANINGS
from bptui.tui.screens.inspector.picture import picture, shades

SPEC = experiment()
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@each_size
@pytest.mark.parametrize(
    ("name", "keys", "seen"),
    [("matrix", ["2", "tab", "tab"], "W[0, 0]"), ("rows", ["3"], "rank"), ("stages", ["4"], "applied"),
     ("sample", ["down", "enter"], "label")],
)  # fmt: skip
async def test_each_view(size: tuple[int, int], name: str, keys: list[str], seen: str) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, size) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: seen in text(app))
        asking = ("inspect", "slices")
        await until(pilot, lambda: not [w for w in app.workers if w.group in asking and not w.is_finished])
        await settle(app, pilot)
        check(f"inspector-{name}-{size[0]}", app)


async def test_the_ledger_multiplies_the_factors_and_shows_where_it_dies() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("down", "right")
        upstream, gate, delta = (float(session.values(kind, 0)[1, 1]) for kind in ("upstream", "gate", "delta"))
        await until(pilot, lambda: f"δ¹[1, 1] = {upstream:.6g} × {gate:.6g} = {delta:.6g}" in text(app))
        norms = [float(np.linalg.norm(session.values("delta", layer).astype(float))) for layer in range(3)]
        closed = float((session.values("gate", 0) == 0).mean())
        assert f"{closed * 100:.1f} % of the gates are exactly 0" in text(app)
        assert f"×{norms[0] / norms[1]:.3g}" in text(app)
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: "the loss gives it whole" in text(app))
        await until(pilot, lambda: "(p − y)/N = (" in text(app))


async def test_what_is_not_computed_yet_says_how_many_steps_are_missing() -> None:
    session = FakeSession(story(SPEC))
    session.missing = 4
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "not yet: n × 4" in text(app))


async def test_zoom_goes_from_digits_to_the_whole_matrix_and_back() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC, (80, 24)) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("2", "tab", "tab")  # W of 64 × 32
        await until(pilot, lambda: "W[0, 0]" in text(app))
        grid = app.screen.grid  # type: ignore[attr-defined]
        for _ in range(9):
            await pilot.press("less_than_sign")
        await until(pilot, lambda: f"{grid.zoom}×{grid.zoom} cells a shade" in text(app))
        assert grid.zoom == 8 and grid.tall * 8 >= 64 and grid.wide * 8 >= 32
        block = session.values("W", 0)[:8, :8]
        largest = float(block.flat[np.abs(block).argmax()])
        await until(pilot, lambda: f"W[0, 0] = {largest!r} (the largest of 8×8)" in text(app))
        for _ in range(9):
            await pilot.press("greater_than_sign")
        await until(pilot, lambda: f"W[0, 0] = {float(session.values('W', 0)[0, 0])!r} " in text(app))


async def test_sorted_marked_and_searched() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i", "2")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("o")
        values = session.values("delta", 0)
        norms = np.linalg.norm(values.astype(float), axis=1)
        await until(pilot, lambda: f"delta[{int(norms.argmax())}, 0]" in text(app))
        assert "samples by norm ↓" in text(app)
        await pilot.press("r")
        await until(pilot, lambda: f"delta[{int(norms.argmin())}, 0]" in text(app) and "↑" in text(app))
        await pilot.press("o", "o", "slash", *"abs > 2e-3", "enter")
        await until(pilot, lambda: f"abs > 2e-3: {int((np.abs(values) > 2e-3).sum())}" in text(app))
        first = tuple(np.argwhere(np.abs(values) > 2e-3)[0])
        await until(pilot, lambda: f"delta[{first[0]}, {first[1]}] = " in text(app))
        second = tuple(np.argwhere(np.abs(values) > 2e-3)[1])
        await pilot.press("m")
        await until(pilot, lambda: f"delta[{second[0]}, {second[1]}] = " in text(app))
        await pilot.press("slash", "x", "enter")
        await until(pilot, lambda: "expected" in text(app) and "^" in text(app))


async def test_large_windows_are_asked_for_and_never_a_whole_tensor() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC, (200, 60)) as (app, pilot):
        await pilot.press("i", "2")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("ctrl+end")
        await until(pilot, lambda: "delta[31, 31] = " in text(app))
        sheets = [m for m in session.sent if isinstance(m, Sheet) and m.rows > 1 and m.columns > 1]
        assert sheets and all(m.rows * m.columns <= 1 << 14 for m in sheets)


async def test_e_edits_a_cell_of_W_and_of_nothing_else() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i", "2")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("e")
        await until(pilot, lambda: "e changes a cell of W or b" in text(app))
        await pilot.press("tab", "tab", "down", "right")
        await until(pilot, lambda: "W[1, 1]" in text(app))
        await pilot.press("e")
        await until(pilot, lambda: "Edit dense1.weight[1,1]" in text(app))
        await pilot.press("ctrl+u", *"0,5", "enter")
        await until(pilot, lambda: "is not a number" in text(app))
        await pilot.press("ctrl+u", *"0.5", "enter")
        await until(pilot, lambda: any(isinstance(m, Set) for m in session.sent))
        (request,) = [m for m in session.sent if isinstance(m, Set)]
        assert (request.key, request.value) == ("dense1.weight[1,1]", 0.5)
        await until(pilot, lambda: "→ 5.0e-1" in text(app))


async def test_pictures_of_inputs_and_of_first_weights() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("M")
        await until(pilot, lambda: "sample 1" in text(app) and any("▄" in line for line in lines(app)[4:9]))
        assert any("▀" in line for line in lines(app)[4:9])
        await pilot.press("escape")
        await until(pilot, lambda: "x[0, 0] = " in text(app))
        await pilot.press("2", *["shift+tab"] * 6)  # back to W
        await until(pilot, lambda: "W[0, 0] = " in text(app))
        await pilot.press("right", "M")
        await until(pilot, lambda: "unit 1 " in text(app) and "unit 0 " not in text(app))


async def test_the_shadow_check_stands_in_the_strip() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        await pilot.press("w")
        await until(pilot, lambda: "float64 shadow: δ is off by at most 3.1e-7" in text(app) and "1.0e-7" in text(app))


async def test_ascii_glyphs_draw_all_of_it() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, glyphs="ascii") as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: "delta[0, 0]" in text(app))
        for key in ("2", "less_than_sign", "less_than_sign", "3", "4", "1"):
            await pilot.press(key)
            await pilot.pause(0.05)
            assert all(line.isascii() for line in lines(app)), key


# -- pure parts ------------------------------------------------------------------------------------
def test_a_grid_keeps_its_cursor_in_the_window() -> None:
    grid = Grid()
    grid.sized(1000, 784)
    grid.fits(20, 104)
    assert (grid.tall, grid.wide) == (20, 8)
    grid.move(500, 700)
    assert grid.top <= 500 < grid.top + 20 and grid.left <= 700 < grid.left + 8
    for _ in range(20):
        grid.zoom_by(1)
    grid.fits(20, 104)
    assert grid.zoom * grid.tall >= 1000 and grid.zoom * grid.wide >= 784 and (grid.zoom // 2) * grid.tall < 1000
    grid.move(1 << 40, 1 << 40)
    assert (grid.row, grid.column) == (999, 783)
    grid.sized(3, 0)
    assert (grid.row, grid.column) == (2, 0)


def test_the_last_delta_in_numbers() -> None:
    logits = [1.0, 2.0, 0.5]
    p = [math.exp(z) / sum(map(math.exp, logits)) for z in logits]
    told = last_delta(load("digits", []), logits, 1, 32, 1)
    assert told == f"(p − y)/N = ({p[1]:.4f} − 1)/32 = {(p[1] - 1) / 32:.6g}"
    assert last_delta(load("digits", ["loss.label_smoothing=0.1"]), logits, 1, 32, 1) == ""
    regression = load("regression", [])
    assert last_delta(regression, [0.5], [2.0], 8, 0) == "2(a − y)/(N·1) = 2·(0.5 − 2)/8 = -0.375"
    assert percent(0.99999) == "> 99.9 %" and percent(0.5) == "50.0 %"


def test_pictures_and_lines_of_bars() -> None:
    assert shades([0.0, 1.0, math.nan], signed=False) == [0, 11, -12]
    assert shades([-1.0, 0.5], signed=True) == [-11, 6]
    drawn = picture([0, 1, 1, 0, 0, 0], (3, 2), BRAILLE, signed=False)
    assert [[glyph for glyph, _ in line] for line in drawn] == [["▄", "▀"], [" ", " "]]
    once, twice = (picture([0, 1], (1, 2), ASCII, signed=False, times=times) for times in (1, 2))
    assert [line[0][0] for line in once] == ["  @@"] and [line[0][0] for line in twice] == ["    @@@@"] * 2
    assert sparkline([0, 1, -2, math.inf], 4, " ▁▂▃▄▅▆▇█") == " ▄█!"
    assert re.fullmatch(r"[ ▁-█]{5}", sparkline(list(range(50)), 5, " ▁▂▃▄▅▆▇█"))


INSIDE = [("gates", 0, "forget = "), ("attention", 4, "head 1 of 2")]
LINES = [("delta", 2, "has fallen below"), ("share", 3, "what the attention adds")]


@pytest.mark.parametrize(
    ("name", "tabs", "seen", "size"),
    [*((*one, size) for one in INSIDE for size in SIZES), *((*one, SIZES[0]) for one in LINES)],
)
async def test_what_is_inside_a_layer(name: str, tabs: int, seen: str, size: tuple[int, int]) -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, size) as (app, pilot):
        await pilot.press("i", "5", *["tab"] * tabs)
        await until(pilot, lambda: seen in text(app))
        await pilot.press("down", "right", "right")
        await until(pilot, lambda: re.search(r"(step|key) ␣ 2|(share|delta).*step b 3", text(app)))
        await settle(app, pilot)
        check(f"inspector-{name}-{size[0]}", app)


async def test_tokens_heads_and_samples_of_attention() -> None:
    session = FakeSession(story(SPEC))
    async with shown(session, SPEC) as (app, pilot):
        await pilot.press("i", "5", "shift+tab")
        await until(pilot, lambda: "P = softmax(QKᵀ/√d)" in text(app))
        assert "␣ 2" in text(app) and "sample 1 of 4, head 1 of 2" in text(app)
        await pilot.press("ctrl+right", "pagedown")
        await until(pilot, lambda: "sample 2 of 4, head 2 of 2" in text(app))
        await pilot.press("down", "down", "right")
        values = app.screen.inner.view.values  # type: ignore[attr-defined]
        await until(pilot, lambda: f"attention = {values[2][1]!r}" in text(app))
        assert "query ␣ 2, key o 1" in text(app)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "a layer of type dense has nothing inside" in text(app))


async def test_delta_through_time_says_where_a_memory_dies() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC) as (app, pilot):
        await pilot.press("i", "5", "tab", "tab")
        told = "At step 4, 3 back, ‖δ‖ has fallen below 1 % of its end value"
        await until(pilot, lambda: told in text(app))
        await pilot.press("end")
        await until(pilot, lambda: "delta.time = 0.5" in text(app) and "mean of the batch 1" in text(app))


async def test_what_is_inside_in_ascii() -> None:
    async with shown(FakeSession(story(SPEC)), SPEC, glyphs="ascii") as (app, pilot):
        await pilot.press("i", "5")
        for name in ("forget", "cell", "delta.time", "share.attention", "attention"):
            await until(pilot, lambda name=name: f"{name} = " in text(app))  # type: ignore[misc]
            assert all(line.isascii() for line in lines(app)), name
            await pilot.press("tab")


@pytest.mark.parametrize(
    ("sizes", "backwards", "says"),
    [
        ([1e-5, 1e-3, 0.02, 0.5, 1.0], False, "At step 1, 3 back, ‖δ‖ has fallen below 1 % of its end value: what"),
        ([1.0, 0.5, 0.02, 1e-3, 1e-5], True, "At step 3, 3 back, ‖δ‖ has fallen below 1 % of its first value"),
        ([1e-4, 2.0, 1.0, 0.0], False, "At step 0, 1 back, ‖δ‖ has fallen below 1 % of its largest value"),
        ([0.5, 0.2, 0.3], False, "‖δ‖ stays above 1 % of its end value over all 2 steps back: nothing dies"),
        ([1.0, 0.0, 0.0], False, "‖δ‖ is largest at step 0: no step lies behind it"),
        ([0.0, float("nan")], False, "δ is 0 at every step"), ([], False, "δ is 0 at every step"),
    ],
)  # fmt: skip
def test_where_a_memory_dies(sizes: list[float], backwards: bool, says: str) -> None:
    assert fading(sizes, backwards=backwards, width=150).startswith(says)
    assert len(fading(sizes, backwards=backwards, width=76)) <= 76


@pytest.mark.parametrize(
    ("place", "shows"),
    [
        ("attention[1,1,2,1]", "query ␣ 2, key o 1"), ("delta.time[2,6]", "step o 6"),
        ("gate.forget[9,0,0]", "no place [9, 0, 0] in gate.forget of this batch"),
        ("gate.reset[0,0,0]", "no gate.reset in this layer"),
    ],
)  # fmt: skip
async def test_a_place_inside_a_layer_is_copied_and_opened(place: str, shows: str) -> None:
    session = FakeSession(story(SPEC), read_only=True)
    session.past = True
    async with shown(session, SPEC, at=parse(f"{session.run}@100/dense1/{place}")) as (app, pilot):
        await until(pilot, lambda: shows in text(app))
        if "there is no" not in text(app):
            await pilot.press("Y")
            await until(pilot, lambda: f"copied {session.run}@100/dense1/{place} = " in text(app))


def test_every_view_has_its_words_and_every_name_of_one_is_a_place() -> None:
    assert set(MEANINGS) == set(VIEWS)
    assert is_view("l0.reverse.gate.input") and not is_view("lx.cell") and not is_view("grad_W")


def test_a_long_token_leaves_room_for_its_number() -> None:
    assert _label(("a", "tragedies"), 1, 1, 9) == "tragedi 1"
    assert _label((), 7, 1, 9) == "7" and _label((), 7, 4, 9) == "28…"
