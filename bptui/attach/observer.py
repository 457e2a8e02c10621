"""What bptui does at a script's updates beyond the hot path: find the models, sample, pause, break."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bptui.attach.breaks import Breaks, functions
from bptui.attach.capture import Captured
from bptui.attach.discover import Model, find_models
from bptui.attach.followed import Optimizers
from bptui.attach.hooks import TIMED, Hooks, Optimizer, closure_of
from bptui.attach.interventions import Interventions
from bptui.attach.onebatch import OneBatch
from bptui.attach.rerun import Rerun
from bptui.attach.rows import Rows
from bptui.attach.sampling import Sampler
from bptui.attach.session import UNSTEPPED
from bptui.attach.snapshots import Snapshots
from bptui.attach.stages import Stages, stages
from bptui.attach.telling import Telling, dtype_of
from bptui.attach.thinning import Thinning

if TYPE_CHECKING:
    from bptui.attach.session import Session
    from bptui.protocol.messages import Armed

#: Seconds between two looks at what runs on by itself (speed, memory).
_REPORT_EVERY = 1.0


class Observer:
    """Holds everything that needs torch. Called by ``hooks`` alone, between forward passes of the script."""

    def __init__(self, session: Session, models: tuple[Model, ...], optimizers: tuple[Optimizer, ...]) -> None:
        self.session = session
        self.hooks = Hooks(session)
        self.models = models
        self._followed = Optimizers(optimizers)
        self.telling = Telling(session)
        self.thinning = Thinning(session.info.probe_budget, self.hooks.stamps)
        self.costs = self.thinning.costs
        self.rows: Rows | None = None
        self.sampler: Sampler | None = None
        self.captured: Captured | None = None
        self.breaks = Breaks(session.info.breaks)
        self.rerun: Rerun | None = None
        self.one_batch: OneBatch | None = None
        """The paused step as it can be done again; None while it runs."""
        self._stages: Stages | None = None
        self.closes = False
        """The update under way was given a closure."""
        self.interventions = Interventions(self)
        self.snapshots = Snapshots(self)
        self.pausing = False
        """The coming update is to be stood still in."""
        self._round: set[int] = set()
        """Optimisers whose update of this sampled round is still to come."""
        self._sampled = False
        """The update under way is sampled."""
        self._stood = False
        """The update under way was stood still in."""
        self._updated = 0.0
        self._reported = 0.0
        self._idle_until = 0
        """The first update after which there may be more to do than to count it and to begin a tape anew."""
        self.known_at = 0
        """The update whose layers were measured last."""

    # -- before an update ----------------------------------------------------------------------------
    def before_update(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Gradients are there, unless a closure is yet to make them."""
        if self.rows is None:
            self._find(optimizer)
            return None
        if self.rerun is not None:
            self.rerun.tape.close()
        closure = closure_of(arguments, options)
        self.closes = closure is not None
        if closure is None:
            self._at_update(optimizer)
            return None
        observed = self._closure(optimizer, closure)
        if len(arguments) > 1:
            return (arguments[0], observed, *arguments[2:]), options
        return arguments, {**options, "closure": observed}

    def _closure(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        """The closure, after whose first call everything of the state before the update is there."""
        first = True

        def observed() -> Any:
            nonlocal first
            result = closure()
            if first:
                first = False
                try:
                    self._at_update(optimizer)
                    if self.sampler is not None:
                        self.sampler.pause()
                except (KeyboardInterrupt, SystemExit):
                    raise
                except Exception as error:
                    self.session.give_up(error)
            return result

        return observed

    def _at_update(self, optimizer: Optimizer) -> None:
        """Between gradient and update: measure, see whether a condition holds, stand still if asked."""
        sampler, session = self.sampler, self.session
        assert sampler is not None
        self._sampled = sampler.armed
        if self._sampled:
            sampler.before_update()
        loss = self.hooks.current_loss()
        hit = None
        if self.breaks:
            hit = self.breaks.hit(self.known(loss), self.functions() if self.breaks.of_layers else {})
        if hit is not None:
            session.event("break", None, hit.text, "update")
        if self.pausing or hit is not None:
            self.stand(optimizer, loss, f"break: {hit.said}" if hit is not None else "")

    def stages(self) -> Stages | None:
        """The gradient's stages of the update that is paused in; None: none is."""
        if self.one_batch is not None and self._stages is None:
            self._stages = stages(self.one_batch, self.one_batch.optimizer)
        return self._stages

    def stand(self, optimizer: Optimizer, loss: float, text: str) -> None:
        """PAUSED before the update, until told to go on."""
        session, sampler = self.session, self.sampler
        assert sampler is not None and self.rows is not None
        if sampler.keep and not sampler.blind:
            self.captured = Captured.of(self.rows, session.step, loss, self.hooks.raw_norm)
        elif self.rerun is not None:
            self.captured = self.rerun.again(self.rows, session.step, loss)
        else:
            self.captured = None
        if self.rerun is not None:
            self.one_batch = OneBatch(self.rerun, self.models, self.rows, optimizer, session.step, closure=self.closes)
        self.pausing, self._stood = False, True
        if self._sampled:
            self.telling.table(session.step, sampler)
            self.telling.histograms(session.step, sampler)
            self.known_at = session.step
        session.ring.set_step(session.step)
        session.enter("PAUSED", f"{text} at step {session.step:,}" if text else "", "clip")
        session.wait_until_released()
        self.one_batch = self._stages = None
        if self.rerun is not None:
            self.rerun.tape.keep_raw = self.pausing
        if self.rerun is not None and not self.breaks and not self.pausing:
            self.rerun.remove()

    # -- after an update -----------------------------------------------------------------------------
    def after_update(self, optimizer: Optimizer, loss: float) -> None:
        """Where more is to be done than to record the loss; ``session.step`` counts the update already."""
        session = self.session
        step = session.step - 1
        if step < self._idle_until and not (self.pausing or self._stood or session.flag[0]):
            if len(self._followed) > 1:
                self._count(optimizer)
            if self.rerun is not None:
                self.rerun.tape.clear()
            return
        entered = time.time()
        self.costs.take(entered)
        if self.hooks.wrapper:
            self.costs.timed(self.hooks.wrapper)
            self.hooks.wrapper = 0.0
        if self.rows is None:  # the update that tells which models there are
            self._find(optimizer)
        self._count(optimizer)
        sampled = self._sampled
        if sampled:
            self._finish_sample(optimizer, step)
        else:
            self.thinning.passed()
        self._stood = False
        self.captured = None
        if self.rerun is not None:
            self.rerun.tape.clear()
        if not math.isfinite(loss):
            self.telling.non_finite(step, loss, self._known_rows)
        if entered - self._reported >= _REPORT_EVERY:
            self._reported = entered
            self.telling.report(step, self.costs.share, self._followed)
        if self.session.flag[0]:
            self.session.attend()
        self._schedule()
        if not sampled and self.sampler is not None and not self.sampler.armed:
            self.costs.spent += time.time() - entered  # else it is in what the sample is seen to cost

    def _schedule(self) -> None:
        """Arm for the coming update if it is to be looked at; say when to be asked again."""
        sampler, hooks, coming = self.sampler, self.hooks, self.session.step
        assert sampler is not None
        due = self.pausing or self.breaks.of_layers or self.thinning.due(coming)
        if due and not sampler.armed:
            self._round = {id(one) for one in self.optimizers}
            self.costs.armed()
            sampler.arm(with_histograms=self.pausing or self.thinning.histograms_due(coming), keep=self.pausing)
        elif self.pausing and not sampler.keep:
            sampler.arm(with_histograms=True, keep=True)
        hooks.watch_before(sampler.armed or bool(self.breaks))
        self._updated = time.perf_counter()
        together = len(self.optimizers)
        self.costs.of_round(together)
        hooks.due = self._idle_until = 0
        if sampler.armed:
            return
        if self.thinning.times(coming):
            hooks.depth = TIMED
            return
        self._idle_until = self.thinning.ask_after(coming, _REPORT_EVERY)
        if together == 1 and not self.breaks:  # else updates are to be counted, or a tape to be begun anew
            hooks.due = self._idle_until

    def _finish_sample(self, optimizer: Optimizer, step: int) -> None:
        """Records of the update just made; the end of a round."""
        sampler, telling = self.sampler, self.telling
        assert sampler is not None
        self._sampled = False
        started = time.perf_counter()
        sampler.after_update()
        if sampler.rows.changed:
            self.describe()
            self._tell_unknown()
        if sampler.histograms:
            telling.histograms(step, sampler)
        telling.table(step, sampler)
        self.known_at = step
        if sampler.began and self._updated:
            telling.times(step, sampler.began - self._updated, started - sampler.began - sampler.seconds)
        floor = sampler.seconds + time.perf_counter() - started
        self.thinning.sampled(step, floor, histograms=sampler.histograms, stood=self._stood)
        self._round.discard(id(optimizer))
        sampler.forget()
        if not self._round:
            sampler.disarm()

    # -- records -------------------------------------------------------------------------------------
    def _tell_unknown(self) -> None:
        """A breakpoint on a layer that the script has not will never hit: said once its functional ones are known."""
        assert self.rows is not None
        if self.breaks:
            self.breaks.bind(self.layer_names)
            if self.breaks.unknown:
                names = ", ".join(self.breaks.unknown)
                self.session.enter(self.session.state, f"--break: this script has no layer {names}: it will never hit")

    def describe(self) -> None:
        """META: what is known of models and optimisers now."""
        self.telling.describe(self.models, self._known_rows, self._followed)

    @property
    def _known_rows(self) -> Rows:
        assert self.rows is not None
        return self.rows

    @property
    def dtype(self) -> str:
        """Of the first model's first parameter."""
        return dtype_of(self.models)

    @property
    def optimizers(self) -> list[Optimizer]:
        """Those that are still alive, in the order of their first update."""
        return self._followed.alive

    # -- what is there -------------------------------------------------------------------------------
    def _find(self, optimizer: Optimizer) -> None:
        """The first update: which models are trained."""
        self._followed.follow(optimizer)
        if not self.models:
            self.models = find_models(self.optimizers)
        self._know()
        # What came before (data, compiling) is no step's time: a first one of a minute would let every step be sampled.
        self.costs.begin(self.session.step, time.time())

    def _know(self) -> None:
        self.rows = Rows(self.models)
        self.sampler = Sampler(self.rows, self._probe_failed)
        self.sampler.in_backward = lambda: self.hooks.depth > 0
        if self.rerun is not None:
            self.rerun.remove()
        self.rerun = Rerun(self.rows, self.hooks)
        if self.breaks:
            self.breaks.bind(self.layer_names)
            self.rerun.install()
        self.describe()
        self.session.enter("RUNNING")

    def _count(self, optimizer: Optimizer) -> None:
        one, new = self._followed.count(optimizer, self.session.step)
        if len(self._followed) > 1:
            self.telling.loss_of(one.number, self.hooks.last_loss)
        if not new:
            return
        self._idle_until = 0
        known = {id(p) for model in self.models for p in model.root.parameters()}
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        assert self.rows is not None and self.sampler is not None
        if own - known or self.rows.stale:
            # it owns what is in none of the models, or they are built otherwise now: the rows are made anew
            self.sampler.disarm()
            self._sampled = False
            self.models = find_models(self.optimizers)
            self._know()
        else:
            self.describe()

    def _probe_failed(self, probe: str, error: BaseException) -> None:
        self.telling.probe_failed(probe, error, self.rows)

    # -- for conditions and faces ----------------------------------------------------------------------
    def known(self, loss: float) -> dict[str, float | None]:
        return {"loss": loss, "step": float(self.session.step), "epoch": None, "lr": self._followed.lr}

    def functions(self) -> dict[str, Callable[[str], float | None]]:
        return functions(self.sampler) if self.sampler is not None else {}

    def arm(self, conditions: Sequence[Armed]) -> None:
        """These breakpoints from the coming update on. ConditionError: one cannot be read."""
        self.breaks.arm(conditions, self.layer_names)
        if self.rerun is not None and self.breaks:
            self.rerun.install()
        elif self.rerun is not None and not self.pausing and self.session.state == "RUNNING":
            self.rerun.remove()  # on a pause its end sees to that: the paused step can still be done again

    @property
    def layer_names(self) -> list[str]:
        return [] if self.rows is None else [row.name for row in self.rows.all()]

    def tell_unstepped(self) -> None:
        """Gradients are made, and nobody but the script itself uses them."""
        if not len(self._followed) and self.session.state == "WAITING":
            self.session.enter("WAITING", UNSTEPPED.format(self.hooks.unanswered))

    def write_lr(self) -> None:
        self.telling.lr(self._followed)

    @property
    def everything(self) -> bool:
        """Every update is sampled."""
        return self.thinning.everything

    def settings(self) -> dict[str, float]:
        return self.interventions.settings()

    def request_pause(self) -> None:
        """Stand still in the coming update; what has begun of it may be too far to be seen: then in the one after."""
        self.pausing = True
        if self.rerun is not None:
            self.rerun.install()
            self.rerun.tape.keep_raw = True
        if self.sampler is not None:
            self._schedule()

    # -- the end -------------------------------------------------------------------------------------
    def conclude(self) -> None:
        if self.rows is not None:
            self.hooks.flush()
            self._followed.count_silent(self.session.step)
            self.telling.report(max(self.session.step - 1, 0), self.costs.share, self._followed)
            self.describe()

    def abandon(self) -> None:
        """In a forked child: no hook stays, and nothing is written any more."""
        self.hooks.waiting.clear()
        self.close()

    def close(self) -> None:
        self.hooks.remove()
        if self.rerun is not None:
            self.rerun.remove()
        if self.sampler is not None:
            with contextlib.suppress(Exception):
                self.sampler.disarm()
