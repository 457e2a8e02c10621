"""The program's own objects are looked at once; those of a test, or of an embedding program, stay collectable."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from bptui.tui import garbage
garbage.settle()
first = gc.get_freeze_count(), gc.isenabled()
garbage.wait()
waiting = gc.isenabled()
garbage.settle()
print(first[0], first[1], waiting, gc.get_freeze_count() > 1000, gc.isenabled())
"""


def test_what_there_is_at_the_first_frame_is_never_looked_at_again() -> None:
    out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.split() == ["0", "True", "False", "True", "True"]
