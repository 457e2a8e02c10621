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


@dataclass(frozen=True, slots=True)
class Scene:
    """``name`` is that of the files; ``command`` what a user would type after ``bptui``."""

    name: str
    command: tuple[str, ...]
    steps: tuple[Step, ...]
    columns: int = 120
    rows: int = 36


FASTER = press("+", "+")
"""From the 50 steps/s of a fresh start to as fast as it goes."""

SCENES = (
    Scene("ready", (), (state("READY"), quiet)),
    Scene("running", (), (state("READY"), press("space"), reach(60), FASTER, reach(400))),
    Scene("paused", (), (state("READY"), press("space", "+", "+"), reach(200), press("space"), state("PAUSED"), quiet)),
    Scene(
        "inspector",
        (),
        (state("READY"), press("space"), reach(40), press("space"), state("PAUSED"), press("i"), see("δ"), quiet),
    ),
    Scene("small", (), (state("READY"), press("space"), reach(60), FASTER, reach(400)), 80, 24),
    Scene("large", (), (state("READY"), press("space"), reach(60), FASTER, reach(400)), 200, 60),
)
