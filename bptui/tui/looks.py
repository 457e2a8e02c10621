"""Answers to ``Look`` as plain values: what the confusion and boundary charts draw."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bptui.protocol.framing import Frame
from bptui.protocol.messages import Looked
from bptui.tui.text import clean


class ConfusionView(msgspec.Struct, frozen=True):
    """``counts[true][predicted]`` in state ``step``."""

    step: int
    part: str
    counts: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        return sum(row[index] for index, row in enumerate(self.counts))


class BoundaryView(msgspec.Struct, frozen=True):
    """``classes[row][column]`` and how sure (0–255); the first row is the highest y."""

    step: int
    classes: tuple[Sequence[int], ...]
    sure: tuple[Sequence[int], ...]
    x: tuple[float, float]
    y: tuple[float, float]
    names: tuple[str, ...]
    features: tuple[str, ...]
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()


def confusion_view(frame: Frame) -> ConfusionView | None:
    """None for an answer that is not one."""
    message = frame.message
    if not isinstance(message, Looked) or "counts" not in message.arrays:
        return None
    counts = frame.array(message.arrays["counts"])
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        return None
    names = tuple(clean(name, 40) for name in message.names)
    return ConfusionView(message.step, clean(message.part, 20), tuple(map(tuple, counts.tolist())), names)


def boundary_view(frame: Frame, before: BoundaryView | None) -> BoundaryView | None:
    """None for an answer that is not one; points that were not sent again are those of ``before``."""
    message = frame.message
    if not isinstance(message, Looked) or not {"classes", "sure", "box"} <= set(message.arrays):
        return None
    classes, sure = frame.array(message.arrays["classes"]), frame.array(message.arrays["sure"])
    box = frame.array(message.arrays["box"]).tolist()
    if classes.ndim != 2 or classes.shape != sure.shape or len(box) != 4:
        return None
    points, labels = (before.points, before.labels) if before is not None else ((), ())
    if "points" in message.arrays and "labels" in message.arrays:
        points = tuple((x, y) for x, y in frame.array(message.arrays["points"]).tolist())
        labels = tuple(frame.array(message.arrays["labels"]).tolist())
    return BoundaryView(
        message.step, tuple(classes.tolist()), tuple(sure.tolist()), (box[0], box[1]), (box[2], box[3]),
        tuple(clean(name, 40) for name in message.names), tuple(clean(name, 40) for name in message.features),
        points, labels,
    )  # fmt: skip
