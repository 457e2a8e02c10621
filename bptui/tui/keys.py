"""The one table of keys: it feeds bindings, the key bar, the palette, the help screen and the docs.

``python -m bptui.tui.keys`` prints it as a Markdown table.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Place = Literal["main", "inspector"]
MAIN: tuple[Place, ...] = ("main",)
BOTH: tuple[Place, ...] = ("main", "inspector")


class Key(msgspec.Struct, frozen=True):
    """One row: what a key is called, does and says."""

    keys: tuple[str, ...]
    """Textual's names of the keys."""
    shown: str
    """As a reader sees it."""
    action: str
    """``action_<this>`` of the screen."""
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


KEYS: tuple[Key, ...] = (
    Key(("space",), "space", "run_pause", "run/pause",
        "Run, or pause after the current update. On DONE: train as long again.",
        BOTH, "Run / Pause", "you have control", 2, True),
    Key(("s", "full_stop"), "s", "step", "step",
        "One whole update, then pause. While running: pause at the next boundary. Also: full stop.",
        BOTH, "Step", "you have control", 3, True),
    Key(("n",), "n", "micro_step", "micro",
        "One micro-step: batch, forward of a layer, loss, backward of a layer, clip, update.",
        BOTH, "MicroStep", "you have control", 5, True),
    Key(("plus", "equals_sign"), "+", "pace(1)", "faster",
        "Faster: micro-play, 1, 10, 50, 100 steps/s, then as fast as it goes.",
        BOTH, "Pace", "you have control", 0, True),
    Key(("minus",), "-", "pace(-1)", "slower",
        "Slower, down to micro-play: a few micro-steps a second.",
        BOTH, "Pace", "you have control", 0, True),
    Key(("i", "enter"), "i", "inspect", "inspect",
        "The values z, a, δ, ∇W, W of the selected layer, as exact numbers. Pauses first while running.",
        MAIN, "Inspect", "a layer is selected", 4),
    Key(("e",), "e", "edit", "edit",
        "Edit the layers and the learning rate, then restart with them.",
        MAIN, "Stop", "the run is bptui's own", 6),
    Key(("R",), "R", "restart", "restart",
        "Restart from step 0 with the same experiment, as a new run.",
        MAIN, "Stop", "the run is bptui's own", 9),
    Key(("h",), "h", "histogram", "∇W/W/a/δ",
        "The histograms' quantity: gradients ∇W, weights W, activations a, deltas δ.", MAIN, "", "", 10),
    Key(("y",), "y", "log_axis", "log axis", "Logarithmic or linear axis of the loss.", MAIN, "", "", 11),
    Key(("f",), "f", "findings", "findings", "All findings with their evidence and fix.", MAIN, "", "", 7),
    Key(("t",), "t", "output", "log", "What the trainer printed.", MAIN, "", "", 12),
    Key(("z",), "z", "zoom", "zoom", "Let the focused pane fill the screen, or give the others their place back.",
        MAIN, "", "", 8),
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
    Key(("tab",), "tab", "quantity(1)", "quantity", "The next quantity: z, a, δ, ∇W, W, the two factors of δ, b, ∇b.",
        ("inspector",), "Inspect", "paused", 4, True),
    Key(("shift+tab",), "shift+tab", "quantity(-1)", "quantity back", "The quantity before.",
        ("inspector",), "Inspect", "paused", 0, True),
    Key(("left_square_bracket",), "[", "layer(-1)", "layer before", "The layer before.",
        ("inspector",), "Inspect", "paused", 6, True),
    Key(("right_square_bracket",), "]", "layer(1)", "next layer", "The next layer.",
        ("inspector",), "Inspect", "paused", 5, True),
    Key(("escape",), "esc", "back", "back", "Up one level. It never quits.", ("inspector",), "", "", 1),
)  # fmt: skip


def keys_of(place: Place) -> tuple[Key, ...]:
    """The rows that work on one screen, its own first."""
    own = INSPECTOR_KEYS if place == "inspector" else ()
    return own + tuple(key for key in KEYS if place in key.places)


def markdown() -> str:
    """The table for the docs."""
    lines = ["| key | what it does | works when | sends |", "| --- | --- | --- | --- |"]
    for key in KEYS + INSPECTOR_KEYS:
        where = " (inspector)" if key.places == ("inspector",) else ""
        lines.append(f"| `{key.shown}`{where} | {key.help} | {key.needs or 'always'} | {key.message or '–'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
