"""An experiment as a TOML file: what ``load`` reads back as the same experiment, without what is a default anyway."""

from __future__ import annotations

import errno
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from bptui.spec.check import SpecError
from bptui.spec.experiment import Adversary, Experiment
from bptui.spec.fields import fields_of

_TABLES = ("experiment", "data", "model", "loss", "optimizer", "adversary", "schedule", "stop", "variant")
_ALWAYS = ("data", "loss")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def to_toml(experiment: Experiment) -> str:
    """The text of the file: tables in the order of the documentation, values that differ from their default."""
    whole = {field.name: field for field in msgspec.structs.fields(Experiment)}
    blocks = []
    for table in _TABLES:
        content = getattr(experiment, table)
        if isinstance(content, Adversary):
            blocks.append("\n".join([f"[{table}]", *_lines(content)]))
            blocks += ["\n".join([f"[[{table}.model]]", *_lines(each)]) for each in content.model]
            blocks.append("\n".join([f"[{table}.optimizer]", *_lines(content.optimizer)]))
        elif isinstance(content, tuple):
            blocks += ["\n".join([f"[[{table}]]", *_lines(each)]) for each in content]
        elif table in _ALWAYS or content != whole[table].default:
            blocks.append("\n".join([f"[{table}]", *_lines(content)]))
    return "\n\n".join(blocks) + "\n"


def _lines(table: msgspec.Struct) -> list[str]:
    config = table.__struct_config__
    lines = [f"{config.tag_field} = {_value(config.tag)}"] if config.tag_field else []
    for field in fields_of(type(table)):
        value = getattr(table, field.key)
        if value is not None and not _same(value, field.default):
            lines.append(f"{field.key} = {_value(value)}")
    return lines


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default and (value or not str(value).startswith("-"))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return '"' + "".join(_character(character) for character in str(value)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04x}" if ord(character) < 0x20 or ord(character) == 0x7F else character


def save(experiment: Experiment, path: Path) -> None:
    """Write the file, through symbolic links, whole or not at all. SpecError in one line where that cannot be."""
    if path.is_dir():
        raise SpecError(f"{path}: a folder; expected the name of a file")
    name = ""
    try:
        data = to_toml(experiment).encode()
        place = path.resolve()
        if place.is_symlink():  # before Python 3.13 resolve itself says so
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        handle, name = tempfile.mkstemp(prefix=f".{place.name[:40]}.", dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mode = place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_mask()
        os.chmod(name, mode)
        os.replace(name, place)
    except (OSError, RuntimeError, UnicodeEncodeError) as error:  # RuntimeError: links in a circle
        if name and os.path.exists(name):
            os.unlink(name)
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"{path}: {reason}") from None


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
