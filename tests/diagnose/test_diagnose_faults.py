"""The table of faults, and ``bptui explain``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from bptui.diagnose.faults import FAULTS, UnknownFault, explain

EXPLAIN = [sys.executable, "-m", "bptui", "explain"]


def test_every_row_says_everything_once() -> None:
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) == 45
    for fault in FAULTS:
        assert re.fullmatch(r"[a-z-]+", fault.id)
        assert all(fault) or fault.exact is False
        assert fault.what.endswith(".") and fault.evidence.endswith(".") and fault.fix.endswith(".")


def test_they_stand_in_the_order_of_blame() -> None:
    order = ["data", "wiring", "initialisation", "learning rate", "regularisation"]
    stages = [order.index(fault.stage) for fault in FAULTS]
    assert stages == sorted(stages)


def test_what_the_rules_find_is_explained() -> None:
    from bptui.diagnose.dead_relu import DeadRelu
    from bptui.diagnose.non_finite import NonFinite

    for rule in (DeadRelu, NonFinite):
        assert explain(rule.fault).id == rule.fault


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dead-rely", "dead-relu"), ("learning", ""), ("softmax", "double-softmax"), ("lr_too_hi", "lr-too-high")],
)
def test_an_unknown_fault_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownFault) as refused:
        explain(name)
    assert (f"did you mean '{nearest}'" in str(refused.value)) is bool(nearest)


def test_the_command() -> None:
    said = subprocess.run([*EXPLAIN, "Dead_ReLU"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("dead-relu\n") and "evidence" in said and "leaky_relu" in said
    assert json.loads(
        subprocess.run([*EXPLAIN, "overfit", "--json"], capture_output=True, text=True, check=True).stdout
    )["stage"]
    every = subprocess.run(EXPLAIN, capture_output=True, text=True, check=True).stdout
    assert all(f"  {fault.id} " in every for fault in FAULTS)
    wrong = subprocess.run([*EXPLAIN, "overfitt"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "did you mean 'overfit'?" in wrong.stderr
