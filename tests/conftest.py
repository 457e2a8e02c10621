"""What all tests share: runs in a folder of their own, and nothing left running."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from left_running import end_left_running

# A shell's background job ignores SIGINT, one under nohup SIGHUP, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("bptui", deadline=None, print_blob=True)
settings.load_profile("bptui")

# Short, as it holds Unix sockets, whose paths are limited to some hundred bytes.
_home = tempfile.mkdtemp(prefix="bpt-")
os.environ["BPTUI_HOME"] = f"{_home}/home"
os.environ["XDG_RUNTIME_DIR"] = f"{_home}/run"
os.environ["XDG_STATE_HOME"] = f"{_home}/state"
os.environ["XDG_CONFIG_HOME"] = f"{_home}/config"
os.environ["XDG_CACHE_HOME"] = f"{_home}/cache"
os.mkdir(os.environ["XDG_RUNTIME_DIR"], 0o700)

# Threads of BLAS and torch wait for each other: on a machine that is busy they make a test up to twenty times slower.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# What tests start imports this checkout, whether it is installed or not.
_paths = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(_paths)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``-n``, what runs in a terminal stays in one worker: two at once would wait for each other's processor."""
    for item in items:
        if "terminal" in item.path.relative_to(item.config.rootpath).parts:
            item.add_marker(pytest.mark.xdist_group("terminal"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the hubs and trainers that tests have left, and names them: they may be a fault of the program."""
    left = end_left_running(_home)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for command in left:
        if reporter is not None:
            reporter.write_line(f"left running by a test, killed: {command}", yellow=True)
    shutil.rmtree(_home, ignore_errors=True)
