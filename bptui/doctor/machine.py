"""Python, torch, CUDA, disk, folders, data."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bptui.doctor.fact import Fact, Level

#: Importing torch from a cold network disk can take this long.
TORCH_SECONDS = 60.0
_MEGABYTE = 1 << 20
_ASK_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "version": torch.__version__, "cuda": cuda, "built_for": torch.version.cuda or "",
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
    "mps": torch.backends.mps.is_available(),
}))
"""


def facts(environment: Mapping[str, str]) -> list[Fact]:
    found = [_python(), _bptui(), _numpy(), *torch(), *_folders(), _config(), _data()]
    return found


def _python() -> Fact:
    return _fact("python", "ok", f"{platform.python_version()} ({sys.executable}) on {platform.platform(terse=True)}")


def _bptui() -> Fact:
    from importlib.metadata import PackageNotFoundError, version

    from bptui import __version__

    try:
        return _fact("bptui", "ok", f"{__version__}, textual {version('textual')}, msgspec {version('msgspec')}")
    except PackageNotFoundError as missing:
        return _fact("bptui", "problem", f"{__version__}; {missing.name} is not installed", "pip install bptui again")


def _numpy() -> Fact:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return _fact("numpy", "ok", version("numpy"))
    except PackageNotFoundError:
        return _fact("numpy", "problem", "not installed", "pip install numpy")


def torch(command: str = sys.executable, seconds: float = TORCH_SECONDS) -> list[Fact]:
    """Asked in a process of its own: importing it takes seconds and memory, and may crash."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return [_fact("torch", "ok", "not installed: the NumPy engine trains",
                      "pip install 'bptui[torch]' for GPUs and for 'bptui run'")]  # fmt: skip
    try:
        done = subprocess.run(
            [command, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=seconds, check=False,
            env={**os.environ, "CUDA_MODULE_LOADING": "LAZY"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [_fact("torch", "warn", f"importing it took longer than {seconds:g} s", "use --engine numpy")]
    except OSError as error:
        return [_fact("torch", "warn", f"could not be asked: {error.strerror}")]
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return [_fact("torch", "problem", f"cannot be imported: {last[:200]}",
                      "install torch again, or use --engine numpy")]  # fmt: skip
    found = [_fact("torch", "ok", said["version"])]
    if said["cuda"]:
        found.append(_fact("cuda", "ok", f"{said['built_for']}: {', '.join(said['devices'])}"))
    elif said["built_for"]:
        found.append(_fact("cuda", "warn", f"torch is built for CUDA {said['built_for']} but finds no device",
                           "look at nvidia-smi and CUDA_VISIBLE_DEVICES"))  # fmt: skip
    else:
        found.append(_fact("cuda", "ok", "none; torch runs on the CPU" + (" and on MPS" if said["mps"] else "")))
    return found


def _folders() -> list[Fact]:
    from bptui.runs.info import RunError
    from bptui.runs.paths import home, make_runs_root, socket_folder

    found = []
    place = home()
    try:
        make_runs_root()
        found.append(_fact("runs", "ok", str(place)))
    except RunError as error:
        found.append(_fact("runs", "problem", str(error), "set BPTUI_HOME to a folder that you can write"))
    there = next((folder for folder in (place, *place.parents) if folder.is_dir()), Path("/"))
    found.append(disk(place, shutil.disk_usage(there).free))
    try:
        found.append(_fact("sockets", "ok", str(socket_folder())))
    except RunError as error:
        found.append(_fact("sockets", "problem", str(error), "set XDG_RUNTIME_DIR to a short folder of your own"))
    return found


def disk(place: Path, free: int) -> Fact:
    """``free`` bytes where runs are kept; a run of a day takes some hundred megabytes."""
    value = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < 64 * _MEGABYTE:
        return _fact("disk", "problem", value, "make room, or set BPTUI_HOME to another disk")
    if free < 1024 * _MEGABYTE:
        return _fact("disk", "warn", value, "long runs keep some hundred megabytes: 'bptui ls' shows what there is")
    return _fact("disk", "ok", value)


def _config() -> Fact:
    from bptui.tui.config import ConfigError, config_path, read_config

    path = config_path()
    try:
        read_config(path)
    except ConfigError as error:
        return _fact("settings", "problem", str(error), "mend or remove the file")
    return _fact("settings", "ok", str(path) if path.exists() else f"none ({path})")


def _data() -> Fact:
    from bptui.data.catalogue import entries

    try:
        found = entries([])
    except (OSError, ValueError) as error:
        return _fact("datasets", "warn", str(error))
    there = [entry.name for entry in found if entry.where is not None]
    missing = [entry.name for entry in found if entry.where is None and "fetch" in entry.how]
    advice = f"'bptui datasets fetch NAME' gets {', '.join(missing)}" if missing else ""
    return _fact("datasets", "ok", ", ".join(there), advice)


def _fact(name: str, level: Level, value: str, advice: str = "") -> Fact:
    return Fact("machine", name, level, value, advice)
