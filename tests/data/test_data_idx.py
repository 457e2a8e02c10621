"""IDX files: whole ones are read, anything else is one line."""

from __future__ import annotations

import gzip
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bptui.data import DataError, load
from bptui.data.idx import DTYPES, read_idx
from bptui.spec.experiment import Data

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def pictures(folder: Path, split: str, count: int, *, packed: bool = False, labels: np.ndarray | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    images = (np.arange(count * 12) % 251).astype(np.uint8).reshape(count, 3, 4)
    ids = (np.arange(count) % 10).astype(np.uint8) if labels is None else labels
    for name, data in ((f"{split}-images-idx3-ubyte", images), (f"{split}-labels-idx1-ubyte", ids)):
        content = idx_bytes(data)
        path = folder / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder / (f"{split}-images-idx3-ubyte" + ".gz" * packed)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("code", sorted(DTYPES))
def test_every_type_plain_and_packed(tmp_path: Path, code: int, packed: bool) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(DTYPES[code])
    path = tmp_path / "values"
    path.write_bytes(gzip.compress(idx_bytes(array, code)) if packed else idx_bytes(array, code))
    np.testing.assert_array_equal(read_idx(path), array)


@FEW
@given(cut=st.integers(0, 10_000), packed=st.booleans())
def test_cut_at_any_byte_is_a_data_error(tmp_path: Path, cut: int, packed: bool) -> None:
    content = idx_bytes(np.arange(60, dtype=np.uint8).reshape(5, 3, 4))
    content = gzip.compress(content) if packed else content
    path = tmp_path / "cut"
    path.write_bytes(content[: cut % len(content)])
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert "cut" in str(error.value) and "\n" not in str(error.value)


@FEW
@given(junk=st.binary(max_size=200))
def test_garbage_is_read_or_refused(tmp_path: Path, junk: bytes) -> None:
    for number, content in enumerate((junk, b"\0\0\x08\x03" + junk, b"\x1f\x8b\x08" + junk, gzip.compress(junk))):
        path = tmp_path / f"junk{number}-images-idx3-ubyte"
        path.write_bytes(content)
        with suppress(DataError):
            assert isinstance(read_idx(path), np.ndarray)
        with pytest.raises(DataError):
            load(Data(source=str(path)))


def test_trailing_bytes_and_huge_claims_are_refused(tmp_path: Path) -> None:
    good = idx_bytes(np.zeros((2, 2), np.uint8))
    longer, huge = tmp_path / "longer", tmp_path / "huge.gz"
    longer.write_bytes(good + b"x")
    with pytest.raises(DataError, match="longer than its header says"):
        read_idx(longer)
    huge.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**15, 2**15)))
    with pytest.raises(DataError, match="claims"):
        read_idx(huge)


def test_folder_has_train_and_test_part(tmp_path: Path) -> None:
    pictures(tmp_path / "mine", "train", 50, packed=True)
    pictures(tmp_path / "mine", "t10k", 20)
    data = load(Data(source=str(tmp_path / "mine"), validation=0.2))
    assert {name: len(part) for name, part in data.parts().items()} == {"train": 40, "validation": 10, "test": 20}
    assert (data.features, data.outputs, data.shape, data.task) == (12, 10, (1, 3, 4), "classification")
    assert np.unique(data.scaler.mean).size == 1  # one mean for all pixels


def test_found_in_the_search_path_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BPTUI_DATA", "XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    with pytest.raises(DataError) as error:
        load(Data(source="mnist"))
    assert "mnist/train-images-idx3-ubyte" in str(error.value)
    assert str(tmp_path / "BPTUI_DATA") in str(error.value)
    assert "datasets fetch mnist" in str(error.value)
    pictures(tmp_path / "XDG_DATA_DIRS" / "datasets" / "mnist", "train", 40)
    assert len(load(Data(source="mnist")).train) == 32
    pictures(tmp_path / "BPTUI_DATA" / "mnist", "train", 20)
    assert len(load(Data(source="mnist")).train) == 16
    pictures(tmp_path / "extra" / "mnist", "train", 10)
    assert len(load(Data(source="mnist"), search=[tmp_path / "extra"]).train) == 8


def test_label_out_of_range_names_row_and_label(tmp_path: Path) -> None:
    wrong = (np.arange(20) % 10).astype(np.uint8)
    wrong[7] = 12
    pictures(tmp_path / "mnist", "train", 20, labels=wrong)
    with pytest.raises(DataError, match="row 8 has label 12, expected 0–9"):
        load(Data(source="mnist"), search=[tmp_path])


def test_counts_that_differ(tmp_path: Path) -> None:
    path = pictures(tmp_path, "train", 20, labels=np.zeros(19, np.uint8))
    with pytest.raises(DataError, match="has 20 pictures, train-labels-idx1-ubyte has 19 labels"):
        load(Data(source=str(path)))


def test_pictures_without_labels(tmp_path: Path) -> None:
    path = pictures(tmp_path, "train", 20)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no labels beside it"):
        load(Data(source=str(path)))


def test_fashion_is_the_true_one() -> None:
    try:
        data = load(Data(source="fashion", samples=2000))
    except DataError as error:
        pytest.skip(str(error))
    assert (data.features, data.outputs, len(data.train), data.shape) == (784, 10, 1600, (1, 28, 28))
    assert data.test is not None and np.bincount(data.test.y).tolist() == [1000] * 10
    assert data.class_names is not None and data.class_names[9] == "ankle boot"


def test_mnist_is_the_true_one() -> None:
    try:
        data = load(Data(source="mnist", samples=5, validation=0.2))
    except DataError as error:
        pytest.skip(str(error))
    assert data.validation is not None and data.test is not None
    first = np.empty(5, np.int64)
    for part in (data.train, data.validation):
        first[part.rows] = part.y
    assert first.tolist() == [5, 0, 4, 1, 9]
    assert data.test.y[:5].tolist() == [7, 2, 1, 0, 4]
