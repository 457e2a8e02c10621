"""Runs as a tree: each branch under the run that it left, with what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bptui.client.discover import RunSummary, summarise
from bptui.runs.info import RunError

MOST_LOG = 32 << 20
"""Bytes of a log that is read for its last figures; of a longer run they are left out."""


class Placed(NamedTuple):
    """A run and its place in the tree."""

    run: RunSummary
    depth: int
    """0: it left no run that is still there."""
    ends: tuple[bool, ...]
    """For each depth from 1 on, whether no further branch follows below: how its line is drawn."""


def tree(runs: Iterable[RunSummary]) -> list[Placed]:
    """Newest run first, each with its branches below it, in the order in which they were made."""
    found = {run.id: run for run in runs}
    below: dict[str, list[RunSummary]] = {}
    roots = []
    for run in sorted(found.values(), key=lambda one: one.created):
        if run.parent is not None and run.parent.run in found and run.parent.run != run.id:
            below.setdefault(run.parent.run, []).append(run)
        else:
            roots.append(run)
    placed: list[Placed] = []

    def put(run: RunSummary, ends: tuple[bool, ...]) -> None:
        placed.append(Placed(run, len(ends), ends))
        branches = below.pop(run.id, [])
        for at, branch in enumerate(branches):
            put(branch, (*ends, at == len(branches) - 1))

    for run in sorted(roots, key=lambda one: one.created, reverse=True):
        put(run, ())
    for left in list(below):  # runs that are each other's parents: damaged files, and still runs
        for run in below.pop(left, []):
            placed.append(Placed(run, 0, ()))
    return placed


def result(directory: Path) -> str:
    """Its last loss and its best known score in words; empty where nothing is known."""
    from bptui.runs.load import load

    try:
        if (directory / "scalars").stat().st_size > MOST_LOG:
            return ""
        history = load(directory).history()
    except (OSError, RunError):
        return ""
    words = []
    if (loss := history.last("loss")) is not None:
        words.append(f"loss {loss[1]:.4g}")
    for name, scale, unit in _TOLD:
        if (last := history.last(name)) is not None:
            words.append(f"{name.replace('_', ' ')} {last[1] * scale:.4g}{unit}")
            break
    return "  ".join(words)


#: Of a run's figures the first that there is, times so much, in this unit.
_TOLD = (("val_accuracy", 100, " %"), ("val_r2", 1, ""), ("val_return", 1, ""), ("val_loss", 1, ""))


def remove(directory: Path) -> None:
    """Delete a run. RunError: a process of it lives, or the disk does not let it."""
    import shutil

    now = summarise(directory)
    if now is not None and (now.live or now.state == "STARTING"):
        raise RunError(f"{now.id} is running: stop it first")
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise RunError(f"{directory.name}: could not be deleted ({error.strerror})") from None


__all__ = ["Placed", "remove", "result", "tree"]
