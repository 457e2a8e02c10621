"""What a terminal does with the bytes that a program writes: a screen of cells, and answers to queries.

pyte draws the cells. It knows neither the alternate screen nor sequences with ``<``, ``=``, ``>`` or ``$``,
and would print their last letters as text; so the stream is cut into whole sequences first, and only what
pyte understands reaches it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

import pyte
from pyte.screens import Char

_SEQUENCE = re.compile(
    r"\x1b\[(?P<prefix>[<=>?]?)(?P<parameters>[0-9;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*(?:\x1b[^\\][^\x1b]*)*\x1b\\"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[<=>?]?[0-9;:]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_](?:[^\x1b]|\x1b(?!\\))*|[ -/]*)?\Z")

ALTERNATE_SCREEN = {"47", "1047", "1049"}
SYNCHRONISED = "2026"
BACKGROUND, FOREGROUND = "1e1e/1e1e/1e1e", "d4d4/d4d4/d4d4"


class Emulation:
    """The screen of one terminal. ``feed`` takes bytes and returns what the terminal would answer."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.main = pyte.Screen(columns, rows)
        self.alternate = pyte.Screen(columns, rows)
        self._streams = {False: pyte.Stream(self.main), True: pyte.Stream(self.alternate)}
        self.on_alternate = False
        self.updating = False
        """Between "begin" and "end synchronised update": a real terminal shows nothing of it yet."""
        self.frames = 0
        """Synchronised updates that have ended."""
        self.modes: set[str] = set()
        """Private modes that are set now, such as ``1049``, ``1003``, ``2004``: a program that ends must leave none."""
        self.title = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._lines: dict[bool, dict[int, str]] = {False: {}, True: {}}

    @property
    def screen(self) -> pyte.Screen:
        return self.alternate if self.on_alternate else self.main

    @property
    def lines(self) -> list[str]:
        """The rows as text, with trailing spaces; a wide character is one character."""
        screen, known = self.screen, self._lines[self.on_alternate]
        for row in screen.dirty if len(known) == self.rows else range(self.rows):
            cells = screen.buffer[row]
            known[row] = "".join([cells[column].data for column in range(self.columns)])
        screen.dirty.clear()
        return [known[row] for row in range(self.rows)]

    @property
    def cells(self) -> list[list[Char]]:
        """Rows × columns; the cell after a wide character has empty ``data``."""
        buffer = self.screen.buffer
        return [[buffer[row][column] for column in range(self.columns)] for row in range(self.rows)]

    def resize(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        for screen in (self.main, self.alternate):
            screen.resize(rows, columns)
        self._lines = {False: {}, True: {}}

    def feed(self, data: bytes) -> bytes:
        """Draws ``data``; returns the answers to the queries in it."""
        text = self._rest + self._decode(data)
        unfinished = _UNFINISHED.search(text)
        self._rest = text[unfinished.start() :] if unfinished else ""
        text = text[: len(text) - len(self._rest)]
        answers: list[str] = []
        at = 0
        for match in _SEQUENCE.finditer(text):
            self._draw(text[at : match.start()])
            answers.extend(self._sequence(match))
            at = match.end()
        self._draw(text[at:])
        return "".join(answers).encode()

    def _draw(self, text: str) -> None:
        if text:
            self._streams[self.on_alternate].feed(text)

    def _sequence(self, match: re.Match[str]) -> Iterator[str]:
        final, osc = match["final"], match["osc"]
        if osc is not None:
            yield from self._osc(osc)
        elif final is None:
            if match[0][1] not in "PX^_":
                self._draw(match[0])
        elif final == "p" and match["prefix"] == "?" and match["between"] == "$":
            yield f"\x1b[?{match['parameters']};{self._mode_report(match['parameters'])}$y"
        elif final == "c" and not match["prefix"]:
            yield "\x1b[?62;22c"
        elif final == "c" and match["prefix"] == ">":
            yield "\x1b[>41;0;0c"
        elif final == "n" and not match["prefix"]:
            cursor = self.screen.cursor
            yield f"\x1b[{cursor.y + 1};{cursor.x + 1}R" if match["parameters"] == "6" else "\x1b[0n"
        elif final in "hl" and match["prefix"] == "?":
            self._modes(match["parameters"].split(";"), final == "h", match[0])
        elif final == "m" and not match["prefix"]:
            self._draw(re.sub(r"\b4:(\d)", lambda kind: "24" if kind[1] == "0" else "4", match[0]).replace(":", ";"))
        elif not match["prefix"] and not match["between"]:
            self._draw(match[0])

    def _modes(self, names: list[str], on: bool, sequence: str) -> None:
        for name in names:
            (self.modes.add if on else self.modes.discard)(name)
            if name in ALTERNATE_SCREEN:
                if on and not self.on_alternate:
                    self.alternate.reset()
                self.on_alternate = on
            elif name == SYNCHRONISED:
                self.updating = on
                self.frames += not on
            else:
                self._draw(f"\x1b[?{name}{sequence[-1]}")

    def _mode_report(self, name: str) -> int:
        """0 not known, 1 set, 2 not set. Textual asks for synchronised updates, and for reports of size (not known)."""
        return 0 if name != SYNCHRONISED else 1 if name in self.modes else 2

    def _osc(self, text: str) -> Iterator[str]:
        code, _, value = text.partition(";")
        if code in ("0", "2"):
            self.title = value
        elif code in ("10", "11") and value == "?":
            yield f"\x1b]{code};rgb:{FOREGROUND if code == '10' else BACKGROUND}\x1b\\"
