"""IDX, the format of MNIST: a magic number, the dimensions, then the values, all big-endian; plain or gzipped.

Source: http://yann.lecun.com/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bptui.data.errors import DataError
from bptui.data.raw import Raw, Rows, Values, as_rows, channels_first

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
#: More than this is refused before it is read: a few bytes of gzip or of header can claim any size.
LARGEST_GZIP = 16 << 30

IMAGES = ("images-idx3-ubyte", "images.idx3-ubyte", "images-idx3-ubyte.gz", "images.idx3-ubyte.gz")


def read_idx(path: Path) -> Values:
    """The array in one IDX file. A plain file is mapped, not read; DataError if it is not whole or not IDX."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        if head[:2] == GZIP:
            return _read_gzip(path)
        dtype, shape, offset = _header(head, path)
        size, expected = path.stat().st_size, offset + _nbytes(dtype, shape)
        _check_size(path, size, expected)
        if math.prod(shape) == 0:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", offset, shape)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def _read_gzip(path: Path) -> Values:
    packed = path.read_bytes()
    try:
        head = zlib.decompressobj(31).decompress(packed[:65536], 4096)
        dtype, shape, offset = _header(head, path)
        expected = offset + _nbytes(dtype, shape)
        if expected > LARGEST_GZIP:
            raise DataError(f"{path}: claims {expected:,} bytes unpacked; unpack it yourself so that it can be mapped")
        unpacker = zlib.decompressobj(31)
        data = unpacker.decompress(packed, expected + 1)
        if len(data) == expected:  # the checksum at the end is read only when more is asked for
            data += unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error as error:
        raise DataError(f"{path}: damaged gzip ({error})") from None
    _check_size(path, len(data), expected)
    if not unpacker.eof:
        raise DataError(f"{path}: cut short, the end of the gzip is missing")
    return np.frombuffer(data, dtype, offset=offset).reshape(shape)


def _header(head: bytes, path: Path) -> tuple[np.dtype[np.generic], tuple[int, ...], int]:
    """dtype, shape and where the values begin."""
    if not head:
        raise DataError(f"{path}: the file is empty")
    if len(head) < 4:
        raise DataError(f"{path}: only {len(head)} bytes, not an IDX file")
    if head[:2] != b"\0\0" or head[2] not in DTYPES or not 1 <= head[3] <= 8:
        raise DataError(f"{path}: not an IDX file (magic number 0x{head[:4].hex()}, expected 0x0000TTDD as 0x00000803)")
    offset = 4 + 4 * head[3]
    if len(head) < offset:
        raise DataError(f"{path}: cut short inside its header")
    shape = tuple(int(n) for n in np.frombuffer(head, ">u4", head[3], 4))
    return np.dtype(DTYPES[head[2]]), shape, offset


def _nbytes(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> int:
    return math.prod(shape) * dtype.itemsize


def _check_size(path: Path, size: int, expected: int) -> None:
    if size < expected:
        raise DataError(f"{path}: cut short, {size:,} bytes of {expected:,}")
    if size > expected:
        raise DataError(f"{path}: longer than its header says ({expected:,} bytes)")


# -- pictures with their labels ------------------------------------------------------------------------


def read_pair(images: Path, classes: int | None = None) -> Rows:
    """Pictures (N, height·width) and their labels (N,), from an images file and the labels file beside it."""
    labels = labels_beside(images)
    x, y = read_idx(images), read_idx(labels)
    if x.ndim < 2:
        raise DataError(f"{images}: holds {x.ndim}-dimensional data, not pictures")
    if len(x) == 0:
        raise DataError(f"{images}: holds no pictures")
    if y.ndim != 1 or y.dtype.kind not in "ui":
        raise DataError(f"{labels}: holds {y.ndim}-dimensional {y.dtype.name}, not labels")
    if len(x) != len(y):
        raise DataError(f"{images.name} has {len(x):,} pictures, {labels.name} has {len(y):,} labels")
    y = y.astype(np.int64)
    wrong = np.flatnonzero((y < 0) | (y >= (classes if classes is not None else 1 << 16)))
    if len(wrong):
        row, most = int(wrong[0]), f"0–{classes - 1}" if classes is not None else "0 upwards"
        raise DataError(f"{labels}: row {row + 1} has label {int(y[row])}, expected {most}")
    return Rows(as_rows(x), y)


def labels_beside(images: Path) -> Path:
    """The labels file that goes with an images file, packed or not."""
    name = re.sub(r"\.gz$", "", images.name)
    plain = name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    if plain == name:
        raise DataError(f"{images}: an IDX file of pictures needs 'images' in its name, to find its labels by")
    candidates = [images.with_name(plain), images.with_name(plain + ".gz")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(f"{images}: no labels beside it; looked for {candidates[0].name}, plain and .gz")


def find_images(folder: Path, split: str) -> Path | None:
    """The images file of ``split`` (``train`` or ``t10k``) in a folder."""
    for tail in IMAGES:
        if (folder / f"{split}-{tail}").is_file():
            return folder / f"{split}-{tail}"
    return None


def read_folder(folder: Path, name: str, classes: Sequence[str] | None = None) -> Raw:
    """A folder in MNIST's layout: ``train-…`` and, as the test part, ``t10k-…``."""
    count = len(classes) if classes is not None else None
    train, test = find_images(folder, "train"), find_images(folder, "t10k")
    if train is None:
        raise DataError(f"{folder}: no train-images-idx3-ubyte, plain or .gz")
    return _pictures(name, train, read_pair(train, count), read_pair(test, count) if test else None, classes)


def read_file(path: Path) -> Raw:
    """One images file by path; the ``t10k`` one beside a ``train`` one is its test part."""
    if path.name.startswith("train-"):
        test = find_images(path.parent, "t10k")
        return _pictures(path.parent.name, path, read_pair(path), read_pair(test) if test else None, None)
    return _pictures(path.name, path, read_pair(path), None, None)


def _pictures(name: str, path: Path, train: Rows, test: Rows | None, classes: Sequence[str] | None) -> Raw:
    if test is not None and test.x.shape[1] != train.x.shape[1]:
        raise DataError(
            f"{path.parent}: training pictures have {train.x.shape[1]} pixels, test pictures {test.x.shape[1]}"
        )
    return Raw(
        name=name,
        train=train,
        test=test,
        task="classification",
        classes=tuple(classes) if classes is not None else None,
        shape=channels_first(read_shape(path)),
    )


def read_shape(path: Path) -> tuple[int, ...]:
    """Shape of one picture in a file that has been read before."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:2] == GZIP:
        head = zlib.decompressobj(31).decompress(path.read_bytes()[:65536], 4096)
    return _header(head, path)[1][1:]
