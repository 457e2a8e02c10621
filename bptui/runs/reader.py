"""The reading side of a ring: what was never read, in order and each byte once, from ``ring.spill`` and the ring."""

from __future__ import annotations

import contextlib
import fcntl
import os

from bptui.runs.ring import SPILL_CHUNK, Ring, RingError


class RingReader:
    """Reads on from ``cursor``, a position counted like the ring's ``head``.

    ``take`` gives bytes; ``commit`` says that they are safe, which frees their room. Without ``owner``
    nothing is written: for looking at a run whose processes have all ended.
    """

    def __init__(self, ring: Ring, cursor: int = 0, *, owner: bool = True) -> None:
        head = ring.head
        self._ring = ring
        self._owner = owner
        self._spill_path = ring.path.with_suffix(".spill")
        self._spill_at = 0
        # The log's word counts, but where the log itself was lost the ring's says what is gone.
        self.cursor = min(max(cursor, ring.tail), head)
        self.missed = 0
        """Bytes that were given up by a trainer that found no room for them anywhere."""

    def take(self, limit: int = 1 << 20) -> bytes:
        """The next records, about ``limit`` bytes at the most; empty when everything has been read.

        Raises RingError when the header makes no sense.
        """
        ring = self._ring
        while True:
            spilled, head = ring.spilled, ring.head
            if self.cursor < spilled:
                data = self._from_spill(limit)
                if data:
                    return data
                if self.cursor < spilled:
                    self.missed += spilled - self.cursor
                    self.cursor = spilled
                continue
            size = head - self.cursor
            if not 0 <= size <= ring.capacity:
                raise RingError(f"{ring.path}: damaged (head {head}, read to {self.cursor})")
            if size > limit:
                # Cut only at the ring's end, where no record goes on: records stay whole.
                size = min(size, ring.capacity - self.cursor % ring.capacity)
            data = b"".join(ring.bytes_between(self.cursor, self.cursor + size))
            if ring.spilled <= self.cursor:  # else the writer has gone over these bytes meanwhile
                self.cursor += size
                return data

    def commit(self) -> None:
        """Everything taken so far is safe."""
        if not self._owner:
            return
        if self._spill_at:
            self._empty_spill()
        if self.cursor > self._ring.tail:
            self._ring.advance(self.cursor)

    def _from_spill(self, limit: int) -> bytes:
        """Part of the chunk that holds the cursor, or of the first one after it."""
        with contextlib.suppress(OSError), open(self._spill_path, "rb") as spill:
            fcntl.flock(spill, fcntl.LOCK_SH)
            size = os.fstat(spill.fileno()).st_size
            while self._spill_at + SPILL_CHUNK.size <= size:
                spill.seek(self._spill_at)
                start, length = SPILL_CHUNK.unpack(spill.read(SPILL_CHUNK.size))
                after = self._spill_at + SPILL_CHUNK.size + length
                if after > size:
                    return b""
                if start + length > self.cursor:
                    if start > self.cursor:
                        self.missed += start - self.cursor
                        self.cursor = start
                    spill.seek(self._spill_at + SPILL_CHUNK.size + self.cursor - start)
                    data = spill.read(start + length - self.cursor)
                    self.cursor += len(data)
                    self._spill_at = after
                    return data
                self._spill_at = after
        return b""

    def _empty_spill(self) -> None:
        with contextlib.suppress(OSError), open(self._spill_path, "r+b") as spill:
            fcntl.flock(spill, fcntl.LOCK_EX)
            if os.fstat(spill.fileno()).st_size == self._spill_at:
                spill.truncate(0)
                self._spill_at = 0


