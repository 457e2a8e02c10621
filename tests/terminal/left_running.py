"""What a program has left running in sessions of its own: found by a folder in its environment (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def left_running(home: str | Path) -> list[tuple[int, str]]:
    """Pid and command line of each other process that was started with a variable naming ``home`` or a place in it."""
    found, folder = [], str(home).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        values = [entry.partition(b"=")[2] for entry in environment.split(b"\0")]
        named = any(value == folder or value.startswith(folder + b"/") for value in values)
        if named and int(process.name) != os.getpid():
            found.append((int(process.name), command.replace(b"\0", b" ").decode(errors="replace").strip()))
    return found


def end_left_running(home: str | Path) -> list[str]:
    """Kills them; returns their command lines."""
    left = left_running(home)
    for pid, _ in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [command for _, command in left]
