"""What differs between two experiments, key by key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

import msgspec

from bptui.spec.experiment import Adversary, Experiment, Layer, layer_names
from bptui.spec.fields import Field, fields_of, text_of

#: A path that is a whole layer.
_LAYER = re.compile(r"(adversary\.)?model\.[^.]+")


class Change(NamedTuple):
    """One key: where it is, what it was and what it becomes."""

    path: str
    """``optimizer.lr``, ``model.dense2.units``, or ``model.dense2`` for a whole layer."""
    before: str
    after: str

    def __str__(self) -> str:
        if not self.after:
            return (
                f"{self.path}: removed"
                if _LAYER.fullmatch(self.path) or self.path == "adversary"
                else (f"{self.path}: {self.before} → –")
            )
        return f"{self.path}: {self.before or '–'} → {self.after}"


def changes(old: Experiment, new: Experiment) -> list[Change]:
    """Every difference, in the order of the tables; variants are left out."""
    found: list[Change] = []
    for table in ("data", "model", "loss", "optimizer", "adversary", "schedule", "stop", "experiment"):
        if table == "model":
            found += _layers("model", old.model, new.model)
        elif table == "adversary":
            found += _adversary(old.adversary, new.adversary)
        else:
            found += between(table, getattr(old, table), getattr(new, table))
    return found


def between(path: str, old: msgspec.Struct, new: msgspec.Struct) -> list[Change]:
    """Keys of one table that differ; another kind is one more key."""
    found = []
    if type(old) is not type(new):
        config = new.__struct_config__
        found.append(Change(f"{path}.{config.tag_field}", str(old.__struct_config__.tag), str(config.tag)))
    before = {field.key: field for field in fields_of(type(old))}
    for field in fields_of(type(new)):
        mine = before.pop(field.key, None)
        was, now = _text(mine, old), _text(field, new)
        if was != now and (mine is not None or getattr(new, field.key) != field.default):
            found.append(Change(f"{path}.{field.key}", was, now))
    if type(old) is type(new):
        return found
    gone = [field for field in before.values() if getattr(old, field.key) != field.default]
    return found + [Change(f"{path}.{field.key}", _text(field, old), "") for field in gone]


def _text(field: Field | None, table: msgspec.Struct) -> str:
    return "" if field is None else text_of(field, getattr(table, field.key))


def _adversary(old: Adversary | None, new: Adversary | None) -> list[Change]:
    if old is None or new is None:
        words = ["" if each is None else f"{len(each.model)} layers" for each in (old, new)]
        return [] if old is new else [Change("adversary", *words)]
    return [
        *between("adversary", old, new), *_layers("adversary.model", old.model, new.model),
        *between("adversary.optimizer", old.optimizer, new.optimizer),
    ]  # fmt: skip


def _layers(path: str, old: Sequence[Layer], new: Sequence[Layer]) -> list[Change]:
    """Layers matched so that the fewest are new: one put in between makes no others look changed."""
    before, after = layer_names(old), layer_names(new)
    found: list[Change] = []
    matcher = SequenceMatcher(a=list(map(_hashable, old)), b=list(map(_hashable, new)), autojunk=False)
    for what, a0, a1, b0, b1 in matcher.get_opcodes():
        if what == "equal":
            continue
        paired = min(a1 - a0, b1 - b0)
        for index in range(paired):
            found += between(f"{path}.{after[b0 + index]}", old[a0 + index], new[b0 + index])
        found += [Change(f"{path}.{before[i]}", _summary(old[i]), "") for i in range(a0 + paired, a1)]
        found += [Change(f"{path}.{after[i]}", "", f"new, {_summary(new[i])}") for i in range(b0 + paired, b1)]
    return found


def _hashable(layer: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(layer)


def _summary(layer: msgspec.Struct) -> str:
    """``dense 16 relu``."""
    words = (layer.__struct_config__.tag, getattr(layer, "units", ""), getattr(layer, "activation", ""))
    return " ".join(str(word) for word in words if word not in ("", "identity"))
