"""``bptui run``: a PyTorch script of the user's own, unchanged, under the debugger."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bptui.commands.common import UsageError, add_screen, check_output, check_terminal, show

#: Options that take a value; what comes after the first word that is none of these is the script's.
_VALUES = ("--probe-budget", "--break", "--report", "--fail-on", "--glyphs", "--theme", "--notices")


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--headless", action="store_true", help="no screen: the script keeps this terminal; bptui attach looks at it")
    add("--probe-budget", type=float, default=3.0, metavar="PERCENT", help="most that probes may cost (default 3)")
    add("--break", action="append", default=[], dest="breaks", metavar="E",
        help="stand still before the update in which this comes to hold, such as 'not is_finite(loss)'")  # fmt: skip
    add("--hold-on-error", action="store_true", help="an exception of the script is held until someone has looked")
    add("--report", metavar="FILE", help="write figures, losses and findings as JSON when the script has ended")
    add("--fail-on", choices=("warning", "error"), help="exit status 1 if there is a finding this severe")
    add_screen(parser)
    add("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE …", help="a module, as python -m runs it")
    add("script", nargs=argparse.REMAINDER, metavar="SCRIPT …", help="the script and its own arguments")


def script_at(words: Sequence[str]) -> int:
    """Where the script, or ``-m``, stands among the words of a ``bptui run`` command line."""
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] != "-m":
        at += 2 if words[at] in _VALUES else 1
    return min(at, len(words))


def act(arguments: argparse.Namespace) -> int:
    words = ["-m", *arguments.module] if arguments.module is not None else [*arguments.script]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words or words == ["-m"]:
        raise UsageError("run: expected a script, or -m and a module (bptui run train.py --lr 0.1)")
    _check(arguments, words)
    if arguments.headless:
        from bptui.client.launch import launch_script
        from bptui.client.supervise import supervise

        directory = launch_script(
            words, headless=True, probe_budget=arguments.probe_budget / 100, breaks=arguments.breaks,
            hold_on_error=arguments.hold_on_error,
        )  # fmt: skip
        return supervise(directory, report=arguments.report and Path(arguments.report), fail_on=arguments.fail_on)
    check_terminal()
    return _on_screen(arguments, words)


def _check(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    from importlib.util import find_spec

    from bptui.expr import parse
    from bptui.runs.paths import make_runs_root

    if words[0] != "-m":
        if os.path.isdir(words[0]):
            raise UsageError(f"{words[0]}: a folder, not a script")
        try:
            with open(words[0], "rb"):
                pass
        except OSError as error:
            raise UsageError(f"{words[0]}: {error.strerror}") from None
    if find_spec("torch") is None:
        raise UsageError("run: torch is not installed in this Python; install bptui where your script runs")
    if not 0 <= arguments.probe_budget <= 100:
        raise UsageError(f"--probe-budget: expected a percentage from 0 to 100, got {arguments.probe_budget:g}")
    for condition in arguments.breaks:
        parse(condition, script=True)
    if arguments.report:
        check_output("--report", arguments.report)
    make_runs_root()


def _on_screen(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """The script as a child of its hub, its output in the log pane; a run again is the same words again."""
    from bptui.client.launch import launch_script
    from bptui.client.supervise import result

    started: list[Path] = []

    def start() -> Path:
        started.append(launch_script(
            words, headless=False, probe_budget=arguments.probe_budget / 100, breaks=arguments.breaks,
            hold_on_error=arguments.hold_on_error,
        ))  # fmt: skip
        return started[-1]

    status = show(arguments, start, None, None)
    if not started:
        return status
    code = result(started[-1], report=arguments.report and Path(arguments.report), fail_on=arguments.fail_on)
    return status or code
