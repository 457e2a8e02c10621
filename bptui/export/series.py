"""Every recorded number of a run: its series in full, and a CSV of them with one row a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.runs.load import load
from bptui.runs.log import BlockKind, LogParser
from bptui.runs.records import SERIES

Steps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
#: Rows of CSV made at once.
_CHUNK = 1 << 16


@dataclass(slots=True)
class Series:
    """One series: ``steps`` (N,) ascending, ``values`` (N,). Of a step recorded twice the later value counts."""

    steps: Steps
    values: Values


@dataclass(slots=True)
class _Pieces:
    steps: list[Steps] = field(default_factory=list)
    values: list[Values] = field(default_factory=list)

    def joined(self) -> Series:
        steps, values = np.concatenate(self.steps), np.concatenate(self.values)
        backwards, first = np.unique(steps[::-1], return_index=True)
        return Series(backwards, values[::-1][first])


def read_series(run: Path) -> dict[str, Series]:
    """All series of a run, ``loss`` first; those of other ranks are ``name@rank``. RunError if there is no run.json."""
    found: dict[str, _Pieces] = {}
    parser = LogParser()
    for piece in load(run).log():
        for block in parser.feed(piece):
            if block.kind not in (BlockKind.SERIES, BlockKind.SPARSE) or block.index >= len(SERIES) or not block.count:
                continue
            name = SERIES[block.index] + (f"@{block.rank}" if block.rank else "")
            pieces = found.setdefault(name, _Pieces())
            pieces.steps.append(block.steps().astype(np.int64))
            pieces.values.append(np.array(block.values(), np.float64))
    order = {name: place for place, name in enumerate(SERIES)}
    names = sorted(found, key=lambda name: (order[name.partition("@")[0]], name))
    return {name: found[name].joined() for name in names}


def as_csv(series: dict[str, Series]) -> Iterator[bytes]:
    """``step,loss,lr,…``: one row a step, from 0 to the last with any value; empty where nothing was recorded."""
    yield (",".join(["step", *series]) + "\n").encode()
    end = max((int(each.steps[-1]) + 1 for each in series.values()), default=0)
    for first in range(0, end, _CHUNK):
        last = min(first + _CHUNK, end)
        columns = [[str(step) for step in range(first, last)]]
        for each in series.values():
            cells = [""] * (last - first)
            begin, stop = np.searchsorted(each.steps, (first, last))
            for step, value in zip(each.steps[begin:stop].tolist(), each.values[begin:stop].tolist(), strict=True):
                cells[step - first] = repr(value)
            columns.append(cells)
        yield ("\n".join(map(",".join, zip(*columns, strict=True))) + "\n").encode()
