"""Which engine is taken, and what is said when one is not there."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import bptui.engine as engines
from bptui.engine import EngineError, choose, create, measured
from bptui.engine.numpy.erf import erf
from bptui.spec.experiment import CrossEntropy, Experiment
from bptui.spec.layers.shape import Reshape
from bptui.spec.load import load
from bptui.spec.shapes import infer


def test_auto_takes_numpy_without_cuda(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "cuda_seen", lambda: False)
    engine, device, why = choose(network((4, 3)), "auto", None)
    assert (engine, device) == ("numpy", "cpu") and "NumPy can run this model" in why


def test_auto_takes_torch_with_cuda(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_cuda_ready", lambda: True)
    assert choose(network((4, 3)))[:2] == ("torch", "cuda")
    assert choose(network((4, 3)), "auto", "cpu")[:2] == ("numpy", "cpu")


def test_auto_takes_torch_for_a_layer_that_numpy_lacks(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "cuda_seen", lambda: False)
    monkeypatch.setattr(engines, "TORCH_ALONE", frozenset({"dense"}))
    monkeypatch.setattr(engines, "torch_installed", lambda: True)
    assert choose(network((4, 3)))[:2] == ("torch", "cpu")
    with pytest.raises(EngineError, match="numpy engine cannot run a layer of type 'dense'"):
        choose(network((4, 3)), "numpy")


def test_auto_takes_what_is_measured_to_be_faster(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "cuda_seen", lambda: False)
    monkeypatch.setattr(engines, "torch_installed", lambda: True)
    monkeypatch.setattr(measured, "RATIOS", {"dense": 0.5, "flatten": 1.0, "reshape": 4.0})
    dense = network((4, 3))
    engine, _, why = choose(dense, placed=infer(dense.model, (5,)))
    assert engine == "numpy" and "torch would take ×1.8 as long: 100% of its time is in dense layers" in why
    folded = network((3,)).model[0]
    model = (Reshape(shape=(8, 64)), Reshape(shape=(512,)), folded)
    engine, _, why = choose(Experiment(data=dense.data, model=model, loss=dense.loss), placed=infer(model, (512,)))
    assert engine == "torch" and "NumPy would take ×" in why and "in reshape layers" in why
    monkeypatch.setattr(engines, "torch_installed", lambda: False)
    assert choose(dense, placed=infer(model, (512,)))[0] == "numpy"


def test_a_table_that_is_looked_up_in_costs_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary of any size is read a row at a time: the preset recommender stays with NumPy, by its figures."""
    monkeypatch.setattr(engines, "cuda_seen", lambda: False)
    monkeypatch.setattr(engines, "torch_installed", lambda: True)
    found = load("recommender", ["model.user.vocabulary=1000000"])
    engine, _, why = choose(found, placed=infer(found.model, (2,), True))
    assert engine == "numpy" and "in embedding layers" in why


def test_what_is_not_there_is_one_line(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = network((4, 3))
    with pytest.raises(EngineError, match="the numpy engine runs on the cpu, not on 'cuda'"):
        choose(experiment, "numpy", "cuda")
    with pytest.raises(EngineError, match="did you mean 'numpy'"):
        choose(experiment, "nunpy")
    with pytest.raises(EngineError, match="the last layer has 3 units, the data needs 5"):
        create(experiment, 4, 5, engine="numpy")
    weights = network((4, 3), loss=CrossEntropy(class_weights=(1.0, 2.0)))
    with pytest.raises(EngineError, match="class_weights: 2 weights for 3 classes"):
        create(weights, 4, 3, engine="numpy")
    monkeypatch.setattr(engines, "torch_installed", lambda: False)
    for ask in (lambda: choose(experiment, "torch"), lambda: create(experiment, 4, 3, engine="torch")):
        with pytest.raises(EngineError, match="torch is not installed"):
            ask()
    with pytest.raises(EngineError, match="device 'cuda' needs torch"):
        choose(experiment, "auto", "cuda")


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_a_device_that_is_not_there_is_one_line(network: Any) -> None:
    import torch

    with pytest.raises(EngineError, match="unknown device 'gpu'"):
        choose(network((4, 3)), "torch", "gpu")
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match="finds no CUDA device"):
            create(network((4, 3)), 4, 3, engine="torch", device="cuda")


def test_choosing_numpy_imports_no_torch() -> None:
    code = """
import sys
from bptui.engine import choose, create, cuda_seen
from bptui.spec.experiment import *
e = Experiment(data=Data(source="x"), model=(Dense(units=2),), loss=MeanSquaredError())
if not cuda_seen():
    choose(e)
create(e, 2, 2, engine="numpy")
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 5e-7)])
def test_erf_is_exact_to_the_last_bits(dtype: Any, tolerance: float) -> None:
    wide = np.concatenate([np.linspace(-7, 7, 20001), [0.0, 1e-20, -1e-9, 6.0, 5.999, 1e30, np.inf]])
    x = wide.astype(dtype)
    expected = np.array([math.erf(v) for v in x])
    assert np.abs(erf(x) - expected).max() <= tolerance
    small = x[np.abs(x) < 1e-8]
    np.testing.assert_allclose(erf(small), [math.erf(v) for v in small], rtol=1e-6 if dtype is np.float32 else 1e-15)
    assert np.isnan(erf(np.array([np.nan], dtype)))[0]
