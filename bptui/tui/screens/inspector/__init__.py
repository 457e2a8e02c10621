"""The δ inspector: ledger, matrices, ranked rows and stages of the paused step."""

from bptui.tui.screens.inspector.screen import Inspector, open_inspector

__all__ = ["Inspector", "open_inspector"]
