"""A real program in a real pseudo-terminal, driven by keys and read as a screen.

    with Terminal(["bptui", "digits"], rows=36, columns=120) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for(lambda t: "RUNNING" in t.line(0))
        terminal.resize(24, 80)
        terminal.press("q")
        assert terminal.wait_exit() == 0

A thread takes what the program writes as it comes, so that the program is never held up by its reader, and
notes the time; the screen is drawn in the caller's thread, when it is looked at.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pyte.screens import Char
from terminal_emulation import Emulation

KEYS = {
    "space": " ", "enter": "\r", "escape": "\x1b", "tab": "\t", "shift+tab": "\x1b[Z", "backspace": "\x7f",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
    "pageup": "\x1b[5~", "pagedown": "\x1b[6~", "delete": "\x1b[3~", "insert": "\x1b[2~",
    "shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B", "shift+right": "\x1b[1;2C", "shift+left": "\x1b[1;2D",
    "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~",
}  # fmt: skip
KEYS |= {f"ctrl+{letter}": chr(number) for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=1)}

ESCAPE_DELAY = 0.15
"""Seconds after a lone Escape: sooner, the next key would belong to it (Textual waits 0.1 s)."""

FOREIGN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM_PROGRAM", "TMUX", "WT_SESSION", "SSH_TTY")
"""Variables of the terminal that the tests themselves run in."""

# A session leader that opens a terminal gets it as its controlling terminal; and the program keeps this pid.
_OPEN = 'terminal=$1; shift; exec "$@" <>"$terminal" >&0 2>&1'


class ScreenTimeout(AssertionError):
    """What was waited for did not come; the message holds the screen."""


class Terminal:
    """``command`` in a pseudo-terminal of ``rows`` × ``columns``, with ``env`` over the caller's environment.

    Close it, or use it as a context manager: what is left of the program's process group is then killed.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        rows: int = 36,
        columns: int = 120,
        env: Mapping[str, str | None] | None = None,
        cwd: str | Path | None = None,
        link: float | None = None,
    ) -> None:
        """``link``: bytes a second that get through, as over a slow line (default: as they come)."""
        self._link = link
        self.emulation = Emulation(rows, columns)
        self.received = 0
        """Bytes that the program has written, as far as they are drawn."""
        self.transcript = bytearray()
        """Those bytes."""
        self.painted_at = 0.0
        """``time.perf_counter()`` when the last piece that is drawn arrived."""
        self._pieces: collections.deque[tuple[float, bytes]] = collections.deque()
        self._arrived = threading.Condition()
        self._open = True
        self._waiting = False
        self._master, self._slave = pty.openpty()
        self._set_size(rows, columns)
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", _OPEN, "sh", os.ttyname(self._slave), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(env or {}),
            cwd=cwd,
        )
        self._reader = threading.Thread(target=self._read, name="pseudo-terminal", daemon=True)
        self._reader.start()

    # ---- the screen

    @property
    def rows(self) -> int:
        return self.emulation.rows

    @property
    def columns(self) -> int:
        return self.emulation.columns

    @property
    def lines(self) -> list[str]:
        self.draw()
        return self.emulation.lines

    @property
    def text(self) -> str:
        """The screen, one line a row, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self.lines)

    @property
    def cells(self) -> list[list[Char]]:
        self.draw()
        return self.emulation.cells

    def line(self, row: int) -> str:
        return self.lines[row].rstrip()

    def find(self, text: str) -> tuple[int, int] | None:
        """Row and column at which ``text`` first stands on the screen."""
        for row, line in enumerate(self.lines):
            if (column := line.find(text)) >= 0:
                return row, column
        return None

    def draw(self) -> None:
        """Draws everything that has arrived; inside ``wait_for``, which draws piece by piece, nothing."""
        while not self._waiting and self._draw_next():
            pass

    def _draw_next(self) -> bool:
        with self._arrived:
            if not self._pieces:
                return False
            self.painted_at, piece = self._pieces.popleft()
        self.received += len(piece)
        self.transcript += piece
        if answer := self.emulation.feed(piece):
            self.send(answer)
        return True

    # ---- the keyboard

    def send(self, keys: str | bytes) -> None:
        """Types ``keys`` as they are."""
        data = keys.encode() if isinstance(keys, str) else keys
        with contextlib.suppress(OSError):  # the program has gone: what comes next will notice
            while data and self._open:
                data = data[os.write(self._master, data) :]

    def press(self, *keys: str) -> None:
        """Presses keys by name (``KEYS``, and ``alt+x``); any other single character is itself."""
        for key in keys:
            if key not in KEYS and not key.startswith("alt+") and len(key) != 1:
                raise KeyError(f"no key {key!r}")
            self.send("\x1b" + key[4:] if key.startswith("alt+") else KEYS.get(key, key))
            if key == "escape":
                time.sleep(ESCAPE_DELAY)

    def click(self, row: int, column: int) -> None:
        """The left mouse button, pressed and released on a cell (counted from 0)."""
        self.send(f"\x1b[<0;{column + 1};{row + 1}M\x1b[<0;{column + 1};{row + 1}m")

    def resize(self, rows: int, columns: int) -> None:
        """Another size, as when a window is dragged: the kernel sends SIGWINCH to the program."""
        self.draw()
        self.emulation.resize(rows, columns)
        self._set_size(rows, columns)

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    # ---- waiting

    def wait_for(self, what: str | re.Pattern[str] | Callable[[Terminal], object], timeout: float = 60.0) -> float:
        """Waits until ``what`` is on the screen: a text, a pattern or a true answer of a function of this terminal.

        Looks at each piece that arrives, though not inside a synchronised update. Returns the time
        (``time.perf_counter()``) at which the piece that brought it arrived. Raises ScreenTimeout.
        """
        deadline = time.monotonic() + timeout
        holds = _condition(what)
        self._waiting = True
        try:
            return self._wait(holds, _name(what), deadline, timeout)
        finally:
            self._waiting = False

    def _wait(self, holds: Callable[[Terminal], object], name: str, deadline: float, timeout: float) -> float:
        if not self.emulation.updating and holds(self):
            return self.painted_at
        while True:
            drawn = self._draw_next()
            if not (drawn and self.emulation.updating) and holds(self):
                return self.painted_at
            left = deadline - time.monotonic()
            if drawn and left > 0:
                continue
            if left <= 0 or self._ended():
                why = f"within {timeout:g} s" if left <= 0 else f"before the program ended ({self.process.returncode})"
                raise ScreenTimeout(f"{name} did not come {why}; the screen:\n{self.text}")
            with self._arrived:
                if not self._pieces and self._reader.is_alive():
                    # Conditions may look at more than the screen: ask again now and then.
                    self._arrived.wait(min(left, 0.05))

    def wait_quiet(self, seconds: float = 0.5, timeout: float = 60.0) -> None:
        """Waits until nothing has been written for ``seconds``."""
        deadline = time.monotonic() + timeout
        while True:
            self.draw()
            with self._arrived:
                if not self._arrived.wait(seconds) and not self._pieces:
                    return
            if time.monotonic() > deadline:
                raise ScreenTimeout(f"the program was not quiet within {timeout:g} s; the screen:\n{self.text}")

    def wait_exit(self, timeout: float = 60.0) -> int:
        """Waits for the end of the program; returns its exit status (negative: the signal that ended it)."""
        deadline = time.monotonic() + timeout
        while self._reader.is_alive() and time.monotonic() < deadline:
            self.draw()  # queries are answered up to the end
            self._reader.join(0.02)
        self.draw()
        try:
            return self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise ScreenTimeout(f"the program did not end within {timeout:g} s; the screen:\n{self.text}") from None

    # ---- the process

    @property
    def pid(self) -> int:
        """The program's own: a launcher in between would be one process more."""
        return self.process.pid

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Closes the line, as a lost SSH connection does; the kernel sends SIGHUP to the program's session."""
        if self._open:
            self._open = False
            self._reader.join()
            os.close(self._master)
            os.close(self._slave)

    def close(self) -> None:
        """Kills what is left of the program's process group, and closes the terminal. May be called twice."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ended(self) -> bool:
        return not self._reader.is_alive() and not self._pieces

    def _read(self) -> None:
        # The slave side stays open here, so the end shows as a program that has ended and left nothing to read.
        while self._open:
            ended = self.process.poll() is not None
            ready, _, _ = select.select([self._master], [], [], 0.0 if ended else 0.05)
            if ready:
                piece = os.read(self._master, 1 << 16 if self._link is None else max(64, int(self._link / 20)))
                if self._link is not None:
                    time.sleep(len(piece) / self._link)
                with self._arrived:
                    self._pieces.append((time.perf_counter(), piece))
                    self._arrived.notify_all()
            elif ended:
                break
        with self._arrived:
            self._arrived.notify_all()


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN and not key.startswith("TEXTUAL")}
    env |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def _condition(what: str | re.Pattern[str] | Callable[[Terminal], object]) -> Callable[[Terminal], object]:
    if isinstance(what, str):
        return lambda terminal: any(what in line for line in terminal.emulation.lines)
    if isinstance(what, re.Pattern):
        return lambda terminal: what.search("\n".join(terminal.emulation.lines))
    return what


def _name(what: str | re.Pattern[str] | Callable[[Terminal], object]) -> str:
    if isinstance(what, str | re.Pattern):
        return repr(what if isinstance(what, str) else what.pattern)
    return f"the condition {getattr(what, '__name__', what)!r}"
