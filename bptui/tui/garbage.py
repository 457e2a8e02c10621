"""The collector of cyclic garbage, kept from holding up a first frame or the answer to a key.

A full collection looks at every object there is: seventy thousand of Textual, NumPy and the screens, which stay as long
as the program. They are looked at once, and then never again. Only the program asks for that: where the app is one of
several in a process, nothing is kept for ever.
"""

from __future__ import annotations

import gc

_asked = False


def wait() -> None:
    """No collection until ``settle``: what is imported stays."""
    global _asked
    _asked = True
    gc.disable()


def settle() -> None:
    """What there is now stays, where ``wait`` was asked for: collections look at newer objects only."""
    if _asked:
        gc.freeze()
        gc.enable()
