"""Gradients against central differences, and the check itself against a wrong gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptui.engine.gradcheck import check_all, check_experiment
from bptui.engine.numpy import losses
from bptui.engine.subjects import subjects
from bptui.spec.experiment import Dense, Experiment, MeanAbsoluteError
from bptui.spec.layers import GEOMETRY


def test_every_gradient_is_a_central_difference(engine_name: Any) -> None:
    rows = check_all([engine_name], samples=6)
    assert {row.subject for row in rows} == {subject.name for subject in subjects()}
    kinds = {str(layer.__struct_config__.tag) for subject in subjects() for layer in subject.experiment.model}
    assert kinds == set(GEOMETRY)
    assert {row.engine for row in rows} == {engine_name}
    assert [row for row in rows if not row.ok] == []
    assert max(row.worst for row in rows) < 1e-8
    assert all(row.checked for row in rows)


def test_a_wrong_gradient_is_found(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = losses.LOSSES["cross_entropy"]

    def wrong(loss: Any, out: Any, grad: Any) -> Any:
        prepared = right(loss, out, grad)
        prepared.operations.append(lambda: np.multiply(grad, 1.001, out=grad))
        return prepared

    monkeypatch.setitem(losses.LOSSES, "cross_entropy", wrong)
    rows = check_experiment(network((4, 3)), (5,), engines=["numpy"])
    assert [row.tensor for row in rows if not row.ok] == [
        "dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias",
    ]  # fmt: skip
    assert rows[0].worst == pytest.approx(1e-3, rel=0.01)


def test_places_next_to_a_kink_are_left_out(network: Any, engine_name: Any) -> None:
    # biases of 0 and inputs of 0: every z of the first layer lies on relu's kink
    from bptui.engine.base import Batch

    base = network((4, 3))
    experiment = Experiment(
        data=base.data, loss=MeanAbsoluteError(), model=(Dense(units=4, activation="relu"), base.model[1])
    )
    rows = check_experiment(experiment, (5,), engines=[engine_name], batch=Batch(np.zeros((2, 5)), np.ones((2, 3))))
    by_name = {row.tensor: row for row in rows}
    assert by_name["dense1.bias"].skipped == 4 and by_name["dense2.bias"].skipped == 0
    assert all(row.ok for row in rows)
