"""From the bytes of a ring to blocks of the log and to what is true now.

Runs of LOSS records, nearly all of what a fast trainer writes, are taken as arrays: at 20,000 steps a
second a loop over records would cost a tenth of a core.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.runs import log
from bptui.runs.epochs import epochs_done
from bptui.runs.records import CELLS, QUANTITIES, SERIES, TABLE_COLUMNS
from bptui.runs.ring import RECORD_BYTES, Record

_HEAD = struct.Struct("<IHHQd")
_VALUE = struct.Struct("<d")
_SERIES = struct.Struct("<HHId")
_INDEX = struct.Struct("<I")
_LOSS = np.dtype([
    ("length", "<u4"), ("kind", "<u2"), ("rank", "<u2"), ("step", "<u8"), ("time", "<f8"), ("value", "<f8"),
])  # fmt: skip
_LOSS_HEAD = 32 | Record.LOSS << 32
_RATE_SECONDS = 2.0
TABLE_SECONDS = 0.5
"""The log keeps at most two tables a second …"""
HISTOGRAM_SECONDS = 1.0
"""… and of each quantity one set of histograms a second."""
EARLY = {"table": 0.02, "histogram": 0.1}
"""While a run is young, more of them: spaced by this share of its age, so that a run of a second has a history too."""


class Table(NamedTuple):
    """The per-layer table of state ``step``: float32 (layers, columns)."""

    step: int
    time: float
    values: npt.NDArray[np.float32]


class Histogram(NamedTuple):
    """Counts of floor(log₂|x|): uint32 (layers, cells)."""

    step: int
    time: float
    counts: npt.NDArray[np.uint32]


class Note(NamedTuple):
    """A FACT or an EVENT."""

    rank: int
    step: int
    time: float
    content: dict[str, Any]


class Losses(NamedTuple):
    """Losses of successive states from ``step``."""

    rank: int
    step: int
    values: npt.NDArray[np.float64]


class Digest:
    """What a trainer has said. ``feed`` takes bytes of whole records and gives blocks for the log."""

    def __init__(self) -> None:
        self.state = "STARTING"
        self.text = ""
        self.micro = ""
        self.step = 0
        self.time = 0.0
        self.meta: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self.live: dict[str, Any] = {}
        """What the last STATE said beside state, text and micro (``pace``, ``total_steps``)."""
        self.last: dict[str, float] = {}
        """Last value of each series of rank 0."""
        self.tables: dict[int, Table] = {}
        """By rank."""
        self.histograms: dict[tuple[int, int], Histogram] = {}
        """By rank and quantity."""
        self.consumed = 0
        self.changed: set[str] = set()
        """``state``, ``step``, ``model``, ``end``, ``layers``, ``histograms``: emptied by whoever looks."""
        self.facts: list[Note] = []
        self.events: list[Note] = []
        self.new_tables: list[tuple[int, Table]] = []
        self.new_losses: list[Losses] = []
        self._rate: deque[tuple[float, int]] = deque()
        self._logged: dict[tuple[str, int, int], float] = {}
        self._began = float("inf")
        self._unlogged: dict[tuple[str, int, int], bytes] = {}

    def restore(self, block: log.Block) -> None:
        """Take from a block of the log what an earlier hub knew: last values, tables and histograms."""
        if block.kind == log.BlockKind.TABLE:
            self._began = min(self._began, block.times()[0])
            self.tables[block.rank] = Table(block.step, block.times()[0], block.values())
        elif block.kind == log.BlockKind.HISTOGRAM and block.index < len(QUANTITIES):
            self.histograms[block.rank, block.index] = Histogram(block.step, block.times()[0], block.values())
        elif block.kind in (log.BlockKind.SERIES, log.BlockKind.SPARSE) and block.rank == 0 and block.count:
            if block.index < len(SERIES):
                self.last[SERIES[block.index]] = float(block.values()[-1])
            if block.index == 0:
                self.step = max(self.step, block.step + block.count)

    # -- what is true now --------------------------------------------------------------------------
    @property
    def steps_per_second(self) -> float:
        """Over the last two seconds of records; 0 unless RUNNING."""
        if self.state != "RUNNING" or len(self._rate) < 2:
            return 0.0
        (start, first), (stop, last) = self._rate[0], self._rate[-1]
        return (last - first) / (stop - start) if stop > start else 0.0

    @property
    def epoch(self) -> float:
        """Epochs done, with their fraction."""
        done = epochs_done(self.meta, self.step)
        return self.last.get("epoch", 0.0) if done is None else done

    # -- records -----------------------------------------------------------------------------------
    def feed(self, data: bytes) -> bytes:
        """Take in the whole records at the start of ``data``; returns blocks for the log.

        ``consumed`` then says how many bytes they were. A damaged record ends what is looked at: all
        of ``data`` counts as consumed, as nothing after it can be understood.
        """
        out: list[bytes] = []
        losses: dict[int, list[npt.NDArray[Any]]] = {}
        scalars: dict[tuple[int, int], list[tuple[int, float, float]]] = {}
        at, size, in_a_row = 0, len(data), 0
        while at + 8 <= size:
            length, kind, rank = struct.unpack_from("<IHH", data, at)
            if length < RECORD_BYTES:
                if length not in (8, 16):
                    at = size
                    break
                at += length
                continue
            if length % 8:
                at = size
                break
            if at + length > size:
                break
            if kind == Record.LOSS and length == 32:
                # An array costs as much as a few records: look ahead only once several came in a row.
                window = 1 if in_a_row < 4 else min((size - at) // 32, 4 * in_a_row)
                run = self._losses(data, at, rank, window)
                losses.setdefault(rank, []).append(run)
                at += 32 * len(run)
                in_a_row += len(run)
                continue
            in_a_row = 0
            _, _, _, step, time = _HEAD.unpack_from(data, at)
            self._record(kind, rank, step, time, data[at + RECORD_BYTES : at + length], scalars, out)
            at += length
        self.consumed = min(at, size)
        for rank, runs in losses.items():
            self._close_losses(rank, runs, out)
        for (rank, index), rows in scalars.items():
            steps = np.array([row[0] for row in rows], np.uint64)
            values = np.array([row[1] for row in rows])
            out.append(log.sparse(index, rank, steps, values, (rows[0][2], rows[-1][2])))
        if self.end is not None or self.state != "RUNNING":
            out.extend(self._unlogged.values())
            self._unlogged.clear()
        return b"".join(out)

    def _losses(self, data: bytes, at: int, rank: int, window: int) -> npt.NDArray[Any]:
        """The run of LOSS records of one rank at ``at``, as a structured array."""
        if window > 1:
            heads = np.frombuffer(data, "<u8", window * 4, at)[::4]
            other = np.flatnonzero(heads != _LOSS_HEAD | rank << 48)
            window = int(other[0]) if len(other) else window
        run = np.frombuffer(data, _LOSS, window, at)
        if rank == 0:
            self.step = int(run["step"][-1]) + 1
            self.time = float(run["time"][-1])
            self.last["loss"] = float(run["value"][-1])
        return run

    def _close_losses(self, rank: int, runs: list[npt.NDArray[Any]], out: list[bytes]) -> None:
        records = runs[0] if len(runs) == 1 else np.concatenate(runs)
        steps = records["step"]
        values = np.ascontiguousarray(records["value"])
        times = records["time"]
        breaks = np.flatnonzero(steps[1:] != steps[:-1] + 1) + 1
        edges = [0, *breaks.tolist(), len(steps)]
        for start, stop in itertools.pairwise(edges):
            first = int(steps[start])
            out.append(log.series(0, rank, first, values[start:stop], (float(times[start]), float(times[stop - 1]))))
            self.new_losses.append(Losses(rank, first, values[start:stop]))
        if rank == 0:
            self.changed.add("step")
            self._count(float(times[0]), int(steps[0]))
            self._count(self.time, self.step)

    def moved(self, step: int, time: float) -> None:
        """The trainer runs on through states whose losses are on record: its step alone tells of it."""
        self.step = step
        self.changed.add("step")
        self._count(time, step)

    def _count(self, time: float, step: int) -> None:
        rate = self._rate
        if rate and step < rate[-1][1]:
            rate.clear()
        rate.append((time, step))
        while len(rate) > 2 and rate[1][0] < time - _RATE_SECONDS:
            rate.popleft()

    def _record(
        self, kind: int, rank: int, step: int, time: float, payload: bytes,
        scalars: dict[tuple[int, int], list[tuple[int, float, float]]], out: list[bytes],
    ) -> None:  # fmt: skip
        if kind == Record.SERIES and len(payload) >= _SERIES.size:
            index, _, _, value = _SERIES.unpack_from(payload)
            rows = scalars.setdefault((rank, index), [])
            if rows and step <= rows[-1][0]:
                if step == rows[-1][0]:
                    rows.pop()
                else:  # a rewind: what came before must stand in the log on its own
                    self._flush_rows(rank, index, rows, out)
            rows.append((step, value, time))
            if rank == 0 and index < len(SERIES):
                self.last[SERIES[index]] = value
                self.changed.add("step")
        elif kind == Record.LOSS and len(payload) >= 8:  # one with padding: not from Ring.loss, but a loss
            out.append(log.series(0, rank, step, np.array(_VALUE.unpack_from(payload)), (time, time)))
        elif kind == Record.TABLE:
            table = self._show_table(rank, step, time, payload)
            self.new_tables.append((rank, table))
            self._unlogged["table", rank, 0] = log.table(rank, step, time, table.values)
            self._thin("table", rank, 0, time, TABLE_SECONDS, out)
        elif kind == Record.SHOWN_TABLE:
            self._show_table(rank, step, time, payload)
        elif kind in (Record.HISTOGRAM, Record.SHOWN_HISTOGRAM) and len(payload) >= 8:
            quantity = _INDEX.unpack_from(payload)[0]
            if quantity >= len(QUANTITIES):
                return
            counts = self._show_histogram(rank, quantity, step, time, payload)
            if kind == Record.HISTOGRAM:
                self._unlogged["histogram", rank, quantity] = log.histogram(rank, step, time, quantity, counts)
                self._thin("histogram", rank, quantity, time, HISTOGRAM_SECONDS, out)
        elif kind in (Record.STATE, Record.EVENT, Record.FACT, Record.META, Record.END):
            content = _decode(payload)
            if content is not None:
                self._said(kind, rank, step, time, content)

    def _flush_rows(self, rank: int, index: int, rows: list[tuple[int, float, float]], out: list[bytes]) -> None:
        steps = np.array([row[0] for row in rows], np.uint64)
        out.append(log.sparse(index, rank, steps, np.array([row[1] for row in rows]), (rows[0][2], rows[-1][2])))
        rows.clear()

    def _show_table(self, rank: int, step: int, time: float, payload: bytes) -> Table:
        columns = len(TABLE_COLUMNS)
        layers = len(payload) // (4 * columns)
        values = np.frombuffer(payload, "<f4", layers * columns).reshape(layers, columns)
        table = self.tables[rank] = Table(step, time, values)
        self.changed.add("layers")
        return table

    def _show_histogram(
        self, rank: int, quantity: int, step: int, time: float, payload: bytes
    ) -> npt.NDArray[np.uint32]:
        layers = (len(payload) - 8) // (4 * CELLS)
        counts = np.frombuffer(payload, "<u4", layers * CELLS, 8).reshape(layers, CELLS)
        self.histograms[rank, quantity] = Histogram(step, time, counts)
        self.changed.add("histograms")
        return counts

    def _thin(self, what: str, rank: int, index: int, time: float, seconds: float, out: list[bytes]) -> None:
        """Log what came last only if it is time; else it waits, for the next pause or the end."""
        key = (what, rank, index)
        self._began = min(self._began, time)
        seconds = min(seconds, EARLY[what] * (time - self._began))
        if not 0 <= time - self._logged.get(key, float("-inf")) < seconds:
            self._logged[key] = time
            out.append(self._unlogged.pop(key))

    def _said(self, kind: int, rank: int, step: int, time: float, content: dict[str, Any]) -> None:
        if kind == Record.FACT:
            self.facts.append(Note(rank, step, time, content))
        elif kind == Record.EVENT:
            self.events.append(Note(rank, step, time, content))
        elif rank != 0:
            return
        elif kind == Record.META:
            self.meta = content
            self.changed.add("model")
        elif kind == Record.END:
            self.end = {"step": step, **content}
            self.changed.add("end")
        else:
            state = str(content.pop("state", self.state))
            if state != self.state:
                self._rate.clear()
            self.state = state
            self.text = str(content.pop("text", "") or "")
            self.micro = str(content.pop("micro", "") or "")
            self.live.update(content)
            self.step = step
            self.time = time
            self.changed.add("state")


def _decode(payload: bytes) -> dict[str, Any] | None:
    """A JSON object; also one with NaN and Infinity in it, as Python's json writes them and the standard forbids."""
    try:
        content = json.loads(payload.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
