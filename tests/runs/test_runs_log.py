"""The log: what is appended comes back, cut anywhere, and a torn end costs its last batch at most."""

from __future__ import annotations

import json
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bptui.runs import log
from bptui.runs.digest import Digest
from bptui.runs.history import MAX_TABLES, History
from bptui.runs.logfile import LogFile, extent
from bptui.runs.reader import RingReader
from bptui.runs.records import CELLS, QUANTITIES, SERIES, TABLE_COLUMNS
from bptui.runs.ring import Record, Ring

VALUES = arrays(np.float64, st.integers(1, 40), elements=st.floats(width=64))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**40), VALUES), max_size=8), st.data())
@settings(max_examples=80, deadline=None)
def test_blocks_come_back_however_they_are_cut(pieces, data):
    written = b"".join(log.series(index, 0, step, values, (1.0, 2.0)) for index, step, values in pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=6)))
    parser, blocks = log.LogParser(), []
    for start, stop in zip([0, *cuts], [*cuts, len(written)], strict=True):
        blocks += parser.feed(written[start:stop])
    assert [(block.index, block.step) for block in blocks] == [(index, step) for index, step, _ in pieces]
    for block, (_, _, values) in zip(blocks, pieces, strict=True):
        assert np.array_equal(block.values(), values, equal_nan=True)
        assert block.times() == (1.0, 2.0 if len(values) > 1 else 1.0)


def test_every_kind_of_block_comes_back():
    table = np.arange(20, dtype=np.float32).reshape(2, 10)
    counts = np.arange(2 * CELLS, dtype=np.uint32).reshape(2, CELLS)
    data = (
        log.sparse(3, 1, np.array([4, 9], np.uint64), np.array([0.5, np.nan]), (1.0, 2.0))
        + log.table(0, 7, 3.5, table) + log.histogram(2, 8, 4.5, 1, counts) + log.cursor(1234)
    )  # fmt: skip
    sparse, tables, histograms, cursor = log.parse(data)
    assert sparse.steps().tolist() == [4, 9] and np.array_equal(sparse.values(), [0.5, np.nan], equal_nan=True)
    assert (sparse.rank, tables.step, tables.times()) == (1, 7, (3.5, 3.5))
    assert np.array_equal(tables.values(), table) and np.array_equal(histograms.values(), counts)
    assert (histograms.index, histograms.rank, cursor.kind, cursor.step) == (1, 2, log.BlockKind.CURSOR, 1234)
    assert cursor.end == len(data)


def test_a_file_cut_at_any_byte_ends_at_its_last_whole_batch(tmp_path):
    file = LogFile(tmp_path / "scalars")
    ends = [0]
    for batch in range(4):
        assert file.append(log.series(0, 0, 10 * batch, np.arange(10.0), (0.0, 1.0)), position=100 * (batch + 1))
        ends.append(file.size)
    file.close()
    whole = (tmp_path / "scalars").read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / "scalars").write_bytes(whole[:cut])
        batches = sum(end <= cut for end in ends) - 1
        assert extent(tmp_path / "scalars") == (ends[batches], 100 * batches)
        if cut % 37 == 0:  # and the next writer goes on from there
            again = LogFile(tmp_path / "scalars")
            again.append(log.series(0, 0, 10 * batches, np.zeros(10), (0.0, 1.0)), position=7)
            again.close()
            history = History()
            history.feed((tmp_path / "scalars").read_bytes())
            assert history.steps == 10 * (batches + 1)


@given(st.integers(0, 1000), st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_is_noticed(at, change):
    data = bytearray(b"".join(log.series(0, 0, 8 * i, np.full(8, i), (0.0, 1.0)) for i in range(10)))
    at %= len(data)
    data[at] ^= change
    blocks = list(log.parse(bytes(data)))
    assert len(blocks) <= at // (len(data) // 10)
    assert all((block.values() == i).all() for i, block in enumerate(blocks))


def test_a_full_disk_keeps_batches_until_there_is_room(tmp_path, monkeypatch):
    import os

    file = LogFile(tmp_path / "scalars")
    real, room = os.pwrite, [100]

    def pwrite(handle: int, data: bytes, offset: int) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        size = min(len(data), room[0])
        room[0] -= size
        return real(handle, data[:size], offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    batches = [log.series(0, 0, 10 * i, np.arange(10.0), (0.0, 1.0)) for i in range(3)]
    for i, batch in enumerate(batches):
        assert not file.append(batch, position=i + 1)
    assert file.error == "No space left on device" and file.size == 0 == (tmp_path / "scalars").stat().st_size
    room[0] = 1 << 20
    assert file.flush() and not file.error
    assert extent(tmp_path / "scalars") == (file.size, 3)
    file.close()


def feed(digest: Digest, reader: RingReader, limit: int = 1 << 20) -> bytes:
    blocks = digest.feed(reader.take(limit))
    reader.used(digest.consumed)
    return blocks


# -- from records to blocks ----------------------------------------------------------------------------
@given(
    st.lists(st.sampled_from(["loss", "loss", "loss", "lr", "table", "jump", "other", "state"]), max_size=120),
    st.integers(40, 2000),
)
@settings(max_examples=100, deadline=None)
def test_digest_keeps_every_number(tmp_path_factory, kinds, limit):
    ring = Ring.create(tmp_path_factory.mktemp("digest") / "ring", capacity=1 << 16)
    losses, rates, step, other = {}, {}, 0, {}
    for turn, kind in enumerate(kinds):
        if kind == "loss":
            ring.loss(step, turn / 7, turn)
            losses[step] = turn / 7
            step += 1
        elif kind == "jump":
            step += 3
        elif kind == "lr":
            ring.write(Record.SERIES, step, struct.pack("<HHId", SERIES.index("lr"), 0, 0, turn / 3), turn)
            rates[step] = turn / 3
        elif kind == "table":
            ring.write(Record.TABLE, step, np.full((1, len(TABLE_COLUMNS)), turn, np.float32).tobytes(), turn)
        elif kind == "other":
            ring.rank = 1
            ring.loss(turn, 0.25, turn)
            other[turn] = 0.25
            ring.rank = 0
        else:
            ring.write(Record.STATE, step, json.dumps({"state": "RUNNING"}).encode(), turn)
    digest, history, reader = Digest(), History(), RingReader(ring)
    while reader.cursor < ring.head:
        history.feed(feed(digest, reader, limit))
    for name, expected in (("loss", losses), ("loss@1", other)):
        if expected:
            first, last = min(expected), max(expected)
            found = history.series[name].values(first, last + 1)
            assert np.array_equal(
                found, np.float32([expected.get(k, np.nan) for k in range(first, last + 1)]), equal_nan=True
            )
            assert history.series[name].bad == 0  # a step without a value is not a NaN
    if rates:
        found = history.series["lr"]
        assert dict(zip(found.steps.tolist(), found.values.tolist(), strict=True)) == rates
    ring.close()


def test_digest_thins_tables_and_keeps_the_last(tmp_path):
    ring, digest, history = Ring.create(tmp_path / "ring"), Digest(), History()
    reader = RingReader(ring)
    ring.write(Record.STATE, 0, b'{"state":"RUNNING"}', 0.0)
    for step in range(603):  # ten a second
        ring.write(Record.TABLE, step, np.full((2, len(TABLE_COLUMNS)), step, np.float32).tobytes(), step / 10)
    history.feed(feed(digest, reader))
    kept = [table.step for table in history.tables[0]]
    assert [step for step in kept if step < 50] == list(range(50))  # a young run is told in full
    assert len([step for step in kept if step >= 500]) == 20  # an old one twice a second
    assert digest.tables[0].step == 602 and kept[-1] < 602
    ring.write(Record.STATE, 603, b'{"state":"PAUSED"}', 60.0)
    history.feed(feed(digest, reader))
    assert history.table().step == 602
    ring.close()


def test_digest_understands_json_with_nan(tmp_path):
    ring, digest = Ring.create(tmp_path / "ring"), Digest()
    ring.write(Record.FACT, 5, b'{"fact": "non-finite", "value": NaN}')
    ring.write(Record.FACT, 6, b"\xff\xfe not json")
    feed(digest, RingReader(ring))
    assert [note.step for note in digest.facts] == [5]
    ring.close()


def test_steps_per_second_comes_from_the_records(tmp_path):
    ring, digest = Ring.create(tmp_path / "ring"), Digest()
    reader = RingReader(ring)
    ring.write(Record.STATE, 0, b'{"state":"RUNNING"}', 100.0)
    for step in range(500):
        ring.loss(step, 1.0, 100.0 + step / 50)
        if step % 25 == 0:
            feed(digest, reader)
    feed(digest, reader)
    assert digest.steps_per_second == pytest.approx(50, rel=0.02)
    ring.write(Record.STATE, 500, b'{"state":"PAUSED"}', 110.0)
    feed(digest, reader)
    assert digest.steps_per_second == 0
    ring.close()


def test_digest_is_quick_at_twenty_thousand_steps_a_second(tmp_path):
    ring = Ring.create(tmp_path / "ring")
    reader, digest, spent = RingReader(ring), Digest(), 0.0
    for start in range(0, 100_000, 500):  # five seconds of it, looked at forty times a second
        for step in range(start, start + 500):
            ring.loss(step, 1.0, step / 20_000)
        began = time.process_time()
        feed(digest, reader)
        reader.commit()
        spent += time.process_time() - began
    assert spent / 5 < 0.05
    ring.close()


def test_history_keeps_a_bounded_even_choice_of_tables():
    history = History()
    for step in range(5 * MAX_TABLES):
        history.feed(log.table(0, step, float(step), np.zeros((1, 10), np.float32)))
    kept = [table.step for table in history.tables[0]]
    assert len(kept) <= MAX_TABLES and kept[0] == 0 and kept[-1] == 5 * MAX_TABLES - 1


def test_history_after_a_rewind_shows_what_came_last():
    history = History()
    history.feed(log.series(0, 0, 0, np.arange(10.0), (0.0, 1.0)))
    history.feed(log.series(0, 0, 4, np.full(3, -1.0), (2.0, 3.0)))
    assert history.losses.values(0, 99).tolist() == [0, 1, 2, 3, -1, -1, -1]


def test_what_is_only_shown_is_true_now_and_nowhere_kept(tmp_path):
    ring, digest, history = Ring.create(tmp_path / "ring"), Digest(), History()
    reader = RingReader(ring)
    table, counts = np.full((1, len(TABLE_COLUMNS)), 4, np.float32), np.full((1, CELLS), 9, np.uint32)
    quantity = struct.pack("<II", 1, 0)
    ring.write(Record.SHOWN_TABLE, 4, table.tobytes(), 1.0)
    ring.write(Record.SHOWN_HISTOGRAM, 4, quantity + counts.tobytes(), 1.0)
    ring.write(Record.STATE, 5, b'{"state":"PAUSED"}', 2.0)
    history.feed(feed(digest, reader))
    assert {"layers", "histograms"} <= digest.changed and not digest.new_tables
    assert digest.tables[0].step == 4 and np.array_equal(digest.tables[0].values, table)
    assert digest.histograms[0, 1].step == 4 and np.array_equal(digest.histograms[0, 1].counts, counts)
    assert history.tables == {} and history.histograms == {}
    ring.write(Record.TABLE, 9, table.tobytes(), 3.0)
    ring.write(Record.HISTOGRAM, 9, quantity + counts.tobytes(), 3.0)
    history.feed(feed(digest, reader))
    assert [step for _, (step, *_) in digest.new_tables] == [9]
    assert history.table().step == 9 and list(history.histograms) == [(0, QUANTITIES[1])]
    ring.close()
