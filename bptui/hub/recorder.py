"""Drains the ring into the run directory and keeps what is true now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from bptui.diagnose.diagnosis import Diagnosis
from bptui.diagnose.rule import Model
from bptui.runs import events as events_file
from bptui.runs import findings as findings_file
from bptui.runs.digest import Digest
from bptui.runs.events import MOST, charted, read_events
from bptui.runs.findings import Finding, read_findings
from bptui.runs.info import RunInfo, write_info, write_whole
from bptui.runs.load import crash_text
from bptui.runs.logfile import LogFile
from bptui.runs.reader import RingReader
from bptui.runs.ring import Ring, RingError

RETRY_SECONDS = 1.0
FINDING_SECONDS = 10.0
"""A finding whose numbers alone change is written again at most this often."""
TICK_SECONDS = 0.01
"""A tick ends after about so long, though there be more to take: faces are served between ticks."""


class Recorder:
    """Everything the hub writes goes through here. No error of a disk stops it: ``problem`` says what is wrong."""

    def __init__(self, run: Path, info: RunInfo, ring: Ring) -> None:
        self.run = run
        self.info = info
        self.ring = ring
        self.digest = Digest()
        self.log = LogFile(run / "scalars", self.digest.restore)
        self.reader = RingReader(ring, self.log.position)
        self.diagnosis = Diagnosis()
        self.findings: tuple[Finding, ...] = read_findings(run)
        self.events = read_events(run)
        """Interventions that charts mark."""
        self._new_events = False
        self._problems: dict[str, str] = {}
        self.pace = info.pace
        self._written = {finding.key: finding for finding in self.findings}
        self._places: dict[tuple[str, str | None], int] = {}
        self._findings_at = 0.0
        self._told = b""
        self._retry_at = 0.0
        self._unsaved_info = False
        self.behind = False
        """Whether the last tick left something in the ring."""
        self.diagnosis.restore(self.findings)
        if info.actual:  # an earlier hub knew it already
            self.digest.meta = dict(info.actual)
            self._know_model()
        if ring.tail:
            self.digest.state, self.digest.step = ring.state, ring.step
            self._recall()
        self.digest.end = info.end

    @property
    def problem(self) -> str:
        """One line on what cannot be written or read; empty when all is well."""
        return "; ".join(self._problems.values())

    def _problem(self, file: str, text: str) -> None:
        if text:
            self._problems[file] = text
        else:
            self._problems.pop(file, None)

    # -- draining ----------------------------------------------------------------------------------
    def tick(self) -> set[str]:
        """Take what the trainer wrote since; returns the topics that changed."""
        digest, size, problem = self.digest, self.log.size, self.problem
        self.behind = True
        end = time.monotonic() + TICK_SECONDS
        while time.monotonic() < end:
            try:
                data = self.reader.take()
            except RingError as error:
                self._problem("ring", str(error))
                self.behind = False
                break
            if not data:
                self.behind = False
                break
            blocks = digest.feed(data)
            self.reader.used(digest.consumed)
            self._file_events()  # before they count as read: what was changed must not be lost
            if digest.consumed:
                self.log.append(blocks, self.reader.cursor)
                self.reader.commit()
        self._follow()
        now = time.monotonic()
        if (self.log.pending or self._unsaved_info) and now >= self._retry_at:
            self._retry_at = now + RETRY_SECONDS
            self.log.flush()
            if self._unsaved_info:
                self.save_info()
        topics = self._react()
        if self.log.size != size:
            topics.add("log")
        self._problem("scalars", self._log_problem())
        if problem != self.problem:
            topics |= {"status", "urgent"}
        return topics

    def _follow(self) -> None:
        """Running again through its past, a trainer writes no losses: the ring's header says where it is."""
        digest, ring = self.digest, self.ring
        if self.behind or digest.new_losses or digest.state != "RUNNING" or ring.state != "RUNNING":
            return
        step = ring.step
        if step != digest.step:
            digest.moved(step, time.time())

    def drain(self) -> set[str]:
        """Take everything there is: the trainer writes no more."""
        topics = self.tick()
        while self.behind:
            topics |= self.tick()
        return topics

    def _log_problem(self) -> str:
        """What is lost stays said, though the disk may have room again."""
        name = self.log.path.name
        lost = f"{self.log.dropped:,} bytes of {name} are lost" if self.log.dropped else ""
        trying = f"cannot write {name}: {self.log.error}, trying again" if self.log.pending else ""
        return "; ".join(filter(None, (trying, lost)))

    def _react(self) -> set[str]:
        """What follows from the records just taken."""
        digest = self.digest
        changed, digest.changed = digest.changed, set()
        topics = set()
        if "step" in changed:
            topics.add("status")
        if "state" in changed:
            topics |= {"status", "urgent"}
            self.pace = _number(digest.live.get("pace"), self.pace)
            self._remember()
        if "model" in changed:
            topics |= {"model", "status", "urgent"}
            self._know_model()
            meta = {name: value for name, value in (digest.meta or {}).items() if name != "spec"}
            versions = meta.get("versions")
            merged = {**self.info.versions, **({k: str(v) for k, v in versions.items()} if _is_dict(versions) else {})}
            self.update_info(actual=meta, versions=merged)
        if "layers" in changed:
            topics.add("layers")
        if "histograms" in changed:
            topics.add("histograms")
        if "end" in changed:
            topics |= {"status", "urgent"}
            self.update_info(end=digest.end)
        self._file_events()
        if self._new_events:
            self._new_events = False
            topics.add("events")
        if self._diagnose():
            topics |= {"findings", "urgent"}
        if "state" in changed and digest.state != "RUNNING":
            self.write_findings(all_=True)
        return topics

    def _remember(self) -> None:
        """File what only STATE records tell, for a hub that comes after this one."""
        told = msgspec.json.encode({"state": self.digest.state, "text": self.digest.text, "live": self.digest.live})
        if told == self._told:
            return
        try:
            write_whole(self.run / "state.json", told)
            self._told = told
            self._problem("state.json", "")
        except OSError as error:
            self._problem("state.json", f"cannot write state.json: {error.strerror}")

    def _recall(self) -> None:
        """What an earlier hub filed of the last STATE record."""
        try:
            told = msgspec.json.decode((self.run / "state.json").read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        live = told.get("live")
        if _is_dict(live):
            self.digest.live = live
            self.pace = _number(live.get("pace"), self.pace)
        if told.get("state") == self.digest.state:
            self.digest.text = str(told.get("text") or "")

    # -- diagnosis ---------------------------------------------------------------------------------
    def _know_model(self) -> None:
        meta = self.digest.meta or {}
        layers = meta.get("layers")
        names = tuple(str(row.get("name", "")) for row in layers if _is_dict(row)) if isinstance(layers, list) else ()
        per_epoch = meta.get("steps_per_epoch")
        data = self.info.spec.get("data")
        batch = data.get("batch_size") if _is_dict(data) else None
        samples = meta.get("epoch_samples")
        if not isinstance(samples, int):
            samples = per_epoch * batch if isinstance(per_epoch, int) and isinstance(batch, int) else 0
        self.diagnosis.model = Model(names, max(samples, 0), per_epoch if isinstance(per_epoch, int) else 0)

    def _diagnose(self) -> bool:
        digest, diagnosis = self.digest, self.diagnosis
        for losses in digest.new_losses:
            if losses.rank == 0:
                diagnosis.losses(losses.step, losses.values)
        for rank, table in digest.new_tables:
            if rank == 0:
                diagnosis.table(table.step, table.values)
        for note in digest.facts:
            diagnosis.fact(note.step, note.content)
        if not (digest.new_losses or digest.new_tables or digest.facts):
            return False
        digest.new_losses.clear()
        digest.new_tables.clear()
        digest.facts.clear()
        found = diagnosis.findings()
        if found == self.findings:
            return False
        self.findings = found
        self.write_findings()
        return True

    def write_findings(self, *, all_: bool = False) -> None:
        """Append what changed: at once what is new or gone, changed numbers now and then (``all_``: now)."""
        now = time.monotonic()
        due = all_ or now - self._findings_at >= FINDING_SECONDS
        standing = {finding.key: finding for finding in self.findings}
        lines = [
            findings_file.encode(finding, 0, withdrawn=True)
            for key, finding in self._written.items()
            if key not in standing
        ]
        for position, finding in enumerate(self.findings):
            old = self._written.get(finding.key)
            moved = self._places.get(finding.key) != position  # a root cause that came later stands before it
            if old is None or moved or old.units != finding.units or (due and old != finding):
                lines.append(findings_file.encode(finding, position))
            elif old != finding:
                standing[finding.key] = old
        if lines and self._append("findings.jsonl", b"".join(lines)):
            self._written = standing
            self._places = {finding.key: position for position, finding in enumerate(self.findings)}
            self._findings_at = now

    # -- files -------------------------------------------------------------------------------------
    def event(
        self, step: int, *, change: str = "", before: Any = None, after: Any = None, rank: int = 0,
        source: str = "request", time_: float | None = None, content: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """One line of ``events.jsonl``. ``source``: ``request`` as a face asked, ``trainer`` as it was carried out."""
        line = {
            "step": step, "phase": self.digest.micro, "rank": rank, "change": change, "before": before,
            "after": after, "time": time.time() if time_ is None else time_, "source": source, **(content or {}),
        }  # fmt: skip
        self._append("events.jsonl", events_file.encode(line))
        marked = charted(line)
        if marked is not None:
            self.events = [*self.events[1 - MOST :], marked]
            self._new_events = True

    def _file_events(self) -> None:
        for note in self.digest.events:
            self.event(note.step, source="trainer", time_=note.time, rank=note.rank, content=note.content)
        self.digest.events.clear()

    def _append(self, name: str, data: bytes) -> bool:
        try:
            with open(self.run / name, "ab", buffering=0) as file:
                size = file.tell()
                if file.write(data) != len(data):
                    file.truncate(size)
                    raise OSError(28, "No space left on device")
        except OSError as error:
            self._problem(name, f"cannot write {name}: {error.strerror}")
            return False
        self._problem(name, "")
        return True

    def update_info(self, **fields: Any) -> None:
        self.info = msgspec.structs.replace(self.info, **fields)
        self.save_info()

    def save_info(self) -> None:
        try:
            write_info(self.run, self.info)
            self._unsaved_info = False
            self._problem("run.json", "")
        except OSError as error:
            self._unsaved_info = True
            self._problem("run.json", f"cannot write run.json: {error.strerror}")

    def trainer_ended(self, status: int | None, *, killed: bool) -> set[str]:
        """The trainer's process is gone: file the rest, and say so if it left without a word."""
        topics = self.drain()
        if self.digest.end is None:
            reason = "stopped" if killed else "crashed"
            error = crash_text(self.run, status)
            code = 1
            if self.info.mode == "script" and status is not None:  # os._exit, or a signal
                code = status if status >= 0 else 128 - status
                reason = reason if killed or status else "completed"
            self.digest.end = {"reason": reason, "code": code, "error": error if code else "", "step": self.digest.step}
            self.digest.state = "STOPPED" if killed else "STALE"
            self.digest.text = error
            self.update_info(end=self.digest.end)
        self.write_findings(all_=True)
        return topics | {"status", "urgent", "output"}

    def close(self) -> None:
        self.log.flush()
        self.log.close()


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) else otherwise


def _is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
