"""Numbers and words for a screen; text from outside made harmless."""

from __future__ import annotations

import math
import unicodedata

from rich.cells import cell_len, set_cell_size


def clean(text: str, limit: int = 2000) -> str:
    """Text from outside without control, format and surrogate characters: nothing in it moves a cursor."""
    if text.isascii() and text.isprintable():
        return text[:limit]
    kept = []
    for character in text[:limit]:
        category = unicodedata.category(character)
        kept.append(
            "�"
            if category in ("Cs", "Co", "Cn")
            else " "
            if category[0] == "C" or category in ("Zl", "Zp")
            else character
        )
    return "".join(kept)


def fit(text: str, width: int) -> str:
    """Exactly ``width`` cells; what is cut ends in an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def fit_layer(name: str, width: int) -> str:
    """A layer's name in ``width`` cells: where it is too long, what it lies in gives way (``g.dense1``)."""
    parts = name.split(".")
    for at, part in enumerate(parts[:-1]):  # the outermost first
        if cell_len(".".join(parts)) <= width:
            break
        parts[at] = part[:1]
    return fit(".".join(parts), width)


def right(text: str, width: int) -> str:
    """Exactly ``width`` cells, set to the right."""
    missing = width - cell_len(text)
    return " " * missing + text if missing >= 0 else fit(text, width)


def integer(value: int) -> str:
    """``1,284``."""
    return f"{value:,}"


def count(value: int) -> str:
    """At most five cells: ``528``, ``2.1k``, ``1.3M``."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}{letter}" if scaled < 99.95 else f"{scaled:.0f}{letter}"
    return str(value)


def small(value: float) -> str:
    """A magnitude in at most seven cells: ``3.1e-2``, ``1.25``, ``0``, ``nan``, ``inf``."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 0.995 <= abs(value) < 999.5:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def number(value: float) -> str:
    """A setting, without needless digits: ``0.1``, ``1e-5``, ``10``."""
    return f"{value:.6g}"


def change_text(change: str, before: float | str | None, after: float | str | None) -> str:
    """``lr 0.1→0.05``."""
    words = [number(value) if isinstance(value, float) else value for value in (before, after) if value is not None]
    return f"{change} {'→'.join(words)}".strip()


def loss_text(value: float) -> str:
    """A loss with about three digits: ``0.312``, ``12.4``, ``4.2e-6``, ``nan``."""
    if not math.isfinite(value):
        return small(value)
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return small(value)
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def speed(value: float) -> str:
    """``50 steps/s``, ``7.1k steps/s``."""
    return f"{value:.1f} steps/s" if value < 9.95 else f"{count(round(value))} steps/s"


def wrap(text: str, width: int, lines: int) -> list[str]:
    """Words in at most ``lines`` lines of ``width`` cells; the last one is cut where it is too long."""
    out: list[str] = []
    words = text.split()
    while words and len(out) < lines:
        if len(out) == lines - 1:
            out.append(" ".join(words))
            break
        line = words.pop(0)
        while words and cell_len(line) + 1 + cell_len(words[0]) <= width:
            line += " " + words.pop(0)
        out.append(line)
    return [fit(line, width).rstrip() for line in out]
