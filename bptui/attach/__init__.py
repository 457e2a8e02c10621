"""A user's own PyTorch script under the debugger: hooks for its process, which change nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.attach.watching import Watch, watch

__all__ = ["Watch", "watch"]


def __getattr__(name: str) -> object:
    """``watch`` is loaded when it is asked for: a script's process begins without torch."""
    if name in __all__:
        from bptui.attach import watching

        return getattr(watching, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
