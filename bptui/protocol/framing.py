"""Frames: ``u32 head length, u32 body length, head (MessagePack), body (raw array buffers)``.

Lengths are capped and every field of an ``ArrayRef`` is checked before a byte of the body is looked
at, so that a bad frame can only close its own connection.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import TYPE_CHECKING, Any

import msgspec

from bptui.protocol.messages import AnyMessage, ArrayRef

if TYPE_CHECKING:
    import numpy.typing as npt

PREFIX = struct.Struct("<II")
MAX_HEAD = 1 << 20
MAX_BODY = 64 << 20
_ITEM_BYTES = {
    "|u1": 1, "|b1": 1, "|i1": 1, "<u2": 2, "<i2": 2, "<f2": 2,
    "<u4": 4, "<i4": 4, "<f4": 4, "<u8": 8, "<i8": 8, "<f8": 8,
}  # fmt: skip
_encoder = msgspec.msgpack.Encoder()


@functools.cache
def _decoder() -> msgspec.msgpack.Decoder[AnyMessage]:
    """Made when the first frame comes: it takes milliseconds that a first frame on the screen has not."""
    return msgspec.msgpack.Decoder(AnyMessage)


class FrameError(ValueError):
    """What came is not a frame of this protocol."""


class Frame(msgspec.Struct, frozen=True):
    """A message and its body."""

    message: AnyMessage
    body: bytes = b""

    def array(self, ref: ArrayRef) -> npt.NDArray[Any]:
        """The array that ``ref`` names: a read-only view of the body."""
        import numpy as np

        count = math.prod(ref.shape)
        return np.frombuffer(self.body, dtype=ref.dtype, count=count, offset=ref.offset).reshape(ref.shape)

    def raw(self, ref: ArrayRef) -> memoryview:
        """The bytes that ``ref`` names."""
        size = _size(ref)
        return memoryview(self.body)[ref.offset : ref.offset + size]


class Body:
    """Collects array buffers and hands out their refs."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: npt.NDArray[Any]) -> ArrayRef:
        import numpy as np

        array = np.asarray(array, order="C")
        return self._add(array.dtype.newbyteorder("<").str if array.dtype.itemsize > 1 else array.dtype.str,
                         array.shape, array.tobytes())  # fmt: skip

    def add_bytes(self, data: bytes) -> ArrayRef:
        return self._add("|u1", (len(data),), data)

    def _add(self, dtype: str, shape: tuple[int, ...], data: bytes) -> ArrayRef:
        if dtype not in _ITEM_BYTES:
            raise FrameError(f"arrays of {dtype} do not travel")
        ref = ArrayRef(dtype, tuple(int(n) for n in shape), self._size)
        padding = -len(data) % 8  # every array starts aligned
        self._parts.append(data + b"\0" * padding)
        self._size += len(data) + padding
        return ref

    def bytes(self) -> bytes:
        return b"".join(self._parts)


def encode(message: AnyMessage, body: bytes = b"") -> bytes:
    """One whole frame."""
    head = _encoder.encode(message)
    if len(head) > MAX_HEAD or len(body) > MAX_BODY:
        raise FrameError(f"frame too large: head {len(head)}, body {len(body)} bytes")
    return PREFIX.pack(len(head), len(body)) + head + body


def lengths(prefix: bytes) -> tuple[int, int]:
    """Head and body length of a frame's first eight bytes; FrameError beyond the caps."""
    head, body = PREFIX.unpack(prefix)
    if not 0 < head <= MAX_HEAD or body > MAX_BODY:
        raise FrameError(f"lengths out of bounds: head {head}, body {body} bytes")
    return head, body


def decode(head: bytes, body: bytes) -> Frame:
    """A frame from its two parts; FrameError if the message or an array in it is not well-formed."""
    try:
        message = _decoder().decode(head)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError(f"not a message: {error}") from None
    for ref in _refs(message):
        size = _size(ref)
        if ref.offset < 0 or ref.offset + size > len(body):
            raise FrameError("an array lies outside of the frame")
    return Frame(message, body)


def _size(ref: ArrayRef) -> int:
    item = _ITEM_BYTES.get(ref.dtype)
    if item is None or any(n < 0 for n in ref.shape) or len(ref.shape) > 8:
        raise FrameError(f"not an array that travels: {ref.dtype[:16]!r}")
    return math.prod(ref.shape) * item


def _refs(message: AnyMessage) -> list[ArrayRef]:
    refs: list[ArrayRef] = []
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, ArrayRef):
            refs.append(value)
        elif isinstance(value, dict):
            refs.extend(item for item in value.values() if isinstance(item, ArrayRef))
    return refs


class Decoder:
    """Frames from a stream of bytes, for blocking sockets: ``feed`` what came, get the whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Raises FrameError; the connection must then be closed."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= PREFIX.size:
            head, body = lengths(bytes(self._buffer[: PREFIX.size]))
            end = PREFIX.size + head + body
            if len(self._buffer) < end:
                break
            view = bytes(self._buffer[PREFIX.size : end])
            del self._buffer[:end]
            frames.append(decode(view[:head], view[head:]))
        return frames
