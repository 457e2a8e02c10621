"""What a face must know of the data sources that bptui names, without reading a row.

The readers live in ``data``; this table is what the builder, the header and the checks need before
any data are loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bptui.spec.experiment import Data


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
    columns: tuple[int, ...] = ()
    """Ids of each column, the unknown one among them, where each column has a vocabulary of its own."""

    @property
    def ids(self) -> bool:
        """Whether samples are whole numbers that mean tokens."""
        return bool(self.vocabulary or self.columns)

    @property
    def known(self) -> int:
        """Ids below this are known in every column."""
        return min(self.columns, default=self.vocabulary)


SOURCES: dict[str, Source] = {
    "digits": Source(64, 10, "classification", "1,797 handwritten digits, 8×8 (shipped)", (1, 8, 8)),
    "spiral": Source(2, 3, "classification", "three interleaved arms in the plane (generated)"),
    "moons": Source(2, 2, "classification", "two interleaved half-moons (generated)"),
    "xor": Source(2, 2, "classification", "four noisy quadrants, opposite ones alike (generated)"),
    "binary": Source(20, 1, "binary", "20 features, yes or no (generated)"),
    "regression": Source(8, 1, "regression", "a smooth function of 8 features, with noise (generated)"),
    "ring": Source(2, 2, "generate", "points of the plane in 8 clusters around a circle (generated)"),
    "grid": Source(2, 2, "generate", "points of the plane in 25 clusters, 5 by 5 (generated)"),
    "ratings": Source(
        2, 1, "regression", "40,000 ratings of 200 items by 500 users, of rank 4 (generated)", (2,), columns=(501, 201)
    ),
    "fashion": Source(784, 10, "classification", "Fashion-MNIST: 70,000 pictures of clothes, 28×28", (1, 28, 28)),
    "mnist": Source(784, 10, "classification", "MNIST: 70,000 handwritten digits, 28×28", (1, 28, 28)),
    "spoken-digits": Source(
        2560, 10, "classification", "3,000 digits spoken by six people, 8 kHz, as log-mel frames", (64, 40)
    ),
    "spoken-digits-espeak": Source(
        2560, 10, "classification", "digits spoken by synthetic voices, as log-mel frames (shipped)", (64, 40)
    ),
    "tinyshakespeare": Source(64, 66, "next_token", "1.1 MB of Shakespeare, by character", (64,), 66),
    "romeo-and-juliet": Source(64, 62, "next_token", "the play, 133 kB, by character (shipped)", (64,), 62),
    "film-reviews": Source(
        40, 2, "classification", "10,662 sentences of film reviews, for or against, by word", (40,), 10_000
    ),
    "cart-pole": Source(4, 2, "policy", "a pole to be kept upright on a cart: the model plays (simulated)"),
}

#: Of the text that may be held out before its training part could lack a character.
_SAFELY_HELD = 0.3


def source_of(data: Data) -> Source | None:
    """The row of a named source as the keys of ``[data]`` change it; None where only the data can tell."""
    source = SOURCES.get(data.source)
    if source is None:
        return None
    if source.shape is not None and len(source.shape) < 3 and not source.columns:
        source = _steps(source, data)
    if source is not None and data.task in ("autoencoder", "generate"):
        return source._replace(task=data.task, outputs=source.features)
    return source


def _steps(source: Source, data: Data) -> Source | None:
    """A source of sequences or tokens: the keys say how many steps there are, and of what."""
    assert source.shape is not None
    window = data.window if data.window is not None else source.shape[0]
    if len(source.shape) == 2:
        return source._replace(features=window * data.mels, shape=(window, data.mels))
    if source.task == "next_token":
        if data.level == "word" or data.vocabulary is not None or data.validation + data.test > _SAFELY_HELD:
            return None
        return source._replace(features=window, shape=(window,))
    if data.level == "char" or (data.vocabulary or 0) > source.vocabulary:
        return None
    vocabulary = data.vocabulary if data.vocabulary is not None else source.vocabulary
    return source._replace(features=window, shape=(window,), vocabulary=vocabulary)
