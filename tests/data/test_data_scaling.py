"""Scaling is learned on the training rows alone, and parts share no row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.data import DataError, Scaler, load
from bptui.data.scaling import Kind
from bptui.data.sources import SOURCES
from bptui.spec.experiment import BinaryCrossEntropy, CrossEntropy, Data
from bptui.spec.sources import SOURCES as BUILT_IN

MADE = ["digits", "spiral", "moons", "xor", "binary", "regression"]


@pytest.mark.parametrize("source", MADE)
def test_columns_and_task_are_what_the_faces_say(source: str) -> None:
    data, about = load(Data(source=source)), BUILT_IN[source]
    assert (data.features, data.outputs, data.task) == (about.features, about.outputs, about.task)
    assert sum(map(len, data.parts().values())) == SOURCES[source].rows
    assert data.train.x.dtype == np.float32 and np.isfinite(data.train.x[:]).all()
    assert load(Data(source=source), dtype="f64").train.x.dtype == np.float64


def test_every_source_that_faces_know_has_a_reader() -> None:
    assert set(SOURCES) == set(BUILT_IN)


def test_digits_are_the_true_ones() -> None:
    data = load(Data(source="digits", scale="none", validation=0.0))
    assert np.bincount(data.train.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.train.x[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and data.train.x[:].max() == 16
    assert data.shape == (1, 8, 8)


@pytest.mark.parametrize(("loss", "task", "outputs"), [
    (CrossEntropy(), "classification", 2), (BinaryCrossEntropy(), "binary", 1),
])  # fmt: skip
@pytest.mark.parametrize("source", ["xor", "moons", "binary"])
def test_two_classes_follow_the_loss(source: str, loss: CrossEntropy, task: str, outputs: int) -> None:
    data = load(Data(source=source), loss=loss)
    assert (data.task, data.outputs) == (task, outputs)
    assert data.train.y.dtype == (np.int64 if task == "classification" else np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), validation=st.floats(0, 0.6), test=st.floats(0, 0.3))
def test_parts_share_no_row_and_lose_none(seed: int, validation: float, test: float) -> None:
    data = load(Data(source="moons", samples=97, validation=validation, test=test), seed=seed)
    rows = np.concatenate([part.rows for part in data.parts().values()])
    assert sorted(rows.tolist()) == list(range(97))
    assert (data.validation is None) == (validation == 0) and (data.test is None) == (test == 0)


@pytest.mark.parametrize("kind", ["standard", "global", "minmax"])
def test_learned_on_the_training_rows_alone(tmp_path: Path, kind: Kind) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(5, 3, (50, 4)), np.arange(50) % 2
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    before = load(Data(source=str(tmp_path / "rows.npz"), scale=kind))
    assert before.validation is not None
    x[before.validation.rows] = 1e6
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    after = load(Data(source=str(tmp_path / "rows.npz"), scale=kind))
    np.testing.assert_array_equal(before.scaler.mean, after.scaler.mean)
    np.testing.assert_array_equal(before.scaler.scale, after.scaler.scale)
    np.testing.assert_array_equal(before.train.x[:], after.train.x[:])
    train = x[after.train.rows]
    if kind == "standard":
        np.testing.assert_allclose(after.train.x, (train - train.mean(0)) / train.std(0), rtol=1e-5, atol=1e-6)
    elif kind == "global":
        np.testing.assert_allclose(after.train.x, (train - train.mean()) / train.std(), rtol=1e-5, atol=1e-6)
    else:
        assert np.ptp(after.train.x[:], axis=0).tolist() == [1.0] * 4


def test_constant_features_keep_scale_one_and_years_keep_their_digits() -> None:
    x = np.stack([np.full(40, 0.1), np.arange(40) + 1.7e9, np.arange(40.0)], axis=1)
    scaler = Scaler.learn("standard", x, np.arange(40))
    assert scaler.scale[0] == 1.0 and scaler.scale[1] == pytest.approx(scaler.scale[2])
    scaled = scaler.apply(x)
    np.testing.assert_allclose(scaled[:, 1], scaled[:, 2], atol=1e-6)


def test_bytes_are_scaled_as_floats_would_be() -> None:
    x = np.random.default_rng(1).integers(0, 256, (300, 40), dtype=np.uint8)
    rows = np.sort(np.random.default_rng(2).permutation(300)[:200])
    scaler, wide = Scaler.learn("global", x, rows), Scaler.learn("global", x.astype(np.float64), rows)
    np.testing.assert_allclose(scaler.mean, wide.mean, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, wide.scale, rtol=1e-12)
    np.testing.assert_allclose(scaler.gather(x, rows, np.float32), wide.apply(x[rows]), rtol=1e-5, atol=1e-6)


def test_a_scaler_survives_its_state() -> None:
    x = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 8.0]])
    scaler = Scaler.learn("standard", x, np.arange(3), fill_missing=True)
    again = Scaler.from_state(scaler.state())
    np.testing.assert_array_equal(again.apply(x), scaler.apply(x))
    assert again.apply(x)[0, 1] == 0.0
    with pytest.raises(ValueError, match="'mean' is missing"):
        Scaler.from_state({"kind": scaler.state()["kind"]})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((5, 2)), "y": np.zeros(4)}, "x has 5 rows, y has 4"),
        ({"a": np.zeros(3)}, "it holds a"),
        ({"x": np.array([{}]), "y": np.zeros(1)}, "never unpickled"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2)}, "expected numbers"),
        ({"x": np.array([[1.0], [np.nan]]), "y": np.array([0, 1])}, "row 2, feature 1: a missing value"),
        ({"x": np.array([[1.0], [np.inf]]), "y": np.array([0, 1])}, "row 2, feature 1: inf"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, -1, 2])}, "row 2: label is -1"),
    ],
)
def test_mismatched_archives(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(DataError) as error:
        load(Data(source=str(tmp_path / "rows.npz")), loss=CrossEntropy())
    assert message in str(error.value)


def test_archives_with_parts_and_pictures(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "rows.npz",
        X_train=draw.integers(0, 9, (30, 4, 5)), y_train=np.eye(3)[np.arange(30) % 3],
        x_val=draw.integers(0, 9, (6, 4, 5)), y_val=np.eye(3)[np.arange(6) % 3],
    )  # fmt: skip
    data = load(Data(source=str(tmp_path / "rows.npz")), loss=CrossEntropy())
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 30, "validation": 6}
    assert (data.shape, data.outputs, data.train.y[:4].tolist()) == ((1, 4, 5), 3, [0, 1, 2, 0])


def test_a_pair_larger_than_memory_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    np.save(tmp_path / "x_train.npy", draw.normal(3, 2, (64, 5)))
    np.save(tmp_path / "y_train.npy", np.arange(64) % 2)
    source = Data(source=str(tmp_path / "x_train.npy"))
    plain = load(source)
    monkeypatch.setattr("bptui.data.arrays.available", lambda: 100)
    mapped = load(source)
    assert any("memory map" in note for note in mapped.notes) and type(mapped.train.x).__name__ == "MappedRows"
    np.testing.assert_array_equal(mapped.train.x[:], plain.train.x[:])
