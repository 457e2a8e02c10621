"""``bptui ls``: the runs there are, as a table or as JSON."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from bptui.client.discover import RunSummary, list_runs
from bptui.runs.output import escape


def as_json() -> str:
    """A JSON list, newest first."""
    return msgspec.json.format(msgspec.json.encode([_row(run) for run in list_runs()]), indent=1).decode()


def _row(run: RunSummary) -> dict[str, Any]:
    return {**run._asdict(), "directory": str(run.directory)}


def as_text() -> str:
    """A line a run, newest first; says what to do where there is none."""
    runs = list_runs()
    if not runs:
        return "no runs yet: 'bptui' or 'bptui train digits' makes one"
    ids = [escape(run.id) for run in runs]
    width = max(map(len, ids))
    return "\n".join(
        f"{id:{width}}  {run.state:8}  {'live' if run.live else '':4}  step {run.step:>9,}  {_ago(run)}  "
        f"{escape(run.title)}"
        for id, run in zip(ids, runs, strict=True)
    )


def _ago(run: RunSummary) -> str:
    seconds = max(0.0, time.time() - run.created)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:3.0f} {unit:3} ago"
    return f"{seconds:3.0f} s   ago"
