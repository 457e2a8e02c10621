"""Sounds, texts and ratings for a trained run, made into what it learned from: log-mel frames, or ids that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bptui.data.delimited import read_table
from bptui.data.errors import DataError
from bptui.data.longtext import whole_text
from bptui.data.ratings import texts_of
from bptui.data.sound import log_mel, padded, resampled
from bptui.data.table import Table, label_columns, labels_of
from bptui.data.vocabulary import PADDING, Encoder, Level, tokens_of
from bptui.data.vocabulary import padded as padded_ids
from bptui.data.wav import read_wav
from bptui.export.errors import ExportError
from bptui.export.given import Given, Values
from bptui.export.trained import Trained
from bptui.spec.experiment import Data

#: Tables of texts, which have a header and perhaps a label.
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def sound_row(path: Path, trained: Trained) -> Given:
    """One sound, as (1, T·mels) with NaN after its end; ExportError where the run did not learn from sounds."""
    about = trained.about
    if about.sample_rate is None or about.shape is None:
        raise ExportError(f"{path}: a sound, but this run did not learn from sounds")
    sound, rate = read_wav(path)
    window, bands = about.shape
    features = log_mel(resampled(sound, rate, about.sample_rate), about.sample_rate, bands)
    x, lengths = padded([features], window)
    notes = [f"{len(features)} frames, cut to {window}"] if len(features) > window else []
    if rate != about.sample_rate:
        notes.append(f"{rate:,} samples a second, converted to {about.sample_rate:,}")
    return Given(x, lengths=lengths.astype(np.int64), notes=tuple(notes))


def text_rows(path: Path, trained: Trained) -> Given:
    """A text a line, or those in a table's column of text, with the label beside it where there is one."""
    about = trained.about
    if about.vocabulary is None or about.shape is None:
        raise ExportError(f"{path}: texts, but this run did not learn from texts")
    data = trained.experiment.data
    labels: Values | None = None
    if path.name.lower().endswith(TABLES):
        texts, labels = _column(path, trained)
    else:
        texts = [line for line in whole_text(path, data.encoding).split("\n") if line.strip()]
    level: Level = data.level or "word"
    encoder = Encoder(about.vocabulary, grows=False)
    ids = [encoder.encode(tokens_of(text, level)) for text in texts]
    x, lengths = padded_ids(ids, about.shape[0])
    return Given(x, labels, _unknown(path, encoder, sum(map(len, ids)), level), np.maximum(lengths, 1).astype(np.int64))


def rating_rows(path: Path, trained: Trained) -> Given:
    """The columns of ids of a table as the run's ids, and the rating beside them where there is one."""
    about, data = trained.about, trained.experiment.data
    assert about.vocabularies is not None and about.feature_names is not None
    ids = data.ids if data.ids is not None else ",".join(about.feature_names)
    reading = Data(source=str(path), delimiter=data.delimiter, header=data.header, ids=ids, missing="mean")
    table = read_table(path, reading, labelled=False)
    columns = label_columns(table, ids, "ids")
    x, notes = np.empty((len(table), len(columns)), np.int64), []
    for place, (column, vocabulary) in enumerate(zip(columns, about.vocabularies, strict=True)):
        codes, texts = texts_of(table, column)
        encoder = Encoder(vocabulary, grows=False)
        x[:, place] = encoder.encode(texts)[codes]
        if unknown := int((x[:, place] == 0).sum()):
            shown = ", ".join(repr(token[:30]) for token in list(encoder.unknown)[:4])
            name = about.feature_names[place]
            notes.append(f"{name}: in {unknown:,} of {len(table):,} rows an id that this run does not know: {shown}")
    return Given(x, _rating(table, trained, columns), tuple(notes))


def _rating(table: Table, trained: Trained, ids: Sequence[int]) -> Values | None:
    """The label's column, where the file has it and it holds numbers."""
    label = trained.experiment.data.label
    try:
        (column,) = label_columns(table, trained.about.label if label is None else label)
    except (DataError, ValueError):
        return None
    return None if column in ids or column in table.texts else labels_of(table, [column])


def _column(path: Path, trained: Trained) -> tuple[list[str], Values | None]:
    data = trained.experiment.data
    reading = Data(source=str(path), delimiter=data.delimiter, header=data.header, missing="mean")
    table = read_table(path, reading, labelled=False)
    if not table.texts:
        raise ExportError(f"{path}: no column of text")
    column = max(table.texts, key=lambda each: len(table.texts[each].levels))
    found = table.texts[column]
    texts = [found.levels[code] if code >= 0 else "" for code in found.codes.tolist()]
    label = trained.about.label
    if label not in table.names or table.names.index(label) == column:
        return texts, None
    place = table.names.index(label)
    if place in table.texts:
        coded = table.texts[place]
        return texts, np.array([*coded.levels, ""], np.str_)[coded.codes]
    return texts, np.asarray(table.numbers[:, table.numeric.index(place)])


def _unknown(path: Path, encoder: Encoder, total: int, level: Level) -> tuple[str, ...]:
    """What is said of tokens that the run does not know; ExportError if it knows none."""
    missed = sum(encoder.unknown.values())
    if not missed:
        return ()
    what = "characters" if level == "char" else "words"
    shown = ", ".join(repr(token[:30]) for token in list(encoder.unknown)[:4])
    if missed == total:
        raise ExportError(f"{path}: this run knows none of its {total:,} {what}, such as {shown}")
    return (f"{missed:,} of {total:,} {what} are unknown to this run and count as <unk>: {shown}",)


def token_rows(path: Path, x: Values, trained: Trained) -> Given:
    """Ids (N, T) as they stand in an array."""
    about = trained.about
    steps = about.features
    if x.dtype.kind not in "iu" or x.ndim not in (1, 2) or x.shape[-1] != steps:
        raise ExportError(f"{path}: shape {x.shape} of {x.dtype}, this run takes ids (N, {steps})")
    x = x.reshape(-1, steps).astype(np.int64)
    known = np.array([len(each) for each in about.vocabularies or ()] or [len(about.vocabulary or ()) or about.outputs])
    wrong = np.argwhere((x < 0) | (x >= known))
    if len(wrong):
        row, step = wrong[0].tolist()
        what, most = "column" if about.vocabularies else "step", known[step % len(known)] - 1
        raise ExportError(
            f"{path}: row {row + 1}, {what} {step + 1}: unknown token {x[row, step]}, ids run from 0 to {most}"
        )
    is_padded = bool(about.vocabulary) and about.vocabulary is not None and about.vocabulary[0] == PADDING
    return Given(x, lengths=np.maximum((x > 0).sum(axis=1), 1) if is_padded else None)
