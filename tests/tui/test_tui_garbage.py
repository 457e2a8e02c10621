"""The program's own objects are looked at once; those of a test, or of an embedding program, stay collectable."""

from __future__ import annotations

import subprocess
import sys

from fake_session import FakeSession, experiment, status, story
from screen_text import lines, shown

from bptui.tui.notices import Attention

CODE = """
import gc
from bptui.tui import garbage
garbage.settle()
first = gc.get_freeze_count(), gc.isenabled()
garbage.wait()
waiting = gc.isenabled()
garbage.settle()
automatic = gc.get_threshold()[0] > 5000
class Ring:
    def __init__(self):
        self.me = self
for _ in range(3000):
    Ring()
garbage.rest()
left = sum(isinstance(each, Ring) for each in gc.get_objects())
print(automatic, left < 3000, end=" ")
print(first[0], first[1], waiting, gc.get_freeze_count() > 1000, gc.isenabled())
"""


def test_what_there_is_at_the_first_frame_is_never_looked_at_again() -> None:
    out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.split() == ["True", "True", "0", "True", "False", "True", "True"]


async def test_a_chart_waits_for_the_answer_to_a_key_once_and_no_longer() -> None:
    spec = experiment()
    session = FakeSession(story(spec))
    async with shown(session, spec) as (app, pilot):
        session.put(status("RUNNING", 700))
        while app.store.snapshot.step != 700:
            await pilot.pause(0.01)
        app.paint()
        session.put(status("RUNNING", 800))
        while app.store.snapshot.step != 800:
            await pilot.pause(0.01)
        app.terminal.attention = Attention(lambda: 50.0)  # a key has just been pressed, and time stands still
        app._dirty, app._held_back = True, False
        app._tick()
        assert app._dirty
        app._tick()
        await pilot.pause()
        assert not app._dirty and "step 800" in lines(app)[0]
