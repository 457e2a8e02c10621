"""Jobs that are computed aside from a run, in niced processes: as many at once as there are cores, each cancelled with
its task."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bptui.client.launch import environment
from bptui.protocol.whatif import Failed, Going, Job, WhatIfError, Word

#: A line may hold the losses of a long continuation.
_LINE = 64 << 20


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Aside:
    """Runs the jobs of one face."""

    def __init__(self, at_once: int | None = None) -> None:
        self._free = asyncio.Semaphore(at_once or cores())

    async def do(self, run: Path, job: Job, going: Callable[[Going], None] | None = None) -> Word:
        """The last word of a job. WhatIfError: why it could not be done. A task that is cancelled ends its process."""
        async with self._free:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "bptui.trainer.aside", str(run), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), limit=_LINE,
            )  # fmt: skip
            try:
                return await _talk(child, job, going)
            finally:
                if child.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        child.kill()
                await asyncio.shield(child.wait())


async def _talk(child: asyncio.subprocess.Process, job: Job, going: Callable[[Going], None] | None) -> Word:
    assert child.stdin is not None and child.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(msgspec.json.encode(job) + b"\n")
        await child.stdin.drain()
    while line := await child.stdout.readline():
        try:
            word: Word = msgspec.json.decode(line, type=Word)
        except msgspec.DecodeError:
            break
        if isinstance(word, Failed):
            raise WhatIfError(word.error)
        if not isinstance(word, Going):
            return word
        if going is not None:
            going(word)
    raise WhatIfError(f"its process ended without an answer (status {await child.wait()})")
