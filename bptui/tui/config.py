"""What a user likes: ``$XDG_CONFIG_HOME/bptui/config.toml``, read strictly and changed a line at a time.

[screen]
theme   = "colour-blind"     # auto, dark, light, colour-blind, or a name of Textual's
glyphs  = "block"            # auto, braille, block, ascii
mouse   = true
notices = "auto"             # auto, bell, desktop, off
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Literal, get_args

import msgspec

GlyphChoice = Literal["auto", "braille", "block", "ascii"]
NoticeChoice = Literal["auto", "bell", "desktop", "off"]


class ConfigError(ValueError):
    """The file cannot be used; the text is one line that names it."""


class ScreenConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[screen]``."""

    theme: str = "auto"
    glyphs: GlyphChoice = "auto"
    mouse: bool = True
    notices: NoticeChoice = "auto"


_CHOICES = {"glyphs": get_args(GlyphChoice), "notices": get_args(NoticeChoice)}


def config_path() -> Path:
    """``$XDG_CONFIG_HOME/bptui/config.toml``, else under ``~/.config``; a relative variable is ignored (XDG)."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(folder) if os.path.isabs(folder) else Path("~/.config").expanduser()) / "bptui" / "config.toml"


def read_config(path: Path | None = None) -> ScreenConfig:
    """The settings; defaults where there is no file. ConfigError names file, key, and the nearest valid word."""
    path = path or config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ScreenConfig()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    return _checked(text, path)


def _checked(text: str, path: Path) -> ScreenConfig:
    import tomllib  # only where there is a file: the first frame waits for it

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    for name in tables:
        if name != "screen":
            raise ConfigError(f"{path}: unknown table [{name}]; there is [screen]")
    screen = tables.get("screen", {})
    if not isinstance(screen, dict):
        raise ConfigError(f"{path}: screen: expected a table")
    known = ScreenConfig.__struct_fields__
    for key, value in screen.items():
        if key not in known:
            raise ConfigError(f"{path}: [screen] {key}: unknown key{_nearest(key, known)}")
        choices = _CHOICES.get(key)
        if choices and value not in choices:
            raise ConfigError(f"{path}: [screen] {key}: expected one of {', '.join(choices)}, got {value!r}")
        if (key == "mouse" and not isinstance(value, bool)) or (key == "theme" and not isinstance(value, str)):
            expected = "true or false" if key == "mouse" else "a name in quotes"
            raise ConfigError(f"{path}: [screen] {key}: expected {expected}, got {value!r}")
    return msgspec.convert(screen, ScreenConfig)


def _nearest(key: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (one of {', '.join(known)})"


def remember(key: str, value: str, path: Path | None = None) -> None:
    """Write one setting; every other line of the file stays as it is. ConfigError where that cannot be done."""
    import tempfile

    path = path or config_path()
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        _checked(before, path)  # a file that cannot be read is its user's to mend
        after = _with(before, key, f'{key} = "{value}"')
        _checked(after, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".config.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(after)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


def _with(text: str, key: str, line: str) -> str:
    """``text`` with ``line`` in its table [screen], in the place of the key's line if it has one."""
    lines = text.splitlines()
    start = next((i for i, row in enumerate(lines) if re.match(r"\s*\[\s*screen\s*\]", row)), None)
    if start is None:
        return "\n".join([*lines, *([""] if lines else []), "[screen]", line]) + "\n"
    for index in range(start + 1, len(lines)):
        if lines[index].lstrip().startswith("["):
            break
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[index]):
            lines[index] = line
            return "\n".join(lines) + "\n"
    lines.insert(start + 1, line)
    return "\n".join(lines) + "\n"
