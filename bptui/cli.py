"""The commands. Nothing heavy is imported before it is known which one is meant."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from bptui.spec.experiment import Experiment

#: The TUI draws nothing useful on a smaller terminal.
SMALLEST = (40, 12)
#: Updates a second at which a bare ``bptui`` begins, so that there is something to watch.
FIRST_PACE = 50.0


class UsageError(ValueError):
    """Bad usage or input; the text is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status (0 done, 1 training failed, 2 bad usage or input)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe went away: no more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        if debug or not (isinstance(error, UsageError) or _is_ours(error)):
            raise
        print(f"bptui: {one_line(error)}", file=sys.stderr)
        return 2


def _is_ours(error: Exception) -> bool:
    """Errors whose text was written for users: those of bptui's modules, and the operating system's own."""
    return isinstance(error, OSError) or type(error).__module__.startswith("bptui.")


def one_line(error: object) -> str:
    """The text of an error on one line, control characters made visible."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _dispatch(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        add, act, _ = COMMANDS[words[0]]
        parser = _Parser(prog=f"bptui {words[0]}", description=COMMANDS[words[0]][2])
        add(parser)
        return act(parser.parse_args(words[1:]))
    parser = _Parser(
        prog="bptui",
        description="A debugger for backpropagation that lives in a terminal.",
        epilog="commands:\n" + "".join(f"  {name:10}{about}\n" for name, (_, _, about) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    _add_tui(parser)
    arguments = parser.parse_args(words)
    if arguments.version:
        from bptui import __version__

        print(f"bptui {__version__}")
        return 0
    return _tui(arguments)


# -- arguments -----------------------------------------------------------------------------------------
def _add_experiment(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--engine", choices=("auto", "numpy", "torch"), default="auto", help="auto: torch with CUDA, else NumPy")
    add("--device", default="auto", help="cpu, cuda, cuda:1 … (default: what the engine finds)")
    add("--dtype", choices=("f32", "f64"))
    add("--seed", type=int)
    add("--steps", type=int, metavar="N", help="end after N updates")
    add("--epochs", type=int, metavar="N", help="end after N epochs")
    add("--variant", metavar="NAME", help="a variant of the experiment (see bptui presets)")
    add("--set", action="append", default=[], metavar="K=V", help="override a key: optimizer.lr=0.01, model.dense1.units=64")
    add("--data-dir", action="append", default=[], metavar="DIR", help="look for data here first")
    add("--pace", type=float, metavar="N", help="updates a second (default: as fast as it goes)")
    add("--probe-budget", type=float, default=3.0, metavar="PERCENT", help="most that probes may cost (default 3)")


def _add_tui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC|PRESET", help="a TOML file or a preset (default: digits)")
    _add_experiment(parser)
    _add_screen(parser)


def _add_screen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--glyphs", choices=("braille", "block", "ascii"), default="braille", help="what charts are drawn with")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC|PRESET")
    _add_experiment(parser)
    add = parser.add_argument
    add("--until", metavar="E", help="end when this holds, such as 'val_accuracy >= 0.96'; exit status 1 if it never does")
    add("--report", metavar="FILE", help="write figures, losses and findings as JSON")
    add("--fail-on", choices=("warning", "error"), help="exit status 1 if there is a finding this severe")
    add("--seeds", type=int, metavar="N", help="train from N seeds (0 to N−1, or from --seed on) and show median and quartiles")
    add("--quiet", action="store_true", help="no progress, only the result")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help="id, unique prefix, 'latest', pid or path")


def _add_named_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, unique prefix, 'latest', pid or path")


def _add_attach(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument("--observe", action="store_true", help="look on, without control")
    _add_screen(parser)


def _add_open(parser: argparse.ArgumentParser) -> None:
    _add_named_run(parser)
    _add_screen(parser)


def _add_ls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _nothing(parser: argparse.ArgumentParser) -> None:
    pass


# -- experiments ---------------------------------------------------------------------------------------
def _experiment(arguments: argparse.Namespace, default: str | None = None) -> Experiment:
    """The experiment that the arguments name, with every override applied."""
    from bptui.spec.load import load

    overrides = list(arguments.set)
    if arguments.dtype is not None:
        overrides.append(f"experiment.dtype={arguments.dtype}")
    if arguments.seed is not None:
        overrides.append(f"experiment.seed={arguments.seed}")
    for key in ("steps", "epochs"):
        if getattr(arguments, key) is not None:
            overrides.append(f"stop.{key}={getattr(arguments, key)}")
    experiment = load(arguments.spec or default, overrides, variant=arguments.variant)
    if arguments.steps is not None and arguments.epochs is None:
        import msgspec

        # asked for a number of updates: the file's number of epochs does not cut it short
        stop = msgspec.structs.replace(experiment.stop, epochs=None)
        experiment = msgspec.structs.replace(experiment, stop=stop)
    return experiment


def _check_engine(arguments: argparse.Namespace) -> None:
    from importlib.util import find_spec

    if arguments.engine == "torch" and find_spec("torch") is None:
        raise UsageError("--engine torch: torch is not installed (pip install 'bptui[torch]'), or use --engine numpy")
    if arguments.engine == "numpy" and arguments.device not in ("auto", "cpu"):
        raise UsageError(f"--device {arguments.device}: the NumPy engine runs on the CPU; use --engine torch")
    if not 0 <= arguments.probe_budget <= 100:
        raise UsageError(f"--probe-budget: expected a percentage from 0 to 100, got {arguments.probe_budget:g}")
    if arguments.pace is not None and not 0 <= arguments.pace <= 1e6:
        raise UsageError(f"--pace: expected updates a second from 0 (as fast as it goes), got {arguments.pace:g}")
    for folder in arguments.data_dir:
        if not Path(folder).is_dir():
            raise UsageError(f"--data-dir {folder}: no such folder")


def _launch(experiment: Experiment, arguments: argparse.Namespace, *, interactive: bool, pace: float, until: str = "") -> Path:
    from bptui.client.launch import launch
    from bptui.spec.load import title

    return launch(
        experiment, title=title(experiment), engine=arguments.engine, device=arguments.device, interactive=interactive,
        pace=pace, probe_budget=arguments.probe_budget / 100, data_dirs=tuple(map(os.path.abspath, arguments.data_dir)),
        until=until, argv=tuple(sys.argv),
    )  # fmt: skip


# -- commands ------------------------------------------------------------------------------------------
def _tui(arguments: argparse.Namespace) -> int:
    _check_engine(arguments)
    bare = arguments.spec is None
    experiment = _experiment(arguments, default="digits")
    _check_terminal()
    pace = arguments.pace if arguments.pace is not None else (FIRST_PACE if bare else 0.0)

    def relaunch(changed: Experiment) -> Path:
        return _launch(changed, arguments, interactive=True, pace=pace)

    return _show(arguments, relaunch(experiment), experiment, relaunch)


def _show(
    arguments: argparse.Namespace,
    directory: Path,
    experiment: Experiment | None,
    relaunch: Callable[[Experiment], Path] | None,
    *,
    files_only: bool = False,
    observe: bool = False,
) -> int:
    from bptui.tui.start import start

    return start(
        directory, experiment, relaunch, files_only=files_only, observe=observe,
        glyphs=arguments.glyphs, mouse=not arguments.no_mouse,
    )  # fmt: skip


def _check_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("no terminal here; 'bptui train' works without one")
    if os.environ.get("TERM") in ("dumb", ""):
        raise UsageError("this terminal (TERM=dumb) cannot show screens; 'bptui train' works in it")
    columns, lines = shutil.get_terminal_size()
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        raise UsageError(f"the terminal is too small: {columns}×{lines}, at least {SMALLEST[0]}×{SMALLEST[1]} are needed")


def _train(arguments: argparse.Namespace) -> int:
    _check_engine(arguments)
    experiment = _experiment(arguments)
    if arguments.until:
        from bptui.expr import parse
        from bptui.spec.experiment import layer_names

        parse(arguments.until, layers=layer_names(experiment.model))
    if arguments.report:
        folder = Path(arguments.report).absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(arguments.report).is_dir():
            raise UsageError(f"--report {arguments.report}: cannot be written there")
    if arguments.seeds is not None:
        return _train_seeds(arguments)
    from bptui.client.headless import follow

    directory = _launch(experiment, arguments, interactive=False, pace=arguments.pace or 0.0, until=arguments.until or "")
    return follow(
        directory, report=arguments.report and Path(arguments.report), fail_on=arguments.fail_on, quiet=arguments.quiet
    )


def _train_seeds(arguments: argparse.Namespace) -> int:
    from bptui.client.seeds import train_seeds

    if not 1 <= arguments.seeds <= 10_000:
        raise UsageError(f"--seeds: expected a number from 1 to 10000, got {arguments.seeds}")
    words = [arguments.spec, "--engine", arguments.engine, "--device", arguments.device]
    words += ["--probe-budget", str(arguments.probe_budget)]
    for option, value in (
        ("--dtype", arguments.dtype), ("--steps", arguments.steps), ("--epochs", arguments.epochs),
        ("--variant", arguments.variant), ("--pace", arguments.pace), ("--until", arguments.until),
        ("--fail-on", arguments.fail_on),
    ):  # fmt: skip
        words += [] if value is None else [option, str(value)]
    for option, values in (("--set", arguments.set), ("--data-dir", arguments.data_dir)):
        words += [word for value in values for word in (option, value)]
    first = arguments.seed or 0
    report = Path(arguments.report) if arguments.report else None
    return train_seeds(words, range(first, first + arguments.seeds), report=report, quiet=arguments.quiet)


def _gradcheck(arguments: argparse.Namespace) -> int:
    from bptui.engine.gradcheck import check_all, check_experiment, engines_here

    engines = engines_here() if arguments.engine is None else (arguments.engine,)
    if arguments.spec is None or arguments.all:
        rows = check_all(engines)
    else:
        from bptui.spec.describe import widths
        from bptui.spec.load import load

        experiment = load(arguments.spec)
        features = widths(experiment)[0] if len(widths(experiment)) > len(experiment.model) else 8
        rows = check_experiment(experiment, features, experiment.model[-1].units, engines=engines)
    failed = [row for row in rows if not row.ok]
    if arguments.json:
        import dataclasses
        import json

        print(json.dumps({"ok": not failed, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1))
    else:
        for row in rows:
            mark = "ok  " if row.ok else "FAIL"
            print(f"{mark} {row.engine:5}  {row.subject:36}  {row.tensor:18}  worst relative error {row.worst:.1e}")
        print(f"{len(rows)} gradients against central differences in f64: {len(failed)} failed")
    return 1 if failed else 0


def _add_gradcheck(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC|PRESET", help="check this network (default: everything)")
    parser.add_argument("--all", action="store_true", help="every layer, activation and loss")
    parser.add_argument("--engine", choices=("numpy", "torch"), help="only this engine")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_datasets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", metavar="NAME|PATH|fetch", help="a first look at one, or 'fetch' to get one")
    parser.add_argument("name", nargs="?", metavar="NAME", help="with fetch: mnist or fashion-mnist")
    parser.add_argument("--data-dir", action="append", default=[], metavar="DIR", help="look here first; fetch into here")
    parser.add_argument("--label", metavar="COLUMN", help="the label's column, by name or number")


def _datasets(arguments: argparse.Namespace) -> int:
    from bptui.data.catalogue import describe, entries, render_entries, render_look
    from bptui.spec.experiment import Data

    folders = [Path(folder) for folder in arguments.data_dir]
    if arguments.what == "fetch":
        if arguments.name is None:
            raise UsageError("datasets fetch: expected mnist or fashion-mnist")
        return _fetch(arguments.name, folders[0] if folders else None)
    if arguments.name is not None:
        raise UsageError(f"unrecognized argument {arguments.name!r}")
    if arguments.what is None:
        print(render_entries(entries(folders)))
        return 0
    label: str | int | None = arguments.label
    if isinstance(label, str) and label.lstrip("-").isdecimal():
        label = int(label)
    print(render_look(describe(arguments.what, folders, data=Data(source=arguments.what, label=label))))
    return 0


def _fetch(name: str, into: Path | None) -> int:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from bptui.data.fetch import fetch

    with Progress(TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), DownloadColumn()) as progress:
        tasks = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total or None)
            progress.update(tasks[file], completed=done, total=total or None)

        folder = fetch(name, into=into, progress=show)
    print(f"{name} is in {folder}")
    return 0


def _attach(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    directory = resolve(arguments.run)
    _check_terminal()
    return _show(arguments, directory, _recorded(directory), _relauncher(directory), observe=arguments.observe)


def _open(arguments: argparse.Namespace) -> int:
    from bptui.client.discover import resolve

    directory = resolve(arguments.run)
    _check_terminal()
    return _show(arguments, directory, _recorded(directory), _relauncher(directory), files_only=True)


def _recorded(directory: Path) -> Experiment | None:
    """The experiment of a run; None if its file does not hold one (a script's run)."""
    from bptui.runs.info import read_info
    from bptui.spec.load import SpecError, from_dict

    try:
        return from_dict(read_info(directory).spec)
    except SpecError:
        return None


def _relauncher(directory: Path) -> Callable[[Experiment], Path]:
    """Starts a changed experiment as the run in ``directory`` was started."""
    from bptui.runs.info import read_info

    info = read_info(directory)
    arguments = argparse.Namespace(
        engine=info.engine, device=info.device, probe_budget=info.probe_budget * 100, data_dir=info.data_dirs
    )
    return lambda changed: _launch(changed, arguments, interactive=True, pace=info.pace)


def _ls(arguments: argparse.Namespace) -> int:
    from bptui.client.listing import as_json, as_text

    print(as_json() if arguments.json else as_text())
    return 0


def _command(verb: str) -> Callable[[argparse.Namespace], int]:
    def act(arguments: argparse.Namespace) -> int:
        from bptui.client.discover import resolve
        from bptui.client.headless import command

        return command(resolve(arguments.run), verb)

    return act


def _presets(arguments: argparse.Namespace) -> int:
    from bptui.spec.describe import widths
    from bptui.spec.load import load, presets, sizes

    found = presets()
    width = max(map(len, found))
    for name, about in found.items():
        experiment = load(name)
        print(f"{name:{width}}  {about}\n{'':{width}}  {sizes(widths(experiment))}")
        for variant in experiment.variant:
            print(f"{'':{width}}  --variant {variant.name}: {variant.about}")
    return 0


_Row = tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], int], str]
COMMANDS: dict[str, _Row] = {
    "train": (_add_train, _train, "train without a screen: a progress bar, or plain lines in a pipe"),
    "attach": (_add_attach, _attach, "look at a run that is going on, with its whole history"),
    "open": (_add_open, _open, "look at a run's files"),
    "ls": (_add_ls, _ls, "list the runs"),
    "pause": (_add_named_run, _command("pause"), "pause a run after its current step"),
    "resume": (_add_named_run, _command("resume"), "let a paused run go on"),
    "stop": (_add_named_run, _command("stop"), "end a run after its current step, and keep it"),
    "gradcheck": (_add_gradcheck, _gradcheck, "hold gradients against finite differences"),
    "datasets": (_add_datasets, _datasets, "list the data there are, take a first look, fetch MNIST or Fashion-MNIST"),
    "presets": (_nothing, _presets, "list the experiments that come with bptui"),
}
