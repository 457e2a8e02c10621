"""The plain scripts by themselves: the table tells the truth about them."""

from __future__ import annotations

import re

import pytest
from features import TABLE, UNCOUNTED, Row
from script_runs import SCRIPTS, Scripts

ROWS = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.script.removesuffix(".py"))


def test_every_script_has_its_row() -> None:
    files = {path.name for path in SCRIPTS.glob("*") if path.suffix == ".py" or (path / "__main__.py").exists()}
    assert files == {row.script for row in (*TABLE, *UNCOUNTED)}
    assert len(files) == len(TABLE) + len(UNCOUNTED) >= 25


def test_no_script_knows_of_bptui() -> None:
    assert not [path for path in SCRIPTS.rglob("*.py") if "bptui" in path.read_text()]


def test_no_two_scripts_share_a_loop() -> None:
    """No run of six lines is in two scripts, apart from imports and blank lines."""
    seen: dict[tuple[str, ...], str] = {}
    shared = []
    for path in sorted(SCRIPTS.rglob("*.py")):
        lines = [line.strip() for line in path.read_text().splitlines()]
        lines = [line for line in lines if line and not re.match(r"(import|from) ", line)]
        for i in range(len(lines) - 5):
            piece = tuple(lines[i : i + 6])
            if seen.setdefault(piece, path.name) != path.name:
                shared.append((path.name, seen[piece], piece))
    assert not shared


@ROWS
def test_the_oracle_agrees_with_the_table(row: Row, scripts: Scripts) -> None:
    scripts.prepare(row)
    bare, truth = scripts.bare(row), scripts.truth(row)
    assert bare.status == row.status, bare.stderr.decode(errors="replace")
    assert truth.outcome == bare.outcome  # two runs agree bit for bit: so must a third under bptui
    if row.printed:
        assert re.fullmatch(rb"sha256 [0-9a-f]{64}", bare.stdout.splitlines()[-1])
    if row.script != "os_exit.py":  # where the oracle has no last word
        assert tuple((kind, count) for kind, count in truth.facts["updates"]) == row.updates
        dead = {(model, layer): count for model, layers in row.dead.items() for layer, count in layers.items()}
        found = {
            (model, layer): count
            for model, layers in truth.facts["dead"].items()
            for layer, (count, _, samples) in layers.items()
            if samples >= 3000
        }
        assert {place: count for place, count in found.items() if count} == dead
