"""Which steps a chart shows: all of them, a part that stands still, or a part that follows the newest."""

from __future__ import annotations

from bptui.tui.axis import steps_end

LEAST = 8
"""Steps that are shown at the least."""


class Window:
    """Ends of a step axis, both included. Untouched, it shows the whole run on an axis that changes rarely."""

    def __init__(self) -> None:
        self.first = 0
        self.last = 0
        self.whole = True
        self.follow = True

    def ends(self, head: int, total: int | None) -> tuple[int, int]:
        """First and last step to show, where ``head`` is the newest."""
        if self.whole:
            self.first, self.last = 0, steps_end(head, total)
        elif self.follow:
            span = self.last - self.first
            if head > self.last or head < self.first:  # moved by a quarter, so that columns keep their steps
                self.last = head + span // 4
                self.first = self.last - span
            if self.first < 0:
                self.first, self.last = 0, span
        return self.first, self.last

    def zoom(self, by: float, about: int, head: int) -> None:
        """``by`` > 1 shows more steps; ``about`` keeps its place. As wide as the run it is whole again."""
        span = max(LEAST, round((self.last - self.first) * by))
        end = max(LEAST, head)
        if span >= end:
            self.home()
            return
        about = min(max(about, self.first), self.last)
        share = (about - self.first) / max(1, self.last - self.first)
        first = round(about - share * span)
        self.whole = False
        self._put(first, span, end)
        self.follow = self.first <= head <= self.last and about >= head

    def pan(self, share: float, head: int) -> None:
        """Move by a share of the width."""
        if self.whole:
            return
        span = self.last - self.first
        self._put(self.first + round(share * span), span, max(LEAST, head))
        self.follow = self.last >= head and share > 0

    def reveal(self, step: int) -> None:
        """Move no further than ``step`` needs."""
        if not self.whole and not self.first <= step <= self.last:
            span = self.last - self.first
            self.first = step if step < self.first else step - span
            self.last = self.first + span
            self.follow = False

    def home(self) -> None:
        self.whole, self.follow = True, True

    def end(self, head: int) -> None:
        """Follow the newest step, in the width that is shown."""
        if not self.whole:
            span = self.last - self.first
            self._put(head - span, span, max(LEAST, head))
            self.follow = True

    def _put(self, first: int, span: int, end: int) -> None:
        self.first = max(0, min(first, end + span // 4 - span))
        self.last = self.first + span
