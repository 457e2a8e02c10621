"""Arrays too large for memory or slow to make, in files of ``$XDG_CACHE_HOME/bptui`` named after what made them.

A file that is there is whole: it is written under another name and renamed. Deleting the folder costs time alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.arrays import BROKEN
from bptui.data.memory import available
from bptui.data.raw import Values

#: An array that takes more than this share of the memory there is goes to a file.
MAPPED_SHARE = 0.5


def folder() -> Path:
    """Where the files are; it may not be there yet."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "bptui"


def key_of(files: Iterable[Path], *made: object) -> str:
    """A name for what is made of these files: it changes with their sizes, times and places, and with ``made``.

    Of a file that was written to the time of its last change tells, which, other than that of its content, nobody sets.
    """
    digest = hashlib.sha256(repr(made).encode())
    for path in files:
        stat = path.stat()
        times = f"{stat.st_mtime_ns}\0{stat.st_ctime_ns}"
        digest.update(f"{path.absolute()}\0{stat.st_size}\0{times}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def made(
    key: Callable[[], str], shape: tuple[int, ...], dtype: npt.DTypeLike, fill: Callable[[Values], None]
) -> tuple[Values, bool]:
    """An array that ``fill`` fills: in memory where it fits, else mapped from a file (True), filled once."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= MAPPED_SHARE * available():
        array: npt.NDArray[Any] = np.empty(shape, dtype)
        fill(array)
        return array, False
    path = folder() / f"{key()}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        try:
            into = np.lib.format.open_memmap(partial, "w+", np.dtype(dtype), shape)
            fill(into)
            into.flush()
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r", allow_pickle=False), True


def kept(key: str, make: Callable[[], Mapping[str, Values]]) -> Mapping[str, Values]:
    """What ``make`` makes, from its file where that is whole (a zip has sums of its content), else made and written.

    Where nothing can be written, it is made each time.
    """
    path = folder() / f"{key}.npz"
    found = _read(path)
    if found is not None:
        return found
    fresh = make()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                np.savez(file, **fresh)  # type: ignore[arg-type]
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return fresh


def _read(path: Path) -> dict[str, Values] | None:
    """All arrays of the file; None where there is none, or a damaged one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, *BROKEN):
        return None
