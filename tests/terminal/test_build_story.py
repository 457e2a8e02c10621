"""From nothing to a network that reads digits, by keys alone in a real pseudo-terminal; its rate is changed live."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from pseudo_terminal import Terminal

from bptui.runs.info import read_info

BPTUI = [sys.executable, "-m", "bptui"]


def accuracy_of(terminal: Terminal) -> float:
    """Validation accuracy in percent, from the chart's legend; 0 before there is one."""
    found = re.search(r"val accuracy (\d+\.\d) %", terminal.text)
    return float(found[1]) if found else 0.0


def key(terminal: Terminal, *keys: str, shows: str) -> None:
    """Presses keys, and waits for what they bring: typed too fast, keys and bindings may overtake each other."""
    terminal.press(*keys)
    terminal.wait_for(shows)


def test_a_network_is_built_from_nothing_and_reads_digits(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"BPTUI_HOME": str(home)}
    with Terminal([*BPTUI, "digits"], rows=36, columns=120, env=environment, cwd=tmp_path) as terminal:
        terminal.wait_for("READY")
        key(terminal, "e", shows="BUILD")
        key(terminal, "p", shows="an empty network")
        key(terminal, "enter", shows="at least one layer")
        key(terminal, "a", shows="64 → 10")  # the output layer, as wide as the data need
        key(terminal, "a", shows="Add a layer behind the data")
        key(terminal, "enter", shows="64 → 16 → 10")
        key(terminal, *"48", shows="64 → 48 → 10")
        key(terminal, "escape", shows="enter change")
        key(terminal, "a", shows="Add a layer behind dense1")
        key(terminal, "enter", shows="64 → 48 → 48 → 10")
        key(terminal, *"24", shows="64 → 48 → 24 → 10")
        key(terminal, "escape", shows="enter change")
        key(terminal, "end", "up", "up", "up", "up", "enter", shows="[sgd]")
        key(terminal, *"adam", shows="[adam]")
        key(terminal, "down", *"0.003", shows="lr 0.003")
        key(terminal, "escape", "down", "down", "enter", shows="loss_below")
        key(terminal, *"25", shows="epochs 25")
        key(terminal, "escape", "w", shows="Save as")
        key(terminal, "enter", shows="saved digits.toml")
        key(terminal, "ctrl+s", shows="64-48-24-10")
        terminal.wait_for(lambda t: "READY" in t.line(0))
        key(terminal, "space", shows="RUNNING")
        key(terminal, "l", shows="Live settings")
        key(terminal, *"0.002", "enter", shows="u takes it back")
        terminal.press("escape")
        terminal.wait_for(lambda t: "DONE" in t.line(0), timeout=60)
        terminal.wait_for(lambda t: accuracy_of(t) >= 96.0)
        terminal.press("q")
        assert terminal.wait_exit() == 0

    run = max((home / "runs").iterdir())
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    (changed,) = [event for event in events if event["change"] == "lr" and event["source"] == "trainer"]
    assert changed["before"] == pytest.approx(0.003) and changed["after"] == 0.002

    from bptui.runs.report import report
    from bptui.spec.load import load

    assert report(run)["metrics"]["val_accuracy"] >= 0.96
    saved = load(str(tmp_path / "digits.toml"))
    assert [getattr(layer, "units", 0) for layer in saved.model] == [48, 24, 10] and saved.stop.epochs == 25
    assert [getattr(layer, "activation", "") for layer in saved.model] == ["relu", "relu", "identity"]


def test_what_was_learned_goes_on_in_a_wider_network(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal([*BPTUI, "digits", "--epochs", "8"], rows=24, columns=80, env={"BPTUI_HOME": str(home)}) as terminal:
        terminal.wait_for("READY")
        key(terminal, "space", shows="DONE")
        key(terminal, "e", shows="BUILD")
        key(terminal, "down", shows="▸ dense2")
        key(terminal, *"20", shows="32→20")
        key(terminal, "ctrl+s", shows="Keep the weights of dense1")
        terminal.press("down", "enter")
        terminal.wait_for("32→20")
        terminal.wait_for(lambda t: "READY" in t.line(0))
        first, second = sorted((home / "runs").iterdir(), key=lambda run: read_info(run).created)
        info, kept = read_info(second), max((first / "keyframes").glob("*.safetensors"))
        assert (info.weights, info.weights_partial) == (str(kept), True)
        terminal.press("q")
        assert terminal.wait_exit() == 0
