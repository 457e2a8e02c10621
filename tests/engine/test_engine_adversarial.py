"""Two networks against each other: both engines alike, gradients by differences and by autograd, each step again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from bptui.engine import create
from bptui.engine.adversarial import Adversarial
from bptui.engine.base import Batch, Engine, micro_steps
from bptui.engine.errors import EngineError
from bptui.engine.gradcheck import check_experiment
from bptui.engine.subjects.adversarial import subjects
from bptui.philox import Stream
from bptui.spec.experiment import SGD, Adversary, BinaryCrossEntropy, Data, Dense, Experiment, RMSprop

SUBJECTS = {subject.name: subject for subject in subjects()}
PLAIN = Experiment(
    data=Data(source="ring"),
    model=(Dense(units=6, activation="relu"), Dense(units=2)),
    loss=BinaryCrossEntropy(),
    optimizer=RMSprop(lr=0.003),
    adversary=Adversary(model=(Dense(units=5, activation="leaky_relu"), Dense(units=1)), noise=3),
)


def made(experiment: Experiment = PLAIN, engine: str = "numpy", features: int = 2, **more: object) -> Engine:
    return create(experiment, features, 1, engine=engine, dtype="f64", **more)  # type: ignore[arg-type]


def batches(features: int = 2, rows: int = 6) -> Iterator[Batch]:
    draw, step = Stream(1, "true"), 0
    while True:
        x = draw.normal(step, rows * features).reshape(rows, features)
        yield Batch(x, x)
        step += 1


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_each_network_has_the_gradient_of_its_own_loss(name: str, engine: str) -> None:
    subject = SUBJECTS[name]
    rows = check_experiment(subject.experiment, subject.shape, engines=(engine,), samples=12)  # type: ignore[arg-type]
    assert {row.tensor.partition(".")[0] for row in rows} == {"generator", "discriminator"}
    assert all(row.ok and row.checked for row in rows), [row for row in rows if not row.ok]


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("updates", [1, 3])
def test_both_engines_agree_over_100_steps(name: str, updates: int) -> None:
    subject, features = SUBJECTS[name], int(np.prod(SUBJECTS[name].shape))
    adversary = subject.experiment.adversary
    assert adversary is not None
    experiment = replace(
        subject.experiment, optimizer=SGD(lr=0.05, momentum=0.5), adversary=replace(adversary, updates=updates)
    )
    ours, theirs = (made(experiment, name, features, shape=subject.shape) for name in ("numpy", "torch"))
    for step, batch in zip(range(100), batches(features), strict=False):
        ours.train_step(batch, step, 0.05)
        theirs.train_step(batch, step, 0.05)
    mine, other = ours.state(), theirs.state()
    assert mine.keys() == other.keys()
    for tensor, values in mine.items():
        assert np.allclose(values, other[tensor], rtol=0, atol=1e-8), tensor


def test_the_generator_gets_what_autograd_says_through_the_discriminator() -> None:
    engine = made()
    batch = next(batches())
    for micro in micro_steps(engine, batch, 0, 0.0):
        if micro.phase == "backward" and micro.layer == 0:
            break
    state = {name: torch.tensor(value) for name, value in engine.state().items() if value.ndim}
    names = [f"generator.dense{n}.{part}" for n in (1, 2) for part in ("weight", "bias")]
    for name in names:
        state[name].requires_grad_()
    noise = torch.tensor(engine.tensor("x", 0))
    hidden = torch.relu(noise @ state["generator.dense1.weight"] + state["generator.dense1.bias"])
    points = hidden @ state["generator.dense2.weight"] + state["generator.dense2.bias"]
    judged = points @ state["discriminator.dense1.weight"] + state["discriminator.dense1.bias"]
    judged = torch.nn.functional.leaky_relu(judged)
    logits = judged @ state["discriminator.dense2.weight"] + state["discriminator.dense2.bias"]
    loss = torch.nn.functional.softplus(-logits).mean()
    assert engine.figures()["generator_loss"] == pytest.approx(loss.item())
    for name, gradient in zip(names, torch.autograd.grad(loss, [state[name] for name in names]), strict=True):
        layer, part = name.rpartition(".")[::2]
        index = [info.name for info in engine.layers].index(layer)
        found = engine.tensor_of(part, index, "gradient")
        assert np.allclose(found, gradient.numpy(), rtol=1e-9, atol=1e-12), name  # type: ignore[arg-type]


def test_where_the_networks_meet_delta_is_turned_round_for_generated_samples_alone() -> None:
    engine, batch = made(), next(batches())
    for micro in micro_steps(engine, batch, 0, 0.0):
        if (micro.phase, micro.layer) == ("backward", 2):
            break
    mixed, upstream, gate, delta = (engine.tensor(kind, 2) for kind in ("a", "upstream", "gate", "delta"))
    assert mixed is not None and upstream is not None and gate is not None and delta is not None
    assert np.array_equal(mixed[6:], batch.x) and np.array_equal(mixed[:6], engine.tensor("a", 1))
    logits = engine.tensor("z", 4)
    assert logits is not None
    p = 1 / (1 + np.exp(-logits[:6]))
    assert np.allclose(gate[:6], -2 * (1 - p) / p) and not gate[6:].any()
    assert np.array_equal(delta, upstream * gate)
    assert np.array_equal(engine.tensor("upstream", 1), delta[:6])


def test_micro_steps_give_the_bits_of_a_whole_step_and_a_state_goes_on_where_it_was() -> None:
    whole, parts, later = made(), made(), made()
    stream = batches()
    given = [next(stream) for _ in range(6)]
    for step, batch in enumerate(given):
        whole.train_step(batch, step, 0.003)
        for _ in micro_steps(parts, batch, step, 0.003):
            pass
        if step == 2:
            later.load_state(whole.state())
        elif step > 2:
            later.train_step(batch, step, 0.003)
    for name, value in whole.state().items():
        assert np.array_equal(value, parts.state()[name]) and np.array_equal(value, later.state()[name]), name


def test_the_generator_moves_in_every_so_many_th_update() -> None:
    adversary = PLAIN.adversary
    assert adversary is not None
    engine = made(replace(PLAIN, adversary=replace(adversary, updates=3)))
    engine.watch(True)
    moved = []
    for step, batch in zip(range(6), batches(), strict=False):
        before = engine.state()
        engine.train_step(batch, step, 0.003)
        after = engine.state()
        changed = {name.partition(".")[0] for name in before if not np.array_equal(before[name], after[name])}
        moved.append("generator" in changed)
        assert "discriminator" in changed
        change = engine.tensor("update_W", 0)
        assert change is not None and bool(change.any()) == moved[-1] == bool(engine.reduce()[0, 2])
    assert moved == [False, False, True] * 2


def test_accumulated_parts_are_one_larger_batch() -> None:
    one, two = made(), made()
    stream = batches(rows=8)
    batch = next(stream)
    one.train_step(batch, 0, 0.01)
    two.accumulate([Batch(batch.x[:4], batch.y[:4]), Batch(batch.x[4:], batch.y[4:])], 0, 0.01)
    for name, value in one.state().items():
        assert np.allclose(value, two.state()[name], rtol=0, atol=1e-12), name


def test_a_discriminator_that_is_sure_beyond_the_reach_of_f32_stops_no_run() -> None:
    experiment = replace(PLAIN, optimizer=SGD(lr=1e-3))
    engine = create(experiment, 2, 1, engine="numpy", dtype="f32")
    state = engine.state()
    state["discriminator.dense2.bias"][:] = -300.0
    engine.load_state(state)
    loss = engine.train_step(Batch(np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)), 0, 1e-3)
    assert loss == pytest.approx(150.0, rel=0.1)
    assert all(np.isfinite(value).all() for value in engine.state().values())


def test_settings_of_both_optimisers_and_of_layers_of_either_network() -> None:
    engine = made()
    assert engine.set("adversary.lr", 0.02) == 0.001
    assert engine.set("adversary.beta1", 0.5) == 0.9
    assert engine.set("freeze.discriminator.dense1", 1.0) == 0.0
    assert engine.set("dropout", 0.25) == 0.0
    settings = engine.settings()
    assert (settings["adversary.lr"], settings["adversary.beta1"], settings["alpha"]) == (0.02, 0.5, 0.99)
    assert settings["dropout.generator.dense1"] == settings["dropout.discriminator.dense1"] == 0.25
    before = engine.state()
    engine.train_step(next(batches()), 0, 0.01)
    after = engine.state()
    assert np.array_equal(before["discriminator.dense1.weight"], after["discriminator.dense1.weight"])
    assert not np.array_equal(before["generator.dense1.weight"], after["generator.dense1.weight"])
    with pytest.raises(EngineError, match=r"adversary\.lr: expected a number above 0"):
        engine.set("adversary.lr", 0.0)
    with pytest.raises(EngineError, match="no layer 'dense1'"):
        engine.set("freeze.dense1", 1.0)


def test_predictions_are_the_discriminators_and_leave_the_step_alone() -> None:
    engine = made()
    assert isinstance(engine, Adversarial)
    engine.train_step(next(batches()), 0, 0.01)
    before = engine.tensor("a", 4)
    points = engine.generated(5, "test")
    assert points.shape == (5, 2) and np.array_equal(points, engine.generated(5, "test"))
    assert engine.predict(points).shape == (5, 1)
    *_, (z, _) = engine.passes(points)
    assert len(z) == 5 and np.allclose(z[3:], engine.predict(points[:2]), rtol=1e-12)
    assert np.array_equal(engine.tensor("a", 4), before)  # type: ignore[arg-type]
