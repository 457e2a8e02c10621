"""From a TOML file, a preset's name or ``--set`` texts to an ``Experiment``; every error is one line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from bptui.spec import experiment as tables
from bptui.spec.check import SpecError, check, nearest
from bptui.spec.experiment import Experiment, layer_names

PRESETS = Path(__file__).parent / "presets"
MAX_FILE = 1 << 20


def _options(union: Any) -> dict[str, type[msgspec.Struct]]:
    """Tag → Struct of a union (or of a single Struct)."""
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union) or (union,)}


#: Table → the Struct it holds, or (the key that chooses, name → Struct).
_PLAIN: dict[str, type[msgspec.Struct]] = {"experiment": tables.Header, "data": tables.Data, "stop": tables.Stop}
_TAGGED: dict[str, tuple[str, dict[str, type[msgspec.Struct]]]] = {
    "loss": ("name", _options(tables.Loss)),
    "optimizer": ("name", _options(tables.Optimizer)),
    "schedule": ("name", _options(tables.Schedule)),
}
_LAYERS = _options(tables.Layer)
#: What a table holds besides keys: other tables.
_ADVERSARY = ("model", "optimizer")
#: Tables that a file may leave out, as they then are: ``--set optimizer.lr=0.1`` changes the default optimiser.
_LEFT_OUT: dict[str, dict[str, Any]] = {
    field.name: {_TAGGED[field.name][0]: field.default.__struct_config__.tag}
    for field in msgspec.structs.fields(tables.Experiment)
    if field.name in _TAGGED and not field.required
}


def presets() -> dict[str, str]:
    """Name → description of every preset."""
    found = {}
    for path in sorted(PRESETS.glob("*.toml")):
        with open(path, "rb") as file:
            found[path.stem] = str(tomllib.load(file).get("experiment", {}).get("description", ""))
    return found


def load(source: str, overrides: Sequence[str] = (), *, variant: str | None = None) -> Experiment:
    """An experiment from a preset's name or a TOML file, its variant and then ``--set`` texts applied.

    Raises SpecError.
    """
    path = Path(source)
    names = [preset.stem for preset in PRESETS.glob("*.toml")]
    if source in names:
        path = PRESETS / f"{source}.toml"
    elif not path.is_file():
        if path.is_dir():
            raise SpecError(f"{source}: a folder; expected a TOML file or a preset")
        if path.suffix or "/" in source:
            raise SpecError(f"no file {source!r}")
        raise SpecError(f"no preset {source!r}{nearest(source, sorted(names))}")
    return parse(_read(path), name=str(source), overrides=overrides, variant=variant, default_name=path.stem)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise SpecError(f"{path}: larger than {MAX_FILE >> 20} MB; not an experiment")
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more digits than Python reads
        raise SpecError(f"{path}: not TOML: {error}") from None


def parse(
    raw: dict[str, Any],
    *,
    name: str = "experiment",
    overrides: Sequence[str] = (),
    variant: str | None = None,
    default_name: str = "",
) -> Experiment:
    """An experiment from plain data (as TOML gives it). Raises SpecError; ``name`` begins its text."""
    raw = dict(raw)
    try:
        if variant is not None:
            overrides = [*_variant(raw, variant), *overrides]
        for text in overrides:
            _override(raw, text)
        experiment = _convert(raw, default_name)
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from None
    problems = check(experiment)
    if problems:
        raise SpecError(f"{name}: {problems[0]}")
    return experiment


def _variants(raw: dict[str, Any]) -> tuple[tables.Variant, ...]:
    listed = raw.get("variant", [])
    if not isinstance(listed, list):
        raise SpecError("[variant]: expected variants as [[variant]] tables")
    return tuple(
        _struct(f"variant {number}", _table(f"variant {number}", table), tables.Variant)
        for number, table in enumerate(listed, 1)
    )


def _variant(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    variants = _variants(raw)
    for variant in variants:
        if variant.name == name:
            header = _table("experiment", raw.get("experiment", {}))
            raw["experiment"] = {**header, "name": f"{header.get('name', '')}-{name}".lstrip("-")}
            return variant.set
    if not variants:
        raise SpecError(f"--variant {name}: there are no variants here")
    raise SpecError(f"--variant {name}: no such variant{nearest(name, [variant.name for variant in variants])}")


def _convert(raw: dict[str, Any], default_name: str) -> Experiment:
    known = ("experiment", "data", "model", "loss", "optimizer", "adversary", "schedule", "stop", "variant")
    for table in raw:
        if table not in known:
            raise SpecError(f"unknown table [{table}]{nearest(table, known)}")
    for table in ("data", "model", "loss"):
        if table not in raw:
            raise SpecError(
                f"the table [{table}] is missing" if table != "model" else "no layers: add [[model]] tables"
            )
    parts: dict[str, Any] = {}
    for table, struct in _PLAIN.items():
        if table in raw:
            parts[table] = _struct(table, _table(table, raw[table]), struct)
    for table, (key, options) in _TAGGED.items():
        if table in raw:
            parts[table] = _choice(table, _table(table, raw[table]), key, options)
    parts["model"] = _layers("model", raw["model"])
    if "adversary" in raw:
        parts["adversary"] = _adversary(_table("adversary", raw["adversary"]))
    parts["variant"] = _variants(raw)
    header = parts.setdefault("experiment", tables.Header())
    if not header.name:
        parts["experiment"] = msgspec.structs.replace(header, name=default_name)
    return Experiment(**parts)


def _layers(table: str, raw: Any) -> tuple[tables.Layer, ...]:
    if not isinstance(raw, list):
        raise SpecError(f"[{table}]: expected layers as [[{table}]] tables")
    return tuple(
        _choice(f"{table}, layer {number}", _table(f"{table}, layer {number}", layer), "type", _LAYERS, default="dense")
        for number, layer in enumerate(raw, 1)
    )


def _adversary(raw: dict[str, Any]) -> tables.Adversary:
    if "model" not in raw:
        raise SpecError("[adversary] no layers: add [[adversary.model]] tables")
    parts: dict[str, Any] = {"model": _layers("adversary.model", raw["model"])}
    if "optimizer" in raw:
        given = _table("adversary.optimizer", raw["optimizer"])
        parts["optimizer"] = _choice("adversary.optimizer", given, *_TAGGED["optimizer"])
    keys = {key: value for key, value in raw.items() if key not in _ADVERSARY}
    adversary: tables.Adversary = _struct("adversary", keys, tables.Adversary)
    return msgspec.structs.replace(adversary, **parts)


def _table(table: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SpecError(f"[{table}]: expected a table, got {type(raw).__name__}")
    return raw


def _choice(
    table: str, raw: dict[str, Any], key: str, options: dict[str, type[msgspec.Struct]], default: str | None = None
) -> Any:
    name = raw.get(key, default)
    if name is None:
        raise SpecError(f"[{table}] {key} is missing{nearest('', options)}")
    if not isinstance(name, str) or name not in options:
        raise SpecError(f"[{table}] {key}: unknown {str(name)[:60]!r}{nearest(str(name), options)}")
    return _struct(table, {k: v for k, v in raw.items() if k != key}, options[name])


def _struct(table: str, raw: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for key, value in raw.items():
        if key not in fields:
            raise SpecError(f"[{table}] unknown key {key[:60]!r}{nearest(key, fields)}")
        if any(isinstance(each, int) and each.bit_length() > 64 for each in (value, *_items(value))):
            raise SpecError(f"[{table}] {key}: expected a number of at most 64 bits")  # no engine could hold it
        try:
            msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            raise SpecError(f"[{table}] {key}: {_expected(error, value, fields[key].type)}") from None
    for key, field in fields.items():
        if field.required and key not in raw:
            raise SpecError(f"[{table}] {key} is missing")
    return struct(**{key: msgspec.convert(value, fields[key].type) for key, value in raw.items()})


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _expected(error: msgspec.ValidationError, value: Any, kind: Any) -> str:
    choices = [option for option in get_args(kind) if isinstance(option, str)]
    for option in get_args(kind):  # Literal[...] | None
        choices += [choice for choice in get_args(option) if isinstance(choice, str)]
    if choices and isinstance(value, str):
        return f"unknown {value[:60]!r}{nearest(value, choices)}"
    text = str(error).replace("`", "")
    return text[:1].lower() + text[1:]


def _override(raw: dict[str, Any], text: str) -> None:
    """Apply one ``table.key=value`` (``model.dense2.units=64`` or ``model.2.units=64`` for layers)."""
    path, found, value = text.partition("=")
    parts = path.strip().split(".")
    if not found or len(parts) < 2:
        raise SpecError(f"--set {text[:80]}: expected TABLE.KEY=VALUE, such as optimizer.lr=0.01")
    try:
        parsed: Any = tomllib.loads(f"v = {value.strip()}")["v"]
    except (ValueError, RecursionError):  # ValueError: no TOML, or a number of more digits than Python reads
        parsed = value.strip()
    if parts[0] == "adversary" and len(parts) > 2:
        _override_adversary(raw, text, parts[1:], parsed)
        return
    if parts[0] == "model":
        raw["model"] = _override_layer(text, raw.get("model", []), parts[1:], parsed)
        return
    if len(parts) != 2:
        raise SpecError(f"--set {text[:80]}: expected TABLE.KEY=VALUE")
    raw[parts[0]] = _override_key(parts[0], raw.get(parts[0], _LEFT_OUT.get(parts[0], {})), parts[1], parsed)


def _override_key(kind: str, table: Any, key: str, value: Any) -> dict[str, Any]:
    """The table with one key changed; ``kind``: which table's keys it has."""
    table = table if isinstance(table, dict) else {}
    if kind in _TAGGED and key == "name" and table.get("name") != value:
        table = {"lr": table["lr"]} if kind == "optimizer" and "lr" in table else {}  # other kind, other keys
    return {**table, key: value}


def _override_adversary(raw: dict[str, Any], text: str, parts: Sequence[str], value: Any) -> None:
    """``adversary.optimizer.lr=0.01`` or ``adversary.model.dense1.units=8``."""
    adversary = raw.get("adversary")
    if not isinstance(adversary, dict):
        raise SpecError(f"--set {text[:80]}: there is no table [adversary]")
    if parts[0] == "model":
        changed: Any = _override_layer(text, adversary.get("model", []), parts[1:], value)
    elif parts[0] == "optimizer" and len(parts) == 2:
        default = {"name": str(tables.Adversary().optimizer.__struct_config__.tag)}
        changed = _override_key("optimizer", adversary.get("optimizer", default), parts[1], value)
    else:
        raise SpecError(f"--set {text[:80]}: expected adversary.optimizer.KEY=VALUE or adversary.model.LAYER.KEY=VALUE")
    raw["adversary"] = {**adversary, parts[0]: changed}


def _override_layer(text: str, given: Any, parts: Sequence[str], value: Any) -> list[Any]:
    layers: list[Any] = (
        [dict(layer) if isinstance(layer, dict) else layer for layer in given] if isinstance(given, list) else []
    )
    names = _raw_names(layers)
    if len(parts) != 2:
        raise SpecError(
            f"--set {text[:80]}: expected model.LAYER.KEY=VALUE, such as model.{(names or ['dense1'])[0]}.units=64"
        )
    for index in _which_layers(text, parts[0], names):
        _table(f"model, layer {index + 1}", layers[index])[parts[1]] = _listed(parts[1], value)
    return layers


def _listed(key: str, value: Any) -> Any:
    """``of=conv1,conv2`` and ``kernel=5,3`` as a form takes them: names, or whole numbers, parted by commas."""
    if not isinstance(value, str):
        return value
    words = [word.strip() for word in value.split(",")]
    if key == "of":
        return words
    return [int(word) for word in words] if len(words) > 1 and all(map(str.isdecimal, words)) else value


def _which_layers(text: str, which: str, names: Sequence[str]) -> range:
    """``dense2``, ``2``, ``1-5`` or ``*``."""
    if which == "*":
        return range(len(names))
    if which in names:
        return range(names.index(which), names.index(which) + 1)
    first, dash, last = which.partition("-")
    if first.isdecimal() and (not dash or last.isdecimal()):
        begin, end = int(first), int(last or first)
        if 1 <= begin <= end <= len(names):
            return range(begin - 1, end)
    raise SpecError(f"--set {text[:80]}: no layer {which!r}{nearest(which, names)}")


def _raw_names(layers: Iterable[Any]) -> list[str]:
    counts: dict[str, int] = {}
    names = []
    for layer in layers:
        kind = str(layer.get("type", "dense")) if isinstance(layer, dict) else "?"
        counts[kind] = counts.get(kind, 0) + 1
        names.append(str(layer.get("name") or f"{kind}{counts[kind]}") if isinstance(layer, dict) else "?")
    return names


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain data with every default filled in; ``from_dict`` reads it back."""
    data: dict[str, Any] = msgspec.to_builtins(experiment)
    return data


def from_dict(raw: dict[str, Any]) -> Experiment:
    """An experiment that ``to_dict`` wrote (a run's ``spec``). Raises SpecError."""
    try:
        return msgspec.convert(raw, Experiment)
    except msgspec.ValidationError as error:
        raise SpecError(f"not an experiment: {error}") from None


def title(experiment: Experiment) -> str:
    """What the experiment is called."""
    return experiment.experiment.name or "experiment"


def sizes(widths: Sequence[int]) -> str:
    """``64-32-16-10``; the middle of a long row is left out."""
    words = [str(width) for width in widths]
    return "-".join(words if len(words) <= 6 else [*words[:3], "…", words[-1]])


__all__ = ["SpecError", "from_dict", "layer_names", "load", "parse", "presets", "sizes", "title", "to_dict"]
