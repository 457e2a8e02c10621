"""Grammar, parser and evaluator of the condition language.

    condition  = or ;  or = and {"or" and} ;  and = not {"and" not} ;  not = "not" not | comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = product {("+" | "-") product} ;  product = unary {("*" | "/") unary} ;  unary = "-" unary | atom
    atom       = number | name | name "(" [argument {"," argument}] ")" | "(" condition ")"
    argument   = "text" | condition

A condition with a NaN in a comparison is false, as in arithmetic; use ``not is_finite(loss)`` to catch one.
A value that is not known yet (``val_loss`` before the first epoch has ended) makes its condition unknown.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

MAX_LENGTH = 2000
MAX_DEPTH = 50

Value = float | bool
#: Names of scalars → their value now; None: not known yet.
Scalars = Mapping[str, float | None]
#: A function of a layer's name (and maybe a number) → its value now; None: not known yet.
LayerFunction = Callable[..., float | None]

SCALARS = (
    "loss", "step", "epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_r2", "val_f1",
    "test_loss", "test_accuracy",
)  # fmt: skip
FUNCTIONS = ("grad_norm", "update_ratio", "dead", "weight_norm", "activation_mean", "delta_norm")
"""Functions of a layer's name. ``dead`` is a share, 0 to 1. ``is_finite(x)`` and ``abs(x)`` take a value."""
_PLAIN: dict[str, Callable[[float], float]] = {
    "is_finite": lambda x: float(math.isfinite(x)), "abs": abs, "log": lambda x: math.log(x) if x > 0 else math.nan
}  # fmt: skip


class ConditionError(ValueError):
    """A condition that cannot be parsed or names something unknown; one line, with the place."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<op><=|>=|==|!=|[-+*/<>(),]))"
)

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip

#: A compiled node: from (scalars, functions) to a value, or None where something is not known yet.
Node = Callable[[Scalars, Mapping[str, LayerFunction]], float | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition. ``names`` are the scalars it reads, ``calls`` its (function, layer) pairs."""

    text: str
    names: frozenset[str]
    calls: tuple[tuple[str, str], ...]
    node: Node

    def holds(self, scalars: Scalars, functions: Mapping[str, LayerFunction] | None = None) -> bool:
        """Whether it holds now; False while something in it is not known yet."""
        value = self.node(scalars, functions or {})
        return value is not None and not math.isnan(value) and bool(value)


def parse(text: str, *, layers: Iterable[str] | None = None) -> Condition:
    """Parse a condition; ``layers`` (where known) are checked too. Raises ConditionError."""
    return _Parser(text, None if layers is None else tuple(layers)).parse()


class _Parser:
    def __init__(self, text: str, layers: tuple[str, ...] | None) -> None:
        if len(text) > MAX_LENGTH:
            raise ConditionError(f"condition longer than {MAX_LENGTH} characters")
        self.text = text
        self.layers = layers
        self.names: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.tokens = self._scan()
        self.at = 0
        self.depth = 0

    def _scan(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKENS.match(self.text, at)
            if not match:
                start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise ConditionError(
                    f"{self._quote()}: cannot read {self.text[start : start + 12]!r} at character {start + 1}"
                )
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            at = match.end()
        return tokens

    def _quote(self) -> str:
        return repr(self.text if len(self.text) <= 60 else self.text[:57] + "…")

    def _fail(self, expected: str) -> ConditionError:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            return ConditionError(
                f"{self._quote()}: expected {expected} at character {token.at + 1}, got {token.text!r}"
            )
        return ConditionError(f"{self._quote()}: expected {expected} at the end")

    def _next(self, *texts: str) -> str | None:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind in ("op", "name") and token.text in texts:
                self.at += 1
                return token.text
        return None

    def parse(self) -> Condition:
        if not self.tokens:
            raise ConditionError("empty condition; such as 'val_accuracy >= 0.96'")
        node = self._or()
        if self.at < len(self.tokens):
            raise self._fail("an operator or the end")
        return Condition(self.text, frozenset(self.names), tuple(self.calls), node)

    def _or(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError(f"{self._quote()}: nested deeper than {MAX_DEPTH}")
        left = self._and()
        while self._next("or"):
            left = _either(left, self._and())
        self.depth -= 1
        return left

    def _and(self) -> Node:
        left = self._not()
        while self._next("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Node:
        count = 0
        while self._next("not"):
            count += 1
        node = self._comparison()
        return _apply(node, lambda x: float(not x)) if count % 2 else node

    def _comparison(self) -> Node:
        left = self._sum()
        sign = self._next(*_COMPARE)
        if sign:
            compare = _COMPARE[sign]
            left = _combine(left, self._sum(), lambda a, b: float(compare(a, b)))
            if self._next(*_COMPARE):
                self.at -= 1
                raise self._fail("'and' between two comparisons")
        return left

    def _sum(self) -> Node:
        left = self._product()
        while sign := self._next("+", "-"):
            left = _combine(left, self._product(), operator.add if sign == "+" else operator.sub)
        return left

    def _product(self) -> Node:
        left = self._unary()
        while sign := self._next("*", "/"):
            left = _combine(left, self._unary(), operator.mul if sign == "*" else _divide)
        return left

    def _unary(self) -> Node:
        count = 0
        while self._next("-"):
            count += 1
        node = self._atom()
        return _apply(node, operator.neg) if count % 2 else node

    def _atom(self) -> Node:
        if self._next("("):
            node = self._or()
            if not self._next(")"):
                raise self._fail("')'")
            return node
        if self.at >= len(self.tokens):
            raise self._fail("a number, a name or '('")
        token = self.tokens[self.at]
        if token.kind == "number":
            self.at += 1
            number = float(token.text)
            return lambda scalars, functions: number
        if token.kind != "name" or token.text in ("and", "or", "not"):
            raise self._fail("a number, a name or '('")
        self.at += 1
        if self._next("("):
            return self._call(token)
        if token.text not in SCALARS:
            known = [*SCALARS, *(f"{name}(…)" for name in (*FUNCTIONS, *_PLAIN))]
            raise ConditionError(f"{self._quote()}: unknown name {token.text!r}{_near(token.text, known)}")
        self.names.add(token.text)
        name = token.text
        return lambda scalars, functions: scalars.get(name)

    def _call(self, token: _Token) -> Node:
        name = token.text
        if name in _PLAIN:
            argument = self._or()
            if not self._next(")"):
                raise self._fail("')'")
            return _apply(argument, _PLAIN[name])
        if name not in FUNCTIONS:
            raise ConditionError(f"{self._quote()}: unknown function {name!r}{_near(name, [*FUNCTIONS, *_PLAIN])}")
        if self.at >= len(self.tokens) or self.tokens[self.at].kind != "text":
            raise self._fail('a layer\'s name in quotes, such as "dense1"')
        layer = self.tokens[self.at].text[1:-1]
        self.at += 1
        if self.layers is not None and layer not in self.layers:
            raise ConditionError(f"{self._quote()}: no layer {layer!r}{_near(layer, self.layers)}")
        if not self._next(")"):
            raise self._fail("')'")
        self.calls.append((name, layer))
        return lambda scalars, functions: functions[name](layer) if name in functions else None


def _near(name: str, known: Iterable[str]) -> str:
    choices = list(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else f" (one of {', '.join(choices[:16])})"


def _divide(a: float, b: float) -> float:
    return a / b if b else (math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a))


def _apply(node: Node, function: Callable[[float], float]) -> Node:
    def applied(scalars: Scalars, functions: Mapping[str, LayerFunction]) -> float | None:
        value = node(scalars, functions)
        return None if value is None else function(value)

    return applied


def _combine(left: Node, right: Node, function: Callable[[float, float], float]) -> Node:
    def combined(scalars: Scalars, functions: Mapping[str, LayerFunction]) -> float | None:
        a = left(scalars, functions)
        b = right(scalars, functions)
        if a is None or b is None:
            return None
        try:
            return function(a, b)
        except OverflowError:
            return math.inf

    return combined


def _either(left: Node, right: Node) -> Node:
    """Three-valued or: true if one side is, whatever is not known on the other."""

    def either(scalars: Scalars, functions: Mapping[str, LayerFunction]) -> float | None:
        a, b = left(scalars, functions), right(scalars, functions)
        if a or b:
            return 1.0
        return None if a is None or b is None else 0.0

    return either


def _both(left: Node, right: Node) -> Node:
    """Three-valued and: false if one side is, whatever is not known on the other."""

    def both(scalars: Scalars, functions: Mapping[str, LayerFunction]) -> float | None:
        a, b = left(scalars, functions), right(scalars, functions)
        if (a is not None and not a) or (b is not None and not b):
            return 0.0
        return None if a is None or b is None else 1.0

    return both
