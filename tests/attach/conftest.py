"""Lets the tests of this folder import what lies beside them, and gives them one process that has torch already."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from script_runs import Scripts

# Hubs of scripts that have ended need not wait for a face.
os.environ["BPTUI_LINGER"] = "0.2"


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    """Runs the plain scripts, each in a fork of one process that has imported torch."""
    with Scripts(tmp_path_factory.mktemp("scripts")) as runs:
        yield runs
