"""``bptui run --headless``: the small process between a shell and a script.

The script is a child in the same process group, with the shell's own standard streams: Ctrl-C, Ctrl-Z, pipes, pdb and
``isatty`` are as without bptui. Signals sent to this process alone are passed on; its exit status is the script's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from bptui.client.delivering import deliver
from bptui.runs.info import RunError, alive, read_info
from bptui.runs.output import escape
from bptui.runs.report import fails, report
from bptui.runs.ring import Record, Ring, RingError

#: Seconds that a hub may take to file the last records of a script that has ended.
_FILED_SECONDS = 5.0
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGCONT)


def supervise(directory: Path, *, report: Path | None, fail_on: str | None) -> int:
    """Run the script of ``directory`` in the foreground; returns the exit status, or ends by the script's signal."""
    info = read_info(directory)
    command = [sys.executable, "-P", "-m", "bptui.attach", str(directory), "--", *info.argv]
    inherited = {number: signal.getsignal(number) for number in (*_PASSED_ON, signal.SIGINT)}
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is not None and child.poll() is None:
            child.send_signal(number)

    for number in _PASSED_ON:
        if inherited[number] is not signal.SIG_IGN:  # nohup's script is to ignore it too
            signal.signal(number, pass_on)
    # A terminal's Ctrl-C reaches the whole group: the script's own affair. A handler, which exec resets, and not
    # SIG_IGN, which the script would inherit.
    if inherited[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: None)
    child = subprocess.Popen(command, preexec_fn=_end_with_parent)
    status = _wait(child)
    _say_how(directory, status)
    code = result(directory, report=report, fail_on=fail_on)
    if status < 0:
        _die_of(-status)
    return status or code


def _end_with_parent() -> None:
    """In the script's process: when the one that was started by the user is killed, so is this (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _wait(child: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def _say_how(directory: Path, status: int) -> None:
    """A script that ended without a word (``os._exit``, a signal): this process alone knows its status."""
    try:
        ring = Ring(directory / "ring")
    except (OSError, RingError, ValueError):
        return
    with contextlib.closing(ring):
        if ring.state in ("DONE", "FAILED", "STOPPED"):
            return
        error, reason = "", "completed"
        if status < 0:
            with contextlib.suppress(ValueError):
                error = f"killed by {signal.Signals(-status).name}"
            reason, error = "crashed", error or f"killed by signal {-status}"
        elif status:
            reason, error = "failed", f"the script ended with exit status {status}"
        told = {"reason": reason, "code": status if status >= 0 else 128 - status, "error": error, "step": ring.step}
        ring.write(Record.END, ring.step, json.dumps(told).encode())
        ring.set_state("DONE" if reason == "completed" else "FAILED")


def result(directory: Path, *, report: Path | None, fail_on: str | None) -> int:
    """The report of an ended run, and what ``--fail-on`` asks for: the exit status. Silent where neither is wanted."""
    if report is None and fail_on is None:
        return 0
    _filed(directory)
    try:
        content = _report(directory)
    except RunError as error:
        print(f"bptui: {escape(str(error))}", file=sys.stderr)
        return 0
    if content["note"]:
        print(f"bptui: {escape(content['note'])}", file=sys.stderr)
    if fails(content, fail_on):
        for finding in content["findings"]:
            print(f"bptui: {finding['fault']}: {escape(finding['message'])}", file=sys.stderr)
    return deliver(content, report, fail_on)


_report = report


def _filed(directory: Path) -> None:
    """Wait until the hub has written the end into run.json, or is gone."""
    deadline = time.monotonic() + _FILED_SECONDS
    while time.monotonic() < deadline:
        info = read_info(directory)
        if info.end is not None or not (info.hub_pid == 0 or alive(info.hub_pid, info.hub_start)):
            return
        time.sleep(0.02)


def _die_of(number: int) -> None:
    """End by the signal that ended the script, so that a shell says the same of both."""
    with contextlib.suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the script's core is the one of interest
    os.kill(os.getpid(), number)
