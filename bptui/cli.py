"""The command line: which command is meant, and how errors end. Nothing heavy is imported before that is known."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

#: Command → what it does; its module is ``bptui.commands.<command>``.
COMMANDS = {
    "train": "train without a screen: a progress bar, or plain lines in a pipe",
    "run": "a PyTorch script of your own, unchanged, under the debugger",
    "attach": "look at a run that is going on, with its whole history",
    "open": "look at a run's files",
    "ls": "list the runs",
    "pause": "pause a run after its current step",
    "resume": "let a paused run go on",
    "stop": "end a run after its current step, and keep it",
    "replay": "do a run again, and hold it against its record bit for bit",
    "bisect": "find the first step of a run at which a condition holds",
    "dead": "which units are dead, and what killed one of them",
    "whatif": "a run from one step on with something changed, beside its unchanged continuation",
    "gradcheck": "hold gradients against finite differences",
    "datasets": "list the data there are, take a first look, fetch MNIST or Fashion-MNIST",
    "predict": "classes, probabilities or values for new rows and pictures",
    "export": "a run in another format: pytorch, onnx, safetensors, csv, json",
    "presets": "list the experiments that come with bptui",
    "explain": "what a fault is, its evidence, what it is taken for, and its fix",
    "lesson": "a lesson in twelve steps on a small network: bptui lesson backprop",
    "serve": "the screen in a browser of this machine",
    "doctor": "what this terminal and this machine can do, with advice",
}


class _UsageError(ValueError):
    """What argparse has to say."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status (0 done, 1 training failed, 2 bad usage or input)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a terminal or pipe that takes only ASCII loses a sign, not the run
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe went away: no more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if debug or not (_is_ours(error)):
            raise
        from bptui.runs.output import escape

        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        print(f"bptui: {escape(' '.join(text.split()))}", file=sys.stderr)
        return 2


def _is_ours(error: Exception) -> bool:
    """Errors whose text was written for users: those of bptui's modules, and the operating system's own."""
    return isinstance(error, OSError) or type(error).__module__.startswith("bptui.")


def _dispatch(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        command = import_module(f"bptui.commands.{words[0]}")
        parser = _Parser(prog=f"bptui {words[0]}", description=COMMANDS[words[0]])
        command.add(parser)
        status: int = command.act(parser.parse_args(words[1:]))
        return status
    from bptui.commands import screen

    parser = _Parser(
        prog="bptui",
        description="A debugger for backpropagation that lives in a terminal.",
        epilog="commands:\n" + "".join(f"  {name:10}{about}\n" for name, about in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    screen.add(parser)
    if (
        len(words) > 1
        and words[0].isalpha()
        and (near := difflib.get_close_matches(words[0], COMMANDS, n=1, cutoff=0.6))
    ):
        from bptui.spec.load import presets

        if words[0] not in presets():  # 'trian digits' is no experiment
            raise _UsageError(f"no command {words[0]!r} (did you mean {near[0]!r}?)")
    arguments = parser.parse_args(words)
    if arguments.version:
        from bptui import __version__

        print(f"bptui {__version__}")
        return 0
    return screen.act(arguments)
