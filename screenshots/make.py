"""Takes the pictures of the running program: ``make screenshots``, or ``python screenshots/make.py [NAME …]``.

Each scene runs ``bptui`` in a pseudo-terminal with a home of its own; what is on the screen at the end
is written to ``screenshots/NAME.svg`` and ``screenshots/NAME.png``.
"""

from __future__ import annotations

import difflib
import shlex
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "terminal"))

from left_running import end_left_running
from pseudo_terminal import ScreenTimeout, Terminal

from screenshots.grid import Grid
from screenshots.png import png
from screenshots.scenes import SCENES, Scene
from screenshots.svg import svg

HERE = Path(__file__).resolve().parent


def take(scene: Scene) -> None:
    """Plays one scene and writes its two files. Raises ScreenTimeout with the screen that came instead."""
    with tempfile.TemporaryDirectory(prefix="bpt-") as home:
        env = {"BPTUI_HOME": f"{home}/home", "XDG_RUNTIME_DIR": home}
        command = [sys.executable, "-m", "bptui", *scene.command]
        try:
            with Terminal(command, rows=scene.rows, columns=scene.columns, env=env) as terminal:
                for step in scene.steps:
                    step(terminal)
                grid = Grid(terminal.cells, shlex.join(["bptui", *scene.command]))
        finally:
            end_left_running(home)
    (HERE / f"{scene.name}.svg").write_text(svg(grid), encoding="utf-8")
    (HERE / f"{scene.name}.png").write_bytes(png(grid))


def main(names: list[str]) -> int:
    known = {scene.name: scene for scene in SCENES}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            print(f"screenshots: no scene {name!r} (nearest: {near!r})", file=sys.stderr)
            return 2
    failed = 0
    for scene in [known[name] for name in names] or SCENES:
        try:
            take(scene)
        except ScreenTimeout as error:
            print(f"screenshots: {scene.name}: {error}", file=sys.stderr)
            failed = 1
        else:
            print(f"screenshots/{scene.name}.svg, .png  {scene.columns}×{scene.rows}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
