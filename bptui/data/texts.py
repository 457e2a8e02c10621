"""Texts with a label each, as padded sequences of words or characters.

They come as a folder (a class a subfolder and a file a text, or a class a file and a line a text), as a column of a
table, or, with a label for each token, as lines ``token label`` parted by empty ones (the form of CoNLL 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bptui.data.errors import DataError, quoted
from bptui.data.folders import Listing, PartName
from bptui.data.longtext import whole_text
from bptui.data.raw import Raw, Rows, Values
from bptui.data.sound import usual
from bptui.data.table import Table, label_columns, labels_of
from bptui.data.vocabulary import Encoder, Level, most_known, padded, reserved, tokens_of
from bptui.spec.experiment import Data

PARTS: tuple[PartName, ...] = ("train", "validation", "test")


def read_texts(found: Listing, data: Data) -> Raw:
    """A folder of texts."""
    labelled: dict[PartName, tuple[list[str], list[str]]] = {part: ([], []) for part in PARTS}
    for sample in found.samples:
        text, (texts, labels) = whole_text(sample.path, data.encoding), labelled[sample.part]
        if found.by_folder:
            texts.append(text)
            labels.append(sample.label)
        else:
            lines = [line for line in text.split("\n") if line.strip()]
            texts += lines
            labels += [_name(found, sample.path)] * len(lines)
    parts: dict[PartName, tuple[Sequence[str], Values]] = {}
    parts |= {part: (texts, np.array(labels)) for part, (texts, labels) in labelled.items() if texts}
    return _labelled(found.folder.name, parts, data, "class", found.notes)


def _name(found: Listing, path: Path) -> str:
    """The class of a file of lines: what tells its name from the others', its suffix or its stem."""
    stems = {sample.path.stem for sample in found.samples}
    return path.suffix.lstrip(".") if len(stems) == 1 and len(found.samples) > 1 else path.stem


def read_text_column(table: Table, data: Data, test: Table | None = None) -> Raw:
    """A table with a column of text: of several, the one with the most different texts."""
    labels = label_columns(table, data.label)
    columns = [column for column in table.texts if column not in labels]
    if not columns:
        raise DataError(f"{table.path}: no column of text beside the label, as data.level = {data.level!r} wants")
    column = max(columns, key=lambda each: len(table.texts[each].levels))
    parts: dict[PartName, tuple[Sequence[str], Values]] = {}
    tables: tuple[tuple[PartName, Table | None], ...] = (("train", table), ("test", test))
    for part, each in tables:
        if each is None:
            continue
        if each.names != table.names or column not in each.texts:
            raise DataError(f"{each.path}: its columns differ from those of {table.path.name}")
        texts = each.texts[column]
        parts[part] = (
            [texts.levels[code] if code >= 0 else "" for code in texts.codes.tolist()],
            labels_of(each, labels),
        )
    name = ", ".join(table.names[each] if table.named else f"column {each + 1}" for each in labels)
    text = table.names[column] if table.named else f"column {column + 1}"
    return _labelled(table.path.name, parts, data, name, (*table.notes, f"text: {text}"))


def _labelled(
    name: str, parts: dict[PartName, tuple[Sequence[str], Values]], data: Data, label: str, notes: tuple[str, ...]
) -> Raw:
    """Tokens of all parts; which of them are known is for the training rows to say, once they are drawn."""
    level: Level = data.level or "word"
    encoder = Encoder(reserved(padded=True), grows=True)
    ids = {part: [encoder.encode(tokens_of(text, level)) for text in texts] for part, (texts, _) in parts.items()}
    window = _window(data, [len(each) for part in ids.values() for each in part])
    rows = {part: Rows(x, parts[part][1], lengths) for part, (x, lengths) in _padded(ids, window).items()}
    what = "characters" if level == "char" else "words"
    cut = sum(len(each) > window for part in ids.values() for each in part)
    notes = (*notes, f"up to {window} {what} a text" + (f"; {cut:,} are longer and were cut" if cut else ""))
    return Raw(
        name=name, train=rows["train"], validation=rows.get("validation"), test=rows.get("test"),
        shape=(window,), vocabulary=encoder.vocabulary, open_vocabulary=most_known(data), label=label, notes=notes,
    )  # fmt: skip


def _window(data: Data, lengths: list[int]) -> int:
    if data.window is not None and data.window < 1:
        raise DataError(f"data.window = {data.window}: expected at least 1")
    return data.window if data.window is not None else usual(lengths)


def _padded(ids: dict[PartName, list[Values]], window: int) -> dict[PartName, tuple[Values, Values]]:
    found: dict[PartName, tuple[Values, Values]] = {}
    for part, each in ids.items():
        x, lengths = padded(each, window)
        empty = lengths == 0  # a text without a token is one <unk>: a sequence has at least one step
        x[empty, 0], lengths[empty] = 1, 1
        found[part] = (x, lengths)
    return found


# -- a label a token -----------------------------------------------------------------------------------
def read_tagged(path: Path, data: Data) -> Raw:
    """Lines ``token label`` (the last word of a line is the label), sentences parted by empty lines."""
    sentences: list[tuple[list[str], list[str]]] = [([], [])]
    for number, line in enumerate(whole_text(path, data.encoding).split("\n"), 1):
        words = line.split()
        if not words or words[0] == "-DOCSTART-":
            if sentences[-1][0]:
                sentences.append(([], []))
            continue
        if len(words) < 2:
            raise DataError(f"{path}: line {number}: {quoted(line)} has no label; expected a token and its label")
        sentences[-1][0].append(words[0])
        sentences[-1][1].append(words[-1])
    sentences = [sentence for sentence in sentences if sentence[0]]
    if not sentences:
        raise DataError(f"{path}: no sequences of tokens and labels")
    classes = tuple(sorted({tag for _, tags in sentences for tag in tags}))
    places = {tag: place for place, tag in enumerate(classes)}
    encoder = Encoder(reserved(padded=True), grows=True)
    x = [encoder.encode([token.lower() for token in tokens]) for tokens, _ in sentences]
    window = _window(data, list(map(len, x)))
    ids, lengths = padded(x, window)
    y = np.full((len(x), window), -1, np.int64)
    for row, (_, tags) in enumerate(sentences):
        y[row, : lengths[row]] = [places[tag] for tag in tags[:window]]
    notes = (f"{len(x):,} sequences of up to {window} tokens, {len(classes)} labels",)
    return Raw(
        name=path.name, train=Rows(ids, y, lengths), task="sequence_labelling", classes=classes, shape=(window,),
        vocabulary=encoder.vocabulary, open_vocabulary=most_known(data), notes=notes,
    )  # fmt: skip
