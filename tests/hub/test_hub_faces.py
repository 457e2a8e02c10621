"""Many faces, slow ones, observers, and connections that speak nonsense."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bptui.client.session import ConnectionLost, RequestRefused
from bptui.hub.faces import Face, Stream
from bptui.protocol.framing import MAX_HEAD, PREFIX, encode
from bptui.protocol.messages import (
    Hello,
    Inspect,
    LogChunk,
    Pace,
    Pause,
    Refused,
    Run,
    Status,
    Stop,
    TakeControl,
    Welcome,
)
from bptui.protocol.streams import read_frame
from bptui.runs.info import alive, read_info
from tests.hub.live import aio_until


async def test_one_controls_and_the_others_look_on(start, watch):
    run = start(interactive=True, rate=300)
    first = await watch(run)
    second = await watch(run)
    await first.until(lambda: first.status and first.status.controller and first.status.faces == 2)
    await second.until(lambda: second.state == "READY" and not second.status.controller)
    with pytest.raises(RequestRefused) as refused:
        await second.session.request(Run())
    assert refused.value.code == "not-controller"
    assert (await second.session.request(Inspect(layer=0, kinds=("a",)))).message.arrays
    await second.session.request(TakeControl())
    await first.until(lambda: not first.status.controller)
    await second.until(lambda: second.status.controller)
    await second.session.request(Run())
    await first.until(lambda: first.state == "RUNNING")


async def test_control_passes_to_a_face_left_alone_but_not_among_several(start, watch):
    run = start(interactive=True, hold=True)
    one, two, three = await watch(run), await watch(run), await watch(run)
    watcher = await watch(run, role="observer")
    await watcher.until(lambda: watcher.status and watcher.status.faces == 4)
    await one.close()
    await two.until(lambda: two.status and two.status.faces == 3)
    assert not two.status.controller and not three.status.controller
    await watcher.close()
    await two.until(lambda: two.status.faces == 2)
    assert not two.status.controller
    await two.close()
    await three.until(lambda: three.status.faces == 1)
    assert three.status.controller


async def test_an_observer_never_gets_control_unasked(start, watch):
    run = start(interactive=True, rate=300)
    watcher = await watch(run, role="observer")
    await watcher.until(lambda: watcher.state == "READY")
    assert not watcher.status.controller
    # `pause RUN` from a shell: takes control for a word, and the face that had it has it again
    face = await watch(run)
    await face.session.request(Run())
    shell = await watch(run, role="observer")
    await shell.session.command(Pause())
    await shell.close()
    await face.until(lambda: face.state == "PAUSED" and face.status.controller and face.status.faces == 2)


async def test_a_face_that_comes_back_reads_on_from_its_offset(start, watch):
    run = start(rate=2000)
    face = await watch(run)
    await face.until(lambda: len(face.history.losses) > 200)
    await face.close()
    offset = face.session.offset
    assert offset == face.history.offset > 0
    again = await watch(run, offset=offset)
    again.history = face.history
    await again.until(lambda: len(again.history.losses) > 1000)
    assert again.history.losses.bad == 0 and again.history.losses.first == 0


async def test_a_face_that_stops_reading_slows_nobody(start, watch):
    run = start(rate=0, tables=20)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    info = read_info(run)
    slow = socket.socket(socket.AF_UNIX)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(info.address)
    slow.sendall(encode(Hello(channel="stream", face="slow", role="observer")))
    await face.until(lambda: face.status.faces == 2)
    size = face.history.offset
    await face.until(lambda: face.history.offset > size + (1 << 20))  # far more than a socket's buffer takes
    # its place in the log is kept: what it reads at last is whole
    slow.settimeout(10)
    data = b""
    while len(data) < 1 << 20:
        data += slow.recv(1 << 16)
    slow.close()


async def test_a_face_that_stops_reading_costs_one_frame():
    class Writer:
        """A connection whose other end takes nothing."""

        def __init__(self) -> None:
            self.transport, self.written = self, 0

        def set_write_buffer_limits(self, high: int) -> None:
            pass

        def write(self, data: bytes) -> None:
            self.written += len(data)

        async def drain(self) -> None:
            await asyncio.Event().wait()

    writer, made = Writer(), []

    def source(topic: str, face: Face) -> list[bytes]:
        made.append(topic)
        return [b"x" * 100]

    stream = Stream(Face("slow"), writer, 0, source, lambda offset, size: b"y" * size)  # type: ignore[arg-type]
    task = asyncio.create_task(stream.run())
    for _ in range(1000):
        stream.mark({"status", "layers", "log"}, urgent=True)
        await asyncio.sleep(0)
    assert writer.written == 100 and made == ["model"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_quick_face_is_not_told_more_often_than_ten_times_a_second_unless_it_matters():
    class Writer:
        def __init__(self) -> None:
            self.transport = self

        def set_write_buffer_limits(self, high: int) -> None:
            pass

        def write(self, data: bytes) -> None:
            pass

        async def drain(self) -> None:
            pass

    told: list[str] = []
    stream = Stream(
        Face("quick"), Writer(), 0, lambda topic, face: told.append(topic) or [], lambda offset, size: b"",
    )  # type: ignore[arg-type, func-returns-value]  # fmt: skip
    task = asyncio.create_task(stream.run())
    await aio_until(lambda: "output" in told)
    told.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 0.35:
        stream.mark({"status"})
        await asyncio.sleep(0)
    assert 1 <= told.count("status") <= 4
    told.clear()
    stream.mark({"status"}, urgent=True)
    began = loop.time()
    await aio_until(lambda: told)
    assert loop.time() - began < 0.05
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_stop_is_patient_once_and_kills_the_second_time(start, watch):
    run = start(rate=300, deaf=True)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    first = asyncio.create_task(face.session.request(Stop()))
    await face.until(lambda: [json.loads(line)["change"] for line in _lines(run)] == ["stop"])
    step = face.status.step
    await face.until(lambda: face.status.step > step + 100)  # still in its step, as far as anyone can tell
    await face.session.request(Stop())
    await first
    await face.until(lambda: face.state == "STOPPED" and face.status.code == 1)
    info = read_info(run)
    assert not alive(info.trainer_pid, info.trainer_start)


def _lines(run):
    try:
        return (run / "events.jsonl").read_text().splitlines()
    except OSError:
        return []


async def test_requests_that_wait_are_answered_when_the_trainer_dies(start, watch):
    run = start(rate=300, deaf=True)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    waiting = asyncio.create_task(face.session.request(Pace(steps_per_second=5.0)))
    await face.until(lambda: _lines(run))
    os.kill(read_info(run).trainer_pid, 9)
    with pytest.raises(RequestRefused) as refused:
        await waiting
    assert refused.value.code == "ended"


async def test_the_socket_is_for_its_user_alone(start, watch):
    run = start(interactive=True)
    face = await watch(run)
    await face.until(lambda: face.state == "READY")
    info = read_info(run)
    for address in (info.address,):
        assert stat.S_IMODE(os.stat(address).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(info.address)).st_mode) == 0o700


async def test_versions_are_agreed_on(start, watch):
    run = start(interactive=True)
    face = await watch(run)
    reader, writer = await asyncio.open_unix_connection(read_info(run).address)
    writer.write(encode(Hello(id=7, channel="control", versions=(99, 1), capabilities=("log", "time-travel"))))
    welcome = (await read_frame(reader)).message
    assert isinstance(welcome, Welcome) and (welcome.id, welcome.version) == (7, 1)
    assert welcome.capabilities == ("log",) and welcome.run == face.session.run and not welcome.controller
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_unix_connection(read_info(run).address)
    writer.write(encode(Hello(id=8, channel="control", versions=(99,))))
    refused = (await read_frame(reader)).message
    assert isinstance(refused, Refused) and refused.code == "version" and "99" in refused.message
    writer.close()
    await writer.wait_closed()


HELLO = encode(Hello(channel="control", face="nonsense", role="observer"))
NONSENSE = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda head, body, rest: PREFIX.pack(head, body) + rest,
              st.sampled_from([0, 1, 100, MAX_HEAD, MAX_HEAD + 1, 2**32 - 1]),
              st.sampled_from([0, 1, 2**26, 2**32 - 1]), st.binary(max_size=64)),
    st.integers(0, len(HELLO) - 1).map(lambda cut: HELLO[:cut]),
    st.sampled_from([
        encode(Status(state="RUNNING", step=1, epoch=0.0)), encode(Run(id=1)),
        encode(Hello(channel="stream", offset=-5)), encode(Hello(channel="stream", offset=2**60)),
        encode(Hello(channel="trainer")), HELLO + HELLO,
    ]),
)  # fmt: skip


async def test_nonsense_ends_its_own_connection_and_nothing_else(start, watch):
    run = start(rate=300)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    address = read_info(run).address

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(NONSENSE, min_size=1, max_size=4), st.booleans())
    def send(pieces: list[bytes], greeted: bool) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(address)
            try:
                connection.sendall((HELLO if greeted else b"") + b"".join(pieces))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):  # until the hub has let go of it
                    pass
            except OSError:
                pass

    await asyncio.to_thread(send)
    step = face.status.step
    await face.until(lambda: face.status.step > step and face.status.faces == 1)
    assert not face.ended
    await face.session.request(Pause())
    assert (run / "hub.log").read_text() == ""


async def test_a_giant_length_is_refused_at_once(start, watch):
    run = start(rate=300)
    face = await watch(run)
    for greeting in (b"", HELLO):
        reader, writer = await asyncio.open_unix_connection(read_info(run).address)
        writer.write(greeting + struct.pack("<II", 1000, 64 << 20))  # within the protocol's caps, not a face's
        if greeting:
            assert isinstance((await read_frame(reader)).message, Welcome)
        assert await read_frame(reader) is None
        writer.close()
        await writer.wait_closed()
    await face.until(lambda: face.state == "RUNNING")


async def test_a_lost_hub_is_told_to_whoever_asks(start, watch):
    run = start(rate=300)
    face = await watch(run)
    await face.until(lambda: face.state == "RUNNING")
    os.kill(read_info(run).hub_pid, 9)
    await face.until(lambda: face.ended.startswith("lost"))
    with pytest.raises(ConnectionLost):
        await face.session.request(Pause())


async def test_a_full_disk_is_said_and_nothing_is_torn(start, watch):
    # RLIMIT_FSIZE stands in for the full disk: the write fails in the same place, with another errno
    run = start(rate=2000, hold=True)
    face = await watch(run)
    await face.until(lambda: face.state == "READY")
    hub = psutil.Process(read_info(run).hub_pid)
    size = (run / "scalars").stat().st_size
    hub.rlimit(psutil.RLIMIT_FSIZE, (size + 3001, -1))
    await face.session.request(Run())
    await face.until(lambda: "cannot write scalars" in face.status.text)
    step = face.status.step
    await face.until(lambda: face.status.step > step + 500)  # served and trained as before
    hub.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
    await face.until(lambda: not face.status.text)
    await face.session.request(Pause())
    await face.until(lambda: face.state == "PAUSED" and len(face.history.losses) == face.status.step)
    assert face.history.losses.bad == 0
    assert isinstance(face.latest["LogChunk"].message, LogChunk)
