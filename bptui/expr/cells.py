"""A condition on the cells of a matrix: ``< 0``, ``== 0``, ``abs > 1e-3``, ``> 0 and <= 1``, ``not finite``.

    cells  = part {("and" | "or") part} ;  part = ["not"] ("finite" | "nan" | ["abs"] sign number)

``and`` binds tighter than ``or``. The test works on a number and on an array of any library alike.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bptui.expr.language import ConditionError

MAX_LENGTH = 200
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt
}  # fmt: skip
_TOKEN = re.compile(
    r"\s*(?P<sign><=|>=|==|!=|<|>)|\s*(?P<number>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf\b))"
    r"|\s*(?P<word>[A-Za-z]+)"
)
Test = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class CellCondition:
    """``test`` gives, for an array, which of its cells meet the condition."""

    text: str
    test: Test


def parse_cells(text: str) -> CellCondition:
    """Raises ConditionError: one line, with the place (``at``)."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"condition longer than {MAX_LENGTH} characters", 0)
    return CellCondition(" ".join(text.split()), _Reader(text).read())


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                start = at + len(text[at:]) - len(text[at:].lstrip())
                raise ConditionError(f"cannot read {text[start : start + 12]!r} at character {start + 1}", start)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.at = 0

    def read(self) -> Test:
        if not self.tokens:
            raise ConditionError("empty condition; such as '< 0', 'abs > 1e-3' or 'not finite'", 0)
        test = self._all()
        while self._next("word", "or"):
            test = _either(test, self._all())
        if self.at < len(self.tokens):
            raise self._fail("'and', 'or' or the end")
        return test

    def _all(self) -> Test:
        test = self._part()
        while self._next("word", "and"):
            test = _both(test, self._part())
        return test

    def _part(self) -> Test:
        if self._next("word", "not"):
            return _inverse(self._part())
        if self._next("word", "finite"):
            return lambda x: abs(x) < math.inf
        if self._next("word", "nan"):
            return lambda x: x != x
        magnitude = self._next("word", "abs")
        sign = self._next("sign")
        if not sign:
            raise self._fail("a comparison such as < 0, abs or finite" if not magnitude else "a comparison such as > 1")
        number = self._next("number")
        if not number:
            raise self._fail("a number")
        compare, limit = _SIGNS[sign], float(number)
        return (lambda x: compare(abs(x), limit)) if magnitude else (lambda x: compare(x, limit))

    def _next(self, kind: str, text: str | None = None) -> str | None:
        if self.at < len(self.tokens):
            found, word, _ = self.tokens[self.at]
            if found == kind and text in (None, word):
                self.at += 1
                return word
        return None

    def _fail(self, expected: str) -> ConditionError:
        if self.at < len(self.tokens):
            _, word, at = self.tokens[self.at]
            return ConditionError(f"expected {expected} at character {at + 1}, got {word!r}", at)
        return ConditionError(f"expected {expected} at the end", len(self.text.rstrip()))


def _both(left: Test, right: Test) -> Test:
    return lambda x: left(x) & right(x)


def _either(left: Test, right: Test) -> Test:
    return lambda x: left(x) | right(x)


def _inverse(test: Test) -> Test:
    return lambda x: test(x) == False  # noqa: E712 (an array has no ``not``)
