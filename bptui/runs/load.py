"""A run as its files tell it, also where its processes were killed before everything was filed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bptui.runs.digest import Digest
from bptui.runs.history import History
from bptui.runs.info import RunInfo, read_info
from bptui.runs.logfile import extent
from bptui.runs.output import tail_lines
from bptui.runs.processes import lives
from bptui.runs.reader import RingReader
from bptui.runs.ring import Ring, RingError

PIECE_BYTES = 256 << 10


class Ended(msgspec.Struct, frozen=True):
    """How a run ended, as in run.json and the report."""

    reason: str = "crashed"
    """``completed``, ``until``, ``stopped``, ``failed`` or ``crashed``; ``running`` while it has not ended."""
    code: int = 1
    error: str | None = None
    step: int = 0
    note: str = ""
    """Of a script: why there is little or nothing to see, where that is so."""


class Loaded(NamedTuple):
    """What the files of a run hold."""

    info: RunInfo
    digest: Digest
    """What was said last: of the records that no hub filed, and what ``run.json`` keeps."""
    scalars: Path
    size: int
    """Good bytes of ``scalars``."""
    unfiled: bytes
    """Blocks that follow them: what no hub filed."""

    def log(self) -> Iterator[bytes]:
        """The whole log in pieces."""
        if self.size:
            with open(self.scalars, "rb") as file:
                left = self.size
                while left and (piece := file.read(min(PIECE_BYTES, left))):
                    left -= len(piece)
                    yield piece
        for at in range(0, len(self.unfiled), PIECE_BYTES):
            yield self.unfiled[at : at + PIECE_BYTES]

    def history(self) -> History:
        history = History()
        for piece in self.log():
            history.feed(piece)
        return history


def load(run: Path) -> Loaded:
    """Read a run from its files alone; nothing is changed. RunError if there is no readable run.json."""
    info = read_info(run)
    scalars = run / "scalars"
    size, position = extent(scalars)
    digest = Digest()
    unfiled = []
    try:
        ring = Ring(run / "ring", writable=False)
    except (OSError, RingError, ValueError):
        ring = None  # a damaged ring costs only what was in it
    if ring is not None:
        try:
            digest.state, digest.step = ring.state, ring.step
            reader = RingReader(ring, position, owner=False)
            while data := reader.take():
                unfiled.append(digest.feed(data))
                reader.used(digest.consumed)
            digest.step = max(digest.step, ring.step)
        except RingError:
            pass
        finally:
            ring.close()
    if digest.meta is None and info.actual:
        digest.meta = info.actual
    if digest.end is None:
        digest.end = info.end
    return Loaded(info, digest, scalars, size, b"".join(unfiled))


def ended(run: Path, loaded: Loaded) -> Ended:
    """How the run ended; ``crashed`` where its trainer is gone without a word."""
    end = loaded.digest.end
    if end is not None:
        try:
            return msgspec.convert(end, Ended, strict=False)
        except msgspec.ValidationError:
            return Ended("failed", 1, str(end)[:200], loaded.digest.step)
    if lives(loaded.info, "trainer", run):
        return Ended("running", 0, None, loaded.digest.step)
    return Ended("crashed", 1, crash_text(run), loaded.digest.step)


def crash_text(run: Path, status: int | None = None) -> str:
    """One line on a trainer that ended without a word: its signal, or the last line it wrote."""
    if status is not None and status < 0:
        import signal

        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    lines = [line for line in tail_lines(run / "trainer.log", lines=20) if line.strip()]
    how = "" if status is None else f" (exit status {status})"
    return f"ended without a word{how}" + (f": {lines[-1].strip()}" if lines else "")
