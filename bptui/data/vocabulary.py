"""Tokens and their ids: learned from the training part, with a place for what was never seen there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Level = Literal["char", "word"]

#: What fills a sequence up, id 0 where sequences are padded.
PADDING = "<pad>"
#: What stands for a token that the training part does not have.
UNKNOWN = "<unk>"
#: Words that are known unless ``data.vocabulary`` says otherwise.
MOST_WORDS = 20_000
#: A run of letters, digits and marks inside a word (don't, 3.5), or a single other sign.
_WORD = re.compile(r"\w+(?:['’.\-]\w+)*|[^\w\s]")


def tokens_of(text: str, level: Level) -> Sequence[str]:
    """Characters as they are; words in lower case, signs apart."""
    return text if level == "char" else _WORD.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """``tokens[id]``; the first ones are ``<pad>`` (where sequences are padded) and ``<unk>``."""

    tokens: tuple[str, ...]

    @staticmethod
    def learn(samples: Iterable[Sequence[str]], most: int | None, *, padded: bool) -> Vocabulary:
        """Of the tokens of the training samples the ``most`` frequent, these in alphabetical order where all fit.

        The frequent ones come first where some are left out, so that id 2 is the commonest word.
        """
        counts: Counter[str] = Counter()
        for sample in samples:
            counts.update(sample)
        first = (PADDING, UNKNOWN) if padded else (UNKNOWN,)
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        kept = sorted(ranked) if most is None else ranked[: max(0, most - len(first))]
        return Vocabulary((*first, *(token for token in kept if token not in first)))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.tokens)}

    @property
    def unknown(self) -> int:
        """The id of ``<unk>``."""
        return self._ids[UNKNOWN]

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int64]:
        """Ids (T,); what is not known becomes ``<unk>``."""
        ids, unknown = self._ids, self.unknown
        return np.fromiter((ids.get(token, unknown) for token in tokens), np.int64, len(tokens))

    def padded(
        self, samples: Sequence[Sequence[str]], window: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
        """``(N, window)`` ids, 0 after the end of each, and the lengths (N,); what is longer is cut."""
        out = np.zeros((len(samples), window), np.int64)
        lengths = np.empty(len(samples), np.intp)
        for row, sample in enumerate(samples):
            ids = self.encode(sample[:window])
            out[row, : len(ids)] = ids
            lengths[row] = len(ids)
        return out, lengths
