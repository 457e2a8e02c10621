"""``bptui serve``: the screen in a browser of this machine."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from bptui.commands.common import UsageError, check_engine, experiment_of, launch_run

#: Commands that may stand behind ``serve`` as they are.
_AS_THEY_ARE = ("attach", "open", "lesson")
DEFAULT_PORT = 8420


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default {DEFAULT_PORT}; 0: a free one)"
    )
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="…",
        help="as behind bptui: SPEC|PRESET, attach RUN, open RUN, lesson",
    )


def act(arguments: argparse.Namespace) -> int:
    if find_spec("textual_serve") is None:
        raise UsageError("serve needs textual-serve: pip install 'bptui[serve]'")
    from bptui.runs.paths import make_runs_root
    from bptui.web.server import TokenServer, environment_for_children, listen

    port, words = _port(arguments.port, [word for word in arguments.words if word != "--"])
    make_runs_root()
    command = _fixed(words) if words and words[0] in _AS_THEY_ARE else _one_run(words)
    listener = listen(port)
    server = TokenServer(command, listener.getsockname()[1])
    environment_for_children()
    print(f"bptui is at  {server.address}", flush=True)
    print("The address is the key: whoever has it controls the run. Ctrl-C ends serving; training goes on.", flush=True)
    server.run(listener)
    return 0


def _port(port: int, words: list[str]) -> tuple[int, list[str]]:
    """``--port`` may also stand behind the words that are handed on."""
    parser = argparse.ArgumentParser(prog="bptui serve", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--port", type=int, default=port)
    try:
        found, rest = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from None
    return found.port, rest


def _bptui(*words: str) -> str:
    return "exec " + shlex.join([sys.executable, "-m", "bptui", *words])


def _fixed(words: list[str]) -> Callable[[], str]:
    return lambda: _bptui(*words)


def _one_run(words: list[str]) -> Callable[[], str]:
    """Launch one run with the first page; a page that is loaded again comes back to it, or to what followed it."""
    from bptui.commands import screen

    parser = argparse.ArgumentParser(prog="bptui serve", add_help=False, exit_on_error=False)
    screen.add(parser)
    try:
        arguments, unknown = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from None
    if unknown:
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)}")
    check_engine(arguments)
    experiment = experiment_of(arguments, default="digits")
    pace = arguments.pace if arguments.pace is not None else (screen.FIRST_PACE if arguments.spec is None else 0.0)
    look = [word for name in ("glyphs", "theme", "notices") if (value := getattr(arguments, name))
            for word in (f"--{name}", value)]  # fmt: skip
    since = time.time()
    launched: list[Path] = []

    def command() -> str:
        from bptui.client.discover import list_runs

        live = [run for run in list_runs() if run.live and run.created >= since - 1 and _ours(run.directory, launched)]
        if not live:
            launched.append(launch_run(experiment, arguments, interactive=True, pace=pace))
        return _bptui("attach", str(live[0].directory if live else launched[-1]), *look)

    return command


def _ours(directory: Path, launched: list[Path]) -> bool:
    """Launched here, or in a page of ours by R or an edit (which leaves the run before it stopped)."""
    return directory in launched or (bool(launched) and directory.name > launched[-1].name)
