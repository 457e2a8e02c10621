"""``findings.jsonl``: a line for each change, a whole finding each; the last line of a finding counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that was found; ids as in the table of faults."""

    fault: str
    layer: str | None
    """None: the run as a whole."""
    units: tuple[int, ...] = ()
    severity: Literal["error", "warning", "info"]
    first_step: int
    """The first step at which the evidence held …"""
    not_before: int
    """… which, as not every step is looked at, may have begun after this one."""
    message: str
    evidence: dict[str, float | str]
    """Measured values beside their thresholds."""
    fix: str

    @property
    def key(self) -> tuple[str, str | None]:
        """What stays the same while a finding changes."""
        return self.fault, self.layer


def encode(finding: Finding, position: int, *, withdrawn: bool = False) -> bytes:
    """One line."""
    fields: dict[str, Any] = {**msgspec.to_builtins(finding), "position": position}
    if withdrawn:
        fields["withdrawn"] = True
    return msgspec.json.encode(fields) + b"\n"


def read_findings(run: Path) -> tuple[Finding, ...]:
    """The findings that stand, root cause first. Torn and damaged lines are passed over."""
    try:
        data = (run / "findings.jsonl").read_bytes()
    except OSError:
        return ()
    found: dict[tuple[str, str | None], tuple[int, Finding]] = {}
    for text in data.splitlines():
        try:
            fields = msgspec.json.decode(text, type=dict[str, Any])
            position = int(fields.pop("position", 0))
            withdrawn = bool(fields.pop("withdrawn", False))
            finding = msgspec.convert(fields, Finding)
        except (msgspec.DecodeError, TypeError, ValueError, RecursionError):
            continue
        found.pop(finding.key, None)
        if not withdrawn:
            found[finding.key] = position, finding
    return tuple(finding for _, finding in sorted(found.values(), key=lambda entry: entry[0]))
