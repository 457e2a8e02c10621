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


class Order(msgspec.Struct, frozen=True):
    """How rows or columns of a sheet are sorted: ``by`` ``norm``, or ``value`` in column (row) ``at``; empty: not."""

    by: str = ""
    at: int = 0
    ascending: bool = False


class Sheet(Request, frozen=True, kw_only=True):
    """A window of one matrix at the paused place, sorted and zoomed; answered by ``Sheeted``.

    ``kind``: as of ``Inspect``, or ``raw_W``, ``regularised_W``, ``clipped_W``: the gradient's stages. ``top`` and
    ``left`` count blocks of ``zoom``². ``condition``: of ``expr.cells``; ``find``: a place (row, column, sorted)
    behind which the next cell that meets it is looked for, and the window moved there.
    """

    layer: int
    kind: str
    top: int = 0
    left: int = 0
    rows: int = 40
    columns: int = 20
    zoom: int = 1
    row_order: Order = Order()
    column_order: Order = Order()
    condition: str = ""
    find: tuple[int, int] | None = None


class Ledger(Request, frozen=True, kw_only=True):
    """Norms of δ and of its two factors for every layer; answered by ``Ledgered``."""


class Ranked(Request, frozen=True, kw_only=True):
    """Rows of the batch by what they give to the gradient of ``unit``; answered by ``RankedRows``."""

    layer: int
    unit: int
    rows: int = 64


class Stages(Request, frozen=True, kw_only=True):
    """Norms of the gradient raw, regularised, clipped, and of the Δ applied; answered by ``Staged``."""


class Inside(Request, frozen=True, kw_only=True):
    """What a kind of layer shows beyond a, z and δ, of one sample: gates over time, attention. Answer: ``Insides``.

    ``name``: as in ``Engine.views``; empty: the first. ``page``: of those that a sample has (a head of attention).
    """

    layer: int
    name: str = ""
    sample: int = 0
    page: int = 0


class Shadow(Request, frozen=True, kw_only=True):
    """The paused step again in float64; answered by ``Shadowed``."""


class Wanted(msgspec.Struct, frozen=True):
    """A change of a branch, or of a step that is tried: key and value as in ``Set``."""

    key: str
    value: float | str


class Try(Request, frozen=True, kw_only=True):
    """The paused step of a script again on a copy, with these changes, and its update; answered by ``Tried``.

    Keys as in ``attach.variations``; nothing wanted: unchanged. Refused where the step cannot be reproduced.
    """

    wanted: tuple[Wanted, ...] = ()


class Armed(msgspec.Struct, frozen=True):
    """A breakpoint: its condition, and whether it is looked at."""

    text: str
    enabled: bool = True


class Arm(Request, frozen=True, kw_only=True):
    """These are the breakpoints from now on; Refused, and nothing changed, where one cannot be read."""

    conditions: tuple[Armed, ...]


class Check(Request, frozen=True, kw_only=True):
    """What conditions are in the present state, also while RUNNING; answered by ``Checked``.

    ``texts``: to be tried; the breakpoints come with the answer.
    """

    texts: tuple[str, ...] = ()


class Set(Request, frozen=True, kw_only=True):
    """Change something while it trains; logged as an event. Answered by ``Ok``, or by ``Branched`` in the past.

    Keys as in ``trainer.changes``: a setting (``lr``, ``momentum`` …), a cell (``dense1.weight[3,4]``,
    ``dense1.bias[4]``), units that begin again (``dense1.units[3,7]`` = an initialiser), ``dense1.init``,
    ``dense1.activation``, ``dense1.bias+`` (a nudge), ``optimizer``.
    """

    key: str
    value: float | str


class Branch(Request, frozen=True, kw_only=True):
    """Make a branch of this run in state ``step`` with these changes. Answered by ``Branched``."""

    step: int
    changes: tuple[Wanted, ...] = ()


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


class Lens(Request, frozen=True, kw_only=True):
    """What each unit does over a fixed set of training samples, dropout off; also while RUNNING, and by an observer.

    Answered by ``LensSeen``."""


class Keep(Request, frozen=True, kw_only=True):
    """Write a keyframe of the present state; an update that is under way is done first."""


class TakeControl(Request, frozen=True, kw_only=True):
    """Become the one controller."""


class Leave(Request, frozen=True, kw_only=True):
    """This face goes on purpose: an owner's trainer is *not* stopped."""


# -- replies ---------------------------------------------------------------------------------------
class Ok(Request, frozen=True, kw_only=True):
    step: int = 0


class Branched(Request, frozen=True, kw_only=True):
    """The branch's directory is made, and not started yet; this run has stayed as it was."""

    run: str
    directory: str
    step: int


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


class LensRow(msgspec.Struct, frozen=True):
    """A layer of ``LensSeen``: its units are the next ``units`` rows of ``values``. ``gate``: see ``protocol.lens``."""

    name: str
    activation: str
    gate: str
    units: int


class LensSeen(Request, frozen=True, kw_only=True):
    """``values`` f64 (units of all layers, columns of ``protocol.lens.COLUMNS``), over ``samples`` of ``rows``."""

    step: int
    samples: int
    rows: int
    layers: tuple[LensRow, ...]
    values: ArrayRef
    seconds: float
    """What it cost the trainer."""


class SheetFacts(msgspec.Struct, frozen=True):
    """Of a whole matrix; ``low``, ``high`` and ``mean`` of its finite values."""

    norm: float
    low: float
    high: float
    mean: float
    zeros: int
    not_finite: int


class Sheeted(Request, frozen=True, kw_only=True):
    """``values`` (rows, columns) as the engine has them; ``rows`` and ``columns`` int64: their numbers in the matrix.

    ``cells`` uint32: the whole matrix by floor(log₂|x|), as in ``runs.records``. ``matches`` uint8, where a condition
    was given. No arrays: ``missing`` micro-steps are to be done first, or there is no such thing.
    """

    step: int
    micro: str
    layer: int
    kind: str
    loss: float | None = None
    arrays: dict[str, ArrayRef] = {}
    shape: tuple[int, ...] = ()
    top: int = 0
    left: int = 0
    zoom: int = 1
    matched: int = 0
    found: tuple[int, int] | None = None
    facts: SheetFacts | None = None
    picture: tuple[int, ...] = ()
    """The shape of a sample, where rows of ``x`` or columns of the first W are pictures."""
    whole: tuple[int, ...] = ()
    """The tensor's own shape: of more than two axes all but the first are folded into columns."""
    tensor: str = ""
    """The parameter that is shown, as a state names it; empty where it is another thing."""
    missing: int = 0
    note: str = ""


class LedgerRow(msgspec.Struct, frozen=True):
    """One layer's entries, as ``probe.ledger.Account``; ``missing``: micro-steps until its δ is there."""

    delta: float | None
    upstream: float | None
    gate: float | None
    stopped: float | None
    closed: float | None
    ratio: float | None
    missing: int = 0


class Ledgered(Request, frozen=True, kw_only=True):
    step: int
    micro: str
    rows: tuple[LedgerRow, ...]
    loss: float | None = None
    samples: int = 0
    note: str = ""


class RankedRows(Request, frozen=True, kw_only=True):
    """``rows`` int64: rows of the batch; ``given``, ``along``, ``delta`` f64 as in ``probe.ranked``; ``x`` their
    inputs, ``y`` their targets, ``out`` what the network gives, ``source`` int64: their numbers in the data (−1: not
    known)."""

    step: int
    micro: str
    layer: int
    unit: int
    arrays: dict[str, ArrayRef] = {}
    samples: int = 0
    gradient: float = 0.0
    """‖∂L/∂W[:, unit]‖."""
    picture: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    """Of the classes."""
    features: tuple[str, ...] = ()
    missing: int = 0
    note: str = ""


class Staged(Request, frozen=True, kw_only=True):
    """``rows``: a layer's norm at each of ``names``; ``missing``: micro-steps until each is there."""

    step: int
    micro: str
    names: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    missing: tuple[int, ...]
    lr: float
    limits: dict[str, float] = {}
    """Of clipping, those that are on."""
    penalties: bool = False
    note: str = ""


class Insides(Request, frozen=True, kw_only=True):
    """``values`` (rows, columns) of page ``page`` of ``name``; of a line, (1, columns), with ``mean`` (columns,) over
    all samples that run so long. ``zoom``: cells each way of which a value is the largest magnitude."""

    step: int
    micro: str
    layer: int
    names: tuple[str, ...] = ()
    """All that the layer shows; none: it is of a kind that has nothing inside."""
    name: str = ""
    axes: tuple[str, str] = ("", "")
    """What a row and a column are: ``unit``, ``step``, ``query`` …"""
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    """Tokens, where the axis is one of steps and the samples are tokens."""
    arrays: dict[str, ArrayRef] = {}
    tile: int = 0
    """Above 0: ``values`` are small pictures of so many rows, one below the other, named by ``row_names``."""
    zoom: int = 1
    sample: int = 0
    samples: int = 0
    page: int = 0
    pages: int = 1
    page_name: str = ""
    missing: int = 0
    note: str = ""


class Shadowed(Request, frozen=True, kw_only=True):
    """``errors``: ‖δ − δ of float64‖ / ‖δ of float64‖ a layer; None where δ has not been computed yet."""

    step: int
    micro: str
    dtype: str
    errors: tuple[float | None, ...]
    loss: float | None
    exact_loss: float


class Tried(Request, frozen=True, kw_only=True):
    """``loss`` of the batch before the update and ``after`` it; NaN where it is none."""

    step: int
    loss: float
    after: float
    grad_norm: float
    silent: int
    """Units that gave 0 for the whole batch, of the ``units`` that can."""
    units: int
    update_ratio: float
    """‖Δ‖ ∕ ‖θ‖ of what the optimiser changes."""
    made: tuple[str, ...] = ()
    """What was changed, in words."""
    note: str = ""


class PartRow(msgspec.Struct, frozen=True):
    """A part of a condition: what it is now. ``limit``: what a comparison holds it against; ``holds`` of that."""

    text: str
    value: float | None = None
    limit: float | None = None
    holds: bool | None = None


class CheckedRow(msgspec.Struct, frozen=True):
    """One condition; ``holds``: None while something is not known. ``error``: why it cannot be read, at ``at``.

    ``every``: steps between the last two looks at an armed one (1: every step); 0: not known, or not armed.
    """

    text: str
    holds: bool | None = None
    parts: tuple[PartRow, ...] = ()
    error: str = ""
    at: int = 0
    every: int = 0


class Checked(Request, frozen=True, kw_only=True):
    step: int
    rows: tuple[CheckedRow, ...]
    """Of the texts that were asked, in their order."""
    armed: tuple[Armed, ...] = ()
    armed_rows: tuple[CheckedRow, ...] = ()
    known_at: int = 0
    """The state in which layers were measured last."""


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
    sources: tuple[int, ...] = ()
    """Indices of the layers it reads, −1 the batch; empty: the one before it (and scripts, where none is known)."""
    unit_axis: int = -1
    """Axis of ``shape`` along which units lie: 0 for pictures."""


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
    optimizers: tuple[str, ...] = ()
    """Of a script: their classes, in the order of their first update."""
    sample: tuple[int, ...] = ()
    """Shape of one sample; empty: a row."""


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


Looking = Inspect | Look | Lens | Sheet | Ledger | Ranked | Stages | Inside | Shadow | Check | Try
"""What changes nothing: an observer may ask it, and no event tells of it."""
TrainerRequest = Run | Pause | Step | MicroStep | Back | GoTo | Pace | Stop | Set | Keep | Arm | Branch | Looking
"""What a hub passes on."""
Sight = (
    Inspection | Looked | LensSeen | Sheeted | Ledgered | RankedRows | Staged | Insides | Shadowed | Checked | Tried
)  # fmt: skip
TrainerReply = Ok | Refused | Branched | Sight
AnyRequest = Hello | TrainerRequest | TakeControl | Leave
AnyReply = Welcome | TrainerReply
AnyTopic = LogChunk | ModelInfo | Status | Layers | Histograms | Findings | Events | Output | Goodbye
AnyMessage = AnyRequest | AnyReply | AnyTopic
