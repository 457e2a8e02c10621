"""Metrics of a part of the data: loss, and what goes with the task."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bptui.data import DataSet, Part
from bptui.data.rollouts import play
from bptui.data.targets import SEQUENCES
from bptui.data.vocabulary import UNKNOWN
from bptui.engine.adversarial import Adversarial
from bptui.engine.base import Batch, Engine
from bptui.philox import Stream
from bptui.spec.check import LOGITS_LOSSES
from bptui.spec.experiment import BinaryCrossEntropy, Experiment, Loss

#: Rows a forward pass at the most; large enough for the matrix products, small enough for the cache.
BLOCK = 2048
#: Values that the largest layer may give in one forward pass; of pictures and sequences fewer rows go at once.
BLOCK_VALUES = 1 << 22
#: Generated samples over which the figures of a generator are taken; how near to a mode, in σ of the mode, a good one
#: is; and what share of its fair one a mode must get to count as covered.
GENERATED, NEAR, FAIR = 2000, 3.0, 0.25
#: Targets of the training part over which the figures of sequences are taken: of more, evenly spaced rows.
MOST_TARGETS = 1 << 18


def block_of(engine: Engine) -> int:
    """Rows that go through the network at once."""
    largest = max(math.prod(layer.shape) for layer in engine.layers)
    return max(16, min(BLOCK, BLOCK_VALUES // max(1, largest)))


def outputs_of(engine: Engine, part: Part) -> npt.NDArray[np.floating]:
    """``(N, outputs)`` of all rows of a part that has any."""
    return np.concatenate([predicted(engine, block) for block in part.blocks(block_of(engine))])


def predicted(engine: Engine, batch: Batch) -> npt.NDArray[np.floating]:
    """Outputs of the rows of a batch."""
    return engine.predict(batch.x, batch.lengths)


def measured(
    engine: Engine, part: Part, data: DataSet, loss: Loss
) -> tuple[dict[str, float], npt.NDArray[np.floating] | None]:
    """Loss and metrics of a part; its scores too, where there is one target a row."""
    if data.task == "generate":
        return _generated(engine, part, data), None
    if data.task in SEQUENCES:
        return _sequences(engine, _spaced(part) if part is data.train else part, data), None
    outputs, y = outputs_of(engine, part), part.targets
    scores = scores_of(outputs, loss, data.task)
    return {"loss": engine.data_loss(outputs, y), **METRICS[data.task](scores, y)}, scores


def _generated(engine: Engine, part: Part, data: DataSet) -> dict[str, float]:
    """Both networks' losses over true samples and as many generated ones; where modes are known, how they are met.

    ``near``: share of the generated samples within ``NEAR`` σ of a mode. ``modes``: how many have at least
    ``FAIR`` of the samples that they would have if all had as many.
    """
    assert isinstance(engine, Adversarial)
    kept = _spaced(part) if part is data.train else part
    made = engine.generated(GENERATED, "figures")
    logits = np.concatenate([engine.predict(made), outputs_of(engine, kept)])
    weight = 0.5 * len(logits) / np.repeat([len(made), len(kept)], [len(made), len(kept)])  # both count one half
    truth = np.repeat([0.0, 1.0], [len(made), len(kept)])
    sure = np.logaddexp(0.0, np.where(truth > 0, -1.0, 1.0) * np.asarray(logits, np.float64).reshape(-1))
    metrics = {"loss": float((weight * sure).mean()), "generator_loss": engine.generator_loss(made)}
    if data.modes is not None:
        samples = np.asarray(made, np.float64) * data.scaler.scale + data.scaler.mean
        centres = data.modes.centres
        distance = np.linalg.norm(samples[:, None, :] - centres, axis=2)  # (samples, modes)
        nearest = distance.argmin(axis=1)
        near = distance.min(axis=1) <= NEAR * data.modes.spread
        counts = np.bincount(nearest[near], minlength=len(centres))
        metrics["modes"] = float(np.sum(counts >= FAIR * len(samples) / len(centres)))
        metrics["near"] = float(near.mean())
    return metrics


def tried(engine: Engine, data: DataSet, experiment: Experiment, name: str) -> dict[str, float]:
    """The mean ``return`` of ``data.episodes`` episodes in which the likeliest action is always taken.

    They begin as (seed, name) says, ``val`` or ``test``: each time alike.
    """
    environment, keys = data.environment, experiment.data
    assert environment is not None
    limit, count = keys.episode_steps or environment.limit, keys.episodes * environment.drawn
    uniform = Stream(experiment.experiment.seed, f"episodes.{name}").uniform(0, count)
    played = play(
        environment, engine.predict, data.scaler, data.train.x.dtype, uniform,
        episodes=keys.episodes, limit=limit, greedy=True,
    )  # fmt: skip
    return {"return": float(played.returns.mean())}


def _spaced(part: Part) -> Part:
    """Evenly spaced rows with about ``MOST_TARGETS`` targets; the part itself where it has no more."""
    rows = max(1, MOST_TARGETS // part.y.shape[1])
    if len(part) <= rows:
        return part
    kept = np.arange(rows) * len(part) // rows
    some = part.batch(kept)
    return Part(np.asarray(some.x), np.asarray(some.y), part.rows[kept], some.lengths)


def _sequences(engine: Engine, part: Part, data: DataSet) -> dict[str, float]:
    """Figures of outputs (N, T, classes) against ids (N, T), −1 where there is none, a block of rows at a time.

    ``accuracy`` is that of single steps, ``sequence_accuracy`` that of whole sequences (not of windows of one long
    text); ``perplexity`` is e to the loss, ``bits_per_character`` the loss in bits where tokens are characters.
    """
    total, targets, hits, whole, rows = 0.0, 0, 0, 0, 0
    for block in part.blocks(block_of(engine)):
        y = np.asarray(block.y)
        there, outputs = y >= 0, predicted(engine, block)
        right = (outputs.argmax(axis=-1) == y) & there
        count = int(there.sum())
        total += engine.data_loss(outputs, y) * count if count else 0.0  # of no target the mean is nan
        targets, hits = targets + count, hits + int(right.sum())
        whole, rows = whole + int((right | ~there).all(axis=1).sum()), rows + len(y)
    loss = total / max(targets, 1)
    metrics = {"loss": loss, "accuracy": hits / max(targets, 1), "perplexity": float(np.exp(min(loss, 700.0)))}
    if data.task == "sequence_labelling":
        return {**metrics, "sequence_accuracy": whole / max(rows, 1)}
    if max(map(len, (token for token in data.vocabulary or () if token != UNKNOWN)), default=2) == 1:
        metrics["bits_per_character"] = loss / math.log(2)
    return metrics


def scores_of(outputs: npt.NDArray[np.floating], loss: Loss, task: str) -> npt.NDArray[np.floating]:
    """Outputs as scores that say yes above 0: logits are that; what is compared with 0 and 1 is cut at a half.

    An autoencoder's are in the range of its input: logits go through the sigmoid.
    """
    if task == "autoencoder" and isinstance(loss, BinaryCrossEntropy):
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * outputs))  # the sigmoid, without overflow
    same = isinstance(loss, LOGITS_LOSSES) or task in ("regression", "autoencoder")
    return outputs if same else outputs - 0.5


def _classification(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    y, predicted = class_ids(y), predicted_ids(outputs)
    metrics = {"accuracy": float(np.mean(predicted == y)), "f1": macro_f1(predicted, y)}
    if outputs.shape[1] > 5:
        own = np.take_along_axis(outputs, y[:, None].astype(np.intp), axis=1)
        metrics["top5"] = float(np.mean((outputs > own).sum(axis=1) < 5))
    return metrics


def _binary(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    if outputs.shape[1] > 1:
        return _classification(outputs, y)
    truth = np.asarray(y).reshape(len(y), -1) > 0.5
    predicted = outputs > 0
    return {"accuracy": float(np.mean(predicted == truth)), "f1": f1(predicted, truth)}


def _multilabel(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    truth = np.asarray(y) > 0.5
    predicted = outputs > 0
    return {"accuracy": float(np.mean(predicted == truth)), "f1": f1(predicted, truth)}


def _regression(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> dict[str, float]:
    truth = np.asarray(y, dtype=np.float64).reshape(outputs.shape)
    nowhere = np.isnan(truth)  # beyond the end of an autoencoder's sequence
    there: npt.NDArray[np.bool_] | bool = ~nowhere if nowhere.any() else True
    off = outputs - truth
    middle = truth.sum(axis=0, where=there) / np.maximum(len(truth) - nowhere.sum(axis=0), 1)
    total = float(np.square(truth - middle).sum(where=there))
    r2 = 1 - float(np.square(off).sum(where=there)) / total if total > 0 else float("nan")
    return {"r2": r2, "mae": float(np.abs(off).mean(where=there))}


METRICS = {
    "classification": _classification, "binary": _binary, "multilabel": _multilabel, "regression": _regression,
    "autoencoder": _regression,
}  # fmt: skip


def f1(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """2·TP / (2·TP + FP + FN); 0 where there is nothing to find and nothing found."""
    hits = int(np.sum(predicted & truth))
    return 2 * hits / max(int(predicted.sum()) + int(truth.sum()), 1)


def macro_f1(predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.generic]) -> float:
    """Mean of the classes' F1, over the classes that occur."""
    present = np.unique(truth)
    return (
        float(np.mean([f1(predicted == label, np.asarray(truth == label)) for label in present]))
        if len(present)
        else 0.0
    )


def class_ids(y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Targets as class ids (N,): they are that already, or one-hot rows, or one column of 0 and 1."""
    if y.ndim == 1:
        return np.asarray(y, dtype=np.int64)
    return np.asarray(y.argmax(axis=1) if y.shape[1] > 1 else np.asarray(y)[:, 0] > 0.5, dtype=np.int64)


def predicted_ids(outputs: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The class (N,) of each row of scores: the largest, or the sign of the only one."""
    return np.asarray(outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0, dtype=np.int64)


def confusion(outputs: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """``(classes, classes)``: rows are the truth, columns what was predicted."""
    classes = max(outputs.shape[1], 2)
    cells = class_ids(y) * classes + predicted_ids(outputs)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
