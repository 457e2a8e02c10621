"""One run of a user's script, seen from inside its process: the ring, the hub, what is sampled, pausing and the end."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bptui.runs.info import RunInfo, process_start, read_info, write_info
from bptui.runs.ring import Record, Ring
from bptui.trainer.control import Control

if TYPE_CHECKING:
    import torch

    from bptui.attach.discover import Model
    from bptui.attach.observer import Observer

UNSTEPPED = "backward was called {:,} times, but no optimiser's step(): parameters changed by hand cannot be watched"


class Session:
    """Lives from before the script's first line to after its last; holds no torch until the script imports it."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.info: RunInfo = read_info(run)
        self.ring = Ring(run / "ring")
        self.flag: memoryview = self.ring.flag_view()
        self.step = 0
        """Updates done: ``step()`` calls of every optimiser."""
        self.state = "STARTING"
        self.stop_asked = False
        self.observer: Observer | None = None
        self.control: Control | None = None
        self.pid = os.getpid()
        self.ended = False
        self._described: dict[str, Any] = {}
        """What the last META record told beside what is the same in all."""

    # -- beginning ---------------------------------------------------------------------------------
    def begin(self) -> None:
        """Say whose run this is, listen, and see that a hub keeps it."""
        from bptui.client.launch import start_hub

        self.ring.claim()
        self.control = Control(self.ring, self.info.trainer_address)
        if self.ring.lock():  # no hub yet: it is to adopt this process
            self.ring.unlock()
            self.info = msgspec.structs.replace(self.info, trainer_pid=self.pid, trainer_start=process_start(self.pid))
            write_info(self.run, self.info)
            start_hub(self.run, adopt=True)
        os.register_at_fork(after_in_child=self._forked)
        self.enter("WAITING", "before the first update")

    def torch_is_here(self, *models: Model, optimizers: tuple[torch.optim.Optimizer, ...] = ()) -> None:
        """torch has been imported: watch it. An error in this does not reach the script."""
        try:
            from bptui.attach.observer import Observer

            self.observer = Observer(self, models, optimizers)
            self.observer.hooks.install()
        except Exception as error:
            self.give_up(error)

    def _forked(self) -> None:
        """A worker process of the script: it is none of ours, and must not write where its parent does."""
        observer, self.observer = self.observer, None
        control, self.control = self.control, None
        self.ended = True
        with contextlib.suppress(Exception):
            if observer is not None:
                observer.abandon()
            if control is not None:
                control.abandon()

    # -- telling -----------------------------------------------------------------------------------
    def enter(self, state: str, text: str = "", micro: str = "") -> None:
        """Say in which state the script is from now on."""
        self.state = state
        self.ring.set_state(state)
        settings = self.observer.settings() if self.observer is not None else {}
        told = {"state": state, "text": text, "micro": micro, "pace": 0.0, "total_steps": None, "settings": settings}
        self.ring.write(Record.STATE, self.step, json.dumps(told).encode())

    def event(self, change: str, before: object, after: object, phase: str = "") -> None:
        told = {"step": self.step, "phase": phase, "change": change, "before": before, "after": after}
        self.ring.write(Record.EVENT, self.step, json.dumps(told).encode())

    def fact(self, fact: str, **content: object) -> None:
        told = {"fact": fact, "step": self.step, **content}
        self.ring.write(Record.FACT, self.step, json.dumps(told).encode())

    def describe(self, details: dict[str, Any]) -> None:
        """The META record."""
        self._described = details
        told = {
            "title": self.info.title, "engine": "script", "engine_reason": "the script's own torch",
            "versions": {"python": platform.python_version(), "torch": str(sys.modules["torch"].__version__)},
            "cpu": platform.processor() or platform.machine(), "steps_per_epoch": 0, "total_steps": None, **details,
        }  # fmt: skip
        self.ring.write(Record.META, self.step, json.dumps(told).encode())

    def give_up(self, error: BaseException) -> None:
        """Something of bptui failed: the script goes on without it, and what failed is told."""
        observer, self.observer = self.observer, None
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        with contextlib.suppress(Exception):
            if observer is not None:
                observer.close()
        with contextlib.suppress(Exception):
            with open(self.run / "attach.log", "a") as file:
                traceback.print_exception(error, file=file)
            self.fact("probe-failed", probe="attach", error=text)
            off = [*self._described.get("probes_off", ()), {"probe": "attach", "error": text, "step": self.step}]
            self.describe({**self._described, "probes_off": off})
            self.enter("RUNNING", f"bptui has let go of the script: {text}")

    # -- standing still ----------------------------------------------------------------------------
    def hold(self, error: BaseException) -> None:
        """The script has raised: wait until someone has looked (``--hold-on-error``)."""
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = f" ({Path(place[0].filename).name}:{place[0].lineno})" if place else ""
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        self.enter("HELD", f"{text}{where}")
        print(f"bptui: held at {text}: bptui attach {self.info.id} looks, q then lets it end", file=sys.stderr)
        self.wait_until_released()

    def wait_until_released(self) -> None:
        """Answer requests until one lets the script go on (run, step, stop)."""
        from bptui.attach.requests import answer

        if self.control is None:
            return
        while self.state in ("PAUSED", "HELD"):
            for asked in self.control.wait(5.0):
                answer(self, asked)

    def attend(self) -> None:
        """Take what has been asked while the script runs."""
        from bptui.attach.requests import answer

        if self.control is not None:
            for asked in self.control.pending():
                answer(self, asked)

    # -- the end -----------------------------------------------------------------------------------
    def end(self, reason: str, code: int, error: str = "") -> None:
        """The last record. Only the process that began says it, once."""
        if self.ended or os.getpid() != self.pid:
            return
        self.ended = True
        observer, self.observer, note = self.observer, None, ""
        with contextlib.suppress(Exception):
            note = self._note(observer)
        if observer is not None:
            with contextlib.suppress(Exception):
                observer.conclude()
            with contextlib.suppress(Exception):
                observer.close()
        told = {"reason": reason, "code": code, "error": error, "step": self.step, "note": note}
        with contextlib.suppress(Exception):
            self.ring.write(Record.END, self.step, json.dumps(told).encode())
            self.ring.set_state({"completed": "DONE", "stopped": "STOPPED"}.get(reason, "FAILED"))
        if self.control is not None:
            self.control.close()

    def _note(self, observer: Observer | None) -> str:
        """Why there is little or nothing to see, where that is so."""
        if self.step > 1:
            return ""
        if self.step == 1:
            return "one update, which shows what is trained: layers are measured from the second on"
        if "torch" not in sys.modules:
            return "the script never imported torch: there was nothing to watch"
        if observer is None:  # bptui had let go of it, which has been told
            return ""
        if observer.hooks.unanswered:
            return UNSTEPPED.format(observer.hooks.unanswered)
        return "no optimiser's step() and no backward(): there was no training to watch"
