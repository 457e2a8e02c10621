"""How the panes share the screen."""

from __future__ import annotations


def left_width(width: int) -> int:
    """Cells of the left column: 32 of 120, 28 of 80, 44 at the most."""
    return max(28, min(44, round(width * 0.27)))


def model_height(rows: int, wanted: int) -> int:
    """Rows of the model pane, so that the findings keep at least a quarter."""
    return max(6, min(wanted + 1, rows - max(5, rows // 4)))


def gradients_height(rows: int, layers: int) -> int:
    """Rows of the gradients pane: up to four a layer, and at most half of the column."""
    most = max(5, rows // 2)
    tall = max(1, min(3, (min(most, rows * 2 // 5) - 2) // max(1, layers)))
    return max(5, min(most, layers * tall + 2))
