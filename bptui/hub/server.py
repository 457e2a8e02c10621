"""The hub's life: it ticks, answers, and ends when nobody needs it any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from typing import Any

from bptui.hub.connections import Connections, Reply
from bptui.hub.faces import Face, Faces
from bptui.hub.process import TrainerProcess
from bptui.hub.recorder import Recorder
from bptui.hub.topics import Topics
from bptui.hub.trainer_link import TrainerGone, TrainerLink, readdress
from bptui.protocol.messages import (
    AnyRequest,
    Arm,
    Back,
    Branch,
    GoTo,
    Keep,
    Looking,
    MicroStep,
    Ok,
    Pace,
    Refused,
    Request,
    Set,
    Step,
    Stop,
    TrainerRequest,
)
from bptui.runs.paths import remove_socket
from bptui.runs.ring import shrink

TICK, IDLE_TICK, EAGER_TICK = 0.025, 0.1, 0.005
EAGER_SECONDS = 0.15
"""After a request the ring is looked at this often for so long: what a key did must be seen at once."""
HOUSEKEEPING_SECONDS = 0.25
SCRIPT_END_SECONDS = 1.0
"""How long a script that ended without a word may be explained by the process that started it."""


def _seconds(name: str, otherwise: float) -> float:
    try:
        return float(os.environ[name])
    except (KeyError, ValueError):
        return otherwise


class Hub:
    """Owns one run while it lives. ``$BPTUI_LINGER`` and ``$BPTUI_GRACE`` change its two waits, in seconds."""

    def __init__(self, recorder: Recorder, trainer: TrainerProcess) -> None:
        self._recorder = recorder
        self._trainer = trainer
        self._faces = Faces()
        self._topics = Topics(recorder, self._faces, lambda: self._ended)
        self._link = TrainerLink(recorder.info.trainer_address, recorder.ring.raise_flag)
        self._connections = Connections(
            recorder.info.id, self._faces,
            answer=self._answer, source=self._topics.frames, log=recorder.log.read,
            changed=self._faces_changed, orphaned=self._orphaned,
        )  # fmt: skip
        self._linger = _seconds("BPTUI_LINGER", 10.0)
        self._grace = _seconds("BPTUI_GRACE", 30.0)
        self._ended = False
        self._ended_at = 0.0
        self._stop_asked = False
        self._killed = False
        self._stepped = recorder.digest.step > 0
        self._closing = asyncio.Event()
        self._poke = asyncio.Event()
        self._eager_until = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life --------------------------------------------------------------------------------------
    async def serve(self) -> None:
        """Until the trainer has ended and no face has come for a while, or SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._closing.set)
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)  # a terminal's hang-up or Ctrl-C is not for us
        address = self._recorder.info.address
        remove_socket(address)  # the ring's lock says that no other hub lives
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._connections.serve, address, backlog=64)
        finally:
            os.umask(mask)
        self._trainer.watch(loop, self._trainer_ended)
        link = asyncio.create_task(self._link.run())
        try:
            await self._tick_until_closed()
        finally:
            link.cancel()
            server.close()
            await self._connections.close("the run has ended" if self._ended else "the hub was told to end")
            self._link.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(link, *self._tasks, return_exceptions=True)
            remove_socket(address)
            self._put_away()

    async def _tick_until_closed(self) -> None:
        housekeeping = 0.0
        while not self._closing.is_set():
            busy = self._tick()
            now = time.monotonic()
            if now - housekeeping >= HOUSEKEEPING_SECONDS:
                housekeeping = now
                self._keep_house(now)
            if self._recorder.behind:
                await asyncio.sleep(0)
                continue
            pause = EAGER_TICK if now < self._eager_until else TICK if busy else IDLE_TICK
            self._poke.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poke.wait(), pause)

    def _tick(self) -> bool:
        try:
            topics = self._recorder.tick()
        except Exception:  # whatever is wrong with one tick, training and faces must not suffer
            traceback.print_exc(file=sys.stderr)
            return False
        self._publish(topics)
        return bool(topics)

    def _publish(self, topics: set[str]) -> None:
        if topics:
            self._stepped = self._stepped or self._recorder.digest.step > 0
            urgent = "urgent" in topics
            self._topics.changed(topics)
            self._faces.mark(topics - {"urgent"}, urgent=urgent)

    def _soon(self) -> None:
        self._eager_until = time.monotonic() + EAGER_SECONDS
        self._poke.set()

    def _put_away(self) -> None:
        self._recorder.close()
        ring = self._recorder.ring
        ring.close()
        if self._ended:
            remove_socket(self._recorder.info.trainer_address)
            with contextlib.suppress(OSError):
                shrink(ring.path)
        else:
            self._trainer.release()

    # -- the trainer -------------------------------------------------------------------------------
    def _trainer_ended(self) -> None:
        if self._recorder.info.mode == "script" and self._trainer.status is None:
            self._start(self._script_ended())
        else:
            self._conclude()

    async def _script_ended(self) -> None:
        """Whose status is not known here: whoever started it may have it, and says so in a moment."""
        end = time.monotonic() + SCRIPT_END_SECONDS
        while time.monotonic() < end:
            self._tick()
            if self._recorder.digest.end is not None:
                break
            await asyncio.sleep(TICK)
        self._conclude()

    def _conclude(self) -> None:
        self._ended, self._ended_at = True, time.monotonic()
        try:
            topics = self._recorder.trainer_ended(self._trainer.status, killed=self._killed)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            topics = {"status", "urgent"}
        self._link.close()
        self._publish(topics)
        self._poke.set()

    def _orphaned(self) -> None:
        """A foreground command was lost without a word: its trainer must not stay behind."""
        if not self._ended:
            self._start(self._end_trainer())

    async def _end_trainer(self) -> None:
        """Ask it to stop; if it does not within the grace period, make it."""
        if self._stop_asked:
            return
        self._stop_asked = True
        self._recorder.event(self._recorder.digest.step, change="stop", after="no face is left")
        self._start(self._forward(Stop()))
        if not await self._trainer_ends(self._grace):
            await self._kill()

    async def _kill(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        self._killed = True
        self._trainer.signal(signal.SIGTERM)
        if not await self._trainer_ends(min(self._grace, 3.0)):
            self._trainer.signal(signal.SIGKILL)

    async def _trainer_ends(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._ended and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return self._ended

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- requests ----------------------------------------------------------------------------------
    async def _answer(self, face: Face, message: Request) -> Reply:
        if not isinstance(message, TrainerRequest):
            return Refused(id=message.id, code="unsupported", message="not a request that the hub knows"), b""
        if not isinstance(message, Looking) and self._faces.controller is not face:
            text = "another face controls this run; take control first"
            return Refused(id=message.id, code="not-controller", message=text), b""
        if self._ended:
            return Refused(id=message.id, code="ended", message="the run has ended"), b""
        if isinstance(message, Stop) and self._stop_asked:
            self._recorder.event(self._recorder.digest.step, change="kill")
            self._start(self._kill())
            return Ok(id=message.id, step=self._recorder.digest.step), b""
        if isinstance(message, Stop):
            self._stop_asked = True
        self._note(message)
        try:
            reply, body = await self._forward(message)
        except TrainerGone as error:
            # A process closes its sockets a moment before its end is known.
            if isinstance(message, Stop) and await self._trainer_ends(1.0):
                return Ok(id=message.id, step=self._recorder.digest.step), b""
            return Refused(id=message.id, code="ended", message=str(error)), b""
        if isinstance(message, Stop) and isinstance(reply, Refused):
            self._stop_asked = False
        if isinstance(message, Pace) and isinstance(reply, Ok):
            self._recorder.pace = message.steps_per_second
            self._publish({"status", "urgent"})
        return reply, body

    async def _forward(self, message: AnyRequest) -> Reply:
        """Ask the trainer; what it writes next is taken from the ring at once."""
        self._soon()
        try:
            return readdress(await self._link.request(message), message.id)
        finally:
            self._soon()

    def _note(self, message: Request) -> None:
        """An intervention is on file before it acts."""
        recorder = self._recorder
        if isinstance(message, Looking | Set):
            return  # a change is the trainer's to tell, as it makes it: with what was before, and not if it refuses
        if isinstance(message, (Keep, GoTo)) and recorder.info.mode == "script":
            return  # a script tells of its snapshots itself
        before: Any = None
        after: Any = None
        change = type(message).__name__.lower()
        match message:
            case Branch(step=after):
                pass
            case Arm(conditions=armed):
                after = "; ".join(one.text for one in armed if one.enabled)
            case Pace(steps_per_second=after):
                before = recorder.pace
            case Step(count=after) | MicroStep(count=after) | Back(count=after) | GoTo(step=after):
                pass
        recorder.event(recorder.digest.step, change=change, before=before, after=after)

    # -- faces -------------------------------------------------------------------------------------
    def _faces_changed(self) -> None:
        self._faces.mark(("status",), urgent=True)
        self._poke.set()

    def _keep_house(self, now: float) -> None:
        """Notice what no record tells: printed lines, and that nobody needs this process any more."""
        if self._faces and self._topics.output_grew():
            self._publish({"output"})
        if self._faces:
            return
        waited = now - self._faces.empty_since
        if self._ended:
            # A foreground command leaves nothing behind; a run without a step has nothing to come back for.
            needed = not self._faces.came or (self._stepped and not self._faces.owned)
            patience = self._linger if needed else 0.0
            if min(waited, now - self._ended_at) >= patience:
                self._closing.set()
            return
        if not self._recorder.info.interactive or self._stop_asked:
            return
        never_ran = not self._stepped and self._recorder.ring.step == 0
        finished = self._recorder.digest.state in ("DONE", "FAILED")
        if (never_ran and (self._faces.came or waited > 3 * self._linger)) or (finished and waited > self._linger):
            self._start(self._end_trainer())
