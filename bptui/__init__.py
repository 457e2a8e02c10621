"""bptui: a debugger for backpropagation that lives in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.attach.watching import Watch, watch

__version__ = "0.1.0"
__all__ = ["Watch", "watch"]


def __getattr__(name: str) -> object:
    """The public names; torch comes with them, so that ``import bptui`` stays light."""
    if name in __all__:
        from bptui import attach

        return getattr(attach, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
