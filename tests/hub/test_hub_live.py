"""A run from launch to its end, through real processes and sockets."""

from __future__ import annotations

import json

import pytest

from bptui.client.session import RequestRefused
from bptui.protocol.messages import Inspect, Layers, ModelInfo, Pause, Run, Set, Step, Stop
from bptui.runs.info import alive, read_info
from bptui.runs.report import report
from tests.hub.live import until


async def test_a_run_from_ready_to_stopped(start, watch):
    run = start(interactive=True, rate=500)
    face = await watch(run)
    await face.until(lambda: face.state == "READY" and "ModelInfo" in face.latest)
    model = face.latest["ModelInfo"].message
    assert isinstance(model, ModelInfo) and model.engine == "fake" and [row.name for row in model.layers] == [
        "dense1", "dense2",
    ]  # fmt: skip
    assert json.loads(model.spec)["experiment"]["seed"] == 3
    await face.session.request(Run())
    await face.until(lambda: face.status.step > 100 and face.status.steps_per_second > 10)
    await face.session.request(Pause())
    await face.until(lambda: face.state == "PAUSED")
    step = face.status.step
    await face.session.request(Step(count=3))
    await face.until(lambda: face.status.step == step + 3 and len(face.history.losses) == step + 3)
    frame = await face.session.request(Inspect(layer=1, kinds=("a",)))
    assert frame.array(frame.message.arrays["a"]).tolist() == [[0, 1, 2], [3, 4, 5]]
    await face.session.request(Set(key="lr", value=0.01))
    layers = face.latest["Layers"]
    assert isinstance(layers.message, Layers) and layers.array(layers.message.table).shape == (2, 10)
    await face.session.request(Stop())
    await face.until(lambda: face.state == "STOPPED" and face.status.code == 0)
    with pytest.raises(RequestRefused) as refused:
        await face.session.request(Run())
    assert refused.value.code == "ended"
    await face.close()
    info = read_info(run)
    until(lambda: not alive(info.hub_pid, info.hub_start))
    content = report(run)
    assert content["steps"] == step + 3 == len(content["losses"])
    assert content["losses"][:2] == [2.0, 1.0]
    assert content["exit"] == {"reason": "stopped", "code": 0, "error": None}
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert sorted(event["change"] for event in events) == ["lr", "pause", "run", "step", "stop"]
    (changed,) = [event for event in events if event["change"] == "lr"]
    assert changed["source"] == "trainer"
    assert (changed["before"], changed["after"], changed["step"]) == (0.1, 0.01, step + 3)
