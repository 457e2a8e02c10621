"""Lets the tests of this folder import what lies beside them, and gives them one process that has torch already."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from script_runs import Scripts

_LINGER = "0.2"


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hubs of scripts that have ended need not wait for a face."""
    monkeypatch.setenv("BPTUI_LINGER", _LINGER)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    """Runs the plain scripts, each in a fork of one process that has imported torch."""
    before = os.environ.get("BPTUI_LINGER")
    os.environ["BPTUI_LINGER"] = _LINGER  # what that process starts has its environment
    try:
        runs = Scripts(tmp_path_factory.mktemp("scripts"))
    finally:
        if before is None:
            del os.environ["BPTUI_LINGER"]
        else:
            os.environ["BPTUI_LINGER"] = before
    with runs:
        yield runs
