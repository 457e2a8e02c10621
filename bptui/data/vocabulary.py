"""Tokens and their ids: what the training part holds is known, the rest is ``<unk>``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bptui.spec.experiment import Data

Level = Literal["char", "word"]

#: What fills a sequence up, id 0 where sequences are padded.
PADDING = "<pad>"
#: What stands for a token that the training part does not have: the id after that of padding.
UNKNOWN = "<unk>"
#: Words that are known unless ``data.vocabulary`` says otherwise.
MOST_WORDS = 20_000
MOST_CHARACTERS = 1 << 21
#: A run of letters, digits and marks inside a word (don't, 3.5), or a single other sign.
_WORD = re.compile(r"\w+(?:['’.\-]\w+)*|[^\w\s]")


def most_known(data: Data) -> int:
    """Tokens that may be known."""
    if data.vocabulary is not None:
        return data.vocabulary
    return MOST_CHARACTERS if data.level == "char" else MOST_WORDS


def tokens_of(text: str, level: Level) -> Sequence[str]:
    """Characters as they are; words in lower case, signs apart."""
    return text if level == "char" else _WORD.findall(text.lower())


def reserved(*, padded: bool) -> tuple[str, ...]:
    """The tokens with which a vocabulary begins."""
    return (PADDING, UNKNOWN) if padded else (UNKNOWN,)


class Encoder:
    """Gives ids to tokens: those of a vocabulary, or of one that grows with what it sees."""

    def __init__(self, vocabulary: Sequence[str], *, grows: bool) -> None:
        self._ids = {token: place for place, token in enumerate(vocabulary)}
        self._grows = grows
        self._unknown = self._ids[UNKNOWN]
        self.unknown: dict[str, int] = {}
        """Tokens that were not known, and how often they came."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple(self._ids)

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int64]:
        """Ids (T,)."""
        ids = self._ids
        if self._grows:
            return np.fromiter((ids.setdefault(token, len(ids)) for token in tokens), np.int64, len(tokens))
        out = np.fromiter((ids.get(token, -1) for token in tokens), np.int64, len(tokens))
        for place in np.flatnonzero(out < 0).tolist():
            self.unknown[tokens[place]] = self.unknown.get(tokens[place], 0) + 1
        return np.where(out < 0, self._unknown, out)


def known(
    tokens: Sequence[str],
    counts: npt.NDArray[np.int64],
    first: Sequence[str],
    most: int,
    order: Callable[[str], Any] = str,
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The vocabulary of what was counted in the training part, and the new id (V,) of each old one.

    ``first``: tokens that it begins with, in any case. Of the others all stay, in alphabetical order (or by
    ``order``), where there are no more than ``most`` (``first`` included); else the frequent ones, the commonest first.
    """
    there = [place for place in np.flatnonzero(counts).tolist() if tokens[place] not in first]
    if len(there) + len(first) <= most:
        kept = sorted(there, key=lambda place: order(tokens[place]))
    else:
        kept = sorted(there, key=lambda place: (-int(counts[place]), order(tokens[place])))[: max(0, most - len(first))]
    vocabulary = (*first, *(tokens[place] for place in kept))
    ids = {token: place for place, token in enumerate(vocabulary)}
    unknown = ids[UNKNOWN]
    return vocabulary, np.array([ids.get(token, unknown) for token in tokens], np.int64)


def padded(samples: Sequence[npt.NDArray[np.int64]], window: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """``(N, window)`` ids, 0 after the end of each, and the lengths (N,); what is longer is cut."""
    out = np.zeros((len(samples), window), np.int64)
    lengths = np.empty(len(samples), np.intp)
    for row, ids in enumerate(samples):
        lengths[row] = min(len(ids), window)
        out[row, : lengths[row]] = ids[:window]
    return out, lengths
