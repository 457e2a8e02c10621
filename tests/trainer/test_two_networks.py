"""A generator and its discriminator: their file, their figures, in a trainer, replayed, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_rewind import Driver, same

from bptui.data import load as load_data
from bptui.protocol.framing import Frame
from bptui.protocol.messages import (
    GoTo,
    Ledger,
    Ledgered,
    Lens,
    Look,
    MicroStep,
    Ranked,
    RankedRows,
    Set,
    Shadow,
    Shadowed,
    Staged,
    Stages,
    Step,
)
from bptui.spec.check import check
from bptui.spec.experiment import Data, Experiment
from bptui.spec.load import SpecError, load, parse
from bptui.spec.save import to_toml
from bptui.trainer.course import Course
from bptui.trainer.evaluate import measured
from bptui.trainer.inspect import CannotSee, see
from bptui.trainer.looks import look, through_lens
from bptui.trainer.setup import Setup, build

SMALL = ("data.samples=200", "data.batch_size=32", "model.1-2.units=8", "adversary.model.1-2.units=8", "stop.epochs=3")


def small(*overrides: str) -> Experiment:
    return load("gan-2d", (*SMALL, *overrides))


def bptui(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", *words], env={**os.environ, "BPTUI_HOME": str(home)},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120,
    )  # fmt: skip


def begun(experiment: Experiment) -> Course:
    data = load_data(experiment.data, seed=experiment.experiment.seed, dtype="f64", loss=experiment.loss)
    engine = build(experiment, data, engine="numpy", device="cpu", dtype="f64")
    return Course(Setup(experiment, data, engine, ""))


# -- the file ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model.dense3.units=3",), "[model.dense3]: the generator makes 3 a sample, the data have 2"),
        (("adversary.model.dense3.units=2",), "[adversary.model.dense3] units: true or generated is told by one logit"),
        (("adversary.model.dense3.activation=tanh",), "[adversary.model.dense3] activation: the last layer gives"),
        (("loss.name=mse",), "[loss] name: true or generated is asked: expected binary_cross_entropy, got mse"),
        (("loss.label_smoothing=0.1",), "[loss] label_smoothing: expected 0"),
        (("adversary.noise=0",), "[adversary] noise: expected a number above 0, got 0"),
        (("adversary.nois=3",), "[adversary] unknown key 'nois' (did you mean 'noise'?)"),
        (("adversary.optimizer.lr=0",), "[adversary.optimizer] lr: expected a number above 0"),
        (("adversary.optimizer.bet1=0",), "[adversary.optimizer] unknown key 'bet1' (did you mean 'beta1'?)"),
        (("adversary.optimizer.accumulate=2",), "[adversary.optimizer] accumulate: both networks follow"),
        (("adversary.model.dense9.units=2",), "no layer 'dense9'"),
        (("adversary.schedule.name=cosine",), "expected adversary.optimizer.KEY=VALUE or adversary.model.LAYER.KEY"),
        (("data.source=spiral",), "[data] task: with a table [adversary] the task is to generate"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(SpecError) as refused:
        load("gan-2d", overrides)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_norms_over_a_batch_are_refused_where_samples_must_not_know_of_each_other() -> None:
    import tomllib

    raw = tomllib.loads(to_toml(small()))
    raw["adversary"]["model"].insert(1, {"type": "batch_norm"})
    with pytest.raises(SpecError, match=r"\[adversary.model.batch_norm1\] type: .* take layer_norm or group_norm"):
        parse(raw)
    with pytest.raises(SpecError, match=r"\[data\] task: to generate samples needs a second network"):
        load("digits", ["data.task=generate"])
    del raw["adversary"]["model"]
    with pytest.raises(SpecError, match=r"\[adversary\] no layers: add \[\[adversary.model\]\] tables"):
        parse(raw)


def test_overrides_reach_the_second_network_and_a_saved_file_is_read_back() -> None:
    import tomllib

    experiment = small("adversary.optimizer.name=sgd", "adversary.optimizer.momentum=0.5", "adversary.goal=minimax")
    adversary = experiment.adversary
    assert adversary is not None
    assert (adversary.optimizer.momentum, adversary.goal) == (0.5, "minimax")  # type: ignore[union-attr]
    assert [layer.units for layer in adversary.model] == [8, 8, 1]  # type: ignore[union-attr]
    assert parse(tomllib.loads(to_toml(experiment))) == experiment
    assert check(experiment) == []


# -- figures -------------------------------------------------------------------------------------------
def test_modes_are_covered_where_samples_come_near_them() -> None:
    course = begun(small())
    data, engine = course.setup.data, course.engine
    assert data.modes is not None and data.validation is not None
    centres = (data.modes.centres - data.scaler.mean) / data.scaler.scale

    def figures(shares: list[int], off: float = 0.0) -> dict[str, float]:
        made = np.repeat(centres[: len(shares)], shares, axis=0)
        shifted = made + np.array([off, 0.0]) / data.scaler.scale
        engine.generated = lambda rows, stream: shifted  # type: ignore[attr-defined]
        return measured(engine, data.validation, data, course.setup.experiment.loss)[0]  # type: ignore[arg-type]

    assert (figures([250] * 8)["modes"], figures([250] * 8)["near"]) == (8, 1)
    assert figures([1993, 1, 1, 1, 1, 1, 1, 1])["modes"] == 1  # the others have less than a quarter of their share
    assert figures([1750, 250])["modes"] == 2
    assert figures([250] * 8, off=2.9 * data.modes.spread)["near"] == 1
    assert figures([250] * 8, off=3.1 * data.modes.spread) | {"loss": 0, "generator_loss": 0} == {
        "loss": 0, "generator_loss": 0, "modes": 0, "near": 0,
    }  # fmt: skip


def test_an_untrained_discriminator_of_zeros_has_the_loss_of_guessing() -> None:
    course = begun(small("adversary.model.dense3.init=zeros", "loss.pos_weight=1"))
    assert course.validate() == pytest.approx(np.log(2))
    assert course.scalars["val_generator_loss"] == pytest.approx(np.log(2))


def test_true_samples_lie_around_the_modes_that_are_said() -> None:
    for source, modes in (("ring", 8), ("grid", 25)):
        data = load_data(Data(source=source, scale="none", validation=0.0), seed=3)
        assert data.task == "generate" and data.modes is not None and len(data.modes.centres) == modes
        distance = np.linalg.norm(np.asarray(data.train.x)[:, None] - data.modes.centres, axis=2).min(axis=1)
        assert 0.9 < np.sqrt(np.mean(distance**2) / 2) / data.modes.spread < 1.1


# -- runs ----------------------------------------------------------------------------------------------
def test_a_run_is_reported_replayed_bit_for_bit_and_exported_as_far_as_that_goes(tmp_path: Path) -> None:
    words = [word for override in SMALL for word in ("--set", override)]
    written = tmp_path / "report.json"
    done = bptui(tmp_path, "train", "gan-2d", *words, "--report", str(written))
    assert done.returncode == 0, done.stderr
    assert "8-8-8-2 · 2-8-8-1" in done.stdout and "val_modes" in done.stdout
    content = json.loads(written.read_text())
    assert "generator_loss" in done.stdout
    assert {"val_loss", "val_generator_loss", "val_modes", "val_near", "train_modes"} <= content["metrics"].keys()
    assert [layer["name"] for layer in content["layers"]] == [
        "generator.dense1", "generator.dense2", "generator.dense3", "mix",
        "discriminator.dense1", "discriminator.dense2", "discriminator.dense3",
    ]  # fmt: skip
    done = bptui(tmp_path, "replay", "latest", "--verify")
    assert done.returncode == 0 and "step 0 to 15: bit-exact (15 losses" in done.stdout, done.stdout + done.stderr
    for format, refused in (("pytorch", "a script of pytorch"), ("onnx", "onnx")):
        done = bptui(tmp_path, "export", "latest", "--format", format, "--output", str(tmp_path / "out"))
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert f"two networks, a generator and its discriminator: {refused} takes one" in done.stderr
    weights = tmp_path / "both.safetensors"
    assert bptui(tmp_path, "export", "latest", "--format", "safetensors", "--output", str(weights)).returncode == 0
    done = bptui(tmp_path, "train", "gan-2d", *words, "--steps", "1", "--weights", str(weights), "--quiet")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("overrides", [(), ("adversary.updates=2", "optimizer.accumulate=2")], ids=["plain", "turns"])
def test_back_and_forth_with_changes_ends_where_going_straight_does(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    wanderer, straight = (Driver(tmp_path / name, "numpy", [*SMALL, *overrides], "gan-2d") for name in ("a", "b"))
    for driver in (wanderer, straight):
        driver.ask(Step(count=4))
        for key, value in (("adversary.lr", 0.01), ("lr", 0.005), ("discriminator.dense1.activation", "tanh")):
            driver.ask(Set(key=key, value=value))
        driver.ask(Set(key="generator.dense1.weight[0,1]", value=0.25))
        driver.ask(Step(count=3))
    straight.ask(Step(count=5))
    wanderer.ask(MicroStep(count=14))
    wanderer.ask(GoTo(step=2))
    assert wanderer.trainer.engine.settings()["adversary.lr"] == 0.002
    wanderer.ask(GoTo(step=7))
    assert wanderer.trainer.engine.settings()["adversary.lr"] == 0.01
    wanderer.ask(Step(count=5))
    same(wanderer.state, straight.state)
    wanderer.ask(Set(key="optimizer", value="sgd"))
    state = wanderer.trainer.engine.state()
    assert not any(name.startswith("optimizer.exp") for name in state)
    moments = [name for name in state if name.startswith("adversary.optimizer.") and name.endswith("dense2.weight")]
    assert moments and all(state[name].any() for name in moments), "the discriminator's go on"
    for driver in (wanderer, straight):
        driver.close()


def test_micro_steps_go_through_the_discriminator_into_the_generator(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", list(SMALL), "gan-2d")
    places = []
    for _ in range(18):
        driver.ask(MicroStep())
        places.append(driver.trainer.micro_text)
    forward = ["generator.dense1", "generator.dense2", "generator.dense3", "mix"]
    forward += [f"discriminator.dense{n}" for n in (1, 2, 3)]
    assert places == [
        "batch", *(f"forward {name}" for name in forward), "loss",
        *(f"backward {name}" for name in reversed(forward)), "clip", "",
    ]  # fmt: skip
    driver.ask(MicroStep(count=11))  # up to the discriminator's second layer
    assert driver.trainer.micro_text == "backward discriminator.dense2"
    ledger = see(driver.trainer, Ledger())[0]
    assert isinstance(ledger, Ledgered)
    assert [row.missing for row in ledger.rows] == [5, 4, 3, 2, 1, 0, 0]
    assert [row.delta is not None for row in ledger.rows] == [False] * 5 + [True] * 2
    driver.close()


def test_the_inspector_shows_both_networks_and_what_comes_between(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", list(SMALL), "gan-2d")
    driver.ask(Step(count=2))
    ledger = see(driver.trainer, Ledger())[0]
    assert isinstance(ledger, Ledgered) and len(ledger.rows) == 7
    assert ledger.rows[3].closed == 0.5 and ledger.rows[3].upstream
    shadow = see(driver.trainer, Shadow())[0]
    assert isinstance(shadow, Shadowed) and shadow.loss == pytest.approx(shadow.exact_loss, rel=1e-5)
    assert max(error for error in shadow.errors if error is not None) < 1e-4
    for layer, samples in ((0, 32), (5, 64)):
        ranked, body = see(driver.trainer, Ranked(layer=layer, unit=0, rows=64))
        assert isinstance(ranked, RankedRows) and ranked.samples == samples
        frame = Frame(ranked, body)
        rows, source = frame.array(ranked.arrays["rows"]), frame.array(ranked.arrays["source"])
        true = rows >= 32
        assert np.array_equal(source >= 0, true) and np.array_equal(frame.array(ranked.arrays["y"])[:, 0], true)
        assert true.any() == (layer == 5)
    staged = see(driver.trainer, Stages())[0]
    assert isinstance(staged, Staged) and staged.rows[3] == (None,) * 4 and None not in staged.rows[0]
    driver.close()


def test_true_and_generated_points_lie_over_what_the_discriminator_makes_of_the_plane(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "run", "numpy", list(SMALL), "gan-2d")
    looked, body = look(driver.trainer, Look(kind="boundary", columns=12, rows=8, points=50))
    frame = Frame(looked, body)
    points, labels = frame.array(looked.arrays["points"]), frame.array(looked.arrays["labels"])
    assert looked.names == ("generated", "true") and labels.tolist() == [1] * 50 + [0] * 50
    assert np.abs(np.linalg.norm(points[:50], axis=1) - 2).max() < 0.6  # the ring, in its own units
    made = driver.trainer.engine.generated(50, "figures")  # type: ignore[attr-defined]
    scaler = driver.trainer.setup.data.scaler
    assert np.allclose(points[50:], made * scaler.scale + scaler.mean)
    assert frame.array(looked.arrays["classes"]).shape == (8, 12)
    with pytest.raises(CannotSee, match="a confusion matrix needs classes; the task is generate"):
        look(driver.trainer, Look(kind="confusion"))
    lens, _ = through_lens(driver.trainer, Lens())
    assert [row.units for row in lens.layers] == [8, 8, 2, 2, 8, 8, 1]
    driver.close()
