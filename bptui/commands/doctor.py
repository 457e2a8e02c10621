"""``bptui doctor``: what this terminal and this machine can do."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.doctor.fact import Fact


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON: one object a fact")


def act(arguments: argparse.Namespace) -> int:
    import msgspec

    from bptui.doctor import machine, terminal

    found = terminal.facts(os.environ) + machine.facts(os.environ)
    worst = "problem" if any(fact.level == "problem" for fact in found) else "ok"
    if arguments.json:
        document = {"schema": 1, "result": worst, "facts": found}
        print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    else:
        print("\n".join(rendered(found, ascii_only=_ascii_only())))
    return 1 if worst == "problem" else 0


def rendered(found: list[Fact], *, ascii_only: bool = False) -> list[str]:
    """Lines for a reader: mark, name, value; advice under it."""
    marks = {
        "ok": "ok" if ascii_only else "✔",
        "warn": "!" if ascii_only else "▲",
        "problem": "X" if ascii_only else "✖",
    }
    width = max(len(fact.name) for fact in found)
    lines: list[str] = []
    area = ""
    for fact in found:
        if fact.area != area:
            lines += ([""] if lines else []) + [fact.area]
            area = fact.area
        lines.append(f"  {marks[fact.level]:2} {fact.name:{width}}  {_printable(fact.value)}")
        if fact.advice:
            lines.append(f"     {'':{width}}  {'->' if ascii_only else '→'} {_printable(fact.advice)}")
    counts = {level: sum(fact.level == level for fact in found) for level in marks}
    lines += ["", f"{counts['ok']} ok, {counts['warn']} to look at, {counts['problem']} in the way"]
    return [line.encode("ascii", "replace").decode() if ascii_only else line for line in lines]


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _ascii_only() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
