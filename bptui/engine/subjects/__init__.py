"""The networks of ``bptui gradcheck --all``: a family of layers adds a file, and its row here."""

from __future__ import annotations

from collections.abc import Iterator

from bptui.engine.subjects import adversarial, graphs, pictures, plain, sequences
from bptui.engine.subjects.base import Subject

FAMILIES = (plain.subjects, graphs.subjects, pictures.subjects, sequences.subjects, adversarial.subjects)


def subjects() -> Iterator[Subject]:
    """Every activation, loss and kind of layer."""
    for family in FAMILIES:
        yield from family()
