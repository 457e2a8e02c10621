"""A session from a run's files alone: what a hub would send; then what its past shows where one asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from bptui.client.past import Past, has_past, may_ask
from bptui.client.session import RequestRefused, Session
from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import (
    AnyMessage,
    EventRow,
    Events,
    FindingRow,
    Findings,
    Histograms,
    Layers,
    LogChunk,
    Output,
    Request,
    Status,
)
from bptui.protocol.model import model_info
from bptui.runs.epochs import epochs_done
from bptui.runs.events import read_events
from bptui.runs.findings import read_findings
from bptui.runs.history import History
from bptui.runs.load import Loaded, ended, load
from bptui.runs.output import tail_lines
from bptui.runs.records import QUANTITIES

_STATES = {"completed": "DONE", "until": "DONE", "stopped": "STOPPED", "failed": "FAILED", "crashed": "STALE"}


class FileSession(Session):
    """Reads a run that no process serves: also one whose processes were killed, up to its last step."""

    read_only = True

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run = directory.name
        self.offset = 0
        self._loaded: Loaded | None = None
        self._shown: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._past: Past | None = None
        self._last: Status | None = None

    async def start(self) -> None:
        self._loaded = await asyncio.to_thread(load, self.directory)
        self.run = self._loaded.info.id

    async def frames(self) -> AsyncIterator[Frame]:
        if self._loaded is None:
            await self.start()
        assert self._loaded is not None
        loaded, history = self._loaded, History()
        info, meta = loaded.info, loaded.digest.meta
        if meta is not None:
            yield Frame(model_info(info.id, info.title, info.spec, meta))
        yield Frame(self._status(loaded, History()))
        for piece in loaded.log():
            history.feed(piece)
            body = Body()
            chunk = LogChunk(offset=self.offset, data=body.add_bytes(piece))
            self.offset += len(piece)
            yield Frame(chunk, body.bytes())
            await asyncio.sleep(0)  # a long history must not hold a face up
        self._last = self._status(loaded, history)
        yield Frame(self._last)
        for message, data in self._topics(loaded, history):
            yield Frame(message, data)
        while (frame := await self._shown.get()) is not None:
            yield frame

    def _status(self, loaded: Loaded, history: History) -> Status:
        digest, end = loaded.digest, ended(self.directory, loaded)

        def last(name: str) -> float:
            found = history.last(name)
            return found[1] if found is not None else 0.0

        step = max(digest.step, end.step, history.steps if len(history.losses) else 0)
        total, epoch = (digest.meta or {}).get("total_steps"), epochs_done(digest.meta, step)
        return Status(
            state=_STATES.get(end.reason, digest.state), step=step,
            epoch=last("epoch") if epoch is None else epoch,
            text=end.error or end.note, probe_share=last("probe_share"), lr=last("lr"),
            total_steps=total if isinstance(total, int) else None, faces=1,
            code=None if end.reason == "running" else end.code,
        )  # fmt: skip

    def _topics(self, loaded: Loaded, history: History) -> Iterator[tuple[AnyMessage, bytes]]:
        for rank, tables in history.tables.items():
            body = Body()
            yield Layers(rank=rank, step=tables[-1].step, table=body.add(tables[-1].values)), body.bytes()
        for (rank, quantity), found in history.histograms.items():
            if quantity in QUANTITIES:
                body = Body()
                counts = body.add(found[-1].counts)
                yield Histograms(rank=rank, step=found[-1].step, quantity=quantity, counts=counts), body.bytes()
        findings = read_findings(self.directory)
        yield Findings(findings=tuple(msgspec.convert(one, FindingRow, from_attributes=True) for one in findings)), b""
        events = read_events(self.directory)
        yield Events(events=tuple(msgspec.convert(one, EventRow, from_attributes=True) for one in events)), b""
        if lines := tail_lines(self.directory / "trainer.log"):
            yield Output(lines=lines), b""

    def allows(self, message: Request) -> bool:
        return may_ask(message) and self._loaded is not None and has_past(self.directory, self._loaded.info)

    async def request(self, message: Request) -> Frame:
        if not self.allows(message):
            raise RequestRefused("ended", f"run {self.run} has ended: its files are shown")
        if self._last is None:
            raise RequestRefused("bad-request", "its files are still being read")
        if self._past is None:
            self._past = Past(self.directory, self._last.step, self._show)
        return await self._past.request(message)

    def _show(self, frame: Frame) -> None:
        """What the past shows, as of this run: at its last step it is what it has become."""
        message, last = frame.message, self._last
        if isinstance(message, Status) and last is not None:
            here = last if message.step == last.step and not message.micro else message
            message = msgspec.structs.replace(
                message, state=here.state, text=here.text, code=last.code, total_steps=last.total_steps, faces=1,
                controller=False,
            )  # fmt: skip
            frame = Frame(message)
        self._shown.put_nowait(frame)

    async def close(self, leave: bool = True) -> None:
        self._shown.put_nowait(None)
        if self._past is not None:
            await self._past.close()
