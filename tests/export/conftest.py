"""Small runs, really trained through the command line, in a home of their own."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from left_running import left_running

from bptui.cli import main

sys.path.insert(0, str(Path(__file__).parent))  # what one file of tests takes from another


@dataclass
class Told:
    """What one command line gave."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a module's runs."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BPTUI_HOME", str(folder))
        yield folder
    deadline = time.monotonic() + 20
    while left_running(folder) and time.monotonic() < deadline:  # a hub lingers for a moment
        time.sleep(0.05)


@pytest.fixture(scope="module")
def bptui(home: Path) -> Callable[..., Told]:
    """Runs a command line here."""

    def run(*words: object) -> Told:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(map(str, words)))
        return Told(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def train(bptui: Callable[..., Told], home: Path) -> Callable[..., Path]:
    """Trains, and gives the run's directory."""

    def run(*words: object) -> Path:
        before = set((home / "runs").glob("*"))
        told = bptui("train", *words, "--quiet")
        assert told.code == 0, told.out + told.err
        (directory,) = set((home / "runs").glob("*")) - before
        return directory

    return run


@pytest.fixture
def refused(bptui: Callable[..., Told], home: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs a command line that must be refused: status 2, one line, nothing written; gives the line."""

    def run(*words: object) -> str:
        before = set((home / "runs").glob("*")) | set(tmp_path.glob("*"))
        told = bptui(*words)
        assert told.code == 2, told.out + told.err
        assert len(told.err.strip().splitlines()) == 1, told.err
        assert not told.out
        assert set((home / "runs").glob("*")) | set(tmp_path.glob("*")) == before
        return told.err

    return run
