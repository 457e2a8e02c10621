"""Whether a process that a run names is one of its own: ``run.json`` is a file, and may name any process."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Literal

from bptui.runs.info import RunInfo, alive

Role = Literal["trainer", "hub"]


def trainer_program() -> list[str]:
    """``$BPTUI_TRAINER`` (a JSON list), which puts another program in the trainer's place; empty: none does."""
    own = os.environ.get("BPTUI_TRAINER")
    return [str(part) for part in json.loads(own)] if own else []


def lives(info: RunInfo, role: Role, run: Path | None = None) -> bool:
    """Whether the run's trainer or hub lives: that very process, started as one, for the run in this directory.

    Without ``run`` a directory with the run's name will do. Where there is no /proc its number must suffice.
    """
    pid, start = (info.trainer_pid, info.trainer_start) if role == "trainer" else (info.hub_pid, info.hub_start)
    if not alive(pid, start):
        return False
    if not Path("/proc/self/cmdline").exists():
        return True
    if role == "trainer" and info.mode == "script":
        return start > 0  # a user's own program, whatever its name: number and start time are its own
    try:
        words = _words(pid)
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    program = "bptui.hub" if role == "hub" else (trainer_program() or ["bptui.trainer"])[-1]
    ours = (
        (lambda word: os.path.basename(word) == info.id) if run is None
        else (lambda word: os.path.realpath(os.path.join(folder, word)) == os.path.realpath(run))
    )  # fmt: skip
    return start > 0 and program in words and any(map(ours, words[words.index(program) + 1 :]))


def _words(pid: int) -> list[str]:
    """The command line of a process. Within its exec there is none, for less than a millisecond: that is waited for."""
    for _ in range(20):
        if data := Path(f"/proc/{pid}/cmdline").read_bytes():
            return [os.fsdecode(word) for word in data.split(b"\0") if word]
        time.sleep(0.001)
    return []
