"""What a drawn widget shows after it was out of sight."""

from __future__ import annotations

from rich.style import Style
from textual.app import App, ComposeResult

from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import Drawn, Line


class Words(Drawn):
    """One line: what it was last told."""

    DEFAULT_CSS = "Words { height: 1; }"
    word = "before"

    def style_of(self, name: str) -> Style:
        return Style()

    def build(self, width: int, height: int) -> list[Line]:
        return [[(self.word, "text")]]


class Shows(App[None]):
    def compose(self) -> ComposeResult:
        yield Words(Snapshot())


async def test_told_something_while_hidden_it_shows_that_when_it_comes_back() -> None:
    async with Shows().run_test(size=(20, 3)) as pilot:
        words = pilot.app.query_one(Words)
        assert words.render_line(0).text.strip() == "before"
        words.display = False
        await pilot.pause()
        words.word = "after"
        words.show()
        words.display = True
        await pilot.pause()
        assert words.render_line(0).text.strip() == "after"
