"""Parquet, where pyarrow is there, and plain words where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bptui.data import DataError, load
from bptui.spec.experiment import Data


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(DataError, match=r"Parquet needs pyarrow; install bptui\[parquet\]"):
        load(Data(source=str(tmp_path / "rows.parquet")))


def test_columns_of_every_kind(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    columns = {"a": [1.0, 2.0, None, 4.0] * 10, "b": ["u", "v", "u", "u"] * 10, "c": [True, False, True, True] * 10}
    kinds = arrow.array(["p", "q", "p", "p"] * 10).dictionary_encode()
    parquet.write_table(arrow.table({**columns, "kind": kinds}), path)
    with pytest.raises(DataError, match="row 3, column 'a': no value"):
        load(Data(source=str(path)))
    data = load(Data(source=str(path), missing="drop", validation=0.0, scale="none"))
    assert data.feature_names == ("a", "b=u", "b=v", "c") and data.class_names == ("p", "q")
    np.testing.assert_array_equal(data.train.x[:3], [[1, 1, 0, 1], [2, 0, 1, 0], [4, 1, 0, 1]])
    assert data.train.y[:3].tolist() == [0, 1, 0]
    assert len(load(Data(source=str(path), missing="mean", samples=10, validation=0.0)).train) == 10


def test_damaged_or_of_another_type(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load(Data(source=str(tmp_path / "junk.parquet")))
    times = arrow.array([1, 2], arrow.timestamp("s"))
    parquet.write_table(arrow.table({"when": times, "y": [0, 1]}), tmp_path / "times.parquet")
    with pytest.raises(DataError, match="column 'when' is of type timestamp"):
        load(Data(source=str(tmp_path / "times.parquet")))
