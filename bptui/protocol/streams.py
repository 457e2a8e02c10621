"""Frames over asyncio's streams."""

from __future__ import annotations

import asyncio

from bptui.protocol.framing import MAX_BODY, MAX_HEAD, PREFIX, Frame, FrameError, decode, lengths


async def read_frame(
    reader: asyncio.StreamReader, *, max_head: int = MAX_HEAD, max_body: int = MAX_BODY
) -> Frame | None:
    """The next frame; None when the other end closed between two frames, or in the middle of one.

    Raises FrameError for what is not a frame, before its body is read.
    """
    try:
        head, body = lengths(await reader.readexactly(PREFIX.size))
        if head > max_head or body > max_body:
            raise FrameError(f"lengths out of bounds here: head {head}, body {body} bytes")
        data = await reader.readexactly(head + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return decode(data[:head], data[head:])
