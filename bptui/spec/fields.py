"""The fields of the tables as a form needs them: type, default, choices and one line of help, from the Structs alone.

A new layer kind, optimiser or key needs no line here: everything is read from ``spec.experiment``.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from bptui.spec import experiment as tables
from bptui.spec.base import nearest
from bptui.spec.layers.base import LayerBase

Kind = Literal["integer", "number", "flag", "choice", "text", "word", "numbers", "integers", "names", "sizes"]
"""``word``: a text, or a whole number where it looks like one. The next three are several, parted by commas;
``sizes`` is one whole number or two, or one of the choices."""


class Field(NamedTuple):
    """One key of a table."""

    key: str
    kind: Kind
    choices: tuple[str, ...]
    """Valid values of a ``choice``, in the order of the Struct; and of a ``flag``, ``no`` and ``yes``."""
    default: Any
    """``NODEFAULT`` where a value must be given."""
    optional: bool
    """Whether it may be left empty (None)."""
    help: str
    """One line; may be empty."""


NODEFAULT = msgspec.NODEFAULT


def _union(union: Any) -> dict[str, type[msgspec.Struct]]:
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union) or (union,)}


#: Table → the name of the key that chooses a kind, and kind → Struct. ``model`` stands for each of its layers.
TAGGED: dict[str, tuple[str, dict[str, type[msgspec.Struct]]]] = {
    "model": ("type", _union(tables.Layer)),
    "loss": ("name", _union(tables.Loss)),
    "optimizer": ("name", _union(tables.Optimizer)),
    "adversary.model": ("type", _union(tables.Layer)),
    "adversary.optimizer": ("name", _union(tables.Optimizer)),
    "schedule": ("name", _union(tables.Schedule)),
}


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a table, in its order; what must be given comes first."""
    found = []
    for field in _own_first(struct):
        if _holds_tables(field.type):
            continue
        kind, choices, optional = _kind(field.type)
        default = field.default
        if default is NODEFAULT and field.default_factory is not NODEFAULT:
            default = field.default_factory()
        found.append(Field(field.encode_name, kind, choices, default, optional, _helps(struct).get(field.name, "")))
    return tuple(found)


def _holds_tables(annotation: Any) -> bool:
    """Whether a field is tables of its own, as ``model`` and ``optimizer`` of an adversary are."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return True
    return any(map(_holds_tables, get_args(annotation)))


#: Of every layer: what few of them set.
_SELDOM = ("input", "freeze")


def _own_first(struct: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """Of a layer, what its kind alone has comes before what every kind has, and what is seldom set comes last."""
    fields = list(msgspec.structs.fields(struct))
    if not issubclass(struct, LayerBase):
        return fields
    shared = {field.name for field in msgspec.structs.fields(struct.__bases__[0])}
    return sorted(fields, key=lambda field: (field.name in _SELDOM, field.name in shared))


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    optional = NoneType in options
    kinds = [option for option in options if option is not NoneType]
    if int in kinds and any(get_origin(option) is tuple for option in kinds):
        words = [word for option in kinds if get_origin(option) is Literal for word in get_args(option)]
        return "sizes", tuple(words), optional
    for option in kinds:
        if get_origin(option) is Literal:
            return "choice", tuple(map(str, get_args(option))), optional
        if get_origin(option) is tuple:
            return {int: "integers", str: "names"}.get(get_args(option)[0], "numbers"), (), optional  # type: ignore[return-value]
    if str in kinds and int in kinds:
        return "word", (), optional
    if str in kinds:
        return "text", (), optional
    if bool in kinds:
        return "flag", ("no", "yes"), optional
    return ("number" if float in kinds else "integer"), (), optional


@cache
def about(struct: type[msgspec.Struct]) -> str:
    """What a kind is, in one line: its docstring."""
    return _plain(struct.__dict__.get("__doc__") or "")


@cache
def _helps(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field → the text under it in the source, those of its bases included; empty where there is no source."""
    helps: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        helps |= _source_helps(base.__module__).get(base.__name__, {})
    return helps


@cache
def _source_helps(module: str) -> dict[str, dict[str, str]]:
    """Class → field → the string that follows the field (which Python itself throws away)."""
    import importlib

    try:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    except (OSError, TypeError, SyntaxError):
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        helps = found.setdefault(node.name, {})
        for field, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):  # fmt: skip
                helps[field.target.id] = _plain(after.value.value)
    return found


def _plain(text: str) -> str:
    """One line without the marks of the documentation."""
    return " ".join(text.replace("``None``", "Empty").replace("``", "").split())


# -- values and their text -------------------------------------------------------------------------
def text_of(field: Field, value: Any) -> str:
    """A value as it is typed; what is not set is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple):
        return ", ".join(each if isinstance(each, str) else _number(each) for each in value)
    return str(value)


def _number(value: float) -> str:
    """As short as it can be without another value: ``0.1``, ``1e-08``, ``10``."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)


def read(field: Field, text: str) -> Any:
    """The value that was typed. ValueError in one line, without the field's name."""
    text = text.strip()
    if not text and field.optional:
        return None
    if field.kind == "text":
        return text
    if field.kind == "word":
        return int(text) if text.isascii() and text.isdecimal() else text
    if field.kind in ("choice", "flag"):
        if text not in field.choices:
            raise ValueError(f"no {text[:30]!r}{nearest(text, field.choices)}")
        return text == "yes" if field.kind == "flag" else text
    if field.kind == "numbers":
        return tuple(_read_number(part) for part in text.replace(";", ",").split(",") if part.strip())
    if field.kind == "sizes" and text in field.choices:
        return text
    if field.kind in ("integers", "names", "sizes"):
        parts = [part.strip() for part in re.split(r"[,;×\s]+", text) if part.strip()]
        if field.kind == "sizes" and len(parts) != 2:
            return _read_integer(text)
        return tuple(parts) if field.kind == "names" else tuple(map(_read_integer, parts))
    return _read_integer(text.replace(",", "")) if field.kind == "integer" else _read_number(text)


def _read_integer(text: str) -> int:
    try:
        return int(text.replace("_", ""))
    except ValueError:
        raise ValueError(f"{text[:30]!r} is not a whole number" if text else "expected a whole number") from None


def _read_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()[:30]!r} is not a number" if text.strip() else "expected a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text.strip()[:30]!r} is not a finite number")
    return value


#: Where a field begins that has no default, so that a kind can be chosen before its sizes are given.
BEGINNINGS: dict[str, Any] = {"units": 16, "vocabulary": 1000, "shape": ()}


def switched(old: msgspec.Struct, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Another kind of the same table: fields that both have keep what was set; the rest is the new kind's default.

    What has no default begins somewhere (``BEGINNINGS``), and a check says where that does not fit.
    """
    if type(old) is kind:
        return old
    before = {field.key: field for field in fields_of(type(old))}
    kept = {}
    for field in fields_of(kind):
        mine = before.get(field.key)
        if mine is None or mine.kind != field.kind:
            if field.default is NODEFAULT:
                kept[field.key] = BEGINNINGS[field.key]
            continue
        value = getattr(old, field.key)
        if value != mine.default or field.default is NODEFAULT:
            kept[field.key] = value
    return kind(**kept)
