"""The tail of a text file that a trainer wrote, made safe for a terminal."""

from __future__ import annotations

import os
import re
from pathlib import Path

TAIL_BYTES = 64 << 10
MAX_LINES = 200
MAX_WIDTH = 500
_CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def escape(line: str) -> str:
    """Colours go, tabs become spaces, every other control or unprintable character becomes visible."""
    line = _CONTROL_SEQUENCE.sub("", line).replace("\t", "    ")
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def tail_lines(path: Path, *, lines: int = MAX_LINES) -> tuple[str, ...]:
    """The last lines of a file, escaped and cut to a width; none if there is no file.

    A line that a progress bar rewrote with carriage returns shows what was written last.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - TAIL_BYTES, 0))
            data = file.read(TAIL_BYTES)
    except OSError:
        return ()
    text = data.decode("utf-8", "replace").split("\n")
    if size > TAIL_BYTES:
        del text[0]  # begun before the tail
    if text and not text[-1]:
        del text[-1]
    return tuple(escape(line.rstrip("\r").rpartition("\r")[2][:MAX_WIDTH]) for line in text[-lines:])
