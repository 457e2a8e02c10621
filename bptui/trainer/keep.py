"""Keyframes: the whole state of a run, written by the trainer where nothing is under way."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from bptui.runs import keyframes
from bptui.runs.ring import Record

if TYPE_CHECKING:
    from bptui.trainer.loop import Trainer

#: A keyframe at the end of an epoch is due when the last one took less than this share of the time since.
_SHARE = 0.01


def keep(trainer: Trainer, *, only_if_due: bool = False) -> None:
    """Write a keyframe of this state; a disk that does not take it is told, and training goes on."""
    now = time.monotonic()
    since = now - trainer.kept_at
    if only_if_due and since * _SHARE < max(trainer.keep_cost, 0.01):
        return
    tensors = {
        **trainer.engine.state(),
        **{f"batches.{name}": value for name, value in trainer.batches.state().items()},
    }
    metadata = {"schedule": json.dumps(trainer.lr.state()), "stopping": json.dumps(trainer.stopping.state())}
    try:
        keyframes.write(trainer.directory, trainer.step, tensors, metadata)
    except OSError as error:
        fact = {"fact": "keyframe-lost", "step": trainer.step, "error": error.strerror or str(error)}
        trainer.ring.write(Record.FACT, trainer.step, json.dumps(fact).encode())
    trainer.kept_at = time.monotonic()
    trainer.keep_cost = trainer.kept_at - now
