"""What a condition is read to: a small tree, and its values in one state; what is not known makes it unknown."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: Names of scalars → their value now; None: not known yet.
Scalars = Mapping[str, float | None]
#: A function of a layer's name → its value now; None: not known yet.
LayerFunction = Callable[..., float | None]
#: So many steps ago → the scalars of then; None: that lies before anything that is remembered.
Past = Callable[[int], Scalars | None]


class State(NamedTuple):
    """What a condition is evaluated in."""

    scalars: Scalars
    functions: Mapping[str, LayerFunction]
    past: Past | None = None


#: A compiled node: from a state to a value, or None where something is not known yet.
Compiled = Callable[[State], float | None]


def divide(a: float, b: float) -> float:
    """As in floating-point arithmetic: a / 0 is infinite, 0 / 0 is nan."""
    return a / b if b else (math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a))


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": divide
}  # fmt: skip
PLAIN: dict[str, Callable[[float], float]] = {
    "is_finite": lambda x: float(math.isfinite(x)), "abs": abs, "log": lambda x: math.log(x) if x > 0 else math.nan
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """``span``: where it stands in the text."""

    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: float


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of a layer."""

    function: str
    layer: str


@dataclass(frozen=True, slots=True)
class Plain(Node):
    """A function of a value: a row of PLAIN."""

    function: str
    argument: Node


@dataclass(frozen=True, slots=True)
class Delta(Node):
    """``argument`` now, less what it was ``steps`` steps ago."""

    argument: Node
    steps: int


@dataclass(frozen=True, slots=True)
class Negative(Node):
    argument: Node


@dataclass(frozen=True, slots=True)
class Not(Node):
    argument: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """``sign`` of ARITHMETIC or COMPARE."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Both(Node):
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Either(Node):
    left: Node
    right: Node


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Binary(_, _, left, right) | Both(_, left, right) | Either(_, left, right):
            return left, right
        case Plain(_, _, argument) | Delta(_, argument, _) | Negative(_, argument) | Not(_, argument):
            return (argument,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, from the left."""
    yield node
    for child in children(node):
        yield from walk(child)


def compiled(node: Node) -> Compiled:
    """The node as one closure: compiled once, evaluated often."""
    match node:
        case Number(_, value):
            return lambda state: value
        case Name(_, name):
            return lambda state: state.scalars.get(name)
        case Call(_, function, layer):
            return lambda state: state.functions[function](layer) if function in state.functions else None
        case Plain(_, function, argument):
            return _apply(compiled(argument), PLAIN[function])
        case Negative(_, argument):
            return _apply(compiled(argument), operator.neg)
        case Not(_, argument):
            return _apply(compiled(argument), lambda x: float(not x))
        case Delta(_, argument, steps):
            return _since(compiled(argument), steps)
        case Binary(_, sign, left, right) if sign in ARITHMETIC:
            return _combine(compiled(left), compiled(right), ARITHMETIC[sign])
        case Binary(_, sign, left, right):
            compare = COMPARE[sign]
            return _combine(compiled(left), compiled(right), lambda a, b: float(compare(a, b)))
        case Both(_, left, right):
            return _both(compiled(left), compiled(right))
        case Either(_, left, right):
            return _either(compiled(left), compiled(right))
    raise TypeError(f"not a node: {node!r}")


def _apply(node: Compiled, function: Callable[[float], float]) -> Compiled:
    def applied(state: State) -> float | None:
        value = node(state)
        return None if value is None else function(value)

    return applied


def _since(node: Compiled, steps: int) -> Compiled:
    def since(state: State) -> float | None:
        before = state.past(steps) if state.past is not None else None
        now = node(state)
        if before is None or now is None:
            return None
        then = node(State(before, {}, None))
        return None if then is None else now - then

    return since


def _combine(left: Compiled, right: Compiled, function: Callable[[float, float], float]) -> Compiled:
    def combined(state: State) -> float | None:
        a, b = left(state), right(state)
        if a is None or b is None:
            return None
        try:
            return function(a, b)
        except OverflowError:
            return math.inf

    return combined


def _either(left: Compiled, right: Compiled) -> Compiled:
    """Three-valued or: true if one side is, whatever is not known on the other."""

    def either(state: State) -> float | None:
        a, b = left(state), right(state)
        if a or b:
            return 1.0
        return None if a is None or b is None else 0.0

    return either


def _both(left: Compiled, right: Compiled) -> Compiled:
    """Three-valued and: false if one side is, whatever is not known on the other."""

    def both(state: State) -> float | None:
        a, b = left(state), right(state)
        if (a is not None and not a) or (b is not None and not b):
            return 0.0
        return None if a is None or b is None else 1.0

    return both
