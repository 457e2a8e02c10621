"""Breakpoints: conditions that pause the run when they come to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bptui.expr import Condition, parse
from bptui.expr.language import LayerFunction, Scalars

#: What may be another value after each update; a condition on anything else is looked at where that is measured.
EACH_STEP = frozenset({"loss", "step", "epoch", "lr"})


class Breakpoints:
    """Armed conditions. One that held the last time it was looked at does not hit again until it has ceased to."""

    def __init__(self, texts: Iterable[str], layers: Iterable[str]) -> None:
        names = list(layers)
        self._held: dict[Condition, bool] = {parse(text, layers=names): False for text in texts}
        self.each_step = any(condition.names & EACH_STEP for condition in self._held)
        """Whether the run must be looked at after each update."""

        self.of_layers = any(condition.calls for condition in self._held)
        """Whether any is about a layer, of which something must be measured."""

    def hit(self, scalars: Scalars, functions: Mapping[str, LayerFunction]) -> Condition | None:
        """The first condition that has come to hold."""
        found = None
        for condition, held in self._held.items():
            self._held[condition] = condition.holds(scalars, functions)
            if self._held[condition] and not held and found is None:
                found = condition
        return found


def said(condition: Condition, scalars: Scalars, functions: Mapping[str, LayerFunction]) -> str:
    """``loss > 3  (loss = 3.2)``: a condition with what its parts are."""
    values = {name: scalars.get(name) for name in sorted(condition.names)}
    for function, layer in condition.calls:
        if function in functions:
            values[f'{function}("{layer}")'] = functions[function](layer)
    parts = ", ".join(f"{name} = {value:.6g}" for name, value in values.items() if value is not None)
    return f"{condition.text}  ({parts})" if parts else condition.text
