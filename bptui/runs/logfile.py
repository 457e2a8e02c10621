"""The ``scalars`` file as its one writer sees it: whole batches or nothing."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

from bptui.runs.log import Block, BlockKind, cursor, parse

MAX_PENDING = 64 << 20


def extent(path: Path, seen: Callable[[Block], None] | None = None) -> tuple[int, int]:
    """How many bytes of a log are good, counted to the last cursor, and that cursor's ring position (or 0, 0).

    ``seen`` is called with every block on the way.
    """
    size = position = at = 0
    try:
        file = open(path, "rb")  # noqa: SIM115  closed below, with the map
    except FileNotFoundError:
        return 0, 0
    with file:
        length = os.fstat(file.fileno()).st_size
        if not length:
            return 0, 0
        with mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            while at < length:
                # A window at a time: ``parse`` copies payloads, and a log may be large.
                end = 0
                with view[at : at + (8 << 20)] as window:
                    for block in parse(window):
                        end = block.end
                        if seen is not None:
                            seen(block)
                        if block.kind == BlockKind.CURSOR:
                            size, position = at + end, block.step
                if not end:
                    break
                at += end
    return size, position


class LogFile:
    """Appends batches; each ends with a cursor, so that a new hub knows where in the ring to go on.

    On a full disk batches wait in memory (``pending``), up to ``MAX_PENDING`` bytes; beyond that the
    newest are dropped and counted.
    """

    def __init__(self, path: Path, seen: Callable[[Block], None] | None = None) -> None:
        self.path = path
        self.size, self.position = extent(path, seen)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, self.size)  # a torn batch, written while the last hub died
        self._pending: list[bytes] = []
        self.pending = 0
        self.dropped = 0
        self.error = ""
        """Why the last write failed; empty when all is well."""

    def append(self, blocks: bytes, position: int) -> bool:
        """Write blocks that carry the ring up to ``position``; False if they wait in memory."""
        batch = blocks + cursor(position)
        if self.pending + len(batch) > MAX_PENDING:
            self.dropped += len(blocks)
            return False
        self._pending.append(batch)
        self.pending += len(batch)
        return self.flush()

    def flush(self) -> bool:
        """Write what waits; True if nothing waits any more."""
        while self._pending:
            batch = self._pending[0]
            try:
                self._write(batch)
            except OSError as error:
                self.error = error.strerror or str(error)
                return False
            self.size += len(batch)
            self.pending -= len(batch)
            del self._pending[0]
        self.error = ""
        return True

    def _write(self, batch: bytes) -> None:
        at = 0
        try:
            while at < len(batch):
                at += os.pwrite(self._file, batch[at:], self.size + at)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``, whole batches only as far as they are written."""
        return os.pread(self._file, min(size, max(self.size - offset, 0)), offset)

    def close(self) -> None:
        os.close(self._file)
