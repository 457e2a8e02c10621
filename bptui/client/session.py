"""What a face holds of a run: a stream of messages and a way to ask. Live or from files alone, it looks the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.protocol.framing import Frame
    from bptui.protocol.messages import Request


class ConnectionLost(Exception):
    """The hub is gone, or could not be reached; the text is one line for the user."""


class RequestRefused(Exception):
    """The hub or the trainer said no. ``code`` as in ``messages.Refused``, ``message`` one line for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Session(ABC):
    """One face's hold of one run."""

    run: str
    """The run's id."""
    directory: Path
    read_only: bool
    """Nothing of the run can be changed."""
    offset: int
    """Bytes of the log received so far: a new session that begins there misses nothing."""

    @abstractmethod
    async def start(self) -> None:
        """Connect, or open the files. Raises ConnectionLost, RunError."""

    @abstractmethod
    def frames(self) -> AsyncIterator[Frame]:
        """The messages of the stream in order. Ends after Goodbye; raises ConnectionLost."""

    @abstractmethod
    async def request(self, message: Request) -> Frame:
        """The reply. The request's ``id`` is set here. Raises RequestRefused, ConnectionLost."""

    def allows(self, message: Request) -> bool:
        """Whether such a request can succeed: of files, what looks and goes to steps, where they hold enough."""
        return not self.read_only

    @abstractmethod
    async def close(self, leave: bool = True) -> None:
        """Let go. ``leave``: on purpose, so that a trainer this face owns goes on; else as if the face was lost."""
