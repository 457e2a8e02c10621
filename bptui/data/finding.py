"""From ``data.source`` to rows: a built-in name, else a file or folder, here or in the search path."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bptui.data import arrays, idx
from bptui.data.delimited import read_table
from bptui.data.errors import DataError, nearest
from bptui.data.folders import SUFFIXES, Kind, Listing, listing
from bptui.data.images import read_images
from bptui.data.longtext import read_long
from bptui.data.parquet import read_parquet_table
from bptui.data.ratings import read_ratings
from bptui.data.raw import Raw, Rows, thinned
from bptui.data.series import read_series_array, read_series_table
from bptui.data.sound import read_sounds
from bptui.data.sources import ALIASES, SOURCES
from bptui.data.table import Table, assemble
from bptui.data.texts import read_tagged, read_text_column, read_texts
from bptui.spec.experiment import Data

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
#: Who reads a folder of files that are a sample each.
FOLDERS: dict[Kind, Callable[[Listing, Data], Raw]] = {
    "picture": read_images, "sound": read_sounds, "text": read_texts
}  # fmt: skip


def read(data: Data, seed: int, places: Sequence[Path]) -> Raw:
    """Read the source that ``data`` names."""
    name = ALIASES.get(data.source, data.source)
    if name in SOURCES:
        raw = SOURCES[name].read(name, data, seed, places)
    else:
        raw = read_path(locate(data.source, places), data)
    return _first(raw, data.samples)


def _first(raw: Raw, samples: int | None) -> Raw:
    """At most ``samples`` rows of the training part."""
    if samples is None or len(raw.train) <= samples:
        return raw
    lengths = None if raw.train.lengths is None else raw.train.lengths[:samples]
    return replace(raw, train=Rows(raw.train.x[:samples], raw.train.y[:samples], lengths))


def locate(source: str, places: Sequence[Path]) -> Path:
    """The file or folder that ``source`` names: as a path, else in the search path."""
    if not source:
        raise DataError(f"data.source is empty; built-in: {', '.join(SOURCES)}")
    try:
        path = Path(source).expanduser()
        for candidate in [path, *(place / path for place in places if not path.is_absolute())]:
            if candidate.exists():
                return candidate
    except (OSError, ValueError, RuntimeError):
        raise DataError(f"data.source = {source!r} is not a name or a path") from None
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"{source}: no such file or folder")
    raise DataError(
        f"unknown data source {source!r}{nearest(source, [*SOURCES, *ALIASES])} (built-in: {', '.join(SOURCES)};"
        " or a path)"
    )


def read_path(path: Path, data: Data) -> Raw:
    """Read a file or folder by its kind."""
    if path.is_dir():
        return _read_folder(path, data)
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder")
    kind = kind_of(path)
    if kind == "idx":
        return idx.read_file(path)
    if kind == "npz":
        return arrays.read_npz(path)
    if kind == "npy":
        return read_series_array(path, arrays.open_npy(path), data) if _series(data) else arrays.read_npy(path, data)
    if kind == "parquet":
        return from_table(read_parquet_table(path, data), data)
    if data.task == "sequence_labelling":
        return read_tagged(path, data)
    if data.task == "next_token" or (data.level is not None and not _table(path, data)):
        return read_long(path, data)
    return from_table(read_table(path, data), data)


def from_table(table: Table, data: Data, test: Table | None = None) -> Raw:
    """A table as rows; with ``data.level`` its text as tokens, with ``data.window`` its rows as a series."""
    if data.ids is not None:
        return read_ratings(table, data, test)
    if data.level is not None:
        return read_text_column(table, data, test)
    if _series(data):
        if test is not None:
            raise DataError(f"{test.path}: a series is parted by time (data.test), not by files")
        return read_series_table(table, data)
    return assemble(table, data, test)


def _series(data: Data) -> bool:
    return data.window is not None and data.level is None


def _table(path: Path, data: Data) -> bool:
    """Whether a file of text is a table of texts, where it might be one long text."""
    return path.name.lower().endswith(TABLES) or data.label is not None or data.delimiter is not None


def kind_of(path: Path) -> str:
    """``idx``, ``npz``, ``npy``, ``parquet`` or ``text``: by its first bytes, else by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    if head[:2] == idx.GZIP:
        with suppress(zlib.error):  # the reader will say that it is damaged
            head = zlib.decompressobj(31).decompress(head, 16)
    for mark, kind in ((b"\x93NUMPY", "npy"), (b"PK\x03\x04", "npz"), (b"PAR1", "parquet")):
        if head.startswith(mark):
            return kind
    if len(head) >= 4 and head[:2] == b"\0\0" and head[2] in idx.DTYPES:
        return "idx"
    name = path.name.removesuffix(".gz")
    by_name = {".npy": "npy", ".npz": "npz", ".parquet": "parquet", ".idx": "idx"}
    return "idx" if re.search(r"[-.]idx\d-ubyte$", name) else by_name.get(Path(name).suffix, "text")


def _read_folder(folder: Path, data: Data) -> Raw:
    """A folder: pictures in MNIST's layout, ``train.csv`` and its like, or ``x.npy`` with ``y.npy``."""
    if idx.find_images(folder, "train") is not None:
        return idx.read_folder(folder, folder.name)
    for tail in TABLES:
        train, test = folder / f"train{tail}", folder / f"test{tail}"
        if train.is_file():
            table = read_table(train, data)
            other = read_table(test, data, sys.maxsize) if test.is_file() else None
            return replace(from_table(table, data, other), name=folder.name)
    for name in arrays.PAIRS:
        if (folder / f"{name}.npy").is_file():
            return arrays.read_npy(folder / f"{name}.npy", data)
    found = listing(folder, data)
    if found is None:
        raise DataError(
            f"{folder}: no data found; looked for train-images-idx3-ubyte[.gz], train.csv, train.tsv, x.npy with y.npy,"
            f" and folders of {', '.join(f'{kind}s' for kind in SUFFIXES)} ({'; '.join(_some(SUFFIXES))})"
        )
    if found.kind == "text" and not found.by_folder and len(found.samples) == 1:
        return replace(read_long(found.samples[0].path, data), name=folder.name)
    return thinned(FOLDERS[found.kind](found, data), data.samples)


def _some(suffixes: Mapping[Kind, Sequence[str]]) -> list[str]:
    return [" ".join(each[:3]) for each in suffixes.values()]
