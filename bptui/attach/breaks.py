"""``--break`` on a script: conditions on loss, step, lr and on what is sampled of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bptui.expr import Condition, parse
from bptui.expr.language import FUNCTIONS
from bptui.runs.records import TABLE_COLUMNS

if TYPE_CHECKING:
    from bptui.attach.sampling import Sampler


class Hit(NamedTuple):
    """The condition that came to hold, and the same with the values of its parts."""

    text: str
    said: str


class Breaks:
    """Armed conditions; true where there are any. One that holds does not hit again until it has ceased to."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._held: dict[Condition, bool] = {parse(text): False for text in texts}
        self.of_layers = any(condition.calls for condition in self._held)
        """Some are about a layer: every update must be sampled, or the very step would be missed."""
        self.unknown: list[str] = []
        """Layers that conditions name and the script has not."""

    def __bool__(self) -> bool:
        return bool(self._held)

    def bind(self, layers: Iterable[str]) -> None:
        """The script's layers are known: a condition that names none of them will never hold, which is told."""
        names = set(layers)
        self.unknown = sorted({layer for one in self._held for _, layer in one.calls if layer not in names})

    def hit(
        self, scalars: Mapping[str, float | None], functions: Mapping[str, Callable[[str], float | None]]
    ) -> Hit | None:
        found = None
        for condition, held in self._held.items():
            try:
                holds = condition.holds(scalars, functions)
            except KeyError:  # a layer that has not been called yet
                continue
            self._held[condition] = holds
            if holds and not held and found is None:
                parts = {name: scalars.get(name) for name in sorted(condition.names)}
                parts |= {f'{name}("{layer}")': functions[name](layer) for name, layer in condition.calls}
                values = ", ".join(f"{name} = {value:.6g}" for name, value in parts.items() if value is not None)
                found = Hit(condition.text, f"{condition.text}  ({values})" if values else condition.text)
        return found

    @staticmethod
    def functions(sampler: Sampler) -> dict[str, Callable[[str], float | None]]:
        """The language's functions of a layer, over the values of the update under way."""

        def column(name: str) -> Callable[[str], float | None]:
            def value(layer: str) -> float | None:
                found = sampler.rows.by_name[layer].values.get(name)
                return None if found is None else float(found)

            return value

        def dead(layer: str) -> float | None:
            row = sampler.rows.by_name[layer]
            return None if row.dead is None or not row.units else len(row.dead) / row.units

        return {name: column(name) for name in FUNCTIONS if name in TABLE_COLUMNS} | {"dead": dead}
