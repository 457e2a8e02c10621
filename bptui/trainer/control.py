"""The trainer's end of the control pipe: a listening Unix socket that it looks at only when the flag is up.

No thread and no event loop: a hub connects whenever it likes, writes a frame, raises the flag; the
trainer takes what has come between two steps, or waits here while it is paused.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import NamedTuple

from bptui.protocol.framing import Decoder, FrameError, encode
from bptui.protocol.messages import AnyReply, TrainerRequest
from bptui.runs.ring import Ring

#: Seconds that a reply may take to be written before its hub is given up.
_WRITE_TIMEOUT = 5.0


class Asked(NamedTuple):
    """A request, and where its reply goes."""

    request: TrainerRequest
    link: socket.socket


class Control:
    """Requests from the hub, in order; replies to it."""

    def __init__(self, ring: Ring, address: str) -> None:
        self._ring = ring
        self._address = address
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._listener.bind(address)
        finally:
            os.umask(mask)
        self._listener.listen(4)
        self._listener.setblocking(False)
        self._links: dict[socket.socket, Decoder] = {}
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self.wake_fd = self._waker.fileno()
        """For ``signal.set_wakeup_fd``: a signal ends a wait at once."""

    def close(self) -> None:
        for link in self._links:
            link.close()
        self._listener.close()
        self._woken.close()
        self._waker.close()
        with contextlib.suppress(OSError):
            os.unlink(self._address)

    def abandon(self) -> None:
        """In a forked child: let go of what is its parent's, and leave the address to it."""
        for sock in (*self._links, self._listener, self._woken, self._waker):
            sock.close()
        self._links.clear()

    def pending(self) -> list[Asked]:
        """Everything that has come; lowers the flag first, so that nothing that comes meanwhile is missed."""
        self._ring.lower_flag()
        return self._take(0.0)

    def wait(self, seconds: float | None) -> list[Asked]:
        """Wait up to ``seconds`` (None: for ever) for requests."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            asked = self._take(left)
            if asked or self._signalled or left == 0.0 or (deadline is not None and time.monotonic() >= deadline):
                self._ring.lower_flag()
                self._signalled = False
                return asked + self._take(0.0)

    _signalled = False

    def _take(self, timeout: float | None) -> list[Asked]:
        """One look at the sockets; may return nothing though something came (a half frame, a new link)."""
        ready, _, _ = select.select([self._woken, self._listener, *self._links], [], [], timeout)
        asked = []
        while ready:
            for sock in ready:
                if sock is self._woken:
                    self._woken.recv(256)
                    self._signalled = True
                elif sock is self._listener:
                    with contextlib.suppress(OSError):
                        link, _ = self._listener.accept()
                        link.setblocking(False)
                        self._links[link] = Decoder()
                else:
                    asked += self._read(sock)
            ready, _, _ = select.select([self._woken, self._listener, *self._links], [], [], 0)
        return asked

    def _read(self, link: socket.socket) -> list[Asked]:
        try:
            data = link.recv(1 << 16)
            frames = self._links[link].feed(data) if data else []
        except BlockingIOError:
            return []
        except (OSError, FrameError):
            data, frames = b"", []
        if not data:
            self._drop(link)
        return [Asked(frame.message, link) for frame in frames if isinstance(frame.message, TrainerRequest)]

    def _drop(self, link: socket.socket) -> None:
        self._links.pop(link, None)
        link.close()

    def reply(self, link: socket.socket, message: AnyReply, body: bytes = b"") -> None:
        """Send a reply whole; a hub that does not take it is dropped."""
        if link not in self._links:
            return
        try:
            link.settimeout(_WRITE_TIMEOUT)
            link.sendall(encode(message, body))
            link.setblocking(False)
        except OSError:
            self._drop(link)
