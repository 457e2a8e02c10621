"""What starts must start light: each claim is checked in a process of its own, over what it really imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules}))))
"""
HELP = 'import sys; sys.argv = ["bptui", "--help"]; from bptui.cli import main; sys.exit(main())'
VERSION = HELP.replace("--help", "--version")

HEAVY = {"torch", "scipy", "sklearn", "pandas", "onnx", "onnxruntime", "pyarrow", "matplotlib"}


def loaded_by(program: str, folder: Path) -> set[str]:
    """The top-level modules that ``program`` has loaded when it ends well."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED + program], capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("program", ["import bptui", HELP, VERSION], ids=["package", "help", "version"])
def test_the_package_and_its_help_load_next_to_nothing(program: str, tmp_path: Path) -> None:
    assert not loaded_by(program, tmp_path) & (HEAVY | {"numpy", "textual", "rich", "asyncio"})


@pytest.mark.parametrize("module", ["bptui.tui.app", "bptui.client.session", "bptui.client.launch"])
def test_a_face_loads_no_torch_and_its_numpy_comes_later(module: str, tmp_path: Path) -> None:
    assert not loaded_by(f"import {module}", tmp_path) & (HEAVY | {"numpy"})


def test_a_replay_sets_its_threads_before_numpy_reads_them(tmp_path: Path) -> None:
    assert "numpy" not in loaded_by("import bptui.engine.threads, bptui.commands.replay", tmp_path)


@pytest.mark.parametrize(
    "module", ["bptui.hub.server", "bptui.hub.__main__", "bptui.trainer.__main__", "bptui.diagnose", "bptui.engine"]
)
def test_hub_and_trainer_load_no_torch_by_themselves(module: str, tmp_path: Path) -> None:
    assert not loaded_by(f"import {module}", tmp_path) & HEAVY


def test_the_check_would_notice(tmp_path: Path) -> None:
    assert {"numpy", "json"} <= loaded_by("import numpy", tmp_path)
