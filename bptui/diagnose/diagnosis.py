"""All rules over one run."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import bptui.diagnose
from bptui.diagnose.rule import Finding, Model, Rule, Stage, Table
from bptui.runs.records import TABLE_COLUMNS

_SEVERITIES = ("error", "warning", "info")


def rules() -> tuple[type[Rule], ...]:
    """Every rule in this package: a new one is a new file, and nothing else changes."""
    found: dict[str, type[Rule]] = {}
    for module in pkgutil.iter_modules(bptui.diagnose.__path__):
        for _, kind in inspect.getmembers(importlib.import_module(f"bptui.diagnose.{module.name}"), inspect.isclass):
            if issubclass(kind, Rule) and kind is not Rule:
                found[kind.fault] = kind
    return tuple(kind for _, kind in sorted(found.items(), key=lambda entry: (entry[1].stage, entry[0])))


class Diagnosis:
    """Feeds the rules and puts their findings in order, root cause first."""

    def __init__(self, model: Model | None = None) -> None:
        self.model = model or Model()
        self._rules = [kind() for kind in rules()]
        self._last_table = 0

    def table(self, step: int, values: npt.NDArray[np.float32]) -> None:
        """A per-layer table, (layers, ``records.TABLE_COLUMNS``)."""
        columns = {name: values[:, index] for index, name in enumerate(TABLE_COLUMNS)}
        table = Table(step, min(self._last_table, step), columns)
        self._last_table = step
        for rule in self._rules:
            rule.table(table, self.model)

    def losses(self, step: int, values: npt.NDArray[np.float64]) -> None:
        for rule in self._rules:
            rule.losses(step, values, self.model)

    def fact(self, step: int, fact: Mapping[str, Any]) -> None:
        for rule in self._rules:
            rule.fact(step, fact, self.model)

    def restore(self, findings: tuple[Finding, ...]) -> None:
        """Go on from what an earlier hub had found."""
        for rule in self._rules:
            rule.findings.update({found.layer: found for found in findings if found.fault == rule.fault})

    def findings(self) -> tuple[Finding, ...]:
        """By stage of blame, then severity, first step, and place in the network from its input on."""
        place = {name: index for index, name in enumerate(self.model.layers)}

        def order(entry: tuple[Stage, Finding]) -> tuple[int, int, int, int]:
            stage, finding = entry
            where = place.get(finding.layer or "", -1)
            return stage, _SEVERITIES.index(finding.severity), finding.first_step, where

        found = [(rule.stage, finding) for rule in self._rules for finding in rule.findings.values()]
        return tuple(finding for _, finding in sorted(found, key=order))
