"""The vanishing story: the ledger shows where ‖δ‖ falls and by which factor, as plain Python finds from a keyframe."""

from __future__ import annotations

import asyncio
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import Terminal

from bptui.runs import keyframes

BPTUI = [sys.executable, "-m", "bptui"]
LAYERS = [f"dense{number}" for number in range(1, 10)]
Matrix = list[list[float]]


def batch(run: Path) -> tuple[Matrix, list[int]]:
    """Inputs and classes of the coming batch, over a second connection that only observes."""
    from bptui.client.connect import connect
    from bptui.protocol.messages import Inspect

    async def ask() -> tuple[Matrix, list[int]]:
        session = connect(run, role="observer")
        await session.start()
        frame = await session.request(Inspect(layer=0, kinds=("x", "y")))
        x, y = (frame.array(frame.message.arrays[kind]).tolist() for kind in ("x", "y"))  # type: ignore[union-attr]
        await session.close()
        return x, y

    return asyncio.run(ask())


def delta_norms(weights: dict[str, Any], x: Matrix, y: list[int]) -> list[float]:
    """‖δ‖ of eight sigmoid layers and one of logits under softmax and cross-entropy, in plain floats."""
    outputs = [x]
    for name in LAYERS:
        W, b = weights[f"{name}.weight"].tolist(), weights[f"{name}.bias"].tolist()
        columns = list(zip(*W, strict=True))
        z = [
            [math.fsum(map(float.__mul__, row, column)) + bias for column, bias in zip(columns, b, strict=True)]
            for row in outputs[-1]
        ]
        outputs.append(z if name == LAYERS[-1] else [[1 / (1 + math.exp(-v)) for v in row] for row in z])
    delta: Matrix = []
    for row, label in zip(outputs[-1], y, strict=True):
        total = math.fsum(math.exp(v) for v in row)
        delta.append([(math.exp(v) / total - (j == label)) / len(x) for j, v in enumerate(row)])
    norms = [norm(delta)]
    for index in range(len(LAYERS) - 1, 0, -1):
        W = weights[f"{LAYERS[index]}.weight"].tolist()
        a = outputs[index]
        delta = [
            [math.fsum(map(float.__mul__, d, w)) * g * (1 - g) for w, g in zip(W, row, strict=True)]
            for d, row in zip(delta, a, strict=True)
        ]
        norms.append(norm(delta))
    return norms[::-1]


def norm(matrix: Matrix) -> float:
    return math.sqrt(math.fsum(v * v for row in matrix for v in row))


def test_where_the_gradient_dies_and_by_which_factor(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Terminal([*BPTUI, "vanishing"], rows=36, columns=120, env={"BPTUI_HOME": str(home)}) as terminal:
        terminal.wait_for("READY")
        (run,) = (home / "runs").iterdir()
        terminal.press("i")
        terminal.wait_for(re.compile(r"δ¹\[0, 0\] = \S+ × \S+ = "))
        (frame,) = keyframes.keyframes(run)
        assert frame.step == 0
        tensors, _ = keyframes.read(frame.path)
        norms = delta_norms(tensors, *batch(run))

        for index, name in enumerate(LAYERS):
            shown = re.search(rf"{name}\s+(\d\.\de-\d)\s[^×\n]*(?:×([\d.e-]+))?", terminal.text)
            assert shown is not None, terminal.text
            assert float(shown[1]) == pytest.approx(norms[index], rel=0.05)
            if index < len(LAYERS) - 1:
                assert float(shown[2]) == pytest.approx(norms[index] / norms[index + 1], rel=6e-3)
                assert norms[index] / norms[index + 1] < 0.31  # a sigmoid's gate lets at most a quarter through
        told = re.search(r"×(\S+) in all, most in (dense\d) ×(\S+)", terminal.text)
        assert told is not None, terminal.text
        ratios = {name: norms[at] / norms[at + 1] for at, name in enumerate(LAYERS[:-1])}
        assert told[2] == min(ratios, key=ratios.__getitem__)
        assert float(told[3]) == pytest.approx(ratios[told[2]], rel=6e-3)
        assert float(told[1]) == pytest.approx(norms[0] / norms[-1], rel=0.05)

        # the last layer's δ is the loss's own, with this sample's numbers in it
        for _ in LAYERS[1:]:
            terminal.press("]")
        terminal.wait_for("the loss gives it whole")
        terminal.wait_for(re.compile(r"\(p − y\)/N = \(0\.\d{4} − [01]\)/32 = "))
        terminal.press("q")
        assert terminal.wait_exit() == 0
