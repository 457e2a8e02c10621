"""Something changed in the past, in a real terminal: a branch, its parent's curve, the tree of runs, a bisection."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from pseudo_terminal import Terminal

from bptui.runs.info import read_info
from bptui.runs.report import losses

LONG = 90.0


def step(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def test_a_change_in_the_past_goes_on_in_a_branch(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bptui", "digits", "--pace", "60", "--break", "loss < 1.5"]
    with Terminal(command, rows=36, columns=120, env={"BPTUI_HOME": str(tmp_path / "home")}) as terminal:
        terminal.wait_for("READY", LONG)
        terminal.press("space")
        terminal.wait_for("break: loss < 1.5", LONG)
        hit = step(terminal)
        terminal.press("space")
        terminal.wait_for(lambda t: step(t) >= hit + 30, LONG)
        terminal.press("space")
        terminal.wait_for("PAUSED", LONG)
        head = step(terminal)
        (parent,) = (tmp_path / "home" / "runs").iterdir()

        terminal.press("g")
        terminal.wait_for(f"step 0 to {head}", LONG)
        terminal.send("20")
        terminal.press("enter")
        terminal.wait_for(lambda t: step(t) == 20 and "Go to" not in t.text, LONG)
        terminal.press("l")
        terminal.wait_for("Live settings", LONG)
        terminal.send("0.2")
        terminal.press("enter")
        terminal.wait_for("the old future is kept", LONG)
        terminal.wait_for(lambda t: step(t) == 20 and "PAUSED" in t.line(0), LONG)
        terminal.press("escape")
        terminal.wait_for(lambda t: "Live settings" not in t.text and re.search(r"lr 0\.2\b", t.text), LONG)
        branch = max((tmp_path / "home" / "runs").iterdir(), key=lambda run: read_info(run).created)
        assert read_info(branch).parent is not None
        terminal.wait_for(lambda t: "STOPPED" in _state(parent), LONG)
        recorded = losses(parent)
        assert len(recorded) >= head  # the old future
        assert (losses(branch) == recorded[:20]).all()

        terminal.press("s")
        terminal.wait_for(lambda t: step(t) == 21, LONG)
        terminal.press("r")
        terminal.wait_for(lambda t: re.search(rf"└─{branch.name} .*PAUSED.*left at 20", t.text), LONG)
        terminal.wait_for(re.compile(rf" {parent.name} .*STOPPED  step +{len(recorded)}"), LONG)
        terminal.press("x")
        terminal.wait_for("this run is shown", LONG)
        terminal.press("up", "enter")
        terminal.wait_for(lambda t: "STOPPED" in t.line(0) and step(t) == len(recorded), LONG)
        terminal.press("r")
        terminal.wait_for(f"└─{branch.name}", LONG)
        terminal.press("down", "enter")
        terminal.wait_for(lambda t: step(t) == 21 and "PAUSED" in t.line(0), LONG)

        terminal.press("b")
        terminal.wait_for("loss < 1.5", LONG)
        terminal.press("B")
        terminal.wait_for(f"loss < 1.5: first at step {hit} (by the record)", LONG)
        terminal.wait_for(lambda t: step(t) == hit, LONG)
        terminal.press("escape")


def _state(run: Path) -> str:
    end = read_info(run).end
    return "" if end is None else json.dumps(end).upper()
