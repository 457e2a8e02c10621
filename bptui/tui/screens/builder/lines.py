"""The lines of the builder above and below its panes, as functions of the draft."""

from __future__ import annotations

from rich.cells import cell_len

from bptui.spec.describe import Row
from bptui.spec.fields import TAGGED, about
from bptui.spec.sources import source_of
from bptui.tui import shapes
from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.builder.draft import Draft, Item
from bptui.tui.screens.builder.form import Form
from bptui.tui.screens.builder.outline import ADD
from bptui.tui.text import clean
from bptui.tui.widgets.pane import Line
from bptui.tui.words import BUILDER


def top_line(draft: Draft, error: str, glyphs: Glyphs, width: int) -> Line:
    """Name, sizes, parameters, and always how many problems or changes. ``error``: of the field that is typed in."""
    rows = draft.rows()
    ascii_only = glyphs.name == "ascii"
    bad, changed = len(draft.problems()) + bool(error), len(draft.changes())
    if bad:
        word, tone = f"{'x' if ascii_only else '✖'} {bad} problem{'s' * (bad > 1)}", "bad"
    else:
        word = f"{changed} change{'s' * (changed != 1)}, ctrl+s applies" if changed else "as it runs"
        tone = "good" if changed else "dim"
    name = clean(draft.experiment.experiment.name or "experiment", 30)
    parts = [(_sizes(draft, rows, glyphs), "text")]
    every = draft.every()
    if rows and all(row.parameters is not None for row in every):
        parts.append((f"{sum(row.parameters or 0 for row in every):,} parameters", "dim"))
    while len(parts) > 1 and 10 + cell_len(name) + sum(cell_len(text) + 2 for text, _ in parts) + len(word) > width:
        parts.pop()
    line: Line = [(" ", "text"), ("BUILD", "second"), ("  ", "text"), (name, "strong")]
    for text, style in [*parts, (word, tone)]:
        line += [("  ", "text"), (text, style)]
    return line


def _sizes(draft: Draft, rows: tuple[Row, ...], glyphs: Glyphs) -> str:
    """``64 → 32 → 10`` of rows of numbers; of pictures and sequences where they begin, how many layers, the end."""
    arrow = " -> " if glyphs.name == "ascii" else " → "
    source = source_of(draft.experiment.data)
    sample = (source.shape if source else None) or draft.sample or ()
    if len(sample) > 1 and any(len(row.shape) > 1 for row in rows):
        end = shapes.batch(rows[-1].shape, glyphs)
        return arrow.join((shapes.batch(sample, glyphs), f"{len(rows)} layers", end))
    adversary = draft.experiment.adversary
    read = draft.features if adversary is None else adversary.noise
    widths = [str(read or "?"), *(str(row.units or "?") for row in rows)]
    if len(widths) > 8:
        widths = [*widths[:4], "…", *widths[-2:]]
    return arrow.join(widths)


def help_of(draft: Draft, item: Item, form: Form | None) -> tuple[str, str, bool]:
    """Two lines about the row, or about the field where ``form`` has the keys; whether the second is a problem."""
    if item is ADD:
        if not draft.experiment.model:
            return "The output layer comes first, as wide as the data need.", str(draft.problems()[0]), True
        return "Add a layer before the last one, which belongs to the data.", "enter or a: choose its kind", False
    if form is not None:
        first, second = form.help_lines()
        wrong = form.wrong()
        return first, wrong or second, bool(wrong)
    problem = _problem_of(draft, item)
    if item.table == "model":
        return _kind(draft, item.layer), problem or _place(draft, item.layer), bool(problem)
    return BUILDER[item.table], problem, bool(problem)


def _kind(draft: Draft, layer: int) -> str:
    """What a layer of this kind does."""
    kind = draft.rows()[layer].kind
    return BUILDER["model"] if kind == "dense" else f"{kind}: {about(TAGGED['model'][1][kind])}"


def _place(draft: Draft, layer: int) -> str:
    """What the layer reads, who reads it where that is not the next one alone, and how far its places see."""
    rows = draft.rows()
    row = rows[layer]
    if not row.sources:
        return ""
    names = [rows[source].name if source >= 0 else "the batch" for source in row.sources]
    words = [f"reads {' and '.join(names)}"]
    readers = [each.name for each in rows if layer in each.sources]
    if readers and readers != [rows[layer + 1].name]:
        words.append(f"is read by {' and '.join(readers)}")
    if row.field and row.kind != "dense":
        words.append(f"each place sees {' × '.join(map(str, row.field))} of the sample")
    return f"{row.name} {', '.join(words)}."


def _problem_of(draft: Draft, item: Item) -> str:
    problems = draft.problems_of(item)
    if problems:
        return f"{problems[0].key}: {problems[0].message}" if problems[0].key else problems[0].message
    if item.table == "model" or not draft.experiment.model:  # it may be what one has just done there
        return next((str(each) for each in draft.problems() if each.table.startswith("model")), "")
    return ""
