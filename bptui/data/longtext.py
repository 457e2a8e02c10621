"""One long text, to be continued: windows of tokens, each with the token that comes next as its target.

The parts are stretches of the text: training first, then validation, then test. Characters are read a few megabytes at
a time and kept as ids of one or two bytes, in a file where they do not fit into memory; windows are views of them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bptui.data import cache
from bptui.data.errors import DataError
from bptui.data.raw import Raw, Rows, Values
from bptui.data.textlines import opened, whole
from bptui.data.vocabulary import MOST_CHARACTERS, MOST_WORDS, Encoder, known, reserved, tokens_of
from bptui.spec.experiment import Data

WINDOW = 64
CHUNK_BYTES = 4 << 20
#: Code points that there are.
_CODE_POINTS = 0x110000
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read_long(path: Path, data: Data) -> Raw:
    """The text in ``path`` as windows of characters or words."""
    level = data.level or "char"
    window = data.window if data.window is not None else WINDOW
    stride = data.stride if data.stride is not None else window
    if min(window, stride) < 1:
        raise DataError(f"data.window = {window}, data.stride = {stride}: expected at least 1")
    if level == "char":
        ids, vocabulary, ends = _characters(path, data)
    else:
        ids, vocabulary, ends = _words(path, data)
    parts = {}
    for name, begin, end in zip(("train", "validation", "test"), (0, *ends), (*ends, len(ids)), strict=True):
        if begin < end:
            # What is measured must count each token once, however much the windows of training overlap.
            parts[name] = _windows(path, name, ids[begin:end], window, stride if name == "train" else window)
    what = "characters" if level == "char" else "words"
    notes = [f"{len(ids):,} {what}, {len(vocabulary) - 1:,} different; windows of {window}, parted by place"]
    held = ids[ends[0] :]
    if unknown := int(np.count_nonzero(held == 0)):
        notes.append(f"{unknown:,} of {len(held):,} {what} held out are not in the training part: <unk>")
    if "train" not in parts:
        raise DataError(f"{path}: nothing left to train on")
    return Raw(
        name=path.name, train=parts["train"], validation=parts.get("validation"), test=parts.get("test"),
        task="next_token", shape=(window,), vocabulary=vocabulary, label="next token", mapped=True, notes=tuple(notes),
    )  # fmt: skip


def _ends(count: int, data: Data) -> tuple[int, int]:
    """Where training and validation end; the customary order is training, validation, test."""
    test = round(data.test * count)
    validation = round(data.validation * count)
    return count - validation - test, count - test


def _windows(path: Path, part: str, ids: Values, window: int, stride: int) -> Rows:
    if len(ids) <= window:
        raise DataError(
            f"{path}: the {part} part has {len(ids):,} tokens, too few for a window of {window} and the next one"
        )
    views = np.lib.stride_tricks.sliding_window_view(ids, window + 1)[::stride]
    return Rows(views[:, :-1], views[:, 1:])


# -- characters ----------------------------------------------------------------------------------------
def _characters(path: Path, data: Data) -> tuple[Values, tuple[str, ...], tuple[int, int]]:
    total = sum(len(chunk) for chunk in _chunks(path, data.encoding))
    ends = _ends(total, data)
    counts, left = np.zeros(_CODE_POINTS, np.int64), ends[0]
    for chunk in _chunks(path, data.encoding):
        found = np.bincount(chunk[:left])
        counts[: len(found)] += found
        left -= min(left, len(chunk))
        if not left:
            break
    points = np.flatnonzero(counts)
    vocabulary, ids = known(
        [chr(p) for p in points.tolist()], counts[points], reserved(padded=False), data.vocabulary or MOST_CHARACTERS
    )
    dtype = np.uint8 if len(vocabulary) <= 256 else np.uint16 if len(vocabulary) <= 65536 else np.uint32
    table = np.zeros(_CODE_POINTS, dtype)  # 0 is <unk>
    table[points] = ids

    def fill(into: Values) -> None:
        at = 0
        for chunk in _chunks(path, data.encoding):
            into[at : at + len(chunk)] = table[chunk]
            at += len(chunk)

    made, _ = cache.made(
        lambda: cache.key_of([path], "characters", vocabulary, data.encoding), (total,), dtype, fill
    )  # fmt: skip
    return made, vocabulary, ends


def _chunks(path: Path, encoding: str) -> Iterator[npt.NDArray[np.int64]]:
    """Code points of the text, a few million at a time; line ends are ``\\n``."""
    decoder = decoder_of(encoding)
    before, carried, begun = 0, "", False
    with opened(path) as file:
        while True:
            block = file.read(CHUNK_BYTES)
            try:
                text = carried + decoder.decode(block, final=not block)
            except UnicodeError as error:
                raise undecodable(path, error, encoding, before) from None
            if not begun:
                text, begun = text.removeprefix("\ufeff"), bool(text)
            before += block.count(b"\n")
            # A \r at the end may belong to a \n that is still to come.
            carried = "\r" if block and text.endswith("\r") else ""
            text = text[: len(text) - len(carried)].replace("\r\n", "\n").replace("\r", "\n")
            _check(path, text, encoding)
            if text:
                yield np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)
            if not block:
                return


def decoder_of(encoding: str) -> codecs.IncrementalDecoder:
    try:
        found = codecs.lookup(encoding)
        if found._is_text_encoding and found.incrementaldecoder is not None:
            return found.incrementaldecoder()
    except (LookupError, ValueError):
        pass
    raise DataError(f"data.encoding = {encoding!r}: no such encoding, such as utf-8, latin-1 or cp1252")


def _check(path: Path, text: str, encoding: str) -> None:
    if "\0" in text:
        raise DataError(f"{path}: holds NUL bytes; not a text file")
    if not text.isascii() and _HALF_PAIR.search(text):
        raise DataError(f"{path}: is not {encoding.upper()} (half a surrogate pair); see data.encoding")


def undecodable(path: Path, error: UnicodeError, encoding: str, lines_before: int = 0) -> DataError:
    """What to say of a byte that is not text, or of a text that does not begin as this encoding does."""
    if not isinstance(error, UnicodeDecodeError):
        return DataError(f"{path}: is not {encoding.upper()} ({str(error).splitlines()[0]}); see data.encoding")
    line = lines_before + bytes(error.object[: error.start]).count(b"\n") + 1
    byte = error.object[error.start]
    hint = "data.encoding = 'latin-1' reads any byte" if encoding.lower().startswith("utf") else "see data.encoding"
    return DataError(f"{path}: line {line} is not {encoding.upper()} (byte 0x{byte:02x}); {hint}")


# -- words ---------------------------------------------------------------------------------------------
def _words(path: Path, data: Data) -> tuple[Values, tuple[str, ...], tuple[int, int]]:
    text = whole_text(path, data.encoding)
    encoder = Encoder(reserved(padded=False), grows=True)
    ids = encoder.encode(tokens_of(text, "word"))
    ends = _ends(len(ids), data)
    counts = np.bincount(ids[: ends[0]], minlength=len(encoder.vocabulary))
    most = data.vocabulary if data.vocabulary is not None else MOST_WORDS
    vocabulary, table = known(encoder.vocabulary, counts, reserved(padded=False), most)
    return table[ids], vocabulary, ends


def whole_text(path: Path, encoding: str) -> str:
    """All of a text, with ``\\n`` at the ends of lines; DataError names the line that cannot be decoded."""
    decoder_of(encoding)
    with opened(path) as file:
        content = whole(file, path)
    if not content.strip():
        raise DataError(f"{path}: the text is empty")
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        raise undecodable(path, error, encoding) from None
    _check(path, text, encoding)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
