"""A home for runs, a fake trainer, and ways to wait for what must happen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bptui.client.connect import LiveSession
from bptui.client.launch import launch
from bptui.client.session import Session
from bptui.runs.info import alive, read_info
from bptui.spec.experiment import CrossEntropy, Data, Dense, Experiment, Header
from tests.hub.live import Watched, until

TRAINER = Path(__file__).parent / "fake_trainer.py"
EXPERIMENT = Experiment(
    experiment=Header(name="fake", seed=3), data=Data(source="spiral"), loss=CrossEntropy(),
    model=(Dense(units=16, activation="relu"), Dense(units=3)),
)  # fmt: skip


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of runs for this test; whatever it started is ended after it."""
    folder = Path(tempfile.mkdtemp(prefix="bph"))
    (folder / "run").mkdir(mode=0o700)
    monkeypatch.setenv("BPTUI_HOME", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("BPTUI_TRAINER", json.dumps([sys.executable, str(TRAINER)]))
    monkeypatch.setenv("PYTHONPATH", str(TRAINER.parents[2]))
    monkeypatch.setenv("BPTUI_LINGER", "0.3")
    monkeypatch.setenv("BPTUI_GRACE", "0.5")
    yield folder
    for run in (folder / "runs").glob("*"):
        with contextlib.suppress(ValueError):
            info = read_info(run)
            for pid, start in ((info.trainer_pid, info.trainer_start), (info.hub_pid, info.hub_start)):
                if alive(pid, start):
                    os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid, start=start: not alive(pid, start))
    shutil.rmtree(folder, ignore_errors=True)


Start = Callable[..., Path]


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a run of the fake trainer with options."""

    def begin(*, interactive: bool = False, **options: object) -> Path:
        monkeypatch.setenv("FAKE_TRAINER", json.dumps(options))
        return launch(EXPERIMENT, title="fake · 2-16-3", interactive=interactive)

    return begin


@pytest.fixture
async def watch() -> AsyncIterator[Callable[..., object]]:
    """Start a live session and read its stream."""
    opened: list[Watched] = []

    async def begin(run: Path, session: Session | None = None, **options: object) -> Watched:
        session = session or LiveSession(run, **options)  # type: ignore[arg-type]
        await session.start()
        watched = Watched(session)
        opened.append(watched)
        return watched

    yield begin
    for watched in opened:
        await watched.close(leave=False)
