"""Frames → frozen snapshots. The store alone changes; widgets are functions of the snapshot last given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from msgspec.structs import replace

from bptui.protocol.framing import Frame
from bptui.protocol.messages import (
    Events,
    FindingRow,
    Findings,
    Goodbye,
    Histograms,
    LayerRow,
    Layers,
    LogChunk,
    ModelInfo,
    Output,
    Status,
)
from bptui.runs.records import LOW_EXPONENT, QUANTITIES, SPECIAL_CELLS, TABLE_COLUMNS
from bptui.spec.describe import describe, receptive
from bptui.spec.experiment import Experiment, Optimizer
from bptui.spec.sources import source_of
from bptui.tui.ports import Curves
from bptui.tui.shapes import reads as reads_of
from bptui.tui.text import change_text, clean, number

STATES = ("STARTING", "READY", "RUNNING", "PAUSED", "DONE", "FAILED", "STALE", "WAITING", "HELD", "STOPPED")
ENDED = ("DONE", "FAILED", "STALE", "STOPPED")
_COLUMN = {name: index for index, name in enumerate(TABLE_COLUMNS)}


class LayerView(msgspec.Struct, frozen=True):
    """One layer of the model list. ``inputs``: 0 where it is not known before the data are read."""

    name: str
    inputs: int
    units: int
    activation: str
    parameters: int
    kind: str = "dense"
    shape: tuple[int, ...] = ()
    """Of its output, without the batch."""
    reads: tuple[str, ...] = ()
    """What it reads besides the layer before it (``joins``), or in its place; ``input`` is the batch."""
    joins: bool = False
    field: tuple[int, ...] = ()
    """Its receptive field on the sample, along the axes of places; empty: all of it, or not known."""


class ModelView(msgspec.Struct, frozen=True):
    """What the model pane and the header say of the network. All text is clean."""

    title: str = ""
    engine: str = ""
    engine_reason: str = ""
    device: str = ""
    dtype: str = ""
    features: int = 0
    sample: tuple[int, ...] = ()
    """Shape of one sample; empty: a row of ``features``."""
    layers: tuple[LayerView, ...] = ()
    loss: str = ""
    optimizer: str = ""
    adversary: str = ""
    """Of two networks: the discriminator's optimiser; ``optimizer`` is the generator's."""
    settings: str = ""
    schedule: str = ""
    data: str = ""
    epochs: int | None = None
    steps_per_epoch: int = 0
    task: str = ""
    experiment: Experiment | None = None
    optimizers: tuple[str, ...] = ()
    """Of a script: their classes."""
    known: bool = False
    """The trainer has built it (else it is what the experiment says)."""

    @property
    def script(self) -> bool:
        """A script of the user's own trains it."""
        return self.engine == "script"

    @property
    def sizes(self) -> str:
        """``64-32-16-10``; the middle of a deep network is left out. Of a script: how many layers."""
        if self.script:
            return f"{len(self.layers)} layers"
        if self.experiment is not None and self.experiment.adversary is not None:
            return self._two_sizes(self.experiment.adversary.noise)
        sizes = [str(self.features)] if self.features else []
        sizes += [str(layer.units) for layer in self.layers]
        if len(sizes) > 8:
            sizes = [*sizes[:4], "…", *sizes[-2:]]
        return "-".join(sizes)

    def _two_sizes(self, noise: int) -> str:
        """``8-64-64-2 · 64-64-1``: the generator's, and the discriminator's."""
        words, between = [[str(noise)]], next((i for i, la in enumerate(self.layers) if la.kind == "mix"), 0)
        words[0] += [str(layer.units) for layer in self.layers[:between]]
        words.append([str(layer.units) for layer in self.layers[between + 1 :]])
        return " · ".join("-".join(each if len(each) <= 4 else [*each[:2], "…", each[-1]]) for each in words)


class Row(msgspec.Struct, frozen=True):
    """One layer's numbers; nan: not there."""

    grad_norm: float
    update_ratio: float
    dead: int
    """−1: cannot die, or not counted yet."""
    units: int
    silent: float
    seen: int = 0


class Histogram(msgspec.Struct, frozen=True):
    """Counts of floor(log₂|x|) of one layer: ``cells[i]`` is exponent ``LOW_EXPONENT + i``."""

    zero: int
    nan: int
    inf: int
    below: int
    above: int
    cells: tuple[int, ...]


class Finding(msgspec.Struct, frozen=True):
    """One finding in clean text."""

    fault: str
    layer: str
    severity: str
    units: tuple[int, ...]
    first_step: int
    not_before: int
    message: str
    evidence: tuple[tuple[str, str], ...]
    fix: str


class EventView(msgspec.Struct, frozen=True):
    """What someone changed in state ``step``, in clean text (``lr 0.1→0.05``)."""

    step: int
    text: str


class Snapshot(msgspec.Struct, frozen=True):
    """Everything that is drawn."""

    state: str = "STARTING"
    step: int = 0
    epoch: float = 0.0
    micro: str = ""
    text: str = ""
    steps_per_second: float = 0.0
    probe_share: float = 0.0
    pace: float = 0.0
    lr: float = 0.0
    settings: tuple[tuple[str, float], ...] = ()
    """What ``Set`` changes beside lr, as the trainer says it is."""
    total_steps: int | None = None
    controller: bool = True
    faces: int = 1
    code: int | None = None
    model: ModelView = ModelView()
    rows: tuple[Row, ...] = ()
    histograms: tuple[tuple[str, tuple[Histogram, ...]], ...] = ()
    findings: tuple[Finding, ...] = ()
    events: tuple[EventView, ...] = ()
    output: tuple[str, ...] = ()
    curves: Curves | None = None
    beneath: Curves | None = None
    """Of the run that this one is a branch of."""
    log_bytes: int = 0
    """Grows with the history: what tells a chart that there is something new."""
    link: str = "connecting"
    """``connecting``, ``live``, ``lost`` or ``ended``."""
    link_text: str = ""
    read_only: bool = False

    @property
    def script(self) -> bool:
        """A script of the user's own, also before its first update has told what it trains."""
        return self.model.script or (self.model.experiment is None and not self.model.layers)

    @property
    def saw_little(self) -> bool:
        """A script that ended before there was much to see: its text says why."""
        return self.state == "DONE" and self.script and self.step <= 1 and bool(self.text)

    @property
    def shown_state(self) -> str:
        """The state word: a lost connection is STALE, whatever the trainer said last."""
        return "STALE" if self.link == "lost" or (self.link == "ended" and self.state == "RUNNING") else self.state

    @property
    def micro_layer(self) -> str:
        """The layer at which a micro-step stands."""
        return self.micro.split(" ", 1)[1] if " " in self.micro else ""

    def histogram(self, quantity: str) -> tuple[Histogram, ...]:
        return dict(self.histograms).get(quantity, ())


def view_of(experiment: Experiment) -> ModelView:
    """What can be said before the trainer has read the data."""
    source = source_of(experiment.data)
    features = source.features if source is not None else 0
    rows = describe(experiment)
    layers = [
        LayerView(clean(row.name), row.inputs or 0, row.units, row.activation, row.parameters or 0, row.kind, row.shape,
                  *reads, row.field)
        for row, reads in zip(rows, reads_of([row.name for row in rows], [row.sources for row in rows]), strict=True)
    ]
    return replace(
        _spec_lines(experiment),
        title=clean(experiment.experiment.name or experiment.data.source, 60),
        dtype=experiment.experiment.dtype,
        features=features,
        sample=(source.shape or ()) if source is not None else (),
        layers=tuple(layers),
    )


def settings_text(optimizer: Optimizer) -> str:
    """``lr 0.1 momentum 0.9``: the rate, and what differs from its default."""
    settings = [f"lr {number(optimizer.lr)}"]
    defaults = _defaults(type(optimizer))
    for name in ("momentum", "alpha", "beta1", "beta2", "weight_decay", "clip_norm", "clip_value"):
        value, default = getattr(optimizer, name, None), defaults.get(name)
        if value is not None and value != default:
            settings.append(f"{name.replace('_', ' ')} {number(value)}")
    return " ".join(settings)


@cache
def _defaults(table: type[Optimizer]) -> dict[str, Any]:
    """Of the fields of a table. (msgspec compiles its annotations anew each time that it is asked.)"""
    return {field.name: field.default for field in msgspec.structs.fields(table)}


def _spec_lines(experiment: Experiment) -> ModelView:
    optimizer, adversary = experiment.optimizer, experiment.adversary
    schedule = str(experiment.schedule.__struct_config__.tag)
    return ModelView(
        loss=str(experiment.loss.__struct_config__.tag),
        optimizer=str(optimizer.__struct_config__.tag),
        adversary="" if adversary is None else str(adversary.optimizer.__struct_config__.tag),
        settings=settings_text(optimizer),
        schedule="" if schedule == "constant" else schedule,
        data=f"{clean(experiment.data.source, 60)} batch {experiment.data.batch_size}",
        epochs=experiment.stop.epochs,
        experiment=experiment,
    )


def experiment_of(raw: bytes) -> Experiment | None:
    """The experiment in a ModelInfo (JSON, or MessagePack of the same); None for a script."""
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            value = decode(raw)
            if isinstance(value, (bytes, str)):
                value = msgspec.json.decode(value)
            return msgspec.convert(value, Experiment)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return None


class Store:
    """The newest of each topic, and the history. ``apply`` says what changed."""

    def __init__(self, experiment: Experiment | None, title: str, curves: Callable[[], Curves]) -> None:
        model = view_of(experiment) if experiment is not None else ModelView()
        if title:
            model = replace(model, title=clean(title, 60))
        self.snapshot = Snapshot(model=model)
        self._curves = curves
        self._apply: dict[type, Callable[[Any, Frame], None]] = {
            Status: self._status,
            ModelInfo: self._model,
            Layers: self._layers,
            Histograms: self._histograms,
            Findings: self._findings,
            Events: self._events,
            Output: self._output,
            LogChunk: self._log,
            Goodbye: self._goodbye,
        }

    def apply(self, frame: Frame) -> bool:
        """Take one frame; whether it must be painted at once (the state, a place or an end changed)."""
        before = self.snapshot
        take = self._apply.get(type(frame.message))
        if take is not None:
            take(frame.message, frame)
        now = self.snapshot
        return _urgent(before) != _urgent(now) or (now.state != "RUNNING" and before.step != now.step)

    def set_link(self, link: str, text: str = "") -> None:
        """What became of the connection."""
        self.snapshot = replace(self.snapshot, link=link, link_text=clean(text, 200))

    def connected(self, read_only: bool) -> None:
        """A session began; its log comes from the start again."""
        self.snapshot = replace(
            self.snapshot, link="live", link_text="", read_only=read_only, curves=None, log_bytes=0,
            controller=False if read_only else self.snapshot.controller,
        )  # fmt: skip

    def lay_beneath(self, curves: Curves | None) -> None:
        """Curves for the chart to draw beneath the run's own."""
        self._put(beneath=curves)

    def _put(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, **changes)

    def _status(self, message: Status, frame: Frame) -> None:
        if message.rank != 0:
            return
        self._put(
            state=message.state if message.state in STATES else clean(message.state, 8),
            step=message.step, epoch=message.epoch, micro=clean(message.micro, 80), text=clean(message.text, 300),
            steps_per_second=message.steps_per_second, probe_share=message.probe_share, pace=message.pace,
            lr=message.lr, settings=tuple(message.settings.items()),
            total_steps=message.total_steps, faces=message.faces, code=message.code,
            controller=message.controller and not self.snapshot.read_only,
        )  # fmt: skip

    def _model(self, message: ModelInfo, frame: Frame) -> None:
        experiment = experiment_of(bytes(message.spec))
        fields = receptive(experiment, message.sample) if experiment is not None else {}
        read = reads_of([r.name for r in message.layers], [r.sources for r in message.layers])
        layers = tuple(
            LayerView(clean(r.name, 200), r.inputs, _units_of(r), clean(r.activation, 40), r.parameters,
                      clean(r.kind, 40), r.shape, *reads, fields.get(r.name, ()))
            for r, reads in zip(message.layers, read, strict=True)
        )  # fmt: skip
        spec = _spec_lines(experiment) if experiment is not None else ModelView()
        view = replace(
            spec, title=clean(message.title, 60), engine=clean(message.engine, 20),
            engine_reason=clean(message.engine_reason, 200), device=clean(message.device, 40),
            dtype=clean(message.dtype, 10), features=message.features, sample=message.sample, layers=layers, known=True,
            steps_per_epoch=message.steps_per_epoch, task=clean(message.task, 20),
            optimizers=tuple(clean(name, 40) for name in message.optimizers),
        )  # fmt: skip
        self._put(model=view, total_steps=message.total_steps or self.snapshot.total_steps)

    def _layers(self, message: Layers, frame: Frame) -> None:
        table = frame.array(message.table)
        if table.ndim != 2 or table.shape[1] < len(TABLE_COLUMNS):
            return
        rows = []
        for values in table.tolist():
            dead, units, seen = (values[_COLUMN[name]] for name in ("dead", "units", "seen"))
            rows.append(
                Row(
                    grad_norm=values[_COLUMN["grad_norm"]],
                    update_ratio=values[_COLUMN["update_ratio"]],
                    silent=values[_COLUMN["silent"]],
                    dead=int(dead) if dead == dead else -1,
                    units=int(units) if units == units else 0,
                    seen=int(seen) if seen == seen else 0,
                )
            )
        self._put(rows=tuple(rows))

    def _histograms(self, message: Histograms, frame: Frame) -> None:
        counts = frame.array(message.counts)
        if message.quantity not in QUANTITIES or counts.ndim != 2 or counts.shape[1] <= len(SPECIAL_CELLS):
            return
        special = len(SPECIAL_CELLS)
        views = tuple(
            Histogram(zero=row[0], nan=row[1], inf=row[2], below=row[3], above=row[4], cells=tuple(row[special:]))
            for row in counts.tolist()
        )
        every = dict(self.snapshot.histograms)
        every[message.quantity] = views
        self._put(histograms=tuple(every.items()))

    def _findings(self, message: Findings, frame: Frame) -> None:
        self._put(findings=tuple(_finding(row) for row in message.findings))

    def _events(self, message: Events, frame: Frame) -> None:
        self._put(
            events=tuple(
                EventView(row.step, clean(change_text(row.change, row.before, row.after), 80)) for row in message.events
            )
        )

    def _output(self, message: Output, frame: Frame) -> None:
        self._put(output=tuple(clean(line) for line in message.lines))

    def _log(self, message: LogChunk, frame: Frame) -> None:
        curves = self.snapshot.curves or self._curves()
        data = bytes(frame.raw(message.data))
        curves.feed(message.offset, data)
        self._put(curves=curves, log_bytes=message.offset + len(data))

    def _goodbye(self, message: Goodbye, frame: Frame) -> None:
        self._put(link="ended", link_text=clean(message.reason, 200))


def _units_of(row: LayerRow) -> int:
    return row.shape[row.unit_axis] if -len(row.shape) <= row.unit_axis < len(row.shape) else 0


def _urgent(snapshot: Snapshot) -> tuple[object, ...]:
    """What is painted at once when it changes: the answers to keys."""
    s = snapshot
    return s.shown_state, s.micro, s.text, s.pace, s.controller, s.link, s.code


def _finding(row: FindingRow) -> Finding:
    evidence = tuple(
        (clean(str(name), 80), clean(value, 200) if isinstance(value, str) else number(value))
        for name, value in row.evidence.items()
    )
    return Finding(
        clean(row.fault, 60), clean(row.layer or "", 200), row.severity, row.units, row.first_step, row.not_before,
        clean(row.message, 400), evidence, clean(row.fix, 600),
    )  # fmt: skip


def exponents(views: tuple[Histogram, ...]) -> tuple[int, int] | None:
    """First and last exponent that any layer has; None where all are empty."""
    used = [index for view in views for index, cell in enumerate(view.cells) if cell]
    return (LOW_EXPONENT + min(used), LOW_EXPONENT + max(used)) if used else None
