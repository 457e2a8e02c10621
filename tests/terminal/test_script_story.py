"""A user's own script, unchanged, by keys in a real terminal: paused, stepped, looked into, changed, left, taken up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pseudo_terminal import Terminal
from small_scripts import HEAD, environment, script, whole

from bptui.runs.info import read_info

BPTUI = [sys.executable, "-m", "bptui"]
PATIENCE = 120.0
"""Seconds for what takes a process that imports torch."""

ORACLE = (
    HEAD
    + """
# δ of features.3 in state `steps`, by plain torch: the script's own loop, without bptui
import json
steps = int(sys.argv[1])
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
for k in range(steps + 1):
    x, y = batch(k)
    optimizer.zero_grad()
    seen = []
    handle = net.features[3].register_forward_hook(lambda module, given, out: seen.append(out))
    loss = nn.functional.cross_entropy(net(x), y)
    handle.remove()
    delta, = torch.autograd.grad(loss, seen[0], retain_graph=True)
    loss.backward()
    if k < steps:
        optimizer.step()
print(json.dumps({"delta": delta.reshape(4, -1).tolist(), "loss": loss.item()}))
"""
)


def step_of(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def paused(terminal: Terminal) -> int:
    """Waits until it stands still; the step."""
    terminal.wait_for(lambda t: "PAUSED" in t.line(0), PATIENCE)
    terminal.wait_quiet(0.3)
    return step_of(terminal)


def oracle(folder: Path, steps: int) -> dict[str, object]:
    path = folder / "oracle.py"
    path.write_text(ORACLE)
    done = subprocess.run([sys.executable, path, str(steps)], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_script_from_its_first_update_to_its_stop(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal([*BPTUI, "run", str(script(tmp_path))], env=environment(home)) as terminal:
        terminal.wait_for("WAITING", PATIENCE)
        terminal.wait_for(lambda t: "RUNNING" in t.line(0) and step_of(t) > 3, PATIENCE)
        (run,) = (home / "runs").iterdir()
        assert "epoch" not in terminal.line(0)
        terminal.wait_for("features.3", PATIENCE)

        terminal.press("t")
        terminal.wait_for("Output of the script")
        terminal.wait_for("begins")
        assert "\\x00" in terminal.text and "noise" in terminal.text and "\\x1b" not in terminal.text
        terminal.press("escape")
        terminal.wait_for("2 Loss")

        terminal.press("space")
        first = paused(terminal)
        terminal.press("s")
        terminal.wait_for(lambda t: step_of(t) == first + 1, PATIENCE)
        at = paused(terminal)

        terminal.press("n")
        terminal.wait_for("micro-steps are for bptui's own networks")
        terminal.press("g")
        terminal.wait_for("no snapshot is kept yet: K keeps one")
        terminal.press("e")
        terminal.wait_for("a script's model is written in the script")

        terminal.press("down", "down", "down")
        terminal.wait_for(re.compile(r"▸ features\.3"))
        terminal.press("i")
        terminal.wait_for(re.compile(r"delta\[0, 0\] = (\S+)"), PATIENCE)
        true = oracle(tmp_path, at)
        for column in range(3):
            terminal.wait_for(f"delta[0, {column}]")
            shown = re.search(rf"delta\[0, {column}\] = (\S+)", terminal.text)
            assert shown, terminal.text
            assert float(shown[1].replace("−", "-")) == pytest.approx(true["delta"][0][column], rel=1e-12)  # type: ignore[index]
            terminal.press("right")
        terminal.wait_for("delta[0, 3]")
        loss = re.search(r"delta\[0, 3\].* loss (\S+)", terminal.text)
        assert loss and float(loss[1]) == pytest.approx(true["loss"], rel=1e-12)
        terminal.press("escape")
        terminal.wait_for("2 Loss")

        terminal.press("l")
        terminal.wait_for("Live settings")
        terminal.press("0", ".", "0", "1", "enter")
        terminal.wait_for("lr 0.05 → 0.01")
        terminal.press("escape")
        terminal.wait_for("SGD lr 0.01")
        terminal.press("F")
        terminal.wait_for("features.3 is frozen")
        terminal.press("F")
        terminal.wait_for("features.3 is updated again")
        terminal.press("K")
        terminal.wait_for(f"snapshot of step {at:,} kept", PATIENCE)

        terminal.press("q")
        terminal.wait_for("Resume, and detach")
        terminal.press("enter")
        assert terminal.wait_exit(PATIENCE) == 0
        assert f"bptui attach {run.name}" in terminal.text

    with Terminal([*BPTUI, "attach", run.name], rows=24, columns=80, env=environment(home)) as terminal:
        terminal.wait_for(lambda t: "RUNNING" in t.line(0) and step_of(t) > at + 1, PATIENCE)
        terminal.press("space")
        later = paused(terminal)
        terminal.press("S")
        terminal.wait_for("A script cannot rewind")
        terminal.wait_for(f"step {at:,}")
        terminal.press("enter")
        terminal.wait_for(re.compile(rf"weights and optimiser of step {at:,}"))
        assert step_of(terminal) == later  # its own steps go on
        terminal.press("q")
        terminal.wait_for("Stop and keep the run")
        terminal.press("down", "down", "enter")
        assert terminal.wait_exit(PATIENCE) in (0, 130)

    told = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    told = [one for one in told if one["source"] == "trainer"]  # as they were carried out, not as they were asked
    assert [one["change"] for one in told] == [
        "lr", "freeze.features.3", "freeze.features.3", "snapshot", "roll back"
    ]  # fmt: skip
    assert (told[0]["before"], told[0]["after"], told[0]["step"]) == (0.05, 0.01, at)
    assert read_info(run).end is not None

    with Terminal([*BPTUI, "open", run.name], env=environment(home)) as terminal:
        terminal.wait_for("features.3")
        terminal.wait_for("STOPPED")
        terminal.press("q")
        assert terminal.wait_exit() == 0
    listed = subprocess.run([*BPTUI, "ls"], env=whole(home), capture_output=True, text=True, check=True).stdout
    assert run.name in listed and "cnn" in listed
