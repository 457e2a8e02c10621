"""Random walks through a run's past end, bit for bit, where the straight run ends; in both engines.

Forward, back, to any step, micro-steps, changes of every kind, at the head and in the past (a branch), and deaths
without a word, after which the run goes on from its files.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_rewind import Driver, engine, same  # noqa: F401 (a fixture)

from bptui.client.discover import list_runs, resolve
from bptui.client.tree import tree
from bptui.protocol.messages import Back, Branch, Branched, GoTo, Keep, MicroStep, Set, Step, Wanted
from bptui.runs import branches, keyframes
from bptui.runs.info import read_info
from bptui.runs.interventions import Change
from bptui.runs.report import losses
from bptui.trainer.replay import replay
from bptui.trainer.requests import NotNow

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "gelu", "elu", "identity")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad")


def network(draw: random.Random) -> list[str]:
    """Overrides of a small random experiment."""
    words = [
        "data.samples=120", f"data.batch_size={draw.choice((7, 16, 33))}",
        f"optimizer.name={draw.choice(OPTIMIZERS)}", f"optimizer.lr={draw.choice((0.003, 0.02))}",
        f"schedule.name={draw.choice(('constant', 'plateau', 'cosine', 'exponential', 'warmup'))}",
    ]  # fmt: skip
    if "=sgd" in words[2] or "=rmsprop" in words[2]:
        words.append(f"optimizer.momentum={draw.choice((0, 0.9))}")
    if "plateau" in words[4]:
        words += ["schedule.patience=0", "schedule.factor=0.5"]
    for layer in ("dense1", "dense2"):
        words += [
            f"model.{layer}.units={draw.randint(2, 12)}", f"model.{layer}.activation={draw.choice(ACTIVATIONS)}",
            f"model.{layer}.dropout={draw.choice((0, 0.3))}",
        ]  # fmt: skip
    return [*words, f"optimizer.accumulate={draw.choice((1, 1, 3))}"]


def change(draw: random.Random, driver: Driver) -> Wanted:
    """Any change that can be made in a state."""
    settings = driver.trainer.engine.settings()
    layer = draw.choice(driver.trainer.engine.layers[:-1])
    unit, value = draw.randrange(layer.shape[-1]), draw.uniform(-1, 1)
    choices = {
        "lr": draw.choice((0.001, 0.03)),
        "batch_size": float(draw.choice((5, 16, 40))),
        "clip_norm": draw.choice((0.5, float("inf"))),
        "dropout": draw.choice((0.0, 0.4)),
        f"dropout.{layer.name}": 0.2,
        f"{layer.name}.weight[{draw.randrange(layer.inputs)},{unit}]": value,
        f"{layer.name}.bias[{unit}]": value,
        f"{layer.name}.bias+": 0.1,
        f"{layer.name}.units[{unit},0]": draw.choice(("he_normal", "glorot_uniform")),
        f"{layer.name}.init": "lecun_normal",
        f"{layer.name}.activation": draw.choice(ACTIVATIONS),
        "optimizer": draw.choice(OPTIMIZERS),
        **({"momentum": 0.5} if "momentum" in settings else {}),
    }
    key = draw.choice(sorted(choices))
    return Wanted(key, choices[key])


SEQUENCES = """
[data]
source = "ragged.npz"
[[model]]
type = "embedding"
name = "tokens"
units = 4
vocabulary = 9
dropout = 0.1
[[model]]
type = "lstm"
name = "memory"
units = 3
bidirectional = true
[[model]]
type = "transformer_block"
name = "block"
heads = 2
feed = 5
[[model]]
type = "conv1d"
name = "windows"
units = 3
padding = "same"
activation = "relu"
l2 = 0.01
[[model]]
type = "batch_norm"
name = "norm"
[[model]]
type = "time_pool"
name = "pool"
[[model]]
units = 3
name = "head"
[loss]
name = "cross_entropy"
label_smoothing = 0.1
class_weights = [1.0, 2.0, 0.5]
"""


def change_of_sequences(draw: random.Random, driver: Driver) -> Wanted:
    """Any change that can be made in a state of the network above, a frozen layer and an epoch left among them."""
    choices = {
        "lr": draw.choice((0.001, 0.03)),
        "batch_size": float(draw.choice((1, 5, 40))),
        "batch_size.now": float(draw.choice((1, 7, 48))),
        "clip_norm": draw.choice((0.5, float("inf"))),
        "dropout": draw.choice((0.0, 0.4)),
        "optimizer": draw.choice(OPTIMIZERS),
        "tokens.weight[3,1]": draw.uniform(-1, 1),
        "memory.weight_hh_l0_reverse[2,5]": draw.uniform(-1, 1),
        "memory.units[1,4]": "orthogonal",
        "memory.init": "glorot_uniform",
        "block.init": "he_normal",
        "block.attention.qkv[0,7]": draw.uniform(-1, 1),
        "windows.activation": draw.choice(ACTIVATIONS),
        "windows.units[0,2]": "he_normal",
        "norm.bias+": 0.1,
        **{f"freeze.{name}": float(draw.choice((0, 1))) for name in ("tokens", "memory", "block", "norm")},
    }
    key = draw.choice(sorted(choices))
    return Wanted(key, choices[key])


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_ends_where_the_straight_run_does(tmp_path: Path, engine: str, seed: int) -> None:  # noqa: F811
    draw = random.Random(f"{seed}{engine}")
    walk(tmp_path, engine, draw, network(draw), "digits", change)


def test_a_walk_over_sequences_of_any_length_ends_where_the_straight_run_does(tmp_path: Path, engine: str) -> None:  # noqa: F811
    rows, steps = 50, 7
    made = np.random.default_rng(0)
    np.savez(
        tmp_path / "ragged.npz", x=made.integers(0, 9, (rows, steps)), y=made.integers(0, 3, rows),
        lengths=made.integers(1, steps + 1, rows), vocabulary=np.array(list("_abcdefgh")),
    )  # fmt: skip
    (tmp_path / "spec.toml").write_text(SEQUENCES.replace("ragged.npz", str(tmp_path / "ragged.npz")))
    overrides = ["optimizer.name=adam", "optimizer.accumulate=2", "schedule.name=cosine", "data.batch_size=7"]
    draw = random.Random(f"sequences {engine}")
    walk(tmp_path, engine, draw, overrides, str(tmp_path / "spec.toml"), change_of_sequences)


def walk(
    tmp_path: Path, engine: str, draw: random.Random, overrides: list[str], spec: str,  # noqa: F811
    change: Callable[[random.Random, Driver], Wanted],
) -> None:  # fmt: skip
    wanderer = Driver(tmp_path / "wanderer", engine, overrides, spec)
    lived: list[tuple[int, Wanted]] = []

    def follow(reply: Branched, step: int, *wanted: Wanted) -> None:
        nonlocal lived
        parent = wanderer.trainer.directory
        before = losses(parent).tobytes(), [frame.step for frame in keyframes.keyframes(parent)]
        wanderer.follow(reply)
        assert wanderer.trainer.step == wanderer.trainer.head == step
        assert (losses(parent).tobytes(), [frame.step for frame in keyframes.keyframes(parent)]) == before
        lived = [one for one in lived if one[0] <= step] + [(step, one) for one in wanted]

    def set_(wanted: Wanted) -> None:
        trainer = wanderer.trainer
        trainer.finish_update()
        step, reply = trainer.step, wanderer.ask(Set(key=wanted.key, value=wanted.value))
        if reply is None:
            lived.append((step, wanted))
        else:
            follow(reply, step, wanted)

    def branch() -> None:
        step, wanted = draw.randint(0, wanderer.trainer.head), (change(draw, wanderer), change(draw, wanderer))
        try:
            follow(wanderer.ask(Branch(step=step, changes=wanted)), step, *wanted)
        except NotNow as error:  # "momentum" of an optimiser that has none in that state
            assert "momentum" in str(error)

    def die() -> None:
        """As after kill -9: nothing was closed or said, and what is known is in files."""
        run = wanderer.trainer.directory
        wanderer.close()
        step = draw.randint(0, len(losses(run)))
        follow_dead(branches.make(run, step, ()), step)

    def follow_dead(directory: Path, step: int) -> None:
        nonlocal lived
        wanderer.open(directory)
        lived = [one for one in lived if one[0] <= step]

    acts = {
        "step": lambda: wanderer.ask(Step(count=draw.randint(1, 9))),
        "micro": lambda: wanderer.ask(MicroStep(count=draw.randint(1, 12))),
        "back": lambda: wanderer.ask(Back(count=draw.randint(1, 5))),
        "micro-back": lambda: wanderer.ask(Back(count=draw.randint(1, 3), micro=True)),
        "go": lambda: wanderer.ask(GoTo(step=draw.randint(0, wanderer.trainer.head))),
        "keep": lambda: wanderer.ask(Keep()),
        "set": lambda: set_(change(draw, wanderer)),
        "branch": branch,
        "die": die,
    }
    names = ["step"] * 5 + ["set"] * 3 + ["micro", "back", "micro-back", "go", "go", "keep", "branch", "die"]
    with np.errstate(all="ignore"):
        for name in (draw.choice(names) for _ in range(45)):
            try:
                acts[name]()
            except NotNow as error:
                assert "beginning" in str(error)
        wanderer.ask(GoTo(step=wanderer.trainer.head))
        end = wanderer.trainer.head + 3
        wanderer.ask(Step(count=3))
        straight = Driver(tmp_path / "straight", engine, overrides, spec)
        for step, wanted in lived:
            if step > straight.trainer.step:
                straight.ask(Step(count=step - straight.trainer.step))
            straight.ask(Set(key=wanted.key, value=wanted.value))
        straight.ask(Step(count=end - straight.trainer.step))
        same(wanderer.state, straight.state)
        run = wanderer.trainer.directory
        wanderer.close()
        straight.close()
        done = replay(run, None, verify=True)
    assert (done.differs, done.step) == ("", end)


def test_a_run_whose_trainer_was_killed_goes_on_from_its_files(tmp_path: Path) -> None:
    """Killed at any moment, by the system itself; the branch is what the straight run is."""
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path)}
    words = [sys.executable, "-m", "bptui", "train", "digits", "--engine", "numpy", "--pace", "400", "--epochs", "200"]
    with subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as foreground:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            runs = [path for path in (tmp_path / "runs").glob("*") if (path / "run.json").exists()]
            if runs and len(losses(runs[0])) > 60 and len(keyframes.keyframes(runs[0])) > 0:
                break
            time.sleep(0.05)
        os.kill(read_info(runs[0]).trainer_pid, signal.SIGKILL)
        foreground.wait(60)
    run = resolve(str(runs[0]))
    recorded = losses(run)
    step = len(recorded) - 5
    made = branches.make(run, step, [Change(step, "lr", 0.01, 0.05)])
    assert np.array_equal(losses(made), recorded[:step])
    branch = Driver.__new__(Driver)
    branch.open(made)
    branch.ask(Step(count=20))
    branch.close()
    done = replay(made, None, verify=True)
    assert (done.differs, done.step) == ("", step + 20)
    assert len(losses(run)) == len(recorded)


def test_a_branch_whose_making_was_killed_is_no_run(tmp_path: Path) -> None:
    """Killed right before it gets its name: what is there is whole, and still no run; a later branch sweeps it away."""
    driver = Driver(tmp_path / "run", "numpy", [])
    driver.ask(Step(count=6))
    driver.close()
    program = (
        "import os, signal; from pathlib import Path; from bptui.runs import branches, info\n"
        "os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"branches.make(Path({str(tmp_path / 'run')!r}), 4, ())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    (hidden,) = tmp_path.glob(".branch-*")
    assert (hidden / "run.json").exists()
    assert [run.id for run in list_runs(tmp_path)] == ["run"]
    os.utime(hidden, (0, 0))
    made = branches.make(tmp_path / "run", 4, ())
    assert not hidden.exists()
    assert {run.id for run in list_runs(tmp_path)} == {"run", made.name}
    assert [(one.run.id, one.depth) for one in tree(list_runs(tmp_path))] == [("run", 0), (made.name, 1)]


def test_a_branch_that_was_not_finished_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(tmp_path / "run", "numpy", [])
    driver.ask(Step(count=10))
    driver.ask(GoTo(step=4))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = driver.state
    with monkeypatch.context() as patch:
        patch.setattr(branches, "write_info", full)
        with pytest.raises(NotNow, match=r"no branch could be made: No space left"):
            driver.ask(Set(key="lr", value=0.01))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    same(driver.state, before)
    with pytest.raises(NotNow, match="lr: expected a number above 0"):
        driver.ask(Set(key="lr", value=-1.0))
    with pytest.raises(NotNow, match="did you mean 'relu'"):
        driver.ask(Set(key="dense1.activation", value="rellu"))
    same(driver.state, before)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    driver.ask(GoTo(step=10))
    driver.close()
