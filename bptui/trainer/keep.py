"""Keyframes: the whole state of a run, written by the trainer where nothing is under way."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from bptui.runs import keyframes
from bptui.runs.ring import Record

if TYPE_CHECKING:
    from bptui.data import DataSet
    from bptui.trainer.course import Tensors
    from bptui.trainer.recorded import Recorded

#: A keyframe at the end of an epoch is due when the last one took less than this share of the time since.
_SHARE = 0.01
#: Pictures looked at for the range of their values.
_PICTURES = 1024


def keep(trainer: Recorded, *, only_if_due: bool = False, asked: bool = False) -> None:
    """Write a keyframe of this state; a disk that does not take it is told, and training goes on."""
    if trainer.step < trainer.head and not asked:
        return  # this state was passed before
    now = time.monotonic()
    since = now - trainer.kept_at
    if only_if_due and since * _SHARE < max(trainer.keep_cost, 0.01):
        return
    keep_state(trainer, trainer.step, *trainer.capture())
    trainer.kept_at = time.monotonic()
    trainer.keep_cost = trainer.kept_at - now


def keep_state(trainer: Recorded, step: int, tensors: Tensors, words: dict[str, str]) -> None:
    """Write a keyframe of a state that was captured at ``step``."""
    tensors = tensors | {f"scaler.{name}": value for name, value in trainer.setup.data.scaler.state().items()}
    metadata = {**words, "data": json.dumps(trainer.setup.about, ensure_ascii=False)}
    try:
        keyframes.write(trainer.directory, step, tensors, metadata)
    except OSError as error:
        fact = {"fact": "keyframe-lost", "step": step, "error": error.strerror or str(error)}
        trainer.ring.write(Record.FACT, step, json.dumps(fact).encode())


def about_data(data: DataSet) -> dict[str, Any]:
    """What each keyframe says of the data, so that new rows can be predicted where the data are not.

    ``label``: what the targets are called. ``range``: least and largest value of pictures before scaling.
    """
    span = None
    if data.shape is not None:
        x = data.train.x[:_PICTURES] * data.scaler.scale + data.scaler.mean
        span = [round(float(edge), 4) + 0.0 for edge in (x.min(), x.max())]
    return {
        "name": data.name,
        "task": data.task,
        "features": data.features,
        "outputs": data.outputs,
        "shape": data.shape and list(data.shape),
        "range": span,
        "classes": data.class_names and list(data.class_names),
        "feature_names": data.feature_names and list(data.feature_names),
        "label": data.label,
    }
