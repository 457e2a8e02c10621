"""Gradients against central differences: each activation, loss, kind of layer and tensor, in each engine, in float64.

    g ≈ (8(L(w+h) − L(w−h)) − (L(w+2h) − L(w−2h))) / 12h

Places where a kink (relu at 0, another maximum of a window, mae at the target …) lies between the points are left out
and counted: no difference is right there. The worst relative error of a tensor is max|g − ĝ| / max(max|g|, max|ĝ|).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from bptui.engine import create, torch_installed
from bptui.engine.base import Batch, Engine
from bptui.engine.threads import products, set_threads
from bptui.philox import Stream
from bptui.spec.experiment import (
    BinaryCrossEntropy,
    CrossEntropy,
    Experiment,
    Huber,
    Loss,
    MeanAbsoluteError,
)
from bptui.spec.layers.base import Shape, activation_of, size
from bptui.spec.layers.pool import GlobalPool, MaxPool, window
from bptui.spec.networks import fitted
from bptui.spec.shapes import BATCH, Placed, outputs_of
from bptui.spec.sources import source_of

Name = Literal["numpy", "torch"]
STEP = 1e-4
TOLERANCE = 1e-6
#: What rounding alone makes of a difference of losses near 1.
ROUNDING = 64.0 * float(np.finfo(np.float64).eps) / (12.0 * STEP)
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


def check_all(engines: Sequence[Name] | None = None, *, samples: int = 40, tolerance: float = TOLERANCE) -> list[Row]:
    """Every activation (hidden and last), loss and kind of layer, and a deep network, in each engine."""
    from bptui.engine.subjects import subjects

    rows = []
    for engine in engines or engines_here():
        for subject in subjects():
            rows += check_experiment(
                subject.experiment, subject.shape, engines=(engine,), batch=subject.batch, subject=subject.name,
                samples=samples, tolerance=tolerance,
            )  # fmt: skip
    return rows


def check_experiment(
    experiment: Experiment,
    shape: Shape | None = None,
    *,
    engines: Sequence[Name] | None = None,
    batch: Batch | None = None,
    samples: int = 40,
    seed: int = 0,
    subject: str | None = None,
    tolerance: float = TOLERANCE,
) -> list[Row]:
    """One row a parameter tensor and engine; ``samples`` places of each tensor are checked, all of a small one.

    ``shape``: of one sample; by default that of the experiment's data, or 8 features where only the data know it.
    ``batch`` (float64) defaults to normal features and fitting targets. Nothing of the experiment changes.
    """
    source = source_of(experiment.data)
    if shape is None:
        shape = (source.shape or (source.features,)) if source is not None else (8,)
    vocabulary = source.known if source is not None else 0
    ids = bool(vocabulary) or (batch is not None and batch.x.dtype.kind in "iu")
    placed = fitted(experiment, shape, ids)
    outputs = outputs_of(placed, isinstance(experiment.loss, CrossEntropy))
    chosen = batch or made(experiment.loss, shape, placed[-1].geometry.output, seed, vocabulary=vocabulary)
    name = subject or experiment.experiment.name or "experiment"
    rows = []
    for engine_name in engines or engines_here():
        engine = create(
            experiment, size(shape), outputs, engine=engine_name, dtype="f64", seed=seed, shape=shape, ids=ids
        )
        set_threads(engine_name, products(engine), len(chosen.x))
        rows += _check(engine, placed, experiment.loss, chosen, name, samples, tolerance)
    return rows


def _check(
    engine: Engine,
    placed: Sequence[Placed],
    rule: Loss,
    batch: Batch,
    subject: str,
    samples: int,
    tolerance: float,
) -> list[Row]:
    loss = _forward(engine, batch)
    for layer in reversed(range(len(engine.layers))):
        engine.backward(layer)
    gradients: dict[str, tuple[int, npt.NDArray[Any]]] = {}
    for index, info in enumerate(engine.layers):
        for each in () if placed[index].layer.freeze else info.tensors:
            found = engine.tensor_of(each.name, index, "gradient")
            gradients[f"{info.name}.{each.name}"] = index, cast(npt.NDArray[Any], found)
    state = engine.state()
    sides = _sides(engine, placed, rule, batch)
    least = ROUNDING * max(1.0, abs(loss)) / tolerance  # of smaller gradients a difference shows rounding alone
    rows = []
    for name, (layer, gradient) in gradients.items():
        places = Stream(0, f"gradcheck.{name}").permutation(0, gradient.size)[:samples]
        numeric, kept = np.zeros(len(places)), np.zeros(len(places), dtype=bool)
        for i, place in enumerate(places):
            losses = {}
            kept[i] = True
            for offset in (-2, -1, 1, 2):
                moved = state[name].copy()
                moved.reshape(-1)[place] += offset * STEP
                engine.load_state({**state, name: moved})
                losses[offset] = engine.objective(layer, _forward(engine, batch))
                kept[i] &= bool(np.array_equal(sides, _sides(engine, placed, rule, batch)))
            numeric[i] = (8.0 * (losses[1] - losses[-1]) - (losses[2] - losses[-2])) / (12.0 * STEP)
        exact = gradient.reshape(-1)[places]
        scale = max(float(np.abs(gradient).max(initial=0.0)), float(np.abs(numeric[kept]).max(initial=0.0)), least)
        worst = float(np.abs(exact - numeric)[kept].max(initial=0.0)) / scale
        count = int(kept.sum())
        ok = bool(worst <= tolerance)  # nan is not
        rows.append(Row(engine.name, subject, name, count, len(places) - count, worst, ok))
    engine.load_state(state)
    return rows


def _forward(engine: Engine, batch: Batch) -> float:
    """The loss; what each layer goes down on follows from it."""
    engine.begin(batch, 0)
    for layer in range(len(engine.layers)):
        engine.forward(layer)
    return engine.loss()


def _sides(engine: Engine, placed: Sequence[Placed], loss: Loss, batch: Batch) -> npt.NDArray[np.generic]:
    """On which side of every kink the present step lies."""
    sides: list[npt.NDArray[np.generic]] = []
    for index, place in enumerate(placed):
        if (activation := activation_of(place.layer)) in KINKS:
            sides.append(cast(npt.NDArray[Any], engine.tensor("z", index)) > KINKS[activation])
        if (winners := WINNERS.get(place.kind)) is not None:
            source = place.sources[0]
            read = batch.x if source == BATCH else cast(npt.NDArray[Any], engine.tensor("a", source))
            sides.append(winners(place.layer, read.reshape(-1, *place.inputs[0])))
    if isinstance(loss, MeanAbsoluteError | Huber):
        out = cast(npt.NDArray[Any], engine.tensor("a", len(placed) - 1))
        difference = out - batch.y.reshape(out.shape)
        limits = (0.0,) if isinstance(loss, MeanAbsoluteError) else (-loss.delta, loss.delta)
        sides += [difference > limit for limit in limits]
    return np.concatenate([side.reshape(-1) for side in sides]) if sides else np.zeros(0, dtype=bool)


def made(loss: Loss, shape: Shape, output: Shape, seed: int = 0, rows: int = 6, vocabulary: int = 0) -> Batch:
    """Normal samples (ids below ``vocabulary`` where there is one) and targets that fit outputs of shape ``output``."""
    draw, features = Stream(seed, "gradcheck"), size(shape)
    x: Any = draw.normal(0, rows * features).reshape(rows, features)
    if vocabulary:
        x = (draw.uniform(0, rows * features) * vocabulary).astype(np.int64).reshape(rows, features)
    u = draw.uniform(1, rows * size(output)).reshape(rows, *output)
    if isinstance(loss, CrossEntropy):
        return Batch(x, u.argmax(axis=-1))
    u = u.reshape(rows, -1)
    return Batch(x, (u > 0.5).astype(np.float64) if isinstance(loss, BinaryCrossEntropy) else 2.0 * u - 1.0)


def _window_winners(layer: MaxPool, x: npt.NDArray[Any]) -> npt.NDArray[np.generic]:
    axes = (2, 3) if x.ndim == 4 else (1,)
    its = window(layer, len(axes))
    around = [(0, 0)] * x.ndim
    for axis, padding in zip(axes, its.padding, strict=True):
        around[axis] = (padding, padding)
    padded = np.pad(x, around, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, its.kernel, axes)
    return np.asarray(windows.reshape(*windows.shape[: x.ndim], -1).argmax(axis=-1))


def _picture_winners(layer: GlobalPool, x: npt.NDArray[Any]) -> npt.NDArray[np.generic]:
    return np.asarray(x.reshape(*x.shape[:2], -1).argmax(axis=2)) if layer.mode == "max" else np.zeros(0, np.int64)


#: Kinds whose gradient jumps from one input to another: (layer, input) → which one it goes to.
WINNERS: dict[str, Callable[[Any, npt.NDArray[Any]], npt.NDArray[np.generic]]] = {
    "max_pool": _window_winners,
    "global_pool": _picture_winners,
}
