"""What is computed aside from a run, of its files: ``python -m bptui.trainer.aside RUN_DIR``, a job on stdin.

A process of its own, and a nice one: the run and its faces have the cores first. It says how far it is, and ends when
nobody reads it any more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bptui.protocol.whatif import Continue, Die, Failed, Found, Going, Job, Viewed, Word

NICE = 10


def main(words: list[str]) -> int:
    run = Path(words[0])
    os.nice(NICE)
    said = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no word of ours
    last = 0.0

    def say(word: Word) -> None:
        said.write(msgspec.json.encode(word).decode() + "\n")
        said.flush()

    def tell(done: int, total: int, losses: list[float] | None = None) -> None:
        nonlocal last
        if losses is None and time.monotonic() - last < 0.1:
            return
        from bptui.trainer.whatif import finite

        last = time.monotonic()
        say(Going(done, total, tuple(map(finite, losses or ()))))

    try:
        job = msgspec.json.decode(sys.stdin.readline(), type=Job)
        _same_threads(run)
        say(_do(run, job, tell))
    except BrokenPipeError:
        os._exit(1)  # nobody is left who would hear of it
    except (ValueError, OSError) as error:
        say(Failed(" ".join(str(error).split())))
    except MemoryError:
        say(Failed("not enough memory"))
    return 0


def _do(run: Path, job: Job, tell: Callable[..., None]) -> Word:
    if isinstance(job, Continue):
        from bptui.trainer.whatif import carry_on

        return carry_on(run, job, tell)
    from bptui.trainer.deaths import certify, view_at

    if isinstance(job, Die):
        return Found(certify(run, job.layer, job.unit, job.at, tell))
    return Viewed(view_at(run, job.at, tell))


def _same_threads(run: Path) -> None:
    """Before NumPy is loaded: as many threads as the run had, on which the bits of f32 depend."""
    from bptui.engine.threads import VARIABLES
    from bptui.runs.info import read_info

    threads = read_info(run).actual.get("threads")
    if threads:
        for name in VARIABLES:
            os.environ[name] = str(threads)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
