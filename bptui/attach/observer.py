"""What bptui does at a script's updates beyond the hot path: find the models, sample, pause, break."""

from __future__ import annotations

import contextlib
import math
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from bptui.attach.breaks import Breaks, functions
from bptui.attach.capture import Captured
from bptui.attach.costs import Costs
from bptui.attach.discover import Model, find_models
from bptui.attach.hooks import Hooks, Optimizer, closure_of
from bptui.attach.interventions import Interventions
from bptui.attach.onebatch import OneBatch
from bptui.attach.rerun import Rerun
from bptui.attach.rows import Rows
from bptui.attach.sampling import Sampler
from bptui.attach.session import UNSTEPPED
from bptui.attach.snapshots import Snapshots
from bptui.attach.stages import Stages, stages
from bptui.engine.base import Quantity
from bptui.probe.governor import Allowance, Governor
from bptui.probe.measure import NAMED_SHARE, write_series
from bptui.runs.ring import Record

if TYPE_CHECKING:
    from bptui.attach.session import Session
    from bptui.protocol.messages import Armed

#: A budget from which on every update is sampled.
EVERYTHING = 1.0
#: Of the budget at least this share is left for samples where that is most of it.
_LEAST = 0.25
#: Seconds between two looks at what runs on by itself (speed, memory).
_REPORT_EVERY = 1.0


class Followed:
    """One optimiser of the script; a weak reference: a script that drops it, and its model, shall be rid of them."""

    def __init__(self, optimizer: Optimizer, number: int) -> None:
        self.ref = weakref.ref(optimizer)
        self.number = number
        self.steps = 0
        self.told = {
            "name": f"{type(optimizer).__name__}#{number}", "groups": len(optimizer.param_groups),
            "parameters": sum(p.numel() for group in optimizer.param_groups for p in group["params"]),
        }  # fmt: skip


class Observer:
    """Holds everything that needs torch. Called by ``hooks`` alone, between forward passes of the script."""

    def __init__(self, session: Session, models: tuple[Model, ...], optimizers: tuple[Optimizer, ...]) -> None:
        self.session = session
        self.hooks = Hooks(session)
        self.models = models
        self.followed: list[Followed] = [Followed(one, number) for number, one in enumerate(optimizers, 1)]
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
        self.budget = budget = session.info.probe_budget
        self.everything = budget >= EVERYTHING
        self.governor = Governor(
            budget, table=Allowance(part=0.65, most_often=20.0), histogram=Allowance(part=0.35, most_often=4.0)
        )
        self.pausing = False
        """The coming update is to be stood still in."""
        self._round: set[int] = set()
        """Optimisers whose update of this sampled round is still to come."""
        self._sampled = False
        """The update under way is sampled."""
        self.costs = Costs(self.hooks.stamps)
        self._stood = False
        """The update under way was stood still in."""
        self._updated = 0.0
        self._reported = 0.0
        self._named: dict[str, tuple[int, ...]] = {}
        self._counted = 0
        self._told_non_finite = False
        self.known_at = 0
        """The update whose layers were measured last."""
        self.probes_off: list[dict[str, Any]] = []
        """Probes that failed and were switched off: name, error, step."""
        self._lr: float | None = None

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
        hit = self.breaks.hit(self.known(loss), self.functions()) if self.breaks else None
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
        if sampler.keep:
            self.captured = Captured.of(self.rows, session.step, loss, self.hooks.raw_norm)
        elif self.rerun is not None:
            self.captured = self.rerun.again(self.rows, session.step, loss)
        else:
            self.captured = None
        if self.rerun is not None:
            self.one_batch = OneBatch(self.rerun, self.models, self.rows, optimizer, session.step, closure=self.closes)
        self.pausing, self._stood = False, True
        if self._sampled:
            self._write_table(session.step)
            self._write_histograms(session.step)
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
        entered = time.time()
        self.costs.take(entered)
        if self.rows is None:  # the update that tells which models there are
            self._find(optimizer)
        behind = step - self._counted  # updates since that nobody asked about: all of the only optimiser
        self._counted = session.step
        if behind > 0 and len(self.followed) == 1:
            self.followed[0].steps += behind
        self._count(optimizer)
        sampled = self._sampled
        if sampled:
            self._finish_sample(optimizer, step)
        elif unit := self.costs.unit:
            self.governor.stepped(unit)
            self.governor.budget = max(self.budget - self.costs.hot / unit, self.budget * _LEAST)
        self._stood = False
        self.captured = None
        if self.rerun is not None:
            self.rerun.tape.clear()
        if not math.isfinite(loss) and not self._told_non_finite:
            self._told_non_finite = True
            session.fact("non-finite", loss=repr(loss), step=step, **self._first_non_finite())
        if entered - self._reported >= _REPORT_EVERY:
            self._report(step, entered)
        if self.session.flag[0]:
            self.session.attend()
        self._schedule()
        if not sampled and self.sampler is not None and not self.sampler.armed:
            self.costs.spent += time.time() - entered  # else it is in what the sample is seen to cost

    def _schedule(self) -> None:
        """Arm for the coming update if it is to be looked at; say when to be asked again."""
        sampler, governor, coming = self.sampler, self.governor, self.session.step
        assert sampler is not None
        wanted = self.everything or self.breaks.of_layers
        due = self.pausing or wanted or (governor.budget > 0 and coming >= governor.next_step())
        if due and not sampler.armed:
            self._round = {id(one) for one in self.optimizers}
            self.costs.armed()
            sampler.arm(with_histograms=self.pausing or governor.due("histogram", coming), keep=self.pausing)
        elif self.pausing and not sampler.keep:
            sampler.arm(with_histograms=True, keep=True)
        self.hooks.watch_before(sampler.armed or bool(self.breaks))
        self._updated = time.perf_counter()
        next_step = governor.next_step() - 1 if governor.budget > 0 else coming + 1_000_000
        together = len(self.optimizers)
        self.costs.of_round(together)
        if together > 1 or sampler.armed or self.breaks:
            next_step = 0
        self.hooks.due = min(next_step, coming + self._steps_a_report())

    def _steps_a_report(self) -> int:
        """About how many updates pass between two reports of what runs on by itself."""
        return max(1, round(_REPORT_EVERY / max(self.governor.step_time, 1e-6)))

    def _finish_sample(self, optimizer: Optimizer, step: int) -> None:
        """Records of the update just made; the end of a round."""
        sampler, session, governor = self.sampler, self.session, self.governor
        assert sampler is not None and self.rows is not None
        self._sampled = False
        started = time.perf_counter()
        sampler.after_update()
        if self.rows.changed:
            self.describe()
            self._tell_unknown()
        if sampler.histograms:
            self._write_histograms(step)
        self._write_table(step)
        if sampler.began and self._updated:
            write_series(session.ring, step, "data_wait", max(sampler.began - self._updated, 0.0))
            write_series(session.ring, step, "compute", max(started - sampler.began - sampler.seconds, 0.0))
        floor = sampler.seconds + time.perf_counter() - started
        self.costs.sampled(floor, histograms=sampler.histograms, spoiled=self._stood)
        if sampler.histograms:
            whole = self.costs.of(histograms=True, floor=floor)
            plain = min(self.costs.of(histograms=False), 0.5 * whole)
            governor.ran("histogram", step, whole - plain)
        else:
            plain = self.costs.of(histograms=False, floor=floor)
        governor.ran("table", step, plain)
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

    def _write_table(self, step: int) -> None:
        sampler, ring = self.sampler, self.session.ring
        assert sampler is not None and self.rows is not None
        now = time.time()
        table = sampler.table()
        self.known_at = step
        ring.write(Record.TABLE, step, table.tobytes(), now)
        norm = sampler.grad_norm()
        if math.isfinite(norm):
            write_series(ring, step, "grad_norm", norm, now)
        for row in self.rows.all():
            worth = row.dead and (len(row.dead) > NAMED_SHARE * max(row.units, 1) or row.name in self._named)
            if worth and row.dead and self._named.get(row.name) != row.dead:
                self._named[row.name] = row.dead
                units = list(row.dead[:4096])
                self.session.fact("dead-units", layer=row.name, units=units, samples=row.dead_of, step=step)

    def _write_histograms(self, step: int) -> None:
        sampler, ring = self.sampler, self.session.ring
        assert sampler is not None
        for index, quantity in enumerate(get_args(Quantity)):
            counts = sampler.counts(quantity)
            head = np.array([index, 0], dtype=np.uint32)
            payload = np.concatenate([head, counts.reshape(-1)]).tobytes()
            if len(payload) < ring.capacity // 4:
                ring.write(Record.HISTOGRAM, step, payload)

    def _report(self, step: int, now: float) -> None:
        """Once a second: rate, what probes cost, memory."""
        self._reported = now
        ring = self.session.ring
        self.write_lr()
        write_series(ring, step, "probe_share", self.costs.share)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            write_series(ring, step, "device_memory", torch.cuda.memory_allocated() / 2**20)

    def write_lr(self) -> None:
        """The first optimiser's rate, where it has changed since it was last written."""
        lr = _number(self.optimizers[0].param_groups[0].get("lr")) if self.optimizers else None
        if lr is not None and lr != self._lr:
            self._lr = lr
            write_series(self.session.ring, self.session.step, "lr", lr)

    def describe(self) -> None:
        """META: what is known of models and optimisers now."""
        assert self.rows is not None
        self.rows.changed = False
        first = next((p for model in self.models for p in model.root.parameters()), None)
        last = [row for row in self.rows.all() if row.shape]
        self.session.describe({
            "device": "cpu" if first is None else str(first.device),
            "dtype": self.dtype,
            "layers": self.rows.describe(),
            "modules": self.rows.tree(),
            "models": [
                {"name": model.name, "kind": type(model.root).__name__, "optimizers": self._optimizers_of(model)}
                for model in self.models
            ],
            "optimizers": self.optimizers_told(),
            "probes_off": self.probes_off,
            "features": 0,
            "outputs": last[-1].units if last else 0,
            "task": "script",
            "epoch_samples": 0,
            "threads": str(torch.get_num_threads()),
        })  # fmt: skip

    @property
    def dtype(self) -> str:
        """Of the first model's first parameter."""
        first = next((p for model in self.models for p in model.root.parameters()), None)
        names = {torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16"}
        return names.get(torch.float32 if first is None else first.dtype, "f32")

    @property
    def optimizers(self) -> list[Optimizer]:
        """Those that are still alive, in the order of their first update."""
        return [alive for one in self.followed if (alive := one.ref()) is not None]

    def optimizers_told(self) -> list[dict[str, Any]]:
        return [{**one.told, "steps": one.steps} for one in self.followed]

    def _optimizers_of(self, model: Model) -> list[int]:
        own = {id(p) for p in model.root.parameters()}
        return [
            index for index, one in enumerate(self.optimizers)
            if any(id(p) in own for group in one.param_groups for p in group["params"])
        ]  # fmt: skip

    # -- what is there -------------------------------------------------------------------------------
    def _find(self, optimizer: Optimizer) -> None:
        """The first update: which models are trained."""
        self._follow(optimizer)
        if not self.models:
            self.models = find_models(self.optimizers)
        self._know()
        # What came before (data, compiling) is no step's time: a first one of a minute would let every step be sampled.
        self.costs.begin(self.session.step, time.time())

    def _follow(self, optimizer: Optimizer) -> tuple[Followed, bool]:
        """The optimiser among those followed, and whether it is new."""
        for one in self.followed:
            if one.ref() is optimizer:
                return one, False
        self.followed.append(Followed(optimizer, len(self.followed) + 1))
        return self.followed[-1], True

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
        one, new = self._follow(optimizer)
        one.steps += 1
        if len(self.followed) > 1 and one.number <= 4:
            write_series(self.session.ring, self.session.step - 1, f"loss_opt{one.number}", self.hooks.last_loss)
        if not new:
            return
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
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        self.probes_off.append({"probe": probe, "error": text, "step": self.session.step})
        self.session.fact("probe-failed", probe=probe, error=text)
        if self.rows is not None:
            self.rows.changed = True

    def _first_non_finite(self) -> dict[str, str | None]:
        """Of the last update's gradients and weights, in the order of the rows."""
        assert self.rows is not None
        with torch.no_grad():
            for row in self.rows.all():
                for parameter in row.own():
                    if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                        return {"layer": row.name, "op": "gradient"}
                    if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
                        return {"layer": row.name, "op": "weight"}
        return {"layer": None, "op": "loss"}

    # -- for conditions and faces ----------------------------------------------------------------------
    def known(self, loss: float) -> dict[str, float | None]:
        lr = _number(self.optimizers[0].param_groups[0].get("lr")) if self.optimizers else None
        return {"loss": loss, "step": float(self.session.step), "epoch": None, "lr": lr}

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
        if not self.followed and self.session.state == "WAITING":
            self.session.enter("WAITING", UNSTEPPED.format(self.hooks.unanswered))

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
            if len(self.followed) == 1:
                self.followed[0].steps += self.session.step - self._counted
            self._report(max(self.session.step - 1, 0), time.time())
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


def _number(value: Any) -> float | None:
    """A setting as a float: a tensor lr (capturable optimisers) too."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
