"""A breakpoint typed on the screen: it stands in the very state in which its condition came to hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pseudo_terminal import Terminal

from bptui.runs.events import read_events
from bptui.runs.report import report

BPTUI = [sys.executable, "-m", "bptui"]


def test_armed_on_the_screen_it_stands_before_the_update(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal([*BPTUI, "digits", "--pace", "0"], rows=36, columns=120, env={"BPTUI_HOME": str(home)}) as terminal:
        terminal.wait_for("READY")
        terminal.press("b")
        terminal.wait_for("No breakpoint is armed")
        terminal.press("a", *"loss < 0.5 and step > 3 ", "enter")  # at once: no space of it may run anything
        terminal.wait_for("armed: loss < 0.5 and step > 3")
        assert "READY" in terminal.line(0)
        terminal.press("escape")
        terminal.wait_for("2 Loss")
        terminal.press("space")
        terminal.wait_for(lambda t: "PAUSED" in t.line(0))
        terminal.wait_for("break: loss < 0.5 and step > 3")
        found = re.search(r"step ([\d,]+)", terminal.line(0))
        assert found is not None
        step = int(found[1].replace(",", ""))
        terminal.press("b")
        terminal.wait_for("holds now")
        terminal.wait_for(re.compile(r"loss = 0\.[0-4]\d+ < 0\.5"))  # the coming loss: the update is not done
        terminal.press("escape")
        terminal.wait_for("2 Loss")
        (run,) = (home / "runs").iterdir()
        (event,) = [event for event in read_events(run) if event.change == "break"]
        assert (event.step, event.after) == (step, "loss < 0.5 and step > 3")
        losses = report(run)["losses"]
        first = next((k for k, loss in enumerate(losses) if loss < 0.5 and k + 1 > 3), len(losses))
        assert step == first > 3
