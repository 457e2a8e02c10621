"""The ring: a file-backed mmap through which a trainer tells everything, one record a fact.

One writer (the trainer), one reader (the hub, which holds an flock on the file while it lives). What
is in the ring outlives ``kill -9`` of either. The header also carries the flag that a trainer looks at
each step, and its state and step, so that ``ls`` needs no process.

Layout, little-endian. Header (4096 bytes)::

    0   8s   magic "bptring1"          40  u64  step (updates done)
    8   u64  capacity in bytes         48  u64  records written
    16  u64  head: bytes ever written  56  f64  time of the last record
    24  u64  tail: bytes ever read     64  u32  flag: the hub has something to say
    32  u32  rank                      68  u32  state (index into STATES)
    36  u32  pid of the writer         72  u64  spilled: bytes before this that were unread lie in ring.spill

``tail`` is written by the reader alone and ``spilled`` by the writer alone, so neither can undo the
other's word. While no reader lives, or it has stalled for five seconds, the writer puts what is unread
into ``ring.spill`` and goes on: chunks of ``u64 position, u64 size, bytes``, the position counted like
``head``. ``runs.reader`` puts both together again.

Records are 8-byte aligned and never wrap: a PAD record fills the end of the ring. Record::

    u32 length (header and payload, aligned)  u16 kind  u16 rank  u64 step  f64 time  payload
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"bptring1"
HEADER_BYTES = 4096
DEFAULT_CAPACITY = 16 << 20

STATES = ("STARTING", "READY", "RUNNING", "PAUSED", "DONE", "FAILED", "WAITING", "HELD", "STOPPED")

_U32, _U64, _F64 = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<d")
_RECORD = struct.Struct("<IHHQd")
RECORD_BYTES = _RECORD.size  # 24
LOSS_BYTES = 32
SPILL_CHUNK = struct.Struct("<QQ")
STALL_SECONDS = 5.0


class RingError(ValueError):
    """The file is not a ring, or is damaged."""


class Record(enum.IntEnum):
    """Kinds of record. Payloads are raw little-endian numbers or UTF-8 JSON."""

    PAD = 0
    LOSS = 1
    """f64: loss of state ``step``."""
    SERIES = 2
    """u16 index into ``runs.records.SERIES``, u16 0, u32 0, f64 value: a scalar that belongs to state ``step``."""
    TABLE = 3
    """f32 (layers, columns): ``runs.records.TABLE_COLUMNS``."""
    HISTOGRAM = 4
    """u32 quantity (index into ``runs.records.QUANTITIES``), u32 0, then u32 (layers, cells)."""
    STATE = 5
    """JSON: ``{"state", "text", "micro"}``."""
    EVENT = 6
    """JSON: an intervention, as in events.jsonl."""
    FACT = 7
    """JSON: something exact that the trainer saw (``{"fact": "non-finite", "layer", "op", …}``)."""
    META = 8
    """JSON: engine, device, dtype, layers, data: once, when the trainer is ready."""
    END = 9
    """JSON: ``{"reason": completed|stopped|failed, "code", "error"}``."""
    SHOWN_TABLE = 10
    """As TABLE, of a state that is on record already (the trainer has gone back): faces show it, nothing keeps it."""
    SHOWN_HISTOGRAM = 11
    """As HISTOGRAM, of a state that is on record already."""


#: The first eight bytes of a LOSS record of rank 0.
_LOSS_WORD = LOSS_BYTES | int(Record.LOSS) << 32


class Entry(NamedTuple):
    """One record as read: ``payload`` is a copy."""

    kind: int
    rank: int
    step: int
    time: float
    payload: bytes


class Ring:
    """One open ring. ``Ring.create`` makes the file; ``Ring.open`` maps one that is there."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._file = open(path, "r+b" if writable else "rb")  # noqa: SIM115  held as long as the map
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        size = os.fstat(self._file.fileno()).st_size
        if size < HEADER_BYTES + RECORD_BYTES:
            self._file.close()
            raise RingError(f"{path}: not a ring (only {size} bytes)")
        self._map = mmap.mmap(self._file.fileno(), size, access=access)
        self.capacity: int = _U64.unpack_from(self._map, 8)[0]
        if self._map[:8] != MAGIC or HEADER_BYTES + self.capacity != size or self.capacity % 8:
            self._map.close()
            self._file.close()
            raise RingError(f"{path}: not a ring, or damaged")
        # struct clears what it packs into before it fills it, and unpacks byte by byte: the other process would
        # see half a number. A cast view stores and loads a word at once (little-endian machines).
        self._words = memoryview(self._map).cast("Q")
        self._doubles = memoryview(self._map).cast("d")
        self._halves = memoryview(self._map)[:HEADER_BYTES].cast("I")
        self._head = self.head
        self._room = 0  # bytes that may be written before the tail must be looked at again
        self.rank = _U32.unpack_from(self._map, 32)[0]
        self.lost = 0
        """Bytes that could neither be read nor put aside (no reader, and a full disk)."""

    @classmethod
    def create(cls, path: Path, *, capacity: int = DEFAULT_CAPACITY, rank: int = 0) -> Ring:
        with open(path, "xb") as file:
            header = bytearray(HEADER_BYTES)
            header[:8] = MAGIC
            _U64.pack_into(header, 8, capacity)
            _U32.pack_into(header, 32, rank)
            file.write(header)
            file.truncate(HEADER_BYTES + capacity)  # sparse: only what is written takes room
        return cls(path)

    def close(self) -> None:
        for view in (self._words, self._doubles, self._halves):
            view.release()
        with contextlib.suppress(BufferError):
            self._map.close()
        self._file.close()

    # -- header --------------------------------------------------------------------------------------
    @property
    def head(self) -> int:
        return self._words[2]

    @property
    def tail(self) -> int:
        return self._words[3]

    @property
    def spilled(self) -> int:
        return self._words[9]

    @property
    def step(self) -> int:
        return self._words[5]

    @property
    def time(self) -> float:
        """Seconds since the epoch of the last record."""
        return float(_F64.unpack_from(self._map, 56)[0])

    @property
    def state(self) -> str:
        index = self._halves[17]
        return STATES[index] if index < len(STATES) else "STALE"

    @property
    def pid(self) -> int:
        return self._halves[9]

    # -- flag ----------------------------------------------------------------------------------------
    def flag_view(self) -> memoryview:
        """One u32: a trainer reads ``view[0]`` each step (0.04 µs)."""
        return memoryview(self._map)[64:68].cast("I")

    def raise_flag(self) -> None:
        self._halves[16] = 1

    def lower_flag(self) -> None:
        self._halves[16] = 0

    # -- writer --------------------------------------------------------------------------------------
    def claim(self) -> None:
        """Say which process writes."""
        self._halves[9] = os.getpid()

    def set_state(self, state: str) -> None:
        self._halves[17] = STATES.index(state)

    def loss(self, step: int, value: float, now: float) -> None:
        """The hot path: one LOSS record."""
        head = self._head
        at = head % self.capacity
        if self._room < LOSS_BYTES or self.capacity - at < LOSS_BYTES:
            at = self._make_room(LOSS_BYTES)
            head = self._head
        words, doubles = self._words, self._doubles
        place = (HEADER_BYTES + at) >> 3
        words[place] = _LOSS_WORD | self.rank << 48
        words[place + 1] = step
        doubles[place + 2] = now
        doubles[place + 3] = value
        self._head = head = head + LOSS_BYTES
        self._room -= LOSS_BYTES
        words[2] = head
        words[5] = step + 1

    def write(self, kind: Record, step: int, payload: bytes | memoryview, now: float | None = None) -> None:
        """One record of any kind. Payloads of more than a quarter of the ring are refused."""
        length = RECORD_BYTES + (len(payload) + 7) // 8 * 8
        if length > self.capacity // 4:
            raise RingError(f"a record of {length} bytes does not fit a ring of {self.capacity}")
        at = HEADER_BYTES + self._make_room(length)
        now = time.time() if now is None else now
        _RECORD.pack_into(self._map, at, length, kind, self.rank, step, now)
        self._map[at + RECORD_BYTES : at + RECORD_BYTES + len(payload)] = bytes(payload)
        padding = length - RECORD_BYTES - len(payload)
        if padding:
            self._map[at + length - padding : at + length] = b"\0" * padding
        self._head += length
        self._room -= length
        self._words[2] = self._head
        _F64.pack_into(self._map, 56, now)

    def set_step(self, step: int) -> None:
        self._words[5] = step

    def _make_room(self, length: int) -> int:
        """Where ``length`` bytes may go: pads the end, waits for a live reader, spills for a dead one."""
        at = self._head % self.capacity
        pad = self.capacity - at if self.capacity - at < length else 0
        need = length + pad
        if self._room < need:
            self._room = self.capacity - (self._head - max(self.tail, self.spilled))
            if self._room < need:
                self._wait_or_spill(need)
        if pad:
            if pad >= RECORD_BYTES:
                _RECORD.pack_into(self._map, HEADER_BYTES + at, pad, Record.PAD, self.rank, 0, 0.0)
            else:  # too short for a record: eight or sixteen bytes, marked by their length alone
                _U32.pack_into(self._map, HEADER_BYTES + at, pad)
            self._head += pad
            self._room -= pad
            at = 0
        return at

    def _wait_or_spill(self, need: int) -> None:
        """A live reader is waited for (5 s at the most); past a dead or stalled one goes ``ring.spill``."""
        deadline = time.monotonic() + STALL_SECONDS
        while (room := self.capacity - (self._head - max(self.tail, self.spilled))) < need:
            if self.lock():
                try:
                    self._spill()
                finally:
                    self.unlock()
            elif time.monotonic() > deadline:
                self._spill()
            else:
                time.sleep(0.001)
        self._room = room

    def _spill(self) -> None:
        """Put what is unread aside. On a full disk it is given up: training matters more than its record."""
        start, end = max(self.tail, self.spilled), self._head
        try:
            with open(self.path.with_suffix(".spill"), "ab") as spill:
                fcntl.flock(spill, fcntl.LOCK_EX)  # a reader that wakes up empties the file under this lock
                size = os.fstat(spill.fileno()).st_size
                try:
                    spill.write(SPILL_CHUNK.pack(start, end - start))
                    for part in self.bytes_between(start, end):
                        spill.write(part)
                    spill.flush()
                except OSError:
                    with contextlib.suppress(OSError):
                        os.ftruncate(spill.fileno(), size)
                    raise
        except (OSError, ValueError):
            self.lost += end - start
        self._words[9] = end

    # -- reader --------------------------------------------------------------------------------------
    def lock(self) -> bool:
        """Become the one reader; False if another lives."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def unlock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def advance(self, tail: int) -> None:
        """Say that everything before ``tail`` has been read."""
        self._words[3] = tail

    def bytes_between(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            at = start % self.capacity
            size = min(end - start, self.capacity - at)
            yield self._map[HEADER_BYTES + at : HEADER_BYTES + at + size]
            start += size


def parse(data: bytes) -> Iterator[Entry]:
    """The records in ``data``; a torn or damaged record is an end, not an error."""
    at, size = 0, len(data)
    while at + 8 <= size:
        length = _U32.unpack_from(data, at)[0]
        if length < RECORD_BYTES:
            if length not in (8, 16) or at + length > size:
                return
            at += length
            continue
        if length % 8 or at + length > size:
            return
        _, kind, rank, step, when = _RECORD.unpack_from(data, at)
        if kind != Record.PAD:
            yield Entry(kind, rank, step, when, data[at + RECORD_BYTES : at + length])
        at += length


def whole_records(data: bytes) -> int:
    """How many bytes at the start of ``data`` are whole records."""
    at = 0
    while at + 8 <= len(data):
        length = _U32.unpack_from(data, at)[0]
        if length % 8 or not length or at + length > len(data):
            break
        at += length
    return at


def shrink(path: Path) -> None:
    """Give back the room of a ring that has been read to its end and has no writer any more: the header stays."""
    with open(path, "r+b") as file:
        header = bytearray(file.read(HEADER_BYTES))
        head, spilled, tail = (_U64.unpack_from(header, at)[0] for at in (16, 72, 24))
        if len(header) < HEADER_BYTES or header[:8] != MAGIC or max(tail, spilled) < head:
            return
        _U64.pack_into(header, 8, RECORD_BYTES)
        _U64.pack_into(header, 24, head)
        file.seek(0)
        file.write(header)
        file.truncate(HEADER_BYTES + RECORD_BYTES)


class Header(NamedTuple):
    """What a ring's header says, read without mapping the file."""

    state: str
    step: int
    pid: int
    time: float


def read_header(path: Path) -> Header | None:
    """State, step, pid and time of the last record; None if the file is not a ring."""
    try:
        with open(path, "rb") as file:
            data = file.read(80)
    except OSError:
        return None
    if len(data) < 80 or data[:8] != MAGIC:
        return None
    state = _U32.unpack_from(data, 68)[0]
    return Header(
        STATES[state] if state < len(STATES) else "STALE",
        _U64.unpack_from(data, 40)[0], _U32.unpack_from(data, 36)[0], _F64.unpack_from(data, 56)[0],
    )  # fmt: skip
