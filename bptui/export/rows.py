"""Rows to predict, from a file of any kind that a run can learn from, or from a single picture."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bptui.data import DataError
from bptui.data import arrays as npy
from bptui.data.finding import kind_of
from bptui.data.idx import labels_beside, read_idx
from bptui.data.pictures import grey, is_picture, read_picture, resized
from bptui.data.raw import as_rows, channels_first
from bptui.data.targets import SEQUENCES
from bptui.export.columns import table_rows
from bptui.export.errors import ExportError
from bptui.export.given import Given as Given
from bptui.export.given import Values
from bptui.export.samples import rating_rows, sound_row, text_rows, token_rows
from bptui.export.trained import Trained


@dataclass(frozen=True, slots=True)
class Pictures:
    """How pictures are made to fit."""

    resize: bool = False
    invert: bool = False
    """Dark on light becomes light on dark."""


def read_rows(path: Path, trained: Trained, how: Pictures) -> Given:
    """The rows in ``path``. ExportError or DataError, one line, where they do not fit the run."""
    if path.is_dir():
        raise ExportError(f"{path}: a folder; expected a file of rows or a picture")
    if trained.about.task in SEQUENCES:
        raise ExportError(f"{path}: this run answers at each step of a sequence; only one answer a row can be written")
    kind = _kind(path)
    if kind == "sound":
        return sound_row(path, trained)
    if kind == "text" and trained.about.vocabularies:
        return rating_rows(path, trained)
    if kind == "text" and trained.about.ids:
        return text_rows(path, trained)
    if kind == "text":
        if how.resize or how.invert:
            raise ExportError(f"{path}: a table; --resize and --invert are for pictures")
        x, labels, notes = table_rows(path, trained)
        return Given(x, labels, notes)
    if kind == "parquet":
        raise ExportError(f"{path}: Parquet is read for training only; save the rows as CSV or NPY")
    if kind == "picture":
        return Given(_fitted(path, _of_run(path, read_picture(path), trained)[None], trained, how, byte_range=True))
    if kind == "idx":
        x, labels = _idx(path)
    else:
        x, labels = _npz(path) if kind == "npz" else (npy.open_npy(path), None)
    if x.dtype.kind not in "biuf":
        raise ExportError(f"{path}: of type {x.dtype}, expected numbers")
    if trained.about.ids:
        return replace(token_rows(path, x, trained), labels=labels)
    if labels is not None and len(labels) != len(x):
        raise ExportError(f"{path}: {len(x):,} rows, but {len(labels):,} labels")
    return Given(_finite(path, _fitted(path, _batch(path, x, trained), trained, how, byte_range=False)), labels)


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror or error}") from None
    if not head:
        raise ExportError(f"{path}: the file is empty")
    if is_picture(head):
        return "picture"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "sound"
    if head.startswith(b"\xff\xd8\xff") or head.startswith(b"GIF8") or re.match(rb"RIFF....WEBP", head, re.DOTALL):
        raise ExportError(f"{path}: a picture, but not a PNG, PGM or PPM; save it as PNG")
    return kind_of(path)


# -- arrays --------------------------------------------------------------------------------------------
def _idx(path: Path) -> tuple[Values, Values | None]:
    x = read_idx(path)
    if x.ndim < 2:
        raise ExportError(f"{path}: holds {x.ndim}-dimensional data, labels perhaps; expected pictures")
    try:
        beside = labels_beside(path)
    except DataError:
        return x, None
    return x, np.asarray(read_idx(beside))


def _npz(path: Path) -> tuple[Values, Values | None]:
    """``x`` (with ``y``), else ``x_test``, else the only array of an archive."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            x_name = _named(names, npy.FEATURES) or (names[0] if len(names) == 1 else None)
            if x_name is None:
                raise ExportError(f"{path}: no array called x; it holds {', '.join(sorted(names)[:8]) or 'nothing'}")
            y_name = _named(names, npy.LABELS)
            return archive[x_name], (archive[y_name] if y_name and y_name != x_name else None)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror or error}") from None
    except npy.BROKEN as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"{path}: not a readable .npz ({npy.why(error)})") from None


def _named(names: list[str], words: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in names}
    for form in ("{}", "{}_test", "test_{}"):
        for word in words:
            if form.format(word) in lower:
                return lower[form.format(word)]
    return None


def _batch(path: Path, x: Values, trained: Trained) -> Values:
    """``(N, …)``: one row or one picture alone becomes a batch of one."""
    features = trained.about.features
    if x.size == 0:
        raise ExportError(f"{path}: no rows (shape {x.shape})")
    if x.ndim == 0 or (x.ndim == 1 and x.shape != (features,) and features != 1):
        raise ExportError(f"{path}: has shape {x.shape}, expected rows of {_needed(trained)}")
    single = x.shape == (features,) if x.ndim == 1 and features != 1 else _like(x.shape, trained)
    if x.ndim == 1 and features == 1:
        return x[:, None]
    return x[None] if single else x


def _of_run(path: Path, picture: Values, trained: Trained) -> Values:
    """Grey for a run that learned from grey pictures, three colours for one that learned from those."""
    shape = _picture(trained)
    if shape is None:
        raise ExportError(f"{path}: a picture, but this run takes {_needed(trained)}")
    if shape[0] == 1:
        return grey(picture)
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture


def _picture(trained: Trained) -> tuple[int, ...] | None:
    """``(C, H, W)`` of a run that learned from pictures."""
    about = trained.about
    return channels_first(about.shape) if about.shape is not None and about.range is not None else None


def _like(shape: tuple[int, ...], trained: Trained) -> bool:
    """Whether ``shape`` is that of one sample, pictures with or without an axis of colours."""
    if len(shape) in (2, 3) and (picture := _picture(trained)) is not None:
        return channels_first(shape) == picture
    return shape == trained.about.shape


def _fitted(path: Path, x: Values, trained: Trained, how: Pictures, *, byte_range: bool) -> Values:
    """``(N, features)``, turned, scaled to the run's size and range as asked."""
    shape, features = _picture(trained), trained.about.features
    pictures = x.ndim > 2 or (shape is not None and how.invert)
    if not pictures and (how.resize or how.invert):
        raise ExportError(f"{path}: rows, not pictures; --resize and --invert are for pictures")
    if shape is not None and x.ndim > 2:
        given = channels_first(x.shape[1:])
        if given is None or given[0] != shape[0]:
            raise ExportError(f"{path}: {'×'.join(map(str, x.shape[1:]))}, this run takes {_needed(trained)}")
        x = as_rows(x).reshape(len(x), *given)
        if given != shape:
            size = "×".join(map(str, given if given[0] > 1 else given[1:]))
            if not how.resize:
                raise ExportError(f"{path}: {size} pixels, this run takes {_needed(trained)}; --resize scales it")
            x = np.moveaxis(resized(np.moveaxis(x, 1, 3), shape[1], shape[2]), 3, 1)
    x = x.reshape(len(x), -1)
    if x.shape[1] != features:
        raise ExportError(f"{path}: rows of {x.shape[1]}, this run takes {_needed(trained)}")
    low, high = trained.about.range or (0.0, 255.0)
    if byte_range and (low, high) != (0.0, 255.0):
        x = low + x.astype(np.float64) * ((high - low) / 255)
    if how.invert:
        x = (low + high) - x.astype(np.float64)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def _finite(path: Path, x: Values) -> Values:
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row, column = (int(at) for at in np.argwhere(~np.isfinite(x))[0])
        raise ExportError(f"{path}: row {row + 1}, feature {column + 1} is {float(x[row, column]):g}")
    return x


def _needed(trained: Trained) -> str:
    about = trained.about
    if (picture := _picture(trained)) is not None:
        return f"{'×'.join(map(str, picture if picture[0] > 1 else picture[1:]))} pixels"
    if about.shape is not None and len(about.shape) == 2:
        return f"sequences of {about.shape[0]} steps × {about.shape[1]} features"
    return f"{about.features} features"
