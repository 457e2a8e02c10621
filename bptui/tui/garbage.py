"""The collector of cyclic garbage, kept from holding up a first frame or the answer to a key.

A full collection looks at every object there is: seventy thousand of Textual, NumPy and the screens, which stay as long
as the program. They are looked at once, and then never again; newer ones in moments in which no answer is waited for.
Only the program asks for that: where the app is one of several in a process, nothing is kept for ever.
"""

from __future__ import annotations

import gc

_asked = False
_AT_THE_LATEST = (20_000, 20, 20)
"""When the collector acts by itself, should no such moment come."""
_YOUNG, _ROUNDS = 2000, 10
"""So many new objects, or collections of newer ones, are worth a collection."""


def wait() -> None:
    """No collection until ``settle``: what is imported stays."""
    global _asked
    _asked = True
    gc.disable()


def settle() -> None:
    """What there is now stays, where ``wait`` was asked for: collections look at newer objects only."""
    if _asked:
        gc.freeze()
        gc.set_threshold(*_AT_THE_LATEST)
        gc.enable()


def rest() -> None:
    """No key is being answered: collect what would be collected in the middle of the next answer."""
    if not _asked:
        return
    young, middle, old = gc.get_count()
    if old >= _ROUNDS:
        gc.collect()
    elif middle >= _ROUNDS:
        gc.collect(1)
    elif young >= _YOUNG:
        gc.collect(0)
