"""A session that plays frames, and a network's worth of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bptui.client.session import Session
from bptui.engine.cells import histogram
from bptui.expr import ConditionError, parse
from bptui.expr.cells import parse_cells
from bptui.probe import sheet as probe_sheet
from bptui.probe.ledger import ledger
from bptui.probe.ranked import ranked
from bptui.protocol.framing import Body, Frame
from bptui.protocol.messages import (
    Arm,
    Armed,
    Check,
    Checked,
    CheckedRow,
    FindingRow,
    Findings,
    GoTo,
    Histograms,
    Inside,
    Insides,
    Inspect,
    Inspection,
    LayerRow,
    Layers,
    Ledger,
    Ledgered,
    LedgerRow,
    LogChunk,
    Look,
    Looked,
    Looking,
    ModelInfo,
    Ok,
    Output,
    PartRow,
    Pause,
    Ranked,
    RankedRows,
    Request,
    Run,
    Shadow,
    Shadowed,
    Sheet,
    Sheeted,
    SheetFacts,
    Staged,
    Stages,
    Status,
    Step,
    Stop,
    TakeControl,
)  # fmt: skip
from bptui.runs import log
from bptui.runs.records import CELLS, LOW_EXPONENT, QUANTITIES, SERIES, SPECIAL_CELLS, TABLE_COLUMNS
from bptui.spec.describe import describe
from bptui.spec.experiment import SGD, CrossEntropy, Data, Dense, Experiment, Header
from bptui.spec.experiment import Stop as StopTable

END = object()
DIRECTORY = Path("/runs/20261123-134558-ab12")


def experiment(sizes: Sequence[int] = (32, 16, 10), names: Sequence[str] = ()) -> Experiment:
    layers = []
    for index, units in enumerate(sizes):
        name = names[index] if index < len(names) else ""
        layers.append(Dense(units=units, name=name, activation="relu" if index < len(sizes) - 1 else "identity"))
    return Experiment(
        experiment=Header(name="digits"), data=Data(source="digits"), model=tuple(layers), loss=CrossEntropy(),
        optimizer=SGD(lr=0.1, momentum=0.9), stop=StopTable(epochs=20),
    )  # fmt: skip


def model_info(spec: Experiment, features: int = 64) -> Frame:
    rows = [
        LayerRow(row.name, row.kind, row.inputs or 0, row.shape, row.activation, row.parameters or 0, row.sources)
        for row in describe(spec, features)
    ]  # fmt: skip
    inputs = rows[-1].shape[-1] if rows else features
    return Frame(
        ModelInfo(
            run="20261123-134558-ab12", title="digits", engine="numpy", engine_reason="no CUDA here, NumPy can run it",
            device="cpu", dtype="f32", layers=tuple(rows), features=features, outputs=inputs, task="classification",
            steps_per_epoch=45, total_steps=900, spec=msgspec.Raw(msgspec.msgpack.encode(spec)),
        )
    )  # fmt: skip


def status(state: str, step: int = 0, **fields: Any) -> Frame:
    fields = {"epoch": step / 45, "controller": True, "total_steps": 900, "pace": 50.0, "lr": 0.1, **fields}
    return Frame(Status(state=state, step=step, **fields))


def table(layers: int, dead: dict[int, int] | None = None, units: int = 16, step: int = 0) -> Frame:
    values = np.full((layers, len(TABLE_COLUMNS)), np.nan, np.float32)
    for row in range(layers):
        values[row, 0] = 3.1e-2 / (row + 1)
        values[row, 2] = 1.1e-3 / (row + 1)
        values[row, 7] = -1 if row == layers - 1 else (dead or {}).get(row, 0)
        values[row, 8] = units
        values[row, 9] = 3000
    body = Body()
    return Frame(Layers(step=step, table=body.add(values)), body.bytes())


def histograms(layers: int, quantity: str = "grad_W", nan: int = 0, zero: int = 0, shift: float = 0.0) -> Frame:
    counts = np.zeros((layers, CELLS), np.uint32)
    for row in range(layers):
        centre = -10 - row + shift
        for exponent in range(-24, 0):
            counts[row, len(SPECIAL_CELLS) + exponent - LOW_EXPONENT] = int(
                900 * math.exp(-(((exponent - centre) / 3.5) ** 2))
            )
        counts[row, 0] = zero
    counts[0, 1] = nan
    body = Body()
    return Frame(Histograms(step=0, quantity=quantity, counts=body.add(counts)), body.bytes())


def finding(
    message: str = "14/16 units dead", layer: str | None = "dense2", severity: str = "error", **fields: Any
) -> FindingRow:
    fields = {
        "fault": "dead-relu", "units": tuple(range(14)), "first_step": 120, "not_before": 96,
        "evidence": {"dead share": 0.875, "threshold": 0.1}, "fix": "lower the learning rate to a tenth", **fields,
    }  # fmt: skip
    return FindingRow(layer=layer, severity=severity, message=message, **fields)  # type: ignore[arg-type]


def losses(count: int) -> list[float]:
    noise = np.random.default_rng(7).normal(size=count)
    return [0.25 + 2.05 * math.exp(-k / 180) + 0.12 * math.exp(-k / 400) * float(noise[k]) for k in range(count)]


class LogWriter:
    """Makes LogChunk frames that follow each other."""

    def __init__(self) -> None:
        self.offset = 0

    def chunk(self, data: bytes) -> Frame:
        body = Body()
        frame = Frame(LogChunk(offset=self.offset, data=body.add_bytes(data)), b"")
        self.offset += len(data)
        return Frame(frame.message, body.bytes())

    def losses(self, first: int, values: Sequence[float]) -> Frame:
        return self.chunk(log.series(SERIES.index("loss"), 0, first, np.array(values, np.float64), (0.0, 1.0)))

    def points(self, name: str, steps: Sequence[int], values: Sequence[float]) -> Frame:
        return self.chunk(
            log.sparse(SERIES.index(name), 0, np.array(steps, np.uint64), np.array(values, np.float64), (0.0, 1.0))
        )


def story(spec: Experiment, steps: int = 300) -> list[Frame]:
    """A run that has gone ``steps`` steps and is PAUSED, with findings."""
    writer = LogWriter()
    layers = len(spec.model)
    at = list(range(0, steps, 45))
    frames = [model_info(spec), status("PAUSED", steps, probe_share=0.012)]
    if steps:
        frames.append(writer.losses(0, losses(steps)))
        frames.append(writer.points("val_loss", at, [0.32 + 2.0 * math.exp(-k / 170) for k in at]))
        frames.append(writer.points("val_accuracy", [at[-1]], [0.964]))
        frames.append(table(layers, {1: 14}))
        frames += [histograms(layers, quantity) for quantity in QUANTITIES]
        slow = finding(
            "the loss hardly falls", None, "warning", fault="lr-too-low", units=(), first_step=200, not_before=200,
            evidence={"update ratio": 8.1e-6, "threshold": 1e-5}, fix="raise the learning rate tenfold",
        )  # fmt: skip
        frames.append(Frame(Findings(findings=(finding(), slow))))
    frames.append(Frame(Output(lines=("epoch 1 done", "[bold]not markup[/bold]"))))
    return frames


def looked(message: Look, step: int) -> Frame:
    """Ten classes of which 3 and 8 are mixed up; or two half-planes with a wavy border and a few points."""
    body = Body()
    if message.kind == "confusion":
        counts = np.diag(np.arange(30, 40)).astype(np.int32)
        counts[3, 8], counts[8, 3], counts[0, 9] = 5, 2, 1
        names = tuple(str(label) for label in range(10))
        reply = Looked(kind="confusion", step=step, part="validation", samples=int(counts.sum()), seconds=0.001,
                       arrays={"counts": body.add(counts)}, names=names)  # fmt: skip
        return Frame(reply, body.bytes())
    x = np.linspace(-2, 2, message.columns)[None, :]
    y = np.linspace(1, -1, message.rows)[:, None]
    height = y - 0.4 * np.sin(2 * x)
    arrays = {
        "classes": body.add((height > 0).astype(np.uint8)),
        "sure": body.add(np.rint(255 / (1 + np.exp(-8 * np.abs(height)))).astype(np.uint8)),
        "box": body.add(np.array([-2.0, 2.0, -1.0, 1.0])),
    }
    if message.points:
        arrays["points"] = body.add(np.array([[-1.5, 0.5], [0.0, -0.5], [1.0, 0.75], [1.5, -0.6]]))
        arrays["labels"] = body.add(np.array([1, 0, 1, 0], np.int32))
    reply = Looked(kind="boundary", step=step, part="train", samples=message.columns * message.rows, seconds=0.001,
                   arrays=arrays, names=("below", "above"), features=("x", "y"))  # fmt: skip
    return Frame(reply, body.bytes())


class FakeSession(Session):
    """Plays what is put into it; answers requests as a trainer would, and remembers them."""

    past = False
    """Files that hold enough to go to any step."""

    def __init__(self, frames: Sequence[Frame] = (), directory: Path = DIRECTORY, read_only: bool = False) -> None:
        self.offset = 0
        self.run = directory.name
        self.directory = directory
        self.read_only = read_only
        self.sent: list[Request] = []
        self.closed: bool | None = None
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.fail: Exception | None = None
        self.state = "READY"
        self.step = 0
        self.fields: dict[str, Any] = {}
        for frame in frames:
            self.put(frame)

    def put(self, frame: Frame | object) -> None:
        if isinstance(frame, Frame) and isinstance(frame.message, Status):
            self.state, self.step = frame.message.state, frame.message.step
        self.queue.put_nowait(frame)

    def say(self, state: str, step: int | None = None, **fields: Any) -> None:
        self.put(status(state, self.step if step is None else step, **{**self.fields, **fields}))

    def allows(self, message: Request) -> bool:
        return not self.read_only or (self.past and isinstance(message, Looking | GoTo | Step))

    async def start(self) -> None:
        if self.fail is not None:
            raise self.fail

    async def frames(self) -> AsyncIterator[Frame]:
        while True:
            item = await self.queue.get()
            if item is END:
                return
            if isinstance(item, Exception):
                raise item
            assert isinstance(item, Frame)
            yield item

    async def request(self, message: Request) -> Frame:
        self.sent.append(message)
        if self.fail is not None:
            raise self.fail
        if isinstance(message, Run):
            self.say("RUNNING", steps_per_second=50.0)
        elif isinstance(message, Pause):
            self.say("PAUSED")
        elif isinstance(message, Step):
            self.say("PAUSED", self.step + message.count)
        elif isinstance(message, GoTo):
            self.say("PAUSED", message.step)
        elif isinstance(message, Stop):
            self.say("DONE", code=0)
        elif isinstance(message, TakeControl):
            self.say(self.state, controller=True)
        elif isinstance(message, Look):
            return looked(message, self.step)
        elif isinstance(message, Inspect):
            return self.inspection(message)
        elif isinstance(message, Sheet):
            return self.sheet(message)
        elif isinstance(message, Ledger):
            return self.ledger()
        elif isinstance(message, Ranked):
            return self.ranked(message)
        elif isinstance(message, Stages):
            return self.staged()
        elif isinstance(message, Inside):
            return self.inside(message)
        elif isinstance(message, Shadow):
            errors = tuple(3.1e-7 / (row + 1) for row in range(self.layers))
            return Frame(Shadowed(step=self.step, micro="", dtype="f32", errors=errors, loss=0.5, exact_loss=0.53125))
        elif isinstance(message, Arm):
            self.armed = message.conditions
        elif isinstance(message, Check):
            return self.checked(message)
        return Frame(Ok(step=self.step))

    def inspection(self, message: Inspect) -> Frame:
        body = Body()
        generator = np.random.default_rng(message.layer + self.step)
        values = generator.normal(scale=1e-3, size=(32, 16)).astype(np.float32)
        values[:, 2] = 0
        arrays = {kind: body.add(values) for kind in message.kinds}
        shapes = dict.fromkeys(message.kinds, values.shape)
        reply = Inspection(
            step=self.step, micro="", layer=message.layer, loss=0.53125, arrays=arrays, shapes=shapes
        )  # fmt: skip
        return Frame(reply, body.bytes())

    layers = 3
    armed: tuple[Armed, ...] = ()
    missing = 0
    """Micro-steps until any δ is there."""

    def values(self, kind: str, layer: int) -> np.ndarray[Any, Any]:
        """A matrix of a network 64-32-16-10 and its 32 samples, always the same for a step."""
        generator = np.random.default_rng(100 * layer + self.step)
        units, inputs = (32, 16, 10)[layer], (64, 32, 16)[layer]
        upstream = generator.normal(scale=1e-3, size=(32, units)).astype(np.float32)
        gate = (generator.random((32, units)) < 0.6).astype(np.float32)
        if kind == "x":
            return np.abs(np.random.default_rng(self.step).normal(size=(32, 64))).astype(np.float32)
        if kind == "y":
            return np.random.default_rng(self.step).integers(0, 10, 32)
        if kind in ("b", "grad_b"):
            return generator.normal(size=units).astype(np.float32)
        if kind in ("upstream", "gate", "delta"):
            return {"upstream": upstream, "gate": gate, "delta": upstream * gate}[kind]
        if kind in ("z", "a"):
            return generator.normal(size=(32, units)).astype(np.float32)
        return generator.normal(scale=0.1, size=(inputs, units)).astype(np.float32)

    def sheet(self, message: Sheet) -> Frame:
        common = {"step": self.step, "micro": "", "layer": message.layer, "kind": message.kind, "loss": 0.53125}
        if message.kind in ("upstream", "gate") and message.layer == self.layers - 1:
            return Frame(Sheeted(**common, note="its loss gives δ whole"))
        if message.kind == "delta" and self.missing:
            return Frame(Sheeted(**common, missing=self.missing))
        values = self.values(message.kind, message.layer)
        sheet, body = probe_sheet.Sheet(values), Body()
        condition = parse_cells(message.condition) if message.condition else None
        orders = [probe_sheet.Order(o.by, o.at, o.ascending) for o in (message.row_order, message.column_order)]
        place = None
        if condition is not None and message.find is not None:
            place = sheet.next_match(condition, (orders[0], orders[1]), message.find)
        window = probe_sheet.Window(message.top, message.left, message.rows, message.columns, message.zoom)
        seen = sheet.window(window, *orders, condition)
        floats = values.astype(np.float64) if values.dtype.kind != "f" else values
        arrays = {
            "values": body.add(seen.values), "rows": body.add(seen.rows), "columns": body.add(seen.columns),
            "cells": body.add(histogram(np.ascontiguousarray(floats))), "matches": body.add(seen.matches.astype("u1")),
        }  # fmt: skip
        pictures = message.kind in ("x", "W") and not message.layer
        reply = Sheeted(
            **common, arrays=arrays, shape=values.shape, top=message.top, left=message.left, zoom=message.zoom,
            matched=0 if condition is None else sheet.matched(condition), found=place,
            facts=SheetFacts(*sheet.facts()), picture=(8, 8) if pictures else (),
            note="state and batch of the coming update", whole=values.shape,
            tensor={"W": f"dense{message.layer + 1}.weight", "b": f"dense{message.layer + 1}.bias"}.get(
                message.kind, ""
            ),
        )  # fmt: skip
        return Frame(reply, body.bytes())

    def ledger(self) -> Frame:
        kinds = ("delta", "upstream", "gate")
        layers = [tuple(self.values(kind, layer) for kind in kinds) for layer in range(self.layers)]
        layers[-1] = (layers[-1][0], None, None)
        rows = [
            LedgerRow(a.delta, a.upstream, a.gate, a.stopped, a.closed, a.ratio) if not self.missing
            else LedgerRow(None, None, None, None, None, None, self.missing)
            for a in ledger(layers)
        ]  # fmt: skip
        return Frame(Ledgered(step=self.step, micro="", rows=tuple(rows), loss=0.53125, samples=32, note="coming"))

    def ranked(self, message: Ranked) -> Frame:
        inputs = self.values("a", message.layer - 1) if message.layer else self.values("x", 0)
        order, body = ranked(inputs, self.values("delta", message.layer), message.unit), Body()
        arrays = {
            "rows": body.add(order.rows), "given": body.add(order.given), "along": body.add(order.along),
            "delta": body.add(order.delta), "x": body.add(self.values("x", 0)[order.rows]),
            "y": body.add(self.values("y", 0)[order.rows]), "out": body.add(self.values("a", 2)[order.rows]),
            "source": body.add(order.rows + 1000),
        }  # fmt: skip
        reply = RankedRows(
            step=self.step, micro="", layer=message.layer, unit=message.unit, arrays=arrays, samples=32,
            gradient=order.gradient, picture=(8, 8), names=tuple(map(str, range(10))),
        )  # fmt: skip
        return Frame(reply, body.bytes())

    def staged(self) -> Frame:
        rows = tuple(tuple(norm / (row + 1) for norm in (0.5, 0.6, 0.3, 0.03)) for row in range(self.layers))
        names = ("raw", "regularised", "clipped", "applied")
        reply = Staged(step=self.step, micro="", names=names, rows=rows, missing=(0, 0, 0, 0), lr=0.1,
                       limits={"clip_norm": 0.5}, penalties=True, note="coming")  # fmt: skip
        return Frame(reply)

    INSIDE = ("gate.forget", "cell", "delta.time", "share.attention", "attention")

    def inside(self, message: Inside) -> Frame:
        """Layer 0 is an LSTM with attention beside it, over eight letters; the others have nothing inside."""
        common: dict[str, Any] = {"step": self.step, "micro": "", "layer": message.layer}
        if message.layer:
            return Frame(Insides(**common, note="dense2: a layer of type dense has nothing inside but z and a"))
        name, body = message.name if message.name in self.INSIDE else self.INSIDE[0], Body()
        sample, page = max(0, min(message.sample, 3)), max(0, min(message.page, 1))
        draw, letters = np.random.default_rng(10 * sample + page), tuple("to be or")
        common |= {"names": self.INSIDE, "name": name, "sample": sample, "samples": 4, "column_names": letters}
        if name == "delta.time":
            values = 10.0 ** np.arange(-7, 1)[None] * 0.5
            arrays = {"values": body.add(values), "mean": body.add(values[0] * 2)}
            return Frame(Insides(**common, axes=("", "step"), arrays=arrays), body.bytes())
        if name == "share.attention":
            arrays = {"values": body.add(draw.random((1, 8))), "mean": body.add(np.linspace(0.2, 0.9, 8))}
            return Frame(Insides(**common, axes=("", "step"), arrays=arrays), body.bytes())
        if name == "attention":
            scores = np.exp(draw.normal(size=(8, 8))) * np.tri(8)
            arrays = {"values": body.add(scores / scores.sum(1, keepdims=True))}
            reply = Insides(**common, axes=("query", "key"), row_names=letters, arrays=arrays, page=page, pages=2,
                            page_name="head")  # fmt: skip
            return Frame(reply, body.bytes())
        values = draw.random((16, 8)) if name == "gate.forget" else draw.normal(size=(16, 8))
        return Frame(Insides(**common, axes=("unit", "step"), arrays={"values": body.add(values)}), body.bytes())

    def checked(self, message: Check) -> Frame:
        names = [f"dense{index + 1}" for index in range(self.layers)]
        scalars = {"loss": 0.53125, "step": float(self.step), "lr": 0.1, "epoch": self.step / 45, "val_loss": None}
        functions: dict[str, Any] = {"dead": lambda layer: 0.25, "grad_norm": lambda layer: 0.0125}

        def row(text: str, one: Armed | None = None) -> CheckedRow:
            try:
                condition = parse(text, layers=names)
            except ConditionError as error:
                return CheckedRow(text, error=str(error), at=error.at)
            parts = [
                PartRow(f"{p.text} {p.sign}".strip(), p.value, p.limit, p.holds)
                for p in condition.parts(scalars, functions)
            ]
            every = (212 if condition.calls else 1) if one is not None and one.enabled else 0
            return CheckedRow(text, condition.value(scalars, functions), tuple(parts), every=every)

        reply = Checked(step=self.step, rows=tuple(map(row, message.texts)), armed=self.armed,
                        armed_rows=tuple(row(one.text, one) for one in self.armed), known_at=self.step)  # fmt: skip
        return Frame(reply)

    async def close(self, leave: bool = True) -> None:
        self.closed = leave
