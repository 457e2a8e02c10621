"""How the model does at large: a confusion matrix, a decision boundary. Taken between two updates, also while running.

Each look is a few forward passes whose size is bounded; while the run runs, its time counts as the probes' own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bptui.engine.adversarial import Adversarial
from bptui.protocol.framing import Body
from bptui.protocol.messages import ArrayRef, Lens, LensRow, LensSeen, Look, Looked
from bptui.trainer import lens
from bptui.trainer.evaluate import BLOCK, class_ids, confusion, predicted, predicted_ids, scores_of
from bptui.trainer.inspect import CannotSee

if TYPE_CHECKING:
    from bptui.data import Part
    from bptui.trainer.loop import Trainer

MOST_ROWS = 5000
"""Rows that a confusion matrix is taken over at the most: evenly spaced ones of a larger part."""
MOST_COLUMNS, MOST_LINES = 120, 60
MOST_POINTS = 1000
MARGIN, WIDE_MARGIN = 0.08, 0.2
"""Of the data's extent, around them; the second where samples are generated, which may lie anywhere."""


def look(trainer: Trainer, request: Look) -> tuple[Looked, bytes]:
    """Answer one ``Look``. CannotSee: this data, or this model, has no such thing."""
    started = time.perf_counter()
    body = Body()
    arrays, part, samples = _LOOKS[request.kind](trainer, request, body)
    seconds = time.perf_counter() - started
    if trainer.state == "RUNNING":
        trainer.probe.governor.spent += seconds
    data = trainer.setup.data
    return Looked(
        id=request.id, kind=request.kind, step=trainer.step, part=part, samples=samples, seconds=seconds,
        arrays=arrays, names=_texts(data.class_names) or (("generated", "true") if data.task == "generate" else ()),
        features=_texts(data.feature_names),
    ), body.bytes()  # fmt: skip


def _confusion(trainer: Trainer, request: Look, body: Body) -> tuple[dict[str, ArrayRef], str, int]:
    data = trainer.setup.data
    if data.task not in ("classification", "binary"):
        raise CannotSee(f"a confusion matrix needs classes; the task is {data.task}")
    name, part = ("validation", data.validation) if data.validation is not None else ("train", data.train)
    assert part is not None
    rows = _spaced(len(part), MOST_ROWS)
    blocks = (part.batch(rows[at : at + BLOCK]) for at in range(0, len(rows), BLOCK))
    outputs = np.concatenate([predicted(trainer.engine, block) for block in blocks])
    truth = class_ids(part.y[rows])
    scores = scores_of(outputs, trainer.setup.experiment.loss, data.task)
    counts = confusion(scores, truth).astype("<i4")
    return {"counts": body.add(counts)}, name, len(rows)


def _boundary(trainer: Trainer, request: Look, body: Body) -> tuple[dict[str, ArrayRef], str, int]:
    data = trainer.setup.data
    if data.features != 2:
        raise CannotSee(f"a decision boundary needs data with two features; {data.name} has {data.features}")
    if data.task not in ("classification", "binary", "generate"):
        raise CannotSee(f"a decision boundary needs classes; the task is {data.task}")
    columns, lines = max(2, min(request.columns, MOST_COLUMNS)), max(2, min(request.rows, MOST_LINES))
    sample = _rows(data.train, _spaced(len(data.train), MOST_ROWS))
    if sample.dtype.kind in "iu":
        raise CannotSee(f"a decision boundary needs measured features; those of {data.name} are tokens")
    low, high = np.asarray(sample, np.float64).min(axis=0), np.asarray(sample, np.float64).max(axis=0)
    share = WIDE_MARGIN if data.task == "generate" else MARGIN
    margin = np.where(high > low, (high - low) * share, 1.0)
    low, high = low - margin, high + margin
    grid = grid_points(low, high, columns, lines).astype(sample.dtype)
    outputs = _predict(trainer, grid)
    loss = trainer.setup.experiment.loss
    classes = predicted_ids(scores_of(outputs, loss, data.task))
    sure = certainty(outputs, str(loss.__struct_config__.tag))
    scale, mean = np.asarray(data.scaler.scale, np.float64), np.asarray(data.scaler.mean, np.float64)
    box = np.stack([low * scale + mean, high * scale + mean], axis=1).reshape(-1)  # x0, x1, y0, y1
    arrays = {
        "classes": body.add(classes.astype(np.uint8).reshape(lines, columns)),
        "sure": body.add(np.rint(sure * 255).astype(np.uint8).reshape(lines, columns)),
        "box": body.add(box),
    }
    if request.points > 0:
        rows = _spaced(len(data.train), min(request.points, MOST_POINTS))
        shown, labels = np.asarray(_rows(data.train, rows), np.float64), _labels(trainer, rows)
        if isinstance(trainer.engine, Adversarial):
            made = trainer.engine.generated(len(rows), "figures")
            shown, labels = np.concatenate([shown, made]), np.concatenate([labels, np.zeros(len(made), "<i4")])
        arrays["points"] = body.add(shown * scale + mean)
        arrays["labels"] = body.add(labels.astype("<i4"))
    return arrays, "train", columns * lines


def _labels(trainer: Trainer, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Classes of some rows of the training part; where samples are generated, these are the true ones."""
    data = trainer.setup.data
    return np.ones(len(rows), np.int64) if data.task == "generate" else class_ids(data.train.y[rows])


_LOOKS: dict[str, Any] = {"confusion": _confusion, "boundary": _boundary}


def through_lens(trainer: Trainer, request: Lens) -> tuple[LensSeen, bytes]:
    """Answer one ``Lens``: the parameters as they are now; the engine's own tensors are left alone."""
    started = time.perf_counter()
    part, body = trainer.setup.data.train, Body()
    rows = lens.census_rows(part.blocks(BLOCK))
    seen = lens.look(trainer.engine, rows)
    values = body.add(lens.table(seen))
    seconds = time.perf_counter() - started
    if trainer.state == "RUNNING":
        trainer.probe.governor.spent += seconds
    return LensSeen(
        id=request.id, step=trainer.step, samples=len(rows.x), rows=len(part), values=values, seconds=seconds,
        layers=tuple(LensRow(layer.name, layer.activation, layer.gate, len(layer.fired)) for layer in seen),
    ), body.bytes()  # fmt: skip


def grid_points(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], columns: int, lines: int
) -> npt.NDArray[np.float64]:
    """(lines · columns, 2) points: line by line from the highest y, each from the lowest x."""
    x = np.linspace(low[0], high[0], columns)
    y = np.linspace(high[1], low[1], lines)
    return np.stack([np.tile(x, lines), np.repeat(y, columns)], axis=1)


def certainty(outputs: npt.NDArray[np.floating], loss: str) -> npt.NDArray[np.float64]:
    """(N,): probability of the class given; 1 where the loss has no such meaning, 0 where it is not finite."""
    z = np.asarray(outputs, np.float64)
    if z.shape[1] > 1 and loss == "cross_entropy":
        sure = 1 / np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)
    elif z.shape[1] == 1 and loss == "binary_cross_entropy":
        sure = 1 / (1 + np.exp(-np.abs(z[:, 0])))
    else:
        sure = np.ones(len(z))
    return np.where(np.isfinite(sure), sure, 0.0)


def _texts(names: Sequence[object] | None) -> tuple[str, ...]:
    return tuple(map(str, names if names is not None else ()))


def _predict(trainer: Trainer, x: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    return np.concatenate([trainer.engine.predict(x[at : at + BLOCK]) for at in range(0, len(x), BLOCK)])


def _spaced(total: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of ``total`` row numbers, evenly spaced."""
    return np.arange(total) if total <= most else np.arange(most) * total // most


def _rows(part: Part, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return np.asarray(part.x[rows])
