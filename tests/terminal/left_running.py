"""What a program has left running in sessions of its own: found by the home in its environment (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def left_running(home: str | Path) -> list[tuple[int, str]]:
    """Pid and command line of each other process whose ``$BPTUI_HOME`` lies in ``home``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if int(process.name) != os.getpid() and f"BPTUI_HOME={home}/".encode() in environment:
            found.append((int(process.name), command.replace(b"\0", b" ").decode(errors="replace").strip()))
    return found


def end_left_running(home: str | Path) -> list[str]:
    """Kills them; returns their command lines."""
    left = left_running(home)
    for pid, _ in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [command for _, command in left]
