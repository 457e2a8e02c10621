"""The worked example of the preset ``binary`` in ``docs/backprop.md``: by hand, and as the program shows it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.client.connect import connect
from bptui.client.launch import launch
from bptui.protocol.messages import Inspect, Inspection, Step, Stop
from bptui.spec.experiment import SGD
from bptui.spec.load import load
from making.blocks import table
from making.plain import Matrix, Pass, PlainNetwork

Arrays = dict[str, npt.NDArray[Any]]

STEPS = 10
KINDS = ("z", "a", "delta", "grad_W", "grad_b", "upstream", "gate", "W", "b", "x", "y")


@dataclass
class Shown:
    """What the program shows in one paused state: the tensors of each layer and the loss."""

    step: int
    loss: float
    layers: list[Arrays]


def shown_by_program(steps: int = STEPS + 1) -> list[Shown]:
    """Start the preset as ``bptui binary`` does, step it, and inspect every state from 0 to ``steps``."""
    with tempfile.TemporaryDirectory(prefix="bpd-") as home:
        kept = os.environ.get("BPTUI_HOME")
        os.environ["BPTUI_HOME"] = home
        try:
            return asyncio.run(_inspect(steps))
        finally:
            os.environ.pop("BPTUI_HOME")
            if kept is not None:
                os.environ["BPTUI_HOME"] = kept


async def _inspect(steps: int) -> list[Shown]:
    experiment = load("binary")
    directory = launch(experiment, title="binary", engine="numpy", interactive=True)
    session = connect(directory, owner=True)
    await session.start()
    try:
        states = []
        for step in range(steps + 1):
            if step:
                await session.request(Step())
            layers, loss = [], 0.0
            for layer in range(len(experiment.model)):
                frame = await session.request(Inspect(layer=layer, kinds=KINDS))
                assert isinstance(frame.message, Inspection) and frame.message.step == step
                loss = float(frame.message.loss or 0.0)
                layers.append({kind: np.array(frame.array(ref)) for kind, ref in frame.message.arrays.items()})
            states.append(Shown(step, loss, layers))
        await session.request(Stop())
        return states
    finally:
        await session.close()


def by_hand(states: list[Shown]) -> tuple[list[Pass], PlainNetwork]:
    """From the initial weights and the batches alone, in plain Python: a pass a state, and the network of ``STEPS``."""
    experiment = load("binary")
    optimizer = experiment.optimizer
    assert isinstance(optimizer, SGD)
    first = states[0].layers
    network = PlainNetwork(
        [layer["W"].tolist() for layer in first], [layer["b"].tolist() for layer in first],
        [layer.activation for layer in experiment.model],
    )  # fmt: skip
    passes = []
    for state in states[: STEPS + 1]:
        rows: Matrix = state.layers[0]["x"].tolist()
        targets: Matrix = state.layers[0]["y"].reshape(len(rows), 1).tolist()
        passes.append(network.run(rows, targets))
        if state.step < STEPS:
            network.update(passes[-1], optimizer.lr, optimizer.momentum)
    return passes, network


def differences(states: list[Shown]) -> dict[str, tuple[float, float]]:
    """Quantity → largest magnitude in state ``STEPS``, and largest difference between hand and program."""
    passes, network = by_hand(states)
    last, shown = passes[-1], states[STEPS]
    found = {"loss": (last.loss, abs(last.loss - shown.loss))}
    for kind in ("W", "z", "a", "upstream", "gate", "delta", "grad_W", "grad_b"):
        size = worst = 0.0
        for layer, arrays in enumerate(shown.layers):
            own = network.W[layer] if kind == "W" else getattr(last, kind)[layer]
            if own is None or kind not in arrays:
                continue
            size = max(size, float(np.abs(own).max()))
            worst = max(worst, float(np.abs(arrays[kind] - np.array(own)).max()))
        found[kind] = size, worst
    return found


_states: list[Shown] = []


def states() -> list[Shown]:
    """The program's states, shown once."""
    if not _states:
        _states.extend(shown_by_program())
    return _states


def binary_sample() -> str:
    """The head of the example: one sample forward through the last layer, and its δ."""
    passes, network = by_hand(states())
    last, shown = passes[-1], states()[STEPS]
    n = len(last.x)
    a, weight = last.a[1][0], network.W[2]
    rows = [
        [str(i), f"{a[i]:.5f}", _five(weight[i][0]), _five(a[i] * weight[i][0])]
        for i in range(len(a))
    ]
    bias, z, p, y = network.b[2][0], last.z[2][0][0], last.p[0][0], last.y[0][0]
    delta = last.delta[2][0][0]
    theirs = shown.layers[2]
    text = [
        table(["i", "a²ᵢ", "W³ᵢ", "a²ᵢ · W³ᵢ"], rows, "rrrr"),
        "",
        "```",
        f"z³ = Σᵢ a²ᵢ·W³ᵢ + b³ = {_five(z - bias)} + ({_five(bias)}) = {_five(z)}",
        f"     the program: {_five(theirs['z'][0, 0])}",
        f"p  = σ({_five(z)}) = {_five(p)}        y = {y:g}",
        f"δ³ = (p − y)/N = ({_five(p)} − {y:g})/{n} = {_exact(delta)}",
        f"     the program: {_exact(theirs['delta'][0, 0])}",
        "```",
    ]
    return "\n".join(text)


def binary_ledger(layer: str) -> str:
    """The two factors of δ of a hidden layer (``1`` or ``2``), unit by unit, for the first sample of the batch."""
    at = int(layer) - 1
    passes, _ = by_hand(states())
    last, shown = passes[-1], states()[STEPS].layers[at]
    up, gate = last.upstream[at], last.gate[at]
    assert up is not None and gate is not None
    rows = [
        [
            str(i), _five(last.z[at][0][i]), _five(last.a[at][0][i]), _exact(up[0][i]), f"{gate[0][i]:g}",
            _exact(last.delta[at][0][i]), _exact(shown["delta"][0, i]),
        ]
        for i in range(len(up[0]))
    ]  # fmt: skip
    head = ["unit", f"z{_sup(layer)}", f"a{_sup(layer)}", "upstream", "gate", f"δ{_sup(layer)} by hand", "the program"]
    return table(head, rows, "rrrrrrr")


def binary_gradient() -> str:
    """One weight's gradient as a sum over the batch, and its update."""
    passes, network = by_hand(states())
    last, shown = passes[-1], states()[STEPS]
    n = len(last.x)
    terms = [last.a[1][k][0] * last.delta[2][k][0] for k in range(n)]
    gradient = sum(terms)
    assert network.velocity is not None
    velocity, weight = network.velocity[2][0][0][0], network.W[2][0][0]
    ahead = PlainNetwork(network.W, network.b, network.activations)
    ahead.velocity = network.velocity
    ahead.update(last, 0.1, 0.9)
    assert ahead.velocity is not None
    moved, after = ahead.velocity[2][0][0][0], states()[STEPS + 1].layers[2]["W"][0, 0]
    head = " + ".join(f"{last.a[1][k][0]:.4f}·({_exact(last.delta[2][k][0], 3)})" for k in range(3))
    return "\n".join(
        [
            "```",
            f"∂L/∂W³[0] = Σₙ a²ₙ₀·δ³ₙ = {head} + … ({n} terms)",
            f"          = {_exact(gradient)}",
            f"            the program: {_exact(shown.layers[2]['grad_W'][0, 0])}",
            f"v  ← 0.9·({_exact(velocity)}) + ({_exact(gradient)}) = {_exact(moved)}",
            f"W³[0] ← {_five(weight)} − 0.1·({_exact(moved)}) = {_five(ahead.W[2][0][0])}",
            f"            the program, one step later: {_five(after)}",
            "```",
        ]
    )


def binary_differences() -> str:
    """All of them at once."""
    names = {
        "loss": "L", "W": "W", "z": "z", "a": "a", "upstream": "δˡ⁺¹Wˡ⁺¹ᵀ (upstream)", "gate": "g′(z) (gate)",
        "delta": "δ", "grad_W": "∂L/∂W", "grad_b": "∂L/∂b",
    }  # fmt: skip
    rows = [
        [names[kind], f"{size:.4g}", _bound(worst)] for kind, (size, worst) in differences(states()).items()
    ]
    return table(["quantity", "largest magnitude", "largest difference, hand − program"], rows, "lrr")


def _bound(value: float) -> str:
    """The next power of ten above: the last digits of 32-bit sums differ from one computer to the next."""
    if value == 0:
        return "0"
    power = int(np.floor(np.log10(value))) + 1
    return "below 10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _five(value: float) -> str:
    return f"{float(value) + 0.0:.5f}".replace("-", "−")


def _exact(value: float, digits: int = 4) -> str:
    return "0" if value == 0 else f"{float(value):.{digits}e}".replace("-", "−")


def _sup(text: str) -> str:
    return text.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
