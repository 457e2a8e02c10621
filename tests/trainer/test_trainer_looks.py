"""Confusion and boundary of a real training run, against NumPy on the weights that it shows."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from bptui.client.connect import connect
from bptui.client.launch import launch
from bptui.client.session import RequestRefused, Session
from bptui.data import load as load_data
from bptui.data import search_path
from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import (
    Events,
    Inspect,
    Inspection,
    Lens,
    LensSeen,
    Look,
    Looked,
    Pause,
    Run,
    Set,
    Status,
    Stop,
)
from bptui.spec.experiment import BinaryCrossEntropy, Experiment, Huber, MeanAbsoluteError, MeanSquaredError
from bptui.spec.load import load as load_spec
from bptui.trainer.evaluate import class_ids, predicted_ids
from bptui.trainer.looks import _boundary, certainty, grid_points

ACTIVATION: dict[str, Callable[[Any], Any]] = {
    "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z,
}  # fmt: skip


class Follower:
    """Reads a session's frames, and keeps the last message of each type."""

    def __init__(self, session: Session) -> None:
        self.last: dict[type, Any] = {}
        self._session = session
        self._grew = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self._session.frames():
            self.last[type(frame.message)] = frame.message
            self._grew.set()

    async def until(self, holds: Callable[[dict[type, Any]], object]) -> None:
        async with asyncio.timeout(30):
            while not holds(self.last):
                self._grew.clear()
                await self._grew.wait()

    async def state(self, word: str) -> Status:
        await self.until(lambda last: Status in last and last[Status].state == word)
        found: Status = self.last[Status]
        return found


@asynccontextmanager
async def running(experiment: Experiment) -> AsyncIterator[tuple[Session, Follower]]:
    directory = launch(experiment, title="t", engine="numpy", interactive=True)
    session = connect(directory, role="controller")
    await session.start()
    follower = Follower(session)
    try:
        await follower.state("READY")
        yield session, follower
    finally:
        await session.request(Stop())
        follower.task.cancel()
        await session.close()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("BPTUI_LINGER", "0.1")


async def forward(session: Session, experiment: Experiment, x: Any) -> Any:
    """Outputs (N, units) by the weights that the trainer shows."""
    a = np.asarray(x, np.float64)
    for index, layer in enumerate(experiment.model):
        frame = await session.request(Inspect(layer=index, kinds=("W", "b")))
        assert isinstance(frame.message, Inspection)
        W, b = (frame.array(frame.message.arrays[kind]).astype(np.float64) for kind in ("W", "b"))
        a = ACTIVATION[layer.activation](a @ W + b)
    return a


def data_of(experiment: Experiment) -> Any:
    return load_data(
        experiment.data, seed=experiment.experiment.seed, dtype=experiment.experiment.dtype, loss=experiment.loss,
        search=search_path([]),
    )  # fmt: skip


async def look(session: Session, **fields: Any) -> tuple[Looked, Frame]:
    frame = await session.request(Look(**fields))
    assert isinstance(frame.message, Looked)
    return frame.message, frame


async def test_a_confusion_matrix_is_that_of_the_weights_shown() -> None:
    experiment = load_spec("spiral", ["stop.epochs=100000"])
    async with running(experiment) as (session, follower):
        await session.request(Run())
        await follower.until(lambda last: last[Status].step > 100)
        await session.request(Pause())
        await follower.state("PAUSED")
        reply, frame = await look(session, kind="confusion")
        counts = frame.array(reply.arrays["counts"])
        part = data_of(experiment).validation
        outputs = await forward(session, experiment, part.x)
    expected = np.zeros((3, 3), int)
    for truth, predicted in zip(class_ids(part.y), outputs.argmax(axis=1), strict=True):
        expected[truth, predicted] += 1
    assert counts.tolist() == expected.tolist()
    assert (reply.part, reply.samples) == ("validation", len(part)) and reply.seconds > 0


async def test_a_boundary_is_that_of_the_weights_shown_and_lies_over_the_data() -> None:
    experiment = load_spec("spiral", ["stop.epochs=100000"])
    async with running(experiment) as (session, follower):
        await session.request(Run())
        await follower.until(lambda last: last[Status].step > 100)
        await session.request(Pause())
        await follower.state("PAUSED")
        reply, frame = await look(session, kind="boundary", columns=31, rows=17, points=50)
        arrays = {name: frame.array(ref) for name, ref in reply.arrays.items()}
        data = data_of(experiment)
        x0, x1, y0, y1 = arrays["box"].tolist()
        raw = grid_points(np.array([x0, y0]), np.array([x1, y1]), 31, 17)
        z = await forward(session, experiment, (raw - data.scaler.mean) / data.scaler.scale)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    best = p.argmax(axis=1).reshape(17, 31)
    clear = (np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2]).reshape(17, 31) > 1e-3
    assert clear.sum() > 500 and (arrays["classes"] == best)[clear].all()
    assert np.abs(arrays["sure"] / 255 - p.max(axis=1).reshape(17, 31)).max() < 0.01
    points = arrays["points"]
    assert points.shape == (50, 2) and len(arrays["labels"]) == 50
    assert (points[:, 0] > x0).all() and (points[:, 0] < x1).all()
    assert (points[:, 1] > y0).all() and (points[:, 1] < y1).all()


class _FirstFeature:
    """An engine whose only output is the first feature, from 0 to 1 over the grid's columns."""

    def predict(self, x: Any) -> Any:
        return np.asarray(x)[:, :1]


@pytest.mark.parametrize(
    ("loss", "cut"),
    [(MeanSquaredError(), 0.5), (MeanAbsoluteError(), 0.5), (Huber(), 0.5), (BinaryCrossEntropy(), 0.0)],
)
def test_a_boundary_of_one_output_lies_where_accuracy_counts(loss: Any, cut: float) -> None:
    experiment = msgspec.structs.replace(load_spec("xor"), loss=BinaryCrossEntropy())
    data = dataclasses.replace(data_of(experiment), task="binary")
    setup = SimpleNamespace(data=data, experiment=msgspec.structs.replace(experiment, loss=loss))
    body, request = Body(), Look(kind="boundary", columns=41, rows=5)
    arrays, *_ = _boundary(SimpleNamespace(setup=setup, engine=_FirstFeature()), request, body)  # type: ignore[arg-type]
    told = Looked(id=1, kind="boundary", step=0, part="train", samples=205, seconds=0.0, arrays=arrays)
    frame = Frame(told, body.bytes())
    x0, x1, _, _ = frame.array(arrays["box"]).tolist()
    scale, mean = float(data.scaler.scale[0]), float(data.scaler.mean[0])
    x = (np.linspace(x0, x1, 41) - mean) / scale
    assert (frame.array(arrays["classes"]) == (x > cut)).all() and 0 < (x > cut).sum() < 41


async def test_looks_are_answered_while_it_runs_and_count_as_probing() -> None:
    async with running(load_spec("moons", ["stop.epochs=100000"])) as (session, follower):
        await session.request(Run())
        first, _ = await look(session, kind="boundary", columns=500, rows=500)
        await follower.until(lambda last: last[Status].step > first.step)
        second, frame = await look(session, kind="boundary", columns=500, rows=500)
        assert frame.array(second.arrays["classes"]).shape == (60, 120)
        assert second.step > first.step and "points" not in second.arrays
        for _ in range(40):
            await look(session, kind="boundary", columns=120, rows=60)
        assert follower.last[Status].state == "RUNNING"
        await follower.until(lambda last: last[Status].probe_share > 0.03)


async def test_what_has_no_boundary_says_so_in_one_line() -> None:
    async with running(load_spec("digits")) as (session, _):
        with pytest.raises(RequestRefused, match="two features; digits has 64"):
            await look(session, kind="boundary")


async def test_an_observer_may_look() -> None:
    async with running(load_spec("xor", ["stop.epochs=100000"])) as (session, _):
        other = connect(session.directory, role="observer")
        await other.start()
        reply, _ = await look(other, kind="boundary", columns=20, rows=10)
        assert reply.kind == "boundary"
        await other.close()


async def test_a_changed_setting_reaches_a_face_as_one_event() -> None:
    async with running(load_spec("xor", ["stop.epochs=100000"])) as (session, follower):
        await follower.until(lambda last: Events in last)
        assert follower.last[Events].events == ()
        await session.request(Run())
        await follower.until(lambda last: last[Status].step > 3)
        await session.request(Set(key="lr", value=0.0125))
        await follower.until(lambda last: last[Events].events)
        (event,) = follower.last[Events].events
    assert (event.change, event.after) == ("lr", 0.0125) and event.step > 3


def test_targets_of_every_form_become_ids() -> None:
    assert class_ids(np.array([2, 0])).tolist() == [2, 0]
    assert class_ids(np.array([[0, 0, 1.0], [1, 0, 0]])).tolist() == [2, 0]
    assert class_ids(np.array([[0.0], [1.0]])).tolist() == [0, 1]


def test_certainty_is_a_probability_or_nothing() -> None:
    z = np.array([[1.0, 2.0, 0.5], [np.nan, 0, 0]])
    expected = np.exp(2.0) / np.exp(z[0]).sum()
    assert certainty(z, "cross_entropy").tolist() == [pytest.approx(expected), 0.0]
    assert certainty(np.array([[-2.0]]), "binary_cross_entropy")[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert certainty(z[:1], "mse").tolist() == [1.0]
    assert predicted_ids(np.array([[-1.0], [3.0]])).tolist() == [0, 1]


def test_the_lens_is_answered_while_running_also_to_an_observer() -> None:
    async def scene() -> None:
        experiment = load_spec("dead-relu")
        async with running(experiment) as (session, follower):
            first = await session.request(Lens())
            seen = first.message
            assert isinstance(seen, LensSeen) and seen.step == 0 and seen.samples == min(3000, seen.rows)
            assert [(row.name, row.gate, row.units) for row in seen.layers] == [
                ("dense1", "zero", 32), ("dense2", "zero", 16), ("dense3", "open", 10),
            ]  # fmt: skip
            await session.request(Run())
            await follower.until(lambda last: Status in last and last[Status].step > 200)
            watcher = connect(session.directory, role="observer")
            await watcher.start()
            frame = await watcher.request(Lens())
            late = frame.message
            assert isinstance(late, LensSeen) and late.step > 200
            values = frame.array(late.values)
            assert values.shape == (58, 6)
            assert (values[:48, 5] == 4).sum() > 24 and (values[:48, 0] == 0).sum() == (values[:48, 5] == 4).sum()
            await watcher.close(leave=True)
            await session.request(Pause())

    asyncio.run(scene())
