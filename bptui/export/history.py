"""What happened to a run beside its experiment: where it ended, and what was changed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.export.series import read_series
from bptui.runs.load import ended, load


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went."""

    losses: npt.NDArray[np.float64]
    """Of steps 0, 1 …, nan where none is known."""
    reason: str
    """``completed``, ``until``, ``stopped``, ``failed``, ``crashed`` or ``running``."""
    changes: tuple[str, ...]
    """Settings changed while it ran, a line each."""


def course_of(run: Path, planned: int | None) -> Course:
    """From the run's files; ``planned``: updates that its experiment asks for."""
    loss = read_series(run).get("loss")
    losses = np.empty(0)
    if loss is not None:
        losses = np.full(int(loss.steps[-1]) + 1, np.nan)
        losses[loss.steps] = loss.values
    changes = list(_changes(run))
    if planned is not None and len(losses) > planned:
        changes.append(f"step {planned}: it was asked to go on past its end")
    return Course(losses, ended(run, load(run)).reason, tuple(changes))


def _changes(run: Path) -> list[str]:
    """Interventions as the trainer carried them out."""
    try:
        lines = (run / "events.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    changes = []
    for line in lines:
        try:
            event: Any = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # torn by a crash
        if isinstance(event, dict) and event.get("source") == "trainer" and event.get("change"):
            changes.append(f"step {event.get('step')}: {event['change']} {event.get('before')} → {event.get('after')}")
    return changes
