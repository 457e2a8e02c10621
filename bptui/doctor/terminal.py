"""Terminal, colours, widths, multiplexer, locale."""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from bptui.doctor.fact import Fact, Level
from bptui.doctor.measure import NoAnswer, cell_widths

#: What charts and formulas are made of, a sample of each kind; all must be one cell wide.
AMBIGUOUS = "‖∇Δδ→×▲●▸█"
PLAIN = "⠿╭┤▁✖✔⁻¹₂Σ∂⊙ˡᵀ"
_HOSTS = {
    "iTerm.app": "iTerm2", "Apple_Terminal": "macOS Terminal", "WezTerm": "WezTerm", "vscode": "VS Code",
    "ghostty": "Ghostty", "tmux": "tmux", "Hyper": "Hyper", "WarpTerminal": "Warp",
}  # fmt: skip


def facts(environment: Mapping[str, str]) -> list[Fact]:
    """All that can be said of the terminal; measured on it where this process has one."""
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    found = [_terminal(environment, tty), _size(tty), colours(environment), widths(environment), _locale(environment)]
    found += multiplexer(environment)
    return found


def program(environment: Mapping[str, str]) -> str:
    """The terminal's name, as far as its variables tell."""
    if environment.get("WT_SESSION"):
        return "Windows Terminal"
    if environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    if environment.get("KONSOLE_VERSION"):
        return "Konsole"
    if environment.get("VTE_VERSION"):
        return f"VTE {environment['VTE_VERSION']}"
    name = environment.get("TERM_PROGRAM", "")
    return _HOSTS.get(name, name)


def _terminal(environment: Mapping[str, str], tty: bool) -> Fact:
    term, name = environment.get("TERM", ""), program(environment)
    value = f"TERM={term or '(unset)'}" + (f", {name}" if name else "")
    if environment.get("SSH_TTY") or environment.get("SSH_CONNECTION"):
        value += ", over SSH"
    if term in ("", "dumb"):
        return _fact("terminal", "problem", value, "set TERM to what the terminal is (xterm-256color), "
                     "or use 'bptui train', which needs no screen")  # fmt: skip
    if not tty:
        return _fact("terminal", "warn", f"{value}, but input or output is not a terminal",
                     "run 'bptui doctor' without a pipe to have widths measured")  # fmt: skip
    if term == "linux":
        return _fact("terminal", "warn", value, "the Linux console has no braille and no block glyphs: --glyphs ascii")
    return _fact("terminal", "ok", value)


def _size(tty: bool) -> Fact:
    columns, lines = shutil.get_terminal_size()
    value = f"{columns}×{lines}"
    if tty and (columns < 40 or lines < 12):
        return _fact("size", "problem", value, "at least 40×12 are needed; 80×24 shows all panes")
    if tty and (columns < 80 or lines < 24):
        return _fact("size", "warn", value, "from 80×24 on all four panes are seen at once")
    return _fact("size", "ok", value)


def colours(environment: Mapping[str, str]) -> Fact:
    """How many colours the screen will use."""
    if environment.get("NO_COLOR") is not None:
        return _fact("colours", "ok", "none (NO_COLOR is set): every colour also has a glyph or a word")
    term = environment.get("TERM", "")
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return _fact("colours", "ok", "16 million (COLORTERM)")
    if environment.get("WT_SESSION"):
        return _fact("colours", "warn", f"{_depth(term)}, though Windows Terminal has 16 million",
                     "export COLORTERM=truecolor")  # fmt: skip
    depth = _depth(term)
    if depth == "16":
        return _fact("colours", "warn", "16", "if the terminal has more, set TERM=xterm-256color; "
                     "in screen put 'term screen-256color' into ~/.screenrc")  # fmt: skip
    return _fact("colours", "ok", depth)


def _depth(term: str) -> str:
    return "256" if term.endswith("256color") or "kitty" in term else "16"


def widths(environment: Mapping[str, str]) -> Fact:
    """Whether each glyph takes the one cell that the layout gives it."""
    try:
        measured = cell_widths(PLAIN + AMBIGUOUS)
    except NoAnswer as reason:
        return _fact("glyph widths", "warn", f"not measured: {reason}",
                     "if frames look torn: --glyphs ascii" if sys.stdout.isatty() else "")  # fmt: skip
    wide = [character for character, cells in measured.items() if cells != 1]
    if not wide:
        return _fact("glyph widths", "ok", f"{len(measured)} glyphs measured, each one cell")
    value = "not one cell: " + ", ".join(f"{character} {measured[character]}" for character in wide)
    how = "set ambiguous-width characters to narrow in the terminal"
    level: Level = "warn"
    return _fact("glyph widths", level, value,
                 f"{how}, or use --glyphs ascii (glyphs = \"ascii\" in config.toml)")  # fmt: skip


def _locale(environment: Mapping[str, str]) -> Fact:
    name = next((environment[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(key)), "C")
    encoding = sys.stdout.encoding or locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        return _fact("locale", "warn", f"{name}, {encoding}", "export LC_ALL=C.UTF-8; until then glyphs are ASCII")
    return _fact("locale", "ok", f"{name}, {encoding}")


def multiplexer(environment: Mapping[str, str]) -> list[Fact]:
    """tmux with the settings that matter, or screen."""
    if environment.get("TMUX"):
        return _tmux()
    if environment.get("STY"):
        return [_fact("screen", "warn", "inside GNU screen", "put 'term screen-256color' and 'defutf8 on' into "
                      "~/.screenrc; screen hands on no clipboard and no desktop notice")]  # fmt: skip
    return []


def _tmux() -> list[Fact]:
    version = _asked("tmux", "-V") or "tmux, which does not answer"
    found = [_fact("tmux", "ok", version)]
    wanted = {
        "set-clipboard": (("on",), "set -s set-clipboard on", "Y copies to the terminal's clipboard"),
        "allow-passthrough": (("on", "all"), "set -g allow-passthrough on", "desktop notices reach the terminal"),
        "focus-events": (("on",), "set -g focus-events on", "notices come only while you look elsewhere"),
        "escape-time": (tuple(map(str, range(51))), "set -s escape-time 10", "Esc acts at once"),
    }
    for option, (good, line, why) in wanted.items():
        value = _asked("tmux", "show-options", "-gv", option) or _asked("tmux", "show-options", "-sv", option)
        if value in good:
            found.append(_fact(f"tmux {option}", "ok", value))
        else:
            found.append(_fact(f"tmux {option}", "warn", value or "not known to this tmux",
                               f"'{line}' in ~/.tmux.conf: then {why}"))  # fmt: skip
    return found


def _asked(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False, env=dict(os.environ))
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _fact(name: str, level: Level, value: str, advice: str = "") -> Fact:
    return Fact("terminal", name, level, value, advice)


def ambiguous_is_wide(characters: Sequence[str] = AMBIGUOUS[:3]) -> bool:
    """Measured, in a moment; False where the terminal does not tell."""
    try:
        return any(cells != 1 for cells in cell_widths(characters, timeout=0.4).values())
    except NoAnswer:
        return False
