"""A face and a script: pausing before an update, δ of it, live settings, snapshots, freezing, reviving, holding."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bptui.client.connect import connect
from bptui.client.session import RequestRefused, Session
from bptui.protocol.messages import (
    Arm,
    Armed,
    Check,
    Checked,
    GoTo,
    Inspect,
    Inspection,
    Keep,
    Pause,
    Ranked,
    RankedRows,
    Run,
    Set,
    Shadow,
    Shadowed,
    Sheet,
    Staged,
    Stages,
    Status,
    Step,
    Stop,
    Tried,
    Try,
    Wanted,
)
from bptui.runs.events import read_events

SCRIPT = """
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(3)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
x, y = torch.randn(40, 6), torch.randint(0, 3, (40,))
for step in range({steps}):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    {rest}
"""


def truth(step: int, again: bool = False) -> dict[str, Any]:
    """Plain torch: loss, δ and gradient of state ``step`` of the script; ``again``: the same batch after its update."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(40, 6), torch.randint(0, 3, (40,))
    for _ in range(step + 1):
        random = torch.get_rng_state()
        optimizer.zero_grad()
        z = model[0](x)
        z.retain_grad()
        loss = nn.functional.cross_entropy(model[3](model[2](model[1](z))), y)
        loss.backward()
        found = {
            "loss": loss.item(), "delta": z.grad, "grad_W": model[0].weight.grad.T.clone(),
            "W": model[0].weight.detach().T.clone(),
            "x": x, "y": y,
        }  # fmt: skip
        optimizer.step()
    if again:
        torch.set_rng_state(random)
        found["loss"] = nn.functional.cross_entropy(model(x), y).item()
    return found


class Face:
    """One face: what it asks, and the last status it was told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.status: Status | None = None
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for frame in self.session.frames():
            if isinstance(frame.message, Status):
                self.status = frame.message

    async def until(self, holds: Callable[[Status], bool]) -> Status:
        end = time.monotonic() + 90
        while self.status is None or not holds(self.status):
            assert time.monotonic() < end, self.status
            await asyncio.sleep(0.01)
        return self.status

    async def inspect(self, layer: int, *kinds: str) -> dict[str, Any]:
        frame = await self.session.request(Inspect(layer=layer, kinds=kinds))
        message = frame.message
        assert isinstance(message, Inspection)
        return {
            "step": message.step, "loss": message.loss, "note": message.note,
            **{kind: np.array(frame.array(ref)) for kind, ref in message.arrays.items()},
        }  # fmt: skip

    async def close(self) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._reading
        await self.session.close()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.asynccontextmanager
async def scripted(
    tmp_path: Path, *options: str, steps: int = 10**9, rest: str = "pass", background: bool = False
) -> AsyncIterator[tuple[Face, subprocess.Popen[bytes], Path]]:
    """A script under ``bptui run --headless``, and a face with control of it.

    ``background``: with Ctrl-C ignored, as a shell's script starts what ends with ``&``.
    """
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(steps=steps, rest=rest))
    environment = os.environ | {"BPTUI_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1", "BPTUI_LINGER": "0"}
    child = subprocess.Popen(
        [sys.executable, "-m", "bptui", "run", "--headless", *options, str(script)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=_ignore_interrupts if background else None,
    )  # fmt: skip
    try:
        end = time.monotonic() + 90
        while not (found := list((tmp_path / "home" / "runs").glob("*/hub.log"))):
            assert time.monotonic() < end and child.poll() is None
            await asyncio.sleep(0.02)
        directory = found[0].parent
        session = connect(directory, role="controller")
        await session.start()
        face = Face(session)
        try:
            yield face, child, directory
        finally:
            await face.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


async def test_a_breakpoint_stands_before_the_update_and_shows_delta_of_that_very_step(tmp_path: Path) -> None:
    async with scripted(tmp_path, "--break", "step >= 3") as (face, _, _):
        status = await face.until(lambda status: status.state == "PAUSED")
        assert "step >= 3" in status.text
        assert status.step == 3
        seen, known = await face.inspect(0, "delta", "grad_W", "W"), truth(3)
        assert (seen["step"], seen["loss"]) == (3, pytest.approx(known["loss"], abs=0))
        assert "done again" in seen["note"]
        for kind in ("delta", "grad_W", "W"):
            assert np.array_equal(seen[kind], known[kind].numpy()), kind
        shadow = (await face.session.request(Shadow())).message
        assert isinstance(shadow, Shadowed)
        assert (shadow.step, shadow.dtype) == (3, "f32")
        assert all(error is not None and 0 < error < 1e-5 for error in shadow.errors[:-1]), shadow.errors
        assert shadow.errors[-1] == 0.0  # what the loss gave it is taken as it was
        assert shadow.exact_loss == pytest.approx(known["loss"], rel=1e-5)


async def test_pause_step_settings_snapshot_and_roll_back(tmp_path: Path) -> None:
    async with scripted(tmp_path) as (face, child, directory):
        await face.until(lambda status: status.state == "RUNNING" and status.step > 2)
        await face.session.request(Pause())
        first = await face.until(lambda status: status.state == "PAUSED")
        seen, known = await face.inspect(0, "delta", "W", "a"), truth(first.step)
        assert seen["step"] == first.step
        assert np.array_equal(seen["delta"], known["delta"].numpy())
        shadow = (await face.session.request(Shadow())).message
        assert isinstance(shadow, Shadowed)
        assert all(error is not None and 0 < error < 1e-5 for error in shadow.errors[:-1]), shadow.errors
        assert shadow.errors[-1] == 0.0  # what the loss gave it is taken as it was
        staged = (await face.session.request(Stages())).message
        assert isinstance(staged, Staged)
        sheet = await face.session.request(Sheet(layer=0, kind="update_W", rows=6, columns=8))
        ranked = await face.session.request(Ranked(layer=0, unit=1))
        assert isinstance(ranked.message, RankedRows) and ranked.message.samples == 40
        given = np.abs(known["delta"][:, 1].numpy()) * np.linalg.norm(known["x"].numpy(), axis=1)
        order = ranked.array(ranked.message.arrays["rows"])
        assert np.allclose(ranked.array(ranked.message.arrays["given"]), given[order], rtol=1e-5)
        assert np.array_equal(ranked.array(ranked.message.arrays["y"]), known["y"].numpy()[order])
        refused = (await face.session.request(Ranked(layer=1, unit=1))).message
        assert isinstance(refused, RankedRows) and "linear layers and 2-D convolutions" in refused.note
        plain = (await face.session.request(Try())).message
        assert isinstance(plain, Tried)
        assert (plain.step, plain.loss) == (first.step, known["loss"])
        assert plain.after == pytest.approx(truth(first.step, again=True)["loss"], abs=0)
        other = (await face.session.request(Try(wanted=(Wanted("lr", "*2"), Wanted("1.activation", "tanh"))))).message
        assert isinstance(other, Tried)
        assert (other.made[0], other.units) == ("lr 0.1 → 0.2", 8)
        assert other.loss != plain.loss
        with pytest.raises(RequestRefused, match="expected one of"):
            await face.session.request(Try(wanted=(Wanted("activation", "cubic"),)))
        with pytest.raises(RequestRefused, match="cannot rewind"):
            await face.session.request(GoTo(step=first.step))
        await face.session.request(Keep())

        await face.session.request(Step())
        second = await face.until(lambda status: status.state == "PAUSED" and status.step == first.step + 1)
        after, known = await face.inspect(0, "delta", "W"), truth(second.step)
        assert np.array_equal(after["W"], known["W"].numpy())
        moved = np.array(sheet.array(sheet.message.arrays["values"]))
        assert np.allclose(moved, after["W"] - seen["W"], rtol=0, atol=0), "the Δ that was foretold is the one made"
        assert staged.names == ("raw", "clipped", "applied")
        assert staged.rows[0][2] == pytest.approx(float(np.linalg.norm(moved)), rel=1e-6)
        assert staged.rows[0][0] == staged.rows[0][1]
        assert np.array_equal(after["delta"], known["delta"].numpy())

        await face.session.request(GoTo(step=first.step))
        await face.session.request(Set(key="lr", value=0.0))
        await face.session.request(Set(key="momentum", value=0.0))
        await face.session.request(Step())
        third = await face.until(lambda status: status.state == "PAUSED" and status.step == second.step + 1)
        rolled = await face.inspect(0, "W")
        assert np.array_equal(rolled["W"], seen["W"]), "with no rate the weights are those of the snapshot"
        with pytest.raises(RequestRefused, match="this optimiser has"):
            await face.session.request(Set(key="warp", value=1.0))
        await face.session.request(Set(key="freeze.0", value=1.0))
        await face.session.request(Set(key="lr", value=0.5))
        for _ in range(2):
            third_step = face.status.step if face.status else 0
            await face.session.request(Step())
            await face.until(lambda status, after=third_step: status.state == "PAUSED" and status.step == after + 1)
        frozen, moved = await face.inspect(0, "W"), await face.inspect(3, "W")
        assert np.array_equal(frozen["W"], seen["W"])
        assert not np.array_equal(moved["W"], (await face.inspect(3, "W"))["W"] * 0)
        await face.session.request(Run())
        await face.until(lambda status: status.state == "RUNNING" and status.step > third.step + 5)
        await face.session.request(Stop())
        await asyncio.to_thread(child.wait, 60)
        changes = [event.change for event in read_events(directory)]
        assert changes == ["snapshot", "roll back", "lr", "momentum", "freeze.0", "lr", "stop"]
        told = [json.loads(line)["change"] for line in (directory / "events.jsonl").read_text().splitlines()]
        kept = [change for change in told if change not in ("pause", "step", "run")]
        assert kept == changes, "an intervention has one line"


async def test_breakpoints_are_armed_and_checked_while_the_script_runs(tmp_path: Path) -> None:
    async with scripted(tmp_path, background=True) as (face, child, directory):

        async def check(*texts: str) -> Checked:
            reply = (await face.session.request(Check(texts=texts))).message
            assert isinstance(reply, Checked)
            return reply

        status = await face.until(lambda status: status.state == "RUNNING" and status.step > 20)
        seen = await check("loss < 100", 'grad_norm("0") > 0', "val_loss < 1", 'grad_norm("nope") > 1', "loss <")
        assert [row.holds for row in seen.rows] == [True, True, None, None, None]
        assert "is not known of a script" in seen.rows[2].error
        assert "no layer 'nope'" in seen.rows[3].error and seen.rows[4].error
        with pytest.raises(RequestRefused, match="no layer"):
            await face.session.request(Arm(conditions=(Armed('dead("nope") > 0'),)))
        off = Armed("step >= 0", enabled=False)
        await face.session.request(Arm(conditions=(off, Armed("delta(loss, 1) < 0 and step >= 30"))))
        status = await face.until(lambda status: status.state == "PAUSED")
        known, before = truth(status.step), truth(status.step - 1)
        assert known["loss"] < before["loss"]
        assert "delta(loss, 1) = " in status.text
        seen = await check("loss > 0")
        assert (seen.step, seen.armed[0], seen.rows[0].parts[0].value) == (status.step, off, known["loss"])
        assert [row.holds for row in seen.armed_rows] == [True, True]
        assert isinstance((await face.session.request(Try())).message, Tried)  # the hit step can be done again

        await face.session.request(Arm(conditions=(Armed('grad_norm("0") > 0'),)))
        await face.session.request(Run())
        after = await face.until(lambda now: now.state == "PAUSED" and now.step > status.step)
        assert after.step == status.step + 1, "a condition on a layer is looked at in each update"
        await face.session.request(Arm(conditions=()))
        await face.session.request(Run())
        await face.until(lambda status: status.state == "RUNNING" and status.step > after.step + 100)
        await face.session.request(Stop())
        await asyncio.to_thread(child.wait, 60)
        told = [json.loads(line)["change"] for line in (directory / "events.jsonl").read_text().splitlines()]
        assert told.count("break") == 2 and told.count("arm") >= 3


async def test_an_exception_is_held_until_someone_has_looked(tmp_path: Path) -> None:
    rest = "if step == 4: raise RuntimeError('five')"
    async with scripted(tmp_path, "--hold-on-error", rest=rest) as (face, child, directory):
        status = await face.until(lambda status: status.state == "HELD")
        assert "five" in status.text
        assert child.poll() is None
        await face.session.request(Run())
        assert await asyncio.to_thread(child.wait, 60) == 1
        assert child.stderr is not None
        said = child.stderr.read().decode()
        assert said.count("Traceback") == 1
        assert "bptui/attach" not in said
    del directory
