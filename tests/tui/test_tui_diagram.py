"""The network as a picture: shades say size and sign, crosses say dead, an arrow says where δ is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_session import FakeSession, experiment, finding, model_info, status, story
from screen_text import SIZES, check, settle, shown, text, until

from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import Findings, Inspect, Inspection
from bptui.tui.glyphs import ASCII, BRAILLE
from bptui.tui.store import LayerView, ModelView, Snapshot
from bptui.tui.widgets.diagram import UNICODE, _largest, block_width, draw
from bptui.tui.widgets.pane import Line

SPEC = experiment((8, 6, 3))
LAYERS = (LayerView("one", 2, 3, "relu", 9), LayerView("two", 3, 2, "identity", 8))


def picture(weights: dict[str, Any], micro: str = "", width: int = 30, height: int = 8, **more: Any) -> list[str]:
    snapshot = Snapshot(model=ModelView(features=2, layers=LAYERS), micro=micro, **more)
    return ["".join(part for part, _ in line).rstrip() for line in draw(snapshot, weights, width, height, BRAILLE, 0)]


def style_at(line: Line, column: int) -> str:
    for part, style in line:
        column -= len(part)
        if column < 0:
            return style
    raise AssertionError("beyond the line")


class Weighty(FakeSession):
    """Gives weights of the right shapes."""

    def inspection(self, message: Inspect) -> Frame:
        sizes = [64, *(layer.units for layer in SPEC.model)]
        rng = np.random.default_rng(message.layer)
        body = Body()
        ref = body.add(rng.normal(size=(sizes[message.layer], sizes[message.layer + 1])).astype(np.float32))
        reply = Inspection(step=self.step, micro="", layer=message.layer, loss=0.5, arrays={"W": ref}, shapes={})
        return Frame(reply, body.bytes())


def test_size_is_shade_and_sign_is_texture_and_colour() -> None:
    weights = {"one": np.array([[1.0, 0.0, -1.0], [0.3, np.nan, -0.3]]), "two": np.zeros((3, 2))}
    lines = picture(weights)
    wide = block_width(2, 12)
    rows = [line for line in lines if UNICODE.unit in line]
    top, middle, bottom = rows[0], rows[1], rows[2]
    assert "█" * (wide // 2) + "░" * (wide // 2) in top
    assert "!" * (wide // 2) in middle, "what is not finite is seen"
    assert "⣿" * (wide // 2) + "⠂" * (wide // 2) in bottom
    snapshot = Snapshot(model=ModelView(features=2, layers=LAYERS))
    drawn = draw(snapshot, weights, 30, 8, BRAILLE, 0)
    line = next(line for line in drawn if any("█" in part for part, _ in line))
    assert style_at(line, "".join(part for part, _ in line).index("█")) == "first"


def test_dead_units_are_crosses() -> None:
    from bptui.tui.store import _finding

    found = _finding(finding("2/3 units dead", "one", units=(0, 2)))
    lines = picture({}, findings=(found,))
    column = max(line.find("×") for line in lines)
    assert [line[column] for line in lines if len(line) > column and line[column] in "×●"] == ["×", "●", "×"]


@pytest.mark.parametrize(
    ("micro", "one", "two"),
    [("forward one", "a ─", "2"), ("forward two", "a ─", "a ─"), ("backward two", "3 relu", "◀─"),
     ("backward one", "◀─", "◀─"), ("update", "W − η∇W", "W − η∇W"), ("", "3 relu", "2")],
)  # fmt: skip
def test_an_arrow_goes_where_the_micro_step_stands(micro: str, one: str, two: str) -> None:
    flow = picture({}, micro)[1]
    names = picture({}, micro)[0]
    split = names.index("two")
    assert flow[:split].strip().startswith(one) and flow[split:].strip().startswith(two)


def test_many_units_are_a_bar_and_the_largest_weight_stands_for_its_neighbours() -> None:
    assert _largest(np.array([1.0, -5.0, 2.0, 0.5, np.nan, 3.0]), 2).tolist()[0] == -5.0
    assert np.isnan(_largest(np.array([1.0, -5.0, 2.0, 0.5, np.nan, 3.0]), 2)[1])
    layer = LayerView("wide", 100, 1000, "relu", 0)
    snapshot = Snapshot(model=ModelView(features=100, layers=(layer,)))
    lines = draw(snapshot, {"wide": np.ones((100, 1000))}, 40, 12, BRAILLE, 0)
    assert len(lines) == 11 and sum("┃" in "".join(p for p, _ in line) for line in lines) == 9


def test_a_hundred_layers_show_those_around_the_selected_one() -> None:
    layers = tuple(LayerView(f"l{n}", 4, 4, "tanh", 20) for n in range(100))
    snapshot = Snapshot(model=ModelView(features=4, layers=layers))
    for selected in (0, 50, 99):
        lines = draw(snapshot, {}, 40, 12, BRAILLE, selected)
        assert f"l{selected} " in "".join(part for part, _ in lines[0]) + " "
        assert all(sum(len(part) for part, _ in line) <= 40 for line in lines)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_m_in_pane_1_shows_it(size: tuple[int, int]) -> None:
    session = Weighty([model_info(SPEC), status("PAUSED", 12, micro="backward dense2"), Frame(Findings(findings=(
        finding("2/6 units dead", "dense2", units=(1, 4)),)))])  # fmt: skip
    async with shown(session, SPEC, size) as (app, pilot):
        await pilot.press("1", "m")
        await until(pilot, lambda: "◀─" in text(app) and app.main.model.weights_of == 12)
        assert [m.kinds for m in session.sent if isinstance(m, Inspect)] == [("W",)] * 3
        await settle(app, pilot)
        check(f"diagram-{size[0]}", app)
        await pilot.press("m")
        await until(pilot, lambda: "w>0" not in text(app))


async def test_the_last_weights_stay_while_it_runs() -> None:
    session = Weighty([model_info(SPEC), status("PAUSED", 12)])
    async with shown(session, SPEC, (120, 36)) as (app, pilot):
        await pilot.press("M", "z")
        await until(pilot, lambda: app.main.model.weights_of == 12)
        asked = len(session.sent)
        session.say("RUNNING", 40)
        await until(pilot, lambda: "of step 12" in text(app))
        assert len(session.sent) == asked
        session.say("PAUSED", 50)
        await until(pilot, lambda: app.main.model.weights_of == 50)


async def test_ascii_glyphs() -> None:
    async with shown(Weighty(story(SPEC)), SPEC, glyphs="ascii") as (app, pilot):
        await pilot.press("1", "m")
        await until(pilot, lambda: app.main.model.weights_of == 300)
        await settle(app, pilot)
        lines = draw(app.store.snapshot, app.main.model.weights, 60, 20, ASCII, 0)
        assert {c for line in lines for part, _ in line for c in part if not c.isascii()} == set()
