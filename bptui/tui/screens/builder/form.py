"""The right of the builder: every key of one table, changed where it stands."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events

from bptui.spec.fields import NODEFAULT, TAGGED, Field, about, read, text_of
from bptui.spec.sources import SOURCES
from bptui.tui import shapes
from bptui.tui.glyphs import Glyphs
from bptui.tui.screens.builder.curve import ROWS, curve
from bptui.tui.screens.builder.draft import Draft, Item, chooses_kind
from bptui.tui.screens.builder.outline import BuilderPane
from bptui.tui.text import clean, fit
from bptui.tui.widgets.pane import Line

#: Least cells of a value.
VALUE = 12
#: Least cells of the words behind a value; where there are fewer, only problems are said there.
NOTE = 24
#: What may be typed into a field of each kind; one of its choices too, where it has any.
TYPED = {
    "integer": "a whole number",
    "number": "a number, as 0.05 or 1e-3",
    "text": "any text",
    "word": "a name or a number",
    "numbers": "numbers with commas between",
    "integers": "whole numbers with commas between",
    "names": "names with commas between",
    "sizes": "a whole number, or two with a comma between",
}


class Form(BuilderPane):
    """``row`` is the field with the cursor; ``text`` is what is being typed into it (None: nothing)."""

    def __init__(self, draft: Draft, glyphs: Glyphs, id: str) -> None:
        super().__init__(draft, glyphs, id)
        self.item = Item("data")
        self.row = 0
        self.text: str | None = None
        self.caret = 0
        self.error = ""
        """Why what is being typed is no value."""
        self.said = ""
        """What was changed along with the last key."""
        self._typed = ""
        self._session = 0

    # -- what it shows -----------------------------------------------------------------------------
    def turn_to(self, item: Item) -> None:
        """Another table."""
        if item != self.item or self.row >= len(self.fields):
            self.item, self.row, self._first = item, 0, 0
        self.leave_field()

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.draft.fields(self.item)

    @property
    def field(self) -> Field:
        return self.fields[min(self.row, len(self.fields) - 1)]

    def heading(self) -> list[tuple[int, str, str]]:
        if self.item.table == "model":
            name = self.draft.rows()[self.item.layer].name
            return [(1, f" {clean(name, 40)} ", "title")]
        if self.item.table.startswith("adversary."):
            return [(1, f" discriminator: {clean(self.draft.word(self.item), 40)} ", "title")]
        return [(1, f" {'runs on' if self.item.table == 'machine' else self.item.table} ", "title")]

    def top(self, width: int) -> list[tuple[int, str, str]]:
        if self.item.table != "model":
            return []
        row = self.draft.rows()[self.item.layer]
        if not row.shape:
            return []
        arrow = "->" if self.glyphs.name == "ascii" else "→"
        size = f"{row.inputs or '?'} {arrow} {row.units or '?'}"
        if len(row.shape) > 1:
            size = shapes.batch(row.shape, self.glyphs)
        known = [size, f"{row.parameters:,} parameters" if row.parameters else ""]
        if row.field and row.kind != "dense":
            known.insert(1, f"sees {shapes.batch(row.field, self.glyphs)[2:]}")
        room = width - cell_len(row.name) - 8
        while len(known) > 1 and len(", ".join(filter(None, known))) > room:
            known.pop(-2 if len(known) > 2 else -1)
        return [(-1, f" {', '.join(filter(None, known))} ", "dim")]

    def inside(self, width: int, height: int) -> list[Line]:
        problems: dict[str, str] = {}
        for problem in self.draft.problems_of(self.item):
            problems.setdefault(problem.key, problem.message)
        fields = self.fields
        self._label = max(len(field.key) for field in fields) + 2
        longest = max((len(choice) for field in fields for choice in field.choices), default=0) + 5
        self._wide = max(VALUE, min(longest, width - 2 - self._label))
        rows = [self._line(index, field, problems.get(field.key, ""), width) for index, field in enumerate(fields)]
        first = self.follow(self.row, height, len(rows))
        shown = rows[first : first + height]
        activation = getattr(self.draft.struct(self.item), "activation", "")
        if activation and height - len(shown) >= ROWS + 4:
            picture = curve(activation, width, self.glyphs)
            shown += [[], [("  ", "text"), (f"g(z) = {activation}", "strong")], [], *picture]
        return shown

    _label, _wide = 16, 20

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        return self.scroll_text(self.size.height - 2, len(self.fields))

    def _line(self, index: int, field: Field, problem: str, width: int) -> Line:
        here = index == self.row
        on = "+cursor" if here and self.active else ""
        value = self.draft.value(self.item, field)
        error = self.error if here else ""
        lead = (f"{self.glyphs.cursor} " if here else "  ", "key" + on)
        label = (fit(field.key, self._label), ("bad" if problem or error else "strong" if here else "text") + on)
        line: Line = [lead, label, *self._value(field, value, here, on)]
        note, tone = (error or problem), "bad"
        if not note:
            note, tone = brief(self._note(field, value)), "dim"
        room = width - 2 - self._label - self._wide - 1
        if room < NOTE and tone == "dim":
            note = ""
        if (error or problem) and self.glyphs.name != "ascii":
            note = "✖ " + note
        line.append((" " + fit(clean(note), max(0, room)), tone + on))
        return line

    def _value(self, field: Field, value: object, here: bool, on: str) -> Line:
        choice = field.kind in ("choice", "flag")
        if here and self.text is not None:
            shown, caret = _window(self.text, self.caret, self._wide - 2)
            after = shown[caret : caret + 1] or " "
            return [
                (" ", "text" + on), (shown[:caret], "strong" + on), (after, "strong+caret"),
                (fit(shown[caret + 1 :], self._wide - 2 - caret), "strong" + on),
            ]  # fmt: skip
        text = clean(text_of(field, value), 200)
        plain = field.default is not NODEFAULT and value == field.default and not chooses_kind(self.item, field)
        style = "dim" if plain else "first"
        if here and self.active:
            style = "strong"
        if choice and here and self.active:
            left, right = ("<", ">") if self.glyphs.name == "ascii" else ("‹", "›")
            return [(left + " ", "key" + on), (text or "auto", style + on), (f" {right}", "key" + on),
                    (" " * max(0, self._wide - 4 - len(text or "auto")), "text" + on)]  # fmt: skip
        return [(" ", "text" + on), (fit(text or ("auto" if choice else "–"), self._wide - 1), style + on)]

    def _note(self, field: Field, value: object) -> str:
        if chooses_kind(self.item, field):
            return about(TAGGED[self.item.table][1][str(value)])
        return field.help

    def help_lines(self) -> tuple[str, str]:
        """What the field under the cursor is for, and what may be typed."""
        field, value = self.field, self.draft.value(self.item, self.field)
        default = (
            ""
            if field.default is NODEFAULT or chooses_kind(self.item, field)
            else (f"default {text_of(field, field.default) or 'empty'}")
        )
        if field.kind in ("choice", "flag"):
            what = "   ".join(f"[{each}]" if each == text_of(field, value) else each for each in field.choices)
        elif field.key == "source":
            what = "← → " + ", ".join(SOURCES) + ", or a path"
            if (known := SOURCES.get(str(value))) is not None:
                return f"source: {known.about}; {known.features} features, {known.outputs} outputs", what
        else:
            what = "".join(f"{choice}, or " for choice in field.choices) + TYPED[field.kind]
            if field.optional:
                what += ", or nothing"
        return f"{field.key}: {self._note(field, value)}", what + (f"   ·   {default}" if default else "")

    def wrong(self) -> str:
        """What is wrong with the field under the cursor; empty: nothing."""
        problems = [p.message for p in self.draft.problems_of(self.item) if p.key == self.field.key]
        return self.error or (problems[0] if problems else "")

    # -- keys --------------------------------------------------------------------------------------
    def leave_field(self) -> None:
        """Whatever is typed next begins anew."""
        self.text, self.error, self._typed = None, "", ""
        self._session += 1
        self.draft.separate()

    def step(self, by: int) -> bool:
        """Another field; not away from text that is no value."""
        if self.error:
            return False
        self.row = max(0, min(len(self.fields) - 1, self.row + by))
        self.leave_field()
        return True

    def take_key(self, event: events.Key) -> bool:
        """A key for the field under the cursor; whether it was one."""
        self.said = ""
        choice = self.field.kind in ("choice", "flag")
        if event.key in ("left", "right"):
            by = 1 if event.key == "right" else -1
            if choice or (self.field.key == "source" and self.text is None):
                self._turn(by)
            else:
                self._begin()
                self.caret = max(0, min(len(self.text or ""), self.caret + (by if self._moved else 0)))
                self._moved = True
            return True
        if choice and event.key == "space":
            self._turn(1)
        elif choice and event.is_printable and event.character:
            self._jump(event.character)
        elif not choice and event.key in ("backspace", "delete", "home", "end", "ctrl+u", "ctrl+w"):
            self._edit(event.key)
        elif not choice and event.is_printable and event.character:
            self.insert(event.character)
        else:
            return False
        return True

    _moved = False

    def _begin(self) -> None:
        if self.text is None:
            self.text = text_of(self.field, self.draft.value(self.item, self.field))
            self.caret, self._moved = len(self.text), False

    def insert(self, text: str) -> None:
        """Typed or pasted; the first character takes the place of what was there."""
        if self.field.kind in ("choice", "flag"):
            return
        if self.text is None:
            self.text, self.caret = "", 0
        self._moved = True
        self.text = self.text[: self.caret] + text + self.text[self.caret :]
        self.caret += len(text)
        self._read()

    def _edit(self, key: str) -> None:
        self._begin()
        text = self.text or ""
        self._moved = True
        if key == "backspace" and self.caret:
            self.text, self.caret = text[: self.caret - 1] + text[self.caret :], self.caret - 1
        elif key == "delete":
            self.text = text[: self.caret] + text[self.caret + 1 :]
        elif key in ("ctrl+u", "ctrl+w"):
            self.text, self.caret = "", 0
        elif key in ("home", "end"):
            self.caret = 0 if key == "home" else len(text)
            return
        self._read()

    def _read(self) -> None:
        """Take what is typed as the value, or say why it is none."""
        try:
            value = read(self.field, self.text or "")
        except ValueError as error:
            self.error = str(error)
            return
        self.error = ""
        self._set(value)

    def revert(self) -> bool:
        """Text that is no value is taken back, to what stood there before typing; whether there was any."""
        if not self.error:
            return False
        if self.draft.merging == self._merge():
            self.draft.undo()
        self.leave_field()
        return True

    def _merge(self) -> tuple[object, ...]:
        return (self.item, self.field.key, self._session)

    def _set(self, value: object) -> None:
        self.said = self.draft.set(self.item, self.field, value, self._merge())
        if chooses_kind(self.item, self.field):
            self.row = 0

    def reset(self) -> None:
        """The default, where there is one."""
        field = self.field
        self.leave_field()
        if field.default is not NODEFAULT and not chooses_kind(self.item, field):
            self._set(field.default)

    def _options(self) -> tuple[str, ...]:
        field = self.field
        if field.key == "source":
            return tuple(SOURCES)
        return ("", *field.choices) if field.optional else field.choices

    def _turn(self, by: int) -> None:
        options = self._options()
        now = text_of(self.field, self.draft.value(self.item, self.field))
        at = options.index(now) + by if now in options else 0
        self._typed = ""
        self._set(read(self.field, options[at % len(options)]))

    def _jump(self, character: str) -> None:
        """The first choice that begins with what has been typed so far, else with this character."""
        for typed in (self._typed + character, character):
            for option in self._options():
                if option.startswith(typed.lower()) and option:
                    self._typed = typed
                    self._set(read(self.field, option))
                    return
        self._typed = ""
        self.said = f"no choice begins with {character!r}"


def brief(text: str) -> str:
    """The first part of a line of help."""
    for mark in (";", ". ", ": ", " ("):
        text = text.partition(mark)[0]
    return text.rstrip(".")


def _window(text: str, caret: int, width: int) -> tuple[str, int]:
    """The part of a long text around the caret, and where the caret is in it."""
    first = max(0, caret - width + 1)
    return text[first : first + width], caret - first
