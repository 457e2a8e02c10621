"""The rows of what-if on one batch: a change of a script's paused step, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bptui.protocol.messages import Tried, Wanted
from bptui.protocol.whatif import Change, WhatIfError, parse_change, words

#: What is offered at first, each a line as a user would type it.
OFFERED = (
    "lr=/10", "lr=/2", "lr=*2", "lr=*10", "clip_norm=1", "optimizer=adam lr=0.001", "activation=leaky_relu",
    "revive=uniform", "bias+=0.1", "dropout=0",
)  # fmt: skip


@dataclass
class Row:
    """One change. ``state``: ``ready``, ``runs``, ``done`` or ``failed``."""

    name: str
    wanted: tuple[Change, ...] = ()
    state: str = "ready"
    result: Tried | None = None
    error: str = ""

    def again(self) -> None:
        """Of another step now."""
        self.state, self.result, self.error = "ready", None, ""

    @property
    def asked(self) -> tuple[Wanted, ...]:
        return tuple(Wanted(one.key, one.value) for one in self.wanted)


def row_of(text: str) -> Row:
    """``lr=/10 momentum=0``; WhatIfError."""
    wanted = tuple(map(parse_change, text.split()))
    if not wanted:
        raise WhatIfError("expected a change, such as lr=/10 or bias+=0.1")
    return Row(" ".join(map(words, wanted)), wanted)


def live(row: Row, settings: Mapping[str, float]) -> list[tuple[str, float]]:
    """What ``Set`` would make of it in the running script; empty: a change that a running script cannot take.

    ``settings``: as they are now, ``lr`` among them. Relative values are made absolute.
    """
    found = []
    for one in row.wanted:
        key, value = one.key, one.value
        if key.startswith(("freeze.", "revive.")) and not isinstance(value, str):
            found.append((key, value))
        elif key not in settings:
            return []
        elif not isinstance(value, str):
            found.append((key, value))
        elif value[:1] in ("/", "*") and row.state == "done":
            by = float(value[1:])
            found.append((key, settings[key] / by if value[0] == "/" else settings[key] * by))
        else:
            return []
    return found
