"""``--glyphs ascii``: nothing beyond seven bits reaches the terminal.

Formulas and sentences are spelled out where they are laid out (``spell``); whatever else is drawn, Textual's own
frames and scroll bars too, goes through a filter that puts an ASCII cell in the place of each other one.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

#: Longest first, as far as one begins with another.
_SPELLED = (
    ("‖∇W‖", "|grad W|"), ("‖ΔW‖", "|dW|"), ("ˡ⁺¹", "[l+1]"), ("ˡ⁻¹", "[l-1]"), ("ˡ", "[l]"), ("ᴸ⁻¹", "[L-1]"),
    ("ᴸ", "[L]"), ("ᵀ", ".T"), ("¹", "[1]"), ("²", "[2]"), ("∇", "grad "), ("δ", "delta"), ("Δ", "d"), ("∂", "d"),
    ("Σₙ", "sum over n of "), ("Σ", "sum "), ("ₙ", ""), ("η", "lr"), ("σ", "sigma"), ("⊙", "*"), ("·", "*"),
    ("′", "'"), ("‖", "|"), ("→", "->"), ("←", "<-"), ("…", "..."), ("≤", "<="), ("≥", ">="), ("≈", "~"), ("₂", "2"),
    ("−", "-"), ("–", "-"), ("×", "x"),
)  # fmt: skip
_CELLS = {
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╔╗╚╝▛▜▙▟┏┓┗┛", "+"), **dict.fromkeys("─━┄┈═╌‐‑‒–—−⎯▔▁", "-"),
    **dict.fromkeys("│┃║▏▕▎▊┆┊‖", "|"), **dict.fromkeys("█▉▋▌▍▐▀▄▂▃▅▆▇■▪◼▖▗▘▝▚▞", "#"), **dict.fromkeys("░▒▓", ":"),
    **dict.fromkeys("→▸▶►›»", ">"), **dict.fromkeys("←◂◀‹«", "<"), **dict.fromkeys("↑⌃▴", "^"),
    **dict.fromkeys("↓▼▾", "v"), **dict.fromkeys("…·⋯•∙", "."), **dict.fromkeys("×✖✕✗✘", "x"),
    **dict.fromkeys("●◆⊙★⠿", "*"), **dict.fromkeys("○◇◎◔◯", "o"), **dict.fromkeys("✔✓", "+"),
    **dict.fromkeys("‘’′", "'"), **dict.fromkeys("“”″", '"'), "▲": "!", "◌": "~", "≈": "~", "≤": "<", "≥": ">",
    "δ": "d", "Δ": "D", "∇": "V", "∂": "d", "Σ": "S", "σ": "s", "η": "n", "√": "v", "⏎": "<", "█": "#",
    "ˡ": "l", "ᴸ": "L", "ᵀ": "T", "⁺": "+", "⁻": "-",
}  # fmt: skip


def spell(text: str) -> str:
    """Formulas and punctuation in ASCII, as one would type them: ``δˡ`` is ``delta[l]``. Lengths change."""
    if text.isascii():
        return text
    for symbol, word in _SPELLED:
        text = text.replace(symbol, word)
    return cells(text)


@lru_cache(4096)
def cells(text: str) -> str:
    """Each character as ASCII characters of the same width in cells."""
    if text.isascii():
        return text
    return "".join(_cell(character) for character in text)


@lru_cache(1024)
def _cell(character: str) -> str:
    width = cell_len(character)
    if character.isascii() or width == 0:
        return character if character.isascii() else ""
    known = _CELLS.get(character)
    if known is None and "\u2800" <= character <= "\u28ff":
        known = " " if character == "\u2800" else "*"
    if known is None:
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        known = plain[:1] or "?"
    return known + ("?" if known == "?" else " ") * (width - 1)


class AsciiOnly(LineFilter):
    """Every line that any widget draws."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(cells(segment.text), segment.style, segment.control)
            for segment in segments
        ]
