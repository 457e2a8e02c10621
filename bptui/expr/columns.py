"""A condition over many steps at once: columns of scalars in, a column of truths out. Needs NumPy.

What is not known is False in ``known``; None stands for a column that is known throughout.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bptui.expr.language import Condition
from bptui.expr.tree import COMPARE, Binary, Both, Delta, Either, Name, Negative, Node, Not, Number, Plain

Known = npt.NDArray[np.bool_] | None


class Column(NamedTuple):
    """Values of successive steps (float64, or one number for all of them), and which are known."""

    values: Any
    known: Known = None


Columns = Mapping[str, Column]
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def truths(condition: Condition, columns: Columns, first: int, count: int) -> npt.NDArray[np.bool_]:
    """(count,): whether it holds at entries ``first`` … of the columns; those before are for ``delta`` alone.

    The condition must call no function of a layer.
    """
    column = _of(condition.tree, columns, first, first + count)
    values = np.asarray(column.values)
    held = (values != 0) & (values == values)
    if column.known is not None:
        held = held & column.known
    return np.broadcast_to(held, (count,))


def _of(node: Node, columns: Columns, start: int, stop: int) -> Column:
    match node:
        case Number(_, value):
            return Column(value)
        case Name(_, name):
            values, known = columns[name]
            return Column(values[start:stop], None if known is None else known[start:stop])
        case Negative(_, argument):
            values, known = _of(argument, columns, start, stop)
            return Column(-values, known)
        case Not(_, argument):
            values, known = _of(argument, columns, start, stop)
            return Column(np.equal(values, 0), known)
        case Plain(_, function, argument):
            values, known = _of(argument, columns, start, stop)
            return Column(_PLAIN[function](values), known)
        case Delta(_, argument, steps):
            return _delta(argument, steps, columns, start, stop)
        case Binary(_, sign, left, right):
            return _binary(sign, _of(left, columns, start, stop), _of(right, columns, start, stop))
        case Both(_, left, right):
            a, b = _of(left, columns, start, stop), _of(right, columns, start, stop)
            false = (np.equal(a.values, 0) & _sure(a)) | (np.equal(b.values, 0) & _sure(b))
            return Column(~false, _known_with(a, b, false))
        case Either(_, left, right):
            a, b = _of(left, columns, start, stop), _of(right, columns, start, stop)
            true = (np.not_equal(a.values, 0) & _sure(a)) | (np.not_equal(b.values, 0) & _sure(b))
            return Column(true, _known_with(a, b, true))
    raise TypeError(f"not over columns: {node!r}")


def _binary(sign: str, a: Column, b: Column) -> Column:
    known = a.known if b.known is None else b.known if a.known is None else a.known & b.known
    if sign in COMPARE:
        return Column(COMPARE[sign](a.values, b.values), known)
    return Column(_ARITHMETIC[sign](a.values, b.values) if sign != "/" else _divided(a.values, b.values), known)


def _divided(a: Any, b: Any) -> Any:
    """As ``tree.divide``: by 0 (of either sign) it is infinite with the sign of ``a``."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(all="ignore"):
        return np.divide(a, np.abs(b), where=b == 0, out=np.asarray(a / np.where(b == 0, 1.0, b)))


def _delta(argument: Node, steps: int, columns: Columns, start: int, stop: int) -> Column:
    now = _of(argument, columns, start, stop)
    lacking = min(max(0, steps - start), stop - start)  # so many entries reach to before the first
    then = _of(argument, columns, start - steps + lacking, stop - steps)
    count = stop - start
    known = np.ones(count, bool) if now.known is None else now.known.copy()
    before = np.full(count, np.nan)
    before[lacking:] = then.values
    known[:lacking] = False
    if then.known is not None:
        known[lacking:] &= then.known
    return Column(now.values - before, known)


def _sure(column: Column) -> Any:
    return True if column.known is None else column.known


def _known_with(a: Column, b: Column, decided: Any) -> Known:
    if a.known is None and b.known is None:
        return None
    return np.asarray(decided | (_sure(a) & _sure(b)))


def _log(x: Any) -> Any:
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        return np.where(x > 0, np.log(x), np.nan)


_PLAIN: dict[str, Callable[[Any], Any]] = {"is_finite": np.isfinite, "abs": np.abs, "log": _log}
