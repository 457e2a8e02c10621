"""Runs the plain scripts: bare, under the oracle and under bptui, and says what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from features import Row

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
LIMIT = 120.0
"""Seconds for a script; the slowest takes two on a quiet machine."""


@dataclass(frozen=True)
class Ran:
    """How a script ended, and what it wrote."""

    status: int | None
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes]
    """What it left in its folder."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the oracle found."""

    @property
    def outcome(self) -> tuple[object, ...]:
        """What must be the same bare and observed."""
        return self.status, self.stdout, self.files


@dataclass(frozen=True)
class Wanted:
    """One run of a row's script: ``kind`` is bare, oracle or bptui; ``run`` a run directory, ``fault`` a probe."""

    row: Row
    kind: str
    run: Path | None = None
    fault: str = ""


class Scripts:
    """The process that has torch, and folders for the scripts to run in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._count = folder, 0
        self._ran: dict[tuple[str, str], Ran] = {}
        here, there = socket.socketpair()
        self._log = open(folder / "script_process.log", "wb")  # noqa: SIM115 (closed in close)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment.pop("PYTHONUNBUFFERED", None)  # what a script leaves in a buffer is a part of how it ends
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "script_process.py"), str(there.fileno())],
            pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=environment,
            start_new_session=True,
        )  # fmt: skip
        there.close()
        here.settimeout(3 * LIMIT)
        self._connection, self._replies = here, here.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._replies.close()
        self._connection.close()
        self._process.wait(LIMIT)
        self._log.close()

    def bare(self, row: Row) -> Ran:
        """The script by itself (run once, then remembered)."""
        return self._remembered(row, "bare")

    def truth(self, row: Row) -> Ran:
        """The script under the oracle (run once, then remembered)."""
        return self._remembered(row, "oracle")

    def prepare(self, row: Row) -> None:
        """Bare run and oracle's, side by side."""
        if (row.script, "bare") not in self._ran:
            bare, truth = self.run(Wanted(row, "bare"), Wanted(row, "oracle"))
            self._ran[row.script, "bare"], self._ran[row.script, "oracle"] = bare, truth

    def run(self, *wanted: Wanted) -> list[Ran]:
        """Each in a folder of its own, side by side."""
        jobs = [self._job(one) for one in wanted]
        self._connection.sendall(json.dumps(jobs).encode() + b"\n")
        reply = self._replies.readline()
        assert reply, (self.folder / "script_process.log").read_text(errors="replace")
        return [self._result(job, status) for job, status in zip(jobs, json.loads(reply), strict=True)]

    def place(self, row: Row) -> Path:
        """A folder of its own for a run of the script, with what it needs: ``cwd`` inside it."""
        self._count += 1
        place = self.folder / f"{self._count}"
        (place / "cwd").mkdir(parents=True)
        (place / "stdin").write_bytes(row.stdin)
        if row.words[0] == "-m":
            shutil.copytree(SCRIPTS / row.words[1], place / "cwd" / row.words[1])
        return place

    def command(self, words: Sequence[str | Path], row: Row) -> Ran:
        """A command in a process of its own, with the folder and standard files that a fork would have."""
        place = self.place(row)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment.pop("PYTHONUNBUFFERED", None)
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(place / name, mode)) for name, mode in (
                ("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))]  # fmt: skip
            done = subprocess.run(
                words, cwd=place / "cwd", stdin=files[0], stdout=files[1], stderr=files[2], env=environment,
                start_new_session=True, timeout=LIMIT, check=False,
            )  # fmt: skip
        written = [(place / name).read_bytes() for name in ("stdout", "stderr")]
        return Ran(done.returncode, *written, files_of(place / "cwd"))

    def _remembered(self, row: Row, kind: str) -> Ran:
        if (row.script, kind) not in self._ran:
            self._ran[row.script, kind] = self.run(Wanted(row, kind))[0]
        return self._ran[row.script, kind]

    def _job(self, wanted: Wanted) -> dict[str, Any]:
        place = self.place(wanted.row)
        return {
            "kind": wanted.kind, "words": command(wanted.row.words), "variables": list(wanted.row.models),
            "cwd": str(place / "cwd"), "env": {}, "facts": str(place / "facts"), "limit": LIMIT,
            "run": str(wanted.run or ""), "fault": wanted.fault,
            **{name: str(place / name) for name in ("stdin", "stdout", "stderr")},
        }  # fmt: skip

    def _result(self, job: dict[str, Any], status: int | None) -> Ran:
        facts = Path(job["facts"])
        return Ran(
            status, Path(job["stdout"]).read_bytes(), Path(job["stderr"]).read_bytes(), files_of(Path(job["cwd"])),
            json.loads(facts.read_text()) if facts.exists() else {},
        )  # fmt: skip


def command(words: Sequence[str]) -> list[str]:
    """The words with the script's whole path."""
    return list(words) if words[0] == "-m" else [str(SCRIPTS / words[0]), *words[1:]]


def files_of(folder: Path) -> dict[str, bytes]:
    """Names and contents of what a script has left (zip archives by their names: they hold the time)."""
    return {
        str(path.relative_to(folder)): b"" if path.suffix == ".pt" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
