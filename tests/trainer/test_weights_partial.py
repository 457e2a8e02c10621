"""Weights of a network of other shapes: the layers that fit are taken over, the others are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bptui.engine import create
from bptui.spec.load import load
from bptui.trainer.weights import WeightsError, load_weights


def test_weights_that_fit_are_taken_over(tmp_path: Path) -> None:
    old = create(load("digits", ["experiment.seed=5"]), 64, 10, engine="numpy", seed=5)
    save_file({name: np.asarray(value) for name, value in old.state().items()}, tmp_path / "old.safetensors")
    wider = load("digits", ["model.dense2.units=20"])
    new, drawn = (create(wider, 64, 10, engine="numpy", seed=0) for _ in range(2))
    with pytest.raises(WeightsError, match=r"dense2\.weight"):
        load_weights(new, tmp_path / "old.safetensors")
    load_weights(new, tmp_path / "old.safetensors", partial=True)
    state = new.state()
    assert np.array_equal(state["dense1.weight"], old.state()["dense1.weight"])
    for name in ("dense2.weight", "dense3.weight", "dense3.bias"):
        assert np.array_equal(state[name], drawn.state()[name])
