"""Where runs and sockets lie."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from bptui.runs.info import RunError

SOCKET_BYTES = 104
"""Longest path of a Unix socket that every system takes (108 on Linux, 104 on macOS), its NUL included."""


def home() -> Path:
    """``$BPTUI_HOME``, else ``$XDG_STATE_HOME/bptui``, else ``~/.local/state/bptui``."""
    if own := os.environ.get("BPTUI_HOME"):
        return Path(own).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is invalid and ignored.
    root = Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()
    return root / "bptui"


def runs_root() -> Path:
    """The folder of all runs; it need not exist yet."""
    return home() / "runs"


def make_runs_root() -> Path:
    """The folder of all runs, made and writable; RunError in one line names the folder if it cannot be."""
    root = runs_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root))
    except OSError as error:
        raise RunError(f"{root}: cannot write runs here ({error.strerror}); set BPTUI_HOME to another folder") from None
    return root


def new_id(name: str) -> str:
    """``20261123-134500-digits-3fa2``: sorts by time, reads as a name, and is a plain file name."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24].rstrip("-") or "run"
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(2)}"


def socket_folder() -> Path:
    """``$XDG_RUNTIME_DIR/bptui``, or a folder of this user alone under the temporary directory, 0700.

    RunError if someone else owns the folder, or it is not a folder, or no place is short enough for a socket.
    """
    import tempfile  # late: before the first frame nobody asks for a socket

    uid = os.getuid()
    places = []
    if os.path.isabs(runtime := os.environ.get("XDG_RUNTIME_DIR", "")):
        places.append(Path(runtime) / "bptui")
    places += [Path(tempfile.gettempdir()) / f"bptui-{uid}", Path("/tmp") / f"bptui-{uid}"]
    problem = f"{places[0]}: too long a path for a socket"
    for place in places:
        if len(os.fsencode(place)) + 20 >= SOCKET_BYTES:
            continue
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            found = place.lstat()
        except OSError as error:
            problem = f"{place}: {error.strerror}"
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
            problem = f"{place}: not a folder of this user; bptui puts its sockets there"
            continue
        if found.st_mode & 0o077:
            place.chmod(0o700)
        return place
    raise RunError(problem)


def socket_addresses(run: Path) -> tuple[str, str]:
    """Addresses of the hub's and of the trainer's socket of a run."""
    folder = socket_folder()
    digest = hashlib.sha256(os.fsencode(run.resolve())).hexdigest()[:12]
    return str(folder / f"{digest}.h"), str(folder / f"{digest}.t")


def remove_socket(address: str) -> None:
    """Remove a socket that nobody listens on any more; anything but a socket is left alone."""
    with contextlib.suppress(OSError):
        if address and stat.S_ISSOCK(os.lstat(address).st_mode):
            os.unlink(address)


@contextlib.contextmanager
def whole(folder: Path, failure: str) -> Iterator[None]:
    """What is made in ``folder`` is whole or is nothing: whatever goes wrong inside, the folder goes with it.

    A disk that does not take it is a RunError in one line that begins with ``failure``.
    """
    try:
        yield
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise RunError(f"{failure}: {error.strerror or error}") from None
        raise
