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

#: Losses of one update of which a sum is made, as there may be no update at all.
MANY = 256
#: Of ``Hooks.depth``: a number that is none, so that looking for it costs other calls nothing.
TIMED = -1
#: Losses on another device that may wait to be read.
WAITING = 32


class Hooks:
    """Installs and removes what every update passes through, and calls the session where more is to be done.

    The caches are cold whenever one of these lines runs: torch has been through them with all of a step since. Each
    object that is touched then costs about as much as a hundred lines that run warm. Hence slots, one object that holds
    all that changes, and calls without ``*``.
    """

    __slots__ = (
        "_before", "_summed", "_undo", "depth", "due", "further", "last_loss", "raw_norm", "root", "session", "stamps",
        "tape", "waiting", "wrapper",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        self.session = session
        self.root: Any = None
        """The loss that ``backward`` was called on since the last update: a float, or a tensor of another device."""
        self.further: list[Any] = []
        """Those of its further calls."""
        self.depth = 0
        """Calls of ``backward`` that are under way (checkpointing calls it from within); TIMED: the next is timed."""
        self.wrapper = 0.0
        """Seconds that what stands around ``backward`` took when it was last timed; 0: not since that was taken in."""
        self.last_loss = float("nan")
        self._summed = 0
        """Losses that ``_collapse`` has added to ``root``."""
        self.due = 0
        """The first update after which the session wants to be asked, whatever the flag says."""
        self.tape: Tape | None = None
        """What records the update under way, where it may be done again (see ``rerun``)."""
        self.stamps: list[float] = []
        """When the updates ended that the session has not been asked about yet, in seconds of the clock."""
        self.waiting: list[tuple[int, Tensor, float]] = []
        """Step, loss and time of updates whose losses lie on another device."""
        self.raw_norm: Tensor | None = None
        """The gradient's norm before ``clip_grad_norm_`` cut it, of this update; None: it was not called."""
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
        self.root = None
        self.further.clear()

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
        inner = 0.0

        def clocked(*arguments: Any, **options: Any) -> None:
            nonlocal inner
            began = time.perf_counter()
            try:
                real(*arguments, **options)
            finally:
                inner = time.perf_counter() - began

        def apart(*arguments: Any, **options: Any) -> None:
            """A call from within another one, or one that is timed."""
            if self.depth > 0:
                return real(*arguments, **options)
            self.depth = 0
            began = time.perf_counter()
            timed(*arguments, **options)
            self.wrapper = time.perf_counter() - began - inner
            return None

        timed = self._watched(clocked, real, apart)
        return self._watched(real, real, apart)

    def _watched(
        self, real: Callable[..., None], torchs: Callable[..., None], apart: Callable[..., None]
    ) -> Callable[..., None]:
        """What stands in ``backward``'s place and calls ``real``; ``apart`` if it is no plain call.

        ``torchs``: ``backward`` as torch made it, for its signature.
        """
        further = self.further

        def backward(
            tensors: Any, grad_tensors: Any = None, retain_graph: Any = None, create_graph: Any = False,
            grad_variables: Any = None, inputs: Any = None,
        ) -> None:  # fmt: skip
            if self.depth:
                return apart(tensors, grad_tensors, retain_graph, create_graph, grad_variables, inputs)
            if self.tape is not None:
                self.tape.backward(tensors, (grad_tensors, retain_graph, create_graph, grad_variables, inputs), {})
            self.depth = 1
            try:
                real(tensors, grad_tensors, retain_graph, create_graph, grad_variables, inputs)
            finally:
                self.depth = 0
            if type(tensors) is Tensor and tensors.is_cpu and tensors.numel() == 1:
                loss: Any = tensors.item()  # read at once: a reference would keep its graph alive
            else:
                loss = total(tensors, grad_tensors if grad_tensors is not None else grad_variables)
            if self.root is None:
                self.root = loss
            else:
                further.append(loss)
                if len(further) >= MANY:
                    self._collapse()
            return None

        if list(inspect.signature(backward).parameters) == list(inspect.signature(torchs).parameters):
            return backward

        def of_another_torch(tensors: Any, *arguments: Any, **options: Any) -> None:
            if self.depth:
                return apart(tensors, *arguments, **options)
            if self.tape is not None:
                self.tape.backward(tensors, arguments, options)
            self.depth = 1
            try:
                real(tensors, *arguments, **options)
            finally:
                self.depth = 0
            further.append(total(tensors, *arguments, **options))
            if self.root is None:
                self.root = further.pop()
            elif len(further) >= MANY:
                self._collapse()
            return None

        return of_another_torch

    def _collapse(self) -> None:
        """``backward`` is called again and again without an update: its losses must not pile up, and that is told."""
        observer, first = self.session.observer, not self._summed
        self._summed += len(self.further)
        if observer is None or not observer.closes:  # of a closure's losses the first is the update's
            self.root = sum(self.further, self.root)
        self.further.clear()
        if first and observer is not None:
            observer.tell_unstepped()

    @property
    def unanswered(self) -> int:
        """How many times ``backward`` was called, where there was no update yet."""
        return self._summed + len(self.further) + (self.root is not None)

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
        session, record, clock, stamp = self.session, self.session.ring.loss, time.time, self.stamps.append
        session.flag = flag = session.ring.flag_view()

        def after(optimizer: Optimizer, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
            try:
                loss, step, now = self.root, session.step, clock()
                stamp(now)
                if type(loss) is float and not self.further:
                    self.root = None
                    self.last_loss = loss
                    if self.waiting:
                        self.flush()
                    record(step, loss, now)
                else:
                    self._record(step, now, arguments, options)
                session.step = step + 1
                if step >= self.due or flag[0]:
                    self.flush()
                    if session.observer is not None:
                        session.observer.after_update(optimizer, self.last_loss)
            except (KeyboardInterrupt, SystemExit):
                raise
            except Exception as error:
                session.give_up(error)

        return after

    def _record(self, step: int, now: float, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """The loss of an update that ``backward`` was not called in just once, or that lies on another device."""
        loss: float | Tensor = self.last_loss
        if self.root is not None:
            # of a closure, which is called again and again, the first; else the sum of all
            closed = not self.further or closure_of(arguments, options) is not None
            loss = self.root if closed else sum(self.further, self.root)
            self.root = None
            self.further.clear()
        if isinstance(loss, Tensor):  # reading it now would make this process wait for its device
            self.waiting.append((step, loss, now))
            if len(self.waiting) >= WAITING:
                self.flush()
        else:
            self.flush()
            self.last_loss = loss
            self.session.ring.loss(step, loss, now)

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
        return self.last_loss if self.root is None else float(sum(map(float, self.further), float(self.root)))


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
