"""Conditions over many steps at once: columns of scalars in, columns of truths out. Needs NumPy.

Conditions are compiled together: whatever several of them read, down to a whole comparison, is computed once.
``delta(x, n)`` is x less the same window of x, n entries back. What is not known is False in ``known``; None stands for
a column that is known throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.expr.language import Condition
from bptui.expr.tree import COMPARE, Binary, Both, Delta, Either, Name, Negative, Node, Not, Number, Plain, walk

Known = npt.NDArray[np.bool_] | None
Truths = npt.NDArray[np.bool_]


class Column(NamedTuple):
    """Values of successive steps (float64, or one number for all of them), and which are known."""

    values: Any
    known: Known = None


Columns = Mapping[str, Column]
#: One part of a program: from the parts before it, the columns and the length of the window to a column.
Part = Callable[[list[Column], Columns, int], Column]
_ARITHMETIC: dict[str, np.ufunc] = {"+": np.add, "-": np.subtract, "*": np.multiply}


class Program:
    """Conditions that are evaluated together; they must call no function of a layer."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._parts: list[Part] = []
        self._places: dict[tuple[Any, ...], int] = {}
        self._results = [self._add(condition.tree, 0) for condition in conditions]

    def truths(self, columns: Columns, count: int) -> list[Truths]:
        """Of each condition (count,): whether it holds at the last ``count`` entries of the columns.

        The columns end with the same step; entries before the window are for ``delta`` alone.
        """
        done: list[Column] = []
        for part in self._parts:
            done.append(part(done, columns, count))
        return [_held(done[place], count) for place in self._results]

    def _add(self, node: Node, back: int) -> int:
        """The place of a node's column, ``back`` entries before the window; the same node has one place."""
        match node:
            case Number(_, value):
                return self._place(("number", value), lambda done, columns, count: Column(value))
            case Name(_, name):
                return self._place(("name", name, back), _window(name, back))
            case Negative(_, argument):
                return self._map("negative", _negative, argument, back)
            case Not(_, argument):
                return self._map("not", _not, argument, back)
            case Plain(_, function, argument):
                return self._map(function, _PLAIN[function], argument, back)
            case Delta(_, argument, steps):
                return self._join("-", _binary("-"), self._add(argument, back), self._add(argument, back + steps))
            case Binary(_, sign, left, right):
                return self._join(sign, _binary(sign), self._add(left, back), self._add(right, back))
            case Both(_, left, right):
                return self._join("and", _both, self._add(left, back), self._add(right, back))
            case Either(_, left, right):
                return self._join("or", _either, self._add(left, back), self._add(right, back))
        raise TypeError(f"not over columns: {node!r}")

    def _place(self, key: tuple[Any, ...], part: Part) -> int:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self._parts)
            self._parts.append(part)
        return place

    def _map(self, name: str, function: Callable[[Any], Any], argument: Node, back: int) -> int:
        at = self._add(argument, back)
        return self._place(
            (name, at), lambda done, columns, count: Column(function(done[at].values), done[at].known)
        )

    def _join(self, name: str, function: Callable[[Column, Column], Column], left: int, right: int) -> int:
        return self._place((name, left, right), lambda done, columns, count: function(done[left], done[right]))


def truths(condition: Condition, columns: Columns, first: int, count: int) -> Truths:
    """(count,): whether it holds at entries ``first`` … of the columns, of one condition."""
    stop = first + count
    cut = {name: Column(values[:stop], None if known is None else known[:stop])
           for name, (values, known) in columns.items()}  # fmt: skip
    return Program([condition]).truths(cut, count)[0]


def reaches(conditions: Sequence[Condition]) -> dict[str, int]:
    """How many steps back each name is looked at by a ``delta``; a name that none reads is left out."""
    found: dict[str, int] = {}
    for condition in conditions:
        for node in walk(condition.tree):
            if isinstance(node, Delta):
                for name in (inner.name for inner in walk(node) if isinstance(inner, Name)):
                    found[name] = max(found.get(name, 0), node.steps)
    return found


def _window(name: str, back: int) -> Part:
    def window(done: list[Column], columns: Columns, count: int) -> Column:
        values, known = columns[name]
        stop = len(values) - back
        start = stop - count
        if start >= 0:
            return Column(values[start:stop], None if known is None else known[start:stop])
        lacking = min(count, -start)  # it reaches to before the first entry
        padded, sure = np.full(count, np.nan), np.zeros(count, bool)
        padded[lacking:] = values[: max(stop, 0)]
        sure[lacking:] = True if known is None else known[: max(stop, 0)]
        return Column(padded, sure)

    return window


def _held(column: Column, count: int) -> Truths:
    values = np.asarray(column.values)
    if values.dtype != np.bool_:
        values = (values != 0) & (values == values)  # a NaN does not hold
    if column.known is not None:
        values = values & column.known
    return values if values.ndim else np.broadcast_to(values, (count,))


def _true(values: Any) -> Any:
    return values if getattr(values, "dtype", None) == np.bool_ else np.not_equal(values, 0)


def _negative(values: Any) -> Any:
    return np.negative(values, dtype=np.float64)


def _not(values: Any) -> Any:
    return ~_true(values)


def _operation(sign: str) -> Callable[[Any, Any], Any]:
    if sign in COMPARE:
        return COMPARE[sign]
    return _divided if sign == "/" else partial(_ARITHMETIC[sign], dtype=np.float64)  # a truth counts as 0 or 1


def _binary(sign: str) -> Callable[[Column, Column], Column]:
    function = _operation(sign)

    def binary(a: Column, b: Column) -> Column:
        known = a.known if b.known is None else b.known if a.known is None else a.known & b.known
        return Column(function(a.values, b.values), known)

    return binary


def _both(a: Column, b: Column) -> Column:
    x, y = _true(a.values), _true(b.values)
    if a.known is None and b.known is None:
        return Column(x & y)
    false = (~x & _sure(a)) | (~y & _sure(b))
    return Column(~false, np.asarray(false | (_sure(a) & _sure(b))))


def _either(a: Column, b: Column) -> Column:
    x, y = _true(a.values), _true(b.values)
    if a.known is None and b.known is None:
        return Column(x | y)
    true = (x & _sure(a)) | (y & _sure(b))
    return Column(true, np.asarray(true | (_sure(a) & _sure(b))))


def _sure(column: Column) -> Any:
    return np.True_ if column.known is None else column.known


def _divided(a: Any, b: Any) -> Any:
    """As ``tree.divide``: by 0 (of either sign) it is infinite with the sign of ``a``."""
    b = np.asarray(b, np.float64)
    with np.errstate(all="ignore"):
        return np.divide(a, b if b.all() else np.where(b == 0, 0.0, b))  # +0, so that the sign is that of a


def _log(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.log(np.where(np.greater(x, 0), x, np.nan))


_PLAIN: dict[str, Callable[[Any], Any]] = {"is_finite": np.isfinite, "abs": np.abs, "log": _log}
