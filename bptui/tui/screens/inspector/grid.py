"""Where one looks in a matrix: cursor, window and zoom, as plain numbers; no drawing, no Textual."""

from __future__ import annotations

from collections.abc import Sequence

from bptui.protocol.messages import Order, Sheet

#: Levels of zoom: cells of text a number, and cells of the matrix a number (each way). From the third on: shades.
LEVELS = ((13, 1), (8, 1), (2, 1), (2, 2), (2, 4), (2, 8), (2, 16), (2, 32), (2, 64), (2, 128), (2, 256), (2, 512))
SHADED = 2
"""The first level at which a cell is a shade and a sign."""
MOST_CELLS = 1 << 14
"""Of one window that is asked for: so many more than are shown come with it, so that small moves need no answer."""


class Grid:
    """``row`` and ``column`` are places in the order that is shown, not numbers in the matrix."""

    def __init__(self) -> None:
        self.rows = self.columns = 0
        self.row = self.column = 0
        self.top = self.left = 0
        """The first block that is shown."""
        self.level = 0
        self.tall, self.wide, self.room = 1, 1, 1
        """Blocks that fit, and the cells of text in which columns may stand."""
        self.row_order, self.column_order = Order(), Order()
        self.condition = ""

    @property
    def zoom(self) -> int:
        return LEVELS[self.level][1]

    @property
    def cell(self) -> int:
        """Cells of text a number."""
        return LEVELS[self.level][0]

    @property
    def shaded(self) -> bool:
        return self.level >= SHADED

    def sized(self, rows: int, columns: int) -> None:
        """The matrix is of this size; the cursor stays within it."""
        self.rows, self.columns = rows, columns
        self.row, self.column = max(0, min(self.row, rows - 1)), max(0, min(self.column, columns - 1))
        self.follow()

    def fits(self, tall: int, room: int, cell: int | None = None) -> None:
        """So many rows fit on the screen, and columns in ``room`` cells of text, ``cell`` each."""
        self.room = room
        self.tall, self.wide = max(1, tall), max(1, room // (cell or self.cell))
        self.follow()

    def follow(self) -> None:
        """Move the window so that the cursor is in it, and no further."""
        for axis in (0, 1):
            cursor, total = ((self.row, self.rows), (self.column, self.columns))[axis]
            first, span = ((self.top, self.tall), (self.left, self.wide))[axis]
            block, blocks = cursor // self.zoom, -(-total // self.zoom)
            first = max(0, min(max(first, block - span + 1), block, max(0, blocks - span)))
            if axis == 0:
                self.top = first
            else:
                self.left = first

    def move(self, down: int, right: int) -> None:
        """By so many blocks."""
        self.row = max(0, min(self.rows - 1, self.row + down * self.zoom))
        self.column = max(0, min(self.columns - 1, self.column + right * self.zoom))
        self.follow()

    def pan(self, down: int, right: int) -> None:
        """The window by so many of its own sizes; the cursor goes with it."""
        self.move(down * self.tall, right * self.wide)

    def zoom_by(self, by: int) -> bool:
        """Out (1) or in (−1); False: there is nothing further."""
        deepest = next(
            (at for at, (cell, zoom) in enumerate(LEVELS) if at >= SHADED and self.rows <= zoom * self.tall
             and self.columns <= zoom * (self.room // cell)), len(LEVELS) - 1,
        )  # fmt: skip
        level = max(0, min(self.level + by, max(deepest, self.level - 1)))
        changed, self.level = level != self.level, level
        self.follow()
        return changed

    def turn_order(self, axis: int, cursor: int) -> str:
        """The next order of rows (0) or columns (1): as they are, by norm, by the values where the cursor stands."""
        now = (self.row_order, self.column_order)[axis]
        by = {"": "norm", "norm": "value", "value": ""}[now.by]
        order = Order(by, cursor if by == "value" else 0, now.ascending)
        self._put(axis, order)
        self.row, self.top = (0, 0) if axis == 0 else (self.row, self.top)
        self.column, self.left = (0, 0) if axis == 1 else (self.column, self.left)
        return by

    def reverse(self) -> bool:
        """Smallest first, or largest first again; whether ascending now."""
        ascending = not (self.row_order.ascending or self.column_order.ascending)
        for axis, order in enumerate((self.row_order, self.column_order)):
            self._put(axis, Order(order.by, order.at, ascending))
        return ascending

    def _put(self, axis: int, order: Order) -> None:
        if axis == 0:
            self.row_order = order
        else:
            self.column_order = order

    def forget_orders(self) -> None:
        """Another matrix: its rows and columns as they are."""
        self.row_order, self.column_order = Order(), Order()

    def request(self, layer: int, kind: str, find: bool = False) -> Sheet:
        """The window that is shown, with a margin around it."""
        rows, columns = self.tall * 3, self.wide * 3
        while rows * columns > MOST_CELLS and rows > self.tall:
            rows, columns = max(self.tall, rows // 2), max(self.wide, columns // 2)
        return Sheet(
            layer=layer, kind=kind, top=max(0, self.top - (rows - self.tall) // 2),
            left=max(0, self.left - (columns - self.wide) // 2), rows=rows, columns=columns, zoom=self.zoom,
            row_order=self.row_order, column_order=self.column_order, condition=self.condition,
            find=(self.row, self.column) if find else None,
        )  # fmt: skip


def sparkline(values: Sequence[float], width: int, bars: str) -> str:
    """Magnitudes as heights in at most ``width`` cells: the largest of each group; ``!`` where one is not finite."""
    if not values or width < 1:
        return ""
    group = -(-len(values) // width)
    tops = [
        max((abs(v) if abs(v) < float("inf") else float("inf") for v in values[at : at + group]), default=0.0)
        for at in range(0, len(values), group)
    ]
    bad = [any(v - v != 0 for v in values[at : at + group]) for at in range(0, len(values), group)]
    most = max((top for top, wrong in zip(tops, bad, strict=True) if not wrong), default=0.0)
    full = len(bars) - 1
    return "".join(
        "!" if wrong else bars[max(1, round(top / most * full)) if most and top else 0]
        for top, wrong in zip(tops, bad, strict=True)
    )
