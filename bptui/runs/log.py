"""The ``scalars`` file: an append-only log of everything numeric that a run said.

The file is blocks and nothing else, so any block boundary is a place to start reading. Block,
little-endian, padded to eight bytes::

    u8 magic  u8 kind  u16 rank  u32 payload bytes  u32 crc32  u32 index  u64 step  u32 count  u32 columns  payload

The crc is over the header with a crc of 0, then the payload. A torn or damaged block is the end.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.uint64]

MAGIC = 0xB1
HEADER = struct.Struct("<BBHIIIQII")
_TIMES = struct.Struct("<dd")
_TIME = struct.Struct("<d")
MAX_PAYLOAD = 1 << 26
BLOCK_VALUES = 1 << 15
"""Most values of one SERIES block, so that a cut loses little."""


class BlockKind(IntEnum):
    SERIES = 1
    """f64 time of the first and of the last value, then ``count`` f64: steps ``step``, ``step`` + 1 …"""
    SPARSE = 2
    """f64 first and last time, ``count`` u64 steps, ``count`` f64 values."""
    TABLE = 3
    """f64 time, f32 (count, columns): ``records.TABLE_COLUMNS``, a row a layer."""
    HISTOGRAM = 4
    """f64 time, u32 (count, columns): a row a layer, ``records.CELLS`` cells; ``index`` is the quantity."""
    CURSOR = 5
    """No payload. Everything of the ring before position ``step`` is in the file before this block."""


class Block(msgspec.Struct, frozen=True):
    """One block as read."""

    kind: int
    rank: int
    index: int
    step: int
    count: int
    columns: int
    payload: bytes
    end: int
    """Where the block ends in the bytes that were parsed."""

    def times(self) -> tuple[float, float]:
        """Seconds since the epoch of the first and the last value."""
        if self.kind in (BlockKind.SERIES, BlockKind.SPARSE):
            first, last = _TIMES.unpack_from(self.payload)
            return first, last
        when = float(_TIME.unpack_from(self.payload)[0]) if self.payload else 0.0
        return when, when

    def steps(self) -> Steps:
        """(count,) of a SERIES or SPARSE block."""
        if self.kind == BlockKind.SERIES:
            return np.arange(self.step, self.step + self.count, dtype=np.uint64)
        return np.frombuffer(self.payload, "<u8", self.count, _TIMES.size)

    def values(self) -> npt.NDArray[Any]:
        """SERIES, SPARSE: f64 (count,). TABLE: f32, HISTOGRAM: u32, both (count, columns)."""
        if self.kind == BlockKind.SERIES:
            return np.frombuffer(self.payload, "<f8", self.count, _TIMES.size)
        if self.kind == BlockKind.SPARSE:
            return np.frombuffer(self.payload, "<f8", self.count, _TIMES.size + 8 * self.count)
        dtype = "<f4" if self.kind == BlockKind.TABLE else "<u4"
        return np.frombuffer(self.payload, dtype, self.count * self.columns, _TIME.size).reshape(
            self.count, self.columns
        )


_SIZES: dict[int, tuple[int, int, int]] = {
    BlockKind.SERIES: (16, 8, 0), BlockKind.SPARSE: (16, 16, 0), BlockKind.CURSOR: (0, 0, 0),
    BlockKind.TABLE: (8, 0, 4), BlockKind.HISTOGRAM: (8, 0, 4),
}  # fmt: skip
"""Payload bytes: always, a value, a cell."""


def block(
    kind: BlockKind, *, rank: int, index: int, step: int, count: int, columns: int = 0, payload: bytes = b""
) -> bytes:
    """One whole block."""
    payload += b"\0" * (-len(payload) % 8)
    head = HEADER.pack(MAGIC, kind, rank, len(payload), 0, index, step, count, columns)
    crc = zlib.crc32(payload, zlib.crc32(head))
    return HEADER.pack(MAGIC, kind, rank, len(payload), crc, index, step, count, columns) + payload


def series(index: int, rank: int, first_step: int, values: Floats, times: tuple[float, float]) -> bytes:
    """Blocks of values at successive steps. ``times``: of the first and the last value."""
    parts = []
    values = np.ascontiguousarray(values, dtype="<f8")
    span, last = times[1] - times[0], max(len(values) - 1, 1)
    for at in range(0, len(values), BLOCK_VALUES):
        piece = values[at : at + BLOCK_VALUES]
        when = _TIMES.pack(times[0] + span * at / last, times[0] + span * (at + len(piece) - 1) / last)
        parts.append(
            block(BlockKind.SERIES, rank=rank, index=index, step=first_step + at, count=len(piece),
                  payload=when + piece.tobytes())
        )  # fmt: skip
    return b"".join(parts)


def sparse(index: int, rank: int, steps: Steps, values: Floats, times: tuple[float, float]) -> bytes:
    """A block of values at any steps."""
    steps, values = np.ascontiguousarray(steps, dtype="<u8"), np.ascontiguousarray(values, dtype="<f8")
    payload = _TIMES.pack(*times) + steps.tobytes() + values.tobytes()
    first = int(steps[0]) if len(steps) else 0
    return block(BlockKind.SPARSE, rank=rank, index=index, step=first, count=len(steps), payload=payload)


def table(rank: int, step: int, time: float, values: npt.NDArray[np.float32]) -> bytes:
    """A block of one per-layer table, (layers, columns)."""
    rows, columns = values.shape
    payload = _TIME.pack(time) + np.ascontiguousarray(values, dtype="<f4").tobytes()
    return block(BlockKind.TABLE, rank=rank, index=0, step=step, count=rows, columns=columns, payload=payload)


def histogram(rank: int, step: int, time: float, quantity: int, counts: npt.NDArray[np.uint32]) -> bytes:
    """A block of one quantity's histograms, (layers, cells)."""
    rows, columns = counts.shape
    payload = _TIME.pack(time) + np.ascontiguousarray(counts, dtype="<u4").tobytes()
    return block(
        BlockKind.HISTOGRAM, rank=rank, index=quantity, step=step, count=rows, columns=columns, payload=payload
    )


def cursor(position: int) -> bytes:
    """Says that the ring has been read up to ``position``."""
    return block(BlockKind.CURSOR, rank=0, index=0, step=position, count=0)


def parse(data: bytes | memoryview) -> Iterator[Block]:
    """The whole blocks at the start of ``data``; stops quietly at a torn or damaged one.

    ``end`` of the last block says how many bytes were used: the rest may become whole with more bytes.
    """
    view, at, size = memoryview(data), 0, len(data)
    while at + HEADER.size <= size:
        magic, kind, rank, length, crc, index, step, count, columns = HEADER.unpack_from(view, at)
        end = at + HEADER.size + length
        if magic != MAGIC or length > MAX_PAYLOAD or end > size:
            return
        payload = bytes(view[at + HEADER.size : end])
        head = HEADER.pack(magic, kind, rank, length, 0, index, step, count, columns)
        if zlib.crc32(payload, zlib.crc32(head)) != crc:
            return
        base, value, cell = _SIZES.get(kind, (0, 0, 0))  # an unknown kind is passed on for a newer reader
        if length >= base + count * (value + cell * columns):
            yield Block(kind, rank, index, step, count, columns, payload, end)
        at = end


class LogParser:
    """Blocks from a log that comes in pieces cut anywhere (``LogChunk``)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes | memoryview) -> list[Block]:
        self._rest += bytes(data)
        blocks = list(parse(self._rest))
        if blocks:
            self._rest = self._rest[blocks[-1].end :]
        return blocks
