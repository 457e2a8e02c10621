"""The terminal itself: its size, its clipboard, and word to a user who looks elsewhere."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Size

from bptui.tui.config import NoticeChoice
from bptui.tui.notices import Attention, happened, passed_through, sequence
from bptui.tui.store import Snapshot

if TYPE_CHECKING:
    from bptui.tui.app import BptuiApp


class Terminal:
    """What Textual's driver does not do by itself."""

    def __init__(self, app: BptuiApp, notices: NoticeChoice) -> None:
        self._app = app
        self._notices = notices
        self.attention = Attention()
        self._size_seen = Size(0, 0)

    def draw_again(self) -> None:
        """Back from the shell: what stood on the screen is gone, so changed spans are not enough."""
        for screen in self._app.screen_stack:
            screen.refresh(repaint=True, layout=True)

    def follow_size(self) -> None:
        """Make sure of the terminal's size: signals of quick resizes interrupt each other, and the last to be told
        may be an old one."""
        driver = self._app._driver
        if driver is None or driver.is_headless or driver.is_web or not hasattr(driver, "fileno"):
            return
        try:
            now = Size(*os.get_terminal_size(driver.fileno))
        except OSError:
            return
        if now != self._app.size and now == self._size_seen and now.width and now.height:
            self._app.post_message(events.Resize(now, now))
        self._size_seen = now

    def behind(self) -> bool:
        """Whether the terminal has not taken yet what was painted before: a slow line gets fewer frames, no queue."""
        writes = getattr(getattr(self._app._driver, "_writer_thread", None), "_queue", None)
        return writes is not None and writes.qsize() > 0

    def copy(self, text: str) -> None:
        """To the terminal's clipboard (OSC 52); inside tmux and screen also to that of the terminal outside."""
        self._app.copy_to_clipboard(text)
        wrapped = passed_through("\x1b]52;c;" + b64encode(text.encode()).decode() + "\x1b\\", os.environ)
        if self._app._driver is not None and wrapped.startswith("\x1bP"):
            self._app._driver.write(wrapped)

    def tell(self, before: Snapshot, now: Snapshot) -> None:
        """The bell, or a desktop notice, about what happened while its user looks elsewhere."""
        text = happened(before, now)
        if text and self.attention.elsewhere and self._app._driver is not None:
            self._app._driver.write(sequence(text, self._notices, os.environ))
