"""Leaving: at once where nothing runs, else after a question; and what is said in the shell then."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bptui.protocol.messages import Pause, Run, Stop
from bptui.tui.ports import Session, close
from bptui.tui.store import ENDED, Snapshot
from bptui.tui.text import clean, integer, loss_text

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp

STOP_SECONDS = 5.0


class ExitResult(msgspec.Struct, frozen=True):
    """What is left to do and to say once the screen is given back."""

    code: int = 0
    lines: tuple[str, ...] = ()
    """For standard output, or standard error where ``code`` is 2."""
    discard: tuple[Path, ...] = ()
    """Run directories whose trainer failed before its first step: their launcher removes them."""


def ask_to_leave(app: BptuiApp) -> None:
    """At once when nothing runs, else ask."""
    from bptui.tui.screens.leave import LeaveScreen, choices

    def left(choice: str | None) -> None:
        if choice not in (None, "cancel"):
            app.spawn(leave(app, str(choice)))

    snapshot = app.store.snapshot
    options = choices(snapshot)
    if not options:
        app.spawn(leave(app, "leave"))
    elif not isinstance(app.screen, LeaveScreen):
        app.push_screen(LeaveScreen(snapshot.state, options), left)


async def leave(app: BptuiApp, choice: str) -> None:
    """``choice``: as in ``screens.leave``."""
    if app.leaving:
        return
    app.leaving = True
    session = app.session
    if session is None:
        app.link.silence()
        app.finish(ExitResult(0))
        return
    ends = choice == "stop" or (choice == "resume" and app.store.snapshot.state == "HELD")
    if ends and await app.ask(Stop() if choice == "stop" else Run()) is not None:
        with contextlib.suppress(TimeoutError):  # it ends after its step; the run directory will say so
            async with asyncio.timeout(STOP_SECONDS):
                while app.store.snapshot.code is None and app.store.snapshot.link == "live":
                    await asyncio.sleep(0.02)
    elif choice == "resume" and not ends:
        await app.ask(Run())
    elif choice == "pause":
        await app.ask(Pause())
    app.link.silence()
    lines = farewell(app.store.snapshot, session, choice)
    await close(session)
    app.finish(ExitResult(0, lines))


def farewell(snapshot: Snapshot, session: Session, choice: str = "leave") -> tuple[str, ...]:
    """Run, result, directory and how to come back, for the shell. ``choice``: as in ``screens.leave``."""
    state = {"resume": "RUNNING", "stop": "STOPPED"}.get(choice, snapshot.shown_state)
    if choice == "resume" and snapshot.code is not None:  # it was held, and has ended now
        state = snapshot.shown_state
    ended = snapshot.code is not None or snapshot.link == "ended" or state in ENDED
    words = {"RUNNING": "training goes on", "PAUSED": "paused", "HELD": "held", "WAITING": "the script goes on"}.get(
        state, state.lower()
    )
    result = [f"{words} at step {integer(snapshot.step)}"]
    if snapshot.curves is not None:
        for series, word in (("loss", "loss"), ("val_loss", "validation loss")):
            if (value := snapshot.curves.latest(series)) is not None:
                result.append(f"{word} {loss_text(value)}")
        if (value := snapshot.curves.latest("val_return")) is not None:
            result.append(f"mean return {loss_text(value)}")
        if (value := snapshot.curves.latest("val_accuracy")) is not None:
            result.append(f"validation accuracy {value * 100:.1f} %")
    lines = [f"run     {clean(session.run)}" + (f" ({snapshot.model.title})" if snapshot.model.title else "")]
    if snapshot.step == 0 and snapshot.state in ("READY", "STARTING") and not ended:
        return (*lines, "result  never started, nothing kept")
    lines.append("result  " + ", ".join(result))
    if snapshot.text and (
        snapshot.state == "FAILED" or (snapshot.state == "DONE" and snapshot.script and snapshot.step <= 1)
    ):
        lines.append(f"        {snapshot.text}")
    lines.append(f"files   {clean(str(session.directory))}")
    lines.append(f"again   bptui {'open' if ended else 'attach'} {clean(session.run)}")
    return tuple(lines)
