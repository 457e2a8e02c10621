"""The reading side of a ring: what was never read, in order and each byte once, from ``ring.spill`` and the ring."""

from __future__ import annotations

import contextlib
import fcntl
import os

from bptui.runs.ring import SPILL_CHUNK, Ring, RingError


class RingReader:
    """Reads on from ``cursor``, a position counted like the ring's ``head``.

    ``take`` looks at bytes, ``used`` says how many of them were whole records, ``commit`` that those are
    safe, which frees their room. Without ``owner`` nothing is written: for looking at a run whose
    processes have all ended.
    """

    def __init__(self, ring: Ring, cursor: int = 0, *, owner: bool = True) -> None:
        self._ring = ring
        self._owner = owner
        self._spill_path = ring.path.with_suffix(".spill")
        self._spill_at = 0
        # The log's word counts, but where the log itself was lost the ring's says what is gone.
        self.cursor = min(max(cursor, ring.tail), ring.head)
        self.missed = 0
        """Bytes that were given up by a trainer that found no room for them anywhere."""
        self._taken = self._limit = 0
        self._all = True
        self._spilling = False

    def take(self, limit: int = 128 << 10) -> bytes:
        """The next ``limit`` bytes at the most, cut anywhere; empty when everything has been read.

        Raises RingError when the header makes no sense.
        """
        ring, limit = self._ring, max(limit, self._limit)
        self._limit = limit
        while True:
            spilled, head = ring.spilled, ring.head
            if self.cursor < spilled:
                self._spilling = True
                data = self._from_spill(limit)
                if data:
                    break
                if self.cursor < spilled:
                    self.missed += spilled - self.cursor
                    self.cursor = spilled
                continue
            size = head - self.cursor
            if not 0 <= size <= ring.capacity:
                raise RingError(f"{ring.path}: damaged (head {head}, read to {self.cursor})")
            end = min(head, self.cursor + limit)
            data = b"".join(ring.bytes_between(self.cursor, end))
            self._all = end == head
            if ring.spilled <= self.cursor:  # else the writer has gone over these bytes meanwhile
                break
        self._taken = len(data)
        return data

    def used(self, size: int) -> None:
        """So many of the bytes taken were whole records; none: a record longer than was taken, or damage."""
        if size or self._all:
            self.cursor += size or self._taken
            self._limit = 0
        else:
            self._limit *= 4

    def commit(self) -> None:
        """Everything used so far is safe."""
        if not self._owner:
            return
        if self._spilling and self.cursor >= self._ring.spilled:
            self._empty_spill()
        if self.cursor > self._ring.tail:
            self._ring.advance(self.cursor)

    def _from_spill(self, limit: int) -> bytes:
        """Bytes of the chunk that holds the cursor, or of the first one after it."""
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
                    end = min(start + length, self.cursor + limit)
                    self._all = end == start + length
                    return spill.read(end - self.cursor)
                self._spill_at = after
        return b""

    def _empty_spill(self) -> None:
        with contextlib.suppress(OSError), open(self._spill_path, "r+b") as spill:
            fcntl.flock(spill, fcntl.LOCK_EX)
            size = os.fstat(spill.fileno()).st_size
            while self._spill_at + SPILL_CHUNK.size <= size:
                spill.seek(self._spill_at)
                start, length = SPILL_CHUNK.unpack(spill.read(SPILL_CHUNK.size))
                if start + length > self.cursor:
                    return
                self._spill_at += SPILL_CHUNK.size + length
            if size == self._spill_at:
                spill.truncate(0)
                self._spill_at = 0
                self._spilling = False
