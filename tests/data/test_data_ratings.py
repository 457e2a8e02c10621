"""Ratings: columns of ids of any text, those that training has not seen, and what is to be beaten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptui.commands import datasets
from bptui.data import DataError, load
from bptui.data.catalogue import describe, render_look
from bptui.data.ratings import MEAN, baselines
from bptui.spec.experiment import Data

MOVIES = "userId,movieId,rating,timestamp\n007,a é,4.5,964982703\n7,b,3.0,964981247\n7,a é,1,0\n007,b,2,5\n"


def _file(folder: Path, text: str, name: str = "ratings.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _rated(source: str, **keys: Any) -> Data:
    return Data(source=source, **{"ids": "userId,movieId", "label": "rating", "validation": 0.0, **keys})


def test_ids_are_texts_each_column_with_its_own_vocabulary(tmp_path: Path) -> None:
    data = load(_rated(_file(tmp_path, MOVIES)))
    assert data.vocabularies == (("<unk>", "007", "7"), ("<unk>", "a é", "b"))
    assert data.task == "regression" and data.shape == (2,) and data.feature_names == ("userId", "movieId")
    assert data.train.x.dtype == np.int64 and np.asarray(data.train.x).tolist() == [[1, 1], [2, 2], [2, 1], [1, 2]]
    assert data.train.targets[:, 0].tolist() == [4.5, 3.0, 1.0, 2.0]  # nothing is scaled, the time stamp is not read


def test_movielens_first_form_has_no_header_and_columns_by_number(tmp_path: Path) -> None:
    text = "".join(f"{u}\t{i}\t{1 + (u * i) % 5}\t88125{u:02}\n" for u in range(1, 13) for i in (3, 20, 100))
    data = load(_rated(_file(tmp_path, text, "u.data"), ids="0,1", label=2))
    assert data.vocabularies is not None and data.vocabularies[0] == ("<unk>", *map(str, range(1, 13)))
    assert data.vocabularies[1] == ("<unk>", "3", "20", "100")  # by their size, not by the alphabet
    assert len(data.train) == 36 and set(data.train.targets[:, 0].tolist()) <= {1.0, 2.0, 3.0, 4.0, 5.0}


def test_whom_training_has_not_seen_is_unknown_and_counted(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    rated = "".join(f"u{n % 3},i{n % 2},{n % 5}\n" for n in range(12))
    _file(tmp_path / "set", f"user,item,rating\n{rated}", "train.csv")
    _file(tmp_path / "set", "user,item,rating\nu0,new,3\nnobody,i1,2\nnobody,new,1\nu1,i0,4\n", "test.csv")
    data = load(Data(source=str(tmp_path / "set"), ids="user,item", label="rating", validation=0.0))
    assert data.vocabularies == (("<unk>", "u0", "u1", "u2"), ("<unk>", "i0", "i1"))
    assert data.test is not None and np.asarray(data.test.x).tolist() == [[1, 0], [0, 2], [0, 0], [2, 1]]
    assert "of 4 rows held out 2 an unknown user, 2 an unknown item" in data.notes
    few = load(Data(source=str(tmp_path / "set"), ids="user,item", label="rating", validation=0.0, vocabulary=3))
    assert few.vocabularies == (("<unk>", "u0", "u1"), ("<unk>", "i0", "i1"))  # the commonest; of equals the first


@pytest.mark.parametrize(
    ("text", "keys", "said"),
    [
        (MOVIES, {"ids": "userId,film"}, r"no column 'film' for the ids.* \(columns: userId, movieId"),
        (MOVIES, {"ids": "userId,userId"}, r"a column comes twice, or is the label"),
        (MOVIES, {"ids": "userId,rating"}, r"a column comes twice, or is the label"),
        (MOVIES, {"ids": "0,9"}, r"no ids column 9; columns are numbered 0–3"),
        (MOVIES.replace("\n7,b", "\n,b"), {}, r"row 2 \(line 3\), column 'userId': no value"),
        (MOVIES.replace("\n7,b", "\n,b"), {"missing": "mean"}, r"row 2, column 'userId': no id \(data.missing"),
        (MOVIES.replace("3.0", "good"), {}, r"row 2 \(line 3\), column 'rating': 'good' is not a number"),
        (MOVIES, {"task": "autoencoder"}, r"holds tokens; an autoencoder needs numbers"),
    ],
)  # fmt: skip
def test_what_are_no_ratings_is_one_line(tmp_path: Path, text: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as told:
        load(_rated(_file(tmp_path, text), **keys))
    assert "\n" not in str(told.value)


def test_generated_ratings_are_the_same_each_time_and_of_the_noise_that_was_asked_for() -> None:
    data, again = (load(Data(source="ratings", validation=0.0), dtype="f64") for _ in range(2))
    assert np.array_equal(data.train.x, again.train.x) and np.array_equal(data.train.y, again.train.y)
    assert len(np.unique(np.asarray(data.train.x), axis=0)) == len(data.train) == 40_000  # no pair comes twice
    still = load(Data(source="ratings", validation=0.0, noise=0.0), dtype="f64")
    noise = data.train.targets - still.train.targets
    assert noise.std() == pytest.approx(0.3, abs=0.005) and abs(noise.mean()) < 0.01
    table = np.zeros((501, 201))
    full = load(Data(source="ratings", validation=0.0, noise=0.0, samples=100_000), dtype="f64")
    table[tuple(np.asarray(full.train.x).T)] = full.train.targets[:, 0] - MEAN
    assert np.linalg.matrix_rank(table[1:, 1:], tol=1e-6) == 6  # four of taste, and a bias of each side
    with pytest.raises(DataError, match="ratings has 2 to 100,000 rows"):
        load(Data(source="ratings", samples=100_001))


def test_biases_are_the_least_squares_they_say_they_are() -> None:
    draw = np.random.default_rng(0)
    x = np.stack([draw.integers(1, 6, 60), draw.integers(1, 4, 60)], axis=1)
    y = 3 + 0.5 * x[:, 0] - x[:, 1] + 0.1 * draw.normal(size=60)
    held = np.array([[2, 3], [0, 1], [4, 0]])
    given = np.array([1.0, 2.0, 5.0])
    design = np.zeros((60, 10))
    design[np.arange(60), x[:, 0]] = design[np.arange(60), 6 + x[:, 1]] = 1
    fitted = np.linalg.solve(design.T @ design + 3 * np.eye(10), design.T @ (y - y.mean()))
    fitted[[0, 6]] = 0  # of whom nothing is known
    foretold = y.mean() + fitted[held[:, 0]] + fitted[6 + held[:, 1]]
    found = baselines(x, y, held, given)
    assert found.biases == pytest.approx(np.sqrt(np.mean((given - foretold) ** 2)), abs=1e-5)
    assert found.mean == pytest.approx(np.sqrt(np.mean((given - y.mean()) ** 2)))


def test_a_look_counts_the_ids_and_the_baselines_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path, MOVIES)
    look = render_look(describe(path, data=Data(source=path, ids="userId,movieId", label="rating")))
    assert "ids: 2 of userId, 2 of movieId" in look and "movieId ids" in look and "regression of rating" in look
    import argparse

    parser = argparse.ArgumentParser()
    datasets.add(parser)
    assert datasets.act(parser.parse_args(["biases", "ratings", "--validation", "0.2"])) == 0
    said = dict(line.rsplit(None, 1) for line in capsys.readouterr().out.splitlines()[-2:])
    assert 0.9 < float(said["the mean"]) < 1.0 and 0.64 < float(said["the mean and biases"]) < 0.7
    with pytest.raises(DataError, match="moons: expected ratings"):
        datasets.act(parser.parse_args(["biases", "moons"]))
