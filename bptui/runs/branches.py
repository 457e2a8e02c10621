"""Branches: a run that has the past of another one up to a step, and a change there.

A branch is a run of its own: it holds its parent's record and keyframes up to that step, so that it can be replayed,
copied and kept without it. It is made under a hidden name and renamed when it is whole: a half-made one is no run. Its
trainer begins by going to the step from the nearest keyframe, and makes the changes that its events tell.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bptui.runs import findings, keyframes, log
from bptui.runs.events import encode
from bptui.runs.info import Parent, RunError, read_info, write_info
from bptui.runs.interventions import Change, change_of, told
from bptui.runs.load import Loaded, load
from bptui.runs.log import BlockKind
from bptui.runs.paths import new_id, socket_addresses, whole
from bptui.runs.ring import Ring


def make(
    parent: Path, step: int, changes: Sequence[Change], *, past: Iterable[Change] | None = None, running: bool = False,
    pace: float | None = None, breaks: Sequence[str] | None = None, folder: Path | None = None,
) -> Path:  # fmt: skip
    """Make the directory of the branch that leaves ``parent`` in state ``step`` with ``changes``; nothing is started.

    ``past``: what was changed up to ``step``, where that is known better than from the parent's files. ``running``:
    it runs on at once, else it is paused there. ``folder``: where it is made; None: beside its parent.
    Returns the directory. RunError in one line; nothing is left behind.
    """
    info = read_info(parent)
    if keyframes.nearest(parent, step) is None:
        raise RunError(f"{info.id}: no keyframe at or before step {step:,}: no branch can begin there")
    root = parent.resolve().parent if folder is None else folder
    name = new_id(str(info.spec.get("experiment", {}).get("name") or info.title))
    sweep(root)
    hidden = root / f".branch-{secrets.token_hex(6)}"
    with whole(hidden, f"{info.id}: no branch could be made"):
        hidden.mkdir()
        loaded = load(parent)
        _write_events(hidden / "events.jsonl", loaded, step, changes, past)
        _write_log(hidden / "scalars", loaded, step)
        _write_findings(parent, hidden, step)
        _link_keyframes(parent, hidden, step)
        Ring.create(hidden / "ring").close()
        run = root / name
        hub_address, trainer_address = socket_addresses(run)
        write_info(hidden, msgspec.structs.replace(
            info, id=name, created=time.time(), interactive=True, running=running, until="", weights="",
            pace=info.pace if pace is None else pace, breaks=info.breaks if breaks is None else tuple(breaks),
            trainer_pid=0, trainer_start=0.0, hub_pid=0, hub_start=0.0, address=hub_address,
            trainer_address=trainer_address, parent=Parent(info.id, step), end=None,
        ))  # fmt: skip
        os.rename(hidden, run)
    return run


def sweep(root: Path, *, older: float = 3600.0) -> None:
    """Remove what branches have left that were not finished, for ``older`` seconds."""
    with contextlib.suppress(OSError):
        for place in root.glob(".branch-*"):
            if time.time() - place.stat().st_mtime > older:
                shutil.rmtree(place, ignore_errors=True)


def _write_events(
    path: Path, loaded: Loaded, step: int, changes: Sequence[Change], past: Iterable[Change] | None
) -> None:
    now = time.time()
    kept = [line for line in told(loaded.scalars.parent, loaded.digest.events) if _at(line) <= step]
    if past is not None:  # the trainer knows them, filed or not
        others = [line for line in kept if change_of(line) is None]
        kept = sorted((*others, *(_line(one, now) for one in past if one.step <= step)), key=_at)
    told_here = [_line(one, now) for one in changes]
    branch = _line(Change(step, "branch", loaded.info.id), now)
    path.write_bytes(b"".join(encode(line) for line in [*kept, branch, *told_here]))


def _at(line: dict[str, Any]) -> int:
    step = line.get("step")
    return step if isinstance(step, int) else 0


def _line(change: Change, now: float) -> dict[str, Any]:
    return {
        "step": change.step, "phase": "", "rank": 0, "change": change.key, "before": change.before,
        "after": change.value, "time": now, "source": "trainer",
    }  # fmt: skip


def _write_log(path: Path, loaded: Loaded, step: int) -> None:
    """The parent's log up to state ``step``: losses of the states before it, everything else up to it."""
    parser = log.LogParser()
    with open(path, "wb") as file:
        for piece in loaded.log():
            for block in parser.feed(piece):
                file.write(_cut(block, step))
        file.write(log.cursor(0))


def _cut(block: log.Block, step: int) -> bytes:
    payload, count = block.payload, block.count
    if block.kind == BlockKind.CURSOR or block.step > step:
        return b""
    if block.kind == BlockKind.SERIES:
        count = min(count, step - block.step)
        if count < block.count:
            return log.series(block.index, block.rank, block.step, block.values()[:count], block.times())
    elif block.kind == BlockKind.SPARSE:
        kept = block.steps() <= step
        if not kept.all():
            return log.sparse(block.index, block.rank, block.steps()[kept], block.values()[kept], block.times())
    return log.block(
        BlockKind(block.kind), rank=block.rank, index=block.index, step=block.step, count=count,
        columns=block.columns, payload=payload,
    )  # fmt: skip


def _write_findings(parent: Path, branch: Path, step: int) -> None:
    known = [finding for finding in findings.read_findings(parent) if finding.first_step < step]
    if known:
        (branch / "findings.jsonl").write_bytes(b"".join(findings.encode(finding, 0) for finding in known))


def _link_keyframes(parent: Path, branch: Path, step: int) -> None:
    """The same files where the disk can have one file in two places, else copies."""
    keyframes.folder(branch).mkdir()
    for frame in keyframes.keyframes(parent):
        if frame.step > step:
            continue
        target = keyframes.folder(branch) / frame.path.name
        try:
            os.link(frame.path, target)
        except FileNotFoundError:
            continue  # thinned meanwhile
        except OSError:
            shutil.copyfile(frame.path, target)
