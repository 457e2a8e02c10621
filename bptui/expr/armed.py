"""Conditions that are armed: what both the trainer and a script do when their list becomes another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from bptui.expr.language import Condition, ConditionError

#: Most conditions at once.
MOST_ARMED = 100


class Armed(Protocol):
    """As ``protocol.messages.Armed``."""

    @property
    def text(self) -> str: ...
    @property
    def enabled(self) -> bool: ...


class Watched:
    """A condition, whether it is looked at, and whether it held the last time."""

    __slots__ = ("condition", "enabled", "held")

    def __init__(self, condition: Condition, enabled: bool = True, held: bool = False) -> None:
        self.condition, self.enabled, self.held = condition, enabled, held


Kind = TypeVar("Kind", bound=Watched)


def armed_anew(
    conditions: Sequence[Armed], before: Iterable[Kind], parsed: Callable[[str], Condition],
    made: Callable[[Condition, bool, bool], Kind],
) -> list[Kind]:  # fmt: skip
    """These, of a text the last one; what held and was looked at in the list ``before`` counts as having held.

    A condition that is there already is not read again: it may name a layer that is yet to be called. ConditionError,
    and nothing changed: too many, or one cannot be read.
    """
    if len(conditions) > MOST_ARMED:
        raise ConditionError(f"at most {MOST_ARMED} conditions")
    known, now = {one.condition.text: one for one in before}, []
    for each in {one.text: one for one in conditions}.values():
        old = known.get(each.text)
        condition = old.condition if old is not None else parsed(each.text)
        now.append(made(condition, each.enabled, old is not None and old.enabled and old.held))
    return now
