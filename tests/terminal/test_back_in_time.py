"""``S``, ``N`` and ``g`` in a real terminal: back, and the same numbers again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pseudo_terminal import Terminal


def place(terminal: Terminal) -> str:
    found = re.search(r"step ([\d,]+(?: · [a-z]+(?: \w+)?)?)", terminal.line(0))
    return found[1] if found else ""


def test_back_to_any_step_and_forth(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bptui", "digits", "--pace", "60"]
    with Terminal(command, rows=36, columns=120, env={"BPTUI_HOME": str(tmp_path / "home")}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for(lambda t: place(t).isdecimal() and int(place(t)) >= 50)
        terminal.press("space")
        terminal.wait_for("PAUSED")
        head = int(place(terminal))

        terminal.press("i")
        terminal.wait_for("samples × units")
        terminal.wait_for("delta[0, 0] = ")
        loss = value(terminal)
        terminal.press("S")
        terminal.wait_for(lambda t: place(t) == str(head - 1) and value(t) not in ("", loss))
        terminal.press("s")
        terminal.wait_for(lambda t: place(t) == str(head) and value(t) == loss)
        terminal.press("escape")

        terminal.press("N")
        terminal.wait_for(lambda t: place(t) == f"{head - 1} · clip")
        terminal.press("N")
        terminal.wait_for(lambda t: place(t) == f"{head - 1} · backward dense1")
        terminal.press("n")
        terminal.wait_for(lambda t: place(t) == f"{head - 1} · clip")

        for words, arrives in (("12", "12"), ("+3", "15"), ("-5", "10"), ("epoch 1", "45"), ("end", str(head))):
            terminal.press("g")
            terminal.wait_for(f"step 0 to {head}")
            terminal.send(words)
            terminal.press("enter")
            terminal.wait_for(lambda t, step=arrives: place(t) == step)  # type: ignore[misc]
        terminal.press("g")
        terminal.wait_for(f"step 0 to {head}")
        terminal.send("9999999")
        terminal.press("enter")
        terminal.wait_for("is not there")
        terminal.press("escape")
        terminal.wait_for(lambda t: "Go to" not in t.text)
        terminal.press("space")
        terminal.wait_for(lambda t: place(t).isdecimal() and int(place(t)) > head)


def test_the_files_of_a_run_are_opened_at_a_step_and_gone_through(tmp_path: Path) -> None:
    env = {"BPTUI_HOME": str(tmp_path / "home")}
    trained = [sys.executable, "-m", "bptui", "train", "digits", "--epochs", "2"]
    subprocess.run(trained, env=os.environ | env, capture_output=True, check=True, timeout=120)
    command = [sys.executable, "-m", "bptui", "open", "latest@40/dense2/delta[3,5]"]
    with Terminal(command, rows=36, columns=120, env=env) as terminal:
        terminal.wait_for("Shown is step 40 of 90.", 90)
        terminal.wait_for(re.compile(r"delta\[3, 5\] = \S+   sample 3, unit 5"), 60)  # that very cell, in the inspector
        exact = re.search(r"delta\[3, 5\] = (\S+)", terminal.text)
        terminal.press("Y")
        terminal.wait_for(f"@40/dense2/delta[3,5] = {exact and exact[1]}", 60)
        terminal.press("escape")
        terminal.wait_for("1 Model", 60)
        assert "from files" in terminal.line(0) and place(terminal) == "40" and "▸ dense2" in terminal.text
        assert re.search(r" step 40 ─ train [\d.]+ ", terminal.text)

        terminal.press("s")
        terminal.wait_for(lambda t: place(t) == "41", 60)
        terminal.press("S", "S")
        terminal.wait_for(lambda t: place(t) == "39", 60)
        terminal.press("v", "6")
        terminal.wait_for("of step 39", 60)
        terminal.press("escape")
        terminal.wait_for("1 Model", 60)
        terminal.press("space")
        terminal.wait_for("g, s and S go to its steps", 60)
        terminal.press("o")
        terminal.wait_for("r lists the runs", 60)
        terminal.send("nothing@1")
        terminal.press("enter")
        terminal.wait_for("no run 'nothing' in", 60)
        terminal.press("ctrl+u")
        terminal.send("latest@10/dense3/b[2]")
        terminal.press("enter")
        terminal.wait_for(re.compile(r"b\[2\] = \S+   unit 2"), 60)
        assert place(terminal) == "10"
        terminal.press("escape", "q")
        assert terminal.wait_exit(60) == 0
    assert not [place for place in (tmp_path / "home" / "runs").iterdir() if place.name.startswith(".")]


def value(terminal: Terminal) -> str:
    """The loss that goes with the values shown, to the last digit."""
    found = re.search(r"   loss (\S+)", terminal.text)
    return found[1] if found else ""
