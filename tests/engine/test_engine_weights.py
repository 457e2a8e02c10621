"""A weight a sample: its loss and gradient count by that factor, in the mean over all samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bptui.engine import create
from bptui.engine.base import Batch, Engine, micro_steps
from bptui.spec.experiment import (
    SGD,
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)
from bptui.spec.layers.shape import Flatten

LOSSES = [
    (CrossEntropy(), "classes"), (CrossEntropy(label_smoothing=0.2), "classes"), (BinaryCrossEntropy(), "binary"),
    (BinaryCrossEntropy(pos_weight=2.0), "binary"), (MeanSquaredError(), "floats"), (MeanAbsoluteError(), "floats"),
    (Huber(delta=0.3), "floats"),
]  # fmt: skip
WEIGHTS = np.array([2.0, 0.0, -1.5, 0.25, 1.0, 3.0, -0.5])


def made(experiment: Any, engine: str, *, graph: bool) -> Engine:
    if graph:
        experiment = type(experiment)(
            data=experiment.data, model=(Flatten(), *experiment.model), loss=experiment.loss,
            optimizer=experiment.optimizer,
        )  # fmt: skip
    return create(experiment, 4, 3, engine=engine, dtype="f64", seed=1, shape=(2, 2) if graph else None)


def gradients(engine: Engine, batch: Batch) -> tuple[float, dict[str, Any]]:
    for place in micro_steps(engine, batch, 0, 0.0):
        loss = place.value if place.phase == "loss" else None
        if loss is not None:
            kept = loss
    layers = range(len(engine.layers))
    return kept, {
        f"{n}.{each.name}": engine.tensor_of(each.name, n, "gradient")
        for n in layers
        for each in engine.layers[n].tensors
    }


@pytest.mark.parametrize("graph", [False, True], ids=["rows", "graph"])
@pytest.mark.parametrize(("loss", "kind"), LOSSES, ids=lambda v: f"{v}")
def test_a_weighted_batch_is_the_weighted_mean_of_its_samples(
    engine_name: str, network: Any, batches: Any, loss: Any, kind: str, graph: bool
) -> None:
    experiment = network((6, 3), activation="tanh", loss=loss, optimizer=SGD(lr=0.1))
    engine = made(experiment, engine_name, graph=graph)
    (batch,) = batches(1, len(WEIGHTS), 4, 3, kind=kind)
    loss_found, found = gradients(engine, replace(batch, weights=WEIGHTS))
    alone = [gradients(engine, Batch(batch.x[n : n + 1], batch.y[n : n + 1])) for n in range(len(WEIGHTS))]
    assert loss_found == pytest.approx(
        np.mean([w * one for w, (one, _) in zip(WEIGHTS, alone, strict=True)]), abs=1e-12
    )
    for name, gradient in found.items():
        wanted = sum(w * of[name] for w, (_, of) in zip(WEIGHTS, alone, strict=True)) / len(WEIGHTS)
        np.testing.assert_allclose(gradient, wanted, atol=1e-12, err_msg=name)
    plain, _ = gradients(engine, batch)
    assert plain == pytest.approx(np.mean([one for one, _ in alone]), abs=1e-12)  # the weights are forgotten again


@pytest.mark.parametrize("parts", [1, 3])
def test_weighted_steps_are_the_same_in_parts_fused_and_in_both_engines(network: Any, batches: Any, parts: int) -> None:
    pytest.importorskip("torch")
    experiment = network((16, 3), activation="tanh", optimizer=SGD(lr=0.2, momentum=0.9, clip_norm=1.0))
    draw = np.random.default_rng(3)
    sizes = (9, 30, 12, 9, 41, 5, 17, 23, 11, 3, 8, 60)  # more sizes than are kept
    data = [replace(b, weights=draw.normal(size=n)) for n in sizes for b in batches(1, n, 4, 3, seed=n)]
    fused, micro, torch = (made(experiment, name, graph=False) for name in ("numpy", "numpy", "torch"))
    for step in range(40):
        group = [data[(step * parts + i) % len(data)] for i in range(parts)]
        whole = fused.train_step(group[0], step, 0.2) if parts == 1 else fused.accumulate(group, step, 0.2)
        for _ in micro_steps(micro, group, step, 0.2):
            pass
        other = torch.accumulate(group, step, 0.2)
        assert whole == pytest.approx(other, abs=1e-9)
    for name, value in fused.state().items():
        assert np.array_equal(value, micro.state()[name]), name
        np.testing.assert_allclose(value, torch.state()[name], atol=1e-8, err_msg=name)


def test_each_step_of_a_sequence_has_the_weight_of_its_sample(engine_name: str, network: Any) -> None:
    experiment = network((3,), loss=CrossEntropy())
    experiment = type(experiment)(
        data=experiment.data, model=(Dense(units=5, activation="tanh"), Dense(units=3)), loss=CrossEntropy(),
    )  # fmt: skip
    engine = create(experiment, 8, 3, engine=engine_name, dtype="f64", seed=1, shape=(4, 2))
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 8)), np.array([[0, 2, 1, -1], [1, 1, -1, -1]])
    loss, found = gradients(engine, Batch(x, y, weights=np.array([2.0, -1.0])))
    parts = [gradients(engine, Batch(x[n : n + 1], y[n : n + 1])) for n in range(2)]
    assert loss == pytest.approx((2.0 * 3 * parts[0][0] - 2 * parts[1][0]) / 5, abs=1e-12)  # 3 and 2 targets
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, (2.0 * 3 * parts[0][1][name] - 2 * parts[1][1][name]) / 5, atol=1e-12)
