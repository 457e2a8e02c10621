"""NumPy files: ``.npz`` with features and labels, or a pair of ``.npy``; large ones stay in their file (memory map).

Object arrays, which would have to be unpickled, are refused.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bptui.data.errors import DataError
from bptui.data.memory import available
from bptui.data.raw import Raw, Rows, Values, as_rows, channels_first, channels_last
from bptui.data.textlines import MOST_BYTES
from bptui.spec.experiment import Data

#: Names of features and labels, in the order they are tried; lower case.
FEATURES = ("x", "images", "data", "features", "inputs")
LABELS = ("y", "labels", "label", "target", "targets", "outputs")
PARTS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
#: First files of a pair of .npy in a folder.
PAIRS = ("x", "X", "x_train", "X_train", "train_x", "images", "features")
#: Rows that would take more than this share of the memory there is stay in their file.
MAPPED_SHARE = 0.5
#: What NumPy and zipfile raise on damaged files.
BROKEN = (
    ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, SyntaxError,
    struct.error, TypeError, OverflowError, MemoryError, RecursionError,
)  # fmt: skip


def read_npz(path: Path) -> Raw:
    """``x`` and ``y`` (or ``x_train``, ``y_train``, ``x_test`` …) of an archive."""
    try:
        # Opened here: of a broken archive np.load would leave the file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            if (unpacked := sum(each.file_size for each in archive.zip.infolist())) > MOST_BYTES:
                size = f"{unpacked / 2**30:,.3g} GB once unpacked, more than {MOST_BYTES / 2**30:.3g}"
                raise DataError(f"{path}: has {size}; as .npy it is read by memory map")
            pairs = _pairs(names)
            if "train" not in pairs:
                shown = ", ".join(sorted(names)[:8]) or "nothing"
                raise DataError(f"{path}: no features and labels (x and y, or x_train and y_train); it holds {shown}")
            arrays = {part: (archive[x], archive[y], x, y) for part, (x, y) in pairs.items()}
            extra = {name: archive[name] for name in names if name.startswith(("lengths", "vocabulary"))}
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except BROKEN as error:
        raise DataError(f"{path}: not a readable .npz ({why(error)})") from None
    if "vocabulary" in extra or any(name.startswith("lengths") for name in extra):
        return sequences(path, {part: (x, y) for part, (x, y, _, _) in arrays.items()}, extra)
    rows = {part: _rows(path, x, y, x_name, y_name) for part, (x, y, x_name, y_name) in arrays.items()}
    return _raw(path, arrays["train"][0], rows)


def sequences(path: Path, arrays: Mapping[str, tuple[Values, Values]], extra: Mapping[str, Values]) -> Raw:
    """An archive of sequences: ``x`` (N, T, F), or ids (N, T) with their ``vocabulary`` (V,).

    ``lengths`` (``lengths_test`` …) says how many steps of each row are there; ``y`` may be ids (N, T), −1 for none.
    """
    vocabulary = tuple(map(str, extra["vocabulary"].tolist())) if "vocabulary" in extra else None
    per_step = _a_target_a_step(*arrays["train"])
    parts = {}
    for part, (x, y) in arrays.items():
        axes = 2 if vocabulary is not None else 3
        if x.ndim != axes or (axes == 2 and x.dtype.kind not in "iu"):
            raise DataError(
                f"{path}: x has shape {x.shape} of {x.dtype}, expected {'ids (N, T)' if axes == 2 else '(N, T, F)'}"
            )
        if len(x) != len(y) or not x.size:
            raise DataError(f"{path}: {len(x):,} rows of x (shape {x.shape}), {len(y):,} of y")
        if vocabulary is not None and not 0 <= int(x.min()) <= int(x.max()) < len(vocabulary):
            raise DataError(f"{path}: ids from {x.min()} to {x.max()}, the vocabulary has 0–{len(vocabulary) - 1}")
        suffixes = ("", "_train") if part == "train" else (f"_{part}", *(f"_{word}" for word in PARTS[part]))
        lengths = next((extra[f"lengths{tail}"] for tail in suffixes if f"lengths{tail}" in extra), None)
        if lengths is not None:
            if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
                raise DataError(
                    f"{path}: lengths of {part} have shape {lengths.shape} of {lengths.dtype}, expected ({len(x)},)"
                )
            if not 1 <= int(lengths.min()) <= int(lengths.max()) <= x.shape[1]:
                raise DataError(f"{path}: lengths from {lengths.min()} to {lengths.max()}, expected 1–{x.shape[1]}")
            there = np.arange(x.shape[1]) < lengths[:, None]
            x = (
                np.where(there, x, 0)
                if vocabulary is not None
                else np.where(there[:, :, None], x.astype(np.float32), np.nan)
            )
            if per_step and _a_target_a_step(x, y):
                y = np.where(there, y.astype(np.int64), -1)
        parts[part] = Rows(as_rows(x), y, None if lengths is None else lengths.astype(np.intp))
    shape = tuple(int(n) for n in arrays["train"][0].shape[1:])
    return Raw(
        name=path.name, train=parts["train"], validation=parts.get("validation"), test=parts.get("test"),
        shape=shape, vocabulary=vocabulary, task="sequence_labelling" if per_step else None,
        notes=(f"sequences of {shape[0]} steps" + (f" × {shape[1]} features" if len(shape) > 1 else ""),),
    )  # fmt: skip


def _a_target_a_step(x: Values, y: Values) -> bool:
    return y.ndim == 2 and y.shape[1] == x.shape[1] and y.dtype.kind in "iu"


def read_npy(path: Path, data: Data) -> Raw:
    """A pair of files, found by the first one's name: ``x.npy`` with ``y.npy``, ``X_train.npy`` with ``y_train.npy`` …

    A test pair beside a training pair is the test part. Without a partner, ``data.label`` names a column.
    """
    x = open_npy(path)
    partner = _partner(path)
    if partner is None:
        return _raw(path, x, {"train": _column_as_label(path, x, data)})
    rows = {"train": _rows(path, x, open_npy(partner), path.name, partner.name)}
    for part in ("validation", "test"):
        for word in PARTS[part]:
            other = path.with_name(re.sub(r"train", word, path.name))
            if other != path and other.is_file() and (other_y := _partner(other)) is not None:
                rows[part] = _rows(other, open_npy(other), open_npy(other_y), other.name, other_y.name)
    return _raw(path, x, rows)


def _raw(path: Path, x: Values, rows: Mapping[str, Rows]) -> Raw:
    mapped = isinstance(x, np.memmap) and x.size * 4 > MAPPED_SHARE * available()
    shape = channels_first(x.shape[1:])
    if x.ndim > 2 and shape is None:
        raise DataError(f"{path}: samples of {'×'.join(map(str, x.shape[1:]))}, expected at most three axes")
    if mapped and channels_last(x.shape[1:]):
        raise DataError(f"{path}: too large for memory, so its colours must come first: (N, channels, height, width)")
    notes = [f"pictures of {'×'.join(map(str, x.shape[1:]))}"] if shape else []
    if mapped:
        notes.append(f"{x.nbytes / 2**30:.1f} GB, read from the file as needed (memory map)")
    return Raw(
        name=path.name,
        train=rows["train"],
        validation=rows.get("validation"),
        test=rows.get("test"),
        shape=shape,
        mapped=mapped,
        notes=tuple(notes),
    )


def open_npy(path: Path) -> Values:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except BROKEN as error:
        raise DataError(f"{path}: not a readable .npy ({why(error)})") from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an archive, not one array")
    return array


def why(error: Exception) -> str:
    """NumPy's reason, without its advice to allow unpickling."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it holds Python objects, which are never unpickled" if "pickle" in text.lower() else text


def _partner(path: Path) -> Path | None:
    """The labels' file beside a features' file."""
    stem = path.stem
    for features in FEATURES:
        for labels in LABELS:
            changed = re.sub(rf"(?i)(?<![a-z]){features}(?![a-z])", labels, stem)
            if changed != stem and path.with_name(changed + ".npy").is_file():
                return path.with_name(changed + ".npy")
    return None


def _column_as_label(path: Path, x: Values, data: Data) -> Rows:
    if x.ndim != 2 or x.shape[1] < 2:
        raise DataError(f"{path}: no labels beside it (y.npy beside x.npy, and so on)")
    if data.label is None:
        raise DataError(f"{path}: no labels beside it (as x.npy and y.npy); data.label = -1 takes its last column")
    if not isinstance(data.label, int) or not -x.shape[1] <= data.label < x.shape[1]:
        raise DataError(f"{path}: no label column {data.label!r}; columns are numbered 0–{x.shape[1] - 1}")
    return _rows(path, np.delete(x, data.label, axis=1), x[:, data.label], path.name, f"column {data.label}")


def _pairs(names: list[str]) -> dict[str, tuple[str, str]]:
    """Which arrays of an archive are features and labels of which part."""
    lower = {name.lower(): name for name in names}
    found: dict[str, tuple[str, str]] = {}
    for part, words in PARTS.items():
        tags = [*words, ""] if part == "train" else list(words)
        for tag in tags:
            for x_name in FEATURES:
                for y_name in LABELS:
                    for form in ("{0}_{1}", "{1}_{0}", "{0}{1}", "{1}{0}"):
                        keys = [form.format(name, tag).strip("_") for name in (x_name, y_name)]
                        if all(key in lower for key in keys) and part not in found:
                            found[part] = (lower[keys[0]], lower[keys[1]])
    return found


def _rows(path: Path, x: Values, y: Values, x_name: str, y_name: str) -> Rows:
    for name, array in ((x_name, x), (y_name, y)):
        if array.ndim == 0:
            raise DataError(f"{path}: {name} is a single value, not rows")
    if len(x) != len(y):
        raise DataError(f"{path}: {x_name} has {len(x):,} rows, {y_name} has {len(y):,}")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path}: {x_name} is of type {x.dtype}, expected numbers")
    if y.dtype.kind not in "biufUS":
        raise DataError(f"{path}: {y_name} is of type {y.dtype}, expected numbers or texts")
    if y.ndim > 2:
        raise DataError(f"{path}: {y_name} has shape {y.shape}, expected (N,) or (N, outputs)")
    if x.size == 0:
        raise DataError(f"{path}: {x_name} is empty, shape {x.shape}")
    features = x.astype(np.uint8) if x.dtype.kind == "b" else x
    labels = np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else np.asarray(y)
    return Rows(as_rows(features) if x.ndim != 1 else features[:, None], labels)
