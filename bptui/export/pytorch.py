"""A run as a PyTorch script that stands alone: the script, its data beside it, and the parameters of step 0."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bptui.data import DataSet, MappedRows, Part, Scaler, load, search_path
from bptui.export.errors import ExportError
from bptui.export.files import Content
from bptui.export.history import course_of
from bptui.export.script import Facts, script
from bptui.export.trained import DTYPES, Trained, one_network, open_trained
from bptui.export.weights import as_safetensors
from bptui.spec.experiment import Experiment

#: Losses that are kept for the comparison.
MOST_LOSSES = 1_000_000
#: Numbers of the training part that are taken into memory, where they are windows or a file that stays where it is.
MOST_MAPPED = 1 << 25


def pytorch_files(run: Path, path: Path) -> dict[Path, Content]:
    """``path`` and, of the same name, ``.npz`` and ``.initial.safetensors``. ExportError or DataError in one line."""
    if path.suffix in (".npz", ".safetensors"):
        raise ExportError(f"{path}: expected the script's name, as {path.stem}.py; its data lie beside it")
    first = open_trained(run, first=True)
    one_network(first, "a script of pytorch")
    data = _data(first)
    if data.environment is not None:
        raise ExportError(
            f"{data.name}: what the network learned from it played itself, which no script of rows repeats; "
            "the network alone: --format onnx or safetensors"
        )
    per_epoch = _steps_per_epoch(first.experiment, len(data.train))
    planned = _planned(first.experiment, per_epoch)
    course = course_of(run, planned)
    steps = planned if course.reason == "running" or not len(course.losses) else len(course.losses)
    features = {name: _raw(data, part) for name, part in data.parts().items()}
    ids, padded = data.ids, data.train.lengths is not None
    narrow = data.shape is not None and not ids and not padded and all(map(_bytes_alone, features.values()))
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, part in data.parts().items():
        arrays[f"x_{name}"] = features[name].astype(np.uint8) if narrow else _small(features[name])
        if data.task != "autoencoder":  # whose targets are the rows themselves
            y = part.targets
            arrays[f"y_{name}"] = _small(y) if y.dtype.kind in "iu" else y.astype(_dtype(first))
        if part.lengths is not None:
            arrays[f"lengths_{name}"] = np.maximum(part.lengths, 1)
    arrays |= {"mean": first.scaler.mean, "scale": first.scaler.scale, "losses": course.losses[:MOST_LOSSES]}
    facts = Facts(
        run=first.info.id, title=first.info.title, task=first.about.task, features=first.about.features,
        rows=len(data.train), steps=steps or 0, planned=planned, reason=course.reason,
        validation=data.validation is not None, narrow=narrow, ids=ids, padded=padded,
        changes=course.changes, placed=first.places,
    )  # fmt: skip
    text = script(first.experiment, facts)
    return {
        path.with_suffix(".npz"): _npz(arrays, packed=narrow or ids),
        path.with_suffix(".initial.safetensors"): as_safetensors(first),
        path: text.encode(),
    }


def _dtype(trained: Trained) -> npt.DTypeLike:
    return DTYPES[trained.experiment.experiment.dtype]


def _data(trained: Trained) -> DataSet:
    """The run's rows before scaling, the same rows in the same parts; ExportError if they are others by now."""
    info, experiment = trained.info, trained.experiment
    places = search_path([*(Path(folder) for folder in info.data_dirs), *([Path(info.cwd)] if info.cwd else [])])
    data = load(
        msgspec.structs.replace(experiment.data, scale="none"), seed=experiment.experiment.seed, dtype="f64",
        loss=experiment.loss, search=places,
    )  # fmt: skip
    if isinstance(data.train.x, MappedRows) and math.prod(data.train.x.shape) > MOST_MAPPED:
        raise ExportError(f"{data.name}: too large; a script with its data beside it cannot be made")
    learned = trained.scaler
    known = (trained.about.vocabulary, trained.about.vocabularies)
    if data.ids and (data.vocabulary, data.vocabularies) == known:
        return data
    if not data.ids and data.features == trained.about.features:
        padded = data.train.lengths is not None
        step = data.shape[-1] if data.sequence and data.shape is not None else None
        rows = _raw(data, data.train)
        now = Scaler.learn(learned.kind, rows, np.arange(len(rows)), fill_missing=padded, step=step)
        if np.allclose(now.mean, learned.mean, 1e-6, 1e-9) and np.allclose(now.scale, learned.scale, 1e-6, 1e-9):
            return data
    raise ExportError(f"{data.name}: these are not the rows that {info.id} learned from; have they changed since?")


def _raw(data: DataSet, part: Part) -> npt.NDArray[Any]:
    """The rows before scaling; of padded sequences nan beyond the end of each."""
    x = np.array(part.x[:])
    if part.lengths is not None and data.sequence and data.shape is not None:
        x.reshape(len(x), *data.shape)[np.arange(data.shape[0]) >= part.lengths[:, None]] = np.nan
    return x


def _small(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """In as few bytes as hold every number to the bit."""
    if x.dtype == np.float64:
        with np.errstate(over="ignore"):
            narrow = x.astype(np.float32)
        return narrow if np.array_equal(x, narrow, equal_nan=True) else x
    if x.dtype.kind not in "iu" or not x.size:
        return x
    low, high = int(x.min()), int(x.max())
    kinds = (np.uint8, np.int16, np.int32)
    kind = next((each for each in kinds if np.iinfo(each).min <= low and high <= np.iinfo(each).max), np.int64)
    return x.astype(kind)


def _steps_per_epoch(experiment: Experiment, rows: int) -> int:
    batches = math.ceil(rows / min(experiment.data.batch_size, rows))
    return math.ceil(batches / experiment.optimizer.accumulate)


def _planned(experiment: Experiment, per_epoch: int) -> int | None:
    stop = experiment.stop
    limits = [stop.steps, None if stop.epochs is None else stop.epochs * per_epoch]
    return min((limit for limit in limits if limit is not None), default=None)


def _bytes_alone(x: npt.NDArray[Any]) -> bool:
    """Whether all values are whole numbers from 0 to 255, as those of most pictures."""
    return bool((x == np.floor(x)).all() and x.min() >= 0 and x.max() <= 255)


def _npz(arrays: dict[str, npt.NDArray[Any]], *, packed: bool) -> bytes:
    """Pictures are packed, which makes them a fifth; floats would hardly shrink."""
    file = io.BytesIO()
    if packed:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    else:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
