"""From labels to targets: which task it is, how many outputs it needs, and ``y`` in the form the loss wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.environments import ENVIRONMENTS
from bptui.data.errors import DataError, quoted
from bptui.data.raw import NativeTask, Raw, Rows, Values
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Loss, Task

#: Whole-number labels of at most this many different values are classes where nothing else tells.
FEW_CLASSES = 100
#: More classes than this are taken for a mistake (an id or a price as the label).
MOST_CLASSES = 65536
#: Tasks with a target at each step.
SEQUENCES: tuple[NativeTask, ...] = ("next_token", "sequence_labelling")


@dataclass(frozen=True, slots=True)
class Targets:
    """``y`` of each part: class ids (N,) int64, floats (N, outputs), or ids (N, T) of any whole-number type.

    An autoencoder's, and a generator's, is its x, scaled: ``y`` is as it stood in the source and not used.
    """

    task: NativeTask
    outputs: int
    class_names: tuple[str, ...] | None
    train: Values
    validation: Values | None
    test: Values | None
    notes: tuple[str, ...] = ()


def targets(raw: Raw, task: Task, loss: Loss | None, dtype: npt.DTypeLike) -> Targets:
    """Decide the task from what was asked, the source, the loss and the labels, in that order."""
    chosen = task if task != "auto" else _detect(raw, loss)
    if chosen in ("autoencoder", "generate"):
        return _itself(raw, chosen, loss)
    if chosen in SEQUENCES or raw.task in SEQUENCES:
        return _steps(raw, chosen, loss)
    if chosen == "policy":
        return _actions(raw, loss)
    if chosen in ("classification", "binary"):
        return _classes(raw, chosen, loss, dtype)
    return _numbers(raw, chosen, dtype)


def _parts(raw: Raw) -> list[Rows | None]:
    return [raw.train, raw.validation, raw.test]


def _detect(raw: Raw, loss: Loss | None) -> NativeTask:
    if raw.task in (*SEQUENCES, "generate", "policy"):
        return raw.task
    if raw.train.y.ndim == 2 and raw.train.y.shape[1] > 1:
        if _one_hot(raw.train.y) and (loss is None or isinstance(loss, CrossEntropy)):
            return "classification"
        zeros_and_ones = raw.train.y.dtype.kind in "biuf" and bool(np.isin(raw.train.y, (0, 1)).all())
        return "multilabel" if zeros_and_ones and isinstance(loss, BinaryCrossEntropy | None) else "regression"
    if isinstance(loss, CrossEntropy):
        return "classification"
    if isinstance(loss, BinaryCrossEntropy):
        return "binary" if raw.task == "binary" or _count(raw) <= 2 else "classification"
    if raw.task is not None:
        return raw.task
    y = raw.train.y
    if y.dtype.kind in "OUSb":
        return "classification"
    if loss is not None or (y.dtype.kind == "f" and not _whole(y)):
        return "regression"
    return "classification" if _count(raw) <= FEW_CLASSES else "regression"


def _count(raw: Raw) -> int:
    return len(raw.classes) if raw.classes is not None else len(np.unique(raw.train.y))


def _whole(y: Values) -> bool:
    return y.dtype.kind in "iub" or bool(np.all(np.isfinite(y)) and np.all(y == np.floor(y)))


def _one_hot(y: Values) -> bool:
    return y.dtype.kind in "biuf" and bool(np.isin(y, (0, 1)).all()) and bool((y.sum(axis=1) == 1).all())


# -- classes -------------------------------------------------------------------------------------------


def _classes(raw: Raw, task: NativeTask, loss: Loss | None, dtype: npt.DTypeLike) -> Targets:
    notes: list[str] = []
    ids, names = _numbered(raw, notes)
    count = len(names)
    if count < 2:
        raise DataError(f"{raw.name}: every row has the same {raw.label} ({quoted(names[0])}), nothing to learn")
    present = np.unique(_there(ids[0]))
    if len(present) < count:
        unseen = sorted(set(range(count)) - set(present.tolist()))
        notes.append(f"no training row has {raw.label} {', '.join(names[i] for i in unseen[:5])}")
    if task == "binary":
        if count != 2:
            raise DataError(f"{raw.name}: {raw.label} has {count} classes, task 'binary' needs 2; use 'classification'")
        ys = [None if part is None else part.astype(dtype)[:, None] for part in ids]
        return Targets("binary", 1, names, _there(ys[0]), ys[1], ys[2], tuple(notes))
    if loss is None or isinstance(loss, CrossEntropy):
        return Targets("classification", count, names, _there(ids[0]), ids[1], ids[2], tuple(notes))
    # Losses other than cross-entropy compare numbers with numbers: an output a class, 1 for the right one.
    notes.append(f"{raw.label}: one of {count} outputs is 1 (the loss compares numbers, not class ids)")
    eye = np.eye(count, dtype=dtype)
    hot = [None if part is None else eye[part] for part in ids]
    return Targets("classification", count, names, _there(hot[0]), hot[1], hot[2], tuple(notes))


def _there(part: Values | None) -> Values:
    assert part is not None
    return part


def _numbered(raw: Raw, notes: list[str]) -> tuple[list[Values | None], tuple[str, ...]]:
    """Class ids (N,) int64 of each part, and the class names."""
    parts = [None if rows is None else _flat(raw, rows.y) for rows in _parts(raw)]
    labels = np.concatenate([part for part in parts if part is not None])
    if labels.dtype.kind in "OUS":
        texts, ids = np.unique(labels.astype(str), return_inverse=True)
        return _split_like(parts, ids), tuple(map(str, texts))
    _check_whole(raw, labels)
    whole = labels.astype(np.int64)
    if raw.classes is not None:
        return _split_like(parts, whole), raw.classes
    values, ids = np.unique(whole, return_inverse=True)
    if len(values) > MOST_CLASSES or (len(values) > FEW_CLASSES and 2 * len(values) > len(whole)):
        raise DataError(
            f"{raw.name}: {raw.label} has {len(values):,} different values in {len(whole):,} rows,"
            " too many for classes; use task = 'regression' or another label"
        )
    names = tuple(map(str, values))
    if values[0] < 0 and len(values) > 2:
        row = int(np.flatnonzero(whole < 0)[0])
        raise DataError(f"{raw.name}: row {row + 1}: {raw.label} is {int(whole[row])}; class ids run from 0")
    if not np.array_equal(values, np.arange(len(values))):
        shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
        notes.append(f"{raw.label}: classes {shown} numbered from 0")
    return _split_like(parts, ids), names


def _flat(raw: Raw, y: Values) -> Values:
    """Labels as (N,): a one-hot matrix becomes ids, a single column loses its axis."""
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim == 2:
        if not _one_hot(y):
            row = int(np.flatnonzero(~(np.isin(y, (0, 1)).all(axis=1) & (y.sum(axis=1) == 1)))[0])
            raise DataError(f"{raw.name}: row {row + 1} of {raw.label} is not one 1 among 0s, nor an id")
        return np.asarray(np.argmax(y, axis=1))
    return y


def _split_like(parts: list[Values | None], joined: Values) -> list[Values | None]:
    out: list[Values | None] = []
    start = 0
    for part in parts:
        out.append(None if part is None else joined[start : start + len(part)].astype(np.int64))
        start += 0 if part is None else len(part)
    return out


def _check_whole(raw: Raw, y: Values) -> None:
    if y.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(y) | (y != np.floor(y)) | (np.abs(y) > 2**53))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"{raw.name}: row {row + 1}: {raw.label} is {y[row]:g}, no class id;"
                " use task = 'regression' with a loss such as mse"
            )
    elif y.dtype.kind not in "iub":
        raise DataError(f"{raw.name}: {raw.label} is of type {y.dtype}, expected class ids or texts")


# -- numbers -------------------------------------------------------------------------------------------


def _numbers(raw: Raw, task: NativeTask, dtype: npt.DTypeLike) -> Targets:
    """Regression and multilabel: floats (N, outputs)."""
    ys: list[Values | None] = []
    for rows in _parts(raw):
        ys.append(None if rows is None else _number_columns(raw, rows.y, task, dtype))
    train = _there(ys[0])
    names = raw.classes if task == "multilabel" and raw.classes and len(raw.classes) == train.shape[1] else None
    notes = []
    largest = float(np.abs(train).max()) if train.size else 0.0
    if task == "regression" and largest > 100:
        notes.append(f"{raw.label} reaches {largest:,.4g} and is not scaled: expect large losses; a small lr helps")
    return Targets(task, train.shape[1], names, train, ys[1], ys[2], tuple(notes))


def _number_columns(raw: Raw, y: Values, task: NativeTask, dtype: npt.DTypeLike) -> npt.NDArray[np.floating[Any]]:
    if y.dtype.kind not in "biuf":
        cell = quoted(str(np.ravel(y)[0])) if y.size else "nothing"
        raise DataError(f"{raw.name}: {raw.label} holds texts (as {cell}), task '{task}' needs numbers")
    columns = y[:, None] if y.ndim == 1 else y
    out: npt.NDArray[np.floating[Any]] = columns.astype(dtype)
    wrong = ~np.isfinite(out)
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise DataError(f"{raw.name}: row {row + 1} has no finite {raw.label}")
    if task == "multilabel":
        wrong = (out < 0) | (out > 1)
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(axis=1))[0])
            value = float(out[row][wrong[row]][0])
            raise DataError(f"{raw.name}: row {row + 1} of {raw.label} holds {value:g}; task 'multilabel' needs 0 to 1")
    return out


# -- a target a step, or the sample itself -------------------------------------------------------------


def _steps(raw: Raw, task: NativeTask, loss: Loss | None) -> Targets:
    """Ids (N, T), −1 where a step has none. They stay what they are: they may be windows of a file."""
    if raw.task in SEQUENCES and task != raw.task:
        raise DataError(f"{raw.name}: has a target at each step; expected data.task = {raw.task!r}, not {task!r}")
    if task == "next_token" and raw.task != "next_token":
        raise DataError(f"{raw.name}: next_token needs one long text (data.level = 'char' or 'word')")
    if loss is not None and not isinstance(loss, CrossEntropy):
        raise DataError(f"{raw.name}: {task} needs the loss cross_entropy, not {loss.__struct_config__.tag}")
    names = raw.vocabulary if task == "next_token" else raw.classes
    ys = [None if rows is None else rows.y for rows in _parts(raw)]
    for y in ys:
        if y is None:
            continue
        if y.ndim != 2 or y.dtype.kind not in "iu":
            raise DataError(f"{raw.name}: {task} needs ids (N, T), {raw.label} has shape {y.shape} of {y.dtype}")
    if names is None:
        most = max(int(y.max()) for y in ys if y is not None and y.size)
        names = tuple(str(n) for n in range(most + 1))
    return Targets(task, len(names), names, _there(ys[0]), ys[1], ys[2])


def _actions(raw: Raw, loss: Loss | None) -> Targets:
    """Numbers of actions (N,): those that were taken by chance."""
    if raw.environment is None:
        raise DataError(f"{raw.name}: a policy needs an environment to play in, such as {', '.join(ENVIRONMENTS)}")
    if loss is not None and not isinstance(loss, CrossEntropy):
        raise DataError(f"{raw.name}: a policy needs the loss cross_entropy, not {loss.__struct_config__.tag}")
    return Targets("policy", len(raw.environment.actions), raw.environment.actions, raw.train.y, None, None)


def _itself(raw: Raw, task: NativeTask, loss: Loss | None) -> Targets:
    """The sample is its own target."""
    if raw.ids:
        who = "a generator" if task == "generate" else "an autoencoder"
        raise DataError(f"{raw.name}: holds tokens; {who} needs numbers")
    if isinstance(loss, CrossEntropy):
        raise DataError(f"{raw.name}: an autoencoder compares numbers: expected mse or another, not cross_entropy")
    ys = [None if rows is None else rows.y for rows in _parts(raw)]
    return Targets(task, raw.train.x.shape[1], None, _there(ys[0]), ys[1], ys[2])
