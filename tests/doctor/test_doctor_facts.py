"""``bptui doctor``: what it says of terminals and machines that it is told of."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bptui.commands.doctor import rendered
from bptui.doctor import machine, terminal
from bptui.doctor.fact import Fact

DOCTOR = [sys.executable, "-m", "bptui", "doctor"]


@pytest.mark.parametrize(
    ("environment", "level", "says"),
    [({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "ok", "16 million"),
     ({"TERM": "xterm-256color"}, "ok", "256"),
     ({"TERM": "screen-256color"}, "ok", "256"), ({"TERM": "screen"}, "warn", "16"), ({"TERM": "xterm"}, "warn", "16"),
     ({"TERM": "xterm", "NO_COLOR": ""}, "ok", "none"),
     ({"TERM": "xterm-256color", "WT_SESSION": "1"}, "warn", "16 million")],
)  # fmt: skip
def test_colours(environment: dict[str, str], level: str, says: str) -> None:
    fact = terminal.colours(environment)
    assert fact.level == level and says in fact.value
    assert bool(fact.advice) is (level != "ok")


@pytest.mark.parametrize(
    ("environment", "name"),
    [({"WT_SESSION": "x"}, "Windows Terminal"), ({"TERM_PROGRAM": "iTerm.app"}, "iTerm2"),
     ({"VTE_VERSION": "7003"}, "VTE 7003"),
     ({"KITTY_WINDOW_ID": "1"}, "kitty"), ({}, "")],
)  # fmt: skip
def test_terminals_are_known_by_their_variables(environment: dict[str, str], name: str) -> None:
    assert terminal.program(environment) == name


@pytest.mark.parametrize(("free", "level"), [(1 << 20, "problem"), (1 << 29, "warn"), (1 << 40, "ok")])
def test_disk(free: int, level: str) -> None:
    fact = machine.disk(Path("/home/somebody"), free)
    assert fact.level == level and bool(fact.advice) is (level != "ok")


@pytest.mark.parametrize(
    ("script", "level", "says"),
    [("echo '{\"version\": \"9.9\", \"cuda\": false, \"built_for\": \"\", \"devices\": [], \"mps\": false}'",
      "ok", "9.9"),
     ("echo boom >&2; exit 1", "problem", "boom"), ("echo not json", "problem", "cannot be imported"),
     ("kill -SEGV $$", "problem", "-11"),
     ("exec sleep 30", "warn", "longer than")],
    ids=["fine", "fails", "babbles", "crashes", "hangs"],
)  # fmt: skip
def test_torch_is_asked_in_a_process_that_may_fail(tmp_path: Path, script: str, level: str, says: str) -> None:
    pytest.importorskip("torch")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/bash\n{script}\n")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    facts = machine.torch(str(python), seconds=1.0 if "sleep" in script else 20.0)
    assert facts[0].level == level and says in facts[0].value and "\n" not in facts[0].value


def test_it_does_not_import_torch_itself(tmp_path: Path) -> None:
    code = (
        "import sys, os\n"
        "from bptui.doctor import machine, terminal\n"
        "machine.facts(os.environ); terminal.facts(os.environ)\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_json_and_exit_status(tmp_path: Path) -> None:
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path), "TERM": "xterm-256color"}
    done = subprocess.run([*DOCTOR, "--json"], capture_output=True, text=True, env=environment, check=False)
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["result"] == "ok" and document["schema"] == 1
    names = {fact["name"] for fact in document["facts"]}
    assert names >= {
        "terminal",
        "colours",
        "glyph widths",
        "locale",
        "python",
        "torch",
        "disk",
        "runs",
        "sockets",
        "datasets",
    }
    assert {fact["level"] for fact in document["facts"]} <= {"ok", "warn", "problem"}


def test_what_is_in_the_way_gives_1(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    (tmp_path / "config" / "bptui").mkdir(parents=True)
    (tmp_path / "config" / "bptui" / "config.toml").write_text("[scren]\n")
    environment = {
        **os.environ,
        "BPTUI_HOME": str(blocked / "home"),
        "TERM": "dumb",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    done = subprocess.run(DOCTOR, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert (
        "cannot write runs here" in done.stdout
        and "unknown table [scren]" in done.stdout
        and "TERM=dumb" in done.stdout
    )
    assert "3 in the way" in done.stdout


def test_ascii_lines_for_a_terminal_without_utf_8() -> None:
    facts = [Fact("terminal", "size", "ok", "80×24"), Fact("machine", "disk", "problem", "full", "make room")]
    assert all(line.isascii() for line in rendered(facts, ascii_only=True))
    assert rendered(facts)[-1] == "1 ok, 0 to look at, 1 in the way"


def test_nothing_moves_the_cursor() -> None:
    assert "\x1b" not in "".join(rendered([Fact("terminal", "terminal", "ok", "TERM=\x1b[2J")]))


@pytest.mark.parametrize(
    ("answers", "missing"),
    [({"set-clipboard": "on", "allow-passthrough": "on", "focus-events": "on", "escape-time": "10"}, set()),
     ({"set-clipboard": "external", "allow-passthrough": "off", "focus-events": "on", "escape-time": "500"},
      {"tmux set-clipboard", "tmux allow-passthrough", "tmux escape-time"}),
     ({}, {f"tmux {name}" for name in ("set-clipboard", "allow-passthrough", "focus-events", "escape-time")})],
    ids=["as it should be", "as tmux comes", "old tmux"],
)  # fmt: skip
def test_tmux_settings(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], missing: set[str]) -> None:
    monkeypatch.setattr(terminal, "_asked", lambda *words: answers.get(words[-1], ""))
    facts = terminal.multiplexer({"TMUX": "/tmp/tmux-1/default,1,0"})
    assert {fact.name for fact in facts if fact.level == "warn"} == missing
    assert all(".tmux.conf" in fact.advice for fact in facts if fact.level == "warn")
    assert terminal.multiplexer({}) == [] and terminal.multiplexer({"STY": "1.x"})[0].name == "screen"
