"""What a layer of pictures shows inside: maps, δ, kernels and their gradients, and the share of a branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rewind import Driver

from bptui.protocol import messages as m
from bptui.protocol.framing import Frame
from bptui.trainer.insides import insides
from bptui.trainer.sheets import sheets

STEM, BLOCK, BRANCH, DENSE = 0, 6, 5, 14


@pytest.fixture(params=["numpy", "torch"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "torch":
        pytest.importorskip("torch")
    made = Driver(tmp_path / "run", str(request.param), [], "resnet")
    yield made
    made.close()


def asked(driver: Driver, layer: int, name: str, sample: int = 0, page: int = 0) -> tuple[Any, Any]:
    message, body = insides(driver.trainer, m.Inside(layer=layer, name=name, sample=sample, page=page))
    ref = message.arrays.get("values")
    return message, None if ref is None else Frame(message, body).array(ref)


def test_a_convolution_shows_its_maps_and_kernels_as_small_pictures(driver: Driver) -> None:
    driver.ask(m.Step(count=1))
    engine = driver.trainer.engine
    message, values = asked(driver, STEM, "maps", sample=3)
    a, weight = engine.tensor("a", STEM), engine.tensor_of("weight", 2)
    assert a is not None and weight is not None
    assert message.names == ("maps", "maps.delta", "kernels", "kernels.gradient")
    assert (message.tile, message.sample, message.samples, message.pages) == (8, 3, 16, 1)
    np.testing.assert_array_equal(values.reshape(16, 8, 8), a[3])
    message, values = asked(driver, 2, "kernels", page=5)  # of the sixth channel that goes in
    assert (message.tile, message.samples, message.page, message.pages) == (3, 1, 5, 16)
    np.testing.assert_array_equal(values.reshape(16, 3, 3), weight[:, 5])
    _, values = asked(driver, 2, "kernels.gradient", page=5)
    gradient = engine.tensor_of("weight", 2, "gradient")
    assert gradient is not None and np.abs(gradient).max() > 0
    np.testing.assert_array_equal(values.reshape(16, 3, 3), gradient[:, 5])


def test_where_branches_join_the_share_of_the_branch_is_told_by_channel(driver: Driver) -> None:
    driver.ask(m.Step(count=1))
    message, values = asked(driver, BLOCK, "share.branch", sample=2)
    engine = driver.trainer.engine
    branch, stream = engine.tensor("a", BRANCH), engine.tensor("a", 1)
    assert branch is not None and stream is not None
    ours, passing = (np.sqrt((array[2] ** 2).sum(axis=(1, 2))) for array in (branch, stream))
    np.testing.assert_allclose(values[0], ours / (ours + passing), rtol=1e-5)
    assert message.axes[1] == "unit" and not message.tile and "mean" in message.arrays


def test_inside_an_update_only_what_is_computed_is_there(driver: Driver) -> None:
    engine = driver.trainer.engine
    driver.ask(m.MicroStep(count=1))  # the batch alone
    assert sheets(engine, STEM).keys() == {"kernels"}
    driver.ask(m.MicroStep(count=1))
    assert sheets(engine, STEM).keys() == {"maps", "kernels"}
    assert asked(driver, STEM, "maps.delta")[0].name == "maps"  # what there is instead
    assert asked(driver, BLOCK, "")[0].missing and not sheets(engine, DENSE)


def test_more_maps_than_travel_at_once_are_told_by_pages(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptui.probe.pictures.MOST_CELLS", 7 * 64)
    driver.ask(m.Step(count=1))
    message, values = asked(driver, STEM, "maps", page=2)
    assert message.pages == 3 and message.row_names == ("14", "15") and len(values) == 16
