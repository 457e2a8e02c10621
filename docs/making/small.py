"""The 2-2-1 network of ``docs/backprop.md``: by hand, and in the program's NumPy engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.engine import create
from bptui.engine.base import Batch, micro_steps
from bptui.spec.experiment import SGD, BinaryCrossEntropy, Data, Dense, Experiment
from bptui.spec.experiment import Stop as StopTable
from making.plain import Pass, PlainNetwork

Arrays = dict[str, npt.NDArray[Any]]

X, Y = [[1.0, 2.0]], [[1.0]]
W1, B1 = [[0.5, -0.5], [0.25, 0.5]], [0.0, -0.5]
W2, B2 = [[1.0], [-1.0]], [0.0]
RATE = 0.5


def small() -> tuple[PlainNetwork, Pass, PlainNetwork, Pass]:
    """The 2-2-1 network and its pass, and both again after one update."""
    before = PlainNetwork([W1, W2], [B1, B2], ["sigmoid", "identity"])
    first = before.run(X, Y)
    after = PlainNetwork(before.W, before.b, before.activations)
    after.update(first, RATE)
    return before, first, after, after.run(X, Y)


def small_in_program() -> tuple[float, float, Arrays]:
    """The same in the NumPy engine, in 64 bit: loss before, loss after, tensors of the first step."""
    experiment = Experiment(
        data=Data(source="worked"), model=(Dense(units=2, activation="sigmoid"), Dense(units=1)),
        loss=BinaryCrossEntropy(), optimizer=SGD(lr=RATE), stop=StopTable(steps=1),
    )  # fmt: skip
    engine = create(experiment, 2, 1, engine="numpy", dtype="f64", seed=0)
    state = engine.state()
    weights = {"dense1.weight": W1, "dense1.bias": B1, "dense2.weight": W2, "dense2.bias": B2}
    engine.load_state({**state, **{name: np.array(value) for name, value in weights.items()}})
    batch = Batch(np.array(X), np.array(Y))
    losses, arrays = [], {}
    for micro in micro_steps(engine, batch, 0, RATE):
        if micro.phase == "loss":
            losses.append(float(micro.value or 0.0))
        if micro.phase == "clip":
            for layer in range(2):
                for kind in ("z", "a", "delta", "grad_W", "grad_b"):
                    value = engine.tensor(kind, layer)
                    assert value is not None
                    arrays[f"{kind}{layer + 1}"] = value
    losses.append(engine.data_loss(engine.predict(batch.x), batch.y))
    return losses[0], losses[1], arrays


def small_example() -> str:
    """The block of the page."""
    _, one, after, two = small()
    loss, later, arrays = small_in_program()
    z, a, z2, p = one.z[0][0], one.a[0][0], one.z[1][0][0], one.p[0][0]
    d2, d1, upstream, gate = one.delta[1][0][0], one.delta[0][0], one.upstream[0], one.gate[0]
    g1, g2 = one.grad_W[0], one.grad_W[1]
    assert upstream is not None and gate is not None
    up, slope = upstream[0], gate[0]
    f = _signed
    lines = [
        "```",
        "x  = ( 1        2      )      y = 1",
        "W¹ = ( 0.5     −0.5    )      W² = (  1 )      b¹ = ( 0  −0.5 )      b² = 0",
        "     ( 0.25     0.5    )           ( −1 )",
        "",
        "forward",
        _row("z¹ = ( 1·0.5 + 2·0.25 + 0   1·(−0.5) + 2·0.5 − 0.5 )", *z),
        _row(f"a¹ = ( σ({z[0]:g})   σ({z[1]:g}) )", *a),
        _row(f"z² = {f(a[0])}·1 + {f(a[1])}·(−1) + 0", z2),
        _row(f"p  = σ({f(z2)})", p),
        _row(f"L  = −log {f(p)}", one.loss),
        "",
        "backward",
        _row(f"δ² = p − y = {f(p)} − 1", d2),
        _row(f"δ²W²ᵀ  = ( {f(d2)}·1   {f(d2)}·(−1) )", *up),
        _row("σ′(z¹) = a¹(1 − a¹)", *slope),
        _row(f"δ¹ = ( {f(up[0])}·{f(slope[0])}   {f(up[1])}·{f(slope[1])} )", *d1),
        "",
        _row("∂L/∂W² = a¹ᵀδ², transposed", g2[0][0], g2[1][0]),
        _row("∂L/∂b² = δ²", one.grad_b[1][0]),
        _row("∂L/∂W¹ = xᵀδ¹, first row", *g1[0]),
        _row("               second row", *g1[1]),
        _row("∂L/∂b¹ = δ¹", *one.grad_b[0]),
        "",
        f"update with η = {RATE:g}",
        _row(f"W² = ( 1 + {RATE:g}·{f(-g2[0][0])}   −1 + {RATE:g}·{f(-g2[1][0])} )ᵀ", *(row[0] for row in after.W[1])),
        _row(f"W¹, row 2, column 1 = 0.25 + {RATE:g}·{f(-g1[1][0])}", after.W[0][1][0]),
        _row("L with all new weights and biases", two.loss),
        "```",
        "",
    ]
    worst = max(
        float(np.abs(arrays[f"{kind}{layer + 1}"] - np.array(getattr(one, kind)[layer])).max())
        for kind in ("z", "a", "delta", "grad_W", "grad_b") for layer in range(2)
    )  # fmt: skip
    lines.append(
        f"The program's NumPy engine, given these weights in 64 bit, has the losses {loss:.12f} and {later:.12f}. By "
        f"hand they are {one.loss:.12f} and {two.loss:.12f}. The largest difference in any z, a, δ, ∂L/∂W or ∂L/∂b is "
        f"{_tiny(worst)}."
    )
    return "\n".join(lines)


def _row(left: str, *values: float) -> str:
    """A line of the derivation with its result."""
    shown = "   ".join(_signed(value) for value in values)
    return f"{left:<58} = {f'( {shown} )' if len(values) > 1 else shown}"


def _signed(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def _tiny(value: float) -> str:
    """A rounding difference: its bound, as its own digits differ from one computer to the next."""
    return "below 10⁻¹⁵" if value < 1e-15 else f"{value:.0e}"
