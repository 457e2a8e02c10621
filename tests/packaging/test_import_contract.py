"""The import contract refuses what the architecture does not allow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = """
[importlinter]
root_package = parts
include_external_packages = True
contract_types =
    allowed: tests.packaging.import_contract.AllowedContract
[importlinter:contract:parts]
name = parts
type = allowed
root = parts
allowed =
    data -> spec.plain
    spec ->
confined =
    msgspec -> spec
"""

LINT = 'from importlinter.cli import lint_imports_command as lint; lint(["--no-cache", "--no-logo"])'


@pytest.mark.parametrize(
    ("part", "line", "kept"),
    [
        ("data", "from parts.spec import plain", True),
        ("data", "from parts.spec import other", False),
        ("data", "def late():\n    import parts.spec.other", False),
        ("spec", "from parts import data", False),
        ("newcomer", "from parts.spec import plain", False),
        ("data", "import msgspec", False),
        ("spec", "import msgspec", True),
        ("data", "import json", True),
    ],
)
def test_only_what_is_allowed_passes(part: str, line: str, kept: bool, tmp_path: Path) -> None:
    for name in ("", "data", "spec", "newcomer"):
        (tmp_path / "parts" / name).mkdir(exist_ok=True)
        (tmp_path / "parts" / name / "__init__.py").write_text("")
    (tmp_path / "parts" / "spec" / "plain.py").write_text("")
    (tmp_path / "parts" / "spec" / "other.py").write_text("")
    (tmp_path / "parts" / part / "subject.py").write_text(line)
    (tmp_path / ".importlinter").write_text(SETTINGS)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    lint = [sys.executable, "-c", LINT]
    done = subprocess.run(lint, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) is kept, done.stdout + done.stderr
    assert ("parts.subject" in done.stdout.replace(f"parts.{part}.", "parts.")) is not kept
