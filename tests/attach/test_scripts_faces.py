"""Faces come, go, stop reading and are killed, and so is the hub: the script does what it does alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from observed import recorded, wait_for
from script_runs import LIMIT

from bptui.client.connect import connect
from bptui.protocol.messages import Status
from bptui.runs.info import alive, read_info
from bptui.runs.paths import runs_root

# Makes as many updates as a line on its standard input says, then says so.
SCRIPT = """
import hashlib, sys, torch

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for line in sys.stdin:
    for _ in range(int(line)):
        x = torch.randn(32, 6)
        loss = torch.nn.functional.cross_entropy(net(x), (x[:, 0] > 0).long())
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("done", flush=True)
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
"""
CYCLES = 50
LINES = [10, *[2] * CYCLES, 3000, 20, 20]


class Stepped:
    """The script under ``bptui run --headless``, told line by line how far to go."""

    def __init__(self, script: Path) -> None:
        before = set(runs_root().glob("*"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bptui", "run", "--headless", str(script)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True,
        )  # fmt: skip
        self.said: list[str] = []
        self.go(LINES[0])
        (self.run,) = set(runs_root().glob("*")) - before

    def go(self, updates: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{updates}\n")
        self.said.append(self.process.stdout.readline())

    def end(self) -> tuple[int, str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        rest = self.process.stdout.read()
        return self.process.wait(LIMIT), "".join(self.said) + rest

    def close(self) -> None:
        """Whatever has come of it, nothing is left."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Stepped]:
    script = tmp_path / "stepped.py"
    script.write_text(SCRIPT)
    with contextlib.closing(Stepped(script)) as one:
        yield one


async def look(run: Path) -> Status:
    """Attach, see the state of the script, and detach."""
    session = connect(run, role="observer")
    await session.start()
    try:
        async with asyncio.timeout(LIMIT):
            async for frame in session.frames():
                if isinstance(frame.message, Status):
                    return frame.message
    finally:
        await session.close()
    raise AssertionError("the stream ended without a state")


async def test_a_script_outlives_whatever_its_faces_and_its_hub_do(stepped: Stepped, tmp_path: Path) -> None:
    run = stepped.run
    await look(run)
    script = psutil.Process(read_info(run).trainer_pid)
    files = script.num_fds()
    for updates in LINES[1 : CYCLES + 1]:
        stepped.go(updates)
        assert (await look(run)).state == "RUNNING"
    assert script.num_fds() == files  # no face has left anything behind in the script

    stalled = connect(run, role="observer")  # attached, and never reads
    await stalled.start()
    stepped.go(LINES[CYCLES + 1])
    await look(run)

    hub = read_info(run)
    os.kill(hub.hub_pid, signal.SIGKILL)
    wait_for(lambda: not alive(hub.hub_pid, hub.hub_start), "the hub was killed and lives")
    stepped.go(LINES[CYCLES + 2])  # alone
    assert (await look(run)).state == "RUNNING"  # and a face brings a hub again
    assert read_info(run).hub_pid != hub.hub_pid
    stepped.go(LINES[CYCLES + 3])
    await stalled.close()

    status, output = stepped.end()
    seen = recorded(run)
    assert seen["steps"] == sum(LINES) and seen["exit"]["reason"] == "completed"
    assert len(seen["losses"]) == sum(LINES) and all(loss is not None for loss in seen["losses"])
    bare = subprocess.run(
        [sys.executable, tmp_path / "stepped.py"], input="".join(f"{line}\n" for line in LINES),
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert (status, output) == (bare.returncode, bare.stdout)
