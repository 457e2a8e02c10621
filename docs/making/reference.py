"""Reference tables read off the code: experiment files, the run directory, keys, conditions."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import textwrap
import types
import typing
from typing import Any

import msgspec

from making.blocks import table


def documented(cls: type) -> dict[str, str]:
    """Field (or member) → the docstring that follows it, of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("bptui."):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for entry, after in zip(body.body, body.body[1:], strict=False):
            target = entry.target if isinstance(entry, ast.AnnAssign) else None
            if isinstance(entry, ast.Assign):
                target = entry.targets[0]  # type: ignore[assignment]
            if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[target.id] = prose(str(after.value.value))
    return found


def prose(text: str) -> str:
    """A docstring as one line of Markdown."""
    text = re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.split())).replace("`None`:", "Left out:")
    return text.replace("|", "\\|")


def kind(annotation: Any) -> str:
    """A type in a reader's words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " ".join(f"`{_toml(value)}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        parts = [kind(part) for part in arguments if part is not type(None)]
        return " or ".join(parts)
    if origin is tuple:
        return f"list of: {kind(arguments[0])}"
    if origin is dict:
        return "object"
    words = {int: "whole number", float: "number", str: "text", bool: "`true` `false`", bytes: "bytes"}
    if annotation in words:
        return words[annotation]
    return "object" if isinstance(annotation, type) else str(annotation)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) or abs(value) >= 1e6 else f"{value:.1f}"
    return str(value)


def default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "–"
    if isinstance(value, dict | tuple):
        return "empty" if not value else str(value)
    return f"`{_toml(value)}`"


def struct_table(cls: type[msgspec.Struct], *, defaults: bool = True, inner: bool = True) -> str:
    """Key, type, default and meaning of each field; without ``inner``, not of those that are tables of their own."""
    docs = documented(cls)
    rows = []
    for field in msgspec.structs.fields(cls):
        if not inner and _holds_tables(field.type):
            continue
        row = [f"`{field.encode_name}`", kind(field.type)]
        rows.append([*row, *([default(field)] if defaults else []), docs.get(field.name, "")])
    return table(["key", "type", *(["default"] if defaults else []), "meaning"], rows)


def struct(module: str, name: str) -> str:
    """Block ``struct MODULE CLASS``."""
    return struct_table(getattr(importlib.import_module(module), name), defaults=False)


def _summary(cls: type) -> str:
    return prose(inspect.cleandoc(cls.__dict__.get("__doc__") or ""))


def _sentence(text: str) -> str:
    """With a capital, unless it begins with the name of a thing."""
    return text if text.startswith(("lr ", "`")) else text[:1].upper() + text[1:]


def experiment_tables() -> str:
    """Block ``experiment``: every table of an experiment file, in the order of the Structs."""
    from bptui.spec.experiment import Experiment

    parts = []
    for field in msgspec.structs.fields(Experiment):
        annotation: Any = field.type
        repeated = typing.get_origin(annotation) is tuple
        if repeated:
            annotation = typing.get_args(annotation)[0]
        choices = tuple(c for c in typing.get_args(annotation) or (annotation,) if c is not types.NoneType)
        head = f"[[{field.name}]]" if repeated else f"[{field.name}]"
        parts.append(f"## `{head}`\n")
        if field.required:
            parts.append("Required.\n")
        else:
            given = msgspec.structs.asdict(field.default) if isinstance(field.default, msgspec.Struct) else {}
            tag = getattr(type(field.default).__struct_config__, "tag", None) if given or field.default else None
            shown = {**({"name": tag} if tag else {}), **{k: v for k, v in given.items() if v not in (None, (), "")}}
            words = ", ".join(f"`{key} = {_toml(value)}`" for key, value in shown.items())
            parts.append(f"May be left out{': then ' + words if words else ''}.\n")
        for choice in choices:
            config = choice.__struct_config__
            if config.tag is not None:
                parts.append(f'### `{config.tag_field} = "{config.tag}"`\n')
            summary = _summary(choice)
            if summary and summary != f"`{head}`.":
                parts.append(_sentence(summary.removeprefix(f"`{head}`").lstrip(": ")) + "\n")
            fields = msgspec.structs.fields(choice)
            parts.append((struct_table(choice, inner=False) if fields else "No further keys.") + "\n")
            docs = documented(choice)
            parts += [_within(field.name, each, docs[each.name]) for each in fields if _holds_tables(each.type)]
    return "\n".join(parts)


def _holds_tables(annotation: Any) -> bool:
    """Whether a key is tables of its own."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return True
    return any(map(_holds_tables, typing.get_args(annotation)))


def _within(outer: str, field: msgspec.structs.FieldInfo, about: str) -> str:
    """A table inside a table, whose keys are those of the table of that name."""
    repeated = typing.get_origin(field.type) is tuple
    head = f"[[{outer}.{field.name}]]" if repeated else f"[{outer}.{field.name}]"
    outside = f"[[{field.name}]]" if repeated else f"[{field.name}]"
    default = "" if repeated else f" May be left out: then `name = \"{field.default.__struct_config__.tag}\"`."
    said = _sentence(about.removeprefix(f"`{head}`").lstrip(": "))
    return f"### `{head}`\n\n{said} The keys of `{outside}`.{default}\n"


def sources() -> str:
    """Block ``sources``: what ``data.source`` may name."""
    from bptui.spec.sources import SOURCES

    rows = [
        [f"`{name}`", f"{source.features} → {source.outputs}", source.task, source.about]
        for name, source in SOURCES.items()
    ]
    return table(["source", "features → outputs", "task", "what it is"], rows)


def presets_list() -> list[tuple[str, str]]:
    from bptui.spec.load import presets

    return sorted(presets().items())


def members(module: str, name: str) -> str:
    """Block ``members MODULE ENUM``: number, name and meaning."""
    cls: type[enum.IntEnum] = getattr(importlib.import_module(module), name)
    docs = documented(cls)
    rows = [[str(int(member)), f"`{member.name}`", docs.get(member.name, "")] for member in cls]
    return table(["kind", "name", "payload"], rows)


def record_names() -> str:
    """Block ``record-names``: series, table columns, quantities and cells, by index."""
    from bptui.runs import records

    def row(names: tuple[str, ...]) -> str:
        return " ".join(f"{at}&nbsp;`{name}`" for at, name in enumerate(names))

    low, high = records.LOW_EXPONENT, records.HIGH_EXPONENT
    cells = ", ".join(f"{at} `{name}`" for at, name in enumerate(records.SPECIAL_CELLS))
    first = len(records.SPECIAL_CELLS)
    return table(
        ["names", "by index"],
        [
            ["series", row(records.SERIES)],
            ["table columns", row(records.TABLE_COLUMNS)],
            ["quantities of histograms", row(records.QUANTITIES)],
            [
                "cells of a histogram",
                f"{cells}, then {high - low} cells: cell {first} + k counts values with "
                f"2^({low} + k) ≤ \\|x\\| < 2^({low + 1} + k); {records.CELLS} in all",
            ],
        ],
    )


def keys() -> str:
    """Block ``keys``."""
    from bptui.tui.keys import markdown

    return markdown()


def grammar() -> str:
    """Block ``grammar``: as it stands in the parser's docstring."""
    from bptui.expr import language

    text = inspect.cleandoc(language.__doc__ or "")
    rules = re.search(r"^    condition.*?(?=\n\n)", text, re.DOTALL | re.MULTILINE)
    assert rules is not None
    return f"```\n{textwrap.dedent(rules.group(0))}\n```"


#: What each name of a condition is; a test holds that none is missing.
SCALAR_WORDS = {
    "loss": "loss of the last update's batch",
    "step": "updates done",
    "epoch": "epochs done, with their fraction",
    "lr": "learning rate of the coming update",
    "train_loss": "loss over all training rows, once the run has come to its end",
    "train_accuracy": "accuracy over all training rows, likewise (0 to 1)",
    "val_loss": "loss over the validation rows, at the end of the last epoch",
    "val_accuracy": "accuracy over the validation rows, likewise (0 to 1)",
    "val_r2": "R² over the validation rows (regression)",
    "val_f1": "F1 over the validation rows; with more than two classes the mean of the classes' F1",
    "val_generator_loss": "the generator's loss over 2,000 samples of it (two networks)",
    "val_modes": "clusters of the data that at least a quarter of their fair share of its samples come near",
    "val_near": "share of its samples within three σ of a cluster, 0 to 1",
    "test_loss": "loss over the test rows, once the run has come to its end",
    "test_accuracy": "accuracy over the test rows, likewise",
    "train_return": "of a policy: mean return of the episodes that the last update learned from",
    "val_return": "of a policy: mean return of episodes that it is tried in, at the end of the last epoch",
}
FUNCTION_WORDS = {
    "grad_norm": "Euclidean norm of ∂L/∂W of the layer",
    "update_ratio": "‖ΔW‖/‖W‖ of its last update",
    "dead": "share of its units that gave 0 for every sample looked at, 0 to 1",
    "saturated": "share of its units whose z lies beyond −5 and 5 over the sampled batch, 0 to 1",
    "weight_norm": "Euclidean norm of its W",
    "activation_mean": "mean of its activations over the sampled batch",
    "delta_norm": "Euclidean norm of its δ over the sampled batch",
}


def condition_names() -> str:
    """Block ``condition-names``."""
    from bptui.expr import language

    rows = [[f"`{name}`", SCALAR_WORDS[name]] for name in language.SCALARS]
    return table(["name", "value"], rows)


def condition_functions() -> str:
    """Block ``condition-functions``."""
    from bptui.expr import language

    rows = [[f'`{name}("dense1")`', FUNCTION_WORDS[name]] for name in language.FUNCTIONS]
    return table(["function", "value"], rows)
