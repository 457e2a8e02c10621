"""Four slips of a widely read tutorial, each built into a backward pass that is right otherwise, and what they do.

NumPy in 64 bit; the network of the preset ``binary`` with tanh instead of ReLU, so that the loss has no kinks
and central differences are exact to many digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.data import Batches, load
from bptui.engine import initialise
from bptui.spec.experiment import Dense
from bptui.spec.layers.base import Parameter
from bptui.spec.load import load as load_experiment
from making.blocks import table

Array = npt.NDArray[np.float64]
Parameters = list[tuple[Array, Array]]

STEP = 1e-5
RATE, MOMENTUM = 0.1, 0.9
EPOCHS = 30

#: Name → what it says.
SLIPS = {
    "none": "the right forms",
    "no-weights": "input of a neuron without its weights",
    "no-activation": "aˡ⁻¹ left out of the update",
    "wrong-layer": "g′ of the wrong layer in δ",
    "minus": "minus for the first term of the loss only",
    "bracket": "(1 − y) without its bracket",
}


@dataclass(frozen=True)
class Outcome:
    """What one slip does."""

    right_loss: float
    """Relative error of its ∂L/∂W against central differences of the right loss."""
    own_loss: float
    """The same against central differences of the loss that it computes itself."""
    train_loss: float
    """The right loss over all training rows, after training with it (clipped where it is not finite)."""
    val_accuracy: float


def sigmoid(z: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


class Network:
    """20-10-10-1, tanh, sigmoid fused with binary cross-entropy, with one slip built in."""

    def __init__(self, slip: str, parameters: Parameters) -> None:
        self.slip = slip
        self.parameters = [(weight.copy(), bias.copy()) for weight, bias in parameters]

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """z and a of each layer; a of the last is z: logits."""
        z, a = [], [x]
        last = len(self.parameters) - 1
        for layer, (weight, bias) in enumerate(self.parameters):
            if self.slip == "no-weights":
                z.append(a[-1].sum(axis=1, keepdims=True) + bias)
            else:
                z.append(a[-1] @ weight + bias)
            a.append(z[-1] if layer == last else np.tanh(z[-1]))
        return z, a

    def loss(self, x: Array, y: Array) -> float:
        z = self.forward(x)[0][-1]
        log_p, log_q = -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)  # log p, log(1 − p)
        if self.slip == "minus":
            return float(np.mean(-y * log_p + (1.0 - y) * log_q))
        if self.slip == "bracket":
            return float(np.mean(-(y * log_p + 1.0 - y * log_q)))
        return float(np.mean(-(y * log_p + (1.0 - y) * log_q)))

    def gradients(self, x: Array, y: Array) -> Parameters:
        z, a = self.forward(x)
        p, n = sigmoid(z[-1]), len(x)
        if self.slip == "minus":
            delta = (y * (p - 1.0) - (1.0 - y) * p) / n
        elif self.slip == "bracket":
            delta = -y / n  # of −(y·log p + 1 − y·log(1 − p))
        else:
            delta = (p - y) / n
        out: Parameters = []
        for layer in reversed(range(len(z))):
            if layer < len(z) - 1:
                above = layer + 1
                if self.slip == "wrong-layer":
                    gate = p * (1.0 - p) if above == len(z) - 1 else 1.0 - np.tanh(z[above]) ** 2
                else:
                    gate = 1.0 - np.tanh(z[layer]) ** 2
                delta = (delta @ self.parameters[above][0].T) * gate
            if self.slip == "no-activation":
                weight = np.broadcast_to(delta.sum(axis=0), self.parameters[layer][0].shape).copy()
            else:
                weight = a[layer].T @ delta
            out.insert(0, (weight, delta.sum(axis=0)))
        return out


def numeric(network: Network, x: Array, y: Array) -> list[Array]:
    """∂L/∂W of each layer by central differences of the network's loss."""
    found = []
    for weight, _ in network.parameters:
        gradient = np.empty_like(weight)
        for place in np.ndindex(weight.shape):
            kept = weight[place]
            weight[place] = kept + STEP
            above = network.loss(x, y)
            weight[place] = kept - STEP
            gradient[place] = (above - network.loss(x, y)) / (2 * STEP)
            weight[place] = kept
        found.append(gradient)
    return found


def relative_error(ours: list[Array], reference: list[Array]) -> float:
    """Worst layer of max|g − ĝ| / max(max|g|, max|ĝ|); 0 where both are 0."""
    worst = 0.0
    for g, expected in zip(ours, reference, strict=True):
        scale = max(float(np.abs(g).max()), float(np.abs(expected).max()))
        if scale > 0:
            worst = max(worst, float(np.abs(g - expected).max()) / scale)
    return worst


def initial() -> Parameters:
    """The program's initial values of this network (glorot_uniform, seed 0)."""
    sizes, out = [20, 10, 10, 1], []
    for at, (inputs, units) in enumerate(pairwise(sizes)):
        layer = Dense(units=units, activation="tanh" if at < 2 else "identity")
        weight = Parameter("weight", (inputs, units), inputs, units)
        out.append((initialise.values(layer, f"dense{at + 1}", weight, 0), np.zeros(units)))
    return out


def outcome(slip: str, *, epochs: int = EPOCHS) -> Outcome:
    """Check and train with one slip on the preset's data and batches."""
    experiment = load_experiment("binary")
    data: Any = load(experiment.data, seed=0, dtype="f64", loss=experiment.loss)
    batches = Batches(data.train, experiment.data.batch_size, 0)
    first = batches.peek()
    x, y = np.array(first.x), np.array(first.y).reshape(-1, 1)
    network, right = Network(slip, initial()), Network("none", initial())
    ours = [weight for weight, _ in network.gradients(x, y)]
    right_loss = relative_error(ours, numeric(right, x, y))
    own_loss = relative_error(ours, numeric(network, x, y))
    velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in network.parameters]
    for _ in range(epochs * batches.steps_per_epoch):
        batch = batches.next()
        gradients = network.gradients(np.asarray(batch.x), np.asarray(batch.y).reshape(-1, 1))
        for (w, b), (vw, vb), (gw, gb) in zip(network.parameters, velocity, gradients, strict=True):
            vw *= MOMENTUM
            vw += gw
            vb *= MOMENTUM
            vb += gb
            w -= RATE * vw
            b -= RATE * vb
    judge = Network("no-weights" if slip == "no-weights" else "none", network.parameters)
    held = data.validation
    accuracy = np.mean((judge.forward(np.asarray(held.x))[0][-1] > 0) == (np.asarray(held.y).reshape(-1, 1) > 0.5))
    loss = judge.loss(np.asarray(data.train.x), np.asarray(data.train.y).reshape(-1, 1))
    return Outcome(right_loss, own_loss, loss, float(accuracy))


def outcomes() -> dict[str, Outcome]:
    return {slip: outcome(slip) for slip in SLIPS}


def slips_table() -> str:
    rows = []
    for slip, found in outcomes().items():
        rows.append([
            SLIPS[slip], _error(found.right_loss), _error(found.own_loss), f"{found.train_loss:.3g}",
            f"{100 * found.val_accuracy:.1f} %",
        ])  # fmt: skip
    errors = ["error against the right loss", "error against its own loss"]
    head = ["form", *errors, "training loss", "validation accuracy"]
    return table(head, rows, "lrrrr")


def _error(value: float) -> str:
    """A rounding error as a bound, anything else in two digits."""
    return "below 10⁻⁷" if value < 1e-7 else f"{value:.2f}"
