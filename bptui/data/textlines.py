"""Lines of a text file, decoded one at a time, so that a file of any size and any bytes is safe to look at."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bptui.data.errors import DataError

#: A longer line is no row of a table. (A row of a 224×224 colour picture has about 600 kB.)
LONGEST_LINE = 8 << 20
#: More than this is not read into memory at once: a few packed megabytes can claim any size.
MOST_BYTES = 4 << 30
_PIECE_BYTES = 16 << 20
_MARKS = {
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK\x03\x04": "a zip archive", b"\x89PNG": "a picture",
    b"%PDF": "a PDF", b"\xff\xd8\xff": "a picture", b"\xd0\xcf\x11\xe0": "an old Office file", b"SQLite": "a database",
}  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file as bytes, unpacked if it is gzip; DataError if it is damaged or cannot be read."""
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=plain) as file:
                    yield file  # type: ignore[misc]
            else:
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = "cut short, the end of the gzip is missing" if isinstance(error, EOFError) else f"damaged gzip ({error})"
        raise DataError(f"{path}: {what}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def whole(file: IO[bytes], path: Path) -> bytes:
    """All of it, at most MOST_BYTES."""
    content = bytearray()
    while piece := file.read(_PIECE_BYTES):
        content += piece
        if len(content) > MOST_BYTES:
            raise DataError(f"{path}: has more than {MOST_BYTES / 2**30:.3g} GB once unpacked; split it into parts")
    return bytes(content)


def lines(file: IO[bytes], path: Path) -> Iterator[str]:
    """Each line with its end, as text. DataError names the line that is not UTF-8 or not text at all.

    Of a packed file at most MOST_BYTES are read: what it says it holds is not told by its size.
    """
    number, unpacked = 0, 0
    packed = isinstance(file, gzip.GzipFile)
    while True:
        line = file.readline(LONGEST_LINE)
        unpacked += len(line) * packed
        if unpacked > MOST_BYTES:
            raise DataError(
                f"{path}: has more than {MOST_BYTES / 2**30:.3g} GB once unpacked; unpack it, or split it into parts"
            )
        if not line:
            if number == 0:
                raise DataError(f"{path}: the file is empty")
            return
        number += 1
        if number == 1:
            _refuse_known(line, path)
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}: line {number} is longer than {LONGEST_LINE >> 20} MB; not a table of text")
        if b"\0" in line:
            raise DataError(f"{path}: line {number} holds NUL bytes; not a text file")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: line {number} is not UTF-8 (byte 0x{line[error.start]:02x}); save the file as UTF-8"
            ) from None


def _refuse_known(head: bytes, path: Path) -> None:
    for mark, what in _MARKS.items():
        if head.startswith(mark):
            advice = "save it as UTF-8" if what == "UTF-16" else "not a table of text"
            raise DataError(f"{path}: is {what}; {advice}")
