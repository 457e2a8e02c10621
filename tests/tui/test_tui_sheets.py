"""Maps and kernels in the inspector: small pictures side by side, and what their keys do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_session import FakeSession, experiment, story
from screen_text import SIZES, check, lines, settle, shown, text, until

from bptui.client.reference import parse
from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import Inside, Insides
from bptui.tui.glyphs import ASCII, BRAILLE
from bptui.tui.screens.inspector.sheet import described, layout, sheet

SPEC = experiment()


class Pictures(FakeSession):
    """Layer 0 is a convolution of twelve kernels of 5×5 over two channels."""

    def inside(self, message: Inside) -> Frame:
        common: dict[str, Any] = {"step": self.step, "micro": "", "layer": message.layer}
        name, body = message.name or "maps", Body()
        sample, page = max(0, min(message.sample, 3)), max(0, min(message.page, 1))
        draw = np.random.default_rng(sample + 10 * page)
        kernels = name == "kernels"
        tile = 5 if kernels else 8
        values = draw.normal(size=(12, tile, tile)) if kernels else np.maximum(draw.normal(size=(12, tile, tile)), 0)
        values[3] = 0.0
        reply = Insides(
            **common, names=("maps", "kernels"), name=name, axes=("unit" if kernels else "channel", "place"), tile=tile,
            row_names=tuple(map(str, range(12))), arrays={"values": body.add(values.reshape(-1, tile))},
            sample=0 if kernels else sample, samples=1 if kernels else 4, page=page if kernels else 0,
            pages=2 if kernels else 1, page_name="input",
        )  # fmt: skip
        return Frame(reply, body.bytes())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(("name", "tabs"), [("maps", 0), ("kernels", 1)])
async def test_a_sheet_of_small_pictures(size: tuple[int, int], name: str, tabs: int) -> None:
    async with shown(Pictures(story(SPEC)), SPEC, size) as (app, pilot):
        await pilot.press("i", "5", *["tab"] * tabs)
        await until(pilot, lambda: f"{name}, {'unit' if tabs else 'channel'} 0: " in text(app))
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: "3: 0 at every place" in text(app))
        await settle(app, pilot)
        check(f"inspector-{name}-{size[0]}", app)


async def test_keys_go_from_picture_to_picture_and_to_the_next_sample() -> None:
    async with shown(Pictures(story(SPEC)), SPEC, (80, 24), glyphs="ascii") as (app, pilot):
        await pilot.press("i", "5")
        await until(pilot, lambda: "maps, channel 0: " in text(app))
        assert all(line.isascii() for line in lines(app))
        across = app.screen.inner._layout.across  # type: ignore[attr-defined]
        await pilot.press("down")
        await until(pilot, lambda: f"maps, channel {across}: " in text(app))
        await pilot.press("up", "left")  # there is none before the first
        await until(pilot, lambda: "maps, channel 0: " in text(app))
        await pilot.press("end")
        await until(pilot, lambda: "maps, channel 11: " in text(app))
        await pilot.press("pagedown")
        await until(pilot, lambda: "sample 2 of 4" in text(app))
        await pilot.press("tab", "ctrl+right")
        await until(pilot, lambda: "input 2 of 2" in text(app))
        assert "sample" not in "\n".join(lines(app)[3:-3]), "weights are of no sample"


@pytest.mark.parametrize("place", ["maps[2,5]", "kernels[1,11]"])
async def test_a_small_picture_is_a_place(place: str) -> None:
    session = Pictures(story(SPEC), read_only=True)
    session.past = True
    async with shown(session, SPEC, at=parse(f"{session.run}@100/dense1/{place}")) as (app, pilot):
        await until(pilot, lambda: f" {place.partition(',')[2][:-1]}: " in lines(app)[-3])
        await pilot.press("Y")
        await until(pilot, lambda: f"copied {session.run}@100/dense1/{place} = " in text(app))


def test_pictures_are_as_large_as_all_of_them_allow() -> None:
    assert layout((8, 8), 4, 80, 20, BRAILLE).times == 2
    assert layout((8, 8), 16, 80, 20, BRAILLE).times == 1
    crowded = layout((8, 8), 200, 40, 10, BRAILLE)
    assert (crowded.times, crowded.across, crowded.down) == (1, 4, 2)
    assert layout((8, 8), 4, 10, 3, ASCII).across == 1  # a pane that is too small for one


def test_one_scale_holds_for_all_pictures_of_a_sheet() -> None:
    rows = [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0]]
    drawn = sheet(rows, 3, ["0", "1"], 0, 0, layout((3, 2), 2, 14, 9, ASCII)._replace(times=1), ASCII)
    assert "@" in drawn[1][0][0] and "@" not in "".join(text for text, _ in drawn[1][2:])
    assert described(rows, 3, 1) == "0 to 1.0e-1, mean 1.7e-2"
    assert described([[float("nan")]], 1, 0) == "nothing finite"
