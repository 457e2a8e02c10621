"""A screen as plain text, held against a file; ``BPTUI_GOLDENS=write`` writes the files anew."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fake_session import FakeSession
from textual.pilot import Pilot

from bptui.spec.experiment import Experiment
from bptui.tui.app import BptuiApp

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((80, 24), (120, 36), (200, 60))


def lines(app: BptuiApp) -> list[str]:
    """What is on the screen, without the blanks at the ends of lines."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def text(app: BptuiApp) -> str:
    return "\n".join(lines(app))


def check(name: str, app: BptuiApp) -> None:
    """The screen is the one in ``goldens/<name>.txt``."""
    path = GOLDENS / f"{name}.txt"
    now = text(app) + "\n"
    if os.environ.get("BPTUI_GOLDENS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(now, encoding="utf-8")
    assert path.exists(), f"{path.name} is missing: BPTUI_GOLDENS=write makes it"
    assert now == path.read_text(encoding="utf-8")


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str = "") -> None:
    """Waits for a condition, up to five seconds."""
    for _ in range(500):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"never came: {what or condition}\n{text(pilot.app)}")  # type: ignore[arg-type]


@asynccontextmanager
async def shown(
    session: FakeSession,
    experiment: Experiment | None = None,
    size: tuple[int, int] = (120, 36),
    **options: Any,
) -> AsyncIterator[tuple[BptuiApp, Pilot[Any]]]:
    """An app that shows a session and has painted all that was put into it."""

    async def opened() -> FakeSession:
        return session

    app = BptuiApp(opened, title="digits", experiment=experiment, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: session.queue.empty() and app.session is session, "the session's frames")
        await settle(app, pilot)
        yield app, pilot


async def settle(app: BptuiApp, pilot: Pilot[Any]) -> None:
    """Paints what the timer would paint, so that no test waits for it."""
    await pilot.pause()
    app.paint()
    await pilot.pause()
