"""From a run directory to a screen on this terminal, and back to the shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bptui.client.reference import Reference
from bptui.spec.experiment import Experiment
from bptui.spec.load import title
from bptui.tui.app import run
from bptui.tui.config import NoticeChoice, remember
from bptui.tui.glyphs import GlyphName
from bptui.tui.ports import Session
from bptui.tui.themes import theme_name


def start(
    run_of: Callable[[], Path],
    experiment: Experiment | None,
    relaunch: Callable[..., Path] | None,
    *,
    files_only: bool = False,
    observe: bool = False,
    glyphs: GlyphName = "braille",
    mouse: bool = True,
    theme: str = "auto",
    notices: NoticeChoice = "auto",
    at: Reference | None = None,
    lesson: tuple[str, bool] | None = None,
) -> int:
    """Show a run until its user leaves; says in the shell what became of it, and returns the exit status.

    ``run_of`` gives the run's directory, or makes it: it is called after the first frame, so that starting
    processes does not hold up the screen.
    """

    async def first() -> Session:
        return _session(run_of(), files_only=files_only, observe=observe)

    async def further(place: Path) -> Session:
        return _session(place)

    result = run(
        first, title=title(experiment) if experiment else "", experiment=experiment, relaunch=relaunch,
        connect=further, glyphs=glyphs, mouse=mouse, theme=theme_name(theme), notices=notices, remember=remember,
        at=at, lesson=lesson,
    )  # fmt: skip
    if result.discard:
        from bptui.client.launch import discard

        for place in result.discard:
            discard(place)
    # In a browser, standard output belongs to the page's protocol.
    out = sys.stderr if result.code == 2 or "TEXTUAL_DRIVER" in os.environ else sys.stdout
    for line in result.lines:
        print(f"bptui: {line}" if result.code == 2 else line, file=out)
    return result.code


def _session(place: Path, *, files_only: bool = False, observe: bool = False) -> Session:
    """A session, not started yet: live where a process of the run lives, else from its files."""
    from bptui.client.discover import live_processes
    from bptui.runs.info import read_info

    if files_only or not any(live_processes(read_info(place), place)):
        from bptui.client.file import FileSession

        return FileSession(place)
    from bptui.client.connect import connect

    return connect(place, role="observer" if observe else "controller")
