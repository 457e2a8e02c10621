"""The story of a first session, by keys alone in a real pseudo-terminal, with the numbers checked in plain Python."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from left_running import left_running
from pseudo_terminal import Terminal

BPTUI = [sys.executable, "-m", "bptui"]
SPEC = """
[experiment]
name = "story"
dtype = "f64"
[data]
source = "xor"
batch_size = 4
[[model]]
units = 3
activation = "tanh"
[[model]]
units = 2
[loss]
name = "cross_entropy"
[optimizer]
name = "sgd"
lr = 0.2
momentum = 0.9
[stop]
epochs = 500
"""


def step_of(terminal: Terminal) -> int:
    found = re.search(r"step ([\d,]+)", terminal.line(0))
    return int(found[1].replace(",", "")) if found else -1


def asked(run: Path, layer: int) -> dict[str, Any]:
    """Tensors of a layer, as nested lists, over a second connection that only observes."""
    from bptui.client.connect import connect
    from bptui.protocol.messages import Inspect

    async def ask() -> dict[str, Any]:
        session = connect(run, role="observer")
        await session.start()
        frame = await session.request(Inspect(layer=layer, kinds=("W", "b", "x", "y", "a")))
        arrays = {kind: frame.array(ref).tolist() for kind, ref in frame.message.arrays.items()}  # type: ignore[union-attr]
        await session.close()
        return arrays

    return asyncio.run(ask())


def deltas(first: dict[str, Any], second: dict[str, Any]) -> list[list[float]]:
    """δ of the tanh layer of a 2-3-2 network with softmax and cross-entropy, in plain floats."""
    x, labels = first["x"], first["y"]
    result = []
    for row, label in zip(x, labels, strict=True):
        a = [math.tanh(sum(row[i] * first["W"][i][j] for i in range(2)) + first["b"][j]) for j in range(3)]
        z = [sum(a[j] * second["W"][j][k] for j in range(3)) + second["b"][k] for k in range(2)]
        total = sum(math.exp(value) for value in z)
        out = [(math.exp(z[k]) / total - (1.0 if k == label else 0.0)) / len(x) for k in range(2)]
        result.append([sum(out[k] * second["W"][j][k] for k in range(2)) * (1 - a[j] ** 2) for j in range(3)])
    return result


@pytest.mark.parametrize(("rows", "columns"), [(36, 120), (24, 80), (60, 200)])
def test_from_ready_to_stop(tmp_path: Path, rows: int, columns: int) -> None:
    spec = tmp_path / "story.toml"
    spec.write_text(SPEC)
    home = tmp_path / "home"
    environment = {"BPTUI_HOME": str(home)}
    with Terminal([*BPTUI, str(spec), "--pace", "30"], rows=rows, columns=columns, env=environment) as terminal:
        terminal.wait_for("READY")
        (run,) = (home / "runs").iterdir()

        terminal.press("space")
        terminal.wait_for("RUNNING")
        terminal.wait_for(lambda t: step_of(t) >= 12)
        terminal.press("space")
        terminal.wait_for("PAUSED")
        paused_at = step_of(terminal)

        terminal.press("s")
        terminal.wait_for(lambda t: step_of(t) > paused_at)
        terminal.wait_quiet(0.3)
        assert step_of(terminal) == paused_at + 1
        assert "PAUSED" in terminal.line(0)

        terminal.press("i")
        terminal.wait_for("samples × units")
        terminal.wait_for(re.compile(r"delta\[0, 0\] = (\S+)"))
        expected = deltas(asked(run, 0), asked(run, 1))
        for row in range(3):
            for column in range(3):
                shown = re.search(rf"delta\[{row}, {column}\] = (\S+)", terminal.text)
                assert shown, terminal.text
                assert float(shown[1].replace("−", "-")) == pytest.approx(expected[row][column], rel=1e-12)
                if column < 2:
                    terminal.press("right")
                    terminal.wait_for(f"delta[{row}, {column + 1}]")
            if row < 2:
                terminal.press("down", "left", "left")
                terminal.wait_for(f"delta[{row + 1}, 0]")
        terminal.press("escape")
        terminal.wait_for("2 Loss")

        terminal.press("e")
        terminal.wait_for("BUILD")
        terminal.press("enter", "x")
        terminal.wait_for("is not a whole number")
        terminal.press("backspace", "5")
        terminal.wait_for("2→5")
        terminal.press("ctrl+s")
        terminal.wait_for(lambda t: "READY" in t.line(0))
        terminal.wait_for("2→5")
        terminal.press("space")
        terminal.wait_for(lambda t: step_of(t) >= 10)

        terminal.press("q")
        terminal.wait_for("Leave")
        terminal.press("enter")
        assert terminal.wait_exit() == 0
        said = terminal.text
        assert "bptui attach" in said

    second = max((home / "runs").iterdir())
    assert second != run
    assert second.name in said
    with Terminal([*BPTUI, "attach", second.name], rows=rows, columns=columns, env=environment) as terminal:
        terminal.wait_for("RUNNING")
        resumed_at = step_of(terminal)
        terminal.wait_for(lambda t: step_of(t) > resumed_at >= 10)
        listed = subprocess.run(
            [*BPTUI, "stop", second.name],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert listed.returncode == 0, listed.stderr
        terminal.wait_for(re.compile("STOPPED|DONE"))
        terminal.press("q")
        assert terminal.wait_exit() == 0

    report = subprocess.run(
        [*BPTUI, "ls", "--json"], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    states = {entry["id"]: entry for entry in json.loads(report.stdout)}
    assert states[second.name]["state"] == "STOPPED"
    from bptui.runs.report import report as report_of

    content = report_of(second)
    assert len(content["losses"]) == content["steps"] > 10
    assert all(loss is not None and math.isfinite(loss) for loss in content["losses"]), "history without a gap"
    assert not [command for _, command in left_running(home) if "trainer" in command]
