"""Frames: what is sent comes back; whatever else comes is refused, and refused early."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptui.protocol.framing import MAX_BODY, MAX_HEAD, PREFIX, Body, Decoder, FrameError, decode, encode
from bptui.protocol.messages import ArrayRef, Histograms, Inspection, Layers, LogChunk, ModelInfo, Status, Step
from bptui.protocol.model import model_info

ARRAYS = st.sampled_from(["<f4", "<f8", "<u4", "<i8", "|u1"]).flatmap(
    lambda dtype: st.lists(st.integers(0, 4), max_size=3).map(lambda shape: np.ones(shape, dtype))
)


@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=4), st.integers(0, 2**40))
@settings(deadline=None)
def test_arrays_travel(arrays, step):
    body = Body()
    refs = {name: body.add(array) for name, array in arrays.items()}
    message = Inspection(id=3, step=step, micro="", layer=0, loss=float("nan"), arrays=refs, shapes={})
    (frame,) = Decoder().feed(encode(message, body.bytes()))
    assert frame.message.step == step and set(frame.message.arrays) == set(arrays)
    for name, array in arrays.items():
        found = frame.array(frame.message.arrays[name])
        assert found.dtype == array.dtype and np.array_equal(found, array)


@given(st.lists(st.integers(1, 9), max_size=5), st.data())
def test_a_stream_cut_anywhere_gives_the_same_frames(counts, data):
    stream = b"".join(encode(Step(id=n, count=count)) for n, count in enumerate(counts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder, found = Decoder(), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:stop])
    assert [frame.message.count for frame in found] == counts


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_garbage_is_refused_or_waited_for(data):
    try:
        frames = Decoder().feed(data)
    except FrameError:
        return
    assert len(data) < 8 or not frames


@given(st.binary(max_size=100), st.binary(max_size=60))
@settings(max_examples=300)
def test_any_head_and_body_are_a_message_or_a_frame_error(head, body):
    try:
        frame = decode(head, body)
    except FrameError:
        return
    assert msgspec.msgpack.decode(encode(frame.message)[PREFIX.size :], type=type(frame.message)) == frame.message


@given(st.integers(0, 200), st.integers(1, 255))
@settings(max_examples=200)
def test_a_changed_byte_never_reaches_outside_of_the_frame(at, change):
    body = Body()
    ref = body.add(np.arange(6, dtype=np.float32).reshape(2, 3))
    data = bytearray(encode(Layers(step=1, table=ref), body.bytes()))
    data[at % len(data)] ^= change
    try:
        frames = Decoder().feed(bytes(data))
    except FrameError:
        return
    for frame in frames:
        if isinstance(frame.message, Layers | Histograms):
            ref = frame.message.table if isinstance(frame.message, Layers) else frame.message.counts
            assert frame.array(ref).nbytes <= len(frame.body)


@pytest.mark.parametrize("prefix", [(0, 0), (MAX_HEAD + 1, 0), (10, MAX_BODY + 1), (2**32 - 1, 2**32 - 1)])
def test_giant_lengths_are_refused_before_anything_is_read(prefix):
    with pytest.raises(FrameError, match="lengths"):
        Decoder().feed(PREFIX.pack(*prefix))


@pytest.mark.parametrize("ref", [
    ArrayRef("<f4", (3,), 0), ArrayRef("<f4", (2,), -8), ArrayRef("<f4", (2,), 4), ArrayRef("<f4", (-1, -2), 0),
    ArrayRef("O", (1,), 0), ArrayRef("<f4", (2**40, 2**40), 0), ArrayRef("|u1", (1,) * 9, 0),
])  # fmt: skip
def test_an_array_outside_of_its_frame_is_refused(ref):
    with pytest.raises(FrameError):
        Decoder().feed(encode(LogChunk(offset=0, data=ref), b"\0" * 8))


def test_a_frame_too_large_to_send_is_an_error_here_and_not_there():
    with pytest.raises(FrameError, match="too large"):
        encode(Status(state="x" * (MAX_HEAD + 1), step=0, epoch=0.0))


def test_model_info_from_any_meta():
    layers = [{"name": "dense1", "kind": "dense", "inputs": 2, "shape": [3], "activation": "relu", "parameters": 9}, 7]
    info = model_info("id", "title", {"a": 1}, {"engine": "numpy", "layers": layers, "threads": 4, "total_steps": None})
    assert isinstance(info, ModelInfo) and info.layers[0].shape == (3,) and info.layers[1].name == "?"
    assert info.spec == b'{"a":1}' and info.title == "title" and info.total_steps is None
    (frame,) = Decoder().feed(encode(info))
    assert frame.message == info
