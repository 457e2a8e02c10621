"""What a face must wait for before its first frame, and what the hub must never load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("module", "forbidden"), [
    ("bptui.client.launch", ("numpy", "asyncio", "torch", "textual")),
    ("bptui.client.discover", ("numpy", "asyncio", "torch", "textual")),
    ("bptui.client.session", ("numpy", "asyncio", "torch", "textual")),
    ("bptui.client.connect", ("numpy", "torch", "textual")),
    ("bptui.hub.__main__", ("numpy", "asyncio", "torch", "textual")),
    ("bptui.hub.server", ("torch", "textual", "safetensors")),
    ("bptui.runs.ring", ("numpy", "asyncio")),
    ("bptui.runs.info", ("numpy", "asyncio")),
    ("bptui.protocol.framing", ("numpy", "asyncio")),
])  # fmt: skip
def test_loads_little(module, forbidden):
    program = f"import sys, {module}; print(*[name for name in {forbidden!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"
