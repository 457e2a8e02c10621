"""Where a long memory dies, as a sentence: the step at which δ on its way back through time has all but vanished."""

from __future__ import annotations

import math
from collections.abc import Sequence

DIES = 0.01
"""A step whose ‖δ‖ is less than this share of where δ comes in teaches next to nothing."""


def fading(sizes: Sequence[float], *, backwards: bool, width: int) -> str:
    """``sizes`` (T,): ‖δ‖ of each step of one sample; ``backwards``: the layer reads from the last step to the first.

    δ begins at the end that the layer reaches last. Where next to none comes in there (a sum over all steps, a target
    at some of them), the largest is what the others are held against.
    """
    order = list(range(len(sizes))) if backwards else list(range(len(sizes) - 1, -1, -1))
    values = [sizes[step] if math.isfinite(sizes[step]) else 0.0 for step in order]
    most = max(values, default=0.0)
    if not most:
        return "δ is 0 at every step: this sample teaches the layer nothing"
    begin = 0 if values[0] >= DIES * most else values.index(most)
    word = ("end" if not backwards else "first") if begin == 0 else "largest"
    behind = len(order) - 1 - begin
    if not behind:
        return f"‖δ‖ is largest at step {order[begin]}: no step lies behind it to remember"
    share = f"{DIES * 100:g} %"
    gone = next((at for at in range(begin, len(order)) if values[at] < DIES * values[begin]), None)
    if gone is None:
        return f"‖δ‖ stays above {share} of its {word} value over all {behind} steps back: nothing dies"
    text = f"At step {order[gone]}, {gone - begin} back, ‖δ‖ has fallen below {share} of its {word} value"
    more = ": what came before teaches the layer next to nothing"
    return text + more if len(text) + len(more) <= width else text
