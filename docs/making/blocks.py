"""Generated blocks of a page: ``<!-- made: NAME ARGUMENT … -->`` to ``<!-- end -->``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Maker = Callable[..., str]
_BLOCK = re.compile(r"(<!-- made: ([^\n]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def names(text: str) -> list[tuple[str, ...]]:
    """Name and arguments of each block of a page."""
    return [tuple(match.group(2).split()) for match in _BLOCK.finditer(text)]


def content(text: str, *words: str) -> str:
    """What stands in one block of a page."""
    for match in _BLOCK.finditer(text):
        if tuple(match.group(2).split()) == words:
            return text[match.end(1) : match.start(3)]
    raise KeyError(" ".join(words))


def filled(text: str, makers: Mapping[str, Maker]) -> str:
    """The page with every block made anew."""

    def made(match: re.Match[str]) -> str:
        name, *arguments = match.group(2).split()
        return match.group(1) + makers[name](*arguments).strip("\n") + "\n" + match.group(3)

    return _BLOCK.sub(made, text)


def table(head: list[str], rows: list[list[str]], align: str = "") -> str:
    """A Markdown table; ``align`` has a letter a column: l or r."""
    rule = ["---:" if letter == "r" else "---" for letter in (align or "l" * len(head)).ljust(len(head), "l")]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])
