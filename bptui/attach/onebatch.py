"""What if, on one batch: the paused step of a script again on a copy, with something changed, and its update made.

The models and the optimiser are copied together, so that the copy's optimiser owns the copy's parameters. The tape is
played on them: unchanged it must give every loss and every gradient that the script has, bit for bit, before anything
is shown. Then a change is made in another copy, the optimiser's own rule takes its step, and the forward passes are
played once more. The script's tensors, generators and hooks are not touched.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bptui.attach.compiled import eagerly, written
from bptui.attach.discover import Model
from bptui.attach.hooks import Optimizer, plain_backward, total
from bptui.attach.interventions import Impossible
from bptui.attach.nesting import mapped, tensors_in
from bptui.attach.places import kept_generators
from bptui.attach.rows import MORTAL, Rows
from bptui.attach.sampling import Sampler
from bptui.attach.tape import (
    Backward,
    Filled,
    FunctionCall,
    Leaf,
    ModelCall,
    Slot,
)

if TYPE_CHECKING:
    from bptui.attach.rerun import Rerun
    from bptui.attach.variations import Variation


@dataclass(frozen=True, slots=True)
class Result:
    """One batch, before and after the update that is made of it."""

    loss: float
    after: float
    grad_norm: float
    """Of what the optimiser changes, before clipping."""
    silent: int
    """Units that gave 0 for the whole batch, of the ``units`` that can."""
    units: int
    update_ratio: float
    """‖Δ‖ ∕ ‖θ‖ over what the optimiser changes."""


class Copy:
    """Models and an optimiser of their own, with the parameters' values of now."""

    def __init__(self, models: Sequence[Model], optimizer: Optimizer, step: int) -> None:
        memo: dict[int, Any] = {}
        roots = copy.deepcopy([model.root for model in models], memo)
        self.optimizer = whole(optimizer, copy.deepcopy(optimizer, memo), memo)
        self.roots = {model.root: made for model, made in zip(models, roots, strict=True)}
        self.models = tuple(
            Model(written(made), model.name, model.prefix) for model, made in zip(models, roots, strict=True)
        )
        originals = [p for model in models for p in model.root.parameters()] + parameters_of(optimizer)
        self.leaves: dict[int, Tensor] = {id(p): memo[id(p)] for p in originals if id(p) in memo}
        self.session = self  # as ``Interventions`` asks an observer for the step
        self.step = step
        self.rows = Rows(self.models)
        self.sampler = Sampler(self.rows, lambda probe, error: None, eager=True)
        for parameter in self.leaves.values():
            parameter.grad = None

    @property
    def optimizers(self) -> list[Optimizer]:
        """For ``Interventions``, which then change the copy."""
        return [self.optimizer]


def whole(optimizer: Optimizer, made: Optimizer, memo: dict[int, Any]) -> Optimizer:
    """A deep copy, with what an optimiser of a class of its own leaves out of its state."""
    for name, value in vars(optimizer).items():
        if name not in vars(made) and not callable(value):
            setattr(made, name, copy.deepcopy(value, memo))
    return made


def take_step(optimizer: Optimizer, closure: Callable[[], Any] | None = None) -> None:
    """The optimiser's own rule, without the hooks that everybody has put on every optimiser."""
    real: Any = type(optimizer).step
    if getattr(real, "hooked", False):
        real = real.__wrapped__
    real(optimizer, closure) if closure is not None else real(optimizer)


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


class OneBatch:
    """The paused step. ``closure``: the optimiser was given one, which it calls again and again."""

    def __init__(
        self, rerun: Rerun, models: Sequence[Model], rows: Rows, optimizer: Optimizer, step: int, *, closure: bool
    ) -> None:
        self._rerun, self.tape = rerun, rerun.tape
        self.tape.close()
        self._models, self._rows, self.optimizer = models, rows, optimizer
        self.step, self.closure = step, closure
        self._why: str | None = None
        self.raw: dict[int, Tensor] = {}
        """Gradients before clipping, by the parameters' identities, once the step was reproduced."""
        self._plain: Result | None = None
        self._raw_norm = 0.0

    # -- asking --------------------------------------------------------------------------------------
    @property
    def note(self) -> str:
        """What must be known to read a result."""
        reads = self.tape.reads
        return f"{reads} numbers that the script took out of tensors stay as they were" if reads else ""

    def attempt(self, variation: Variation | None) -> Result:
        """The step with a change, or without; Impossible in one line."""
        if self._plain is None:
            self._plain = self._reproduced()
        if variation is None:
            return self._plain
        with kept_generators():
            made = self._copy()
            if variation.needs_rows:
                self._learn(made)
            variation.make(made)
            return self._result(made, variation)

    def reproduced(self) -> str:
        """Why the step cannot be reproduced; empty: every loss and gradient is, bit for bit."""
        if self._why is None:
            try:
                self._plain, self._why = self._reproduced(), ""
            except Impossible as error:
                self._why = str(error)
        return self._why

    def applied(self) -> dict[int, Tensor]:
        """Δ of what the optimiser changes, by the parameters' identities, from the step done again; or Impossible."""
        with kept_generators():
            if self.reproduced():
                raise Impossible(self.reproduced())
            made = self._copy()
            before = {key: p.detach().clone() for key, p in made.leaves.items()}
            self._result(made, None)
        return {id(p): made.leaves[id(p)].detach() - before[id(p)] for p in parameters_of(self.optimizer)}

    # -- doing it ------------------------------------------------------------------------------------
    def _copy(self) -> Copy:
        self._rerun.take_off()  # the copy shall not have our hooks, nor copy what hangs on them
        try:
            return Copy(self._models, self.optimizer, self.step)
        except Exception as error:
            raise Impossible(f"this step cannot be done again, as no copy can be made: {_line(error)}") from None
        finally:
            self._rerun.install()

    def _reproduced(self) -> Result:
        tape = self.tape
        if tape.problem:
            raise Impossible(f"this step cannot be done again: {tape.problem}")
        if not any(isinstance(entry, ModelCall) for entry in tape.entries):
            raise Impossible("this step cannot be done again: no model was called since the last update")
        if not any(isinstance(entry, Backward) for entry in tape.entries):
            raise Impossible("this step cannot be done again: backward was not called since the last update")
        if tape.changed:
            raise Impossible("this step cannot be done again: its inputs were changed in place since")
        with kept_generators():
            made = self._copy()
            result = self._result(made, None, held=True)
        return result

    def _learn(self, made: Copy) -> None:
        """The copy's rows in the order of their calls, with the units that are dead in the script's own."""
        made.sampler.arm(with_histograms=False)
        try:
            self._play(made, backward=False)
        finally:
            made.sampler.disarm()
        for row in made.rows.all():
            known = self._rows.by_name.get(row.name)
            if known is not None:
                row.dead, row.dead_of = known.dead, known.dead_of

    def _result(self, made: Copy, variation: Variation | None, held: bool = False) -> Result:
        made.sampler.arm(with_histograms=False)
        try:
            losses = self._play(made, backward=True, variation=variation, held=held)
        finally:
            made.sampler.disarm()
        raw_norm = self._raw_norm
        mortal = [row for row in made.rows.all() if row.kind in MORTAL and "silent" in row.values]
        silent, units = sum(int(row.values["silent"]) for row in mortal), sum(row.units for row in mortal)
        owned = parameters_of(made.optimizer)
        before = [p.detach().clone() for p in owned]
        try:
            take_step(made.optimizer, (lambda: self._again(made, variation)) if self.closure else None)
        except Exception as error:
            raise Impossible(f"the copy's optimiser cannot take its step: {_line(error)}") from None
        moved = _norm([p.detach() - old for p, old in zip(owned, before, strict=True)])
        after = self._play(made, backward=False, variation=variation)
        size = _norm(before)
        return Result(losses, after, raw_norm, silent, units, moved / size if size else 0.0)

    def _again(self, made: Copy, variation: Variation | None) -> Tensor:
        """What a closure does: the gradients of now; its loss."""
        for parameter in made.leaves.values():
            parameter.grad = None
        with torch.enable_grad():
            return torch.tensor(self._play(made, backward=True, variation=variation))

    # -- playing -------------------------------------------------------------------------------------
    def _play(self, made: Copy, *, backward: bool, variation: Variation | None = None, held: bool = False) -> float:
        """Every entry in turn; the sum of what ``backward`` is called on. ``held``: against what the script has."""
        try:
            return self._played(made, backward, variation, held)
        except Impossible:
            raise
        except Exception as error:
            raise Impossible(f"this step cannot be done again: {_line(error)}") from None

    def _played(self, made: Copy, backward: bool, variation: Variation | None, held: bool) -> float:
        values: dict[int, Tensor] = {}

        def filled(nested: Any) -> Any:
            return mapped(nested, value, (Slot, Leaf))

        def value(reference: Slot | Leaf) -> Tensor:
            if isinstance(reference, Slot):
                return values[reference.number]
            return made.leaves.get(id(reference.tensor), reference.tensor)

        def given(output: Any, numbers: list[int]) -> None:
            tensors = list(tensors_in(output))
            if len(tensors) != len(numbers):
                raise Impossible("this step cannot be done again: it takes another way now")
            values.update(zip(numbers, tensors, strict=True))

        loss = 0.0
        entries = self.tape.entries
        if not backward:  # what comes behind the last of them is about gradients
            last = max((at for at, entry in enumerate(entries) if isinstance(entry, Backward)), default=-1)
            entries = entries[: last + 1]
        for entry in entries:
            if isinstance(entry, ModelCall):
                root = made.roots[entry.root]
                if entry.buffers is not None:
                    _restore(root, entry.buffers)
                varied = contextlib.nullcontext() if variation is None else variation.playing()
                with eagerly(), entry.place.again(), varied:
                    output = written(root)(*filled(entry.inputs), **filled(entry.options))
                given(output, entry.outputs)
            elif isinstance(entry, FunctionCall):
                with eagerly(), entry.place.again():
                    output = entry.func(*filled(entry.inputs), **filled(entry.options))
                if entry.outputs:
                    given(output, entry.outputs)
            elif isinstance(entry, Filled):
                values[entry.number] = entry.before.clone()
            elif isinstance(entry, Backward):
                roots, arguments, options = filled(entry.roots), filled(entry.arguments), filled(entry.options)
                now = [tensor.detach() for tensor in tensors_in(roots)]
                if held and not all(map(_same, now, entry.values)):
                    raise Impossible(_another(now, entry.values))
                loss += float(total(roots, *arguments, **options)) if len(now) != 1 else now[0].double().sum().item()
                if backward:
                    plain_backward()(roots, *arguments, **options)
                    self._note_raw(made, held)
            elif backward and (variation is None or variation.clip_norm is None):  # clipping
                entry.real([made.leaves.get(id(p), p) for p in entry.parameters], *entry.arguments, **entry.options)
        if backward and variation is not None and variation.clip_norm is not None:
            with torch.no_grad():
                inspect.unwrap(nn.utils.clip_grad_norm_)(parameters_of(made.optimizer), variation.clip_norm)
        if held:
            self._hold_gradients(made)
        return loss

    def _note_raw(self, made: Copy, held: bool) -> None:
        gradients = {key: p.grad for key, p in made.leaves.items() if p.grad is not None}
        owned = set(map(id, parameters_of(made.optimizer)))
        self._raw_norm = _norm([g for key, g in gradients.items() if id(made.leaves[key]) in owned])
        if held:
            self.raw = {key: gradient.detach().clone() for key, gradient in gradients.items()}

    def _hold_gradients(self, made: Copy) -> None:
        for parameter in parameters_of(self.optimizer):
            have = made.leaves[id(parameter)].grad
            if parameter.grad is None or not parameter.requires_grad:
                continue
            if have is None or not _same(have.to_dense(), parameter.grad.to_dense()):
                raise Impossible(
                    "this step cannot be done again: its losses are the same, but not its gradients (they were there "
                    "before, or the script changes them between backward and step)"
                )


def _restore(root: nn.Module, buffers: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, buffer in root.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])


def _same(one: Tensor, other: Tensor) -> bool:
    """Bit for bit; NaN is NaN."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _another(now: list[Tensor], before: list[Tensor]) -> str:
    told = "this step cannot be done again: its loss is another now (randomness or state that is not torch's)"
    if len(now) == len(before) == 1 and now[0].numel() == before[0].numel() == 1:
        return f"{told}: {now[0].item()!r}, not {before[0].item()!r}"
    return told


def _norm(tensors: list[Tensor]) -> float:
    squares = [float(t.detach().to_dense().float().norm()) ** 2 for t in tensors]
    return float(sum(squares) ** 0.5)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
