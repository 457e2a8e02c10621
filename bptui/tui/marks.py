"""What is marked on a step axis: changes that someone made, findings' first steps, ends of epochs."""

from __future__ import annotations

from typing import Literal

import msgspec

from bptui.tui.glyphs import Glyphs
from bptui.tui.store import Snapshot

Kind = Literal["epoch", "change", "finding"]
_GLYPH: dict[Kind, tuple[str, str]] = {"epoch": ("┴", "'"), "change": ("◆", "%"), "finding": ("▲", "!")}
_STYLE: dict[Kind, str] = {"epoch": "border", "change": "second", "finding": "bad"}
_WORD: dict[Kind, str] = {"epoch": "epoch", "change": "change", "finding": "finding"}
EPOCH_CELLS = 4
"""Ends of epochs are marked where they lie at least so far apart."""


class Mark(msgspec.Struct, frozen=True):
    """``text`` says what happened at ``step``."""

    step: int
    kind: Kind
    text: str


def glyph(kind: Kind, glyphs: Glyphs) -> tuple[str, str]:
    """Character and style."""
    return _GLYPH[kind][glyphs.name == "ascii"], _STYLE[kind]


def marks_of(snapshot: Snapshot) -> list[Mark]:
    """Changes, then findings; of the latter those that say when they began."""
    marks = [Mark(event.step, "change", event.text) for event in snapshot.events]
    marks += [
        Mark(finding.first_step, "finding", f"{finding.fault} {finding.layer}".strip())
        for finding in snapshot.findings
        if finding.severity != "info" and finding.first_step >= 0
    ]
    return marks


def epoch_ends(per_epoch: int, first: int, last: int, cells: int, reached: int | None = None) -> list[int]:
    """Steps at which an epoch ends, thinned to every 2nd, 5th, 10th … so that their marks stay apart.

    ``reached``: none after this step; how they are thinned depends on the axis alone, so that marks stay in place.
    """
    if per_epoch <= 0 or last <= first or cells < EPOCH_CELLS:
        return []
    most = max(1, cells // EPOCH_CELLS)
    stride = 1
    for power in range(12):
        for digit in (1, 2, 5):
            stride = digit * 10**power
            if (last - first) / (per_epoch * stride) <= most:
                every = per_epoch * stride
                end = last if reached is None else min(last, reached)
                return list(range(max(every, -(-first // every) * every), end + 1, every))
    return []


def axis_row(
    marks: list[Mark], epochs: list[int], first: int, last: int, width: int, glyphs: Glyphs
) -> tuple[list[tuple[str, str]], set[Kind]]:
    """The cells of a step axis with its marks, and which kinds are on it."""
    cells: list[tuple[str, str]] = [(glyphs.rule, "border")] * width
    kinds: set[Kind] = set()
    everything: list[tuple[int, Kind]] = [(step, "epoch") for step in epochs]
    everything += [(mark.step, mark.kind) for mark in marks]
    for step, kind in everything:
        if first <= step <= last:
            cells[round((step - first) / max(1, last - first) * (width - 1))] = glyph(kind, glyphs)
            kinds.add(kind)
    return cells, kinds


def legend(kinds: set[Kind], glyphs: Glyphs) -> list[tuple[str, str]]:
    """`` ▲ finding `` of each kind that is shown."""
    every: tuple[Kind, ...] = ("change", "finding", "epoch")
    return [(f"{glyph(kind, glyphs)[0]} {_WORD[kind]}", _STYLE[kind]) for kind in every if kind in kinds]
