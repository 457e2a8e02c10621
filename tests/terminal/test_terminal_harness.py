"""The pseudo-terminal in which all screen tests run, tested itself: with a shell, and with a small Textual app."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from left_running import end_left_running, left_running
from pseudo_terminal import ScreenTimeout, Terminal
from terminal_emulation import Emulation

APP = """
from textual.app import App
from textual.widgets import Static

class Counter(App):
    BINDINGS = [("space", "count", "count"), ("q", "quit", "quit"), ("escape", "back", "back")]
    CSS = "Static { color: #ff8000; text-style: bold; }"
    count = 0

    def compose(self):
        yield Static("count 0", id="count")
        yield Static("", id="size")

    def action_count(self):
        self.count += 1
        self.query_one("#count").update(f"count {self.count}")

    def action_back(self):
        self.query_one("#count").update("went back")

    def on_resize(self, event):
        self.query_one("#size").update(f"{event.size.width} by {event.size.height}")

Counter().run()
print("left the app")
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "counter.py").write_text(APP)
    with Terminal([sys.executable, tmp_path / "counter.py"], rows=10, columns=40) as terminal:
        terminal.wait_for("count 0")
        yield terminal


def shell(script: str, rows: int = 24, columns: int = 80) -> Terminal:
    return Terminal(["/bin/sh", "-c", script], rows=rows, columns=columns)


def test_a_shell_finds_a_terminal_of_the_size_asked_for() -> None:
    with shell("tty; stty size; echo $TERM $COLORTERM; exit 3", rows=7, columns=33) as terminal:
        assert terminal.wait_exit() == 3
        assert re.match(r"/dev/pts/\d+\n7 33\nxterm-256color truecolor", terminal.text)


def test_keys_reach_the_program_and_interrupt_it() -> None:
    with shell("read name; echo hello $name; exec sleep 60") as terminal:
        terminal.send("world\r")
        terminal.wait_for("hello world")
        terminal.press("ctrl+c")
        assert terminal.wait_exit() == -signal.SIGINT


def test_a_lost_line_hangs_the_program_up(tmp_path: Path) -> None:
    mark = tmp_path / "hung-up"
    with shell(f"trap 'touch {mark}; exit 0' HUP; echo ready; while :; do sleep 0.05; done") as terminal:
        terminal.wait_for("ready")
        terminal.hang_up()
        assert terminal.process.wait(10) == 0
        assert mark.exists()


def test_closing_kills_the_whole_process_group() -> None:
    with shell("sleep 600 & echo child $!; wait") as terminal:
        terminal.wait_for(re.compile(r"child \d+"))
        child = int(terminal.text.split()[1])
    assert terminal.process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < deadline, "the child outlived its terminal"
        os.sched_yield()


def test_what_is_left_running_is_found_by_its_home_and_ended(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = {"BPTUI_HOME": str(home / "state")}
    script = "setsid sh -c 'echo started; exec sleep 600' & read key"  # the leader's end would take it along before
    with Terminal(["/bin/sh", "-c", script], env=env) as terminal:
        terminal.wait_for("started")
        terminal.press("enter")
        assert terminal.wait_exit() == 0
    assert left_running(tmp_path / "hom") == []
    assert len(left_running(home)) == 1
    assert len(end_left_running(home)) == 1
    deadline = time.monotonic() + 10
    while left_running(home):
        assert time.monotonic() < deadline
        os.sched_yield()


def runs(pid: int) -> bool:
    """False for a zombie as well: an orphan is reaped by init, in its own time."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_what_never_comes_raises_with_the_screen() -> None:
    with shell("echo something else; exec sleep 60") as terminal, pytest.raises(ScreenTimeout, match="something else"):
        terminal.wait_for("READY", timeout=0.3)
    with shell("echo too short") as terminal, pytest.raises(ScreenTimeout, match=r"program ended \(0\)[^$]*too short"):
        terminal.wait_for("READY")


def test_an_app_shows_colours_and_takes_keys(app: Terminal) -> None:
    row, column = app.find("count") or (-1, -1)
    cell = app.cells[row][column]
    assert (cell.data, cell.fg, cell.bold) == ("c", "ff8000", True)
    app.press("space", "space")
    app.wait_for("count 2")
    app.press("escape")
    app.wait_for("went back")


def test_an_app_follows_the_size_of_its_terminal(app: Terminal) -> None:
    app.wait_for("40 by 10")
    app.resize(20, 60)
    app.wait_for("60 by 20")
    assert len(app.cells) == 20 and len(app.cells[0]) == 60


def test_an_app_paints_in_synchronised_updates_and_leaves_the_terminal_as_it_was(app: Terminal) -> None:
    before = app.emulation.frames
    app.press("space")
    app.wait_for("count 1")
    app.press("space")
    app.wait_for(lambda t: t.emulation.frames > before)  # only because its query was answered
    app.press("q")
    assert app.wait_exit() == 0
    assert app.text.strip() == "left the app", "the alternate screen was not left"
    assert app.emulation.modes <= {"7", "25"}
    assert app.received == len(app.transcript) > 0


def test_a_change_is_dated_by_its_arrival(app: Terminal) -> None:
    earlier = app.wait_for("count 0")
    app.press("space")
    assert app.wait_for("count 1") > earlier


@pytest.mark.parametrize(
    ("sequence", "shown"),
    [
        ("a\x1b[>25ub", "ab"),
        ("a\x1b[<ub", "ab"),
        ("a\x1b[?2048$pb", "ab"),
        ("a\x1b]52;c;aGk=\x07b", "ab"),
        ("a\x1bPq#0~\x1b\\b\x1bPagain\x1b\\c", "abc"),
        ("a\x1b[4:3mb\x1b[38:2:1:2:3mc", "abc"),
        ("\x1b[?1049hhidden\x1b[?1049lmain", "main"),
        ("日本x", "日本x"),
    ],
)
def test_sequences_never_show_as_text_however_they_are_cut(sequence: str, shown: str) -> None:
    data = sequence.encode()
    for cut in range(len(data) + 1):
        emulation = Emulation(3, 20)
        emulation.feed(data[:cut])
        emulation.feed(data[cut:])
        assert emulation.lines[0].rstrip() == shown


def test_queries_are_answered() -> None:
    emulation = Emulation(3, 20)
    assert emulation.feed(b"\x1b[?2026$p\x1b[?2048$p") == b"\x1b[?2026;2$y\x1b[?2048;0$y"
    assert emulation.feed(b"abc\x1b[6n\x1b[c") == b"\x1b[1;4R\x1b[?62;22c"
    assert emulation.feed(b"\x1b]11;?\x07").startswith(b"\x1b]11;rgb:")
    assert emulation.lines[0].rstrip() == "abc"
