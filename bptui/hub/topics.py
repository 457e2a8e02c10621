"""What faces see: the topics of a run as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from bptui.hub.faces import Face, Faces
from bptui.hub.recorder import Recorder
from bptui.protocol.framing import Body, encode
from bptui.protocol.messages import EventRow, Events, FindingRow, Findings, Histograms, Layers, Output, Status
from bptui.protocol.model import model_info
from bptui.runs.output import tail_lines
from bptui.runs.records import QUANTITIES


class Topics:
    """Makes a topic's frames when a face has room for them; those that are alike for all faces are kept."""

    def __init__(self, recorder: Recorder, faces: Faces, ended: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._faces = faces
        self._ended = ended
        self._kept: dict[str, list[bytes]] = {}
        self._output_size = -1
        self._makers: dict[str, Callable[[], Iterable[bytes]]] = {
            "model": self._model, "layers": self._layers, "histograms": self._histograms,
            "findings": self._findings, "events": self._events, "output": self._output,
        }  # fmt: skip

    def changed(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._kept.pop(topic, None)

    def output_grew(self) -> bool:
        """Whether trainer.log has another size than when last asked."""
        try:
            size = (self._recorder.run / "trainer.log").stat().st_size
        except OSError:
            size = 0
        grew, self._output_size = size != self._output_size, size
        return grew

    def frames(self, topic: str, face: Face) -> Iterable[bytes]:
        """The frames of a topic as it is now."""
        if topic == "status":
            return [encode(self.status(face))]
        if topic not in self._kept:
            self._kept[topic] = list(self._makers[topic]())
        return self._kept[topic]

    def status(self, face: Face | None = None) -> Status:
        recorder, digest = self._recorder, self._recorder.digest
        total = digest.live.get("total_steps", (digest.meta or {}).get("total_steps"))
        end = digest.end if self._ended() else None
        error = str((end or {}).get("error") or (end or {}).get("note") or "")
        code = (end or {}).get("code")
        return Status(
            state=_state(digest.state, end),
            step=digest.step,
            epoch=digest.epoch,
            micro=digest.micro,
            text=recorder.problem or (error if end else "") or digest.text or error,
            steps_per_second=digest.steps_per_second,
            probe_share=digest.last.get("probe_share", 0.0),
            pace=recorder.pace,
            lr=digest.last.get("lr", 0.0),
            total_steps=total if isinstance(total, int) else None,
            controller=face is not None and self._faces.controller is face,
            faces=len(self._faces),
            code=code if isinstance(code, int) else None,
            settings=_settings(digest.live.get("settings")),
        )

    def _model(self) -> Iterable[bytes]:
        info, meta = self._recorder.info, self._recorder.digest.meta
        if meta is not None:
            yield encode(model_info(info.id, info.title, meta.get("spec") or info.spec, meta))

    def _layers(self) -> Iterable[bytes]:
        for rank, table in self._recorder.digest.tables.items():
            body = Body()
            yield encode(Layers(rank=rank, step=table.step, table=body.add(table.values)), body.bytes())

    def _histograms(self) -> Iterable[bytes]:
        for (rank, quantity), found in self._recorder.digest.histograms.items():
            body = Body()
            message = Histograms(
                rank=rank, step=found.step, quantity=QUANTITIES[quantity], counts=body.add(found.counts)
            )
            yield encode(message, body.bytes())

    def _findings(self) -> Iterable[bytes]:
        rows = tuple(msgspec.convert(finding, FindingRow, from_attributes=True) for finding in self._recorder.findings)
        yield encode(Findings(findings=rows))

    def _events(self) -> Iterable[bytes]:
        rows = tuple(msgspec.convert(event, EventRow, from_attributes=True) for event in self._recorder.events)
        yield encode(Events(events=rows))

    def _output(self) -> Iterable[bytes]:
        lines = tail_lines(self._recorder.run / "trainer.log")
        if lines:
            yield encode(Output(lines=lines))


_ENDS = {"completed": "DONE", "until": "DONE", "stopped": "STOPPED", "crashed": "STALE"}


def _state(state: str, end: dict[str, object] | None) -> str:
    """The trainer's state word; once it has ended, how."""
    return state if end is None else _ENDS.get(str(end.get("reason")), "FAILED")


def _settings(told: object) -> dict[str, float]:
    """What a trainer says of its settings; empty where it says nothing of the kind."""
    if not isinstance(told, dict):
        return {}
    return {str(key): float(value) for key, value in told.items() if isinstance(value, int | float)}
