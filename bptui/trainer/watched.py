"""Conditions on a run that is under way: breakpoints, which pause it, and ``--until``, which ends it.

What is recorded of each update is looked at for each (``Breakpoints``). Layers are looked at as often as the governor
allows; where one of them has come to hold since, the states between the two looks are gone through one by one.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

from bptui.expr import Condition, parse
from bptui.expr.language import LayerFunction, said
from bptui.protocol.messages import Armed
from bptui.runs.info import RunInfo
from bptui.runs.ring import Record, Ring
from bptui.trainer.breakpoints import EACH_STEP, Breakpoints, Hit
from bptui.trainer.rewind import TOLD_SECONDS, cut, go_to
from bptui.trainer.setup import Setup
from bptui.trainer.state_look import StateLook, Values, of_update, stays
from bptui.trainer.updates import Rates, Updates

#: States that are left to be gone through one by one, where halving finds the rest.
_FEW = 64


class Watched(Updates):
    """Updates with conditions that are looked at on the way."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup, info, ring, directory)
        names = [layer.name for layer in self.engine.layers]
        self.until = parse(info.until, layers=names) if info.until else None
        self.breakpoints = Breakpoints((), names)
        self.broke = False
        """A breakpoint was hit."""
        self.layers_every = self.units_every = 0
        """Steps between the last two looks at what updates leave of layers, and at their dead units; 0: none yet."""
        self._layers_from = self._units_from = 0
        """The first state that has not been looked at so."""
        self._looks_seen = self._counts_seen = 0
        self._reached = 0
        self._left: tuple[Values, float] = ({}, math.nan)
        """Figures and rate of the last update."""
        self.arm([Armed(text) for text in info.breaks])

    @property
    def armed_texts(self) -> tuple[str, ...]:
        return tuple(one.text for one in self.breakpoints.armed if one.enabled)

    def stretch_ends(self) -> list[int]:
        ends = [self.step + 1] if self.until and self.until.names & EACH_STEP else []
        if (stop := self.breakpoints.next_stop(self.step)) is not None:
            ends.append(stop)
        return ends

    def arm(self, conditions: Sequence[Armed]) -> None:
        """These are the breakpoints from now on. ConditionError: one cannot be read."""
        self.breakpoints.arm(conditions)
        self.probe.look_for(call for one in self.breakpoints.of_layers for call in one.calls)
        self._layers_from = self._units_from = self.step
        self.layers_every = self.units_every = 0

    def passed(self, losses: list[float], rates: Rates) -> None:
        """Updates have led here, whose epoch, if it ends here, has not been ended yet: what conditions read of them."""
        points = self.breakpoints
        points.passed(self, losses, rates)
        if points.of_layers:
            first = self.step - len(losses)
            if first != self._reached:  # it went on from somewhere else than where it had come to
                self._layers_from = self._units_from = first
            self._reached = self.step
            self._left = self.scalars, rates[-1] if isinstance(rates, list) else rates

    def settle(self) -> bool:
        """Look at whatever has passed: whether a breakpoint was hit, at which it then stands."""
        if self.breakpoints.of_layers and self.shows == "last" and math.isfinite(self.loss):
            self.look()
            self.probe.refresh(self.step)  # layers are measured now and then: this state must not be missed
            self.shows = "other"
        return self._breaks(whole=True)

    def present(self) -> tuple[Values, dict[str, LayerFunction]]:
        """What conditions know now: paused between two updates, this state, its coming loss, and its layers."""
        if self.state not in ("READY", "PAUSED", "DONE") or self.micro is not None:
            return self._known(), self.probe.functions()
        if not self.seen.measured:
            self.preview()
            self.probe.refresh(self.step)
            self.shows, self.seen.measured = "other", True  # the census left other samples in the engine's tensors
        self.preview()
        return {**self._known(), "loss": self.preview_loss}, self.probe.functions()

    def _breaks(self, whole: bool = False) -> bool:
        """Whether a breakpoint was hit; ``whole``: everything that has passed is looked at, due or not."""
        points, hit, frontier = self.breakpoints, None, self.step == self.head
        if whole or points.due(self.step, time.perf_counter()):
            spent = points.spent
            hit = points.hit(self, min(self._layers_from, self._units_from) if points.of_layers else None)
            self.probe.governor.spent += points.spent - spent
        if hit is None and points.of_layers and self.probe.looks != self._looks_seen:
            hit = self._layer_hit()
        if hit is None:
            return False
        with contextlib.suppress(ValueError):  # a keyframe that is damaged: stand where it was noticed
            go_to(self, hit.step)
        if frontier:
            cut(self)  # what was done beyond, before the hit was known, was shown to nobody
        event = {"step": self.step, "phase": "", "change": "break", "before": None, "after": hit.condition.text}
        self.ring.write(Record.EVENT, self.step, json.dumps(event).encode())
        self.show()
        self.broke = True
        self.enter("PAUSED", f"break: {hit.text} at step {self.step:,}")
        return True

    # -- layers ----------------------------------------------------------------------------------------
    def _layer_hit(self) -> Hit | None:
        """Conditions on layers, where these have been measured since the last look."""
        probe = self.probe
        self._looks_seen = probe.looks
        if probe.known_at < self.step - 1:
            return None  # of a place that it has left since
        before, of_update_known = self.step - 1, {**self._left[0]}
        of_update_known |= {"loss": self.loss, "step": float(before), "lr": self._left[1],
                            "epoch": self.epochs.done(before)}  # fmt: skip
        found = self.breakpoints.risen({**self._known(), "loss": None}, of_update_known, probe.functions())
        if found:
            functions = probe.functions()
            text = said(found[0], of_update_known if of_update(found[0]) else self._known(), functions)
            with contextlib.suppress(ValueError):
                return self._first(found) or Hit(found[0], self.step - of_update(found[0]), text)
            return Hit(found[0], self.step, text)
        if probe.ratio_known or not probe.wants_ratio:
            self.layers_every, self._layers_from = self.step - self._layers_from, self.step
        if probe.counts != self._counts_seen:
            self._counts_seen = probe.counts
            self.units_every, self._units_from = self.step - self._units_from, self.step
        return None

    def _first(self, conditions: list[Condition]) -> Hit | None:
        """The first state since the last look in which one of them holds; the run is then in it or in the next."""
        last = self.step
        units = any(function == "dead" for one in conditions for function, _ in one.calls)
        start = min(self._units_from if units else self._layers_from, last)
        if all(stays(one.tree) for one in conditions):
            start = self._halved(conditions, start, last)
        go_to(self, start)
        self.memory.lay(self)
        look = StateLook(self, conditions, self.relive_here, self.breakpoints.past_of)
        told = time.perf_counter()
        while True:
            state = self.step
            values = look.before() if state == last else look.through()
            held = next((one for one in conditions if look.holds(one, values)), None)
            if held is not None:
                return Hit(held, state, said(held, values, look.functions, look.past))
            if state == last:
                return None
            if (now := time.perf_counter()) - told > TOLD_SECONDS:
                told = now
                self.say(f"looking for the very step: {self.step - start:,} of {last - start:,}")

    def _halved(self, conditions: list[Condition], low: int, high: int) -> int:
        """A state, at most a few before it first holds, of conditions that stay true once they are."""
        while high - low > _FEW:
            middle = (low + high) // 2
            go_to(self, middle)
            look = StateLook(self, conditions, self.relive_here)
            values = look.before()
            if any(look.holds(one, values) for one in conditions):
                high = middle
            else:
                low = middle + 1
        return low

    def _until_holds(self) -> bool:
        assert self.until is not None
        return self.until.holds(self._known(), self.probe.functions())

    def _known(self) -> Values:
        """What conditions know of this state; ``loss`` is that of the step just done."""
        return {
            **self.scalars, "loss": self.loss, "step": float(self.step),
            "epoch": self.epochs.done(self.step), "lr": self.lr.at(self.step),
        }  # fmt: skip
