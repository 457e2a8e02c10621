"""Settings changed while it trains: they hold from the right batch on, and going back undoes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_rewind import Driver, engine, same  # noqa: F401 (a fixture)

from bptui.protocol.messages import GoTo, Set, Step
from bptui.runs.digest import Digest
from bptui.spec.experiment import Stop
from bptui.trainer.epochs import Epochs
from bptui.trainer.requests import NotNow
from bptui.trainer.stopping import Stopping


def digest_of(driver: Driver) -> Digest:
    digest = Digest()
    ring = driver.trainer.ring
    digest.feed(b"".join(ring.bytes_between(ring.tail, ring.head)))
    return digest


def test_epochs_count_on_where_their_length_changes() -> None:
    epochs = Epochs(10).changed(20, 5)
    assert [epochs.of(step) for step in (20, 24, 25, 31)] == [2, 2, 3, 4]
    assert epochs.done(22) == 2.4 and epochs.between(25) and not epochs.between(26) and epochs.end(20) == 25


@pytest.mark.parametrize(
    ("stop", "total", "then"),
    [(Stop(epochs=4), 40, 30), (Stop(steps=33), 33, 33), (Stop(epochs=4, steps=45), 40, 30),
     (Stop(epochs=4, steps=25), 25, 25)],
)  # fmt: skip
def test_an_end_in_epochs_moves_and_one_in_steps_stays(stop: Stop, total: int, then: int) -> None:
    stopping = Stopping(stop, 10)
    assert stopping.total_steps == total
    stopping.rescale(20, 10, 5)
    assert stopping.total_steps == then


def test_another_batch_size_holds_from_the_next_epoch_on(tmp_path: Path, engine: str) -> None:  # noqa: F811
    driver = Driver(tmp_path / "run", engine, ["stop.epochs=6"])
    trainer = driver.trainer
    rows, per = len(trainer.setup.data.train), trainer.steps_per_epoch
    assert per == -(-rows // 16)
    driver.ask(Step(count=per + 3))
    driver.ask(Set(key="batch_size", value=8))
    assert trainer.steps_per_epoch == per and len(trainer.batches.peek().x) == 16
    driver.ask(Step(count=per - 3))
    assert len(trainer.batches.peek().x) == 8 and trainer.steps_per_epoch == -(-rows // 8)
    assert trainer.stopping.total_steps == 2 * per + 4 * trainer.steps_per_epoch
    digest = digest_of(driver)
    assert digest.epoch == 2.0 and digest.live["settings"]["batch_size"] == 8
    assert [(note.content["change"], note.content["before"], note.content["after"]) for note in digest.events] == [
        ("batch_size", 16, 8)]  # fmt: skip
    driver.ask(Step(count=trainer.steps_per_epoch))
    assert digest_of(driver).epoch == 3.0 and trainer.batches.epoch == 3
    driver.ask(Set(key="batch_size", value=32))
    assert len(trainer.batches.peek().x) == 32, "between two epochs at once"
    driver.close()


def test_going_back_before_a_change_and_on_again_is_the_same(tmp_path: Path, engine: str) -> None:  # noqa: F811
    driver = Driver(tmp_path / "run", engine, ["model.dense1.dropout=0.2"])
    trainer = driver.trainer
    for key, value in (("batch_size", 8), ("dropout", 0.4), ("momentum", 0.5), ("clip_norm", 0.7)):
        driver.ask(Step(count=7))
        driver.ask(Set(key=key, value=value))
    driver.ask(Step(count=20))
    there, head = driver.state, trainer.step
    trainer.memory.keep(trainer)
    driver.ask(GoTo(step=3))
    assert trainer.engine.settings()["momentum"] == 0.9 and trainer.steps_per_epoch == 10
    driver.ask(GoTo(step=head))
    same(there, driver.state)
    driver.close()


def test_dropout_live_is_dropout_from_the_start(tmp_path: Path, engine: str) -> None:  # noqa: F811
    changed = Driver(tmp_path / "changed", engine, [])
    drawn = Driver(tmp_path / "drawn", engine, ["model.1-2.dropout=0.5"])
    changed.ask(Set(key="dropout", value=0.5))
    for driver in (changed, drawn):
        driver.ask(Step(count=4))
    same(
        {k: v for k, v in changed.state.items() if k != "words"}, {k: v for k, v in drawn.state.items() if k != "words"}
    )
    changed.ask(Set(key="dropout.dense1", value=0.0))
    changed.ask(Step())
    hidden = changed.trainer.engine.tensor("gate", 1)
    assert hidden is not None and set(np.unique(hidden)) <= {0.0, 2.0}, "dense2 still has its own"
    changed.close()
    drawn.close()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("dropout", 1.0, "below 1"), ("dropout.dense9", 0.1, "no layer 'dense9'"), ("batch_size", 0.5, "whole number"),
     ("momentum", 1.0, "below 1"), ("clip_norm", 0.0, "above 0"), ("lr", 0.0, "above 0"), ("warmth", 1.0, "no setting"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_why_and_changes_nothing(tmp_path: Path, key: str, value: float, says: str) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    before = driver.state
    with pytest.raises(NotNow, match=says):
        driver.ask(Set(key=key, value=value))
    same(before, driver.state)
    assert digest_of(driver).events == []
    driver.close()
