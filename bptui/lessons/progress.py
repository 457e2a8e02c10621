"""How far a learner has come: ``$BPTUI_HOME/lessons/<name>.json``."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec

from bptui.runs.paths import home


class Progress(msgspec.Struct, frozen=True):
    step: int = 0
    """Index of the step that comes next; as many as there are: done."""


def progress_path(name: str) -> Path:
    return home() / "lessons" / f"{name}.json"


def read_progress(name: str, steps: int) -> int:
    """Where to go on; 0 where nothing (or nothing sensible) is kept, or all was done."""
    try:
        step = msgspec.json.decode(progress_path(name).read_bytes(), type=Progress).step
    except (OSError, msgspec.MsgspecError):
        return 0
    return step if 0 <= step < steps else 0


def keep_progress(name: str, step: int) -> None:
    """Kept whole or not at all; a home that cannot be written costs the progress and nothing else."""
    path = progress_path(name)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".progress.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(Progress(step)))
        os.replace(temporary, path)
