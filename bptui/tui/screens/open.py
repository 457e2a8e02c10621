"""``o``: another run by its name, or a place in one, as ``Y`` copies it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bptui.client.reference import Reference, is_reference, parse
from bptui.tui.another import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from bptui.tui.screens.base import TransportScreen


def named(text: str) -> tuple[Path, Reference | None]:
    """The directory of a run, and the place in it where one is named; ValueError in one line."""
    from bptui.client.discover import resolve

    text = text.strip()
    if not text:
        raise ValueError("expected a run: its id, the beginning of one, latest, or a path")
    at = parse(text) if is_reference(text) else None
    return resolve(at.run if at is not None else text), at


def open_named(below: TransportScreen) -> None:
    """Ask which, and show it; the run that was shown goes on, or stays as it is."""
    from bptui.tui.screens.ask import AskScreen

    face = below.face

    def taken(text: str | None) -> None:
        if text is not None:
            below.work("open", _open, *named(text))

    async def _open(directory: Path, at: Reference | None) -> None:
        shown = face.session is not None and face.session.directory == directory
        if shown and at is not None:
            face.main.go_to(at)
        elif not shown and await open_run(face, directory):
            face.look_at(at)

    about = "A run: its id, the beginning of one, latest, or a path; or a place in it, as Y copies. r lists the runs."
    below.app.push_screen(
        AskScreen("Open", about, hint="latest   20261127-1345   RUN@1284/dense2/delta[3,5]", check=named), taken
    )
