"""Arrays too large for memory, in files of ``$XDG_CACHE_HOME/bptui`` that are named after what they are made of.

A file that is there is whole: it is written under another name and renamed. Deleting the folder costs time alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data.memory import available
from bptui.data.raw import Values

#: An array that takes more than this share of the memory there is goes to a file.
MAPPED_SHARE = 0.5


def folder() -> Path:
    """Where the files are; it may not be there yet."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "bptui"


def key_of(files: Iterable[Path], *made: object) -> str:
    """A name for what is made of these files: it changes with their sizes, times and names, and with ``made``."""
    digest = hashlib.sha256(repr(made).encode())
    for path in files:
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
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
