"""The lines of the builder above and below its panes, as functions of the draft."""

from __future__ import annotations

from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.builder.draft import Draft, Item
from bptui.tui.screens.builder.form import Form
from bptui.tui.screens.builder.outline import ADD
from bptui.tui.text import clean
from bptui.tui.widgets.pane import Line
from bptui.tui.words import BUILDER


def top_line(draft: Draft, error: str, glyphs: Glyphs) -> Line:
    """Name, widths, parameters, how many problems or changes there are. ``error``: of the field that is typed in."""
    rows = draft.rows()
    ascii_only = glyphs.name == "ascii"
    widths = [str(draft.features or "?"), *(str(row.units or "?") for row in rows)]
    if len(widths) > 8:
        widths = [*widths[:4], "…", *widths[-2:]]
    line: Line = [(" ", "text"), ("BUILD", "second"), ("  ", "text")]
    line += [(clean(draft.experiment.experiment.name or "experiment", 30), "strong"), ("  ", "text")]
    line += [((" - " if ascii_only else " → ").join(widths), "text")]
    if rows and all(row.parameters is not None for row in rows):
        line.append((f"  {sum(row.parameters or 0 for row in rows):,} parameters", "dim"))
    bad, changed = len(draft.problems()) + bool(error), len(draft.changes())
    if bad:
        word = f"{'x' if ascii_only else '✖'} {bad} problem{'s' * (bad > 1)}"
        line += [("  ", "text"), (word, "bad")]
    else:
        word = f"{changed} change{'s' * (changed != 1)}, ctrl+s applies" if changed else "as it runs"
        line += [("  ", "text"), (word, "good" if changed else "dim")]
    return line


def help_of(draft: Draft, item: Item, form: Form | None) -> tuple[str, str, bool]:
    """Two lines about the row, or about the field where ``form`` has the keys; whether the second is a problem."""
    if item is ADD:
        if not draft.experiment.model:
            return "The output layer comes first, as wide as the data need.", str(draft.problems()[0]), True
        return "Add a layer before the last one, which belongs to the data.", "enter or a adds it", False
    if form is not None:
        first, second = form.help_lines()
        wrong = form.wrong()
        return first, wrong or second, bool(wrong)
    problem = _problem_of(draft, item)
    return BUILDER[item.table], problem, bool(problem)


def _problem_of(draft: Draft, item: Item) -> str:
    problems = draft.problems_of(item)
    if problems:
        return f"{problems[0].key}: {problems[0].message}" if problems[0].key else problems[0].message
    if item.table != "model" and not draft.experiment.model and (every := draft.problems()):
        return str(every[0])
    return ""
