"""What a face must know of the data sources that bptui names, without reading a row.

The readers live in ``data``; this table is what the builder, the header and the checks need before
any data are loaded.
"""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """One named source: its columns, and what can be learned from it."""

    features: int
    outputs: int
    task: str
    about: str
    shape: tuple[int, ...] | None = None
    """Of one sample where it is more than a row: ``(C, H, W)`` or ``(T, F)``; of token ids ``(T,)``."""
    vocabulary: int = 0
    """Above 0: samples are token ids below this."""


SOURCES: dict[str, Source] = {
    "digits": Source(64, 10, "classification", "1,797 handwritten digits, 8×8 (shipped)", (1, 8, 8)),
    "spiral": Source(2, 3, "classification", "three interleaved arms in the plane (generated)"),
    "moons": Source(2, 2, "classification", "two interleaved half-moons (generated)"),
    "xor": Source(2, 2, "classification", "four noisy quadrants, opposite ones alike (generated)"),
    "binary": Source(20, 1, "binary", "20 features, yes or no (generated)"),
    "regression": Source(8, 1, "regression", "a smooth function of 8 features, with noise (generated)"),
    "fashion": Source(784, 10, "classification", "Fashion-MNIST: 70,000 pictures of clothes, 28×28", (1, 28, 28)),
    "mnist": Source(784, 10, "classification", "MNIST: 70,000 handwritten digits, 28×28", (1, 28, 28)),
}
