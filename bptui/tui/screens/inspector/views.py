"""Answers about the paused place as frozen values: what the inspector's panes draw."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bptui.protocol.framing import Frame
from bptui.protocol.messages import (
    Ledgered,
    LedgerRow,
    RankedRows,
    Shadowed,
    Sheeted,
    SheetFacts,
    Staged,
)
from bptui.runs.records import CELLS
from bptui.tui.text import clean


class SheetView(msgspec.Struct, frozen=True):
    """A window of one matrix. ``top`` and ``left`` count blocks of ``zoom``²."""

    kind: str
    layer: int
    shape: tuple[int, int]
    vector: bool
    top: int
    left: int
    zoom: int
    values: Sequence[Sequence[float]]
    rows: Sequence[int]
    columns: Sequence[int]
    matches: Sequence[Sequence[int]]
    cells: Sequence[int]
    facts: SheetFacts
    matched: int = 0
    found: tuple[int, int] | None = None
    picture: tuple[int, ...] = ()
    loss: float | None = None
    note: str = ""
    whole: tuple[int, ...] = ()
    """The tensor's own shape."""
    tensor: str = ""
    """The parameter's name in a state."""

    def holds(self, top: int, left: int, tall: int, wide: int, zoom: int) -> bool:
        """Whether all blocks of that window are in this one, as far as the matrix has them."""
        if zoom != self.zoom:
            return False
        down, across = (-(-total // zoom) for total in self.shape)
        return (
            self.top <= top and min(top + tall, down) <= self.top + len(self.values)
            and self.left <= left and min(left + wide, across) <= self.left + len(self.columns)
        )  # fmt: skip

    def block(self, row: int, column: int) -> float | None:
        """The value of block (row, column); None where it is not in the window."""
        at, across = row - self.top, column - self.left
        inside = 0 <= at < len(self.values) and 0 <= across < len(self.columns)
        return self.values[at][across] if inside else None


class Nothing(msgspec.Struct, frozen=True):
    """There is no such matrix: ``missing`` micro-steps are to be done, or ``note`` says why."""

    missing: int = 0
    note: str = ""


class LedgerView(msgspec.Struct, frozen=True):
    step: int
    micro: str
    rows: tuple[LedgerRow, ...]
    samples: int
    loss: float | None
    note: str


class RankedView(msgspec.Struct, frozen=True):
    """Rows of the batch, the one that gives most to ``unit``'s gradient first."""

    layer: int
    unit: int
    samples: int
    gradient: float
    rows: Sequence[int]
    given: Sequence[float]
    along: Sequence[float]
    delta: Sequence[float]
    inputs: Sequence[Sequence[float]]
    targets: Sequence[int | float | Sequence[float]]
    outputs: Sequence[Sequence[float]]
    source: Sequence[int]
    picture: tuple[int, ...]
    names: tuple[str, ...]
    features: tuple[str, ...]


def sheet_view(frame: Frame) -> SheetView | Nothing:
    """``Nothing`` also for an answer that is none."""
    message = frame.message
    if not isinstance(message, Sheeted):
        return Nothing(note="no answer")
    wanted = {"values", "rows", "columns", "cells"}
    if not wanted <= set(message.arrays) or message.facts is None:
        return Nothing(message.missing, clean(message.note, 200))
    arrays = {name: frame.array(ref) for name, ref in message.arrays.items()}
    values = arrays["values"]
    matches = arrays.get("matches")
    if values.ndim != 2 or len(arrays["cells"]) != CELLS or (matches is not None and matches.shape != values.shape):
        return Nothing(note="no answer that can be shown")
    vector = len(message.shape) < 2
    shape = (1, *message.shape) if vector else message.shape
    return SheetView(
        kind=clean(message.kind, 20), layer=message.layer, shape=(shape[0], shape[1]), vector=vector, top=message.top,
        left=message.left, zoom=message.zoom, values=values.tolist(), rows=arrays["rows"].tolist(),
        columns=arrays["columns"].tolist(), matches=() if matches is None else matches.tolist(),
        cells=arrays["cells"].tolist(), facts=message.facts, matched=message.matched, found=message.found,
        picture=message.picture, loss=message.loss, note=clean(message.note, 200), whole=message.whole,
        tensor=clean(message.tensor, 200),
    )  # fmt: skip


def ledger_view(frame: Frame) -> LedgerView | None:
    message = frame.message
    if not isinstance(message, Ledgered):
        return None
    return LedgerView(
        message.step, clean(message.micro, 80), message.rows, message.samples, message.loss, clean(message.note, 200)
    )


def ranked_view(frame: Frame) -> RankedView | Nothing:
    message = frame.message
    if not isinstance(message, RankedRows):
        return Nothing(note="no answer")
    if not {"rows", "given", "along", "delta", "x", "y", "out", "source"} <= set(message.arrays):
        return Nothing(message.missing, clean(message.note, 200))
    arrays = {name: frame.array(ref).tolist() for name, ref in message.arrays.items()}
    return RankedView(
        layer=message.layer, unit=message.unit, samples=message.samples, gradient=message.gradient, rows=arrays["rows"],
        given=arrays["given"], along=arrays["along"], delta=arrays["delta"], inputs=arrays["x"], targets=arrays["y"],
        outputs=arrays["out"], source=arrays["source"], picture=message.picture,
        names=tuple(clean(name, 40) for name in message.names),
        features=tuple(clean(name, 40) for name in message.features),
    )  # fmt: skip


def staged(frame: Frame) -> Staged | None:
    return frame.message if isinstance(frame.message, Staged) else None


def shadowed(frame: Frame) -> Shadowed | None:
    return frame.message if isinstance(frame.message, Shadowed) else None
