"""The pictures: which program at which size, and what its user does before the picture is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pseudo_terminal import Terminal

Step = Callable[[Terminal], object]


def press(*keys: str) -> Step:
    return lambda terminal: terminal.press(*keys)


def see(what: str | re.Pattern[str], timeout: float = 60.0) -> Step:
    return lambda terminal: terminal.wait_for(what, timeout)


def state(word: str) -> Step:
    """The word that stands first on the screen."""
    return lambda terminal: terminal.wait_for(lambda t: word in t.line(0)[:12], 60.0)


def reach(step: int) -> Step:
    """Waits until the header says this step or a later one."""

    def reached(terminal: Terminal) -> bool:
        found = re.search(r"step ([\d,]+)", terminal.line(0))
        return found is not None and int(found[1].replace(",", "")) >= step

    return lambda terminal: terminal.wait_for(reached, 120.0)


def quiet(terminal: Terminal) -> None:
    terminal.wait_quiet(0.6)


def quiet_while_running(terminal: Terminal) -> None:
    """Paused, so that the picture stands still."""
    terminal.wait_for("▲", 60.0)
    terminal.press("space")
    terminal.wait_for(lambda t: "PAUSED" in t.line(0), 60.0)
    terminal.wait_quiet(0.6)


@dataclass(frozen=True, slots=True)
class Scene:
    """``name`` is that of the files; ``command`` what a user would type after ``bptui``."""

    name: str
    command: tuple[str, ...]
    steps: tuple[Step, ...]
    columns: int = 120
    rows: int = 36


def gone(text: str) -> Step:
    return lambda terminal: terminal.wait_for(lambda t: t.find(text) is None, 60.0)


RUN: tuple[Step, ...] = (state("READY"), press("space"), reach(60))
LATER: tuple[Step, ...] = (press("+"), see("pace: 100"), reach(400), gone("pace: 100"))
"""Somewhat faster; and by then what was said about it has left the key bar."""

DEAD: tuple[Step, ...] = (state("READY"), press("space"), state("DONE"), press("d"), see("units let no δ through"))

SCENES = (
    Scene("ready", (), (state("READY"), quiet)),
    Scene("running", (), RUN + LATER),
    Scene("paused", (), (*RUN, *LATER, press("space"), state("PAUSED"), quiet)),
    Scene("inspector", (), (*RUN, press("space"), state("PAUSED"), press("i"), see("how the loss changes"), quiet)),
    Scene("ledger", ("vanishing",), (state("READY"), press("i"), see("in all, most in"), quiet)),
    Scene("matrix", (), (
        *RUN, press("space"), state("PAUSED"), press("i"), see("×"), press("2", "\t", "\t"), see("W[0, 0]"),
        press("<", "<", "o", "/"), see("Mark cells"), press(*"abs > 0.4", "enter"), see("abs > 0.4: "),
        gone("cells meet it"), quiet,
    )),
    Scene("rows", (), (
        *RUN, press("space"), state("PAUSED"), press("i"), see("×"), press("3"), see("rank"), press("enter"),
        see("gives"), quiet,
    )),
    Scene("stages", ("exploding", "--set", "optimizer.clip_norm=1"), (
        state("READY"), press("i"), see("of each layer"), press("4"), see("all layers"), quiet,
    )),
    Scene("breakpoints", (
        "digits", "--pace", "50", "--break", "loss > 3", "--break", "dead(\"dense1\") > 0.1 and step > 10",
    ), (
        *RUN, press("space"), state("PAUSED"), press("b"), see("loss > 3"), press("a", *"delta(loss, 20) > 0.5 or gra"),
        see("grad_norm"), quiet,
    )),
    Scene("findings", ("dead-relu",), (state("READY"), press("space"), state("DONE"), quiet)),
    Scene("builder", (), (state("READY"), press("e"), see("BUILD"), press("4", "0"), see("64→40"), quiet)),
    Scene("diagram", (), (
        *RUN, press("space"), state("PAUSED"), press("1"), quiet, press("m"), see("w>0"), press("z"),
        press(*"nnnnnnn"), see("backward dense2"), quiet,
    )),
    Scene("settings", (), (*RUN, press("l"), see("Live settings"), press(*"0.2", "enter"), see("takes it back"))),
    Scene("boundary", ("spiral", "--pace", "100"), (
        state("READY"), press("space"), reach(600), press("v"), press("7"), see("boundary"), quiet_while_running,
    )),
    Scene("lens", ("dead-relu",), (*DEAD, quiet)),
    Scene("certificate", ("dead-relu",), (*DEAD, press("enter"), see("Δ max z"), quiet)),
    Scene("whatif", ("dead-relu",), (
        *DEAD, press("enter"), see("Δ max z"), press("w"), see("PAUSED   step 0 "), press("x"), see("from step 0"),
        press("A"), see(re.compile(r"init=orthogonal +done"), 240.0), see("bit for bit"), gone("first units"), quiet,
    )),
    Scene("adopted", ("dead-relu",), (
        *DEAD, press("enter"), see("Δ max z"), press("w"), see("PAUSED   step 0 "), press("x"), see("from step 0"),
        press("enter"), see(re.compile(r"lr=/10 +done")), press("enter"), see("the old future is kept"),
        press("space"), state("DONE"), press("escape"), see(re.compile(r"val 9\d")), gone("the old future"), quiet,
    )),
    Scene("script", ("run", "screenshots/train.py"), (
        state("RUNNING"), reach(400), press("space"), state("PAUSED"), quiet)),
    Scene("small", (), RUN + LATER, 80, 24),
    Scene("large", (), RUN + LATER, 200, 60),
)
