"""Grammar and parser of the condition language.

    condition  = or ;  or = and {"or" and} ;  and = not {"and" not} ;  not = "not" not | comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = product {("+" | "-") product} ;  product = unary {("*" | "/") unary} ;  unary = "-" unary | atom
    atom       = number | name | call | "(" condition ")"
    call       = layer function "(" "text" ")" | value function "(" condition ")" | "delta" "(" sum "," number ")"

A condition with a NaN in a comparison is false, as in arithmetic; use ``not is_finite(loss)`` to catch one.
A value that is not known yet (``val_loss`` before the first epoch has ended) makes its condition unknown.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bptui.expr.tree import (
    COMPARE,
    PLAIN,
    Binary,
    Both,
    Call,
    Compiled,
    Delta,
    Either,
    LayerFunction,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Past,
    Plain,
    Scalars,
    State,
    compiled,
    walk,
)

__all__ = [
    "FUNCTIONS",
    "SCALARS",
    "SCRIPT_FUNCTIONS",
    "SCRIPT_SCALARS",
    "Condition",
    "ConditionError",
    "LayerFunction",
    "Part",
    "Remembered",
    "Scalars",
    "names_for",
    "parse",
    "said",
]  # fmt: skip

MAX_LENGTH = 2000
MAX_DEPTH = 50
MAX_DELTA = 100_000
"""Steps that ``delta`` may reach back."""

SCALARS = (
    "loss", "step", "epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_r2", "val_f1",
    "val_generator_loss", "val_modes", "val_near",
    "test_loss", "test_accuracy", "train_return", "val_return",
)  # fmt: skip
FUNCTIONS = (
    "grad_norm", "update_ratio", "dead", "saturated", "weight_norm", "activation_mean", "delta_norm"
)  # fmt: skip
"""Functions of a layer's name. ``dead`` and ``saturated`` (|z| ≥ 5) are shares, 0 to 1."""
SCRIPT_SCALARS = ("loss", "step", "lr")
SCRIPT_FUNCTIONS = tuple(name for name in FUNCTIONS if name != "saturated")
"""What is known of a user's own script."""
_VALUED = (*PLAIN, "delta")


class ConditionError(ValueError):
    """A condition that cannot be parsed or names something unknown; one line. ``at``: the character, from 0."""

    def __init__(self, text: str, at: int = 0) -> None:
        super().__init__(text)
        self.at = at


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<op><=|>=|==|!=|[-+*/<>(),]))"
)


_IN_CALL = re.compile(rf"\b(?:{'|'.join(FUNCTIONS)})\(\s*([\"']?)([^\"'()]*)$")


class Part(NamedTuple):
    """A part of a condition as it is now; ``limit`` and ``holds`` of a comparison."""

    text: str
    sign: str
    value: float | None
    limit: float | None
    holds: bool | None

    @property
    def words(self) -> str:
        """Text and sign, as a table shows them."""
        return f"{self.text} {self.sign}".strip()


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition. ``names`` are the scalars it reads, ``calls`` its (function, layer) pairs."""

    text: str
    tree: Node
    names: frozenset[str]
    calls: tuple[tuple[str, str], ...]
    reach: int
    """Steps that it looks back (``delta``); 0: none."""
    node: Compiled = field(compare=False)
    parts_of: tuple[tuple[str, str, Compiled, Compiled | None], ...] = field(compare=False)

    def value(self, scalars: Scalars, functions: Mapping[str, LayerFunction] | None = None,
              past: Past | None = None) -> bool | None:  # fmt: skip
        """Whether it holds now; None while something in it is not known yet."""
        value = self.node(State(scalars, functions or {}, past))
        return None if value is None else not math.isnan(value) and bool(value)

    def holds(self, scalars: Scalars, functions: Mapping[str, LayerFunction] | None = None,
              past: Past | None = None) -> bool:  # fmt: skip
        """Whether it holds now; False while something in it is not known yet."""
        return bool(self.value(scalars, functions, past))

    def parts(self, scalars: Scalars, functions: Mapping[str, LayerFunction] | None = None,
              past: Past | None = None) -> list[Part]:  # fmt: skip
        """Each comparison with its two sides' values; of a condition without one, its names and calls."""
        state = State(scalars, functions or {}, past)
        found = []
        for text, sign, left, right in self.parts_of:
            value, limit = left(state), None if right is None else right(state)
            holds = None
            if right is not None and value is not None and limit is not None:
                holds = COMPARE[sign](value, limit)
            found.append(Part(text, sign, value, limit, holds))
        return found


class Remembered:
    """Scalars of the last ``reach`` steps, for ``delta``."""

    def __init__(self, reach: int) -> None:
        self.reach = reach
        self._kept: deque[Scalars] = deque(maxlen=reach + 1)

    def add(self, scalars: Scalars) -> None:
        """Those of the next step."""
        self._kept.append(scalars)

    def __call__(self, steps: int) -> Scalars | None:
        return self._kept[-1 - steps] if steps < len(self._kept) else None


def parse(text: str, *, layers: Iterable[str] | None = None, script: bool = False) -> Condition:
    """Parse a condition; ``layers`` (where known) are checked too, and what is known of a ``script`` of the user's own.

    Raises ConditionError.
    """
    return _Parser(text, None if layers is None else tuple(layers), script).parse()


def said(
    condition: Condition, scalars: Scalars, functions: Mapping[str, LayerFunction], past: Past | None = None
) -> str:
    """``loss > 3  (loss = 3.2 > 3)``: a condition with the parts that hold, their values and what they are held to."""
    parts = condition.parts(scalars, functions, past)
    told = [part for part in parts if part.holds and part.value is not None]
    told = told or [part for part in parts if part.value is not None]
    words = [
        f"{part.text} = {part.value:.6g}" + (f" {part.sign} {part.limit:.6g}" if part.limit is not None else "")
        for part in told
    ]
    return f"{condition.text}  ({', '.join(words)})" if words else condition.text


def names_for(typed: str, layers: Iterable[str] = (), script: bool = False) -> list[str]:
    """What the last word of ``typed`` may become: names and functions, or, behind a function's bracket, layers."""
    found = _IN_CALL.search(typed)
    if found:
        return [f'"{name}")' for name in layers if name.startswith(found[2])]
    word = re.search(r"[A-Za-z_]\w*$", typed)
    start = word[0] if word else ""
    if not start:
        return []
    scalars, functions = (SCRIPT_SCALARS, SCRIPT_FUNCTIONS) if script else (SCALARS, FUNCTIONS)
    words = [*scalars, *(f'{name}("' for name in functions), *(f"{name}(" for name in _VALUED), "and", "or", "not"]
    return [name for name in words if name.startswith(start) and name != start]


class _Parser:
    def __init__(self, text: str, layers: tuple[str, ...] | None, script: bool = False) -> None:
        if len(text) > MAX_LENGTH:
            raise ConditionError(f"condition longer than {MAX_LENGTH} characters")
        self.text = text
        self.layers = layers
        self.script = script
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
                    f"{self._quote()}: cannot read {self.text[start : start + 12]!r} at character {start + 1}", start
                )
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            at = match.end()
        return tokens

    def _quote(self) -> str:
        return repr(self.text if len(self.text) <= 60 else self.text[:57] + "…")

    @property
    def _place(self) -> int:
        """Where the next token begins."""
        return self.tokens[self.at].at if self.at < len(self.tokens) else len(self.text.rstrip())

    @property
    def _end(self) -> int:
        """Where the last token that was taken ends."""
        token = self.tokens[self.at - 1]
        return token.at + len(token.text)

    def _fail(self, expected: str) -> ConditionError:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            return ConditionError(
                f"{self._quote()}: expected {expected} at character {token.at + 1}, got {token.text!r}", token.at
            )
        return ConditionError(f"{self._quote()}: expected {expected} at the end", self._place)

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
        tree = self._or()
        if self.at < len(self.tokens):
            raise self._fail("an operator or the end")
        nodes = list(walk(tree))
        calls = tuple((node.function, node.layer) for node in nodes if isinstance(node, Call))
        reach = max((node.steps for node in nodes if isinstance(node, Delta)), default=0)
        names = frozenset(node.name for node in nodes if isinstance(node, Name))
        return Condition(self.text, tree, names, calls, reach, compiled(tree), self._parts(nodes))

    def _parts(self, nodes: list[Node]) -> tuple[tuple[str, str, Compiled, Compiled | None], ...]:
        def text(node: Node) -> str:
            return self.text[slice(*node.span)]

        compared = [node for node in nodes if isinstance(node, Binary) and node.sign in COMPARE]
        inside = {id(below) for node in compared for below in walk(node)}
        alone = [node for node in nodes if isinstance(node, (Name, Call, Delta)) and id(node) not in inside]
        found = {
            text(node): (text(node.left), node.sign, compiled(node.left), compiled(node.right)) for node in compared
        }
        return (*found.values(), *{text(node): (text(node), "", compiled(node), None) for node in alone}.values())

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ConditionError(f"{self._quote()}: nested deeper than {MAX_DEPTH}", self._place)

    def _or(self) -> Node:
        self._deeper()
        start = self._place
        left = self._and()
        while self._next("or"):
            right = self._and()
            left = Either((start, self._end), left, right)
        self.depth -= 1
        return left

    def _and(self) -> Node:
        start = self._place
        left = self._not()
        while self._next("and"):
            right = self._not()
            left = Both((start, self._end), left, right)
        return left

    def _not(self) -> Node:
        start, count = self._place, 0
        while self._next("not"):
            count += 1
        node = self._comparison()
        return Not((start, self._end), node) if count % 2 else node

    def _comparison(self) -> Node:
        start = self._place
        left = self._sum()
        sign = self._next(*COMPARE)
        if sign:
            right = self._sum()
            left = Binary((start, self._end), sign, left, right)
            if self._next(*COMPARE):
                self.at -= 1
                raise self._fail("'and' between two comparisons")
        return left

    def _sum(self) -> Node:
        start = self._place
        left = self._product()
        while sign := self._next("+", "-"):
            right = self._product()
            left = Binary((start, self._end), sign, left, right)
        return left

    def _product(self) -> Node:
        start = self._place
        left = self._unary()
        while sign := self._next("*", "/"):
            right = self._unary()
            left = Binary((start, self._end), sign, left, right)
        return left

    def _unary(self) -> Node:
        start, count = self._place, 0
        while self._next("-"):
            count += 1
        node = self._atom()
        return Negative((start, self._end), node) if count % 2 else node

    def _atom(self) -> Node:
        if self._next("("):
            node = self._or()
            self._close()
            return node
        if self.at >= len(self.tokens):
            raise self._fail("a number, a name or '('")
        token = self.tokens[self.at]
        if token.kind == "number":
            self.at += 1
            return Number((token.at, self._end), float(token.text))
        if token.kind != "name" or token.text in ("and", "or", "not"):
            raise self._fail("a number, a name or '('")
        self.at += 1
        if self._next("("):
            return self._call(token)
        if token.text not in SCALARS:
            known = [*SCALARS, *(f"{name}(…)" for name in (*FUNCTIONS, *_VALUED))]
            raise ConditionError(f"{self._quote()}: unknown name {token.text!r}{_near(token.text, known)}", token.at)
        self._of_script(token, SCRIPT_SCALARS)
        return Name((token.at, self._end), token.text)

    def _of_script(self, token: _Token, known: tuple[str, ...]) -> None:
        if self.script and token.text not in known:
            raise ConditionError(
                f"{self._quote()}: {token.text} is not known of a script (known: {', '.join(known)})", token.at
            )

    def _close(self) -> None:
        if not self._next(")"):
            raise self._fail("')'")

    def _call(self, token: _Token) -> Node:
        name = token.text
        if name == "delta":
            return self._delta(token)
        if name in PLAIN:
            argument = self._or()
            self._close()
            return Plain((token.at, self._end), name, argument)
        if name not in FUNCTIONS:
            near = _near(name, [*FUNCTIONS, *_VALUED])
            raise ConditionError(f"{self._quote()}: unknown function {name!r}{near}", token.at)
        self._of_script(token, SCRIPT_FUNCTIONS)
        if self.at >= len(self.tokens) or self.tokens[self.at].kind != "text":
            raise self._fail('a layer\'s name in quotes, such as "dense1"')
        quoted = self.tokens[self.at]
        layer = quoted.text[1:-1]
        self.at += 1
        if self.layers is not None and layer not in self.layers:
            raise ConditionError(f"{self._quote()}: no layer {layer!r}{_near(layer, self.layers)}", quoted.at)
        self._close()
        return Call((token.at, self._end), name, layer)

    def _delta(self, token: _Token) -> Node:
        self._deeper()
        argument = self._sum()
        self.depth -= 1
        inner = next((node for node in walk(argument) if isinstance(node, (Call, Delta))), None)
        if inner is not None:
            what = self.text[slice(*inner.span)]
            raise ConditionError(
                f"{self._quote()}: delta takes what is known of each step (loss, lr, val_loss …), not {what}",
                inner.span[0],
            )
        if not self._next(","):
            raise self._fail("',' and a number of steps, as in delta(loss, 100)")
        place, number = self._place, self.tokens[self.at] if self.at < len(self.tokens) else None
        if number is None or number.kind != "number":
            raise self._fail("a number of steps")
        steps = float(number.text)
        if steps != int(steps) or not 1 <= steps <= MAX_DELTA:
            raise ConditionError(f"{self._quote()}: delta looks back 1 to {MAX_DELTA:,} whole steps", place)
        self.at += 1
        self._close()
        return Delta((token.at, self._end), argument, int(steps))


def _near(name: str, known: Iterable[str]) -> str:
    choices = list(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else f" (one of {', '.join(choices[:20])})"
