"""How wide this terminal draws a character: written, then the cursor is asked where it stands (CSI 6 n)."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Iterator, Sequence

#: Seconds to wait for a terminal that may be at the other end of the world.
TIMEOUT = 1.0
_REPORT = re.compile(rb"\x1b\[(\d+);(\d+)R")


class NoAnswer(Exception):
    """The terminal did not say where its cursor stands."""


@contextlib.contextmanager
def raw_terminal() -> Iterator[int]:
    """A file descriptor of the controlling terminal, without echo and line by line editing; NoAnswer without one."""
    import termios
    import tty

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise NoAnswer("no terminal") from None
    try:
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal, termios.TCSANOW)
            yield terminal
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    except termios.error:
        raise NoAnswer("not a terminal") from None
    finally:
        os.close(terminal)


def cell_widths(characters: Sequence[str], timeout: float = TIMEOUT) -> dict[str, int]:
    """Character → cells that this terminal gives it. Leaves the line as it was. NoAnswer if it does not tell."""
    sys.stdout.flush()
    with raw_terminal() as terminal:
        found = {}
        for character in characters:
            os.write(terminal, b"\r" + character.encode() + b"\x1b[6n")
            found[character] = _column(terminal, timeout) - 1
            os.write(terminal, b"\r\x1b[K")
        return found


def _column(terminal: int, timeout: float) -> int:
    """The column of the next cursor position report, counted from 1."""
    deadline = time.monotonic() + timeout
    answer = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            raise NoAnswer("the terminal did not answer")
        answer += os.read(terminal, 256)
        if report := _REPORT.search(answer):
            return int(report[2])
