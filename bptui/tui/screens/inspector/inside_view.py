"""What is inside a layer as the screen keeps it: one plane, one line or a sheet of one sample, and places in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bptui.protocol.framing import Frame
from bptui.protocol.messages import Insides
from bptui.tui.screens.inspector.views import Nothing
from bptui.tui.text import clean

#: What arrays whose names end so are: a formula, and words.
MEANINGS: dict[str, tuple[str, str]] = {
    "gate.input": ("i = σ(x·W + h₋·U + b)", "how much of the candidate is taken into the cell"),
    "gate.forget": ("f = σ(x·W + h₋·U + b)", "how much of the cell is kept from the step before: 1 keeps all"),
    "gate.candidate": ("tanh(x·W + …)", "what is offered to the state"),
    "gate.output": ("o = σ(x·W + h₋·U + b)", "how much of the cell is shown"),
    "gate.reset": ("r = σ(x·W + h₋·U + b)", "how much of the state before goes into the candidate"),
    "gate.update": ("z = σ(x·W + h₋·U + b)", "how much of the state is kept from the step before: 1 keeps all"),
    "cell": ("c = f⊙c₋ + i⊙g", "the memory of each unit"),
    "state": ("h", "what each unit gives on at each step"),
    "delta.time": ("‖δ_t‖ = ‖∂L/∂h_t‖", "how much the loss still depends on the state at each step"),
    "attention": ("P = softmax(QKᵀ/√d)", "where each step (rows) looks (columns); a row adds up to 1"),
    "share.attention": ("‖branch‖ / (‖stream‖ + ‖branch‖)", "what the attention adds to the stream at each step"),
    "share.branch": ("‖branch‖ / (‖stream‖ + ‖branch‖)", "what the branch adds to what passes by it, a unit"),
    "maps.delta": ("δ", "how much the loss depends on each place of each channel"),
    "maps": ("a", "what each channel has found, place by place"),
    "kernels.gradient": ("∂L/∂W", "where the next update takes each kernel, against its sign"),
    "kernels": ("W", "what each unit looks for in one channel of its input"),
    "table.gradient": ("∂L/∂W", "rows of the tokens in the batch alone; of one that comes again they add up"),
    "table": ("W", "the vector of each token, a row each"),
    "share.feed": ("‖branch‖ / (‖stream‖ + ‖branch‖)", "what the dense layers add to the stream at each step"),
}


class InsideView(msgspec.Struct, frozen=True):
    """One plane, or one line (``mean`` is then there)."""

    name: str
    names: tuple[str, ...]
    axes: tuple[str, str]
    values: Sequence[Sequence[float]]
    mean: Sequence[float]
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    zoom: int
    sample: int
    samples: int
    page: int
    pages: int
    page_name: str
    note: str
    tile: int = 0
    """Above 0: the values are small pictures of so many rows, one below the other."""

    @property
    def of_samples(self) -> bool:
        """Weights are of no sample."""
        return not self.name.startswith(("kernels", "table"))

    @property
    def table(self) -> bool:
        """Whether these are the rows of an embedding's table."""
        return self.name.startswith("table")

    def place(self, row: int, column: int) -> tuple[int, ...]:
        """``[sample, page, row, column]`` of a cell, without what there is only one of; of a line ``[sample, step]``;
        of a small picture its number in the place of row and column."""
        last = (column * self.zoom,) if self.mean else (row * self.zoom, column * self.zoom)
        if self.tile:
            last = (self._picture(row // self.tile),)
        return (*((self.sample,) if self.of_samples else ()), *((self.page,) if self.pages > 1 else ()), *last)

    def _picture(self, at: int) -> int:
        name = self.row_names[at] if at < len(self.row_names) else ""
        return int(name) if name.isdecimal() else at

    def cell(self, place: Sequence[int]) -> tuple[int, int] | None:
        """Row and column of a place of this sample and page; None where it is not here."""
        before = self.place(0, 0)
        if len(place) != len(before):
            return None
        count = 1 if self.mean or self.tile else 2
        if tuple(place[:-count]) != before[:-count]:
            return None
        rows, columns = len(self.values), len(self.values[0]) if self.values else 0
        if self.tile:
            pictures = [self._picture(at) for at in range(rows // self.tile)]
            return (pictures.index(place[-1]) * self.tile, 0) if place[-1] in pictures else None
        row, column = (0 if self.mean else place[-2] // self.zoom), place[-1] // self.zoom
        return (row, column) if row < rows and column < columns else None

    @property
    def most(self) -> float:
        """The largest finite magnitude; of shares, which lie in [0, 1], 1."""
        if self.name.split(".")[-2:-1] == ["gate"] and not self.name.endswith("candidate"):
            return 1.0
        return max((abs(v) for row in self.values for v in row if math.isfinite(v)), default=0.0) or 1.0


def inside_view(frame: Frame) -> InsideView | Nothing:
    """``Nothing`` also for an answer that is none."""
    message = frame.message
    if not isinstance(message, Insides):
        return Nothing(note="no answer")
    if "values" not in message.arrays:
        return Nothing(message.missing, clean(message.note, 200))
    arrays = {name: frame.array(ref) for name, ref in message.arrays.items()}
    if arrays["values"].ndim != 2:
        return Nothing(note="no answer that can be shown")
    return InsideView(
        name=clean(message.name, 40), names=tuple(clean(name, 40) for name in message.names), axes=message.axes,
        values=arrays["values"].tolist(), mean=arrays["mean"].reshape(-1).tolist() if "mean" in arrays else (),
        row_names=tuple(_token(name) for name in message.row_names),
        column_names=tuple(_token(name) for name in message.column_names), zoom=message.zoom, sample=message.sample,
        samples=message.samples, page=message.page, pages=message.pages, page_name=clean(message.page_name, 20),
        tile=_tile(message.tile, len(arrays["values"])), note=clean(message.note, 200),
    )  # fmt: skip


def _tile(rows: int, of: int) -> int:
    """Rows of a small picture; 0 where they do not come out even."""
    return rows if rows > 0 and of % rows == 0 else 0


def _token(text: str) -> str:
    """A token as it can stand in a line: white space is seen."""
    return clean(text.replace("\n", "↵").replace(" ", "␣"), 24)
