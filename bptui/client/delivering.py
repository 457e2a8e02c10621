"""What a foreground command owes at the end of a run: ``--report FILE``, and the status that ``--fail-on`` asks for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bptui.runs.info import write_output
from bptui.runs.output import escape
from bptui.runs.report import encode, fails


def deliver(content: dict[str, Any], path: Path | None, fail_on: str | None) -> int:
    """Write the report to ``path``, if there is one; 1 where a finding is as bad as ``fail_on``, 2 where the file
    cannot be written, which is said in one line; else 0."""
    code = int(fails(content, fail_on))
    if path is not None:
        try:
            write_output(path, encode(content))
        except OSError as error:
            print(f"bptui: {escape(str(path))}: {error.strerror}", file=sys.stderr)
            return 2
    return code
