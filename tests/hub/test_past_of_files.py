"""A run that is shown from its files: any of its steps can be gone to and looked at, and the files stay as they are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from bptui.client.file import FileSession
from bptui.client.headless import follow
from bptui.client.launch import launch
from bptui.client.session import RequestRefused
from bptui.protocol.messages import Back, GoTo, Inspect, Inspection, Look, Looked, Run, Set, Status, Step
from bptui.runs.info import read_info
from bptui.runs.keyframes import keyframes, read
from bptui.runs.processes import lives
from bptui.spec.load import load
from tests.hub.live import Watched, aio_until, until

SECONDS = 60


def files(run: Path) -> dict[str, str]:
    """What is in each file of a run."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*")) if path.is_file()
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of digits: 90 steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTUI_HOME", str(tmp_path_factory.mktemp("home")))
        spec = load("digits", ["stop.epochs=2"])
        directory = launch(spec, title="digits")
        assert follow(directory, report=None, fail_on=None, quiet=True) == 0
        until(lambda: not lives(read_info(directory), "hub", directory), SECONDS)
    return directory


@contextlib.asynccontextmanager
async def opened(run: Path) -> AsyncIterator[tuple[FileSession, Watched]]:
    """The run's files as a face has them, read to their end, and what is shown of them."""
    session = FileSession(run)
    await session.start()
    watched = Watched(session)
    try:
        async with asyncio.timeout(2 * SECONDS):
            await aio_until(lambda: "Events" in watched.latest, SECONDS)
            yield session, watched
    finally:
        await watched.close()


async def until_shown(watched: Watched, state: str, step: int) -> Status:
    def there() -> bool:
        return watched.status is not None and (watched.state, watched.status.step) == (state, step)

    await aio_until(there, SECONDS)
    assert watched.status is not None
    return watched.status


async def test_any_step_is_gone_to_and_looked_at_and_the_files_stay(run: Path) -> None:
    before = files(run)
    async with opened(run) as (session, watched):
        await session.request(GoTo(step=40))
        shown = await until_shown(watched, "PAUSED", 40)
        assert shown.code == 0 and not shown.controller and shown.total_steps == 90
        looked = (await session.request(Look(kind="confusion"))).message
        assert isinstance(looked, Looked) and looked.step == 40
        await session.request(Step(count=4))
        await session.request(Back())
        await until_shown(watched, "PAUSED", 43)
        await session.request(GoTo(step=90))
        await until_shown(watched, "DONE", 90)  # what it has become stands there again
        frame = await session.request(Inspect(layer=0, kinds=("W",)))
        assert isinstance(frame.message, Inspection)
        kept = next(frame for frame in keyframes(run) if frame.step == 90)
        assert np.array_equal(frame.array(frame.message.arrays["W"]), read(kept.path)[0]["dense1.weight"])
    assert files(run) == before
    assert [place.name for place in run.parent.iterdir()] == [run.name]


async def test_what_would_change_it_or_lies_beyond_its_record_is_refused(run: Path) -> None:
    async with opened(run) as (session, _):
        for request in (Run(), Set(key="lr", value=0.5)):
            assert not session.allows(request)
            with pytest.raises(RequestRefused, match="its files are shown"):
                await session.request(request)
        with pytest.raises(RequestRefused, match="end of what was recorded"):
            await session.request(Step())
        with pytest.raises(RequestRefused, match="there is no step 91"):
            await session.request(GoTo(step=91))


async def test_a_run_without_keyframes_says_that_it_has_no_past(run: Path, tmp_path: Path) -> None:
    bare = tmp_path / run.name
    bare.mkdir()
    for name in ("run.json", "scalars", "ring"):
        (bare / name).write_bytes((run / name).read_bytes())
    session = FileSession(bare)
    await session.start()
    assert not session.allows(GoTo(step=1)) and not session.allows(Look(kind="confusion"))
