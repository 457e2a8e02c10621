"""The loop: updates in stretches between two places where anything else is to be done.

Between those places an update is ``train_step`` and one record; nothing is watched. A stretch ends at
the end of an epoch, where a probe is due, where the run ends, or as soon as the flag is up.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import numpy as np
import numpy.typing as npt

from bptui.data import Part
from bptui.engine.base import Micro, micro_steps
from bptui.expr import Condition, parse
from bptui.expr.language import LayerFunction
from bptui.probe.measure import Probe, write_series
from bptui.protocol.messages import Armed
from bptui.runs.confusion import write_confusion
from bptui.runs.info import RunInfo
from bptui.runs.ring import Record, Ring
from bptui.trainer.breakpoints import EACH_STEP, Breakpoints, Hit, said
from bptui.trainer.control import Control
from bptui.trainer.course import Course
from bptui.trainer.evaluate import confusion
from bptui.trainer.inspect import Seen, gradients
from bptui.trainer.keep import keep
from bptui.trainer.requests import answer
from bptui.trainer.rewind import Memory, apply_changes, go_to
from bptui.trainer.setup import Setup, meta
from bptui.trainer.where import first_non_finite

#: Micro-steps a second while a face plays them.
MICRO_PLAY = 3.0
#: Seconds between two looks at whether a trainer that waits still has a hub.
ORPHAN_CHECK = 5.0
_SPEED_EVERY = 1.0


def _known_already(step: int, loss: float, now: float) -> None:
    """In place of a record of a loss that is in the log already."""


class Trainer(Course):
    """A course that is recorded in a ring and controlled from outside."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup)
        self.info, self.ring, self.directory = info, ring, directory
        self.probe = Probe(self.engine, ring, info.probe_budget, setup.data.train.blocks(512))
        self.until = parse(info.until, layers=[layer.name for layer in self.engine.layers]) if info.until else None
        self.breakpoints = Breakpoints((), [layer.name for layer in self.engine.layers])
        self.arm([Armed(text) for text in info.breaks])
        self.state = "STARTING"
        self.micro: Micro | None = None
        """The place inside the update that is under way; None between updates."""
        self.pace = info.pace
        """Updates a second; 0: as fast as it goes; −1: micro-steps, a few a second."""
        self.previewed = -1
        """The state whose coming batch the engine's tensors show; −1: they show the last step done."""
        self._steps: Iterator[Micro] | None = None
        self._micro_losses: list[float] = []
        self.parts_done = 0
        """Batches that the update under way has taken."""
        self.raw_gradients: list[npt.NDArray[np.floating]] | None = None
        """∂L/∂W of every layer, of the update under way, before it is regularised and clipped."""
        self.seen = Seen()
        self.memory = Memory()
        self.head = 0
        """How far it has been recorded; before it, an update is done again and its loss is known already."""
        self._noted = -1
        """The last state whose figures are recorded."""
        self.kept_at = 0.0
        self.keep_cost = 0.0
        """When the last keyframe was written (monotonic seconds), and how long it took."""
        self._described = self.epochs
        self._stop_signal = False
        self._failed_text = ""
        self._next_due = 0.0
        self._flag = ring.flag_view()
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

    def describe(self) -> None:
        """What is trained, and how long an epoch is: at the beginning, and when that has changed."""
        details = meta(self.setup, self.epochs, self.stopping.total_steps)
        self._described = self.epochs
        self.ring.write(Record.META, self.step, json.dumps(details).encode())

    def tell_settings(self) -> None:
        """Say how it is set now, and how long an epoch is where that has changed."""
        if self.epochs != self._described:
            self.describe()
        self.enter(self.state)

    def _settings(self) -> dict[str, float]:
        """Settings that may change while it trains, by the names of ``change``; a limit that is off is left out."""
        values = {**self.engine.settings(), "batch_size": float(self.batch_size)}
        return {key: value for key, value in values.items() if math.isfinite(value)}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signal = True
        self.ring.raise_flag()

    def _live(self) -> int:
        self.record_lr()
        self.validate()
        keep(self)
        self.show()  # there is something to see before the first step, and code is warm
        self.probe.governor.forget()
        self.previewed = -1
        self.memory.keep(self)
        self.enter("READY" if self.info.interactive else "RUNNING")
        while self.state != "STOPPED":
            if self.state == "RUNNING":
                self._train()
            else:
                self._wait()
        reason, code, text = self._outcome()
        self._end(reason, code, text)
        return code

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
            json.dumps({"reason": reason, "code": code, "error": error, "step": self.step}).encode(),
        )
        self.ring.set_state({"completed": "DONE", "until": "DONE", "stopped": "STOPPED"}.get(reason, "FAILED"))

    def enter(self, state: str, text: str = "") -> None:
        """Say in which state the trainer is from now on."""
        now = time.perf_counter()
        if state == "RUNNING" and self.state != "RUNNING":
            self._done_reason = "stopped"
            self.probe.governor.begin(now)
            self._next_due = self._reported = now
        elif self.state == "RUNNING" and state != "RUNNING":
            self.probe.governor.end(now)
            self.probe.report_share(self.step)
        self.state = state
        self.ring.set_state(state)
        record = {
            "state": state,
            "text": text,
            "micro": self.micro_text,
            "pace": self.pace,
            "total_steps": self.stopping.total_steps,
            "settings": self._settings(),
        }
        self.ring.write(Record.STATE, self.step, json.dumps(record).encode())

    @property
    def micro_text(self) -> str:
        """The place inside the update in words (``backward dense2``); empty between updates."""
        if self.micro is None:
            return ""
        layer = "" if self.micro.layer is None else f" {self.engine.layers[self.micro.layer].name}"
        return f"{self.micro.phase}{layer}"

    # -- waiting ---------------------------------------------------------------------------------------
    def _wait(self) -> None:
        """READY, PAUSED, DONE, FAILED: until something is asked."""
        for asked in self.control.wait(ORPHAN_CHECK):
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
            self.finish_update()
            self._conclude()
        self.enter("STOPPED")

    def attend(self) -> None:
        """Take what has been asked while running."""
        for asked in self.control.pending():
            answer(self, asked)
        if self._stop_signal and self.state == "RUNNING":
            self.finish()

    # -- training --------------------------------------------------------------------------------------
    def _train(self) -> None:
        self.finish_update()
        while self.state == "RUNNING":
            if self._flag[0] or self._stop_signal:
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
                self._stretch()

    def restart_clock(self) -> None:
        """The pace was changed: the next step is due from now on."""
        self._next_due = time.perf_counter()

    def _rest(self, rate: float) -> None:
        """Wait until the next step is due at ``rate`` a second, or something is asked."""
        now = time.perf_counter()
        self._next_due = max(self._next_due + 1 / rate, now - 1 / rate)
        self.probe.governor.stepped(1 / rate)
        if self._next_due > now and self.state == "RUNNING":
            for asked in self.control.wait(self._next_due - now):
                answer(self, asked)

    def _stretch(self) -> None:
        """Unwatched updates up to the next place where something is to be done: the hot path."""
        ends = [self.probe.governor.next_step(), self.epochs.end(self.step)]
        if self.stopping.total_steps is not None:
            ends.append(self.stopping.total_steps)
        if self.until and self.until.names & EACH_STEP:
            ends.append(self.step + 1)
        if (stop := self.breakpoints.next_stop(self.step)) is not None:
            ends.append(stop)
        if self.step < self.head:
            self._relive()
            ends += [self.head, *(change.step for change in self.memory.changes if change.step > self.step)]
        end = min(ends)
        train, clock, flag = self._update, time.time, self._flag
        record = self.ring.loss if self.step >= self.head else _known_already
        if self._group == 1:
            next_batch, train_step = self.batches.next, self.engine.train_step
        first = step = self.step
        lr, fixed = self.lr.at(step), self.lr.constant_within_epoch
        total, loss = 0.0, math.nan
        losses: list[float] = []
        started = time.perf_counter()
        while step < end:
            if not fixed:
                lr = self.lr.at(step)
            loss = train_step(next_batch(), step, lr) if self._group == 1 else train(step, lr)
            record(step, loss, clock())
            losses.append(loss)
            total += loss
            step += 1
            if flag[0] or loss - loss != 0.0:  # the second: NaN or infinite
                break
        self.probe.governor.stepped((time.perf_counter() - started) / max(step - first, 1))
        self.step, self.loss, self.previewed, self.probe_shows = step, loss, -1, "last"
        self._epoch_loss += total
        self._after_step(losses)

    def one_step(self, *, everything: bool = False) -> None:
        """One whole update, watched where a probe is due; from inside an update, its rest."""
        if self._steps is not None:
            self.finish_update()
            return
        self._relive()
        self.probe.recording = self.step >= self.head
        self.probe.prepare(self.step, everything=everything)
        self.engine.watch(everything or self.step >= self.probe.governor.next_step())
        loss = self._update(self.step, self.lr.at(self.step))
        self.engine.watch(False)
        self._done_step(loss, everything=everything)

    def _done_step(self, loss: float, *, everything: bool) -> None:
        if self.step >= self.head:
            self.ring.loss(self.step, loss, time.time())
        if math.isfinite(loss):  # else the tensors are still wanted as they are
            self.probe.measure(self.step, everything=everything)
            if everything:
                self._looked = self.step + 1
        self.step += 1
        self.loss, self.previewed, self.probe_shows = loss, -1, "last"
        self._epoch_loss += loss
        self._after_step([loss])

    def micro_step(self) -> None:
        """On to the next place inside the update."""
        if self._steps is None:
            self._relive()
            self.probe.recording = self.step >= self.head
            self.probe.prepare(self.step, everything=True)
            self.engine.watch(True)
            self._micro_losses, self._micro_count = [], 0
            self.parts_done, self.raw_gradients = 0, None
            self._before_update = self.batches.state()
            group = self.next_group()
            self._steps = micro_steps(self.engine, group, self.step, self.lr.at(self.step))
            self.previewed = -1
        self.micro = next(self._steps)
        if self.micro.phase == "loss" and self.micro.value is not None:
            self._micro_losses.append(self.micro.value)
        self.parts_done += self.micro.phase == "batch"
        if self.micro.phase == "backward" and self.micro.layer == 0:
            self.raw_gradients = gradients(self)
        self._micro_count += 1
        if self.micro.phase == "update":
            self.micro = self._steps = None
            self.engine.watch(False)
            self._done_step(self._micro_loss, everything=True)
        if self.state == "RUNNING":
            self.enter("RUNNING")

    @property
    def _micro_loss(self) -> float:
        """Mean loss of the batches that the update under way has taken so far."""
        return sum(self._micro_losses) / max(len(self._micro_losses), 1)

    _micro_count = 0

    def _relive(self) -> None:
        """In the past: what was changed in this state is changed again."""
        if self.step < self.head:
            apply_changes(self, self.memory.changes)

    def forget_failure(self) -> None:
        """It has been gone back to before it happened."""
        self._failed_text = ""

    def remember(self) -> None:
        """Hold this state, if it is one between two updates, so that it is quickly gone back to."""
        if self._steps is None and self.state != "FAILED":
            self.memory.keep(self)

    def leave_update(self) -> int:
        """Go back to where the update under way began; returns how many micro-steps of it had been done."""
        if self._steps is None:
            return 0
        self.engine.watch(False)
        self.micro = self._steps = None
        self.batches.load_state(self._before_update)
        self.previewed = -1
        return self._micro_count

    def finish_update(self) -> None:
        """Do the rest of an update that was begun in micro-steps."""
        while self._steps is not None:
            self.micro_step()

    def _after_step(self, losses: list[float]) -> None:
        """Updates have been done, with these losses: ends of an epoch, a loss that is not finite, conditions."""
        if self.step < self.head:
            self.ring.set_step(self.step)
        self.head = max(self.head, self.step)
        ended = self.epochs.between(self.step) and math.isfinite(self.loss)
        self.breakpoints.passed(self, losses[:-1] if ended else losses, self.step - ended)
        if not math.isfinite(self.loss):
            if not self.settle():
                self._fail()
            return
        reason = ""
        if ended:
            reason = self._epoch_ended()
            self.breakpoints.passed(self, losses[-1:], self.step)
        now = time.perf_counter()
        if now - self._reported >= _SPEED_EVERY:
            self._reported = now
            self.probe.report_share(self.step)
            self.record_lr()
            self.memory.keep(self)
        whole = self.state != "RUNNING" or self.pace != 0 or bool(reason)
        if self._breaks(whole):
            return
        if self.until and self._until_holds():
            self._complete("until")
        elif reason:
            self._complete("completed", reason)

    _reported = 0.0

    def _epoch_ended(self) -> str:
        reason = self.end_epoch()
        if self.epochs != self._described:
            self.tell_settings()
        self.record_lr()
        keep(self, only_if_due=True)
        if self.breakpoints.of_layers or (self.until and self.until.calls):
            self.probe.refresh(self.step)
            self.probe_shows = "probe set"
        return reason

    def _until_holds(self) -> bool:
        assert self.until is not None
        return self.until.holds(self._known(), self.probe.functions())

    def _known(self) -> dict[str, float | None]:
        """What conditions know of this state; ``loss`` is that of the step just done."""
        return {
            **self.scalars, "loss": self.loss, "step": float(self.step),
            "epoch": self.epochs.done(self.step), "lr": self.lr.at(self.step),
        }  # fmt: skip

    # -- breakpoints -----------------------------------------------------------------------------------
    def arm(self, conditions: Sequence[Armed]) -> None:
        """These are the breakpoints from now on. ConditionError: one cannot be read."""
        self.breakpoints.arm(conditions)
        self.probe.saturation = {
            layer for one in self.breakpoints.of_layers for function, layer in one.calls if function == "saturated"
        }

    def settle(self) -> bool:
        """Look at whatever has passed: whether a breakpoint was hit, at which it then stands."""
        return self._breaks(whole=True)

    def present(self) -> tuple[dict[str, float | None], dict[str, LayerFunction]]:
        """What conditions know now: paused between two updates, this state, its coming loss, and its layers."""
        if self.state not in ("READY", "PAUSED", "DONE") or self.micro is not None:
            return self._known(), self.probe.functions()
        if not self.seen.measured:
            self.preview()
            self.probe.refresh(self.step)
            self.previewed, self.seen.measured = -1, True  # the census left other samples in the engine's tensors
        self.preview()
        return {**self._known(), "loss": self.preview_loss}, self.probe.functions()

    def _breaks(self, whole: bool = False) -> bool:
        """Whether a breakpoint was hit; ``whole``: everything that has passed is looked at, due or not."""
        points, hit = self.breakpoints, None
        if whole or points.due(self.step):
            hit = points.hit()
        if hit is None and points.of_layers and self.probe.known_at != self._layers_seen:
            hit = self._layer_hit()
        if hit is None:
            return False
        with contextlib.suppress(ValueError):  # a keyframe that is damaged: stand where it was noticed
            # one on the loss is stood before: in the state whose loss it is
            go_to(self, hit.step - 1 if "loss" in hit.condition.names else hit.step)
        event = {"step": self.step, "phase": "", "change": "break", "before": None, "after": hit.condition.text}
        self.ring.write(Record.EVENT, self.step, json.dumps(event).encode())
        self.show()
        self.broke = True
        self.enter("PAUSED", f"break: {hit.text} at step {self.step:,}")
        return True

    broke = False
    """A breakpoint was hit."""
    _unbroken = 0
    """The last state of which the layers were looked at, and no breakpoint on them was hit."""
    _layers_seen = -1

    def _layer_hit(self) -> Hit | None:
        """Conditions on layers, where these have been measured since the last look."""
        self._layers_seen = self.probe.known_at
        found = self.breakpoints.hit_of_layers(self._known(), self.probe.functions())
        if not found:
            self._unbroken = min(self.step, self.probe.known_at)
            return None
        condition = found[0]
        with contextlib.suppress(ValueError):
            condition = self._back_to_first(found)
        self._layers_seen = self.probe.known_at
        text = said(condition, self._known(), self.probe.functions(), self.breakpoints.past)
        return Hit(condition, self.step, text)

    def _back_to_first(self, conditions: list[Condition]) -> Condition:
        """Layers are measured now and then: of the states since the last look, be in the first where one holds."""
        last = self.step
        go_to(self, min(self._unbroken, last))
        found = conditions[0]
        while self.step < last:
            self._relive()
            self.engine.watch(True)
            Course.update(self)
            self.engine.watch(False)
            self.probe.refresh(self.step)
            known, functions = self._known(), self.probe.functions()
            now = [one for one in conditions if one.holds(known, functions, self.breakpoints.past)]
            if now:
                found = now[0]
                break
        self.ring.set_step(self.step)
        return found

    def _complete(self, reason: str, text: str = "") -> None:
        """The run has reached its end: final figures, a keyframe; a face's trainer then waits."""
        self._done_reason = reason
        self._conclude()
        if reason == "completed" and self.until and self._until_holds():
            self._done_reason = "until"
        self.enter("DONE", text)
        if not self.info.interactive:
            self.enter("STOPPED")

    def _conclude(self) -> None:
        """What shall be known of a run at its end: the last step, its units, final figures, a keyframe."""
        self.look()
        self.probe.recording = self.step >= self.head
        self.probe.count_units(self.step)
        self.probe_shows = "probe set"
        self._measure_parts()
        keep(self)

    def look(self) -> None:
        """Measure the last step, if it was not watched, so that what is shown is no older than it must be."""
        if self._looked != self.step and self.probe_shows == "last" and math.isfinite(self.loss):
            self.probe.recording = self.step >= self.head
            self.probe.measure(self.step - 1, everything=True)
            self._looked = self.step

    _looked = 0
    """The state up to which the records tell everything."""

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

    # -- figures ---------------------------------------------------------------------------------------
    def _measure_parts(self) -> None:
        """Final figures of every part, and which classes are taken for which."""
        data = self.setup.data
        matrices = {}
        for prefix, part in (("train", data.train), ("val", data.validation), ("test", data.test)):
            if part is not None and len(part):
                scores = self.evaluate(prefix, part)
                if data.task in ("classification", "binary"):
                    matrices[prefix] = confusion(scores, part.y).tolist()
        if matrices:
            with contextlib.suppress(OSError):  # a full disk costs this file, not the run
                write_confusion(self.directory, matrices)

    def evaluate(self, prefix: str, part: Part) -> npt.NDArray[np.floating]:
        """Metrics of a part, as series of this state too."""
        scores = super().evaluate(prefix, part)
        if self.step < max(self._noted, self.head):
            return scores
        self._noted = self.step
        now = time.time()
        for name, value in self.scalars.items():
            if name.startswith(f"{prefix}_") and value is not None:
                write_series(self.ring, self.step, name, value, now)
        return scores

    def recorded_to(self, step: int) -> None:
        """What was recorded after ``step`` no longer holds."""
        self.head = step
        self._noted, self._looked = min(self._noted, step), min(self._looked, step)
        self._unbroken = min(self._unbroken, step)

    def record_lr(self) -> None:
        if self.step < self.head:
            return
        write_series(self.ring, self.step, "lr", self.lr.at(self.step))

    def preview(self) -> None:
        """Let the engine's tensors show this state with the batch of the coming update; changes nothing."""
        if self.previewed == self.step or self.micro is not None or self.state == "FAILED":
            return
        self.engine.begin(self.batches.peek(), self.step)
        for layer in range(len(self.engine.layers)):
            self.engine.forward(layer)
        self.preview_loss = self.engine.loss()
        for layer in reversed(range(len(self.engine.layers))):
            self.engine.backward(layer)
        self.previewed, self.probe_shows = self.step, "coming"

    def show(self) -> None:
        """Measure this state with the batch of the coming update, for whoever has just arrived here."""
        self.probe.recording = self.step >= self.head
        self.probe.prepare(self.step, everything=True)
        self.previewed = -1  # the census left other samples in the engine's tensors
        self.preview()
        self.probe.measure(self.step, everything=True, updated=False)

    preview_loss = math.nan
    probe_shows = "last"
    """Whose tensors the engine shows: the ``last`` step's, the ``coming`` one's, or those of the ``probe set``."""

    @property
    def shown_loss(self) -> float | None:
        """The loss that goes with the tensors that the engine shows now."""
        if self.previewed == self.step:
            return self.preview_loss
        if self.micro is not None:
            return self._micro_loss if self._micro_losses else None
        return self.loss
