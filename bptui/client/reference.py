"""A place in a run as text: ``RUN@STEP``, ``RUN@STEP/layer`` or ``RUN@STEP/layer/quantity``, with ``[row, column]``.

``Y`` copies one, and ``bptui open`` takes one. What follows the place (`` = 0.25``) is for the reader.
"""

from __future__ import annotations

import os
import re

import msgspec

#: What may stand last; the names of ``Inspect``'s kinds.
QUANTITIES = ("z", "a", "delta", "grad_W", "W", "upstream", "gate", "b", "grad_b", "update_W", "x", "y")

#: What a layer has inside, and may stand last too: before it the level (``l0.``) and ``reverse.`` of a recurrent layer.
VIEWS = (
    "gate.input", "gate.forget", "gate.candidate", "gate.output", "gate.reset", "gate.update", "cell", "state",
    "delta.time", "attention", "share.attention", "share.feed", "share.branch", "maps", "maps.delta", "kernels",
    "kernels.gradient", "table", "table.gradient",
)  # fmt: skip


class ReferenceProblem(ValueError):
    """The text is one line."""


class Reference(msgspec.Struct, frozen=True):
    """``step`` is the state after so many updates. ``layer``, ``quantity``: empty for all of the run, of the layer.

    A series of the run (``loss``, ``val_accuracy``) stands in the place of the layer.
    """

    run: str
    step: int
    layer: str = ""
    quantity: str = ""
    cell: tuple[int, ...] = ()

    def __str__(self) -> str:
        text = f"{self.run}@{self.step}"
        if self.layer:
            text += f"/{self.layer}"
        if self.quantity:
            text += f"/{self.quantity}"
        if self.cell:
            text += f"[{','.join(map(str, self.cell))}]"
        return text


def is_view(quantity: str) -> bool:
    """Whether it is the name of something inside a layer."""
    return re.sub(r"^(l\d{1,3}\.)?(reverse\.)?", "", quantity, count=1) in VIEWS


def is_reference(text: str) -> bool:
    """It holds an @, and is not the path of something that is there."""
    return "@" in text and not os.path.exists(os.path.expanduser(text))


def parse(text: str) -> Reference:
    """ReferenceProblem says what was expected and where. A value behind the place is not read."""
    place = re.split(r"\s+=?\s*|\s*=\s*", text.strip(), maxsplit=1)[0]
    if re.search(r"\[[^\]]*$", place):  # the cell was written with a blank: [3, 5]
        place = text.strip()[: text.strip().index("]") + 1] if "]" in text else place
    run, at, rest = place.partition("@")
    if not at:
        raise ReferenceProblem(f"{_short(text)}: expected RUN@STEP or RUN@STEP/layer/quantity, there is no @")
    if not run:
        raise ReferenceProblem(f"{_short(text)}: there is no run before @")
    step, slash, path = rest.partition("/")
    if not (step.isascii() and step.replace(",", "").isdecimal()) or len(step) > 18:
        raise ReferenceProblem(f"{_short(text)}: expected a step after @, got {_short(step)!r}")
    found = Reference(run, int(step.replace(",", "")))
    if not slash:
        return found
    path, cell = _cell(path, text)
    parts = path.split("/")
    quantity = ""
    if len(parts) > 1 and (parts[-1] in QUANTITIES or is_view(parts[-1]) or cell):
        quantity = parts.pop()
        if quantity not in QUANTITIES and not is_view(quantity):
            raise ReferenceProblem(f"{_short(text)}: unknown quantity {_short(quantity)!r}{_nearest(quantity)}")
    elif len(parts) == 1 and cell:
        raise ReferenceProblem(f"{_short(text)}: a cell {list(cell)} needs a layer and a quantity before it")
    layer = "/".join(parts)
    if not layer:
        raise ReferenceProblem(f"{_short(text)}: there is no layer after /")
    return Reference(run, found.step, layer, quantity, cell)


def _cell(path: str, text: str) -> tuple[str, tuple[int, ...]]:
    found = re.fullmatch(r"(.*)\[([^\[\]]*)\]", path)
    if found is None:
        if path.endswith("]") or "[" in path:
            raise ReferenceProblem(f"{_short(text)}: expected a cell like [3,5] at the end")
        return path, ()
    numbers = [word.strip() for word in found[2].split(",")]
    if not 1 <= len(numbers) <= 4 or not all(word.isascii() and word.isdecimal() for word in numbers):
        raise ReferenceProblem(f"{_short(text)}: expected a cell like [3,5], got [{_short(found[2])}]")
    return found[1], tuple(map(int, numbers))


def _nearest(word: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, (*QUANTITIES, *VIEWS), n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (one of {', '.join(QUANTITIES)})"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
