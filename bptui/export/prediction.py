"""From outputs to classes, probabilities or values, and how they are written."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.export.errors import ExportError
from bptui.export.given import Given
from bptui.export.trained import DTYPES, Trained
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy

Values = npt.NDArray[Any]
SCHEMA = 1
#: Rows scaled and predicted at once.
BLOCK = 4096
_UNKNOWN, _MISSING = -1, -2


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run says of N rows. Exactly one of ``chosen`` and ``values`` is there."""

    trained: Trained
    classes: tuple[str, ...]
    outputs: Values
    """``(N, outputs)``: probabilities where the loss gives them, else the outputs as they are."""
    probable: bool
    """Whether ``outputs`` are probabilities (softmax or sigmoid)."""
    chosen: Values | None
    """Class ids (N,), or for several labels a row 0s and 1s (N, outputs)."""
    truth: Values | None
    """The labels of the file, in the same form as ``chosen`` (−1: a class the run does not know, −2: none there), or
    values (nan: none there)."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.outputs)

    def shown(self, row: int, ids: Values) -> str:
        """Class names of one row of ``chosen`` or ``truth``."""
        if ids.ndim == 2:
            return ", ".join(name for name, on in zip(self.classes, ids[row], strict=True) if on > 0) or "none"
        return self.classes[int(ids[row])] if ids[row] >= 0 else "?"

    def probability(self, row: int) -> float:
        """Of what was chosen; one output alone is the second class's, and the first has the rest."""
        assert self.chosen is not None
        outputs = self.outputs[row]
        if self.chosen.ndim == 2:
            return float(np.where(self.chosen[row] > 0, outputs, 1 - outputs).prod())
        if len(outputs) == 1:
            return float(outputs[0] if self.chosen[row] else 1 - outputs[0])
        return float(outputs[int(self.chosen[row])])

    def metrics(self) -> dict[str, float]:
        """``accuracy`` over all rows with a label, or ``r2`` and ``mae``; empty without labels."""
        if self.truth is None:
            return {}
        if self.chosen is not None:
            there = self.truth != _MISSING
            return {"accuracy": float(np.mean((self.chosen == self.truth)[there]))} if there.any() else {}
        there = np.isfinite(self.truth).all(axis=1)
        if not there.any():
            return {}
        truth, difference = self.truth[there], (self.outputs - self.truth)[there]
        residual, total = float(np.square(difference).sum()), float(np.square(truth - truth.mean(axis=0)).sum())
        metrics = {"mae": float(np.abs(difference).mean())}
        return {"r2": 1 - residual / total, **metrics} if total > 0 else metrics


def predict(trained: Trained, given: Given) -> Prediction:
    """What the run says of the rows; labels that do not fit are left out with a remark."""
    engine, dtype = trained.engine(), DTYPES[trained.experiment.experiment.dtype]
    blocks = []
    for start in range(0, len(given.x), BLOCK):
        rows = slice(start, start + BLOCK)
        x = given.x[rows].astype(np.int64) if trained.about.ids else trained.scaler.apply(given.x[rows], dtype)
        blocks.append(engine.predict(x, None if given.lengths is None else given.lengths[rows]))
    raw = np.concatenate(blocks)
    outputs, probable = _probabilities(trained, raw.astype(np.float64))
    chosen = _chosen(trained, outputs)
    classes = _classes(trained)
    truth, notes = None, list(given.notes)
    if trained.about.task == "autoencoder":
        outputs, probable = _unscaled(trained, given, outputs), False
        if trained.scaler.kind != "none":
            notes.append("values in the units of the rows: the scaling of the training data is undone")
    if given.labels is not None and trained.about.task != "autoencoder":
        try:
            truth = _truth(trained, classes, given.labels, outputs)
        except ExportError as error:
            notes.append(f"labels not compared: {error}")
    return Prediction(trained, classes, outputs, probable, chosen, truth, tuple(notes))


def _unscaled(trained: Trained, given: Given, outputs: Values) -> Values:
    """What an autoencoder gives back, (N, features) as rows stand in data; nan beyond the end of a sequence."""
    values = np.asarray(outputs * trained.scaler.scale + trained.scaler.mean)
    if given.lengths is not None:
        steps = np.arange(values.shape[1]) // trained.about.sample[-1]
        values[steps >= given.lengths[:, None]] = np.nan
    return values


def _probabilities(trained: Trained, logits: Values) -> tuple[Values, bool]:
    if isinstance(trained.experiment.loss, CrossEntropy):
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True), True
    if isinstance(trained.experiment.loss, BinaryCrossEntropy):
        with np.errstate(over="ignore"):  # an overflow gives the limit 0
            return 1 / (1 + np.exp(-logits)), True
    return logits, False


def _chosen(trained: Trained, outputs: Values) -> Values | None:
    task = trained.about.task
    if task in ("regression", "autoencoder"):
        return None
    if task == "multilabel":
        return (outputs > 0.5).astype(np.int64)
    if outputs.shape[1] > 1:
        return np.asarray(outputs.argmax(axis=1))
    return (outputs[:, 0] > 0.5).astype(np.int64)


def _classes(trained: Trained) -> tuple[str, ...]:
    about = trained.about
    if about.classes:
        return about.classes
    return tuple(str(n + 1 if about.task == "multilabel" else n) for n in range(max(about.outputs, 2)))


def _truth(trained: Trained, classes: tuple[str, ...], labels: Values, outputs: Values) -> Values:
    task, name = trained.about.task, trained.about.label
    if task in ("regression", "multilabel"):
        if labels.dtype.kind not in "biuf":
            raise ExportError(f"{name} holds texts, this run predicts numbers")
        if labels.reshape(len(labels), -1).shape != outputs.shape:
            raise ExportError(f"{name} has shape {labels.shape}, this run gives {outputs.shape}")
        values = labels.reshape(outputs.shape).astype(np.float64)
        return values if task == "regression" else np.where(np.isnan(values), _MISSING, values > 0.5)
    if labels.ndim == 2:
        if labels.shape[1] not in (1, len(classes)):
            raise ExportError(f"{name} has {labels.shape[1]} columns, this run knows {len(classes)} classes")
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    places = {text: place for place, text in enumerate(classes)}
    distinct, inverse = np.unique(labels, return_inverse=True)
    texts = [_as_text(value) for value in distinct]
    ids = np.array([_MISSING if text == "" else places.get(text, _UNKNOWN) for text in texts], np.int64)
    if (ids < 0).all() and labels.dtype.kind in "biuf":  # classes with names, labels as their numbers
        numbers = {str(number): number for number in range(len(classes))}
        ids = np.array([_MISSING if text == "" else numbers.get(text, _UNKNOWN) for text in texts], np.int64)
    if (ids < 0).all():
        raise ExportError(f"{name} holds {texts[0]!r}, this run's classes are {', '.join(classes[:6])}")
    return np.asarray(ids[inverse.reshape(-1)])


def _as_text(value: Any) -> str:
    """A label as the names of classes are written: whole numbers without a point; empty where there is none."""
    if isinstance(value, np.floating):
        if np.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else str(value)
    return str(int(value)) if isinstance(value, np.integer | np.bool_) else str(value)


# -- writing -------------------------------------------------------------------------------------------
def as_dict(prediction: Prediction, file: str) -> dict[str, Any]:
    """For ``--json``: every row with its class, probability and label, or its value."""
    rows: list[dict[str, Any]] = []
    for row, outputs in enumerate(prediction.outputs):
        entry: dict[str, Any] = {"row": row + 1}
        if prediction.chosen is None:
            entry["value"] = _number(outputs[0]) if len(outputs) == 1 else [_number(value) for value in outputs]
        else:
            entry["class"] = _names(prediction, row, prediction.chosen)
            if prediction.probable:
                entry["probability"] = prediction.probability(row)
            entry["probabilities" if prediction.probable else "outputs"] = [_number(value) for value in outputs]
        if prediction.truth is not None:
            if prediction.chosen is None:
                truth = prediction.truth[row]
                entry["label"] = _number(truth[0]) if len(truth) == 1 else [_number(value) for value in truth]
            else:
                entry["label"] = _names(prediction, row, prediction.truth)
        rows.append(entry)
    trained = prediction.trained
    return {
        "schema": SCHEMA,
        "run": trained.info.id,
        "step": trained.step,
        "file": file,
        "task": trained.about.task,
        "classes": list(prediction.classes) if prediction.chosen is not None else None,
        "metrics": prediction.metrics(),
        "notes": list(prediction.notes),
        "predictions": rows,
    }


def _names(prediction: Prediction, row: int, ids: Values) -> str | list[str] | None:
    if ids.ndim == 2:
        return [name for name, on in zip(prediction.classes, ids[row], strict=True) if on > 0]
    return prediction.classes[int(ids[row])] if ids[row] >= 0 else None


def _number(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None


def as_csv(prediction: Prediction) -> bytes:
    """``row,class,probability,p_0,p_1 …,label``, or ``row,value``; all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    width = prediction.outputs.shape[1]
    truth, chosen = prediction.truth, prediction.chosen
    if chosen is None:
        heads = ["value"] if width == 1 else [f"value_{n + 1}" for n in range(width)]
        labels = [] if truth is None else ["label"] if width == 1 else [f"label_{n + 1}" for n in range(width)]
        writer.writerow(["row", *heads, *labels])
        for row in range(len(prediction)):
            known = [] if truth is None else truth[row].tolist()
            writer.writerow([row + 1, *prediction.outputs[row].tolist(), *known])
        return text.getvalue().encode()
    each = "p" if prediction.probable else "output"
    heads = [f"{each}_{prediction.classes[n + (width == 1)]}" for n in range(width)]
    heads = ["probability", *heads] if prediction.probable else heads
    writer.writerow(["row", "class", *heads, *([] if truth is None else ["label"])])
    for row in range(len(prediction)):
        first = [row + 1, prediction.shown(row, chosen)]
        first += [prediction.probability(row)] if prediction.probable else []
        writer.writerow(
            [*first, *prediction.outputs[row].tolist(), *([] if truth is None else [prediction.shown(row, truth)])]
        )
    return text.getvalue().encode()


def as_text(prediction: Prediction, most: int) -> list[str]:
    """Lines for a terminal: the first ``most`` rows."""
    width = len(str(min(len(prediction), most)))
    lines = []
    for row in range(min(len(prediction), most)):
        words = [f"{row + 1:>{width}}"]
        if prediction.chosen is None:
            words.append("  ".join(f"{value:.6g}" for value in prediction.outputs[row]))
        else:
            words.append(prediction.shown(row, prediction.chosen))
            words += [f"{prediction.probability(row):.4f}"] if prediction.probable else []
        if prediction.truth is not None:
            truth = prediction.truth[row]
            if prediction.chosen is None:
                words.append("(" + "  ".join(f"{value:.6g}" for value in truth) + ")")
            elif not np.array_equal(prediction.chosen[row], truth) and truth.min() > _MISSING:
                words.append(f"✖ {prediction.shown(row, prediction.truth)}")
        lines.append("  ".join(words))
    if len(prediction) > most:
        lines.append(f"… and {len(prediction) - most:,} more rows (--output FILE.csv or --json gives all)")
    return lines
