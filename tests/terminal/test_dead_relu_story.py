"""The story of ``dead-relu`` in a real terminal: which units are dead, what killed them, what if not, and go on so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pseudo_terminal import Terminal

LONG = 120.0


def test_dead_units_are_found_explained_and_avoided(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bptui", "dead-relu"]
    with Terminal(command, rows=36, columns=120, env={"BPTUI_HOME": str(tmp_path / "home")}) as terminal:
        terminal.wait_for("READY", LONG)
        terminal.press("space")
        terminal.wait_for(lambda t: "DONE" in t.line(0), LONG)

        terminal.press("d")  # the lens lists dead units
        terminal.wait_for(lambda t: "units let no δ through" in t.text and "step 900" in t.line(1), LONG)
        lost, total = map(int, re.search(r"(\d+)/(\d+) units let", terminal.line(1)).groups())  # type: ignore[union-attr]
        assert total == 48 and lost > 36
        terminal.wait_for(lambda t: t.text.count("✖") > lost, LONG)

        terminal.press("enter")  # the certificate names step and rate
        terminal.wait_for(lambda t: "Δ max z" in t.text and "lr 1  " in t.text and "enter goes to step" in t.text, LONG)
        assert re.search(r"last fired in step [1-9]", terminal.text)
        first = re.search(r"killed the first \d+: dense2 (\d+)", terminal.text)  # and who died first
        assert first is not None

        terminal.press("]", "home")  # the certificate of that one
        terminal.wait_for("Units of dense2", LONG)
        for _ in range(16):  # down to it
            under = selected(terminal)
            if under == first[1]:
                break
            terminal.press("down")
            terminal.wait_for(re.compile(rf"▸ +(?!{under} )\d+ ✖"), LONG)
        terminal.press("enter")
        terminal.wait_for(lambda t: f"dense2 unit {first[1]}" in t.text and "lr 1  " in t.text, LONG)
        last = re.search(r"last fired in step ([\d,]+)", terminal.text)
        assert last is not None
        terminal.press("enter")  # to the step before its death
        terminal.wait_for(lambda t: re.search(rf"PAUSED +step {last[1]} ", t.line(0)), LONG)
        terminal.wait_for(lambda t: f" step {last[1]} " in t.line(1), LONG)
        alive = re.search(r"(\d+)/48 units let", terminal.line(1))
        assert alive is not None and int(alive[1]) < lost

        terminal.press("x")  # from there with a tenth of the rate
        terminal.wait_for(f"from step {last[1]}", LONG)
        terminal.press("enter")
        terminal.wait_for(lambda t: None not in (row(t, "unchanged"), row(t, "lr=/10")), LONG)
        unchanged, slower = row(terminal, "unchanged"), row(terminal, "lr=/10")
        assert unchanged is not None and unchanged[0] > 24
        assert slower is not None and slower[1] == 48 and slower[0] < 0.1 * slower[1]
        terminal.wait_for("bit for bit (100 losses)", LONG)

        terminal.press("enter")  # adopted, it trains to the target
        terminal.wait_for("the old future is kept", LONG)
        terminal.wait_for(lambda t: "PAUSED" in t.line(0), LONG)
        terminal.press("space")
        terminal.wait_for(lambda t: "DONE" in t.line(0) and "step 900" in t.line(1), LONG)
        terminal.wait_for(lambda t: re.search(r" [0-4]/48 units let", t.line(1)), LONG)
        terminal.press("escape")
        terminal.wait_for(lambda t: re.search(r"val 9\d\.\d %", t.text), LONG)


def row(terminal: Terminal, name: str) -> tuple[int, int] | None:
    """Dead units, and of how many, in a row that is done; None as long as it is not."""
    found = re.search(rf"{re.escape(name)} +done .*? (\d+)/(\d+) ", terminal.text)
    return (int(found[1]), int(found[2])) if found else None


def selected(terminal: Terminal) -> str:
    """The dead unit under the cursor."""
    terminal.wait_for(re.compile(r"▸ +\d+ ✖"), LONG)
    found = re.search(r"▸ +(\d+) ✖", terminal.text)
    return found[1] if found else ""
