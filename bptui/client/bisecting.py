"""The search for the first step at which a condition holds, in a niced process beside the face: the run goes on."""

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


class Going(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far it is."""

    at: int
    to: int


class Answer(msgspec.Struct, frozen=True):
    """What was found, and by which way."""

    step: int | None
    """None: at no step."""
    way: str
    looked_at: int
    values: dict[str, float]


class BisectError(ValueError):
    """It could not be looked for; one line."""


async def bisect(run: Path, condition: str, going: Callable[[Going], None] | None = None) -> Answer:
    """``bptui bisect`` on the run's files as they are now. A task that is cancelled ends the search. BisectError."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bptui", "bisect", str(run), condition, "--json",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, 10)
        assert child.stdout is not None and child.stderr is not None
        answer = None
        while line := await child.stdout.readline():
            with contextlib.suppress(msgspec.DecodeError):
                word = msgspec.json.decode(line, type=dict[str, object])
                if "step" in word:
                    answer = msgspec.convert(word, Answer)
                elif going is not None:
                    going(msgspec.convert(word, Going))
        if answer is None:
            told = (await child.stderr.read()).decode("utf-8", "replace").strip().splitlines()
            raise BisectError(told[-1].removeprefix("bptui: ") if told else "the search ended without a word")
        return answer
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await asyncio.shield(child.wait())
