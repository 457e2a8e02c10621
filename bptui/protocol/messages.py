"""Every message between trainer, hub and faces: one tagged union of frozen Structs.

Arrays travel beside the message as raw buffers (see ``framing``); inside a message an array is an
``ArrayRef``. Every message carries ``rank``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

VERSION = 1
CAPABILITIES = ("step", "micro", "pace", "inspect", "set", "log")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", forbid_unknown_fields=True):
    """Base of every message."""

    rank: int = 0


class Request(Message, frozen=True, kw_only=True):
    """Base of what is answered: the reply carries the same ``id``."""

    id: int = 0


class ArrayRef(msgspec.Struct, frozen=True, array_like=True):
    """An array in the frame's body: ``dtype`` as in NumPy (``<f4``), ``shape``, ``offset`` in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


# -- opening a connection --------------------------------------------------------------------------
class Hello(Request, frozen=True, kw_only=True):
    """The first message on each connection."""

    channel: Literal["control", "stream", "trainer"]
    versions: tuple[int, ...] = (VERSION,)
    capabilities: tuple[str, ...] = CAPABILITIES
    face: str = ""
    """The same word on a face's two connections, so that the hub knows them for one face."""
    role: Literal["controller", "observer"] = "controller"
    """``controller``: wants control if nobody has it."""
    owner: bool = False
    """A foreground command: the trainer is stopped when this connection is lost."""
    offset: int = 0
    """Stream: where in the ``scalars`` file to begin."""


class Welcome(Request, frozen=True, kw_only=True):
    version: int
    capabilities: tuple[str, ...]
    run: str
    controller: bool
    """Whether this face has control."""


# -- requests (face → hub → trainer) ---------------------------------------------------------------
class Run(Request, frozen=True, kw_only=True):
    """Run on; on DONE, as long again."""


class Pause(Request, frozen=True, kw_only=True):
    """Pause at the next boundary between updates."""


class Step(Request, frozen=True, kw_only=True):
    """``count`` whole updates, then pause; from inside an update, to its end."""

    count: int = 1


class MicroStep(Request, frozen=True, kw_only=True):
    """``count`` micro-steps, then pause."""

    count: int = 1


class Back(Request, frozen=True, kw_only=True):
    """``count`` updates back (from inside an update, first to its beginning), or micro-steps; then paused."""

    count: int = 1
    micro: bool = False


class GoTo(Request, frozen=True, kw_only=True):
    """Be paused in state ``step`` of what was recorded."""

    step: int


class Pace(Request, frozen=True, kw_only=True):
    """Updates a second; 0: as fast as it goes; −1: micro-play (a few micro-steps a second)."""

    steps_per_second: float


class Stop(Request, frozen=True, kw_only=True):
    """End after the current step and keep the run."""


class Inspect(Request, frozen=True, kw_only=True):
    """Tensors of one layer at the paused place. Answered by ``Inspection``.

    ``kinds`` as in ``engine.base.Kind``. Paused between updates, the values are those that the next
    update will use: this state, its batch.
    """

    layer: int
    kinds: tuple[str, ...]
    limit: int = 1 << 22
    """Most elements of one array; of a larger one the leading rows come."""


class Set(Request, frozen=True, kw_only=True):
    """Change a setting while it trains (``lr``, ``momentum`` …); logged as an event."""

    key: str
    value: float


class Look(Request, frozen=True, kw_only=True):
    """How the model does at large, between two updates; also while RUNNING, and by an observer. Answered by ``Looked``.

    ``confusion``: over the validation part (at most 5,000 rows of it). ``boundary``: which class it gives each point
    of a grid of ``columns`` × ``rows`` (at most 120 × 60) over data with two features; ``points``: so many training
    rows with it, to be drawn on the grid.
    """

    kind: Literal["confusion", "boundary"]
    columns: int = 60
    rows: int = 30
    points: int = 0


class Keep(Request, frozen=True, kw_only=True):
    """Write a keyframe of the present state; an update that is under way is done first."""


class TakeControl(Request, frozen=True, kw_only=True):
    """Become the one controller."""


class Leave(Request, frozen=True, kw_only=True):
    """This face goes on purpose: an owner's trainer is *not* stopped."""


# -- replies ---------------------------------------------------------------------------------------
class Ok(Request, frozen=True, kw_only=True):
    step: int = 0


class Refused(Request, frozen=True, kw_only=True):
    """``code``: ``not-controller``, ``unsupported``, ``bad-request``, ``ended``, ``version``."""

    code: str
    message: str


class Inspection(Request, frozen=True, kw_only=True):
    step: int
    micro: str
    """The place inside the update (``backward dense2``), or empty between updates."""
    layer: int
    loss: float | None
    arrays: dict[str, ArrayRef]
    shapes: dict[str, tuple[int, ...]]
    """Whole shapes, where ``limit`` cut an array."""
    note: str = ""


class Looked(Request, frozen=True, kw_only=True):
    """``confusion``: ``counts`` int32 (classes, classes), a row a true class, a column what was predicted.

    ``boundary``: ``classes`` uint8 (rows, columns), the first row the highest y; ``sure`` uint8, its probability
    × 255; ``box`` f64 (4,): x of the first and last column, y of the last and first row, in the data's own units;
    ``points`` f64 (n, 2) and ``labels`` int32 (n,) where they were asked for.
    """

    kind: str
    step: int
    part: str
    """Of which part of the data: ``validation``, or ``train`` where there is none."""
    samples: int
    seconds: float
    """What it cost the trainer: a face that asks again waits in proportion."""
    arrays: dict[str, ArrayRef]
    names: tuple[str, ...] = ()
    """Of the classes."""
    features: tuple[str, ...] = ()


# -- stream (hub → face) ---------------------------------------------------------------------------
class LogChunk(Message, frozen=True, kw_only=True):
    """Bytes of the ``scalars`` file from ``offset`` (in ``data``, an array of bytes): batched, never dropped."""

    offset: int
    data: ArrayRef


class LayerRow(msgspec.Struct, frozen=True):
    """One layer of the model as the trainer built it."""

    name: str
    kind: str
    inputs: int
    shape: tuple[int, ...]
    activation: str
    parameters: int


class ModelInfo(Message, frozen=True, kw_only=True):
    """Topic ``model``: what the trainer built; sent once it is known."""

    run: str
    title: str
    engine: str
    engine_reason: str
    device: str
    dtype: str
    layers: tuple[LayerRow, ...]
    features: int
    outputs: int
    task: str
    steps_per_epoch: int
    total_steps: int | None
    spec: bytes
    """The experiment as JSON, defaults filled in."""


class Status(Message, frozen=True, kw_only=True):
    """Topic ``status``."""

    state: str
    step: int
    epoch: float
    micro: str = ""
    text: str = ""
    """One line: why FAILED, what a pause waits at."""
    steps_per_second: float = 0.0
    probe_share: float = 0.0
    pace: float = 0.0
    lr: float = 0.0
    total_steps: int | None = None
    controller: bool = False
    faces: int = 1
    code: int | None = None
    """The trainer's exit status once it has ended."""
    settings: dict[str, float] = {}
    """What ``Set`` changes, as it now is (without lr); a limit that is off is not there."""


class Layers(Message, frozen=True, kw_only=True):
    """Topic ``layers``: the last per-layer table (``runs.log.TABLE_COLUMNS``), float32 (layers, columns)."""

    step: int
    table: ArrayRef


class Histograms(Message, frozen=True, kw_only=True):
    """Topic ``histograms``: counts of floor(log₂|x|), uint32 (layers, cells), a quantity."""

    step: int
    quantity: str
    counts: ArrayRef


class FindingRow(msgspec.Struct, frozen=True):
    """One finding, as in ``findings.jsonl`` and the report."""

    fault: str
    layer: str | None
    units: tuple[int, ...]
    severity: Literal["error", "warning", "info"]
    first_step: int
    not_before: int
    message: str
    evidence: dict[str, float | str]
    fix: str


class Findings(Message, frozen=True, kw_only=True):
    """Topic ``findings``: all of them, root cause first."""

    findings: tuple[FindingRow, ...]


class EventRow(msgspec.Struct, frozen=True):
    """One intervention: what was changed in state ``step``, from what to what."""

    step: int
    change: str
    before: float | str | None = None
    after: float | str | None = None


class Events(Message, frozen=True, kw_only=True):
    """Topic ``events``: interventions that a chart marks, oldest first (the last ``runs.events.MOST``)."""

    events: tuple[EventRow, ...]


class Output(Message, frozen=True, kw_only=True):
    """Topic ``output``: the tail of trainer.log, control characters escaped."""

    lines: tuple[str, ...]


class Goodbye(Message, frozen=True, kw_only=True):
    """The hub ends; ``reason`` is one line."""

    reason: str


TrainerRequest = Run | Pause | Step | MicroStep | Back | GoTo | Pace | Stop | Inspect | Set | Look | Keep
"""What a hub passes on."""
AnyRequest = Hello | TrainerRequest | TakeControl | Leave
AnyReply = Welcome | Ok | Refused | Inspection | Looked
AnyTopic = LogChunk | ModelInfo | Status | Layers | Histograms | Findings | Events | Output | Goodbye
AnyMessage = AnyRequest | AnyReply | AnyTopic
