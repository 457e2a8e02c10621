"""The one error a user can cause here: an engine, device or setting that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EngineError(ValueError):
    """One clear line that names the culprit."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a known name is near, else the list of all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (known: {', '.join(names)})"
