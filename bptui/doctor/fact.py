"""One thing that was looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "problem"]


class Fact(msgspec.Struct, frozen=True):
    """``problem``: bptui, or a part of it that was asked for, cannot work so. ``warn``: it works, less well."""

    area: str
    """``terminal`` or ``machine``."""
    name: str
    level: Level
    value: str
    """What was found, on one line."""
    advice: str = ""
    """What to do about it; empty where nothing need be done."""
