"""What the inspector says of what it shows: names, formulas, what rows and columns are, the help of a view."""

from __future__ import annotations

import math

from bptui.spec.networks import MIX
from bptui.tui.screens.inspector import axes
from bptui.tui.screens.inspector.stages import KINDS
from bptui.tui.screens.inspector.views import Nothing, SheetView
from bptui.tui.store import Snapshot
from bptui.tui.widgets.pane import Line
from bptui.tui.words import GATES, INSPECTOR, LAST_DELTA, MEETING, QUANTITIES, STAGE_QUANTITIES

VIEWS = ("ledger", "matrix", "rows", "stages", "inside")
ORDER = tuple(QUANTITIES)
#: Quantities whose rows are inputs. (Rows of x are samples of features; of the rest, samples of units.)
INPUTS = {"W", "grad_W", "update_W", *KINDS}
_WORDS = {**QUANTITIES, **STAGE_QUANTITIES}
#: Of a script's layer, which may be of any kind.
_SCRIPT_WORDS = {
    "delta": ("δ = ∂L/∂a", "how the loss changes with what the layer gives: samples × all of it"),
    "a": ("a", "what the layer gives on: samples × all of it"),
    "z": ("z", "what a layer with weights gives, or what an activation is given: samples × all of it"),
}


def name(quantity: str, ascii_only: bool = False) -> str:
    """``∇W``, or ``grad_W``."""
    return _WORDS[quantity][1 if ascii_only else 0]


def labels(quantity: str) -> tuple[str, str]:
    """What a row and a column of its matrix are."""
    if quantity == "x":
        return "sample", "feature"
    return ("input" if quantity in INPUTS else "sample"), "unit"


def dense(snapshot: Snapshot, index: int) -> bool:
    """Whether the rows' part in the gradient of W is known: each place has inputs of its own."""
    layers = snapshot.model.layers
    return snapshot.script or index >= len(layers) or layers[index].kind == "dense"


def formula_and_meaning(view: str, quantity: str, snapshot: Snapshot, index: int) -> tuple[str, str]:
    """Of what a view shows of layer ``index``."""
    if view == "rows":
        if not dense(snapshot, index):
            return "∂L/∂b[j] = Σₙ Σₓ δₙⱼ(x)", "each row gives its δ, summed over places; enter shows the sample"
        return "∂L/∂W[:, j] = Σₙ aₙ δₙⱼ", "each row gives the vector aₙδₙⱼ; enter shows the sample"
    if view == "stages":
        between = "" if snapshot.script else "regularised → "
        return f"raw → {between}clipped → ΔW", "enter shows the matrix of a stage"
    _, _, text, meaning = _WORDS[quantity]
    layers = snapshot.model.layers
    if index < len(layers) and layers[index].kind == MIX:
        return _meeting(quantity, snapshot) or (text, meaning)
    if quantity == "delta" and index == len(layers) - 1:
        text = LAST_DELTA.get(snapshot.model.loss, "δᴸ = ∂L/∂zᴸ")
    if snapshot.script and quantity in _SCRIPT_WORDS:
        return _SCRIPT_WORDS[quantity]
    if quantity == "a" and index < len(layers):
        meaning = f"g = {layers[index].activation or 'identity'}: samples × units"
    return text, meaning


def _meeting(quantity: str, snapshot: Snapshot) -> tuple[str, str] | None:
    """Where two networks meet."""
    adversary = snapshot.model.experiment.adversary if snapshot.model.experiment is not None else None
    if quantity != "gate" or adversary is None:
        return MEETING.get(quantity)
    return GATES[adversary.goal], "one factor a sample, p = σ(D(x̂)); a true sample has no way to the generator: 0"


def tabs(view: str, quantity: str, snapshot: Snapshot, index: int, *, narrow: bool, ascii_only: bool) -> Line:
    """The layer, the views, and of the matrix which quantity; ``narrow``: only their numbers beside the matrix."""
    layers = snapshot.model.layers
    layer = layers[index].name if index < len(layers) else "?"
    line: Line = [(" ", "text"), (f"{layer} ", "strong"), (f"{index + 1}/{len(layers)} ", "dim")]
    for number, each in enumerate(VIEWS, start=1):
        on = each == view
        word = "" if narrow and view == "matrix" and not on else f"{each} "
        line += [(f" {number} ", "key+cursor" if on else "key"), (word, "strong+cursor" if on else "dim")]
    if view == "matrix":
        line.append((" ", "text"))
        for key in (*ORDER, *(() if quantity in ORDER else (quantity,))):
            line.append((f" {name(key, ascii_only)} ", "key+cursor" if key == quantity else "dim"))
    return line


def exact(
    quantity: str, view: SheetView | Nothing | None, cell: tuple[int, int] | None, value: float | None, zoom: int
) -> Line:
    """What is under the cursor, with all its digits, and what its row and column are."""
    if value is None or cell is None:
        return []
    vector = isinstance(view, SheetView) and view.vector
    whole = view.whole if isinstance(view, SheetView) else ()
    place = str(cell[1]) if vector else ", ".join(map(str, axes.unfolded(whole, cell)))
    block = f" (the largest of {zoom}×{zoom})" if zoom > 1 else ""
    line: Line = [(f" {quantity}[{place}] = ", "dim"), (repr(value), "bad" if not math.isfinite(value) else "strong")]
    line.append((block, "dim"))
    rows, columns = labels(quantity)
    named = axes.words(whole, cell, weights=quantity in INPUTS) or f"{rows} {cell[0]}, {columns} {cell[1]}"
    line.append((f"   {columns} {cell[1]}" if vector else f"   {named}", "dim"))
    loss = view.loss if isinstance(view, SheetView) else None
    if loss is not None:
        line.append((f"   loss {loss!r}", "dim"))
    return line


def about(view: str, quantity: str, snapshot: Snapshot, index: int) -> tuple[str, str]:
    """Title and text of the help."""
    if view in ("rows", "stages", "inside"):
        return f"Inspector: {view}", INSPECTOR[view]
    text, meaning = formula_and_meaning(view, quantity, snapshot, index)
    rows, columns = labels(quantity)
    return f"Inspector: {name(quantity)}", (
        f"{name(quantity)} is {meaning}. Rows are {rows}s and columns are {columns}s; the cell under the cursor stands "
        f"below with all its digits.\n\n    {text}\n\n{INSPECTOR[view]}"
    )
