"""The order of findings in a run's files: the root cause first, also where it came last."""

from __future__ import annotations

from pathlib import Path

from bptui.hub.recorder import Recorder
from bptui.runs.findings import Finding, read_findings


def finding(fault: str, layer: str) -> Finding:
    return Finding(
        fault=fault,
        layer=layer,
        units=(),
        severity="error",
        first_step=1,
        not_before=0,
        message="",
        evidence={},
        fix="",
    )


def test_a_root_cause_that_comes_later_stands_first(tmp_path: Path) -> None:
    recorder = Recorder.__new__(Recorder)  # the writing of findings alone, without a ring
    recorder._written, recorder._places, recorder._findings_at = {}, {}, 0.0

    def append(name: str, data: bytes) -> bool:
        with open(tmp_path / name, "ab") as file:
            file.write(data)
        return True

    recorder._append = append  # type: ignore[method-assign]
    first, second, cause = finding("dead-relu", "a"), finding("dead-relu", "b"), finding("non-finite", "c")
    recorder.findings = (first, second)
    recorder.write_findings()
    recorder.findings = (cause, first, second)
    recorder.write_findings()
    assert [found.layer for found in read_findings(tmp_path)] == ["c", "a", "b"]
    recorder.findings = (cause, second)
    recorder.write_findings()
    assert [found.layer for found in read_findings(tmp_path)] == ["c", "b"]
