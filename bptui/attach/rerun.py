"""The forward and backward of a step done again, on a deep copy, to see δ of an update that was not being watched.

Only with breakpoints, and once a pause has been asked for: each call of a root then leaves its inputs, the state of
the random generators, autocast and the gradient of its output behind. The copy is given them again; before anything of
it is shown, its outputs must equal those that the script got, bit for bit.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bptui.attach import copies
from bptui.attach.capture import Captured
from bptui.attach.compiled import eagerly, written
from bptui.attach.discover import Model
from bptui.attach.given import Batch
from bptui.attach.interventions import Impossible
from bptui.attach.nesting import mapped, tensors_in, version
from bptui.attach.places import Place, kept_generators
from bptui.attach.rows import Rows, first_tensor
from bptui.attach.sampling import Sampler
from bptui.attach.tape import Tape

if TYPE_CHECKING:
    from bptui.attach.hooks import Hooks


class Call:
    """The last call of one root, kept as it begins."""

    def __init__(self, root: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.inputs, self.options = inputs, options
        self.place = Place.here(random=True)
        self.buffers = {name: buffer.detach().clone() for name, buffer in root.named_buffers()}
        self.versions = [version(tensor) for tensor in tensors_in((inputs, options))]
        self.output: Tensor | None = None
        self.delta: Tensor | None = None


class Rerun:
    """Keeps what a re-run needs, and does it."""

    def __init__(self, rows: Rows, hooks_: Hooks) -> None:
        self._rows = rows
        self._hooks = hooks_
        self._roots = {model.root: model for model in rows.models}
        self._calls: dict[nn.Module, Call] = {}
        self._handles: list[RemovableHandle] = []
        self.tape = Tape()
        """The update under way, with what the script does outside of its models."""

    def install(self) -> None:
        """Keep from now on what a re-run needs; a second time does nothing."""
        if self._handles:
            return
        for root in self._roots:
            self._handles.append(root.register_forward_pre_hook(self._enter, with_kwargs=True))
            self._handles.append(root.register_forward_hook(self._leave, always_call=True))
            copies.put_on(root, self._without)
        self._hooks.tape = self.tape

    def remove(self) -> None:
        self.take_off()
        self._hooks.tape = None
        self.tape.clear()
        self._calls.clear()

    def take_off(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for root in self._roots:
            copies.take_off(root)

    @contextlib.contextmanager
    def _without(self) -> Iterator[None]:
        """The script copies its model: as it is without our hooks."""
        self.take_off()
        try:
            yield
        finally:
            self.install()

    def _enter(self, root: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        if torch.compiler.is_compiling() or self._hooks.depth > 0:
            return
        call = Call(root, inputs, options) if torch.is_grad_enabled() else None
        self.tape.enter(root, call)
        if call is not None:
            self._calls[root] = call

    def _leave(self, root: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if torch.compiler.is_compiling() or self._hooks.depth > 0:
            return
        call = self._calls.get(root) if torch.is_grad_enabled() else None
        if call is not None:
            self._keep(call, first_tensor(output))
        self.tape.leave(root, output)  # from here on it sees every function of torch

    @staticmethod
    def _keep(call: Call, output: Tensor | None) -> None:
        if output is None or not output.requires_grad:
            return
        call.output = output.detach()

        def keep(delta: Tensor) -> None:
            call.delta = delta.detach()

        output.register_hook(keep)  # type: ignore[no-untyped-call]

    def batch(self, samples: int) -> Batch:
        """What can be seen of the batch of the update under way."""
        call = next(iter(self._calls.values()), None)
        inputs, output = (None, None) if call is None else ((call.inputs, call.options), call.output)
        return Batch(self.tape, inputs, output, samples)

    def again(self, rows: Rows, step: int, loss: float) -> Captured:
        """The captured step; its note says why where it cannot be done again."""
        whole: dict[str, dict[str, Tensor]] = {}
        given: dict[str, tuple[Tensor, Tensor]] = {}
        note = ""
        for root, model in self._roots.items():
            call = self._calls.get(root)
            if call is None or call.output is None or call.delta is None:
                note = note or f"{model.name} was not called, or gave no output with a gradient"
                continue
            try:
                with kept_generators():
                    captured, problem = self._one(model, call, step, loss)
            except Exception as error:
                captured, problem = None, f"{type(error).__name__}: {error}".splitlines()[0]
            if captured is not None:
                whole |= captured.rows
                given |= captured.given
            note = note or problem
        parameters = Captured.of(rows, step, loss, self._hooks.raw_norm)
        for name, tensors in parameters.rows.items():
            whole[name] = {**whole.get(name, {}), **tensors}
        told = f"this step cannot be done again: {note}" if note else "this very step, done again on a copy"
        return Captured(step, loss, parameters.raw_norm, whole, told, given=given)

    def shadow(self, captured: Captured) -> tuple[dict[str, float], float]:
        """‖δ − δ of float64‖ ∕ ‖δ of float64‖ of each layer of the captured step, and its loss in float64.

        The same inputs, weights and random numbers in float64, with the δ of each model's output as it was: what the
        script does between that output and its loss is not part of it, and the loss is right to first order in the
        outputs' difference. Raises Impossible where the step cannot be done again.
        """
        errors: dict[str, float] = {}
        loss = captured.loss
        for root, model in self._roots.items():
            call = self._calls.get(root)
            if call is None or call.output is None or call.delta is None:
                continue
            with kept_generators():
                plain, problem = self._one(model, call, captured.step, loss)
                if plain is None:
                    raise Impossible(f"this step cannot be done again: {problem}")
                exact, _ = self._one(model, call, captured.step, loss, torch.float64)
            assert exact is not None
            for name, tensors in exact.rows.items():
                if "delta" in tensors and "delta" in captured.rows.get(name, {}):
                    wanted, have = tensors["delta"].double(), captured.rows[name]["delta"].double()
                    size = float(wanted.norm())
                    errors[name] = float((have - wanted).norm()) / size if size else 0.0
            last = exact.output
            if last is not None:
                loss += float(((last - call.output.double()) * call.delta.double()).sum())
        if not errors:
            raise Impossible("no model was called in this step with a gradient in its output")
        return errors, loss

    def _one(
        self, model: Model, call: Call, step: int, loss: float, dtype: torch.dtype | None = None
    ) -> tuple[Captured | None, str]:
        """One root again, in its own precision or in ``dtype``; nothing, and why, where its output is another now."""
        if [version(tensor) for tensor in tensors_in((call.inputs, call.options))] != call.versions:
            return None, "its inputs were changed in place since"
        if call.output is None or call.delta is None:
            return None, "no output with a gradient"
        root = copy.deepcopy(model.root)
        with torch.no_grad():
            for name, buffer in root.named_buffers():
                buffer.copy_(call.buffers[name])
        inputs, options, place = call.inputs, call.options, call.place
        if dtype is not None:
            root, place = root.to(dtype), place.without_autocast()
            inputs, options = mapped(
                (inputs, options), lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, Tensor
            )
        root = written(root)
        copied = Rows((Model(root, model.name, model.prefix),))
        seen = Sampler(copied, lambda probe, error: None, eager=True)
        seen.arm(with_histograms=False, keep=True)
        try:
            with eagerly(), place.again():
                output = first_tensor(root(*inputs, **options))
            if output is None or (dtype is None and not torch.equal(output.detach(), call.output)):
                return None, "its output is another now (randomness or state that is not torch's)"
            parameters = [p for p in root.parameters() if p.requires_grad]
            torch.autograd.grad(output, parameters, call.delta.to(output.dtype), allow_unused=True)
            captured = Captured.of(copied, step, loss, None, output=output.detach())
        finally:
            seen.disarm()
        return captured, ""
