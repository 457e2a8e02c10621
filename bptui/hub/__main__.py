"""``python -m bptui.hub RUN_DIR [--adopt]``: one hub for one run.

With ``--adopt`` the trainer is one that a dead hub left behind; else it is started here, first of all,
so that it loads while the hub does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec

from bptui.hub.process import TrainerProcess
from bptui.runs.info import RunError, RunInfo, process_start, read_info, write_info
from bptui.runs.ring import Ring, RingError

LOCK_SECONDS = 1.0


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--adopt"]):
        print("usage: python -m bptui.hub RUN_DIR [--adopt]", file=sys.stderr)
        return 2
    run, adopt = Path(arguments[0]).resolve(), len(arguments) == 2
    try:
        info = read_info(run)
        ring = Ring(run / "ring")
    except (RunError, RingError, OSError, ValueError) as error:
        print(f"bptui.hub: {error}", file=sys.stderr)
        return 2
    if not _lock(ring):
        return 0  # another hub serves this run
    info = msgspec.structs.replace(info, hub_pid=os.getpid(), hub_start=process_start(os.getpid()))
    try:
        if adopt:
            trainer = TrainerProcess.adopt(run, info)
        else:
            trainer = TrainerProcess.spawn(run, info)
            info = msgspec.structs.replace(info, trainer_pid=trainer.pid, trainer_start=trainer.start)
    except (OSError, ValueError) as error:
        print(f"bptui.hub: cannot start the trainer: {error}", file=sys.stderr)
        return 1
    with contextlib.suppress(OSError):  # a full disk: the recorder tries again
        write_info(run, info)
    _serve(run, info, ring, trainer)
    return 0


def _lock(ring: Ring) -> bool:
    """A trainer without a hub holds the lock for moments, while it puts records aside: so try for a while."""
    end = time.monotonic() + LOCK_SECONDS
    while not ring.lock():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _serve(run: Path, info: RunInfo, ring: Ring, trainer: TrainerProcess) -> None:
    import asyncio

    from bptui.hub.recorder import Recorder
    from bptui.hub.server import Hub

    recorder = Recorder(run, info, ring)

    async def serve() -> None:
        await Hub(recorder, trainer).serve()

    asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
