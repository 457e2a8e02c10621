"""Going back and forth ends bit for bit where going straight does, in both engines."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.protocol.messages import Back, Branched, GoTo, MicroStep, Set, Step
from bptui.runs import keyframes
from bptui.runs.info import Parent, RunInfo, read_info, write_info
from bptui.runs.paths import socket_addresses
from bptui.runs.ring import Ring
from bptui.spec.load import load, to_dict
from bptui.trainer.course import Course
from bptui.trainer.requests import _HANDLERS, NotNow
from bptui.trainer.rewind import go_to
from bptui.trainer.setup import prepare

NETWORKS = [
    ["optimizer.name=adam", "optimizer.lr=0.01", "model.dense1.dropout=0.3"],
    ["schedule.name=plateau", "schedule.patience=0", "schedule.factor=0.5", "optimizer.clip_norm=0.5"],
    ["optimizer.accumulate=3", "schedule.name=cosine", "model.1-2.activation=tanh", "optimizer.nesterov=true"],
    ["optimizer.name=rmsprop", "optimizer.lr=0.003", "schedule.name=exponential", "schedule.per=step"],
]


class Driver:
    """A trainer without its loop: what requests do to it, and nothing else."""

    def __init__(self, folder: Path, engine: str, overrides: list[str], spec: str = "digits") -> None:
        folder.mkdir()
        experiment = load(spec, ["data.samples=200", "data.batch_size=16", "stop.epochs=1000", *overrides])
        info = RunInfo(
            id=folder.name, title="", created=0.0, spec=to_dict(experiment), engine=engine, interactive=True,
            trainer_address=socket_addresses(folder)[1],
        )  # fmt: skip
        write_info(folder, info)
        Ring.create(folder / "ring").close()
        self.open(folder)

    def open(self, folder: Path) -> None:
        """Begin as the run in this folder does."""
        from bptui.trainer.loop import Trainer

        info = read_info(folder)
        self.trainer = Trainer(prepare(info), info, Ring(folder / "ring"), folder)
        assert self.trainer._begin()

    def follow(self, reply: Branched) -> None:
        """Leave this run for its branch, as a face does."""
        self.close()
        self.open(Path(reply.directory))

    def ask(self, request: Any) -> Any:
        return _HANDLERS[type(request)](self.trainer, request)

    @property
    def state(self) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        tensors, words = self.trainer.capture()
        return {**tensors, "words": np.array(sorted(words.items()))}

    def close(self) -> None:
        self.trainer.control.close()
        self.trainer.ring.close()


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), name


@pytest.fixture(params=["numpy", "torch"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "torch":
        pytest.importorskip("torch")
    return str(request.param)


@pytest.mark.parametrize("overrides", NETWORKS, ids=["adam-dropout", "plateau-clip", "accumulate-cosine", "rmsprop"])
def test_a_random_walk_ends_where_the_straight_run_does(tmp_path: Path, engine: str, overrides: list[str]) -> None:
    walk = random.Random(repr(overrides) + engine)
    wanderer, straight = (Driver(tmp_path / name, engine, overrides) for name in ("wanderer", "straight"))
    trainer = wanderer.trainer
    for _ in range(60):
        kind = walk.choice(["step", "step", "steps", "micro", "micro", "back", "micro-back", "go", "keep"])
        if kind == "step":
            wanderer.ask(Step())
        elif kind == "steps":
            wanderer.ask(Step(count=walk.randint(2, 9)))
        elif kind == "micro":
            wanderer.ask(MicroStep(count=walk.randint(1, 12)))
        elif kind in ("back", "micro-back"):
            try:
                wanderer.ask(Back(count=walk.randint(1, 5), micro=kind == "micro-back"))
            except NotNow as error:
                assert "beginning" in str(error)
        elif kind == "go":
            wanderer.ask(GoTo(step=walk.randint(0, trainer.head)))
        elif kind == "keep" and trainer.micro is None:
            tensors, words = trainer.capture()
            keyframes.write(trainer.directory, trainer.step, tensors, words)
    end = trainer.head + 3
    while trainer.step < end:
        wanderer.ask(Step())
    straight.ask(Step(count=end))
    same(wanderer.state, straight.state)
    wanderer.close()
    straight.close()


def test_what_was_changed_live_is_lived_again(tmp_path: Path, engine: str) -> None:
    wanderer, straight = (Driver(tmp_path / name, engine, []) for name in ("wanderer", "straight"))
    for driver in (wanderer, straight):
        driver.ask(Step(count=5))
        driver.ask(Set(key="lr", value=0.01))
        driver.ask(Step(count=5))
        driver.ask(Set(key="momentum", value=0.5))
        driver.ask(Step(count=5))
    for step in (3, 12, 7, 0, 15, 9, 10):
        wanderer.ask(GoTo(step=step))
    wanderer.ask(Step(count=5))
    assert wanderer.trainer.step == 15
    same(wanderer.state, straight.state)
    wanderer.close()
    straight.close()


def test_a_change_in_the_past_makes_another_future(tmp_path: Path, engine: str) -> None:
    driver, straight = (Driver(tmp_path / name, engine, []) for name in ("driver", "straight"))
    driver.ask(Step(count=20))
    driver.ask(GoTo(step=8))
    before = driver.state
    reply = driver.ask(Set(key="lr", value=0.002))
    same(driver.state, before)
    driver.ask(GoTo(step=20))  # the old future is still there
    driver.follow(reply)
    assert (driver.trainer.step, driver.trainer.head) == (8, 8)
    assert read_info(driver.trainer.directory).parent == Parent("driver", 8)
    with pytest.raises(NotNow, match="no step 20 yet"):
        driver.ask(GoTo(step=20))
    driver.ask(Step(count=4))
    straight.ask(Step(count=8))
    straight.ask(Set(key="lr", value=0.002))
    straight.ask(Step(count=4))
    same(driver.state, straight.state)
    driver.close()
    straight.close()


def test_micro_steps_back_pass_the_same_places_and_values(tmp_path: Path, engine: str) -> None:
    driver = Driver(tmp_path / "run", engine, [])
    trainer = driver.trainer
    driver.ask(Step(count=3))
    forward = []
    for _ in range(8):
        driver.ask(MicroStep())
        forward.append((trainer.micro_text, _bits(trainer)))
    driver.ask(MicroStep(count=40))
    while trainer.micro_text != forward[-1][0] or trainer.step != 3:
        driver.ask(Back(micro=True))
    backward = [(trainer.micro_text, _bits(trainer))]
    for _ in range(7):
        driver.ask(Back(micro=True))
        backward.append((trainer.micro_text, _bits(trainer)))
    assert backward == forward[::-1]
    driver.close()


def _bits(trainer: Any) -> list[bytes | None]:
    tensors = [trainer.engine.tensor(kind, layer) for layer in range(3) for kind in ("a", "z", "delta", "W")]
    return [None if tensor is None else tensor.tobytes() for tensor in tensors]


def test_another_process_on_another_day_goes_on_from_a_keyframe(tmp_path: Path, engine: str) -> None:
    first = Driver(tmp_path / "first", engine, ["optimizer.name=adam", "model.dense2.dropout=0.2"])
    first.ask(Step(count=10))
    tensors, words = first.trainer.capture()
    path = keyframes.write(first.trainer.directory, 10, tensors, words)
    first.ask(Step(count=10))
    later = Course(prepare(first.trainer.info))
    later.restore(10, *keyframes.read(path))
    for _ in range(10):
        later.update()
    again, _ = later.capture()
    expected, _ = first.trainer.capture()
    same(again, expected)
    first.close()


def test_a_damaged_keyframe_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    driver.ask(Step(count=6))
    before = driver.state
    path = keyframes.write(driver.trainer.directory, 4, *driver.trainer.capture())
    path.write_bytes(path.read_bytes()[:100])
    first, *_ = keyframes.keyframes(driver.trainer.directory)
    driver.trainer.memory.forget()
    assert path.name in go_to(driver.trainer, 4)  # told, and done from the keyframe before it
    driver.ask(Step(count=2))
    same(driver.state, before)
    driver.trainer.memory.forget()
    first.path.write_bytes(b"no keyframe")
    with pytest.raises(ValueError, match=path.name):
        go_to(driver.trainer, 5 - 1)
    same(driver.state, before)
    driver.close()


def test_going_back_records_nothing_again(tmp_path: Path) -> None:
    """What is shown of the past is no record: series and tables stay as they were."""
    from bptui.runs.reader import RingReader
    from bptui.runs.ring import Record, parse

    driver = Driver(tmp_path / "run", "numpy", [])
    driver.ask(Step(count=30))
    begin = driver.trainer.ring.head
    driver.ask(GoTo(step=4))
    driver.ask(Step(count=10))
    kinds = {entry.kind for entry in parse(RingReader(driver.trainer.ring, begin, owner=False).take())}
    assert not kinds & {Record.LOSS, Record.SERIES, Record.TABLE, Record.HISTOGRAM}
    assert {Record.SHOWN_TABLE, Record.SHOWN_HISTOGRAM, Record.STATE} <= kinds
    driver.close()


def test_a_new_future_has_its_figures(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    per_epoch = driver.trainer.steps_per_epoch
    driver.ask(Step(count=3 * per_epoch))
    driver.ask(GoTo(step=per_epoch + 1))
    driver.follow(driver.ask(Set(key="lr", value=0.01)))
    assert driver.trainer._noted <= per_epoch + 1
    driver.ask(Step(count=per_epoch))
    assert driver.trainer._noted == 2 * per_epoch
    driver.close()


def test_two_changes_in_one_state_both_hold_when_it_is_lived_again(tmp_path: Path, engine: str) -> None:
    wanderer, straight = (Driver(tmp_path / name, engine, []) for name in ("wanderer", "straight"))
    for driver in (wanderer, straight):
        driver.ask(Step(count=6))
        driver.ask(Set(key="lr", value=0.5))
        if driver is wanderer:
            driver.ask(Step())
            driver.ask(GoTo(step=6))
        reply = driver.ask(Set(key="momentum", value=0.3))
        assert (reply is not None) is (driver is wanderer)
        if reply is not None:
            driver.follow(reply)
        driver.ask(Step(count=4))
    wanderer.ask(GoTo(step=2))
    wanderer.ask(GoTo(step=10))
    same(wanderer.state, straight.state)
    wanderer.close()
    straight.close()


@pytest.mark.parametrize("rate", [0.003, 0.0171, 0.3])
def test_a_rate_set_twice_is_the_same_rate(tmp_path: Path, rate: float) -> None:
    overrides = ["schedule.name=exponential", "schedule.per=step", "schedule.gamma=0.97"]
    wanderer, straight = (Driver(tmp_path / name, "numpy", overrides) for name in ("wanderer", "straight"))
    for driver in (wanderer, straight):
        driver.ask(Step(count=7))
        driver.ask(Set(key="lr", value=rate))
        driver.ask(Step(count=3))
    wanderer.ask(Back(count=3))
    wanderer.ask(Step(count=3))
    same(wanderer.state, straight.state)
    wanderer.close()
    straight.close()


def test_a_run_that_goes_on_after_its_end_goes_on_learning(tmp_path: Path) -> None:
    from bptui.protocol.messages import Run

    driver = Driver(tmp_path / "run", "numpy", ["schedule.name=cosine", "stop.epochs=2"])
    trainer = driver.trainer
    driver.ask(Step(count=trainer.stopping.total_steps))
    trainer._complete("completed")
    driver.ask(Run())
    assert trainer.stopping.total_steps == 2 * trainer.step
    assert trainer.lr.at(trainer.step) > 0
    driver.close()


def test_a_request_that_makes_no_sense_ends_nothing(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    for key, value in (("batch_size", float("inf")), ("batch_size", float("nan")), ("lr", float("inf")), ("x", 1.0)):
        with pytest.raises(NotNow):
            driver.ask(Set(key=key, value=value))
    driver.close()
