"""When a state is kept: on disk now and then, in memory more often, each within its share of the run's time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from bptui.runs.ring import Record

if TYPE_CHECKING:
    from bptui.data import DataSet
    from bptui.trainer.course import Tensors
    from bptui.trainer.recorded import Recorded

#: Of the run's time that keyframes may cost …
DISK_SHARE = 0.012
#: … and seconds between two at the least.
DISK_SECONDS = 0.5
MEMORY_SHARE, MEMORY_SECONDS = 0.008, 0.1
#: Seconds after which a disk that took nothing is tried again.
_AGAIN = 30.0
#: Pictures looked at for the range of their values.
_PICTURES = 1024


class Turn:
    """Something that is done again when what it costs is a small enough share of the time since."""

    def __init__(self, share: float, least: float) -> None:
        self._share, self._least = share, least
        self._at = 0.0
        self._wait = least
        self.spent = 0.0
        """Seconds that it has taken so far."""

    def due(self, now: float) -> bool:
        return now - self._at >= self._wait

    def took(self, begin: float, end: float) -> None:
        """It was done from ``begin`` to ``end``. The cost is smoothed: one slow time must not keep it away for long."""
        self._wait = max(self._least, 0.7 * self._wait + 0.3 * (end - begin) / self._share if self._at else self._least)
        self._at = end
        self.spent += end - begin

    def put_off(self, now: float, seconds: float) -> None:
        self._at, self._wait = now, seconds


def keep_if_due(trainer: Recorded) -> None:
    """After an update that is new: a keyframe, or a state in memory, where it is time for one."""
    now = time.perf_counter()
    if trainer.step < trainer.head:
        return
    if trainer.disk.due(now):
        keep(trainer)
        now = time.perf_counter()
    if trainer.held.due(now):
        trainer.remember()
        trainer.held.took(now, time.perf_counter())


def keep(trainer: Recorded, *, asked: bool = False) -> None:
    """Write a keyframe of this state; a disk that does not take it is told, and training goes on."""
    if trainer.step < trainer.head and not asked:
        return  # this state was passed before
    begin = time.perf_counter()
    kept = keep_state(trainer, trainer.step, *trainer.capture())
    end = time.perf_counter()
    if kept:
        trainer.disk.took(begin, end)
    else:
        trainer.disk.put_off(end, _AGAIN)


def keep_state(trainer: Recorded, step: int, tensors: Tensors, words: dict[str, str]) -> bool:
    """Write a keyframe of a state that was captured at ``step``; False if the disk does not take it."""
    tensors = tensors | {f"scaler.{name}": value for name, value in trainer.setup.data.scaler.state().items()}
    metadata = {**words, "data": json.dumps(trainer.setup.about, ensure_ascii=False)}
    try:
        trainer.shelf.write(step, tensors, metadata)
    except OSError as error:
        fact = {"fact": "keyframe-lost", "step": step, "error": error.strerror or str(error)}
        trainer.ring.write(Record.FACT, step, json.dumps(fact).encode())
        return False
    return True


def own_tokens(data: DataSet) -> bool:
    """Whether the classes are the vocabulary itself, which need not be told twice."""
    return data.class_names is not None and data.class_names is data.vocabulary


def about_data(data: DataSet) -> dict[str, Any]:
    """What each keyframe says of the data, so that new rows can be predicted where the data are not.

    ``label``: what the targets are called. ``range``: least and largest value of pictures before scaling.
    """
    span = None
    if data.picture:
        x = data.train.x[:_PICTURES] * data.scaler.scale + data.scaler.mean
        span = [round(float(edge), 4) + 0.0 for edge in (x.min(), x.max())]
    return {
        "name": data.name,
        "task": data.task,
        "features": data.features,
        "outputs": data.outputs,
        "shape": data.shape and list(data.shape),
        "range": span,
        "classes": list(data.class_names) if data.class_names and not own_tokens(data) else None,
        "feature_names": data.feature_names and list(data.feature_names),
        "label": data.label,
        "ids": data.ids,
        "vocabulary": data.vocabulary and list(data.vocabulary),
        "vocabularies": data.vocabularies and [list(tokens) for tokens in data.vocabularies],
        "sample_rate": data.sample_rate,
        "padded": data.train.lengths is not None,
    }
