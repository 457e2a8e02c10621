"""What applying a draft may keep of the running network."""

from __future__ import annotations

from bptui.tui.screens.builder.dialogs import Choice
from bptui.tui.screens.builder.draft import Draft
from bptui.tui.text import clean


def fitting(draft: Draft, features: int) -> list[str]:
    """Layers whose name and shape are those of the running network: their weights can be taken over."""
    from bptui.spec.describe import describe

    old = {row.name: row for row in describe(draft.running.experiment, features or None)}
    return [
        row.name for row in draft.every()
        if (was := old.get(row.name)) is not None and was.shape == row.shape
        and (was.inputs == row.inputs or row.inputs is None)
    ]  # fmt: skip


def apply_choice(layers: list[str], total: int) -> Choice:
    """Restart, or go on with what ``layers`` of ``total`` have learned."""
    names = ", ".join(map(clean, layers[:6])) + (" …" if len(layers) > 6 else "")
    whole = len(layers) == total
    rows = [
        ("restart", "Restart from step 0 with new weights", "A new run; the present one is stopped and kept."),
        ("keep", "Keep the weights of every layer" if whole else f"Keep the weights of {names}",
         "A new run that starts from the present weights" + ("." if whole else "; the other layers begin anew.")),
    ]  # fmt: skip
    return Choice("Apply", rows)
