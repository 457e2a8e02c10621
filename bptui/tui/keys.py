"""The one table of keys: it feeds bindings, the key bar, the palette, the help screen and the docs.

``python -m bptui.tui.keys`` prints it as a Markdown table.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Place = Literal[
    "main", "inspector", "breakpoints", "lens", "whatif", "onebatch", "runs", "builder", "form", "charts", "lesson"
]
MAIN: tuple[Place, ...] = ("main",)
BOTH: tuple[Place, ...] = ("main", "inspector", "charts", "breakpoints", "lens", "whatif", "onebatch")
DRAWN: tuple[Place, ...] = ("main", "charts")


class Key(msgspec.Struct, frozen=True):
    """One row: what a key is called, does and says."""

    keys: tuple[str, ...]
    """Textual's names of the keys."""
    shown: str
    """As a reader sees it."""
    action: str
    """``action_<this>`` of the screen; ``screen('NAME')`` opens a row of ``screens/registry.py``."""
    label: str
    """In the key bar and the palette."""
    help: str
    """One sentence."""
    places: tuple[Place, ...] = MAIN
    message: str = ""
    """The message of the protocol that it sends, if it sends one."""
    needs: str = ""
    """When it is enabled, in words; empty: always."""
    rank: int = 0
    """Place in the key bar: what has the highest rank is dropped first; 0 is never in it."""
    transport: bool = False
    """A priority binding of the screen: it works whichever pane has the focus."""
    script: str = ""
    """Why it is not there under a script of the user's own; empty: it is."""
    native: str = ""
    """Why it is not there for a network of bptui's own; empty: it is."""
    script_label: str = ""
    """What it is called in the key bar and the palette under a script, where that is another."""

    def named(self, script: bool) -> str:
        """Its label for this kind of run."""
        return (script and self.script_label) or self.label


_NO_MICRO = "a script's update is one step: s does it; micro-steps are for bptui's own networks"
_OWN_PACE = "a script keeps its own pace"
_OWN_MODEL = "a script's model is written in the script: change it there, and run it again"
_SCRIPTS_ONLY = "only under a script: bptui's own networks are changed with i, e and l"

KEYS: tuple[Key, ...] = (
    Key(("space",), "space", "run_pause", "run/pause",
        "Run, or pause after the current update. On DONE: train as long again.",
        BOTH, "Run / Pause", "you have control", 2, transport=True),
    Key(("s", "full_stop"), "s", "step", "step",
        "One whole update, then pause. While running: pause at the next boundary. Also: full stop.",
        BOTH, "Step", "you have control", 3, transport=True),
    Key(("n",), "n", "micro_step", "micro",
        "One micro-step: batch, forward of a layer, loss, backward of a layer, clip, update.",
        BOTH, "MicroStep", "you have control", 5, transport=True, script=_NO_MICRO),
    Key(("S", "comma"), "S", "step_back", "step back",
        "One whole update back, bit for bit; from inside an update, to its beginning. Also: comma. A script cannot "
        "rewind: its kept snapshots are offered.",
        BOTH, "Back", "you have control", 6, transport=True, script_label="snapshots"),
    Key(("N",), "N", "micro_back", "micro back",
        "One micro-step back, also into the update before. A script cannot rewind: its kept snapshots are offered.",
        BOTH, "Back", "you have control", 0, transport=True, script_label="snapshots"),
    Key(("g",), "g", "screen('go_to')", "go to",
        "Go to any step of what was recorded: 1284, +100, -10, epoch 3, end. Under a script: to a kept snapshot.",
        BOTH, "GoTo", "you have control", 8, script_label="roll back"),
    Key(("K",), "K", "keep", "keep",
        "Keep a snapshot of the weights and the optimiser as they are now; under a script, g rolls back to it.",
        BOTH, "Keep", "you have control"),
    Key(("plus", "equals_sign"), "+", "pace(1)", "faster",
        "Faster: micro-play, 1, 10, 50, 100 steps/s, then as fast as it goes.",
        BOTH, "Pace", "you have control", 0, transport=True, script=_OWN_PACE),
    Key(("minus",), "-", "pace(-1)", "slower",
        "Slower, down to micro-play: a few micro-steps a second.",
        BOTH, "Pace", "you have control", 0, transport=True, script=_OWN_PACE),
    Key(("i", "enter"), "i", "screen('inspector')", "inspect",
        "The values z, a, δ, ∇W, W of the selected layer, as exact numbers. Pauses first while running.",
        MAIN, "Inspect", "a layer is selected", 4),
    Key(("d",), "d", "screen('lens')", "dead units",
        "The dead-unit lens: how often each unit fires over thousands of samples, and what killed the dead ones.",
        MAIN, "Lens", "the run is bptui's own", 6,
        script="a script's samples are its own: how many of its units are dead stands in pane 3"),
    Key(("x",), "x", "screen('whatif')", "what if",
        "What if: the run from this step on with another rate, activation, optimiser …, beside its own future. Of a "
        "script, the paused step on its own batch.",
        ("main", "lens"), "Branch / Try", "the run is bptui's own, or a script is paused", 6),
    Key(("e",), "e", "screen('builder')", "edit",
        "Build the model: layers, loss, optimiser, data; apply it as a new run, or keep the weights that fit.",
        MAIN, "Stop", "the run is bptui's own", 6, script=_OWN_MODEL),
    Key(("l",), "l", "screen('settings')", "settings",
        "Live settings: lr, momentum, decay, clipping, dropout, batch size, changed while it trains.",
        MAIN, "Set", "you have control", 5),
    Key(("u",), "u", "undo_setting", "undo setting", "Take back the last setting that was changed here, and say what.",
        MAIN, "Set", "you have control"),
    Key(("r",), "r", "screen('runs')", "runs",
        "Every run, with its branches below it: open one, or delete it.", MAIN, "", "", 8),
    Key(("o",), "o", "screen('open')", "open",
        "Open another run by its name, or a place in it: RUN@STEP/layer/quantity[row,column], as Y copies."),
    Key(("F",), "F", "freeze", "freeze",
        "Freeze the selected layer: its parameters are updated no more; once more, and they are again.",
        MAIN, "Set", "you have control", 11),
    Key(("D",), "D", "revive", "revive",
        "Draw new incoming weights for the dead units of a script's selected activation; their moments begin anew.",
        MAIN, "Set", "you have control", 9, native=_SCRIPTS_ONLY),
    Key(("R",), "R", "restart", "restart",
        "Restart from step 0 with the same experiment, as a new run.",
        MAIN, "Stop", "the run is bptui's own", 9,
        script="a script begins anew from the shell: bptui run, with the same words"),
    Key(("h",), "h", "histogram", "∇W/W/a/δ",
        "The histograms' quantity: gradients ∇W, weights W, activations a, deltas δ.", DRAWN, "", "", 10),
    Key(("v",), "v", "screen('charts')", "views",
        "Charts that fill the screen: loss, metrics, histograms, ridge, heat, confusion, boundary.", MAIN, "", "", 7),
    Key(("y",), "y", "log_axis", "log axis", "Logarithmic or linear axis of the loss.", DRAWN, "", "", 11),
    Key(("m",), "m", "metric", "metric",
        "The next series of the loss chart: loss, accuracy, R², learning rate, ‖∇W‖ and more.", DRAWN, "", "", 12),
    Key(("a",), "a", "smooth", "smooth",
        "Smooth the curve: a running mean with weight 0.6, 0.9, 0.97, none; the raw curve stays, faint.",
        DRAWN, "", "", 13),
    Key(("greater_than_sign",), ">", "zoom_steps(0.5)", "zoom in",
        "Half as many steps, around the crosshair. In the chart: up; shift+left and shift+right move, end follows.",
        DRAWN),
    Key(("less_than_sign",), "<", "zoom_steps(2.0)", "zoom out",
        "Twice as many steps. In the chart: down; home shows the whole run.", DRAWN),
    Key(("b",), "b", "screen('breakpoints')", "break",
        "Breakpoints: conditions that pause the run, with what they are now.",
        ("main", "inspector", "charts"), "Check / Arm", "you have control", 7),
    Key(("f",), "f", "screen('findings')", "findings", "All findings with their evidence and fix.", MAIN, "", "", 7),
    Key(("t",), "t", "screen('output')", "log", "What the trainer printed.", MAIN, "", "", 12),
    Key(("z",), "z", "zoom", "zoom", "Let the focused pane fill the screen, or give the others their place back.",
        MAIN, "", "", 8),
    Key(("M",), "M", "picture", "diagram",
        "The network as a diagram, or as a list: units as dots, weights as shades. In pane 1 also: m.",
        MAIN, "Inspect"),
    Key(("1",), "1", "focus_pane(1)", "model", "Focus the model."),
    Key(("2",), "2", "focus_pane(2)", "loss", "Focus the loss chart."),
    Key(("3",), "3", "focus_pane(3)", "gradients", "Focus the gradients."),
    Key(("4",), "4", "focus_pane(4)", "findings pane", "Focus the findings."),
    Key(("Y",), "Y", "copy", "copy",
        "Copy the place under the cursor, as RUN@STEP/layer/quantity, with its value; bptui open takes it.", BOTH),
    Key(("ctrl+z",), "ctrl+z", "suspend", "suspend",
        "Back to the shell for a while; fg brings the screen back. Training goes on.", BOTH),
    Key(("c",), "c", "take_control", "take control", "Take control of the run; the face that had it then watches.",
        BOTH, "TakeControl", "another face has control", 0),
    Key(("question_mark",), "?", "explain", "help", "Explain what is focused, then list the keys.", BOTH, "", "", 1),
    Key(("ctrl+p", "colon"), ":", "palette", "palette", "Every action by name. Also: Ctrl-P.", BOTH),
    Key(("q",), "q", "leave", "quit",
        "Leave: at once when nothing runs; else it asks whether training goes on. Also: Ctrl-Q, Ctrl-C.",
        BOTH, "Leave / Stop", "", 1),
)  # fmt: skip

INSPECTOR_KEYS: tuple[Key, ...] = (
    Key(("tab",), "tab", "quantity(1)", "quantity",
        "The next quantity: z, a, δ, ∇W, W, ΔW, the two factors of δ, b, ∇b, x.",
        ("inspector",), "Sheet", "paused", 4, transport=True),
    Key(("shift+tab",), "shift+tab", "quantity(-1)", "quantity back", "The quantity before.",
        ("inspector",), "Sheet", "paused", 0, transport=True),
    Key(("left_square_bracket",), "[", "layer(-1)", "layer before", "The layer before.",
        ("inspector",), "Ledger / Sheet", "paused", 6, transport=True),
    Key(("right_square_bracket",), "]", "layer(1)", "next layer", "The next layer.",
        ("inspector",), "Ledger / Sheet", "paused", 5, transport=True),
    Key(("1",), "1", "view_at(1)", "ledger", "The ledger: δ as the product of its two factors, with their norms.",
        ("inspector",), "Ledger / Sheet", "paused"),
    Key(("2",), "2", "view_at(2)", "matrix", "One quantity as a matrix.", ("inspector",), "Sheet", "paused"),
    Key(("3",), "3", "view_at(3)", "rows of the batch",
        "The batch's rows, ranked by what they give to the gradient of the unit under the cursor.",
        ("inspector",), "Ranked", "paused"),
    Key(("4",), "4", "view_at(4)", "stages", "The gradient raw, regularised, clipped, and the Δ applied.",
        ("inspector",), "Stages", "paused"),
    Key(("5",), "5", "view_at(5)", "inside",
        "Inside the layer, of one sample: gates over time, attention, where δ dies in time; tab shows the next.",
        ("inspector",), "Inside", "paused"),
    Key(("enter",), "enter", "open_here", "this sample",
        "The sample under the cursor; in the stages, the matrix of one.",
        ("inspector",), "Ranked / Sheet", "paused", 7),
    Key(("greater_than_sign",), ">", "zoom_cells(-1)", "nearer", "Nearer: smaller blocks, more digits.",
        ("inspector",), "Sheet", "paused"),
    Key(("less_than_sign",), "<", "zoom_cells(1)", "farther",
        "Farther: short numbers, a shade a cell, a shade for a block of cells, up to the whole matrix.",
        ("inspector",), "Sheet", "paused", 9),
    Key(("o",), "o", "sort(0)", "sort rows", "Sort rows: by norm, by their values in the cursor's column, as they are.",
        ("inspector",), "Sheet", "paused", 10),
    Key(("O",), "O", "sort(1)", "sort columns",
        "Sort columns: by norm, by their values in the cursor's row, as they are.",
        ("inspector",), "Sheet", "paused"),
    Key(("r",), "r", "reverse", "reverse", "Smallest first, or largest first again.",
        ("inspector",), "Sheet", "paused"),
    Key(("slash",), "/", "mark", "mark",
        "Mark cells that meet a condition: < 0, == 0, abs > 1e-3, > 0 and <= 1, not finite.",
        ("inspector",), "Sheet", "paused", 8),
    Key(("m",), "m", "next_match", "next marked", "To the next cell that is marked.",
        ("inspector",), "Sheet", "paused"),
    Key(("M",), "M", "picture", "pictures", "Rows of x, or weights of the first layer's units, as pictures.",
        ("inspector",), "Sheet", "inputs are pictures"),
    Key(("e",), "e", "edit_cell", "edit", "Give the cell of W or b under the cursor another value, as an event.",
        ("inspector",), "Set", "you have control", 11),
    Key(("w",), "w", "shadow", "float64", "The paused step again in float64: the relative error of each layer's δ.",
        ("inspector",), "Shadow", "paused", 12),
    Key(("escape",), "esc", "back", "back", "Up one level. It never quits.", ("inspector",), "", "", 1),
)  # fmt: skip

BREAKPOINTS_KEYS: tuple[Key, ...] = (
    Key(("a", "insert"), "a", "add", "add", "Type a condition; tab completes names of functions and layers.",
        ("breakpoints",), "Check / Arm", "you have control", 3),
    Key(("enter", "e"), "enter", "change", "change", "Change the condition under the cursor. Also: e.",
        ("breakpoints",), "Check / Arm", "you have control", 4),
    Key(("o",), "o", "enable", "on/off", "Look at the condition under the cursor, or leave it be for now.",
        ("breakpoints",), "Arm", "you have control", 5),
    Key(("x", "delete"), "x", "remove", "remove", "Remove the condition under the cursor.",
        ("breakpoints",), "Arm", "you have control", 5),
    Key(("B",), "B", "first", "first step",
        "Bisect: the first step at which the condition under the cursor held, and go there; again: leave off.",
        ("breakpoints",), "GoTo", "", 6, script="a script cannot be done again from its record: no first step"),
    Key(("r",), "r", "recheck", "check again", "What the conditions are in the present state.",
        ("breakpoints",), "Check", "", 7),
    Key(("escape",), "esc", "back", "back", "Leave what is typed, or go back.", ("breakpoints",), "", "", 1),
)  # fmt: skip

RUNS_KEYS: tuple[Key, ...] = (
    Key(("enter",), "enter", "open", "open", "Open the run under the cursor; the one that is shown goes on without.",
        ("runs",), "", "", 3),
    Key(("x", "delete"), "x", "delete", "delete", "Delete the run under the cursor from the disk; asks first.",
        ("runs",), "", "it has ended", 4),
    Key(("escape", "r"), "esc", "back", "back", "Back to the panes.", ("runs",), "", "", 1),
)  # fmt: skip

CHARTS_KEYS: tuple[Key, ...] = (
    Key(("tab",), "tab", "view(1)", "next chart", "The next chart. Also: 1 to 7.", ("charts",), "", "", 4,
        transport=True),
    Key(("shift+tab",), "shift+tab", "view(-1)", "chart before", "The chart before.", ("charts",), "", "", 0,
        transport=True),
    *(
        Key((str(number),), str(number), f"view_at({number})", label, f"The {label} chart.", ("charts",))
        for number, label in enumerate(
            ("loss", "metrics", "histogram", "ridge", "heat", "confusion", "boundary"), start=1
        )
    ),
    Key(("left_square_bracket",), "[", "layer(-1)", "layer before", "The layer before.", ("charts",), "", "", 6),
    Key(("right_square_bracket",), "]", "layer(1)", "next layer", "The next layer.", ("charts",), "", "", 5),
    Key(("escape", "v"), "esc", "back", "back", "Take the crosshair away, then back to the panes.",
        ("charts",), "", "", 1),
)  # fmt: skip

LENS_KEYS: tuple[Key, ...] = (
    Key(("enter",), "enter", "certify", "certificate, go there",
        "The death certificate of the unit; once more: to the last step in which it fired.",
        ("lens",), "GoTo", "the unit is dead or saturated", 2),
    Key(("w",), "w", "first", "first death", "Go to the step whose update killed the first units of the network.",
        ("lens",), "GoTo", "a certificate is shown", 3),
    Key(("left_square_bracket",), "[", "layer(-1)", "layer before", "The layer before.", ("lens",), "", "", 0),
    Key(("right_square_bracket",), "]", "layer(1)", "next layer", "The next layer.", ("lens",), "", "", 4),
    Key(("o",), "o", "order", "order", "Order: by unit, state, firing rate, max z, distance to firing, |a|.",
        ("lens",), "", "", 5),
    Key(("f",), "f", "filter", "filter", "Show all units, or the dead, the dormant, the quiet or the alive ones.",
        ("lens",), "", "", 5),
    Key(("backspace",), "backspace", "give_up", "give up", "Give up looking for a certificate.", ("lens",)),
    Key(("escape",), "esc", "back", "back", "Back to the panes.", ("lens",), "", "", 1),
)  # fmt: skip

WHATIF_KEYS: tuple[Key, ...] = (
    Key(("enter",), "enter", "enter", "run, adopt", "Run what is selected; once it is done: go on in it, as a branch.",
        ("whatif",), "Branch", "you have control", 2),
    Key(("a",), "a", "add", "add", "Another change: lr=0.03, or several that are made together.",
        ("whatif",), "", "", 3),
    Key(("A",), "A", "all", "run all", "Run every row that has not run yet.", ("whatif",), "", "", 4),
    Key(("backspace", "delete"), "backspace", "cancel", "cancel", "Cancel the row that runs; once more: remove it.",
        ("whatif",), "", "", 5),
    Key(("left_square_bracket",), "[", "steps(0.5)", "fewer steps", "Half as many steps.", ("whatif",), "", "", 0),
    Key(("right_square_bracket",), "]", "steps(2.0)", "more steps", "Twice as many steps.", ("whatif",), "", "", 6),
    Key(("y",), "y", "log_axis", "log axis", "Logarithmic or linear axis of the loss.", ("whatif",), "", "", 7),
    Key(("escape",), "esc", "back", "back", "Back; what still runs here is cancelled.", ("whatif",), "", "", 1),
)  # fmt: skip

ONE_BATCH_KEYS: tuple[Key, ...] = (
    Key(("enter",), "enter", "enter", "try, apply",
        "Try what is selected; once it is done: make the change in the script itself, where it can take it.",
        ("onebatch",), "Try / Set", "paused", 2),
    Key(("a",), "a", "add", "add", "Another change: lr=0.03, or several that are made together.",
        ("onebatch",), "Try", "paused", 3),
    Key(("A",), "A", "all", "try all", "Try every row that has not been tried yet.",
        ("onebatch",), "Try", "paused", 4),
    Key(("backspace", "delete"), "backspace", "remove", "remove", "Remove the row.", ("onebatch",), "", "", 5),
    Key(("escape",), "esc", "back", "back", "Back to the panes.", ("onebatch",), "", "", 1),
)  # fmt: skip

FORM_KEYS: tuple[Key, ...] = (
    Key(("enter", "down", "tab"), "enter", "next", "next", "The next field; what was typed is taken as it is typed.",
        ("form",), "", "", 2),
    Key(("left", "right"), "← →", "turn", "choose", "Another choice; typing its first letters finds it too.",
        ("form",), "", "", 2),
    Key(("ctrl+r",), "ctrl+r", "default", "default", "The field's default value.", ("form",), "", "", 5),
    Key(("ctrl+z",), "ctrl+z", "undo", "undo", "Undo.", ("form",), "", "", 4),
    Key(("ctrl+s",), "ctrl+s", "apply", "apply", "Apply: a new run with it. Impossible while there are problems.",
        ("form",), "Stop", "you have control", 1),
    Key(("f1",), "F1", "explain", "help", "Explain the field, then list the keys.", ("form",), "", "", 3),
    Key(("escape",), "esc", "back", "rows", "Back to the rows; text that is no value is taken back first.",
        ("form",), "", "", 1),
)  # fmt: skip

BUILDER_KEYS: tuple[Key, ...] = (
    Key(("enter",), "enter", "enter", "change", "Change the values of the row: each field explains itself.",
        ("builder",), "", "", 2),
    Key(("a",), "a", "add", "add", "Add a layer behind the selected one: kinds that fit there stand first.",
        ("builder",), "", "", 3),
    Key(("x", "delete"), "x", "remove", "remove", "Remove the layer. Also: Delete.", ("builder",), "", "", 4),
    Key(("d",), "d", "duplicate", "double", "The same layer once more.", ("builder",), "", "", 7),
    Key(("K", "shift+up"), "K", "earlier", "up", "Move the layer towards the input. Also: Shift-Up.",
        ("builder",), "", "", 8),
    Key(("J", "shift+down"), "J", "later", "down", "Move the layer towards the output. Also: Shift-Down.",
        ("builder",), "", "", 8),
    Key(("p",), "p", "presets", "presets", "Start from a preset, a variant, or from nothing.",
        ("builder",), "", "", 5),
    Key(("o",), "o", "open", "load", "Load an experiment from a TOML file.", ("builder",), "", "", 9),
    Key(("w",), "w", "write", "save", "Save the experiment as a TOML file.", ("builder",), "", "", 9),
    Key(("ctrl+z", "u"), "ctrl+z", "undo", "undo", "Undo. Also: u.", ("builder",), "", "", 6),
    Key(("ctrl+y",), "ctrl+y", "redo", "redo", "Do again what was undone.", ("builder",), "", "", 10),
    Key(("ctrl+s",), "ctrl+s", "apply", "apply", "Apply: a new run with it. Impossible while there are problems.",
        ("builder",), "Stop", "you have control", 1),
    Key(("question_mark", "f1"), "?", "explain", "help", "Explain the row, then list the keys. Also: F1.",
        ("builder",), "", "", 1),
    Key(("escape",), "esc", "back", "back", "From a field to the rows, from there to the run.",
        ("builder",), "", "", 1),
)  # fmt: skip

LESSON_KEYS: tuple[Key, ...] = (
    Key(("n",), "n", "micro_step", "micro-step", "Let the trainer do the next piece of its update.",
        ("lesson",), "MicroStep", "the question is answered", 2),
    Key(("enter",), "enter", "answer", "check, go on", "Check the number that was typed, or go on.",
        ("lesson",), "", "", 2),
    Key(("tab",), "tab", "show_answer", "show the answer", "Show the answer, and go on from there.",
        ("lesson",), "", "a question is asked", 3),
    Key(("backspace",), "backspace", "erase", "erase", "Take back the last character of the answer.",
        ("lesson",), "", "a question is asked", 0),
    Key(("escape",), "esc", "back", "leave the lesson",
        "Leave the lesson for the main screen; the step is kept, and the lesson goes on there the next time.",
        ("lesson",), "", "", 1),
    Key(("ctrl+z",), "ctrl+z", "suspend", "suspend", "Back to the shell for a while; fg brings the screen back.",
        ("lesson",)),
    Key(("question_mark",), "?", "explain", "help", "Explain the step, then list the keys.", ("lesson",), "", "", 1),
    Key(("ctrl+p", "colon"), ":", "palette", "palette", "Every action by name. Also: Ctrl-P.", ("lesson",)),
    Key(("q",), "q", "leave", "quit", "Leave bptui. Also: Ctrl-Q, Ctrl-C.", ("lesson",), "Leave / Stop", "", 1),
)  # fmt: skip


#: The rows of each screen's own, before those that it shares with others.
OWN: dict[Place, tuple[Key, ...]] = {
    "main": (), "inspector": INSPECTOR_KEYS, "breakpoints": BREAKPOINTS_KEYS, "runs": RUNS_KEYS,
    "lens": LENS_KEYS, "whatif": WHATIF_KEYS, "onebatch": ONE_BATCH_KEYS,
    "charts": CHARTS_KEYS, "builder": BUILDER_KEYS, "form": FORM_KEYS,
    "lesson": LESSON_KEYS,
}  # fmt: skip


def keys_of(place: Place) -> tuple[Key, ...]:
    """The rows that work on one screen, its own first."""
    return OWN[place] + tuple(key for key in KEYS if place in key.places)


def why_not(action: str, script: bool) -> str:
    """Why the action of a row is not there for this kind of run; empty: it is, or is no row's."""
    for key in KEYS + tuple(key for rows in OWN.values() for key in rows):
        if key.action == action:
            return key.script if script else key.native
    return ""


def markdown() -> str:
    """The table for the docs."""
    lines = ["| key | what it does | works when | sends |", "| --- | --- | --- | --- |"]
    for key in KEYS + tuple(key for rows in OWN.values() for key in rows):
        where = f" ({key.places[0]})" if len(key.places) == 1 and key.places != MAIN else ""
        lines.append(f"| `{key.shown}`{where} | {key.help} | {key.needs or 'always'} | {key.message or '–'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
