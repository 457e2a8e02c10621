"""The trainer's process: started, watched, and ended when it does not end by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.runs.info import RunInfo, alive, process_start
from bptui.runs.processes import lives, trainer_program

if TYPE_CHECKING:
    import asyncio

POLL_SECONDS = 0.25


def command(run: Path, info: RunInfo) -> list[str]:
    """How the trainer is started; ``$BPTUI_TRAINER`` (a JSON list) puts another program in its place."""
    # -P: a file in the user's folder must not stand in for a module of the same name.
    if info.mode == "script":
        return [sys.executable, "-P", "-u", "-m", "bptui.attach", str(run), "--", *info.argv]
    return [*(trainer_program() or [sys.executable, "-P", "-m", "bptui.trainer"]), str(run)]


class TrainerProcess:
    """One process, a child of this one or not. ``status`` is its exit status once it has ended, if that is known."""

    def __init__(self, pid: int, start: float, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.start = start
        self.status: int | None = None
        self.ended = False
        self._child = child
        self._pidfd = -1
        self._poll: asyncio.TimerHandle | None = None

    @classmethod
    def spawn(cls, run: Path, info: RunInfo) -> TrainerProcess:
        """Start it with its output in ``trainer.log``. Raises OSError."""
        with open(run / "trainer.log", "ab") as output:
            child = subprocess.Popen(
                command(run, info),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=info.cwd if info.cwd and os.path.isdir(info.cwd) else None, start_new_session=True,
            )  # fmt: skip
        return cls(child.pid, process_start(child.pid), child)

    @classmethod
    def adopt(cls, run: Path, info: RunInfo) -> TrainerProcess:
        """The one that a dead hub left behind; one that has ended where ``run.json`` names no trainer of this run."""
        return cls(info.trainer_pid, info.trainer_start) if lives(info, "trainer", run) else cls(0, 0.0)

    def watch(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        """Call ``ended`` once, as soon as the process has ended."""

        def look() -> None:
            if self._child is not None and self._child.poll() is None and self._pidfd < 0:
                self._poll = loop.call_later(POLL_SECONDS, look)
                return
            if self._child is None and self._pidfd < 0 and alive(self.pid, self.start):
                self._poll = loop.call_later(POLL_SECONDS, look)
                return
            finish()

        def finish() -> None:
            if self._pidfd >= 0:
                loop.remove_reader(self._pidfd)
                os.close(self._pidfd)
                self._pidfd = -1
            if self._child is not None:
                self.status = self._child.wait()
            self.ended = True
            ended()

        if not alive(self.pid, self.start):
            loop.call_soon(finish)
            return
        with contextlib.suppress(OSError, AttributeError):
            self._pidfd = os.pidfd_open(self.pid)
        if self._pidfd >= 0:
            loop.add_reader(self._pidfd, finish)
        else:
            look()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to that very process, and no other that got its number."""
        if not self.ended and alive(self.pid, self.start):
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    def release(self) -> None:
        """The process may go on without this one."""
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # it is meant to outlive us: no ResourceWarning
