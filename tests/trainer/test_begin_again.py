"""Layers and units that begin again: of a layer every tensor, of a unit what leads into it, or one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rewind import Driver

from bptui.protocol.messages import Step

SPEC = """
[data]
source = "romeo-and-juliet"
window = 12
[[model]]
type = "embedding"
units = 4
vocabulary = 62
[[model]]
type = "lstm"
units = 3
bidirectional = true
[[model]]
type = "gru"
units = 4
layers = 2
[[model]]
type = "transformer_block"
heads = 2
[[model]]
type = "positional_embedding"
table = "sinusoidal"
[[model]]
type = "dense"
units = 62
[loss]
name = "cross_entropy"
[optimizer]
name = "adam"
[stop]
epochs = 1
"""


@pytest.fixture
def driver(tmp_path: Path) -> Any:
    (tmp_path / "spec.toml").write_text(SPEC)
    made = Driver(tmp_path / "run", "numpy", ["data.samples=60"], spec=str(tmp_path / "spec.toml"))
    made.ask(Step(count=2))
    yield made
    made.close()


def changed(driver: Driver, key: str) -> dict[str, Any]:
    """Tensors of the state by name → where they differ after the change."""
    engine = driver.trainer.engine
    before = engine.state()
    driver.trainer.change(key, "normal")
    after = engine.state()
    return {name: found for name in before if (found := before[name] != after[name]).any()}


@pytest.mark.parametrize("layer", ["embedding1", "lstm1", "gru1", "transformer_block1", "dense1"])
def test_every_tensor_of_a_layer_begins_again_and_no_other(driver: Driver, layer: str) -> None:
    found = changed(driver, f"{layer}.init")
    (info,) = (each for each in driver.trainer.engine.layers if each.name == layer)
    assert {f"{layer}.{each.name}" for each in info.tensors} == {name for name in found if name.startswith(layer)}
    assert all(f"{layer}." in name for name in found)
    weights = [name for name in found if found[name].ndim == 2 and name.startswith(layer)]
    assert all(found[name].all() for name in weights)
    state = driver.trainer.engine.state()
    assert not any(state[name].any() for name in state if name.startswith(f"optimizer.exp_avg.{layer}."))


@pytest.mark.parametrize(("unit", "side", "column"), [(1, "", 1), (5, "_reverse", 2)])
def test_a_unit_of_a_recurrent_layer_begins_again_in_each_gate(
    driver: Driver, unit: int, side: str, column: int
) -> None:
    found = changed(driver, f"lstm1.units[{unit}]")
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert {name for name in found if name.startswith("lstm1")} == {f"lstm1.{part}_l0{side}" for part in parts}
    for part in parts:
        columns = np.atleast_2d(found[f"lstm1.{part}_l0{side}"]).any(axis=0)
        assert np.flatnonzero(columns).tolist() == [column, column + 3, column + 6, column + 9]


@pytest.mark.parametrize("layer", ["gru1", "transformer_block1"])
def test_a_unit_whose_weights_are_not_its_own_is_refused(driver: Driver, layer: str) -> None:
    before = driver.trainer.engine.state()
    with pytest.raises(
        ValueError, match=rf"^{layer} .*: no single unit can begin again, only the layer \({layer}.init"
    ):
        driver.trainer.change(f"{layer}.units[1]", "normal")
    after = driver.trainer.engine.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    with pytest.raises(ValueError, match="has no weights to draw again"):
        driver.trainer.change("positional_embedding1.init", "normal")
