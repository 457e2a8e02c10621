"""Everything numeric of one run, built up from blocks of its log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bptui.runs.log import Block, BlockKind, LogParser
from bptui.runs.pyramid import MAX_GAP, Pyramid, Sparse
from bptui.runs.records import QUANTITIES, SERIES

MAX_TABLES = 1024
"""Of the tables (and of a quantity's histograms) so many are kept: when full, every second one goes."""
LARGE = 1024
"""Values of a block that is not joined with those before it: joining them would cost more memory than it saves time."""


class TableAt(NamedTuple):
    """The per-layer table of state ``step``: float32 (layers, columns)."""

    step: int
    time: float
    values: npt.NDArray[np.float32]


class HistogramAt(NamedTuple):
    """A quantity's histograms in state ``step``: uint32 (layers, cells)."""

    step: int
    time: float
    counts: npt.NDArray[np.uint32]


At = TypeVar("At", TableAt, HistogramAt)


class History:
    """``feed`` it the bytes of a log, cut anywhere. Series of rank 0 have their plain name, others ``name@rank``."""

    def __init__(self) -> None:
        self.series: dict[str, Pyramid | Sparse] = {}
        """``loss`` is a Pyramid; the rest, which come now and then, are Sparse."""
        self.tables: dict[int, list[TableAt]] = {}
        """By rank, thinned evenly; the last is the newest."""
        self.histograms: dict[tuple[int, str], list[HistogramAt]] = {}
        """By rank and quantity, likewise."""
        self.first_time: float | None = None
        self.last_time: float | None = None
        self.offset = 0
        """Bytes fed so far: where in the log to go on."""
        self._parser = LogParser()

    @property
    def losses(self) -> Pyramid:
        """The loss of each step of rank 0."""
        found = self.series.get("loss")
        return found if isinstance(found, Pyramid) else Pyramid()

    @property
    def steps(self) -> int:
        """Steps whose loss is known: one more than the last."""
        return self.losses.end

    def table(self, rank: int = 0) -> TableAt | None:
        """The newest per-layer table."""
        kept = self.tables.get(rank)
        return kept[-1] if kept else None

    def histogram(self, quantity: str, rank: int = 0) -> HistogramAt | None:
        """The newest histograms of a quantity."""
        kept = self.histograms.get((rank, quantity))
        return kept[-1] if kept else None

    def last(self, name: str) -> tuple[int, float] | None:
        """Step and value of the newest point of a series."""
        found = self.series.get(name)
        return found.last() if found is not None else None

    def feed(self, data: bytes | memoryview) -> set[str]:
        """Take in bytes that follow those before; returns what changed (series' names, ``tables``, ``histograms``)."""
        self.offset += len(data)
        return self.add(self._parser.feed(data))

    def add(self, blocks: Iterable[Block]) -> set[str]:
        changed: set[str] = set()
        runs: dict[str, list[Block]] = {}
        for block in blocks:
            if block.kind == BlockKind.TABLE:
                when = block.times()[0]
                self._keep(self.tables.setdefault(block.rank, []), TableAt(block.step, when, block.values()))
                changed.add("tables")
            elif block.kind == BlockKind.HISTOGRAM and block.index < len(QUANTITIES):
                entry = HistogramAt(block.step, block.times()[0], block.values())
                self._keep(self.histograms.setdefault((block.rank, QUANTITIES[block.index]), []), entry)
                changed.add("histograms")
            elif block.kind in (BlockKind.SERIES, BlockKind.SPARSE) and block.index < len(SERIES) and block.count:
                name = SERIES[block.index] + (f"@{block.rank}" if block.rank else "")
                run = runs.setdefault(name, [])
                if run and (block.count >= LARGE or not _goes_on(run[-1], block)):
                    self._append(name, run)
                    run.clear()
                run.append(block)
                changed.add(name)
        for name, run in runs.items():
            self._append(name, run)
        return changed

    def _append(self, name: str, run: list[Block]) -> None:
        """Blocks of one series that follow each other: a log that grows has many small ones."""
        first, last = run[0].times()[0], run[-1].times()[1]
        self.first_time = first if self.first_time is None else min(self.first_time, first)
        self.last_time = last if self.last_time is None else max(self.last_time, last)
        head = run[0]
        values = head.values() if len(run) == 1 else np.concatenate([block.values() for block in run])
        dense = head.kind == BlockKind.SERIES
        found = self.series.get(name)
        if found is None:
            found = self.series[name] = Pyramid(head.step) if dense else Sparse()
        if isinstance(found, Sparse):
            found.append(np.concatenate([block.steps() for block in run]), values)
        elif dense and (not len(found) or head.step - found.end <= MAX_GAP):
            found.append(head.step, values)

    @staticmethod
    def _keep(kept: list[At], entry: At) -> None:
        while kept and kept[-1].step >= entry.step:
            kept.pop()
        if len(kept) >= MAX_TABLES:
            del kept[1::2]
        kept.append(entry)


def _goes_on(before: Block, block: Block) -> bool:
    """Whether ``block`` has the steps that come after those of ``before``: none again, and none left out."""
    if before.kind != block.kind:
        return False
    if block.kind == BlockKind.SERIES:
        return block.step == before.step + before.count
    return block.step > int(before.steps()[-1])
