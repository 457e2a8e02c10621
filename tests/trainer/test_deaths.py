"""Death certificates of real runs: the step is where plain NumPy says so, and the parts add up to the change of z."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bptui.engine import create
from bptui.engine.base import Batch
from bptui.protocol.certificate import Certificate, verdict
from bptui.runs import keyframes
from bptui.spec.load import from_dict
from bptui.trainer import lens
from bptui.trainer.deaths import Here, LensError, _here, blame, certify, decompose, go_to, open_at, view_at
from bptui.trainer.replay import ReplayError


def bptui(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bptui", *words], cwd=cwd, capture_output=True, text=True, timeout=180,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["numpy", "torch"])
def dead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the preset whose learning rate kills its units."""
    if request.param == "torch":
        pytest.importorskip("torch")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTUI_HOME", str(home))
        done = bptui("train", "dead-relu", "--engine", request.param, "--steps", "60", cwd=home)
        assert done.returncode == 0, done.stderr
    return next((home / "runs").glob("*dead-relu*"))


def parameters(run: Path, step: int, layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    state = open_at(run, step).course.engine.state()
    return [
        (np.asarray(state[f"dense{i}.weight"], np.float64), np.asarray(state[f"dense{i}.bias"], np.float64))
        for i in range(1, layers + 1)
    ]


@pytest.mark.parametrize("layer", ["dense1", "dense2"])
def test_the_certificate_names_the_update_that_killed(dead: Path, layer: str) -> None:
    seen = view_at(dead, None)
    index = ["dense1", "dense2"].index(layer)
    lost = seen.layers[index].lost
    assert len(lost) > len(seen.layers[index].units) // 2
    unit = lost[len(lost) // 2]
    found = certify(dead, layer, unit)
    assert found.last_fired is not None and found.lr == 1.0 and found.samples == found.rows == seen.samples
    x = np.asarray(lens.census_rows(open_at(dead, 0).course.setup.data.train.blocks()).x, np.float64)

    def z_of(step: int) -> np.ndarray:
        a = x
        for weight, bias in parameters(dead, step, index):
            a = np.maximum(a @ weight + bias, 0)
        weight, bias = parameters(dead, step, index + 1)[index]
        return a @ weight[:, unit] + bias[unit]

    before = z_of(found.last_fired)
    after = z_of(found.last_fired + 1)
    assert before.max() > 0 >= after.max()
    assert (z_of(60) <= 0).all()
    assert found.fired == pytest.approx((before > 0).sum(), abs=1)
    assert found.z_before == pytest.approx(before.max()) and found.z_after == pytest.approx(after.max(), abs=1e-6)
    assert found.parts.total == pytest.approx(found.z_after - found.z_before)
    old, new = (parameters(dead, found.last_fired + i, index + 1)[index] for i in (0, 1))
    assert found.bias_step == pytest.approx(new[1][unit] - old[1][unit], rel=1e-5)
    assert found.weights_step == pytest.approx(float(np.linalg.norm(new[0][:, unit] - old[0][:, unit])), rel=1e-5)
    assert found.parts.bias == pytest.approx(found.bias_step)
    again = open_at(dead, found.last_fired)
    batch = again.course.setup.data.train
    rows = again.course.batches.rows()
    assert {driver.row for driver in found.drivers} <= set(batch.rows[rows].tolist())
    assert all(one.pull <= two.pull for one, two in zip(found.drivers, found.drivers[1:], strict=False))
    if index == 0 and found.drivers:
        first = found.drivers[0]
        mine = np.asarray(batch.x[np.flatnonzero(batch.rows == first.row)[0]], np.float64)
        assert first.pull == pytest.approx(-found.lr * first.delta * (mine @ x[before.argmax()] + 1), rel=1e-4)
    assert f"step {found.last_fired}" in verdict(found)


def test_the_pulls_of_plain_sgd_are_the_whole_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without momentum, what the samples pull is Δb + a·ΔW to the last digits that the sum has."""
    monkeypatch.setenv("BPTUI_HOME", str(tmp_path))
    words = ("--set", "optimizer.momentum=0", "--set", "optimizer.lr=3", "--dtype", "f64", "--steps", "40")
    assert bptui("train", "dead-relu", "--engine", "numpy", *words, cwd=tmp_path).returncode == 0
    run = next((tmp_path / "runs").glob("*dead-relu*"))
    unit = view_at(run, None).layers[0].lost[0]
    found = certify(run, "dense1", unit)
    assert found.last_fired is not None and found.parts.upstream == 0
    assert found.pulls == pytest.approx(found.parts.bias + found.parts.weights) and found.rest == pytest.approx(0)
    shown = bptui("dead", run.name, "--layer", "dense1", "--unit", str(unit), "--json", cwd=tmp_path)
    assert msgspec.json.decode(shown.stdout, type=Certificate) == found
    table = bptui("dead", run.name, cwd=tmp_path)
    assert table.returncode == 0 and "dense1" in table.stdout and "dead" in table.stdout
    wrong = bptui("dead", run.name, "--layer", "dense9", "--unit", "0", cwd=tmp_path)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "dense9" in wrong.stderr


def test_who_is_not_dead_gets_no_certificate(dead: Path) -> None:
    alive = open_at(dead, 0)
    fired = view_at(dead, 0).layers[0].units[0].fired
    assert fired > 0 and alive.course.step == 0
    with pytest.raises(LensError, match=f"not dead at step 0: it fires for {fired:,} of"):
        certify(dead, "dense1", 0, at=0)
    with pytest.raises(LensError, match="no layer 'dens1'; did you mean 'dense1'"):
        certify(dead, "dens1", 0)
    with pytest.raises(LensError, match="units 0 to 31"):
        certify(dead, "dense1", 99)
    with pytest.raises(LensError, match="cannot die"):
        certify(dead, "dense3", 0)
    with pytest.raises(ReplayError, match="there is no step 600"):
        certify(dead, "dense1", 0, at=600)


def test_a_damaged_keyframe_is_passed_over(dead: Path, tmp_path: Path) -> None:
    import shutil

    run = tmp_path / "copy"
    shutil.copytree(dead, run, ignore=shutil.ignore_patterns("*.sock"))
    unit = view_at(run, None).layers[0].lost[0]
    whole = certify(run, "dense1", unit)
    frames = keyframes.keyframes(run)
    if len(frames) > 1:
        frames[-1].path.write_bytes(b"damaged")
    assert certify(run, "dense1", unit) == whole


def test_every_cause_is_told_from_the_others() -> None:
    draw = np.random.default_rng(0)
    x = np.abs(draw.normal(size=(50, 3)))
    first = lens.Layer("one", "relu", np.abs(draw.normal(size=(3, 4))), np.zeros(4))
    second = lens.Layer("two", "relu", np.abs(draw.normal(size=(4, 2))), np.zeros(2))
    changes = {
        "bias": [first, second._replace(bias=second.bias - 100)],
        "weights": [first, second._replace(weight=-second.weight)],
        "upstream": [first._replace(weight=first.weight / 10), second],
    }

    def here(layers: list[lens.Layer]) -> Here:
        (_, a), _ = lens.forward(layers, x)
        return Here(a, layers[1].weight, layers[1].bias)

    for cause, after in changes.items():
        parts, z_before, z_after, peak = decompose(here([first, second]), here(after), 0)
        assert blame(parts) == cause
        assert parts.total == pytest.approx(z_after - z_before)
        for name in set(changes) - {cause}:
            assert getattr(parts, name) == pytest.approx(0)
        z = np.maximum(x @ first.weight, 0) @ second.weight[:, 0]
        assert z_before == pytest.approx(z.max())
        assert peak == pytest.approx(np.maximum(x[z.argmax()] @ first.weight, 0))


def test_going_to_a_step_gives_the_state_before_its_changes(dead: Path) -> None:
    again = open_at(dead, None)
    weight = again.course.engine.state()["dense1.weight"]
    go_to(again, dead, 3)
    go_to(again, dead, 60)
    assert np.array_equal(weight, again.course.engine.state()["dense1.weight"])


def test_inputs_are_those_of_each_piece_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [{"type": "conv2d", "units": 2, "activation": "relu"}, {"type": "flatten"}, {"type": "dense", "units": 2}]
    spec = {"data": {"source": "x.npz"}, "model": layers, "loss": {"name": "cross_entropy"}, "stop": {"steps": 1}}
    engine = create(from_dict(spec), 25, 2, engine="numpy", shape=(1, 5, 5), dtype="f64")
    x = Batch(np.random.default_rng(0).normal(size=(24, 25)), np.zeros(24, int))
    (_, whole) = list(engine.passes(x.x))[1]
    expected = np.array(whole)
    monkeypatch.setattr(lens, "MOST_VALUES", 1)
    assert [len(piece.x) for piece in lens.pieces(engine, x)] == [8, 8, 8]
    np.testing.assert_allclose(_here(engine, 2, x).inputs, expected)
