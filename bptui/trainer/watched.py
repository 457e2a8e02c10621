"""Conditions on a run that is under way: breakpoints, which pause it, and ``--until``, which ends it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from bptui.expr import Condition, parse
from bptui.expr.language import LayerFunction, said
from bptui.protocol.messages import Armed
from bptui.runs.info import RunInfo
from bptui.runs.ring import Record, Ring
from bptui.trainer.breakpoints import EACH_STEP, Breakpoints, Hit
from bptui.trainer.course import Course
from bptui.trainer.rewind import cut, go_to
from bptui.trainer.setup import Setup
from bptui.trainer.updates import Updates


class Watched(Updates):
    """Updates with conditions that are looked at on the way."""

    def __init__(self, setup: Setup, info: RunInfo, ring: Ring, directory: Path) -> None:
        super().__init__(setup, info, ring, directory)
        names = [layer.name for layer in self.engine.layers]
        self.until = parse(info.until, layers=names) if info.until else None
        self.breakpoints = Breakpoints((), names)
        self.broke = False
        """A breakpoint was hit."""
        self._unbroken = 0
        """The last state of which the layers were looked at, and no breakpoint on them was hit."""
        self._layers_seen = -1
        self.arm([Armed(text) for text in info.breaks])

    def recorded_to(self, step: int) -> None:
        super().recorded_to(step)
        self._unbroken = min(self._unbroken, step)

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
        self.probe.saturation = {
            layer for one in self.breakpoints.of_layers for function, layer in one.calls if function == "saturated"
        }

    def settle(self) -> bool:
        """Look at whatever has passed: whether a breakpoint was hit, at which it then stands."""
        if self.breakpoints.of_layers and self.shows == "last" and math.isfinite(self.loss):
            self.look()
            self.probe.refresh(self.step)  # layers are measured now and then: this state must not be missed
            self.shows = "other"
        return self._breaks(whole=True)

    def present(self) -> tuple[dict[str, float | None], dict[str, LayerFunction]]:
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
        if whole or points.due(self.step):
            hit = points.hit()
        if hit is None and points.of_layers and self.probe.known_at != self._layers_seen:
            hit = self._layer_hit()
        if hit is None:
            return False
        with contextlib.suppress(ValueError):  # a keyframe that is damaged: stand where it was noticed
            # one on the loss is stood before: in the state whose loss it is
            go_to(self, hit.step - 1 if "loss" in hit.condition.names else hit.step)
        if frontier:
            cut(self)  # what was done beyond, before the hit was known, was shown to nobody
        event = {"step": self.step, "phase": "", "change": "break", "before": None, "after": hit.condition.text}
        self.ring.write(Record.EVENT, self.step, json.dumps(event).encode())
        self.show()
        self.broke = True
        self.enter("PAUSED", f"break: {hit.text} at step {self.step:,}")
        return True

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
            self.relive_here()
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

    def _until_holds(self) -> bool:
        assert self.until is not None
        return self.until.holds(self._known(), self.probe.functions())

    def _known(self) -> dict[str, float | None]:
        """What conditions know of this state; ``loss`` is that of the step just done."""
        return {
            **self.scalars, "loss": self.loss, "step": float(self.step),
            "epoch": self.epochs.done(self.step), "lr": self.lr.at(self.step),
        }  # fmt: skip
