"""The ring: every record comes out once, in order, whatever happens to reader and writer."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.runs import ring as ring_module
from bptui.runs.digest import Digest
from bptui.runs.history import History
from bptui.runs.reader import RingReader
from bptui.runs.ring import HEADER_BYTES, Record, Ring, RingError, parse, read_header, shrink, whole_records


def records(data: bytes) -> list[tuple[int, int, bytes]]:
    return [(entry.kind, entry.step, entry.payload) for entry in parse(data)]


def take(reader: RingReader, limit: int = 1 << 20) -> bytes:
    data = reader.take(limit)
    size = whole_records(data)
    reader.used(size)
    return data[:size]


def padded(payload: bytes) -> bytes:
    return payload + b"\0" * (-len(payload) % 8)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("loss"), st.floats(allow_nan=False)),
        st.tuples(st.just("write"), st.binary(max_size=200)),
        st.tuples(st.just("read"), st.integers(32, 5000)),
        st.tuples(st.just("crash"), st.booleans()),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_records_come_out_once_and_in_order(operations):
    with tempfile.TemporaryDirectory() as folder:
        writer = Ring.create(Path(folder) / "ring", capacity=1024)
        other = Ring(Path(folder) / "ring")
        reader = RingReader(other)
        written, read, safe = [], [], 0
        for step, (what, value) in enumerate(operations):
            if what == "loss":
                writer.loss(step, value, 0.5)
                written.append((Record.LOSS, step, struct.pack("<d", value)))
            elif what == "write":
                writer.write(Record.STATE, step, value)
                written.append((Record.STATE, step, padded(value)))
            elif what == "read":
                read += records(take(reader, value))
                reader.commit()
                safe = reader.cursor
            else:  # the reader dies, perhaps with something taken but not yet safe; another goes on from the log
                if value:
                    take(reader)
                reader = RingReader(other, safe)
        while reader.cursor < other.head:
            read += records(take(reader, 100))
            reader.commit()
        assert read == written
        assert writer.lost == 0 and reader.missed == 0
        writer.close()
        other.close()


def test_a_stalled_reader_costs_nothing_but_a_detour(tmp_path, monkeypatch):
    monkeypatch.setattr(ring_module, "STALL_SECONDS", 0.01)
    writer = Ring.create(tmp_path / "ring", capacity=4096)
    other = Ring(tmp_path / "ring")
    assert other.lock()
    reader = RingReader(other)
    for step in range(100):
        writer.loss(step, float(step), 0.0)
    first = take(reader, 350)
    for step in range(100, 1000):
        writer.loss(step, float(step), 0.0)
    steps = [step for _, step, _ in records(first)]
    reader.commit()
    while data := take(reader):
        steps += [step for _, step, _ in records(data)]
        reader.commit()
    assert steps == list(range(1000))
    assert (tmp_path / "ring.spill").stat().st_size == 0
    other.close()
    writer.close()


def test_no_room_anywhere_is_counted_and_the_writer_goes_on(tmp_path):
    writer = Ring.create(tmp_path / "ring", capacity=1024)
    (tmp_path / "ring.spill").mkdir()  # nothing can be put aside
    for step in range(200):
        writer.loss(step, 0.0, 0.0)
    reader = RingReader(Ring(tmp_path / "ring"))
    steps = [step for _, step, _ in records(take(reader))]
    assert steps == list(range(200 - len(steps), 200)) and writer.lost > 0
    assert reader.missed == writer.lost
    writer.close()
    reader._ring.close()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=16))
def test_damage_is_an_end_and_never_a_crash(at, noise):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ring"
        writer = Ring.create(path, capacity=4096)
        for step in range(20):
            writer.loss(step, 1.0, 0.0)
            writer.write(Record.STATE, step, b'{"state":"RUNNING"}')
        writer.close()
        data = bytearray(path.read_bytes())
        data[HEADER_BYTES + at : HEADER_BYTES + at + len(noise)] = noise
        path.write_bytes(data)
        ring = Ring(path)
        Digest().feed(RingReader(ring).take())
        ring.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=0, max_size=200))
def test_any_bytes_are_a_ring_or_a_clear_error(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ring"
        path.write_bytes(data)
        with pytest.raises(RingError, match="not a ring"):
            Ring(path)
        assert read_header(path) is None or data[:8] == b"bptring1"


def test_two_processes(tmp_path):
    """A writer at full speed in another process, a reader here: 200,000 steps through a ring of 5,000."""
    Ring.create(tmp_path / "ring", capacity=160_000).close()
    program = (
        "import sys; from pathlib import Path; from bptui.runs.ring import Ring; r = Ring(Path(sys.argv[1]))\n"
        "for step in range(200_000): r.loss(step, step / 3, 1.0)"
    )
    root = Path(__file__).parents[2]
    ring = Ring(tmp_path / "ring")
    assert ring.lock()
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "ring")], env={**os.environ, "PYTHONPATH": str(root)}
    )
    reader, digest, history = RingReader(ring), Digest(), History()
    end = time.monotonic() + 60
    while writer.poll() is None or reader.cursor < ring.head:
        assert time.monotonic() < end
        history.feed(digest.feed(reader.take()))
        reader.used(digest.consumed)
        reader.commit()
    assert writer.wait() == 0
    assert len(history.losses) == 200_000 and reader.missed == 0
    assert np.array_equal(history.losses.values(0, 200_000), (np.arange(200_000) / 3).astype(np.float32))
    ring.close()


def test_shrink_gives_back_room_but_never_what_is_unread(tmp_path):
    path = tmp_path / "ring"
    writer = Ring.create(path, capacity=8192)
    writer.loss(4, 1.0, 0.0)
    shrink(path)
    assert path.stat().st_size == HEADER_BYTES + 8192
    reader = RingReader(writer)
    assert records(take(reader))
    reader.commit()
    writer.close()
    shrink(path)
    assert path.stat().st_size < 8192
    header = read_header(path)
    assert header is not None and header.step == 5
    again = Ring(path)
    assert RingReader(again).take() == b""
    again.close()
