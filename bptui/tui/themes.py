"""The themes: dark, light and one whose colours stay apart for colour-blind eyes; any of Textual's own may be named."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import BUILTIN_THEMES, Theme

DARK = Theme(
    "bptui-dark", primary="#2f8fe0", secondary="#7aa7d8", warning="#ffb454", error="#e8586f", success="#5fcf86",
    accent="#ffb454", foreground="#e2e2e2", background="#121212", surface="#1e1e1e", panel="#23262b",
)  # fmt: skip
LIGHT = Theme(
    "bptui-light", primary="#00579e", secondary="#3d5a80", warning="#8f4e00", error="#ab1632", success="#1a6b36",
    accent="#8f4e00", foreground="#1b1b1b", background="#f7f7f5", surface="#ffffff", panel="#e4e6ea", dark=False,
)  # fmt: skip
#: After Okabe and Ito (2008), whose colours differ in brightness as well as in hue.
COLOUR_BLIND = Theme(
    "bptui-colour-blind", primary="#56b4e9", secondary="#cc79a7", warning="#f0e442", error="#e8731f",
    success="#00b386", accent="#f0e442", foreground="#eaeaea", background="#101010", surface="#1c1c1c",
    panel="#24262a",
)  # fmt: skip
OWN = (DARK, LIGHT, COLOUR_BLIND)
NAMES = ("auto", "dark", "light", "colour-blind")
"""As a user names them; ``auto`` is light where the terminal says that its background is."""


class UnknownTheme(ValueError):
    """The text is one line."""


def theme_name(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Textual's name of the theme that a user names; UnknownTheme with the nearest name."""
    if name in ("", "auto"):
        return "bptui-light" if _light_background(os.environ if environment is None else environment) else "bptui-dark"
    if name in NAMES:
        return f"bptui-{name}"
    known = [theme.name for theme in OWN] + list(BUILTIN_THEMES)
    if name in known:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), [*NAMES, *known], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UnknownTheme(f"unknown theme {name!r}{hint} (one of {', '.join(NAMES)}, or a name of Textual's)")


def _light_background(environment: Mapping[str, str]) -> bool:
    """``COLORFGBG=0;15``: set by rxvt, Konsole and others; the last number is the background's colour."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return background in ("7", "15")
