"""What the paused step shows: the ledger, sheets, ranked rows, stages and the shadow check, in both engines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_rewind import Driver, same

from bptui.protocol import messages as m
from bptui.protocol.framing import Frame
from bptui.trainer.inspect import CannotSee, see
from bptui.trainer.requests import NotNow

STORY = ["model.dense1.l2=0.01", "model.dense2.l1=0.002", "optimizer.clip_norm=0.5", "optimizer.momentum=0.9"]


class Inspected(Driver):
    """What was read is forgotten with each request that may move the run, as ``answer`` does."""

    def ask(self, request: Any) -> None:
        self.trainer.seen.forget()
        super().ask(request)


@pytest.fixture(params=["numpy", "torch"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "torch":
        pytest.importorskip("torch")
    made = Inspected(tmp_path / "run", str(request.param), STORY)
    yield made
    made.close()


def asked(driver: Driver, request: Any) -> Any:
    message, body = see(driver.trainer, request)
    return message, Frame(message, body)


def arrays(driver: Driver, request: Any) -> dict[str, Any]:
    message, frame = asked(driver, request)
    return {name: frame.array(ref) for name, ref in message.arrays.items()}


def whole(driver: Driver, layer: int, kind: str) -> Any:
    return arrays(driver, m.Sheet(layer=layer, kind=kind, rows=100, columns=100))["values"]


def test_the_ledger_is_that_of_its_own_matrices(driver: Driver) -> None:
    driver.ask(m.Step(count=3))
    reply, _ = asked(driver, m.Ledger())
    assert (reply.step, reply.samples, len(reply.rows)) == (3, 16, 3)
    for layer, row in enumerate(reply.rows):
        delta = whole(driver, layer, "delta").astype(float)
        assert row.delta == pytest.approx(np.linalg.norm(delta))
        if layer == 2:
            assert row.upstream is row.gate is row.ratio is None
            continue
        upstream, gate = whole(driver, layer, "upstream"), whole(driver, layer, "gate")
        after, weight = whole(driver, layer + 1, "delta"), whole(driver, layer + 1, "W")
        np.testing.assert_allclose(upstream, after @ weight.T, rtol=1e-4, atol=1e-8)
        np.testing.assert_array_equal(delta, (upstream * gate).astype(float))
        assert row.stopped == pytest.approx(1 - np.linalg.norm(delta) / np.linalg.norm(upstream.astype(float)))
        assert row.closed == pytest.approx(np.mean(gate == 0))
        assert row.ratio == pytest.approx(row.delta / reply.rows[layer + 1].delta)


def test_inside_an_update_only_what_is_computed_is_there(driver: Driver) -> None:
    driver.ask(m.Step())
    seen: list[tuple[str, list[int], list[int]]] = []
    for _ in range(9):
        driver.ask(m.MicroStep())
        ledger, _ = asked(driver, m.Ledger())
        assert [row.delta is None for row in ledger.rows] == [row.missing > 0 for row in ledger.rows]
        z = [asked(driver, m.Sheet(layer=layer, kind="z"))[0].missing for layer in range(3)]
        for layer in range(3):
            assert bool(asked(driver, m.Sheet(layer=layer, kind="z"))[0].arrays) == (z[layer] == 0)
        seen.append((ledger.micro, [row.missing for row in ledger.rows], z))
    assert seen == [
        ("batch", [7, 6, 4], [1, 2, 3]), ("forward dense1", [6, 5, 3], [0, 1, 2]),
        ("forward dense2", [5, 4, 2], [0, 0, 1]), ("forward dense3", [4, 3, 1], [0, 0, 0]),
        ("loss", [3, 2, 0], [0, 0, 0]), ("backward dense3", [2, 1, 0], [0, 0, 0]),
        ("backward dense2", [1, 0, 0], [0, 0, 0]), ("backward dense1", [0, 0, 0], [0, 0, 0]),
        ("clip", [0, 0, 0], [0, 0, 0]),
    ]  # fmt: skip


def test_stages_between_updates_tell_the_coming_one_and_leave_no_trace(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    before = driver.state
    staged, _ = asked(driver, m.Stages())
    same(before, driver.state)
    assert staged.missing == (0, 0, 0, 0) and staged.limits == {"clip_norm": 0.5} and staged.penalties
    matrices = {kind: [whole(driver, layer, kind) for layer in range(3)] for kind in
                ("raw_W", "regularised_W", "clipped_W", "update_W", "W")}  # fmt: skip
    for layer in range(3):
        kinds = ("raw_W", "regularised_W", "clipped_W", "update_W")
        norms = [np.linalg.norm(matrices[kind][layer].astype(float)) for kind in kinds]
        assert staged.rows[layer] == pytest.approx(norms)
        l1, l2 = (0.0, 0.01) if layer == 0 else (0.002, 0.0) if layer == 1 else (0.0, 0.0)
        weight = matrices["W"][layer]
        expected = matrices["raw_W"][layer] + l1 * np.sign(weight) + 2 * l2 * weight
        np.testing.assert_allclose(matrices["regularised_W"][layer], expected, rtol=1e-5, atol=1e-8)
    driver.ask(m.Step())
    for layer in range(3):
        after = whole(driver, layer, "W")
        np.testing.assert_array_equal(after - matrices["W"][layer], matrices["update_W"][layer])


def test_stages_inside_an_update_come_one_by_one(driver: Driver) -> None:
    driver.ask(m.MicroStep(count=7))
    staged, _ = asked(driver, m.Stages())
    assert staged.micro == "backward dense2" and staged.missing == (1, 2, 2, 3)
    assert staged.rows[0] == (None, None, None, None)
    driver.ask(m.MicroStep())
    raw = asked(driver, m.Stages())[0].rows
    assert raw[1][0] is not None and raw[1][1:] == (None, None, None)
    driver.ask(m.MicroStep())
    clipped = asked(driver, m.Stages())[0]
    assert clipped.missing == (0, 0, 0, 1)
    assert [row[0] for row in clipped.rows] == [row[0] for row in raw]
    total = math.sqrt(sum(row[2] ** 2 for row in clipped.rows))
    assert total <= 0.5 + 1e-5 and clipped.rows[0][1] != clipped.rows[0][0]


def test_a_window_is_sorted_marked_and_searched(driver: Driver) -> None:
    driver.ask(m.Step())
    weights = whole(driver, 0, "W")
    request = m.Sheet(
        layer=0, kind="W", top=2, left=1, rows=4, columns=3, row_order=m.Order("norm"),
        column_order=m.Order("value", 5, True), condition="abs > 0.1",
    )  # fmt: skip
    reply, _ = asked(driver, request)
    found = arrays(driver, request)
    rows = np.argsort(-np.linalg.norm(weights.astype(float), axis=1), kind="stable")[2:6]
    columns = np.argsort(weights[5], kind="stable")[1:4]
    assert found["rows"].tolist() == rows.tolist() and found["columns"].tolist() == columns.tolist()
    np.testing.assert_array_equal(found["values"], weights[np.ix_(rows, columns)])
    np.testing.assert_array_equal(found["matches"], np.abs(weights[np.ix_(rows, columns)]) > 0.1)
    assert reply.matched == int((np.abs(weights) > 0.1).sum())
    assert reply.shape == weights.shape and reply.picture == (8, 8)
    assert int(found["cells"].sum()) == weights.size
    place = asked(driver, m.Sheet(layer=0, kind="W", condition="> 1e9", find=(0, 0)))[0].found
    assert place is None
    bad_ones = ({"kind": "nothing"}, "unknown kind"), ({"condition": "> x"}, "a number"), ({"layer": 7}, "no layer")
    for bad, told in bad_ones:
        with pytest.raises(CannotSee, match=told):
            see(driver.trainer, m.Sheet(**{"layer": 0, "kind": "W", **bad}))


def test_ranked_rows_are_those_of_the_batch_with_inputs_and_labels(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    reply, _ = asked(driver, m.Ranked(layer=1, unit=3))
    found = arrays(driver, m.Ranked(layer=1, unit=3))
    inputs, delta = whole(driver, 0, "a").astype(float), whole(driver, 1, "delta").astype(float)
    given = np.abs(delta[:, 3]) * np.linalg.norm(inputs, axis=1)
    assert sorted(found["rows"].tolist()) == list(range(16))
    np.testing.assert_allclose(found["given"], given[found["rows"]])
    assert (np.diff(found["given"]) <= 0).all()
    gradient = whole(driver, 1, "grad_W")[:, 3].astype(float)
    assert reply.gradient == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    data = driver.trainer.setup.data
    by_source = {row: at for at, row in enumerate(data.train.rows.tolist())}
    for at, source in enumerate(found["source"].tolist()):
        np.testing.assert_array_equal(found["x"][at], data.train.x[by_source[source]])
        assert found["y"][at] == data.train.y[by_source[source]]
    driver.ask(m.MicroStep(count=3))
    assert asked(driver, m.Ranked(layer=1, unit=3))[0].missing == 4


def test_the_shadow_check_is_near_for_f32_and_sees_a_changed_cell(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    reply, _ = asked(driver, m.Shadow())
    assert reply.dtype == "f32" and all(0 < error < 1e-4 for error in reply.errors)
    assert reply.exact_loss == pytest.approx(reply.loss, rel=1e-5)
    driver.ask(m.MicroStep(count=7))
    assert [error is None for error in asked(driver, m.Shadow())[0].errors] == [True, False, False]


def test_an_edited_cell_is_an_event_that_a_replay_does_again(driver: Driver) -> None:
    driver.ask(m.Step(count=2))
    driver.ask(m.Set(key="dense1.weight[3,4]", value=0.5))
    assert whole(driver, 0, "W")[3, 4] == 0.5
    change = driver.trainer.memory.changes[-1]
    assert (change.step, change.key, change.value) == (2, "dense1.weight[3,4]", 0.5)
    driver.ask(m.Step(count=3))
    there = driver.state
    driver.ask(m.GoTo(step=0))
    driver.ask(m.GoTo(step=5))
    same(there, driver.state)
    for key, told in (
        ("dense1.weight[3]", "64 × 32: there is no cell"), ("dense9.bias[0]", "no parameter"),
        ("dense1.weight[64,0]", "there is no cell"),
    ):  # fmt: skip
        with pytest.raises(NotNow, match=told):
            driver.ask(m.Set(key=key, value=1.0))
    with pytest.raises(NotNow, match="finite"):
        driver.ask(m.Set(key="dense1.bias[0]", value=math.nan))
