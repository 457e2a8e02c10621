"""Gradients against central differences: each activation, loss and parameter tensor, in each engine, in float64.

    g ≈ (8(L(w+h) − L(w−h)) − (L(w+2h) − L(w−2h))) / 12h

Places where a kink (relu at 0, mae at the target …) lies between the points are left out and counted: no
difference is right there. The worst relative error of a tensor is max|g − ĝ| / max(max|g|, max|ĝ|).
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from bptui.engine import create, torch_installed
from bptui.engine.base import Batch, Engine
from bptui.philox import Stream
from bptui.spec.experiment import (
    Activation,
    BinaryCrossEntropy,
    CrossEntropy,
    Data,
    Dense,
    Experiment,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)

Name = Literal["numpy", "torch"]
STEP = 1e-4
TOLERANCE = 1e-6
#: Activations whose slope or curvature jumps at 0; softplus jumps at torch's threshold.
KINKS: dict[str, float] = {"relu": 0.0, "leaky_relu": 0.0, "elu": 0.0, "selu": 0.0, "softplus": 20.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor of one network in one engine."""

    engine: str
    subject: str
    """``activation tanh``, ``loss mse``, or the experiment's name."""
    tensor: str
    checked: int
    skipped: int
    """Places next to a kink."""
    worst: float
    """Worst relative error."""
    ok: bool


def engines_here() -> tuple[Name, ...]:
    """NumPy, and torch where it is installed."""
    return ("numpy", "torch") if torch_installed() else ("numpy",)


def check_all(engines: Sequence[Name] | None = None, *, tolerance: float = TOLERANCE) -> list[Row]:
    """Every activation (hidden and last), loss and a deep network, in each engine."""
    rows = []
    for engine in engines or engines_here():
        for subject, experiment in _subjects():
            rows += check_experiment(experiment, 4, 3, engines=(engine,), subject=subject, tolerance=tolerance)
    return rows


def check_experiment(
    experiment: Experiment,
    features: int,
    outputs: int,
    *,
    engines: Sequence[Name] | None = None,
    batch: Batch | None = None,
    samples: int = 40,
    seed: int = 0,
    subject: str | None = None,
    tolerance: float = TOLERANCE,
) -> list[Row]:
    """One row a parameter tensor and engine; ``samples`` places of each tensor are checked, all of a small one.

    ``batch`` (float64) defaults to normal features and fitting targets. Nothing of the experiment changes.
    """
    chosen = batch or _batch(experiment.loss, features, outputs, seed)
    name = subject or experiment.experiment.name or "experiment"
    rows = []
    for engine_name in engines or engines_here():
        engine = create(experiment, features, outputs, engine=engine_name, dtype="f64", seed=seed)
        rows += _check(engine, experiment, chosen, name, samples, tolerance)
    return rows


def _check(
    engine: Engine, experiment: Experiment, batch: Batch, subject: str, samples: int, tolerance: float
) -> list[Row]:
    _loss(engine, batch)
    for layer in reversed(range(len(engine.layers))):
        engine.backward(layer)
    gradients = {}
    for index, info in enumerate(engine.layers):
        gradients[f"{info.name}.weight"] = cast(npt.NDArray[Any], engine.tensor("grad_W", index))
        gradients[f"{info.name}.bias"] = cast(npt.NDArray[Any], engine.tensor("grad_b", index))
    state = engine.state()
    sides = _sides(engine, experiment, batch)
    rows = []
    for name, gradient in gradients.items():
        places = Stream(0, f"gradcheck.{name}").permutation(0, gradient.size)[:samples]
        numeric, kept = np.zeros(len(places)), np.zeros(len(places), dtype=bool)
        for i, place in enumerate(places):
            losses = {}
            kept[i] = True
            for offset in (-2, -1, 1, 2):
                moved = state[name].copy()
                moved.reshape(-1)[place] += offset * STEP
                engine.load_state({**state, name: moved})
                losses[offset] = _loss(engine, batch)
                kept[i] &= bool(np.array_equal(sides, _sides(engine, experiment, batch)))
            numeric[i] = (8.0 * (losses[1] - losses[-1]) - (losses[2] - losses[-2])) / (12.0 * STEP)
        exact = gradient.reshape(-1)[places]
        scale = max(float(np.abs(gradient).max(initial=0.0)), float(np.abs(numeric[kept]).max(initial=0.0)), 1e-8)
        worst = float(np.abs(exact - numeric)[kept].max(initial=0.0)) / scale
        count = int(kept.sum())
        ok = bool(worst <= tolerance)  # nan is not
        rows.append(Row(engine.name, subject, name, count, len(places) - count, worst, ok))
    engine.load_state(state)
    return rows


def _loss(engine: Engine, batch: Batch) -> float:
    engine.begin(batch, 0)
    for layer in range(len(engine.layers)):
        engine.forward(layer)
    return engine.loss()


def _sides(engine: Engine, experiment: Experiment, batch: Batch) -> npt.NDArray[np.bool_]:
    """On which side of every kink the present step lies."""
    sides = []
    for index, layer in enumerate(experiment.model):
        if layer.activation in KINKS:
            sides.append(cast(npt.NDArray[Any], engine.tensor("z", index)) > KINKS[layer.activation])
    loss = experiment.loss
    if isinstance(loss, MeanAbsoluteError | Huber):
        out = cast(npt.NDArray[Any], engine.tensor("a", len(experiment.model) - 1))
        difference = out - batch.y.reshape(out.shape)
        limits = (0.0,) if isinstance(loss, MeanAbsoluteError) else (-loss.delta, loss.delta)
        sides += [difference > limit for limit in limits]
    return np.concatenate([side.reshape(-1) for side in sides]) if sides else np.zeros(0, dtype=bool)


def _batch(loss: Loss, features: int, outputs: int, seed: int, rows: int = 6) -> Batch:
    draw = Stream(seed, "gradcheck")
    x = draw.normal(0, rows * features).reshape(rows, features)
    u = draw.uniform(1, rows * outputs).reshape(rows, outputs)
    if isinstance(loss, CrossEntropy):
        return Batch(x, u.argmax(axis=1))
    if isinstance(loss, BinaryCrossEntropy):
        return Batch(x, (u > 0.5).astype(np.float64))
    return Batch(x, 2.0 * u - 1.0)


def _subjects() -> list[tuple[str, Experiment]]:
    """(what is checked, a small network with 4 features and 3 outputs)."""
    data = Data(source="gradcheck")
    subjects = []
    for activation in typing.get_args(Activation):
        model = (Dense(units=5, activation=activation), Dense(units=3, activation=activation))
        subjects.append((f"activation {activation}", Experiment(data=data, model=model, loss=MeanSquaredError())))
    losses: list[tuple[str, Loss]] = [
        ("cross_entropy", CrossEntropy()),
        ("cross_entropy smoothed, weighted", CrossEntropy(label_smoothing=0.1, class_weights=(0.5, 1.0, 2.0))),
        ("binary_cross_entropy", BinaryCrossEntropy()),
        ("binary_cross_entropy smoothed, weighted", BinaryCrossEntropy(label_smoothing=0.1, pos_weight=2.0)),
        ("mse", MeanSquaredError()),
        ("mae", MeanAbsoluteError()),
        ("huber", Huber(delta=0.5)),
    ]
    for name, loss in losses:
        model = (Dense(units=5, activation="tanh"), Dense(units=3))
        subjects.append((f"loss {name}", Experiment(data=data, model=model, loss=loss)))
    deep = (*(Dense(units=5, activation="relu", dropout=0.2, bias=0.05) for _ in range(3)), Dense(units=3))
    subjects.append(("layers dense, dropout", Experiment(data=data, model=deep, loss=CrossEntropy())))
    return subjects
