"""The lesson in a real terminal: predict, press n, see; leave it and go on."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from left_running import left_running
from pseudo_terminal import Terminal

from bptui.lessons.course import load_course

LESSON = [sys.executable, "-m", "bptui", "lesson", "backprop"]
COURSE = load_course("backprop")


def test_the_whole_lesson_and_back_in_the_middle(tmp_path: Path) -> None:
    environment = {"BPTUI_HOME": str(tmp_path)}
    with Terminal(LESSON, rows=24, columns=80, env=environment) as terminal:
        _step(terminal, 0)
        terminal.wait_for("What is z of hidden unit 1?")
        terminal.send("0.5")
        terminal.press("n")
        terminal.wait_for("first the number")
        terminal.press("enter")
        terminal.wait_for("Not that.")
        terminal.press("backspace", "backspace", "backspace")
        for index in range(1, 4):
            _step(terminal, index)
        terminal.press("escape")
        terminal.wait_for("2 Loss")
        terminal.press("q")
        terminal.wait_for("What shall become of it?")
        terminal.press("down", "down", "enter")
        assert terminal.wait_exit() == 0

    with Terminal([*LESSON, "--glyphs", "ascii"], rows=40, columns=100, env=environment) as terminal:
        terminal.wait_for("5/12")
        terminal.wait_for("= PAUSED")
        terminal.wait_for("forward dense2")
        for index in range(4, 12):
            _step(terminal, index)
        terminal.wait_for("2 Loss")
        terminal.wait_for("step 1 ")
        assert bytes(terminal.transcript).isascii()
        terminal.press("q")
        terminal.wait_for("What shall become of it?")
        terminal.press("down", "down", "enter")
        assert terminal.wait_exit() == 0
    assert not [command for _, command in left_running(tmp_path) if "trainer" in command]


def _step(terminal: Terminal, index: int) -> None:
    step = COURSE.step[index]
    terminal.wait_for(f"{index + 1}/12")
    if step.ask:
        terminal.wait_for("Type the number")
        terminal.press("tab")
    for made in range(step.micro):
        left = step.micro - made
        terminal.wait_for("Press n." if left == 1 else f"Press n, {left} times")
        terminal.press("n")
    terminal.wait_for("Enter goes on.")
    if step.show is not None and step.expect != "g1":  # the trainer has g' only once it goes back
        terminal.wait_for(re.compile("bptui computed"))
    assert "but the formula says" not in terminal.text
    terminal.press("enter")
    terminal.wait_for(lambda t: f" {index + 1}/12 " not in t.text)
