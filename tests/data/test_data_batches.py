"""Batches: every row once an epoch, the same order everywhere, and a place that can be saved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.data import Batches, MappedRows, Part, Scaler, batches
from bptui.philox import Stream


def part_of(rows: int, features: int = 3) -> Part:
    x = np.repeat(np.arange(rows, dtype=np.float32)[:, None], features, axis=1)
    return Part(x, np.arange(rows), np.arange(rows))


def epoch_of(source: Batches) -> np.ndarray:
    return np.concatenate([source.next().y.copy() for _ in range(source.steps_per_epoch)])


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 200), size=st.integers(1, 70), seed=st.integers(0, 2**63), piecewise=st.booleans())
def test_each_row_once_an_epoch_in_the_promised_order(rows: int, size: int, seed: int, piecewise: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if piecewise:
            patch.setattr(batches, "WHOLE_EPOCH_BYTES", 0)
            patch.setattr(batches, "PIECE_BYTES", 3 * 12 * size)
        source = Batches(part_of(rows), size, seed)
    for epoch in range(3):
        assert (source.epoch, source.offset) == (epoch, 0)
        np.testing.assert_array_equal(epoch_of(source), Stream(seed, "batches").permutation(epoch, rows))


def test_x_and_y_stay_together_and_the_short_batch_is_kept() -> None:
    source = Batches(part_of(10), 4, 0)
    sizes = []
    for _ in range(source.steps_per_epoch):
        batch = source.next()
        np.testing.assert_array_equal(batch.x[:, 1], batch.y)
        sizes.append(len(batch.y))
    assert sizes == [4, 4, 2]


def test_unshuffled_keeps_the_order_of_the_file() -> None:
    source = Batches(part_of(10), 4, 0, shuffle=False)
    assert epoch_of(source).tolist() == list(range(10)) == epoch_of(source).tolist()


def test_peek_moves_nothing() -> None:
    source, other = Batches(part_of(10), 4, 3), Batches(part_of(10), 4, 3)
    for _ in range(7):
        place = (other.epoch, other.offset)
        seen = other.peek().y.copy()
        assert (other.epoch, other.offset) == place
        np.testing.assert_array_equal(seen, source.next().y)
        np.testing.assert_array_equal(seen, other.next().y)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 60), size=st.integers(1, 20), before=st.integers(0, 40), piecewise=st.booleans())
def test_a_restored_place_goes_on_identically(rows: int, size: int, before: int, piecewise: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if piecewise:
            patch.setattr(batches, "WHOLE_EPOCH_BYTES", 0)
            patch.setattr(batches, "PIECE_BYTES", 2 * 12 * size)
        source, other = Batches(part_of(rows), size, 9), Batches(part_of(rows), size, 9)
    for _ in range(before):
        source.next()
    state = {key: value.copy() for key, value in source.state().items()}
    ahead = [source.next().y.copy() for _ in range(25)]
    for target in (other, source):  # a fresh one, and one that has gone on
        target.load_state(state)
        assert (target.epoch, target.offset) == (state["epoch"], state["offset"])
        for expected in ahead:
            np.testing.assert_array_equal(target.next().y, expected)


def test_a_state_of_other_data_is_refused() -> None:
    state = Batches(part_of(10), 4, 0).state()
    with pytest.raises(ValueError, match="rows is 11 here"):
        Batches(part_of(11), 4, 0).load_state(state)
    with pytest.raises(ValueError, match="no place 9 in epoch 0"):
        Batches(part_of(10), 4, 0).load_state({**state, "offset": np.array(9)})


@pytest.mark.parametrize("rows", [1, 8, 40])
def test_a_batch_holds_while_many_more_are_drawn(rows: int) -> None:
    source = Batches(part_of(rows), 8, 0)
    held = [(batch := source.next(), batch.x.copy(), batch.y.copy()) for _ in range(batches.KEPT + 1)]
    for batch, x, y in held:
        np.testing.assert_array_equal(batch.x, x)
        np.testing.assert_array_equal(batch.y, y)


def test_mapped_rows_give_the_same_batches(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", raw)
    rows = np.arange(0, 50, 2)
    scaler = Scaler.learn("standard", raw, rows)
    mapped = MappedRows(np.load(tmp_path / "x.npy", mmap_mode="r"), rows, scaler, np.float32)
    plain = scaler.gather(raw, rows, np.float32)
    np.testing.assert_array_equal(mapped[3:9], plain[3:9])
    y = np.arange(25)
    one, other = Batches(Part(mapped, y, rows), 4, 1), Batches(Part(plain, y, rows), 4, 1)
    for _ in range(20):
        np.testing.assert_array_equal(one.next().x, other.next().x)
    assert np.concatenate([block.y for block in Part(mapped, y, rows).blocks(7)]).tolist() == y.tolist()


PROGRAM = """
import hashlib
from bptui.data import Batches, load
from bptui.spec.experiment import Data
digest = hashlib.sha256()
for source in ("digits", "spiral"):
    data = load(Data(source=source, test=0.1), seed=5)
    for part in data.parts().values():
        digest.update(part.rows.tobytes() + part.x.tobytes() + part.y.tobytes())
    batches = Batches(data.train, 32, 5)
    for _ in range(100):
        digest.update(batches.next().x.tobytes())
print(digest.hexdigest())
"""


def test_split_and_order_are_the_same_in_every_process() -> None:
    command = [sys.executable, "-c", PROGRAM]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout.strip()) == 64


def test_no_rows_or_no_batch_size() -> None:
    with pytest.raises(ValueError, match="without rows"):
        Batches(part_of(0), 4, 0)
    with pytest.raises(ValueError, match="at least 1"):
        Batches(part_of(4), 0, 0)
