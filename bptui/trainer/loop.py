"""The life of a trainer: it begins, trains, waits, is asked, and ends."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from pathlib import Path
from types import FrameType

import numpy as np

from bptui.protocol.messages import Looking
from bptui.runs.info import RunInfo
from bptui.runs.ring import Record, Ring
from bptui.trainer.control import Asked, Control
from bptui.trainer.keep import keep, keep_if_due
from bptui.trainer.requests import answer
from bptui.trainer.rewind import begin_branch, go_to
from bptui.trainer.setup import Setup
from bptui.trainer.updates import Rates
from bptui.trainer.watched import Watched
from bptui.trainer.where import first_non_finite

#: Micro-steps a second while a face plays them.
MICRO_PLAY = 3.0
#: Seconds between two looks at whether a trainer that waits still has a hub.
ORPHAN_CHECK = 5.0
_SPEED_EVERY = 1.0


class Trainer(Watched):
    """A course that is recorded in a ring and controlled from outside."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup, info, ring, directory)
        self._stop_signal = False
        self._failed_text = ""
        self._next_due = 0.0
        self._put_off: list[Asked] = []
        self.control = Control(ring, info.trainer_address)

    # -- the whole run ---------------------------------------------------------------------------------
    def run(self) -> int:
        """Train until the end; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self.control.wake_fd, warn_on_full_buffer=False)
        self.describe()
        try:
            with np.errstate(all="ignore"):  # what is not finite is a finding, not a warning on stderr
                return self._live()
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            self._end("failed", 1, text)
            raise
        finally:
            self.control.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signal = True
        self.ring.raise_flag()

    def _live(self) -> int:
        if not self._begin():
            return 2
        while self.state != "STOPPED":
            if self.state == "RUNNING":
                self._train()
            else:
                self._wait()
        reason, code, text = self._outcome()
        self._end(reason, code, text)
        return code

    def _begin(self) -> bool:
        """Be where it begins, and say so; False where it cannot."""
        parent, first = self.info.parent, "READY" if self.info.interactive else "RUNNING"
        if parent is None:
            self.validate()
            keep(self)
        else:
            try:
                begin_branch(self, parent.step)
            except ValueError as error:
                self._end("failed", 2, str(error))
                return False
            first = "RUNNING" if self.info.running else "PAUSED"
        self.begun = True
        self.record_lr()
        self.show()  # there is something to see before the first step, and code is warm
        if parent is not None:  # what holds where it begins was known there: it is no hit
            self.breakpoints.begin({**self._known(), "loss": self.preview_loss}, self.probe.functions())
        self.probe.governor.forget()
        self.memory.keep(self)
        self.enter(first)
        return True

    def _outcome(self) -> tuple[str, int, str]:
        """Reason, exit status and error of a run that has come to its end."""
        if self._failed_text:
            return "failed", 1, self._failed_text
        if self._done_reason == "stopped" and self.until:
            return "stopped", 1, f"stopped before {self.until.text} held"
        if self._done_reason == "completed" and self.until:
            return "completed", 1, f"ended before {self.until.text} held"
        return self._done_reason, 0, ""

    _done_reason = "stopped"

    def _end(self, reason: str, code: int, error: str) -> None:
        self.ring.write(
            Record.END,
            self.step,
            json.dumps({"reason": reason, "code": code, "error": error, "step": self.head}).encode(),
        )
        self.ring.set_state({"completed": "DONE", "until": "DONE", "stopped": "STOPPED"}.get(reason, "FAILED"))

    def _wait(self) -> None:
        """READY, PAUSED, DONE, FAILED: until something is asked."""
        for asked in self._asked(ORPHAN_CHECK):
            answer(self, asked)
        if self._stop_signal or (self.step == 0 and self.info.interactive and self._orphaned()):
            self.finish()

    def _orphaned(self) -> bool:
        """No hub lives: nobody can ever start what has not begun."""
        if not self.ring.lock():
            return False
        self.ring.unlock()
        return True

    def finish(self) -> None:
        """End after what has been done; from DONE the run counts as completed."""
        if self.state in ("RUNNING", "PAUSED"):
            if self.step < self.head:
                self._leave_past()
            self.finish_update()
            self._conclude()
        self.enter("STOPPED")

    def _leave_past(self) -> None:
        """Ended while it is in its past, a run ends at its head."""
        self.leave_update()
        with contextlib.suppress(ValueError):  # no state can be read: it ends where it stands
            if self.memory.at(self.head) is not None:
                go_to(self, self.head)

    def _asked(self, seconds: float | None) -> list[Asked]:
        """What was put off, else what comes within ``seconds`` (None: what has come)."""
        if self._put_off:
            put_off, self._put_off = self._put_off, []
            return put_off
        return self.control.pending() if seconds is None else self.control.wait(seconds)

    def interrupted(self) -> bool:
        """Whether anything but a look has been asked; it is answered once what is under way has ended."""
        if self._flag[0]:
            self._put_off += self.control.pending()
        return self._stop_signal or any(not isinstance(one.request, Looking) for one in self._put_off)

    def attend(self) -> None:
        """Take what has been asked while running."""
        for asked in self._asked(None):
            answer(self, asked)
        if self._stop_signal and self.state == "RUNNING":
            self.finish()

    def _train(self) -> None:
        self.finish_update()
        while self.state == "RUNNING":
            if self._flag[0] or self._stop_signal or self._put_off:
                self.attend()
                continue
            if self._steps is not None and self.pace >= 0:
                self.finish_update()  # begun while micro-steps were played
                continue
            if self.stopping.total_steps is not None and self.step >= self.stopping.total_steps:
                if not self.settle():
                    self._complete("completed")
            elif self.pace < 0:
                self.micro_step()
                self._rest(MICRO_PLAY)
            elif self.pace > 0:
                self.one_step()
                self._rest(self.pace)
            elif self.step >= self.probe.governor.next_step():
                self.one_step()
            else:
                self.stretch()

    def restart_clock(self) -> None:
        """The pace was changed: the next step is due from now on."""
        self._next_due = time.perf_counter()

    def _rest(self, rate: float) -> None:
        """Wait until the next step is due at ``rate`` a second, or something is asked."""
        now = time.perf_counter()
        self._next_due = max(self._next_due + 1 / rate, now - 1 / rate)
        self.probe.governor.stepped(1 / rate)
        if self._next_due > now and self.state == "RUNNING":
            for asked in self._asked(self._next_due - now):
                answer(self, asked)

    def forget_failure(self) -> None:
        """It has been gone back to before it happened."""
        self._failed_text = ""

    def after_step(self, losses: list[float], rates: Rates) -> None:
        """Updates have been done, with these losses and rates: ends of an epoch, what is not finite, conditions."""
        if self.step < self.head:
            self.ring.set_step(self.step)
        elif self.step > self.head:
            self.record_figures()
        self.head = max(self.head, self.step)
        ended = self.epochs.between(self.step) and math.isfinite(self.loss)
        self.passed(losses, rates)
        self.learned()
        if not math.isfinite(self.loss):
            if not self.settle():
                self._fail()
            return
        reason = ""
        if ended:
            reason = self._epoch_ended()
        self.relive_here()
        now = time.perf_counter()
        if now - self._reported >= _SPEED_EVERY:
            self._reported = now
            self.probe.report_share(self.step)
            self.record_lr()
        keep_if_due(self)
        whole = self.state != "RUNNING" or self.pace != 0 or bool(reason)
        if self._breaks(whole):
            return
        if self.until and self._until_holds():
            self._complete("until")
        elif reason:
            self._complete("completed", reason)

    def _epoch_ended(self) -> str:
        reason = self.end_epoch()
        if self.epochs != self._described:
            self.tell_settings()
        self.record_lr()
        if self.until and self.until.calls:
            self.probe.refresh(self.step)
            self.shows = "other"
        return reason

    def _complete(self, reason: str, text: str = "") -> None:
        """The run has reached its end: final figures, a keyframe; a face's trainer then waits."""
        self._done_reason = reason
        self._conclude()
        if reason == "completed" and self.until and self._until_holds():
            self._done_reason = "until"
        self.enter("DONE", text)
        if not self.info.interactive:
            self.enter("STOPPED")

    def _fail(self) -> None:
        """The loss is not finite: say where it began and stand still, so that it can be looked at."""
        place = first_non_finite(self.engine)
        step = self.step - 1
        fact = {"fact": "non-finite", "step": step, "loss": repr(self.loss), **place}
        self.ring.write(Record.FACT, step, json.dumps(fact).encode())
        where = f", first in {place['op']} of {place['layer']}" if place["layer"] else ""
        self._failed_text = f"the loss is {self.loss} at step {step}{where}"
        self.enter("FAILED", self._failed_text)
        if not self.info.interactive:
            self.enter("STOPPED")
