"""``run.json``: what a run is, written whole each time (temporary name, fsync, rename)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

SCHEMA = 1


class RunError(ValueError):
    """A run directory that is missing, unreadable or damaged; the text is one line for the user."""


class Parent(msgspec.Struct, frozen=True):
    """Where a branch left its parent."""

    run: str
    step: int


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``run.json``. Fields that are not known yet are empty."""

    schema: int = SCHEMA
    id: str
    title: str
    created: float
    """Seconds since the epoch."""
    mode: str = "train"
    """``train``: bptui's own trainer. ``script``: a user's script."""
    interactive: bool = False
    """A TUI started it: it begins READY, waits at DONE, and ends with its last face if it never made a step."""
    spec: dict[str, Any] = {}
    """The experiment, defaults filled in."""
    engine: str = "auto"
    """As asked for; what was chosen stands in ``actual``."""
    device: str = "auto"
    pace: float = 0.0
    probe_budget: float = 0.03
    keyframe_budget: int = 256 << 20
    """Bytes that keyframes may take on disk."""
    breaks: tuple[str, ...] = ()
    """Conditions that pause the run when they come to hold."""
    hold_on_error: bool = False
    """A script that raises stands still (HELD) until someone has looked."""
    until: str = ""
    """A condition (``expr``) that ends the run; ended before it held, the run's exit status is 1."""
    data_dirs: tuple[str, ...] = ()
    weights: str = ""
    """The safetensors file with the initial weights; empty: they are drawn."""
    weights_partial: bool = False
    """Only the layers whose name and shape fit are taken from it; the others are drawn."""
    argv: tuple[str, ...] = ()
    cwd: str = ""
    host: str = ""
    boot_id: str = ""
    versions: dict[str, str] = {}
    actual: dict[str, Any] = {}
    """The trainer's META record: engine, device, dtype, layers, threads, BLAS, CPU, determinism …"""
    trainer_pid: int = 0
    trainer_start: float = 0.0
    """Start time of the trainer's process (clock ticks since boot): a pid alone may be another process by now."""
    hub_pid: int = 0
    hub_start: float = 0.0
    address: str = ""
    """The hub's socket."""
    trainer_address: str = ""
    """The trainer's socket, which it looks at when the ring's flag is up."""
    parent: Parent | None = None
    running: bool = False
    """A branch: it runs on as soon as it has come to its step, else it is paused there."""
    end: dict[str, Any] | None = None
    """The trainer's END record: reason, code, error, step."""


def read_info(run: Path) -> RunInfo:
    """The run's ``run.json``; RunError in one line if it is not there or not one."""
    path = run / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunInfo)
    except FileNotFoundError:
        raise RunError(f"{run}: not a run (no run.json)") from None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({error})") from None


def write_info(run: Path, info: RunInfo) -> None:
    write_whole(run / "run.json", msgspec.json.format(msgspec.json.encode(info), indent=1))


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves either the old or the new one, never half."""
    import tempfile  # late: a screen that only reads has no use for it

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_output(path: Path, data: bytes) -> None:
    """Write a file that a user named: whole or not at all, through symbolic links, and with the rights it had.

    What is no regular file (``/dev/stdout``, a FIFO) is written to, not replaced. A new file has the rights that
    the umask leaves. Raises OSError, which names ``path``.
    """
    try:
        _write_output(path, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _write_output(path: Path, data: bytes) -> None:
    import tempfile

    if path.exists() and not path.is_file():
        with open(path, "wb") as device:
            device.write(data)
        return
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_mask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def process_start(pid: int) -> float:
    """Start time of a process in clock ticks since boot (Linux), else 0; with the pid it names one process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2 :].split()
        return 0.0 if fields[0] == "Z" else float(fields[19])
    except (OSError, ValueError, IndexError):
        return 0.0


def alive(pid: int, start: float) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    if pid <= 0:
        return False
    if Path("/proc").is_dir() and Path("/proc/self/stat").exists():
        now = process_start(pid)
        return now > 0 and (start == 0 or now == start)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
