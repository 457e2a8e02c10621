"""The one error of this package: what is wrong with someone's data, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 400


class DataError(ValueError):
    """One line that names the culprit (file, row, column) and, where there is one, the way out.

    Text from files is made safe for a terminal: control characters are escaped, long text is cut.
    """

    def __init__(self, message: str) -> None:
        line = printable(message)
        super().__init__(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")


def printable(text: str) -> str:
    """``text`` as one line in which a terminal finds nothing to obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(cell: str, longest: int = 40) -> str:
    """A cell of a file, quoted and cut, for a message."""
    return repr(cell if len(cell) <= longest else cell[: longest - 1] + "…")


def nearest(name: str, valid: Iterable[str]) -> str:
    """``"; did you mean 'digits'?"`` when a valid name is close to ``name``, else an empty text."""
    close = difflib.get_close_matches(name.lower(), list(valid), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
