"""What several commands share: the arguments of an experiment and of a screen, and how a run is started and shown."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bptui.client.launch import Start
    from bptui.client.reference import Reference
    from bptui.spec.experiment import Experiment
    from bptui.tui.config import GlyphChoice
    from bptui.tui.glyphs import GlyphName

#: The TUI draws nothing useful on a smaller terminal.
SMALLEST = (40, 12)
#: The most that Textual writes: what comes right after a chart's frame waits 8 ms, not 17. (Charts still come at 4 Hz.)
FRAMES_PER_SECOND = "120"


class UsageError(ValueError):
    """Bad usage or input; the text is one line."""


def add_experiment(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--engine", choices=("auto", "numpy", "torch"), default="auto", help="auto: torch with CUDA, else NumPy")
    add("--device", default="auto", help="cpu, cuda, cuda:1 … (default: what the engine finds)")
    add("--dtype", choices=("f32", "f64"))
    add("--seed", type=int)
    add("--steps", type=int, metavar="N", help="end after N updates")
    add("--epochs", type=int, metavar="N", help="end after N epochs")
    add("--variant", metavar="NAME", help="a variant of the experiment (see bptui presets)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="override a key: optimizer.lr=0.01, model.dense1.units=64",
    )
    add("--weights", metavar="FILE|RUN", help="start from these weights: a safetensors file, or a run's last keyframe")
    add("--weights-partial", action="store_true", help="of --weights, layers that fit: a new head")
    add("--data-dir", action="append", default=[], metavar="DIR", help="look for data here first")
    add("--break", action="append", default=[], dest="breaks", metavar="E", help="pause when this comes to hold")
    add("--pace", type=float, metavar="N", help="updates a second (default: as fast as it goes)")
    add("--probe-budget", type=float, default=3.0, metavar="PERCENT", help="most that probes may cost (default 3)")
    add(
        "--keyframe-budget", type=int, default=256, metavar="MB",
        help="most that kept states may take on disk (default 256)",
    )  # fmt: skip


def add_screen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--glyphs", choices=("auto", "braille", "block", "ascii"), help="what charts are drawn with (default: auto)"
    )
    parser.add_argument("--theme", metavar="NAME", help="dark, light, colour-blind, auto, or a name of Textual's")
    parser.add_argument(
        "--notices", choices=("auto", "bell", "desktop", "off"), help="what tells of the end while you look elsewhere"
    )
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")


def add_named_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, unique prefix, 'latest', pid or path")


def experiment_of(arguments: argparse.Namespace, default: str | None = None) -> Experiment:
    """The experiment that the arguments name, with every override applied."""
    from bptui.expr import parse
    from bptui.spec.load import load
    from bptui.spec.networks import names_of

    overrides = list(arguments.set)
    if arguments.dtype is not None:
        overrides.append(f"experiment.dtype={arguments.dtype}")
    if arguments.seed is not None:
        overrides.append(f"experiment.seed={arguments.seed}")
    for key in ("steps", "epochs"):
        if getattr(arguments, key) is not None:
            overrides.append(f"stop.{key}={getattr(arguments, key)}")
    experiment = load(arguments.spec or default or "", overrides, variant=arguments.variant)
    for condition in arguments.breaks:
        parse(condition, layers=names_of(experiment))
    if (arguments.steps is None) != (arguments.epochs is None):
        import msgspec

        # asked for a number of updates, or of epochs: the file's number of the other does not cut it short
        other = "epochs" if arguments.epochs is None else "steps"
        experiment = msgspec.structs.replace(experiment, stop=msgspec.structs.replace(experiment.stop, **{other: None}))
    return experiment


def check_engine(arguments: argparse.Namespace) -> None:
    if arguments.engine == "torch" and find_spec("torch") is None:
        raise UsageError("--engine torch: torch is not installed (pip install 'bptui[torch]'), or use --engine numpy")
    if arguments.engine == "numpy" and arguments.device not in ("auto", "cpu"):
        raise UsageError(f"--device {arguments.device}: the NumPy engine runs on the CPU; use --engine torch")
    if not 0 <= arguments.probe_budget <= 100:
        raise UsageError(f"--probe-budget: expected a percentage from 0 to 100, got {arguments.probe_budget:g}")
    if getattr(arguments, "keyframe_budget", 1) < 1:
        raise UsageError(f"--keyframe-budget: expected megabytes of at least 1, got {arguments.keyframe_budget}")
    if arguments.pace is not None and not 0 <= arguments.pace <= 1e6:
        raise UsageError(f"--pace: expected updates a second from 0 (as fast as it goes), got {arguments.pace:g}")
    for folder in arguments.data_dir:
        if not Path(folder).is_dir():
            raise UsageError(f"--data-dir {folder}: no such folder")
    arguments.weights = weights_file(arguments.weights)


def launch_run(
    experiment: Experiment, arguments: argparse.Namespace, *, interactive: bool, pace: float, until: str = "",
    start: Start | None = None,
) -> Path:  # fmt: skip
    """Start a run; ``start``: what is asked for otherwise than on the command line."""
    from bptui.client.launch import Start, launch
    from bptui.spec.load import title

    start = start or Start()
    return launch(
        experiment, title=title(experiment), engine=start.engine or arguments.engine,
        device=start.device or arguments.device, interactive=interactive,
        pace=pace, probe_budget=arguments.probe_budget / 100, data_dirs=tuple(map(os.path.abspath, arguments.data_dir)),
        until=until, breaks=tuple(getattr(arguments, "breaks", ())), weights=start.weights or _given_weights(arguments),
        keyframe_budget=getattr(arguments, "keyframe_budget", 256) << 20,
        weights_partial=bool(start.weights) or getattr(arguments, "weights_partial", False),
        argv=tuple(sys.argv),
    )  # fmt: skip


def _given_weights(arguments: argparse.Namespace) -> str:
    return getattr(arguments, "weights", None) or ""


def weights_file(given: str | None) -> str:
    """The file that ``--weights`` means: itself, or the last keyframe of a run. Only parameters are taken from it."""
    if not given:
        return ""
    path = Path(given).expanduser()
    if path.is_file():
        return os.path.abspath(path)
    if path.suffix == ".safetensors":
        raise UsageError(f"--weights {given}: no such file")
    from bptui.client.discover import resolve
    from bptui.runs.info import RunError

    try:
        folder = resolve(given) / "keyframes"
    except RunError as error:
        raise UsageError(f"--weights {given}: neither a file nor a run ({error})") from None
    # Their names are steps of twelve digits. (The reader of keyframes would load NumPy here.)
    latest = max(folder.glob("*.safetensors"), default=None)
    if latest is None:
        raise UsageError(f"--weights {given}: this run has kept no weights")
    return str(latest)


def show(
    arguments: argparse.Namespace,
    run_of: Callable[[], Path],
    experiment: Experiment | None,
    relaunch: Callable[..., Path] | None,
    *,
    files_only: bool = False,
    observe: bool = False,
    at: Reference | None = None,
    lesson: tuple[str, bool] | None = None,
) -> int:
    """The screen of a run; ``run_of`` gives its directory after the first frame. What is not given: config.toml."""
    from bptui.tui import garbage

    garbage.wait()
    from bptui.tui.config import read_config

    with _environment("TEXTUAL_FPS", FRAMES_PER_SECOND):
        from bptui.tui.start import start
    from bptui.tui.themes import theme_name

    liked = read_config()
    theme = arguments.theme or liked.theme
    theme_name(theme)  # a word that is no theme is told before the screen is taken

    return start(
        run_of,
        experiment,
        relaunch,
        files_only=files_only,
        observe=observe,
        glyphs=glyphs_for(arguments.glyphs or liked.glyphs),
        mouse=liked.mouse and not arguments.no_mouse,
        theme=theme,
        notices=arguments.notices or liked.notices,
        at=at,
        lesson=lesson,
    )


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable, unless its user has set it, for what is imported within: not for the processes that are started."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def glyphs_for(choice: GlyphChoice) -> GlyphName:
    """``auto``: braille, but ASCII where the terminal would show it badly."""
    if choice != "auto":
        return choice
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8" or os.environ.get("TERM") == "linux":
        return "ascii"
    # Any of them: a locale that is not installed here, as after SSH, Python itself overrides with LC_CTYPE=C.UTF-8.
    hints = [os.environ.get(key, "")[:2].lower() for key in ("LC_ALL", "LC_CTYPE", "LANG", "LANGUAGE")]
    if not {"zh", "ja", "ko"}.intersection(hints):
        return "braille"
    from bptui.doctor.terminal import ambiguous_is_wide  # only there is it worth a round trip to the terminal

    return "ascii" if ambiguous_is_wide() else "braille"


def check_terminal() -> None:
    if "TEXTUAL_DRIVER" in os.environ:  # served to a browser: what is needed comes over pipes
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("no terminal here; 'bptui train' works without one")
    if os.environ.get("TERM") in ("dumb", ""):
        raise UsageError("this terminal (TERM=dumb) cannot show screens; 'bptui train' works in it")
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        raise UsageError(
            f"the terminal is too small: {columns}×{lines}, at least {SMALLEST[0]}×{SMALLEST[1]} are needed"
        )


def check_output(option: str, name: str) -> None:
    """Told before anything is trained or read: a file that could not be written in the end."""
    there = Path(os.path.realpath(name))
    special = os.path.exists(name) and not os.path.isfile(name)  # a device or a pipe is written to, not replaced
    place = Path(name) if special else there.parent
    if os.path.isdir(name) or not place.exists() or not os.access(place, os.W_OK):
        raise UsageError(f"{option} {name}: cannot be written there")


def check_to(arguments: argparse.Namespace) -> None:
    """``--to`` of a command that does a run again."""
    if arguments.to is not None and arguments.to < 0:
        raise UsageError(f"--to: expected a step of at least 0, got {arguments.to}")


@contextlib.contextmanager
def progress_bar(word: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """Takes the step and the last one; shows nothing where no terminal is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(word), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("", total=total)
        yield lambda step, to: progress.update(task, completed=step, total=to)


def same_threads(run: Path) -> None:
    """Before NumPy is loaded: as many threads as the run had, on which the bits of f32 depend."""
    from bptui.engine.threads import VARIABLES
    from bptui.runs.info import read_info

    threads = read_info(run).actual.get("threads")
    if threads:
        for name in VARIABLES:
            os.environ[name] = str(threads)
