"""How well the last few tokens alone foretell the next one: n-gram models, the baseline of a language model.

Two smoothings, both interpolated down to the uniform distribution:

    Witten–Bell    P(w|h) = (c(hw) + T(h)·P(w|h′)) / (c(h) + T(h))
    Kneser–Ney     P(w|h) = (max(c(hw) − D, 0) + D·T(h)·P(w|h′)) / c(h)

h is the n−1 tokens before w, h′ the same without its first one, c a count, T(h) how many different tokens followed h.
Below the highest order Kneser–Ney counts in how many contexts a sequence was seen instead of how often; D =
n₁/(n₁ + 2n₂), of the sequences seen once and twice. Sources: Witten and Bell (1991), IEEE Trans. Information Theory
37(4), method C; Kneser and Ney (1995), ICASSP; in the form of Chen and Goodman (1998), TR-10-98, Harvard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Smoothing = Literal["witten-bell", "kneser-ney"]
ORDER = 5


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-grams of a text by their numbers: that which ends at each place, its context and its suffix."""

    order: int
    ends: Ids
    """(N,) number of the n-gram that ends here; the first n−1 are not used."""
    context: Ids
    """(N,) number of the (n−1)-gram before the last token; 0 for n = 1."""
    seen: Ids
    """Places, one for each different n-gram of the training part."""


def losses(training: Ids, validation: Ids, tokens: int, smoothing: Smoothing, order: int = ORDER) -> list[float]:
    """Mean −ln P of the validation part's tokens but its first, for each order from 1, counted in the training part.

    ``tokens``: how many different ones there may be. ValueError: a part has too few.
    """
    if order < 1 or len(training) < order or len(validation) < 2:
        count, foretold = len(training), len(validation)
        raise ValueError(f"too few tokens for {order}-grams: {count:,} to count, {foretold:,} to foretell")
    text, end = np.concatenate([training, validation]), len(training)
    grams = _grams(text, end, order)
    targets = np.arange(end + 1, len(text))
    found = []
    for highest in range(1, order + 1):
        p = np.full(len(targets), 1.0 / tokens)
        for each in grams[:highest]:
            above = grams[each.order] if smoothing == "kneser-ney" and each.order < highest else None
            p = _smoothed(each, above, targets, end, p, smoothing)
        found.append(float(-np.log(p).mean()))
    return found


def _grams(text: Ids, end: int, order: int) -> list[_Grams]:
    found: list[_Grams] = []
    before = np.zeros(len(text), np.int64)
    for n in range(1, order + 1):
        context = np.concatenate([[0], before[:-1]]) if n > 1 else before
        _, ends = np.unique(context * (int(text.max()) + 1) + text, return_inverse=True)
        _, first = np.unique(ends[n - 1 : end], return_index=True)
        found.append(_Grams(n, ends, context, first + n - 1))
        before = ends
    return found


def _smoothed(
    grams: _Grams, above: _Grams | None, targets: Ids, end: int, lower: npt.NDArray[np.float64], smoothing: Smoothing
) -> npt.NDArray[np.float64]:
    """P of each target from P of the order below. ``above``: the next order, where contexts are counted."""
    size = int(grams.ends.max()) + 1
    contexts = int(grams.context.max()) + 1
    counted = grams.ends[grams.order - 1 : end] if above is None else grams.ends[above.seen]
    count = np.bincount(counted, minlength=size)
    of_gram = np.zeros(size, np.int64)
    of_gram[grams.ends[grams.seen]] = grams.context[grams.seen]
    total = np.bincount(of_gram, weights=count, minlength=contexts)
    types = np.bincount(of_gram[count > 0], minlength=contexts)
    c_hw, h = count[grams.ends[targets]], grams.context[targets]
    c_h, t_h = total[h], types[h]
    if smoothing == "witten-bell":
        p = (c_hw + t_h * lower) / np.maximum(c_h + t_h, 1)
    else:
        # At least one counts as seen once, or nothing would be left for what was never seen.
        once, twice = max(1, int((count == 1).sum())), int((count == 2).sum())
        discount = once / (once + 2 * twice)
        p = (np.maximum(c_hw - discount, 0) + discount * t_h * lower) / np.maximum(c_h, 1)
    return np.where(c_h > 0, p, lower)
