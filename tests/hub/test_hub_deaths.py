"""Whoever is killed, what was trained is on record and everyone else goes on."""

from __future__ import annotations

import json
import os
import signal

import numpy as np

from bptui.client.connect import LiveSession, RunHasEnded, open_session
from bptui.client.discover import list_runs
from bptui.client.file import FileSession
from bptui.protocol.messages import ModelInfo, Pause, Run, Stop
from bptui.runs.info import alive, read_info
from bptui.runs.load import load
from bptui.runs.report import report
from bptui.runs.ring import read_header
from tests.hub.fake_trainer import loss_of
from tests.hub.live import Watched, until


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid, 0))


def whole(losses: list[float]) -> bool:
    """Every loss from step 0 on, none missing and none twice."""
    return bool(np.array_equal(losses, [loss_of(step) for step in range(len(losses))]))


async def test_trainer_killed_the_run_opens_up_to_its_last_step(start, watch):
    run = start(rate=2000, tables=40)
    face = await watch(run)
    await face.until(lambda: face.status is not None and face.status.step > 300)
    kill(read_info(run).trainer_pid)
    await face.until(lambda: face.state == "STALE" and face.status.code == 1)
    assert "SIGKILL" in face.status.text
    step = read_header(run / "ring").step
    await face.until(lambda: len(face.history.losses) == step)
    content = report(run)
    assert content["exit"]["reason"] == "crashed" and content["exit"]["code"] == 1
    assert len(content["losses"]) == step and whole(content["losses"])
    assert list_runs()[0].state == "STALE"


async def test_hub_killed_training_goes_on_and_another_hub_adopts_it(start, watch):
    run = start(rate=3000, tables=40)
    face = await watch(run)
    await face.until(lambda: face.status is not None and face.status.step > 300)
    before = read_info(run)
    kill(before.hub_pid)
    await face.until(lambda: face.ended.startswith("lost"))
    assert alive(before.trainer_pid, before.trainer_start)
    offset = face.session.offset
    again = await watch(run, offset=offset)
    again.history = face.history  # a face goes on where it was
    await again.until(lambda: again.status is not None and again.status.step > 2000 and again.state == "RUNNING")
    after = read_info(run)
    assert after.hub_pid != before.hub_pid and after.trainer_pid == before.trainer_pid
    assert "ModelInfo" in again.latest
    await again.session.request(Stop())
    await again.until(lambda: again.state == "STOPPED")
    await again.until(lambda: len(again.history.losses) == again.status.step)
    assert again.history.losses.bad == 0
    losses = report(run)["losses"]
    assert len(losses) == again.status.step and whole(losses)


async def test_a_paused_run_is_adopted_with_all_that_was_known(start, watch):
    run = start(rate=2000, tables=40, dead=9)
    face = await watch(run)
    await face.until(lambda: face.status is not None and face.status.step > 300)
    await face.session.request(Pause())
    await face.until(lambda: face.state == "PAUSED" and "Findings" in face.latest)
    kill(read_info(run).hub_pid)
    await face.until(lambda: face.ended)
    again = await watch(run)
    await again.until(lambda: {"ModelInfo", "Status", "Layers", "Histograms", "Findings"} <= set(again.latest))
    before, after = face.status, again.status
    assert (after.state, after.step, after.epoch, after.lr) == ("PAUSED", before.step, before.epoch, 0.1)
    for topic in ("Layers", "Findings"):
        assert again.latest[topic].message == face.latest[topic].message
        assert again.latest[topic].body == face.latest[topic].body
    assert again.latest["Findings"].message.findings[0].layer == "dense1"
    await again.session.request(Run())
    await again.until(lambda: again.state == "RUNNING" and len(again.history.losses) > before.step)


async def test_a_ring_that_wraps_while_no_hub_lives_loses_nothing(start, watch):
    run = start(rate=0, tables=1 << 40, steps=1_200_000)  # 38 MB of records: more than twice the ring
    face = await watch(run)
    await face.until(lambda: face.status is not None and face.status.step > 1000)
    kill(read_info(run).hub_pid)
    until(lambda: (run / "ring.spill").exists(), seconds=60)
    again = await watch(run, offset=0)
    await again.until(lambda: again.status is not None and again.status.code == 0)
    await again.until(lambda: len(again.history.losses) == 1_200_000)
    losses = load(run).history().losses
    assert len(losses) == 1_200_000 and losses.bad == 0
    expected = (2.0 / (1 + np.arange(1_200_000))).astype(np.float32)
    assert np.array_equal(losses.values(0, 1_200_000), expected)


async def test_everything_killed_the_files_tell_the_rest(start, watch):
    run = start(rate=3000, tables=40, print="hello \x1b[31mred\x1b[0m \x07bell")
    face = await watch(run)
    await face.until(lambda: face.status is not None and face.status.step > 300)
    info = read_info(run)
    kill(info.hub_pid)
    step = read_header(run / "ring").step
    until(lambda: read_header(run / "ring").step > step + 500)
    kill(info.trainer_pid)
    step = read_header(run / "ring").step
    session = await open_session(run)
    assert isinstance(session, FileSession)
    opened = Watched(session)
    await opened.until(lambda: "Output" in opened.latest)
    assert len(opened.history.losses) == step and opened.status.step == step
    assert opened.state == "STALE" and "Layers" in opened.latest and "Histograms" in opened.latest
    assert isinstance(opened.latest["ModelInfo"].message, ModelInfo)
    assert opened.latest["Output"].message.lines == ("hello red \\x07bell",)
    await opened.close()
    content = report(run)
    assert len(content["losses"]) == step and whole(content["losses"])
    assert content["exit"]["reason"] == "crashed"


async def test_face_lost_training_goes_on_and_attach_shows_the_whole_history(start, watch):
    run = start(interactive=True, rate=2000)
    face = await watch(run)
    await face.session.request(Run())
    await face.until(lambda: face.status.step > 200)
    await face.close(leave=False)
    step = read_header(run / "ring").step
    until(lambda: read_header(run / "ring").step > step + 400)
    again = await watch(run)
    await again.until(lambda: len(again.history.losses) > step + 400 and again.state == "RUNNING")
    assert np.array_equal(again.history.losses.values(0, 3), np.float32([2.0, 1.0, 2 / 3]))


async def test_owner_lost_stops_the_trainer_and_leaving_does_not(start, watch):
    run = start(rate=500)
    face = await watch(run, owner=True)
    await face.until(lambda: face.status is not None and face.status.step > 50)
    await face.close(leave=True)
    step = read_header(run / "ring").step
    until(lambda: read_header(run / "ring").step > step + 100)
    owner = await watch(run, owner=True)
    await owner.until(lambda: owner.state == "RUNNING")
    await owner.close(leave=False)
    info = read_info(run)
    until(lambda: not alive(info.trainer_pid, info.trainer_start))
    until(lambda: not alive(info.hub_pid, info.hub_start))
    assert read_info(run).end["reason"] == "stopped"


async def test_owner_lost_ends_even_a_trainer_that_does_not_listen(start, watch):
    run = start(rate=500, deaf=True)
    owner = await watch(run, owner=True)
    await owner.until(lambda: owner.state == "RUNNING")
    await owner.close(leave=False)
    info = read_info(run)
    until(lambda: not alive(info.trainer_pid, info.trainer_start))
    until(lambda: read_info(run).end is not None)
    assert read_info(run).end["reason"] == "stopped"


async def test_a_trainer_that_never_made_a_step_ends_with_its_last_face(start, watch):
    run = start(interactive=True)
    face = await watch(run)
    await face.until(lambda: face.state == "READY")
    await face.close()
    info = read_info(run)
    until(lambda: not alive(info.trainer_pid, info.trainer_start) and not alive(info.hub_pid, info.hub_start))
    assert not os.path.exists(info.address) and not os.path.exists(info.trainer_address)


async def test_done_with_no_face_ends_after_a_while(start, watch):
    run = start(interactive=True, steps=50)
    face = await watch(run)
    await face.session.request(Run())
    await face.until(lambda: face.state == "DONE")
    await face.close()
    info = read_info(run)
    until(lambda: not alive(info.trainer_pid, info.trainer_start) and not alive(info.hub_pid, info.hub_start))
    assert (run / "ring").stat().st_size < 8192  # its room is given back
    assert len(report(run)["losses"]) == 50


async def test_the_hub_of_a_foreground_command_ends_with_it(start, watch, monkeypatch):
    monkeypatch.setenv("BPTUI_LINGER", "1000")
    run = start(steps=20)
    owner = await watch(run, owner=True)
    await owner.until(lambda: owner.state == "DONE" and owner.status.code == 0)
    await owner.close()
    info = read_info(run)
    until(lambda: not alive(info.hub_pid, info.hub_start), seconds=5)


async def test_input_error_reaches_the_launching_face(start, watch):
    run = start(fail="no such file: data.csv")
    face = await watch(run)
    await face.until(lambda: face.state == "FAILED" and face.status.code == 2)
    assert face.status.text == "no such file: data.csv" and face.status.step == 0


async def test_hub_that_is_told_to_end_says_goodbye_and_training_goes_on(start, watch):
    run = start(rate=500)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    info = read_info(run)
    os.kill(info.hub_pid, signal.SIGTERM)
    await face.until(lambda: face.ended == "goodbye")
    until(lambda: not alive(info.hub_pid, info.hub_start))
    assert alive(info.trainer_pid, info.trainer_start)
    assert not os.path.exists(info.address)


async def test_connecting_to_a_run_that_has_ended_says_so(start):
    run = start(steps=20)
    until(lambda: (info := read_info(run)).end is not None and not alive(info.hub_pid, info.hub_start))
    session = LiveSession(run)
    try:
        await session.start()
        raise AssertionError("nobody is there")
    except RunHasEnded:
        pass
    assert list_runs()[0].state == "DONE" and list_runs()[0].step == 20
    opened = Watched(await open_session(run))
    await opened.until(lambda: opened.state == "DONE" and len(opened.history.losses) == 20)
    await opened.close()


async def test_a_second_hub_leaves_the_first_alone(start, watch):
    run = start(rate=500)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    from bptui.client.launch import hub_ended, start_hub

    first = read_info(run).hub_pid
    start_hub(run, adopt=True)
    until(lambda: hub_ended(run))
    assert read_info(run).hub_pid == first and not face.ended


async def test_a_trainer_that_cannot_be_started_is_said(start, monkeypatch):
    monkeypatch.setenv("BPTUI_TRAINER", json.dumps(["/nonexistent/program"]))
    run = start()
    session = LiveSession(run)
    try:
        await session.start()
        raise AssertionError("nothing to talk to")
    except Exception as error:
        assert "cannot start the trainer" in str(error)
