"""A bell or a desktop notice when something happens while its user looks elsewhere.

Which sequence a terminal takes cannot be asked; its variables tell: OSC 99 for kitty, OSC 9 for iTerm2, WezTerm,
Ghostty and Warp, OSC 777 for foot, Konsole, rxvt, VTE and Windows Terminal. Elsewhere, and beside each notice, the
bell: every terminal has one, and tmux and screen make it a mark at the window's name.

Sources: iterm2.com/documentation-escape-codes.html (9), sw.kovidgoyal.net/kitty/desktop-notifications (99),
urxvt-extensions and codeberg.org/dnkl/foot (777), microsoft/terminal#20012 (777, from 2026 on; before, it is ignored).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bptui.tui.text import clean, integer, loss_text

if TYPE_CHECKING:
    from bptui.tui.config import NoticeChoice
    from bptui.tui.store import Snapshot

BELL = "\a"
#: Without focus reports, a user who pressed a key this lately is taken to be looking.
LOOKING_SECONDS = 10.0
_OSC_9 = {"iTerm.app", "WezTerm", "ghostty", "WarpTerminal"}
_OSC_777 = ("KONSOLE_VERSION", "VTE_VERSION", "WT_SESSION")
_NOTICE = {
    # Windows Terminal and ConEmu take ``9;DIGIT;`` for commands of their own: a notice begins with a word.
    "9": "\x1b]9;bptui: {body}\x1b\\",
    "99": "\x1b]99;i=bptui:d=0;bptui\x1b\\\x1b]99;i=bptui:d=1:p=body;{body}\x1b\\",  # title, then text of one notice
    "777": "\x1b]777;notify;bptui;{body}\x1b\\",
}


def happened(before: Snapshot, now: Snapshot) -> str:
    """One line about what a user who looks elsewhere waits for: failure, the end, a stop nobody asked for; or empty."""
    if before.shown_state == now.shown_state or before.state in ("STARTING",):
        return ""
    title = now.model.title or "the run"
    at = f"at step {integer(now.step)}"
    if now.state == "FAILED":
        return f"{title} failed {at}" + (f": {now.text}" if now.text else "")
    if now.state == "DONE":
        loss = now.curves.latest("loss") if now.curves is not None else None
        return f"{title} is done {at}" + (f", loss {loss_text(loss)}" if loss is not None else "")
    if before.state in ("RUNNING", "WAITING") and now.state in ("PAUSED", "HELD") and now.text:
        return f"{title} stopped {at}: {now.text}"
    return ""


def desktop(environment: Mapping[str, str]) -> str:
    """``9``, ``99``, ``777`` or nothing: which OSC this terminal takes for a notice."""
    program, term = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    # Inside tmux, TERM_PROGRAM is tmux; what it runs in is told by the variables that it hands on, if at all.
    if environment.get("KITTY_WINDOW_ID"):
        return "99"
    if program in _OSC_9 or environment.get("ITERM_SESSION_ID"):
        return "9"
    if environment.get("WEZTERM_PANE") or environment.get("GHOSTTY_RESOURCES_DIR"):
        return "9"
    if term.startswith(("foot", "rxvt")) or any(map(environment.get, _OSC_777)):
        return "777"
    return ""


def sequence(text: str, choice: NoticeChoice, environment: Mapping[str, str]) -> str:
    """What to write to the terminal. ``desktop`` without a terminal that is known for one: OSC 9, as most take it."""
    if choice == "off":
        return ""
    kind = "" if choice == "bell" else desktop(environment) or ("9" if choice == "desktop" else "")
    if not kind:
        return BELL
    body = clean(text, 200).replace(";", ",")  # a semicolon would begin another field
    return passed_through(_NOTICE[kind].replace("{body}", body), environment) + BELL


def passed_through(text: str, environment: Mapping[str, str]) -> str:
    """Wrapped so that tmux (allow-passthrough) or screen hands it on to the terminal outside."""
    if environment.get("TMUX"):
        return "\x1bPtmux;" + text.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environment.get("STY"):  # screen ends the string at the first ST, so the notice must end in a bell
        return "\x1bP" + text.replace("\x1b\\", "\a") + "\x1b\\"
    return text


class Attention:
    """Whether the user looks at this terminal, as far as can be told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports = False
        self._focused = True
        self._last_key = clock()

    def focus(self, focused: bool) -> None:
        """The terminal reports that it has or has not the focus."""
        self._reports, self._focused = True, focused

    def key(self) -> None:
        self._last_key = self._clock()
        self._focused = True

    @property
    def since_key(self) -> float:
        """Seconds since the last key."""
        return self._clock() - self._last_key

    @property
    def elsewhere(self) -> bool:
        """Without reports: no key for a while."""
        if self._reports:
            return not self._focused
        return self.since_key > LOOKING_SECONDS
