"""Which runs there are, read from their files: no process is asked."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import NamedTuple

from bptui.runs.info import Parent, RunError, RunInfo, read_info
from bptui.runs.paths import runs_root
from bptui.runs.processes import lives
from bptui.runs.ring import read_header

__all__ = ["RunSummary", "list_runs", "live_processes", "resolve", "runs_root"]

STARTING_SECONDS = 15.0
"""A hub that was just started has this long until its silence counts as death."""
_ENDS = {"completed": "DONE", "until": "DONE", "stopped": "STOPPED", "crashed": "STALE"}


class RunSummary(NamedTuple):
    """One line of ``bptui ls``."""

    id: str
    directory: Path
    title: str
    state: str
    """STALE: its trainer is gone without a word. DAMAGED: its run.json cannot be read."""
    step: int
    created: float
    """Seconds since the epoch."""
    live: bool
    """Its trainer runs, on this machine."""
    end: dict[str, object] | None
    engine: str = ""
    pid: int = 0
    parent: Parent | None = None
    """The run that it is a branch of, and where it left it."""


class Live(NamedTuple):
    """Which processes of a run live."""

    hub: bool
    trainer: bool
    starting: bool
    """It was made a moment ago and no process has said a word yet."""


def live_processes(info: RunInfo, run: Path | None = None) -> Live:
    """On this machine since this boot; a run of another machine (home on NFS) counts as not live."""
    from bptui.client.launch import boot_id

    if (info.host and info.host != platform.node()) or (info.boot_id and info.boot_id != boot_id()):
        return Live(False, False, False)
    starting = not info.hub_pid and 0 <= time.time() - info.created < STARTING_SECONDS
    return Live(lives(info, "hub", run), lives(info, "trainer", run), starting)


def list_runs(root: Path | None = None) -> list[RunSummary]:
    """All runs, the newest first."""
    root = root or runs_root()
    try:
        # a hidden folder is a branch that is being made, or never was finished
        folders = (entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
        names = sorted(folders, reverse=True)
    except OSError:
        return []
    found = [summary for name in names if (summary := summarise(root / name)) is not None]
    found.sort(key=lambda run: run.created, reverse=True)
    return found


def summarise(run: Path) -> RunSummary | None:
    """One run; None if the folder is no run."""
    if not (run / "run.json").exists():
        return None
    try:
        info = read_info(run)
    except RunError:
        created = (run / "run.json").stat().st_mtime if (run / "run.json").exists() else 0.0
        return RunSummary(run.name, run, "?", "DAMAGED", 0, created, False, None)
    header = read_header(run / "ring")
    live = live_processes(info, run)
    step = header.step if header is not None else 0
    if info.end is not None:
        state = _ENDS.get(str(info.end.get("reason")), "FAILED")
        end_step = info.end.get("step")
        step = max(step, end_step if isinstance(end_step, int) else 0)
    elif live.trainer:
        state = header.state if header is not None else "STARTING"
    else:
        state = "STARTING" if live.starting else "STALE"
    engine = str(info.actual.get("engine", info.engine))
    return RunSummary(
        info.id, run, info.title, state, step, info.created, live.trainer, info.end, engine, info.trainer_pid,
        info.parent,
    )  # fmt: skip


def resolve(name: str, root: Path | None = None) -> Path:
    """The directory of ``latest``, an id, a unique prefix of one, a pid or a path. RunError in one line."""
    root = root or runs_root()
    if name and os.sep not in name and name not in (".", "..") and (root / name / "run.json").exists():
        return root / name
    runs = list_runs(root)
    if name == "latest":
        if not runs:
            raise RunError(f"no runs in {root}")
        return runs[0].directory
    if os.sep in name or name in (".", "..") or (Path(name) / "run.json").exists():
        path = Path(name).expanduser()
        path = path.parent if path.name == "run.json" else path
        if not (path / "run.json").exists():
            raise RunError(f"{name}: not a run (no run.json)")
        return path.absolute()
    if name.isascii() and name.isdigit():
        for run in runs:
            if run.live and run.pid == int(name):
                return run.directory
    matching = [run for run in runs if name and run.id.startswith(name)]
    if len(matching) == 1:
        return matching[0].directory
    if matching:
        some = ", ".join(run.id for run in matching[:3])
        raise RunError(f"{name}: {len(matching)} runs begin so ({some}{' …' if len(matching) > 3 else ''})")
    raise RunError(f"no run {name!r} in {root}{_nearest(name, [run.id for run in runs])}")


def _nearest(name: str, ids: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, ids, n=1, cutoff=0.4) or [run for run in ids if name and name in run][:1]
    return f"; nearest: {close[0]}" if close else ""
