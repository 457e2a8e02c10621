"""A process that has imported torch, and forks one child for each script that it is asked to run.

    python script_process.py SOCKET_FD

Importing torch takes longer than any of the scripts; a fork of a process that has it takes milliseconds. A child
becomes what ``python SCRIPT`` is: a ``__main__`` of its own, its own arguments, folder and standard files; and it
ends as the interpreter ends. Requests and replies are lines of JSON; a request is a list of jobs that run side by side.

A job: ``kind`` (bare, oracle or bptui), ``words`` (as behind ``python``), ``cwd``, ``stdin``, ``stdout``, ``stderr``
(paths), ``env`` (over the present one), ``facts`` (where the oracle writes), ``run`` (a run directory), ``fault`` (the
probe that is made to fail), ``limit`` (seconds).
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def serve(connection: socket.socket) -> Job:
    """Answers requests until the other side is gone; returns only in a child, with its job."""
    requests = connection.makefile("r", encoding="utf-8")
    for line in requests:
        jobs, children = json.loads(line), {}
        for place, job in enumerate(jobs):
            pid = os.fork()
            if pid == 0:
                connection.close()
                requests.close()
                return dict(job)
            children[pid] = place, time.monotonic() + job["limit"]
        connection.sendall(json.dumps(wait_for(children, len(jobs))).encode() + b"\n")
    os._exit(0)


def wait_for(children: dict[int, tuple[int, float]], count: int) -> list[int | None]:
    """Exit status of each child by its place (negative: the signal that ended it; None: it took too long)."""
    statuses: list[int | None] = [None] * count
    while children:
        for pid, (place, deadline) in list(children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                statuses[place] = os.waitstatus_to_exitcode(status)
                del children[pid]
            elif time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                del children[pid]
        if children:
            # Woken by SIGCHLD, which is blocked: nothing is lost between a look and the wait.
            signal.sigtimedwait({signal.SIGCHLD}, 1.0)
    return statuses


def become(job: Job) -> None:
    """The standard files, folder, environment and signals of a process that a shell would have started."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for wanted, name in enumerate(("stdin", "stdout", "stderr")):
        opened = os.open(job[name], writing if wanted else os.O_RDONLY, 0o600)
        os.dup2(opened, wanted)
        os.close(opened)
    os.environ.update(job["env"])
    os.chdir(job["cwd"])


def run_as_main(words: list[str]) -> None:
    """``python WORDS…``: the script, or the module behind -m, in a ``__main__`` of its own."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    if words[0] == "-m":
        sys.argv = ["-m", *words[2:]]
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(words[1])  # type: ignore[attr-defined]
        return
    script = words[0]
    sys.argv = list(words)
    sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
    main.__file__ = script
    exec(compile(Path(script).read_bytes(), script, "exec"), main.__dict__)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    # The first optimiser that a process makes imports torch._dynamo, which takes a second.
    for name in ("torch", "torch._dynamo", "torch.utils.checkpoint", "torch.utils.data"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each child would spend a second at its end to look through what it never made
    job = serve(socket.socket(fileno=int(sys.argv[1])))
    from observed_process import observe
    from oracle import Oracle

    sys.path.pop(0)
    become(job)
    if job["kind"] == "bptui":
        observe(job)
    elif job["kind"] == "oracle":
        Oracle(Path(job["facts"]), job["variables"]).watch()
        run_as_main(job["words"])
    else:
        run_as_main(job["words"])
