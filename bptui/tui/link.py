"""The link between the app and its run: it opens a session, hands its frames on, and finds a lost one again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bptui.tui.leaving import ExitResult
from bptui.tui.ports import ConnectionLost, RequestRefused, Session, close, one_line

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
NOT_OPENED = (OSError, ValueError, RuntimeError, ConnectionLost, RequestRefused)
"""What opening a session may raise: each is said in one line."""

Opener = Callable[[], Awaitable[Session]]
Connector = Callable[[Path], Awaitable[Session]]


class Link:
    """One session at a time; its state is in the store, where the screens see it."""

    def __init__(self, app: BptuiApp, opener: Opener, connector: Connector | None) -> None:
        self._app, self._opener, self._connector = app, opener, connector
        self.session: Session | None = None
        self._listener: asyncio.Task[None] | None = None

    @property
    def can_connect(self) -> bool:
        return self._connector is not None

    def begin(self) -> None:
        """Open the session that the app was started for."""
        self._listener = asyncio.create_task(self._open())

    async def connect(self, directory: Path) -> Session:
        """A started session of another run, not listened to yet. Raises what NOT_OPENED holds."""
        assert self._connector is not None
        session = await self._connector(directory)
        await session.start()
        return session

    def listen(self, session: Session) -> None:
        """From now on the frames of ``session``."""
        self.silence()
        self._listener = asyncio.create_task(self._listen(session))

    def silence(self) -> None:
        """No more frames are handed on: closing is a lost connection to a listener."""
        if self._listener is not None:
            self._listener.cancel()

    async def _open(self) -> None:
        try:
            session = await self._opener()
            await session.start()
        except NOT_OPENED as error:
            self._app.finish(ExitResult(2, (one_line(error),)))
            return
        await self._listen(session)

    async def _listen(self, session: Session) -> None:
        """Frames until the end, through lost connections."""
        app = self._app
        while True:
            self.session = session
            app.store.connected(session.read_only)
            app.branched(session.directory)
            app.paint()
            try:
                async for frame in session.frames():
                    app.take(frame)
            except (ConnectionLost, OSError) as error:
                if app.store.snapshot.link != "ended":
                    app.store.set_link("lost", f"connection lost ({one_line(error)}), trying again")
            if app.store.snapshot.link == "ended" or app.leaving:
                app.paint()
                return
            if app.store.snapshot.link == "live":
                app.store.set_link("lost", "connection lost, trying again")
            app.paint()
            again = await self._again(session)
            if again is None:
                return
            session = again

    async def _again(self, lost: Session) -> Session | None:
        """The same run once more; None where nothing can be done."""
        await close(lost)
        store = self._app.store
        if self._connector is None:
            store.set_link("lost", "connection lost; q leaves")
            self._app.paint()
            return None
        attempt = 0
        while True:
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1
            try:
                return await self.connect(lost.directory)
            except NOT_OPENED as error:
                store.set_link("lost", f"connection lost, tried {attempt}×: {one_line(error)}")
                self._app.paint()
