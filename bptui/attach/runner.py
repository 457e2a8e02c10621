"""Runs a user's script as ``__main__``, as ``python SCRIPT`` or ``python -m MODULE`` would."""

from __future__ import annotations

import atexit
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from bptui.attach.session import Session

current: Session | None = None
"""The session of this process, where it runs a script."""


class Outcome:
    """How the script ended, for the last record, which is written after everything else of the process."""

    reason, code, error = "completed", 0, ""


def main(words: Sequence[str]) -> NoReturn:
    """``RUN_DIR -- SCRIPT|-m MODULE ARGUMENTS…``; ends as the script ends."""
    run, (_, *script) = Path(words[0]), words[1:]
    global current
    session = current = Session(run)
    outcome = Outcome()
    # Registered before the script's own: runs after them all.
    atexit.register(lambda: session.end(outcome.reason, outcome.code, outcome.error))
    try:
        session.begin()
    except OSError as error:
        print(f"bptui: cannot watch this run: {error}", file=sys.stderr)
    when_imported("torch", session.torch_is_here)
    try:
        _as_main(script)
    except SystemExit as error:
        outcome.code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if outcome.code:
            outcome.reason, outcome.error = "failed", f"the script ended with exit status {outcome.code}"
        elif session.stop_asked:
            outcome.reason = "stopped"
        raise
    except KeyboardInterrupt as error:
        outcome.reason, outcome.code = "stopped", 0 if session.stop_asked else 130
        _show(error)
        _end_with(error)
    except BaseException as error:
        outcome.reason, outcome.code = "failed", 1
        outcome.error = f"{type(error).__name__}: {error}".splitlines()[0]
        _show(error)
        if session.info.hold_on_error:
            session.hold(error)
        _end_with(error)
    if session.stop_asked:
        outcome.reason = "stopped"
    raise SystemExit(0)


def _as_main(words: Sequence[str]) -> None:
    main_module = types.ModuleType("__main__")
    main_module.__dict__["__builtins__"] = __builtins__
    if words[0] == "-m":
        import runpy

        sys.argv = [words[1], *words[2:]]
        sys.path.insert(0, os.getcwd())
        sys.modules["__main__"] = main_module
        # what ``python -m`` itself calls; there is no public name for running in the true __main__
        runpy._run_module_as_main(words[1], alter_argv=True)  # type: ignore[attr-defined]
        return
    path = words[0]
    sys.argv = list(words)
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    main_module.__file__ = path
    main_module.__dict__["__cached__"] = None
    main_module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    sys.modules["__main__"] = main_module
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, main_module.__dict__)  # running the user's script is what is asked for


def _show(error: BaseException) -> None:
    """The script's own traceback, through its own hook: frames of bptui and of what started it are cut."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _is_ours(filename: str) -> bool:
    return filename == __file__ or filename.startswith("<frozen runpy")


def _end_with(error: BaseException) -> NoReturn:
    """End as Python does on this exception (status 1; Ctrl-C: by the signal), without saying it twice."""
    sys.excepthook = lambda *_: None
    raise error.with_traceback(None)


def when_imported(name: str, act: Callable[[], None]) -> None:
    """Call ``act`` as soon as a module has been imported; at once if it is there."""
    if name in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Finder(name, act))


class _Finder(importlib.abc.MetaPathFinder):
    """Stands before the other finders until the module is asked for, then goes."""

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self._name, self._act = name, act

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader, act = spec.loader, self._act
        real = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            del loader.exec_module  # the loader is what it was
            real(module)
            act()

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
