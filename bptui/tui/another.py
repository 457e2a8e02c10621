"""Another run in the place of the one that is shown: restarted, or as the builder asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bptui.protocol.messages import Branched, Keep, Stop
from bptui.runs.info import RunError
from bptui.tui.link import NOT_OPENED
from bptui.tui.ports import ConnectionLost, Curves, RequestRefused, close, one_line

if TYPE_CHECKING:
    from bptui.client.launch import Start
    from bptui.spec.experiment import Experiment
    from bptui.tui.app import BptuiApp
    from bptui.tui.plan import Plan
    from bptui.tui.screens.builder.draft import Machine

Relauncher = Callable[..., Path]
"""Called with the experiment, and a ``client.launch.Start`` where it is not started as the run before."""


def machine_of(app: BptuiApp) -> Machine:
    """The engine and device that were asked for when the run was started."""
    from bptui.runs.info import read_info
    from bptui.tui.screens.builder.draft import Machine

    with contextlib.suppress(RunError):
        if app.session is not None:
            info = read_info(app.session.directory)
            return msgspec.convert({"engine": info.engine, "device": info.device}, Machine)
    return Machine()


async def replace_run(app: BptuiApp, experiment: Experiment, done: str, plan: Plan | None) -> None:
    """Launch a new run of ``experiment``, stop the old one and look at the new one."""
    assert app.relaunch is not None
    if not app.link.can_connect:
        return
    try:
        start = await _start_of(app, plan) if plan is not None else None
        directory = await asyncio.to_thread(app.relaunch, experiment, *([start] if start is not None else []))
        session = await app.link.connect(directory)
    except NOT_OPENED as error:
        app.notice(one_line(error), "bad")
        return
    app.link.silence()
    if (old := app.session) is not None:
        if app.store.snapshot.link == "live" and not old.read_only:
            with contextlib.suppress(ConnectionLost, RequestRefused, OSError):  # it may have ended by itself
                await old.request(Stop())
        await close(old)
    app.begin_anew(experiment)
    app.link.listen(session)
    app.notify(done, timeout=3)


async def open_run(app: BptuiApp, directory: Path) -> bool:
    """Look at another run; the one that was shown goes on, or stays as it is. False: it could not be opened."""
    from bptui.runs.info import read_info
    from bptui.spec.load import SpecError, from_dict

    if not app.link.can_connect:
        return False
    try:
        experiment = from_dict(spec) if (spec := read_info(directory).spec) else None
        session = await app.link.connect(directory)
    except (*NOT_OPENED, SpecError) as error:
        app.notice(one_line(error), "bad")
        return False
    app.link.silence()
    if (old := app.session) is not None:
        await old.close(leave=True)
    app.begin_anew(experiment)
    app.link.listen(session)
    return True


async def lay_beneath(app: BptuiApp, directory: Path) -> None:
    """The curves of the run that this one is a branch of, for the chart to draw beneath."""
    from bptui.runs.info import read_info
    from bptui.runs.load import load

    def read() -> Curves | None:
        info = read_info(directory)
        if info.parent is None or not (directory.parent / info.parent.run / "run.json").exists():
            return None
        from bptui.tui.curves import HistoryCurves

        curves, at = HistoryCurves(), 0
        for piece in load(directory.parent / info.parent.run).log():
            curves.feed(at, piece)
            at += len(piece)
        return curves

    store = app.store
    with contextlib.suppress(RunError, OSError):
        store.lay_beneath(await asyncio.to_thread(read))
        app.paint()


async def follow_branch(app: BptuiApp, branch: Branched) -> None:
    """Start the branch that the trainer has made, and go on in it; the run that it leaves is stopped and kept."""
    from bptui.client.launch import discard, start_hub

    directory, old = Path(branch.directory), app.session
    if not app.link.can_connect or old is None or branch.directory in app.following:
        return
    app.following.add(branch.directory)
    try:
        await asyncio.to_thread(start_hub, directory)
        session = await app.link.connect(directory)
    except NOT_OPENED as error:
        app.notice(f"the branch could not be opened: {one_line(error)}", "bad")
        await asyncio.to_thread(discard, directory)
        return
    app.link.silence()
    with contextlib.suppress(ConnectionLost, RequestRefused, OSError):
        await old.request(Stop())
    await close(old)
    app.begin_anew(app.experiment)
    app.link.listen(session)
    app.notice(f"a branch of {old.run} at step {branch.step:,}: the old future is kept (r shows both)")


async def _start_of(app: BptuiApp, plan: Plan) -> Start | None:
    """How a planned run is started; None: as the run before it. A keyframe of the present state comes first."""
    from bptui.client.launch import Start

    weights = ""
    if plan.keep and (session := app.session) is not None:
        if app.store.snapshot.link == "live" and not session.read_only:
            with contextlib.suppress(RequestRefused):  # it has ended meanwhile, and left a keyframe
                await session.request(Keep())
        from bptui.runs.keyframes import keyframes

        kept = await asyncio.to_thread(keyframes, session.directory)
        if not kept:
            raise RunError("the run has kept no weights to go on with")
        weights = str(kept[-1].path)
    start = Start(engine=plan.engine, device=plan.device, weights=weights)
    return start if start != Start() else None
