"""What a script did between the first call of a model and its update, so that it can be done again on a copy.

A script's criterion lies outside its models. While an update is kept (see ``rerun``), each call of a model, each
torch function between a model's output and ``backward`` that its result depends on, ``backward`` itself and clipping
are entries of a tape. Parameters and what was computed from them are slots; everything else (inputs, targets, noise)
is a constant, held by reference. Played again, parameters may be those of a copy.

What torch does not tell of (a custom ``autograd.Function``, numbers that were taken out of a tensor) is not on it: the
tape then has a ``problem``, or ``reads``, and nothing is shown that was not first reproduced bit for bit.
"""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bptui.attach import modes
from bptui.attach.nesting import mapped, tensors_in, version
from bptui.attach.places import Place

if TYPE_CHECKING:
    from bptui.attach.rerun import Call

#: Functions that draw random numbers, by what their names contain: the generators' state is kept before them.
_RANDOM = re.compile(r"rand|dropout|bernoulli|normal|multinomial|gumbel|poisson|exponential_|uniform_|rrelu|attention")
#: Functions that take a value out of a tensor, which a tape cannot follow.
_READS = frozenset({"item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__index__", "__array__"})
#: Most entries: a script that never updates must not fill the memory.
MOST_ENTRIES = 20_000


class Lost(ValueError):
    """This step cannot be played again; one line."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor that depends on parameters: the value of this number when the tape is played."""

    number: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parameter."""

    tensor: Tensor


@dataclass(slots=True)
class ModelCall:
    """A model was called. ``buffers``: as they were before, where it is its first call."""

    root: nn.Module
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    place: Place
    buffers: dict[str, Tensor] | None
    outputs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class FunctionCall:
    """A torch function of what depends on parameters."""

    func: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    place: Place
    outputs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Filled:
    """A tensor of the script that is changed in place from here on, as it was before."""

    number: int
    before: Tensor


@dataclass(slots=True)
class Backward:
    """``backward`` was called on this; ``values``: what it was called on."""

    roots: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    values: list[Tensor]


@dataclass(slots=True)
class Clip:
    """Gradients were clipped."""

    real: Callable[..., Any]
    parameters: list[Tensor]
    arguments: tuple[Any, ...]
    options: dict[str, Any]


Entry = ModelCall | FunctionCall | Filled | Backward | Clip


class Tape:
    """Records one update; ``clear`` begins the next. Nothing that fails in it reaches the script."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.constants: list[tuple[Tensor, int]] = []
        """Tensors of the script's own that entries hold, each with its version then."""
        self.problem = ""
        """Why it cannot be played; empty: nothing is known against it."""
        self.reads = 0
        """Numbers that the script took out of what depends on parameters."""
        self.raw: dict[int, Tensor] | None = None
        """Gradients before they were first clipped, by the parameters' identities; None: not clipped, or not kept."""
        self.keep_raw = False
        self._slots: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._wants: dict[int, bool] = {}
        self._held: set[int] = set()
        self._count = 0
        self._inside = 0
        self._backward = False
        """It has been called."""
        self._called: set[nn.Module] = set()
        self._mode: _Recorder | None = None

    def clear(self) -> None:
        """Forget the update that has been made."""
        self.close()
        self.entries, self.constants = [], []
        self.problem, self.reads, self.raw = "", 0, None
        self._slots.clear()
        self._wants.clear()
        self._held.clear()
        self._called.clear()
        self._inside, self._backward = 0, False

    # -- models ------------------------------------------------------------------------------------
    def enter(self, root: nn.Module, call: Call | None) -> None:
        """A model is about to be called by the script, or by another model; None: without gradients."""
        self.close()
        self._inside += 1
        if self._inside > 1 or call is None:
            return
        with self._guarded():
            first = root not in self._called
            self._called.add(root)
            buffers = call.buffers if first else None
            self._add(ModelCall(root, self._kept(call.inputs), self._kept(call.options), call.place, buffers))

    def leave(self, root: nn.Module, output: Any) -> None:
        """The model has given this (None: it has raised); from here to ``backward`` torch's functions are seen."""
        self._inside = max(self._inside - 1, 0)
        if self._inside:
            return
        last = self.entries[-1] if self.entries else None
        if torch.is_grad_enabled() and isinstance(last, ModelCall) and last.root is root and not last.outputs:
            with self._guarded():
                last.outputs = self._given(output)
                if not last.outputs:
                    self.entries.pop()
        if self.entries:
            self._open()

    # -- functions between them ----------------------------------------------------------------------
    def _open(self) -> None:
        if self._mode is not None or torch.compiler.is_compiling():
            return
        device = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # of set_default_device: it stays
        if any(mode is not device for mode in modes.stack()):
            # one that is left before the update would take ours off in the place of its own
            self.problem = self.problem or "the model is called under a function mode (with torch.device(…))"
            return
        self._mode = _Recorder(self)
        modes.push(self._mode)

    def close(self) -> None:
        """See no more functions; whatever the script has put on the stack since stays there."""
        mode, self._mode = self._mode, None
        if mode is not None:
            modes.take_off(mode)

    def function(self, func: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Called in the place of a torch function, which it calls."""
        if self._mode is None or self._inside:
            return func(*inputs, **options)
        name = getattr(func, "__name__", "")
        if name in ("backward", "zero_grad"):
            return func(*inputs, **options)
        call: FunctionCall | None = None
        with self._guarded():
            call = self._before(func, name, inputs, options)
        output = func(*inputs, **options)
        if call is not None:
            with self._guarded():
                if name in _READS:
                    self.reads += 1
                elif any(True for _ in tensors_in(output)):
                    self._add(call)
                    call.outputs = self._given(output)
                elif _in_place(name):
                    self._add(call)
        return output

    def _before(
        self, func: Callable[..., Any], name: str, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> FunctionCall | None:
        if not any(self._moves(tensor) for tensor in tensors_in((inputs, options))):
            return None
        if not self._backward and func == _GRADIENT:
            return None  # it is of an update before, and about to be zeroed
        changed = inputs[0] if _in_place(name) and inputs and isinstance(inputs[0], Tensor) else options.get("out")
        if isinstance(changed, Tensor) and not self._moves(changed):
            number = self._number(changed)
            self._add(Filled(number, changed.detach().clone()))
        place = Place.here(_RANDOM.search(name) is not None)
        return FunctionCall(func, self._kept(inputs), self._kept(options), place)

    # -- the end of it -------------------------------------------------------------------------------
    def backward(self, roots: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """``backward`` is about to be called by the script."""
        with self._guarded():
            if not all(self._moves(root) for root in tensors_in(roots)):
                self.problem = self.problem or _UNSEEN
            self._backward = True
            values = [tensor.detach().clone() for tensor in tensors_in(roots)]
            self._add(Backward(self._kept(roots), self._kept(arguments), self._kept(options), values))

    def clip(self, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Clip the script's gradients by ``real``, which returns what it returns."""
        with self._guarded():
            given = arguments[0] if arguments else options["parameters"]
            parameters = [given] if isinstance(given, Tensor) else list(given)
            rest = {key: value for key, value in options.items() if key != "parameters"}
            arguments, options = (parameters, *arguments[1:]), rest  # a generator can be read once only
            if self.keep_raw and self.raw is None:
                self.raw = {id(p): p.grad.detach().clone() for p in parameters if p.grad is not None}
            self._add(Clip(real, parameters, arguments[1:], rest))
        self._inside += 1
        try:
            return real(*arguments, **options)
        finally:
            self._inside -= 1

    # -- slots and constants -------------------------------------------------------------------------
    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.problem = self.problem or f"{type(error).__name__}: {error}".splitlines()[0]

    def _add(self, entry: Entry) -> None:
        if len(self.entries) >= MOST_ENTRIES:
            self.problem = f"more than {MOST_ENTRIES:,} functions were called in it"
            self.entries.clear()
            return
        self.entries.append(entry)

    def _moves(self, tensor: Tensor) -> bool:
        """Whether it depends on parameters, as far as the tape knows."""
        found = self._slots.get(id(tensor))
        return (found is not None and found[0]() is tensor) or (tensor.requires_grad and tensor.is_leaf)

    def _number(self, tensor: Tensor) -> int:
        found = self._slots.get(id(tensor))
        if found is not None and found[0]() is tensor:
            return found[1]
        self._count += 1
        self._slots[id(tensor)] = (weakref.ref(tensor), self._count)
        return self._count

    def _given(self, output: Any) -> list[int]:
        """The numbers of what a call has given; how each stands to gradients is remembered."""
        numbers = []
        for tensor in tensors_in(output):
            numbers.append(self._number(tensor))
            self._wants[numbers[-1]] = tensor.requires_grad
        return numbers

    def _kept(self, nested: Any) -> Any:
        """The same, with a Slot or a Leaf for each tensor that depends on parameters."""

        def keep(tensor: Tensor) -> Any:
            found = self._slots.get(id(tensor))
            if found is not None and found[0]() is tensor:
                if tensor.requires_grad and not self._wants.get(found[1], True):
                    self.problem = self.problem or _UNSEEN  # made in a custom function's forward, which has no gradient
                return Slot(found[1])
            if tensor.requires_grad and tensor.is_leaf:
                return Leaf(tensor)
            if tensor.requires_grad:
                self.problem = self.problem or _UNSEEN
            if id(tensor) not in self._held:
                self._held.add(id(tensor))
                self.constants.append((tensor, version(tensor)))
            return tensor

        return mapped(nested, keep, Tensor)

    @property
    def changed(self) -> bool:
        """A constant is another now: it was changed in place."""
        return any(version(tensor) != then for tensor, then in self.constants)


_UNSEEN = (
    "between a model's output and the loss stands what torch does not tell of (a custom autograd function, "
    "or something computed before the last update)"
)  # fmt: skip


class _Recorder(TorchFunctionMode):
    """Sees torch's functions; changes nothing."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._tape.function(func, args, kwargs or {})


def _in_place(name: str) -> bool:
    """``add_``, ``__iadd__``, ``__setitem__``."""
    if name.startswith("__"):
        return name in ("__setitem__", "__set__") or name in _AUGMENTED
    return name.endswith("_")


_GRADIENT: Any = cast(Any, torch.Tensor.grad).__get__
_AUGMENTED = frozenset(
    f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
)
