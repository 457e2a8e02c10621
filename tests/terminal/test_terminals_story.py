"""The same screen in other terminals: tmux, screen, few colours, none, another size at every moment, away and back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from left_running import left_running
from pseudo_terminal import Terminal

BPTUI = [sys.executable, "-m", "bptui"]
XOR = [*BPTUI, "xor", "--pace", "40", "--set", "stop.epochs=100000"]


def step_of(text: str) -> int:
    found = re.search(r"step ([\d,]+)", text)
    return int(found[1].replace(",", "")) if found else -1


def trainers(home: Path) -> list[str]:
    return [command for _, command in left_running(home) if "bptui.trainer" in command]


def stop(home: Path) -> None:
    environment = {**os.environ, "BPTUI_HOME": str(home)}
    subprocess.run([*BPTUI, "stop", "latest"], env=environment, check=True, capture_output=True)


def test_a_hang_up_leaves_training_and_no_face(tmp_path: Path) -> None:
    with Terminal(XOR, env={"BPTUI_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for("RUNNING")
        terminal.wait_for(lambda t: step_of(t.line(0)) > 3)
        terminal.hang_up()
        terminal.process.wait(10)  # the face has gone, by itself
    assert trainers(tmp_path)
    with Terminal([*BPTUI, "attach", "latest"], env={"BPTUI_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("RUNNING")
        here = step_of(terminal.line(0))
        terminal.wait_for(lambda t: step_of(t.line(0)) > here)
        stop(tmp_path)
        terminal.wait_for("STOPPED")
    assert not trainers(tmp_path)


def test_suspend_and_resume_give_the_shell_and_then_the_screen_back(tmp_path: Path) -> None:
    """In a shell with job control, as a user has one: a program without a shell around it cannot be suspended."""
    environment = {"BPTUI_HOME": str(tmp_path), "PS1": "shell> ", "HISTFILE": None}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], env=environment) as terminal:
        terminal.wait_for("shell> ")
        terminal.send(" ".join(XOR) + "\r")
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for(lambda t: step_of(t.line(0)) > 3)
        terminal.press("ctrl+z")
        terminal.wait_for("Stopped")
        assert "1 Model" not in terminal.text
        suspended_at = _reported_step(tmp_path)
        deadline = time.monotonic() + 20
        while _reported_step(tmp_path) < suspended_at + 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _reported_step(tmp_path) >= suspended_at + 20, "training goes on"
        terminal.send("fg\r")
        terminal.wait_for("1 Model")
        terminal.wait_for(lambda t: "RUNNING" in t.line(0) and step_of(t.line(0)) >= suspended_at + 20)
        terminal.wait_for("3 Gradients")
        terminal.press("q")
        terminal.wait_for("What shall become of it?")
        terminal.press("down", "enter")
        terminal.wait_for("again   bptui open")
        terminal.send("exit\r")
        terminal.wait_exit()
    assert not trainers(tmp_path)


def _reported_step(home: Path) -> int:
    listed = subprocess.run(
        [*BPTUI, "ls", "--json"],
        env={**os.environ, "BPTUI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(json.loads(listed.stdout)[0]["step"])


def test_a_storm_of_sizes_while_it_trains(tmp_path: Path) -> None:
    with Terminal([*XOR, "--pace", "0"], rows=24, columns=80, env={"BPTUI_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for("RUNNING")
        for round_ in range(6):
            for rows, columns in ((100, 300), (12, 40), (5, 9), (24, 80), (60, 63), (1, 1), (17, 200), (36, 120)):
                terminal.resize(rows, columns + round_)
        terminal.resize(36, 120)
        terminal.wait_for(lambda t: "1 Model" in t.line(1) and t.line(1).rstrip().endswith("╮"))
        terminal.wait_for(lambda t: t.line(35).rstrip().endswith("quit"))
        here = step_of(terminal.line(0))
        terminal.wait_for(lambda t: step_of(t.line(0)) > here)
        stop(tmp_path)
        terminal.wait_for("STOPPED")
        terminal.press("q")
        assert terminal.wait_exit() == 0


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [({"COLORTERM": "truecolor"}, r"38;2|48;2"), ({"COLORTERM": None, "TERM": "screen-256color"}, r"38;5|48;5"),
     ({"COLORTERM": None, "TERM": "xterm"}, ""), ({"NO_COLOR": "1"}, None)],
    ids=["16 million", "256", "16", "none"],
)  # fmt: skip
def test_each_depth_of_colour(tmp_path: Path, environment: dict[str, str | None], allowed: str | None) -> None:
    with Terminal([*XOR, "--theme", "dark"], env={"BPTUI_HOME": str(tmp_path), **environment}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for("RUNNING")
        terminal.wait_for("▸ dense1")
        terminal.press("?")
        terminal.wait_for("esc closes")
        written = terminal.transcript.decode(errors="replace")
        stop(tmp_path)
    found = set(re.findall(r"[34]8;[25]", written))
    if allowed is None:
        grey = re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", written)
        assert all(red == green == blue for red, green, blue in grey), "no colour, only shades of grey"
    elif allowed:
        assert found and all(re.fullmatch(allowed, each) for each in found)
    else:
        assert found == set()


def test_ascii_and_no_mouse_write_seven_bits_and_ask_for_no_mouse(tmp_path: Path) -> None:
    command = [*XOR, "--glyphs", "ascii", "--no-mouse"]
    with Terminal(command, rows=24, columns=80, env={"BPTUI_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("READY")
        terminal.press("space")
        terminal.wait_for("RUNNING")
        terminal.wait_for(lambda t: step_of(t.line(0)) > 3)
        terminal.press("space")
        terminal.wait_for("PAUSED")
        for presses in (["?"], ["f"], ["t"], ["e"], [":"]):
            terminal.press(*presses)
            terminal.wait_quiet(0.4)
            terminal.press("escape")
            terminal.wait_for("3 Gradients")
        terminal.press("i")
        terminal.wait_for("delta[0, 0] = ")
        written = bytes(terminal.transcript)
        stop(tmp_path)
    assert written.isascii(), {character for character in written.decode() if not character.isascii()}
    assert b"\x1b[?1000h" not in written and b"\x1b[?1003h" not in written


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
def test_a_story_inside_tmux(tmp_path: Path) -> None:
    socket = f"bptui-{os.getpid()}"
    tmux = ["tmux", "-L", socket, "-f", "/dev/null"]
    environment = {**os.environ, "BPTUI_HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    environment.pop("TMUX", None)

    def screen() -> str:
        return subprocess.run(
            [*tmux, "capture-pane", "-p", "-t", "0"], env=environment, capture_output=True, text=True, check=False
        ).stdout

    def wait(what: str) -> None:
        deadline = time.monotonic() + 30
        while what not in screen():
            assert time.monotonic() < deadline, f"{what!r} did not come:\n{screen()}"
            time.sleep(0.05)

    def press(*keys: str) -> None:
        subprocess.run([*tmux, "send-keys", "-t", "0", *keys], env=environment, check=True)

    command = " ".join(XOR)
    subprocess.run([*tmux, "new-session", "-d", "-x", "100", "-y", "30", command], env=environment, check=True)
    try:
        subprocess.run([*tmux, "set-option", "-s", "set-clipboard", "on"], env=environment, check=True)
        wait("READY")
        wait("1 Model")
        press("Space")
        wait("RUNNING")
        press("Space")
        wait("PAUSED")
        press("s")
        press("i")
        wait("delta[0, 0] = ")
        press("Down")
        wait("delta[1, 0] = ")
        press("Y")
        wait("copied ")
        copied = subprocess.run(
            [*tmux, "show-buffer"], env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert re.match(r"\d{8}-\d{6}-xor-\w+@\d+/dense1/delta\[1,0\] = -?\d", copied)
        press("Escape")
        wait("2 Loss")
        subprocess.run([*tmux, "resize-window", "-x", "80", "-y", "24"], env=environment, check=True)
        wait("4 Findings")
        press("q")
        wait("What shall become of it?")
        press("Down", "Down", "Enter")
        deadline = time.monotonic() + 20
        while trainers(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        subprocess.run([*tmux, "kill-server"], env=environment, capture_output=True, check=False)


@pytest.mark.skipif(shutil.which("screen") is None, reason="no GNU screen here")
def test_inside_gnu_screen(tmp_path: Path) -> None:
    rc = tmp_path / "screenrc"
    rc.write_text("term screen-256color\ndefutf8 on\nstartup_message off\n")
    sockets = tmp_path / "s"
    sockets.mkdir(mode=0o700)
    environment = {"BPTUI_HOME": str(tmp_path / "h"), "SCREENDIR": str(sockets), "STY": None}
    command: list[str | Path] = ["screen", "-U", "-c", rc, "-S", "bptui", *XOR]
    with Terminal(command, rows=30, columns=100, env=environment) as terminal:
        terminal.wait_for("READY", timeout=30)
        terminal.wait_for("1 Model")
        terminal.press("space")
        terminal.wait_for("RUNNING")
        terminal.wait_for("▸ dense1")
        terminal.press("q")
        terminal.wait_for("What shall become of it?")
        terminal.press("down", "enter")
        terminal.wait_exit()
    assert not trainers(tmp_path / "h")


def test_doctor_measures_the_glyphs_of_this_terminal(tmp_path: Path) -> None:
    with Terminal([*BPTUI, "doctor"], rows=60, columns=140, env={"BPTUI_HOME": str(tmp_path)}) as terminal:
        assert terminal.wait_exit(60) == 0
        assert re.search(r"glyph widths +\d+ glyphs measured, each one cell", terminal.text)


@pytest.mark.parametrize(("language", "wide", "frame"), [("ja_JP", True, "+ 1 Model"), ("ja_JP", False, "╭ 1 Model"),
                                                         ("de_DE", True, "╭ 1 Model")])  # fmt: skip
def test_ambiguous_widths_of_east_asia_are_measured(tmp_path: Path, language: str, wide: bool, frame: str) -> None:
    """Only there is it worth a question; and only where the answer is two cells do glyphs become ASCII."""
    environment = {"BPTUI_HOME": str(tmp_path), "LANG": f"{language}.UTF-8", "LC_ALL": None, "PYTHONUTF8": "1"}
    terminal = Terminal(XOR, env=environment)
    _draw_ambiguous(terminal, 2 if wide else 1)
    with terminal:
        terminal.wait_for("READY")
        terminal.wait_for(frame)
        terminal.press("q")
        assert terminal.wait_exit() == 0


def test_doctor_names_the_glyphs_that_are_too_wide(tmp_path: Path) -> None:
    terminal = Terminal([*BPTUI, "doctor"], rows=60, columns=160, env={"BPTUI_HOME": str(tmp_path)})
    _draw_ambiguous(terminal, 2)
    with terminal:
        terminal.wait_exit(60)
        assert re.search(r"glyph widths +not one cell: ‖ 2, ∇ 2, Δ 2", terminal.text)
        assert "--glyphs ascii" in terminal.text


def _draw_ambiguous(terminal: Terminal, cells: int) -> None:
    """Make the terminal say that it gave ambiguous characters so many cells."""
    feed = terminal.emulation.feed

    def answered(data: bytes) -> bytes:
        answer = feed(data)
        if (
            cells == 2
            and answer.endswith(b"R")
            and any(character in data.decode(errors="replace") for character in "‖∇Δδ")
        ):
            return re.sub(rb";2R$", b";3R", answer)
        return answer

    terminal.emulation.feed = answered  # type: ignore[method-assign]
