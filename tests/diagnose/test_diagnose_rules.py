"""Findings from recorded statistics: raised when the evidence holds, gone when it does not, in order."""

from __future__ import annotations

import numpy as np
import pytest

from bptui.diagnose.diagnosis import Diagnosis, rules
from bptui.diagnose.rule import Model
from bptui.runs.findings import encode, read_findings
from bptui.runs.records import TABLE_COLUMNS

MODEL = Model(layers=("dense1", "dense2", "dense3"), epoch_samples=50_000)


def table(*rows: tuple[float, float, float]) -> np.ndarray:
    values = np.zeros((len(rows), len(TABLE_COLUMNS)), np.float32)
    values[:, [TABLE_COLUMNS.index(name) for name in ("dead", "units", "seen")]] = rows
    return values


def test_every_rule_is_found_by_its_file():
    assert {rule.fault for rule in rules()} >= {"dead-relu", "non-finite"}


def test_dead_units_are_named_with_bound_and_interval():
    diagnosis = Diagnosis(MODEL)
    diagnosis.table(100, table((0, 32, 6400), (1, 16, 6400), (-1, 10, 6400)))
    assert diagnosis.findings() == ()
    diagnosis.table(200, table((0, 32, 6400), (14, 16, 6400), (-1, 10, 6400)))
    (finding,) = diagnosis.findings()
    assert (finding.fault, finding.layer, finding.severity) == ("dead-relu", "dense2", "warning")
    assert (finding.not_before, finding.first_step) == (100, 200)
    assert "14 of 16 units of dense2" in finding.message and "6,400" in finding.message
    assert finding.evidence["bound"] == pytest.approx(3 / 6400)
    diagnosis.fact(210, {"fact": "dead-units", "layer": "dense2", "units": [3, 1, 2]})
    assert diagnosis.findings()[0].units == (1, 2, 3)
    diagnosis.table(300, table((0, 32, 9600), (15, 16, 9600), (-1, 10, 9600)))
    (finding,) = diagnosis.findings()
    assert finding.first_step == 200 and finding.evidence["dead"] == 15
    diagnosis.table(400, table((0, 32, 9600), (1, 16, 9600), (-1, 10, 9600)))
    assert diagnosis.findings() == ()


@pytest.mark.parametrize(("counts", "raised"), [
    ((3, 3, 3), False),  # silent from the start, and it learns
    ((1, 2, 6), False),  # loses units, but they may come back
    ((1, 6, 6), True),  # and do not
    ((11, 11, 11), True),  # most of the layer
])  # fmt: skip
def test_a_network_that_learns_may_have_silent_units_but_not_lose_them(counts, raised):
    diagnosis = Diagnosis(Model(("dense1",), 5000))
    for turn, dead in enumerate(counts):
        diagnosis.losses(100 * turn, np.linspace(2 - turn / 2, 1.5 - turn / 2, 100))
        diagnosis.table(100 * turn + 100, table((dead, 20, 5000)))
    assert bool(diagnosis.findings()) == raised
    for turn in range(3, 9):  # it stops learning
        diagnosis.losses(100 * turn, np.full(100, 2.0))
    diagnosis.table(900, table((counts[-1], 20, 5000)))
    assert diagnosis.findings()


def test_units_named_before_they_are_a_finding_are_remembered():
    diagnosis = Diagnosis(MODEL)
    diagnosis.fact(100, {"fact": "dead-units", "layer": "dense1", "units": [5, 4]})
    diagnosis.table(200, table((2, 16, 6400)))
    assert diagnosis.findings()[0].units == (4, 5)


@pytest.mark.parametrize(("dead", "units", "seen", "epoch", "raised"), [
    (2, 20, 5000, 0, False),  # a tenth is not more than a tenth
    (3, 20, 5000, 0, True),
    (3, 20, 2999, 0, False),  # too few samples
    (3, 20, 1437, 1437, True),  # a whole epoch of a small set
    (3, 20, 1000, 1437, False),
    (float("nan"), 20, 5000, 0, False),
    (-1, 20, 5000, 0, False),
    (0, 0, 5000, 0, False),
])  # fmt: skip
def test_dead_relu_thresholds(dead, units, seen, epoch, raised):
    diagnosis = Diagnosis(Model(("dense1",), epoch))
    diagnosis.table(10, table((dead, units, seen)))
    assert bool(diagnosis.findings()) == raised


def test_non_finite_names_operation_and_layer():
    diagnosis = Diagnosis(MODEL)
    diagnosis.losses(40, np.array([1.0, 2.0, np.nan, np.inf]))
    (finding,) = diagnosis.findings()
    assert (finding.fault, finding.layer, finding.first_step, finding.severity) == ("non-finite", None, 42, "error")
    diagnosis.fact(42, {"fact": "non-finite", "layer": "dense2", "op": "forward", "step": 41, "not_before": 30})
    (finding,) = diagnosis.findings()
    assert (finding.layer, finding.first_step, finding.not_before) == ("dense2", 41, 30)
    assert "forward" in finding.message and "dense2" in finding.message
    diagnosis.fact(50, {"fact": "non-finite", "layer": "dense2", "op": "backward", "step": 50})
    diagnosis.losses(51, np.array([np.nan]))
    assert diagnosis.findings() == (finding,)


def test_errors_come_before_warnings_of_the_same_stage():
    diagnosis = Diagnosis(MODEL)
    diagnosis.table(10, table((30, 32, 9000)))
    diagnosis.losses(20, np.array([np.inf]))
    assert [finding.fault for finding in diagnosis.findings()] == ["non-finite", "dead-relu"]


def test_any_fact_is_harmless():
    diagnosis = Diagnosis(MODEL)
    for fact in ({}, {"fact": 3}, {"fact": "non-finite", "step": "x"}, {"fact": "dead-units", "layer": [1]}):
        diagnosis.fact(1, fact)
    assert all(finding.first_step == 1 for finding in diagnosis.findings())


def test_the_last_line_of_a_finding_counts(tmp_path):
    diagnosis = Diagnosis(MODEL)
    diagnosis.table(10, table((30, 32, 9000), (16, 16, 9000)))
    one, two = diagnosis.findings()
    lines = [encode(one, 1), encode(two, 0), b"torn {", b"\n", encode(one, 0, withdrawn=True)]
    (tmp_path / "findings.jsonl").write_bytes(b"".join(lines[:2]))
    assert read_findings(tmp_path) == (two, one)
    (tmp_path / "findings.jsonl").write_bytes(b"".join(lines) + b'{"fault": "dead-relu"')
    assert read_findings(tmp_path) == (two,)
    again = Diagnosis(MODEL)
    again.restore((two,))
    assert again.findings() == (two,)
