"""A network with branches, pictures and running statistics in the trainer: back in time, looked at, changed, frozen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from test_inspect import Inspected, arrays, asked
from test_rewind import Driver, same

from bptui.protocol import messages as m
from bptui.protocol.lens import COLUMNS
from bptui.protocol.model import model_info
from bptui.protocol.whatif import Continue, WhatIfError, parse_change
from bptui.runs import keyframes
from bptui.trainer import lens
from bptui.trainer.inspect import CannotSee
from bptui.trainer.looks import through_lens
from bptui.trainer.setup import meta
from bptui.trainer.whatif import change

SPEC = """
[data]
source = "digits"
[[model]]
type = "conv2d"
name = "first"
units = 4
padding = "same"
activation = "relu"
l2 = 0.01
[[model]]
type = "batch_norm"
name = "norm"
activation = "relu"
[[model]]
type = "add"
name = "joint"
of = ["first"]
dropout = 0.2
[[model]]
type = "max_pool"
name = "pool"
[[model]]
type = "flatten"
name = "row"
[[model]]
units = 6
name = "side"
activation = "tanh"
input = "input"
[[model]]
type = "concat"
name = "both"
of = ["row"]
[[model]]
units = 10
name = "head"
[loss]
name = "cross_entropy"
[optimizer]
name = "adam"
[stop]
steps = 1000
"""
NAMES = ["first", "norm", "joint", "pool", "row", "side", "both", "head"]


@pytest.fixture(params=["numpy", "torch"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    if request.param == "torch":
        pytest.importorskip("torch")
    (tmp_path / "graph.toml").write_text(SPEC)
    made = Inspected(tmp_path / "run", str(request.param), [], str(tmp_path / "graph.toml"))
    yield made
    made.close()


def state(driver: Driver) -> dict[str, Any]:
    return driver.trainer.engine.state()


def test_going_back_and_forth_ends_where_going_straight_does(driver: Driver) -> None:
    driver.ask(m.Step(count=6))
    there = state(driver)
    assert {"norm.running_mean", "norm.running_var", "optimizer.exp_avg.norm.weight"} <= set(there)
    assert "optimizer.exp_avg.norm.running_mean" not in there
    driver.ask(m.Back(count=4))
    two = state(driver)
    assert not np.array_equal(two["norm.running_mean"], there["norm.running_mean"])
    for _ in range(5):
        driver.ask(m.MicroStep())
    asked(driver, m.Ledger())
    driver.ask(m.GoTo(step=6))
    same(state(driver), there)
    tensors, _ = keyframes.read(keyframes.keyframes(driver.trainer.directory)[0].path)
    assert tensors["norm.running_var"].tolist() == [1.0] * 4


def test_looking_at_the_coming_step_changes_no_running_statistics(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    before = state(driver)
    for request in (m.Ledger(), m.Stages(), m.Shadow()):
        asked(driver, request)
    same(state(driver), before)


def test_every_kind_can_be_inspected(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    ledger, _ = asked(driver, m.Ledger())
    assert [row.delta is None for row in ledger.rows] == [False] * 8
    assert max(row.delta for row in ledger.rows) > 0
    delta, _ = asked(driver, m.Sheet(layer=0, kind="delta", rows=4, columns=4))
    assert delta.shape == (16, 4 * 8 * 8) and delta.whole == (16, 4, 8, 8)
    weight, _ = asked(driver, m.Sheet(layer=0, kind="W", rows=4, columns=4))
    assert weight.whole == (4, 1, 3, 3) and weight.tensor == "first.weight"
    nothing, _ = asked(driver, m.Sheet(layer=4, kind="W", rows=4, columns=4))
    assert "row (flatten) has no weights" in nothing.note
    stages, _ = asked(driver, m.Stages())
    assert all(value is not None for value in stages.rows[0]) and stages.rows[3] == (None,) * 4
    shadow, _ = asked(driver, m.Shadow())
    assert all(error is not None and error < 1e-4 for error in shadow.errors)
    for layer, units in enumerate((4, 4, 4, 4, 64, 6, 70, 10)):
        ranked, _ = asked(driver, m.Ranked(layer=layer, unit=units - 1))
        assert ranked.samples == 16
        with pytest.raises(CannotSee, match=f"no unit {units}"):
            asked(driver, m.Ranked(layer=layer, unit=units))


def test_samples_give_their_sum_to_the_gradient_of_a_bias(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    given = arrays(driver, m.Ranked(layer=0, unit=2, rows=64))
    _, frame = asked(driver, m.Sheet(layer=0, kind="grad_b", rows=1, columns=9))
    bias = frame.array(frame.message.arrays["values"])[0][2]  # type: ignore[union-attr]
    assert given["delta"].sum() == pytest.approx(bias, rel=1e-4)
    assert given["along"].sum() == pytest.approx(1)


def test_the_lens_sees_channels(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    before = driver.trainer.engine.tensor("a", 0)
    seen, body = through_lens(driver.trainer, m.Lens())
    assert [row.units for row in seen.layers] == [4, 4, 4, 4, 64, 6, 70, 10]
    table = np.frombuffer(body, "<f8").reshape(-1, len(COLUMNS))
    samples = lens.census_rows(driver.trainer.setup.data.train.blocks())
    z, a = next(driver.trainer.engine.passes(samples.x))
    assert table[:4, 0].tolist() == [(z[:, c] > 0).any(axis=(1, 2)).sum() for c in range(4)]
    np.testing.assert_allclose(table[:4, 1], z.max(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(a, np.maximum(z, 0))
    np.testing.assert_array_equal(before, driver.trainer.engine.tensor("a", 0))


def test_cells_units_and_layers_are_changed_live_and_frozen(driver: Driver) -> None:
    driver.ask(m.Step())
    driver.ask(m.Set(key="first.weight[3,0,1,2]", value=0.25))
    assert state(driver)["first.weight"][3, 0, 1, 2] == 0.25
    before = state(driver)
    driver.ask(m.Set(key="first.units[1]", value="he_normal"))
    after = state(driver)
    changed = [c for c in range(4) if not np.array_equal(before["first.weight"][c], after["first.weight"][c])]
    assert changed == [1] and not after["optimizer.exp_avg.first.weight"][1].any()
    driver.ask(m.Set(key="freeze.first", value=1.0))
    driver.ask(m.Step(count=3))
    moved = state(driver)
    assert np.array_equal(moved["first.weight"], after["first.weight"])
    assert not np.array_equal(moved["head.weight"], after["head.weight"])
    for key, said in (("freeze.pool", "pool has no parameters"), ("first.weight[9,0,0,0]", "there is no cell")):
        with pytest.raises(Exception, match=said):
            driver.ask(m.Set(key=key, value=1.0))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("activation=gelu", ["first", "norm", "side"]),
        ("init=he_normal", ["first", "side", "head"]),
        ("bias+=0.1", ["first", "norm", "side"]),
        ("revive=he_normal", ["first"]),
    ],
)
def test_what_if_means_the_layers_that_have_what_is_changed(driver: Driver, text: str, meant: list[str]) -> None:
    trainer = driver.trainer
    state = trainer.engine.state()
    for name in ("first", "norm"):  # a unit of each is dead
        state[f"{name}.bias"][2] = -1e3
    trainer.engine.load_state(state)
    made = change(trainer, [parse_change(text)])
    assert [one.key.split(".")[0] for one in made] == meant


def test_what_if_takes_a_limit_off(driver: Driver) -> None:
    wanted = parse_change("clip_norm=inf")
    assert msgspec.json.decode(msgspec.json.encode(Continue(0, 1, (wanted,))), type=Continue).wanted == (wanted,)
    change(driver.trainer, [parse_change("clip_norm=1")])
    change(driver.trainer, [wanted])
    assert driver.trainer.engine.settings()["clip_norm"] == float("inf")
    for text, said in (
        ("clip_norm=/2", "clip_norm is off"), ("lr=nan", "lr: expected a number above 0"), ("lr=inf", "lr: expected"),
        ("total_steps=inf", "total_steps: expected a whole number"), ("clip_norm=nan", "nan"),
    ):  # fmt: skip
        with pytest.raises(WhatIfError, match=said):
            change(driver.trainer, [parse_change(text)])


def test_a_face_is_told_of_shapes_and_branches(driver: Driver) -> None:
    info = model_info("run", "t", {}, meta(driver.trainer.setup, driver.trainer.epochs, None))
    assert info.sample == (1, 8, 8) and [row.name for row in info.layers] == NAMES
    assert [row.shape for row in info.layers][:4] == [(4, 8, 8)] * 3 + [(4, 4, 4)]
    assert [row.sources for row in info.layers] == [(-1,), (0,), (1, 0), (2,), (3,), (-1,), (5, 4), (6,)]
    assert [row.unit_axis for row in info.layers][:5] == [0, 0, 0, 0, -1]
