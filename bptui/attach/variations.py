"""What can be changed in a paused step of a script that is done again on a copy: a table of keys.

Settings of the optimiser, frozen layers and dead units are changed by the very code that changes them live
(``interventions``); here are those that a running script cannot take, as its model is written in the script.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bptui.attach.interventions import Impossible, Interventions
from bptui.attach.sampling import ACTIVATIONS as FUNCTIONAL

if TYPE_CHECKING:
    from bptui.attach.observer import Observer
    from bptui.attach.onebatch import Copy

functional: Any = nn.functional
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU,
    "silu": nn.SiLU, "mish": nn.Mish, "softplus": nn.Softplus, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
    "identity": nn.Identity,
}  # fmt: skip
#: Of those that a change of *every* activation changes: a gate's sigmoid or tanh stays what it is.
_HIDDEN = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish)
_HIDDEN_NAMES = frozenset({"relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish"})
OPTIMISERS: dict[str, Any] = {
    "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}  # fmt: skip
_RELATIVE = re.compile(r"^([*/])(\d.*)$")


class Variation:
    """Changes that are made together in a copy. ``made``: what they came to, in words."""

    def __init__(self, wanted: Sequence[tuple[str, float | str]]) -> None:
        # another optimiser comes before its settings
        self._wanted = sorted(wanted, key=lambda one: one[0] != "optimizer")
        self.clip_norm: float | None = None
        self.made: list[str] = []
        self._copy: Copy | None = None
        self._functional: dict[str, Callable[[Tensor], Tensor]] = {}
        """By the row's name; empty: of every hidden activation."""
        self._dropout: float | None = None

    @property
    def needs_rows(self) -> bool:
        """Which layers are called, and in which order, must be known before it can be made."""
        return any(key.rpartition(".")[2] in ("revive", "activation") for key, _ in self._wanted)

    def make(self, copied: Copy) -> None:
        """Change the copy; Impossible in one line."""
        self._copy = copied
        for key, value in self._wanted:
            layer, _, what = key.rpartition(".")
            rule = RULES.get(what)
            if rule is not None:
                rule(self, copied, layer, value)
            elif key.startswith("revive."):
                self._revive(copied, key.partition(".")[2], value)
            else:
                self._setting(copied, key, value)

    # -- the optimiser -----------------------------------------------------------------------------
    def _setting(self, copied: Copy, key: str, value: float | str) -> None:
        live = Interventions(cast("Observer", copied))
        before = copied.optimizer.param_groups[0].get(key.partition("#")[0])
        number = _number(key, value, before)
        old = live.change(key if "." in key else key.partition("#")[0], number)
        self.made.append(f"{key} {old:g} → {number:g}")

    def _optimizer(self, copied: Copy, layer: str, value: float | str) -> None:
        made = OPTIMISERS.get(str(value))
        if made is None:
            raise Impossible(f"optimizer: expected one of {', '.join(OPTIMISERS)}, got {value!r}")
        groups = [
            {"params": group["params"], "lr": float(group["lr"]), "weight_decay": float(group.get("weight_decay", 0.0))}
            for group in copied.optimizer.param_groups
        ]  # fmt: skip
        copied.optimizer = made(groups)
        self.made.append(f"optimizer {value}, its moments at 0")

    def _clip(self, copied: Copy, layer: str, value: float | str) -> None:
        self.clip_norm = _number("clip_norm", value, None)
        self.made.append(f"clip_norm {self.clip_norm:g}")

    # -- the model ---------------------------------------------------------------------------------
    def _bias(self, copied: Copy, layer: str, value: float | str) -> None:
        by, count = _number("bias+", value, None, least=None), 0
        with torch.no_grad():
            for row in copied.rows.all():
                own = {} if row.module is None else dict(row.module.named_parameters(recurse=False))
                if "bias" in own and layer in ("", row.name):
                    own["bias"].add_(by)
                    count += 1
        if not count:
            raise Impossible(f"{layer or 'this model'}: no bias")
        self.made.append(f"bias {by:+g} in {layer or f'{count} layers'}")

    def _activation(self, copied: Copy, layer: str, value: float | str) -> None:
        new = ACTIVATIONS.get(str(value))
        if new is None:
            raise Impossible(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {value!r}")
        rows = [row for row in copied.rows.all() if layer in ("", row.name)]
        count = 0
        for row in rows:
            if row.module is None and "#" in row.name and row.kind in FUNCTIONAL.values():
                if layer or row.kind in _HIDDEN_NAMES:
                    self._functional[row.name] = new()
                    count += 1
            elif row.module is not None and (isinstance(row.module, _HIDDEN) or (layer and _activates(row.module))):
                _replace(copied, row.module, new())
                count += 1
        if not count:
            raise Impossible(f"{layer or 'this model'}: no activation that could be another")
        self.made.append(f"{value} in {layer or f'{count} activations'}")

    def _revive(self, copied: Copy, layer: str, value: float | str) -> None:
        live = Interventions(cast("Observer", copied))
        names = [layer] if layer else [row.name for row in copied.rows.all() if row.dead]
        if not names:
            raise Impossible("no dead units (of those that gave 0 for 3,000 samples)")
        for name in names:
            count = live.change(f"revive.{name}", 1.0)
            self.made.append(f"{count:.0f} units of {name} drawn anew")

    def _drop(self, copied: Copy, layer: str, value: float | str) -> None:
        share = 0.0 if value == "off" else _number("dropout", value, None)
        if share >= 1:
            raise Impossible(f"dropout: expected a share from 0 to 1, got {share:g}")
        count = 0
        for root in copied.models:
            for name, module in root.modules():
                if layer not in ("", name):
                    continue
                if isinstance(module, nn.modules.dropout._DropoutNd):
                    module.p, count = share, count + 1
                elif isinstance(getattr(module, "dropout", None), float):  # attention and recurrent layers
                    module.dropout, count = cast(Any, share), count + 1
        if not layer:
            self._dropout = share
        elif not count:
            raise Impossible(f"{layer}: no dropout")
        self.made.append(f"dropout {share:g}")

    # -- while it is played ------------------------------------------------------------------------
    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """While the copy's models are called: functional activations and dropout are others."""
        copied = self._copy
        if copied is None or (not self._functional and self._dropout is None):
            yield
            return
        stack: list[nn.Module] = []
        handles = []

        def enter(module: nn.Module, inputs: Any) -> None:
            stack.append(module)

        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            stack.pop()

        for module in copied.rows.names:
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave))
        try:
            with _Others(copied, self._functional, self._dropout, stack):
                yield
        finally:
            for handle in handles:
                handle.remove()


class _Others(TorchFunctionMode):
    """Puts other functions in the place of a model's functional activations and dropout."""

    def __init__(
        self, copied: Copy, activations: dict[str, Callable[[Tensor], Tensor]], dropout: float | None,
        stack: list[nn.Module],
    ) -> None:  # fmt: skip
        super().__init__()
        self._copy, self._activations, self._dropout, self._stack = copied, activations, dropout, stack
        self._count: dict[tuple[nn.Module, str], int] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, options = getattr(func, "__name__", ""), kwargs or {}
        if self._stack:
            kind = FUNCTIONAL.get(name)
            if kind is not None and self._activations:
                parent = self._stack[-1]
                known = self._copy.rows.of_module.get(parent)
                if known is None or known.parameters:  # else an activation module's own forward
                    count = self._count[parent, kind] = self._count.get((parent, kind), 0) + 1
                    other = self._activations.get(self._copy.rows.functional(parent, kind, count).name)
                    if other is not None:
                        return other(args[0] if args else options["input"])
            if (
                name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")
                and self._dropout is not None
            ):
                if len(args) > 1:
                    args = (args[0], self._dropout, *args[2:])
                else:
                    options = {**options, "p": self._dropout}
        return func(*args, **options)


def _activates(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation" and not list(module.parameters(recurse=False))


def _replace(copied: Copy, old: nn.Module, new: nn.Module) -> None:
    """Put a module in every place where the copy has another; its row, and whether silent units are counted, stay."""
    new.train(old.training)
    for parent in list(copied.rows.names):
        for name, child in list(parent._modules.items()):
            if child is old:
                parent._modules[name] = new
    row, told = copied.rows.of_module.pop(old), copied.rows.names.pop(old)
    row.module = new
    copied.rows.of_module[new], copied.rows.names[new] = row, told


def _number(key: str, value: float | str, before: Any, least: float | None = 0.0) -> float:
    """A number, or one relative to what it was: ``/10``, ``*2``."""
    if isinstance(value, str):
        found = _RELATIVE.match(value)
        try:
            by = float(found[2]) if found else float("nan")
        except ValueError:
            by = float("nan")
        if found is None or by != by or before is None or (found[1] == "/" and not by):
            raise Impossible(f"{key}: expected a number, or one such as /10 or *2; got {value!r}")
        return float(before) / by if found[1] == "/" else float(before) * by
    if least is not None and value < least:
        raise Impossible(f"{key}: expected a number of at least {least:g}, got {value:g}")
    return float(value)


RULES: dict[str, Callable[[Variation, Copy, str, float | str], None]] = {
    "optimizer": Variation._optimizer, "clip_norm": Variation._clip, "bias+": Variation._bias,
    "activation": Variation._activation, "revive": Variation._revive, "dropout": Variation._drop,
}  # fmt: skip
