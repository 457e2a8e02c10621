"""Every plain script bare and under bptui: the same bytes and bits, and a record that tells the truth about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from features import TABLE, UNCOUNTED, Row
from observed import Observed, observe
from script_runs import Scripts

from bptui.runs.load import load
from bptui.runs.log import BlockKind, LogParser
from bptui.runs.records import TABLE_COLUMNS

ROWS = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.script.removesuffix(".py"))

#: What is told of scripts in which there is little or nothing to see.
NOTES = {
    "manual_update.py": "backward was called 20 times, but no optimiser's step()",
    "no_backward.py": "no optimiser's step() and no backward()", "one_step.py": "one update",
}  # fmt: skip


@ROWS
def test_a_script_does_the_same_under_bptui_and_is_seen_as_it_is(row: Row, scripts: Scripts) -> None:
    seen = observe(scripts, row)  # first: its hub begins and ends while the others run
    scripts.prepare(row)
    bare, truth = scripts.bare(row), scripts.truth(row)

    assert seen.ran.outcome == bare.outcome, seen.ran.stderr.decode(errors="replace")
    if not row.status:
        assert seen.ran.stderr == bare.stderr
    assert seen.report["probes_off"] == []
    assert seen.report["exit"]["code"] == row.status
    assert seen.report["steps"] == sum(steps for _, steps in row.updates)
    assert [kind(one["name"]) for one in seen.report["optimizers"]] == [name for name, _ in row.updates]
    if row.script != "os_exit.py":  # which ends without a last word
        assert [one["steps"] for one in seen.report["optimizers"]] == [steps for _, steps in row.updates]
    assert NOTES.get(row.script, "") in (seen.report["note"] or "")
    assert bool(seen.report["note"]) == (seen.report["steps"] < 2)
    if not row.models:
        assert row.unseen and seen.report["modules"] == []
    else:
        assert modules(seen) in [expected_modules(tree) for tree in truth.facts["trees"]]
        assert dead(seen, row) == row.dead


@pytest.mark.parametrize("row", UNCOUNTED, ids=lambda row: row.script.removesuffix(".py"))
def test_what_torch_compiles_is_left_alone(row: Row, scripts: Scripts) -> None:
    """It prints how often dynamo has compiled something: looking must not make it do so again."""
    seen, bare = observe(scripts, row), scripts.bare(row)
    assert bare.status == 0, bare.stderr.decode(errors="replace")
    assert seen.ran.outcome == bare.outcome, seen.ran.stderr.decode(errors="replace")
    assert seen.ran.stderr == bare.stderr
    assert seen.report["steps"] == row.updates[0][1]
    assert [one["probe"] for one in seen.report["probes_off"]] == list(row.off)
    assert "torch.compile" in seen.report["probes_off"][0]["error"]
    names = {each["name"] for each in seen.report["modules"]}
    assert {"body.0", "tail.inner", "tail.last"} <= names


def kind(name: str) -> str:
    """``Adam`` of ``Adam#2``."""
    return name.partition("#")[0]


def modules(seen: Observed) -> set[tuple[str, str, int]]:
    """Qualified name, kind and own parameters of every module below the models themselves."""
    roots = {model["name"] for model in seen.report["models"]}
    rows = {(row["name"], row["kind"], row["parameters"]) for row in seen.report["modules"]}
    return {row for row in rows if row[0] not in roots}


def expected_modules(trees: dict[str, list[Any]]) -> set[tuple[str, str, int]]:
    return {
        (f"{variable}.{name}" if len(trees) > 1 else name, kind, parameters)
        for variable, tree in trees.items()
        for name, kind, parameters in tree
        if name
    }


def dead(seen: Observed, row: Row) -> dict[str, dict[str, int]]:
    """For each layer that has any: units that gave 0 for at least 3,000 samples in a row, at the end of the run."""
    found: dict[str, dict[str, int]] = {}
    for layer, values in zip(seen.report["layers"], last_table(seen.run), strict=False):
        if values["dead"] > 0 and values["seen"] >= 3000:
            name = layer["name"]
            variable, _, inner = name.partition(".") if len(row.models) > 1 else (row.models[0], "", name)
            found.setdefault(variable, {})[inner] = int(values["dead"])
    return found


def last_table(run: Path) -> list[dict[str, float]]:
    """The columns of each layer as they were measured last; empty where only the first update was made."""
    parser, last = LogParser(), None
    for piece in load(run).log():
        for block in parser.feed(piece):
            last = block if block.kind == BlockKind.TABLE else last
    rows = [] if last is None else last.values().reshape(-1, len(TABLE_COLUMNS)).tolist()
    return [dict(zip(TABLE_COLUMNS, values, strict=True)) for values in rows]


def test_the_table_covers_what_is_promised() -> None:
    words = " ".join(row.features for row in TABLE)
    for promise in ("LBFGS", "accumulation", "zero_grad", "in place", "F.relu", "checkpointing", "evaluation", "spawn"):
        assert re.search(promise, words), promise
