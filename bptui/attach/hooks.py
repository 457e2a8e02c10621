"""The hot path: what stays in a script at every update.

Three things: a wrapper of ``torch.autograd.backward`` that keeps a reference to its root (the loss), torch's global
hook after an optimiser's step, and one look at the ring's flag in it. All else comes for a sampled update and goes
after it. Nothing here draws random numbers, starts a thread, or changes a tensor.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import optimizer as optim

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from bptui.attach.session import Session
    from bptui.attach.tape import Tape

Optimizer = torch.optim.Optimizer

#: Losses on another device that may wait to be read.
WAITING = 32


class Hooks:
    """Installs and removes what every update passes through, and calls the session where more is to be done."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.roots: list[Any] = []
        """Losses that ``backward`` was called on since the last update: floats, or tensors of another device."""
        self.waiting: list[tuple[int, Tensor, float]] = []
        """Step, loss and time of updates whose losses lie on another device."""
        self.depth = 0
        """How many calls of ``backward`` are under way: checkpointing calls it from within."""
        self.raw_norm: Tensor | None = None
        """The gradient's norm before ``clip_grad_norm_`` cut it, of this update; None: it was not called."""
        self.tape: Tape | None = None
        """What records the update under way, where it may be done again (see ``rerun``)."""
        self.last_loss = float("nan")
        self.due = 0
        """The first update after which the session wants to be asked, whatever the flag says."""
        self._undo: list[Callable[[], None]] = []
        self._before: RemovableHandle | None = None

    # -- installing --------------------------------------------------------------------------------
    def install(self) -> None:
        self._undo.append(optim.register_optimizer_step_post_hook(self._after()).remove)
        self._wrap(torch.autograd, "backward", self._backward)
        for place in (torch.nn.utils, torch.nn.utils.clip_grad):
            self._wrap(place, "clip_grad_norm_", self._clip)
            self._wrap(place, "clip_grad_value_", self._clip_value)
        self.watch_before(True)  # until the models are known

    def remove(self) -> None:
        self.watch_before(False)
        self.flush()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self.roots.clear()

    def watch_before(self, on: bool) -> None:
        """Whether the session is asked before an update too (only one that is looked at needs it)."""
        if on and self._before is None:
            self._before = optim.register_optimizer_step_pre_hook(self._ask_before)
        elif not on and self._before is not None:
            self._before.remove()
            self._before = None

    def _wrap(self, place: Any, name: str, make: Callable[[Any], Any]) -> None:
        real = getattr(place, name)
        wrapped = functools.wraps(real)(make(real))
        setattr(place, name, wrapped)

        def undo() -> None:
            if getattr(place, name) is wrapped:  # else another tool has wrapped it since
                setattr(place, name, real)

        self._undo.append(undo)

    # -- what a script passes through --------------------------------------------------------------
    def _backward(self, real: Callable[..., None]) -> Callable[..., None]:
        roots = self.roots

        def backward(tensors: Any, *arguments: Any, **options: Any) -> None:
            if self.depth:
                return real(tensors, *arguments, **options)
            if self.tape is not None:
                self.tape.backward(tensors, arguments, options)
            self.depth = 1
            try:
                real(tensors, *arguments, **options)
            finally:
                self.depth = 0
            if type(tensors) is Tensor and tensors.numel() == 1 and not tensors.is_cuda:
                roots.append(tensors.item())  # read at once: a reference would keep its graph alive
            else:
                roots.append(total(tensors, *arguments, **options))
            return None

        return backward

    def _clip(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_norm_(*arguments: Any, **options: Any) -> Any:
            norm = real(*arguments, **options) if self.tape is None else self.tape.clip(real, arguments, options)
            self.raw_norm = norm
            return norm

        return clip_grad_norm_

    def _clip_value(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def clip_grad_value_(*arguments: Any, **options: Any) -> Any:
            return real(*arguments, **options) if self.tape is None else self.tape.clip(real, arguments, options)

        return clip_grad_value_

    def _ask_before(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        session = self.session
        try:
            return session.observer.before_update(optimizer, arguments, options) if session.observer else None
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            session.give_up(error)
        return None

    def _after(self) -> Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None]:
        session, roots, waiting, clock = self.session, self.roots, self.waiting, time.time
        record, flag, find = session.ring.loss, session.ring.flag_view(), self.loss
        session.flag = flag

        def after(optimizer: Optimizer, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
            try:
                step = session.step
                if roots:
                    loss: Any = roots[0] if len(roots) == 1 else find(arguments, options)
                    roots.clear()
                else:
                    loss = self.last_loss
                if type(loss) is float:
                    self.last_loss = loss
                    if waiting:
                        self.flush()
                    record(step, loss, clock())
                else:  # on another device: reading it now would make this process wait for that device
                    waiting.append((step, loss, clock()))
                session.step = step + 1
                if step >= self.due or flag[0] or len(waiting) >= WAITING:
                    self.flush()
                    if session.observer is not None:
                        session.observer.after_update(optimizer, self.last_loss)
            except (KeyboardInterrupt, SystemExit):
                raise
            except Exception as error:
                session.give_up(error)

        return after

    def flush(self) -> None:
        """Record the losses that still lie on their device, in one transfer."""
        if self.waiting:
            values = torch.stack([loss.reshape(()).double() for _, loss, _ in self.waiting]).tolist()
            for (step, _, when), value in zip(self.waiting, values, strict=True):
                self.session.ring.loss(step, value, when)
            self.last_loss = values[-1]
            self.waiting.clear()

    def current_loss(self) -> float:
        """The loss of the update under way; the last one's where nothing was called backward since."""
        return (
            float(self.roots[0])
            if len(self.roots) == 1
            else sum(map(float, self.roots))
            if self.roots
            else self.last_loss
        )

    def loss(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> float | Tensor:
        """The sum of what ``backward`` was called on; with a closure, which is called again and again, the first."""
        if closure_of(arguments, options) is not None:
            return self.roots[0]  # type: ignore[no-any-return]
        return sum(self.roots)  # type: ignore[no-any-return]


def closure_of(arguments: tuple[Any, ...], options: dict[str, Any]) -> Callable[[], Any] | None:
    """The closure that ``step`` was given, if any. ``arguments`` begins with the optimiser."""
    closure = arguments[1] if len(arguments) > 1 else options.get("closure")
    return closure if callable(closure) else None


def plain_backward() -> Callable[..., None]:
    """``torch.autograd.backward`` as torch made it: what it is called on is no loss of the script's."""
    found: Callable[..., None] = inspect.unwrap(torch.autograd.backward)
    return found


def total(tensors: Any, gradient: Any = None, *_: Any, grad_tensors: Any = None, **__: Any) -> Tensor:
    """One scalar of several roots, or of one that is no scalar: the sum of root × given gradient."""
    roots = tensors if isinstance(tensors, (tuple, list)) else [tensors]
    gradient = gradient if gradient is not None else grad_tensors
    given = gradient if isinstance(gradient, (tuple, list)) else [gradient] * len(roots)
    with torch.no_grad():
        parts = [
            root.detach() if g is None else root.detach() * g.detach() for root, g in zip(roots, given, strict=False)
        ]
        return torch.stack([part.sum() for part in parts]).sum()
