"""Breakpoints of a script: conditions on loss, step, lr and what is sampled of layers, armed live or at its start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bptui.expr import Condition, ConditionError, parse
from bptui.expr.armed import MOST_ARMED, Watched, armed_anew
from bptui.expr.language import FUNCTIONS, Remembered, Scalars, said
from bptui.protocol.messages import Armed, CheckedRow, PartRow
from bptui.runs.records import TABLE_COLUMNS

if TYPE_CHECKING:
    from bptui.attach.sampling import Sampler

LayerFunctions = Mapping[str, Callable[[str], float | None]]


class Hit(NamedTuple):
    """The condition that came to hold, and the same with the values of its parts."""

    text: str
    said: str


class Breaks:
    """Armed conditions; true where one is looked at. One that holds does not hit again until it has ceased to."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._all = [Watched(parse(text, script=True)) for text in texts]
        self._past = Remembered(0)
        self.unknown: list[str] = []
        """Layers that conditions name and the script has not."""
        self._settle()

    def arm(self, conditions: Sequence[Armed], layers: Iterable[str]) -> None:
        """These from now on; ConditionError, and nothing changed, where one cannot be read."""
        names = tuple(layers)
        self._all = armed_anew(
            conditions, self._all, lambda text: parse(text, layers=names, script=True), Watched
        )  # fmt: skip
        self._settle()
        self.bind(names)

    def _settle(self) -> None:
        self._enabled = [one for one in self._all if one.enabled]
        self.of_layers = any(one.condition.calls for one in self._enabled)
        """Some are about a layer: every update must be sampled, or the very step would be missed."""
        reach = max((one.condition.reach for one in self._enabled), default=0)
        if reach != self._past.reach:
            self._past = Remembered(reach)

    def __bool__(self) -> bool:
        return bool(self._enabled)

    @property
    def armed(self) -> tuple[Armed, ...]:
        return tuple(Armed(one.condition.text, one.enabled) for one in self._all)

    def bind(self, layers: Iterable[str]) -> None:
        """The script's layers are known: a condition that names none of them will never hold, which is told."""
        names = set(layers)
        calls = (call for one in self._enabled for call in one.condition.calls)
        self.unknown = sorted({layer for _, layer in calls if layer not in names})

    # -- looking -----------------------------------------------------------------------------------
    def hit(self, scalars: Scalars, functions: LayerFunctions) -> Hit | None:
        """The first that has come to hold in the update under way. To be asked once an update."""
        self._past.add(scalars)
        found = None
        for one in self._enabled:
            holds = one.condition.holds(scalars, functions, self._past)
            if holds and not one.held and found is None:
                found = Hit(one.condition.text, said(one.condition, scalars, functions, self._past))
            one.held = holds
        return found

    def check(
        self, texts: Sequence[str], scalars: Scalars, functions: LayerFunctions, layers: Iterable[str]
    ) -> tuple[tuple[CheckedRow, ...], tuple[CheckedRow, ...]]:
        """What conditions are now: those of ``texts``, then the armed ones."""
        names = tuple(layers)

        def row(condition: Condition, every: int = 0) -> CheckedRow:
            parts = condition.parts(scalars, functions, self._past)
            return CheckedRow(
                condition.text, condition.value(scalars, functions, self._past),
                tuple(PartRow(part.words, part.value, part.limit, part.holds) for part in parts),
                every=every,
            )  # fmt: skip

        def tried(text: str) -> CheckedRow:
            try:
                return row(parse(text, layers=names, script=True))
            except ConditionError as error:
                return CheckedRow(text, error=str(error), at=error.at)

        return tuple(map(tried, texts[:MOST_ARMED])), tuple(row(one.condition, int(one.enabled)) for one in self._all)


def functions(sampler: Sampler) -> dict[str, Callable[[str], float | None]]:
    """The language's functions of a layer: of the update under way where it is sampled, else as last known.

    None of a layer that the script has not, or has not called yet.
    """

    def column(name: str) -> Callable[[str], float | None]:
        def value(layer: str) -> float | None:
            row = sampler.rows.by_name.get(layer)
            found = None if row is None else row.values.get(name)
            return sampler.known(layer, name) if found is None else float(found)

        return value

    def dead(layer: str) -> float | None:
        row = sampler.rows.by_name.get(layer)
        return None if row is None or row.dead is None or not row.units else len(row.dead) / row.units

    return {name: column(name) for name in FUNCTIONS if name in TABLE_COLUMNS} | {"dead": dead}
