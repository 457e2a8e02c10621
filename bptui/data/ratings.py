"""Ratings: columns of ids, as a user and an item, each with a vocabulary of its own, and a number to foretell.

An id is any text. Which ids are known is decided after the split, by the training rows; all others are ``<unk>``, id 0.
What a model of them has to beat is in ``baselines``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.data.errors import DataError
from bptui.data.raw import Indices, Raw, Rows, Values
from bptui.data.table import Table, label_columns, labels_of
from bptui.data.vocabulary import UNKNOWN, known
from bptui.philox import Stream
from bptui.spec.experiment import Data

#: Of generated ratings.
USERS, ITEMS, RANK, RATINGS = 500, 200, 4, 40_000
NOISE = 0.3
MEAN, USER_SPREAD, ITEM_SPREAD, TASTE_SPREAD = 3.5, 0.4, 0.5, 0.6


# -- reading -------------------------------------------------------------------------------------------


def read_ratings(table: Table, data: Data, test: Table | None = None) -> Raw:
    """Columns ``data.ids`` of a table as ids (N, columns), and ``data.label`` as what is to be foretold."""
    columns, labels = label_columns(table, data.ids, "ids"), label_columns(table, data.label)
    if len(set(columns)) < len(columns) or set(columns) & set(labels):
        raise DataError(f"{table.path}: data.ids = {data.ids!r}: a column comes twice, or is the label")
    tables = [table] if test is None else [table, test]
    if test is not None and test.names != table.names:
        raise DataError(f"{test.path}: its columns differ from those of {table.path.name}")
    vocabularies, ids = [], [np.empty((len(each), len(columns)), np.int64) for each in tables]
    for place, column in enumerate(columns):
        found = [texts_of(each, column) for each in tables]
        tokens = {UNKNOWN: 0} | {token: at for at, token in enumerate(sorted({t for _, ts in found for t in ts}), 1)}
        for into, (codes, texts) in zip(ids, found, strict=True):
            into[:, place] = np.array([tokens[text] for text in texts], np.int64)[codes]
        vocabularies.append(tuple(tokens))
    names = tuple(table.names[c] if table.named else f"column {c + 1}" for c in columns)
    counted = ", ".join(f"{len(each) - 1:,} of {name}" for name, each in zip(names, vocabularies, strict=True))
    parts = [Rows(x, labels_of(each, labels)) for x, each in zip(ids, tables, strict=True)]
    return Raw(
        name=table.path.name, train=parts[0], test=parts[1] if test is not None else None,
        task="regression" if parts[0].y.dtype.kind == "f" else None, shape=(len(columns),), feature_names=names,
        vocabularies=tuple(vocabularies), open_vocabulary=data.vocabulary,
        label=", ".join(table.names[c] if table.named else f"column {c + 1}" for c in labels),
        notes=(*table.notes, f"ids: {counted}"),
    )  # fmt: skip


def texts_of(table: Table, column: int) -> tuple[npt.NDArray[np.integer], Sequence[str]]:
    """(codes (N,), what each of them says); DataError where an id is missing."""
    codes: npt.NDArray[np.integer]
    if column in table.texts:
        codes, texts = table.texts[column].codes, table.texts[column].levels
    else:  # of a file that keeps numbers as such: 7 is "7"
        numbers, codes = np.unique(table.numbers[:, table.numeric.index(column)], return_inverse=True)
        texts = tuple(str(int(n)) if float(n).is_integer() else str(n) for n in numbers)
        codes = np.where(np.isnan(numbers)[codes], -1, codes)
    gone = np.flatnonzero(codes < 0)
    if len(gone):
        raise DataError(
            f"{table.path}: row {int(gone[0]) + 1}, column {table.names[column]!r}: no id"
            " (data.missing = 'drop' leaves such rows out)"
        )
    return codes, texts


def closed_columns(raw: Raw, rows: Indices, held: Sequence[Indices], notes: list[str]) -> Raw:
    """The same ids, of which in each column only those of the training rows are known (the commonest, if need be)."""
    assert raw.vocabularies is not None and raw.feature_names is not None
    parts = [part for part in (raw.train, raw.validation, raw.test) if part is not None]
    columns: list[list[Values]] = [[] for _ in parts]
    vocabularies, missed = [], []
    for at, tokens in enumerate(raw.vocabularies):
        counts = np.bincount(raw.train.x[rows, at], minlength=len(tokens))
        most = sys.maxsize if raw.open_vocabulary is None else raw.open_vocabulary
        vocabulary, table = known(tokens, counts, (UNKNOWN,), most, order=_natural)
        vocabularies.append(vocabulary)
        for into, part in zip(columns, parts, strict=True):
            into.append(table[part.x[:, at]])
        unknown = sum(int((columns[0][at][some] == 0).sum()) for some in held)
        missed.append(unknown + sum(int((other[at] == 0).sum()) for other in columns[1:]))
    closed = [replace(part, x=np.stack(each, axis=1)) for part, each in zip(parts, columns, strict=True)]
    known_ids = ", ".join(f"{len(v) - 1:,} of {n}" for n, v in zip(raw.feature_names, vocabularies, strict=True))
    notes.append(f"known ids: {known_ids} (an embedding's vocabulary is one more, for the unknown)")
    if total := sum(map(len, held)) + sum(map(len, closed[1:])):
        told = ", ".join(f"{count:,} an unknown {n}" for n, count in zip(raw.feature_names, missed, strict=True))
        notes.append(f"of {total:,} rows held out {told}")
    rest = iter(closed[1:])
    return replace(
        raw, train=closed[0], vocabularies=tuple(vocabularies),
        validation=next(rest) if raw.validation is not None else None,
        test=next(rest) if raw.test is not None else None,
    )  # fmt: skip


def _natural(token: str) -> tuple[int, int, str]:
    """Numbers by their size, before all else by the alphabet. (Of very long ones Python reads no number.)"""
    plain = token.isascii() and token.isdecimal() and len(token) < 19
    return (0, int(token), token) if plain else (1, 0, token)


# -- made up -------------------------------------------------------------------------------------------


def drawn(name: str, seed: int, rows: int, noise: float) -> Raw:
    """``rows`` different pairs of 500 users and 200 items, and a rating each whose best RMSE is known: it is ``noise``.

    ``r = μ + b_u + c_i + p_u·q_i + ε`` with μ = 3.5, b of σ 0.4, c of σ 0.5, a product of rank 4 of σ 0.6 (all normal),
    and ε of σ ``noise``; neither rounded nor cut. Of a few users and items there are many ratings, of many few: the
    shares of the users, and of the items, fall like the inverse root of their place.
    """
    if not 2 <= rows <= USERS * ITEMS:
        raise DataError(f"data.samples = {rows}: {name} has 2 to {USERS * ITEMS:,} rows")
    stream = Stream(seed, "data.ratings")
    shares = np.log(np.arange(1, USERS + 1))[:, None] / 2 + np.log(np.arange(1, ITEMS + 1)) / 2
    gumbel = -np.log(-np.log(stream.uniform(0, USERS * ITEMS) + 2.0**-60))
    pairs = np.argsort(shares.ravel() - gumbel, kind="stable")[:rows]  # drawn by their shares, none twice
    pairs = pairs[stream.permutation(1, rows)]
    x = np.stack([pairs // ITEMS, pairs % ITEMS], axis=1)
    b, c = USER_SPREAD * stream.normal(2, USERS), ITEM_SPREAD * stream.normal(3, ITEMS)
    side = (TASTE_SPREAD / np.sqrt(RANK)) ** 0.5
    p = side * stream.normal(4, USERS * RANK).reshape(USERS, RANK)
    q = side * stream.normal(5, ITEMS * RANK).reshape(ITEMS, RANK)
    users, items = x.T
    y = MEAN + b[users] + c[items] + (p[users] * q[items]).sum(axis=1) + noise * stream.normal(6, rows)
    names = {"u": USERS, "i": ITEMS}
    tokens = [(UNKNOWN, *(f"{letter}{n:03}" for n in range(1, count + 1))) for letter, count in names.items()]
    return Raw(
        name, Rows(x + 1, y), task="regression", shape=(2,), feature_names=("user", "item"),
        vocabularies=tuple(tokens), label="rating",
    )  # fmt: skip


# -- what is to be beaten ------------------------------------------------------------------------------


class Baselines(NamedTuple):
    """RMSE on ratings held out."""

    mean: float
    """Of foretelling the mean of the training part."""
    biases: float
    """Of the mean and a bias of each id, fitted together."""


def baselines(
    x: npt.NDArray[np.int64], y: Values, held_x: npt.NDArray[np.int64], held_y: Values, damping: float = 3.0
) -> Baselines:
    """``x`` (N, columns) ids, 0 unknown; ``y`` (N,) ratings; the others are held out.

    Biases are the least squares of r − μ = Σ b with ``damping``·b² for each, column after column until they stay (after
    Koren, Bell and Volinsky 2009, *Matrix factorization techniques for recommender systems*).
    """
    mean = float(y.mean())
    biases = [np.zeros(int(max(x[:, c].max(), held_x[:, c].max())) + 1) for c in range(x.shape[1])]
    counts = [np.bincount(x[:, c], minlength=len(bias)) for c, bias in enumerate(biases)]
    for _ in range(200):
        moved = 0.0
        for column, bias in enumerate(biases):
            rest = y - mean - _biased(biases, x, but=column)
            fresh = np.bincount(x[:, column], rest, len(bias)) / (counts[column] + damping)
            moved = max(moved, float(np.abs(fresh - bias).max()))
            bias[:] = fresh
        if moved < 1e-7:
            break
    left = held_y - mean
    return Baselines(_root_mean_square(left), _root_mean_square(left - _biased(biases, held_x)))


def _biased(biases: Sequence[npt.NDArray[np.float64]], x: npt.NDArray[np.int64], but: int = -1) -> Values:
    return np.asarray(
        np.sum([bias[x[:, c]] if c != but else np.zeros(len(x)) for c, bias in enumerate(biases)], axis=0)
    )


def _root_mean_square(values: Values) -> float:
    return float(np.sqrt(np.square(values).mean()))
