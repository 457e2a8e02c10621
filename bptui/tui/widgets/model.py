"""The model pane: layers with their sizes, then loss, optimiser and data."""

from __future__ import annotations

from msgspec.structs import replace
from rich.cells import cell_len
from textual import events

from bptui.spec.networks import DISCRIMINATOR, GENERATOR, MIX, layers_of
from bptui.tui import shapes
from bptui.tui.glyphs import BRAILLE, Glyphs
from bptui.tui.store import LayerView, Snapshot, settings_text
from bptui.tui.text import clean, count, fit, right, wrap
from bptui.tui.text import number as number_text
from bptui.tui.widgets.diagram import Weights, draw, legend, marks_of
from bptui.tui.widgets.layers import LayerPane
from bptui.tui.widgets.pane import Line


class ModelPane(LayerPane):
    """Layers of the snapshot's model."""

    number, title = 1, "Model"

    def __init__(self, snapshot: Snapshot, *, glyphs: Glyphs = BRAILLE, id: str | None = None) -> None:
        super().__init__(snapshot, glyphs=glyphs, id=id)
        self.picture = False
        """Whether the network is shown as a diagram, not as a list."""
        self.weights: Weights = {}
        self.weights_of = -1
        """The step whose weights they are."""
        self._drawn: tuple[object, list[Line]] = ((), [])

    def rows_wanted(self) -> int:
        if self.picture:
            return 24
        return len(self.snapshot.model.layers) + 1 + len(self._facts()) + 2

    def _facts(self) -> list[tuple[str, str]]:
        model = self.snapshot.model
        facts = []
        if model.loss:
            facts.append(("loss", model.loss))
        if model.optimizer:
            facts.append((model.optimizer, live_line(self.snapshot)))
        if model.adversary:
            facts.append((f"{model.adversary} of D", adversary_line(self.snapshot)))
        for number, name in enumerate(model.optimizers):
            facts.append((name, script_line(self.snapshot, number)))
        if model.schedule:
            facts.append(("lr", f"{model.schedule}, now {self.snapshot.lr:.3g}"))
        if model.data:
            facts.append(("data", live_data(self.snapshot)))
        return facts

    def drawn_from(self) -> object:
        snapshot = self.snapshot
        of_step = (snapshot.step, snapshot.findings) if self.picture else None
        return snapshot.model, snapshot.settings, snapshot.lr, snapshot.micro, snapshot.link, of_step

    def inside(self, width: int, height: int) -> list[Line]:
        model = self.snapshot.model
        if self.picture and model.layers:
            return self._picture(width, height)
        if not model.layers:
            text = "Starting …" if self.snapshot.link == "connecting" else "No layers known yet."
            return [[(text, "dim")]]
        if model.script:
            times = "x" if self.glyphs.name == "ascii" else "×"
            sizes = [times.join(map(str, la.shape)) or "?" for la in model.layers]
            acts = [la.kind for la in model.layers]
        else:
            sizes = shapes.sizes([(la.inputs, la.shape or (la.units,)) for la in model.layers], self.glyphs)
            frozen = _frozen(self.snapshot)
            acts = [
                MIX if la.kind == MIX
                else shapes.does(la.activation, la.reads, la.joins, self.glyphs, frozen=la.name in frozen)
                for la in model.layers
            ]  # fmt: skip
        names = [shown_name(la) for la in model.layers] if model.adversary else [la.name for la in model.layers]
        read = GENERATOR if model.adversary else "input"
        name = max(cell_len(read), *(cell_len(each) for each in names if each != DISCRIMINATOR))
        size = max(len(text) for text in sizes)
        act = max(4, *(len(text) for text in acts))
        gap = 2 if width >= 2 + name + 2 + size + 2 + act + 6 else 1
        room = width - (2 + gap + size + gap + act)  # a long name takes the place of the number of parameters
        named = model.script or bool(model.adversary) or any(len(la.shape) > 1 for la in model.layers)
        if named and name > room:  # names are what tells rows apart: kinds give way to them
            act = act - (name - room) if act - (name - room) >= 4 else 0
            room = width - (2 + gap + size + gap + act)
        name = min(name, max(6, room - 6 if name <= room - 6 else room))
        used = 2 + name + gap + size + gap + act
        parameters = width - used >= 6
        if not parameters:
            act = max(0, act + min(0, width - used))
        facts = self._facts()
        seen = height - 1 - len(facts)
        if seen < min(3, len(model.layers)):
            facts = facts[: max(0, height - 1 - min(3, len(model.layers)))]
            seen = height - 1 - len(facts)
        first, last = self.window(seen)
        shaped = not model.script and any(len(la.shape) > 1 for la in model.layers)
        features = shapes.batch(model.sample, self.glyphs) if shaped and model.sample else str(model.features or "?")
        if model.adversary and model.experiment is not None and model.experiment.adversary is not None:
            noise = model.experiment.adversary.noise
            features = shapes.batch((noise,), self.glyphs) if shaped else f"{noise}"
        lines: list[Line] = []
        if not model.script:
            first_line: Line = [("  ", "text"), (fit(read, name), "dim"), (" " * gap + right(features, size), "dim")]
            lines.append([*first_line, (" " * gap + fit("noise", act), "dim")] if model.adversary else first_line)
        for index in range(first, last):
            layer, on = model.layers[index], self.on(index)
            if layer.kind == MIX:
                between = fit(DISCRIMINATOR, name + gap + size) + " " * gap + fit(MIX, act)
                line: Line = [self.lead(index), (between, ("strong" if index == self.selected else "dim") + on)]
                lines.append([*line, (" " * max(0, width - used), "dim" + on)])
                continue
            line = [
                self.lead(index),
                (fit(names[index], name), ("strong" if index == self.selected else "text") + on),
            ]
            line += [
                (" " * gap + right(sizes[index], size), "text" + on),
                (" " * gap + fit(acts[index], act), "dim" + on),
            ]
            if parameters:
                text = count(layer.parameters) if layer.parameters else ""
                field = f"sees {'×'.join(map(str, layer.field))}" if layer.field and layer.kind != "dense" else ""
                if field and width - used >= len(field) + 9:
                    line.append(("  " + self._plain(field), "dim" + on))
                    line.append((right(text, width - used - len(field) - 2), "dim" + on))
                else:
                    line.append((right(text, width - used), "dim" + on))
            lines.append(line)
        return lines + self._fact_lines(facts, width, height - len(lines))

    @staticmethod
    def _fact_lines(facts: list[tuple[str, str]], width: int, height: int) -> list[Line]:
        """A line each, or two where there is room and it is long; set off from the layers by a blank one."""
        label = max((len(word) for word, _ in facts), default=0)
        room, spare = max(1, width - label - 1), height - len(facts)
        lines: list[Line] = []
        for word, text in facts:
            parts = wrap(text, room, 2) if spare > 0 and cell_len(text) > room else [fit(text, room).rstrip()]
            spare -= len(parts) - 1
            for number, part in enumerate(parts):
                lines.append([(fit("" if number else word, label), "dim"), (" ", "text"), (part, "text")])
        return [[], *lines] if spare > 0 else lines

    def _plain(self, text: str) -> str:
        return text.replace("×", "x") if self.glyphs.name == "ascii" else text

    def seen(self, weights: Weights, step: int) -> None:
        """Weights have come."""
        self.weights, self.weights_of = weights, step
        self.show()

    def _picture(self, width: int, height: int) -> list[Line]:
        snapshot = self.snapshot
        key = (
            width, height, self.selected, self.weights_of, id(self.weights), snapshot.micro, snapshot.findings,
            snapshot.model, snapshot.step if self.weights_of < 0 else 0, snapshot.step == self.weights_of,
        )  # fmt: skip
        if key != self._drawn[0]:
            lines = draw(snapshot, self.weights, width, height, self.glyphs, self.selected)
            seen = (
                "no weights yet"
                if self.weights_of < 0
                else ("" if self.weights_of == snapshot.step else f"of step {self.weights_of:,}")
            )
            lines += [[] for _ in range(height - 1 - len(lines))]
            self._drawn = (key, [*lines, legend(marks_of(self.glyphs), seen)])
        return self._drawn[1]

    def on_key(self, event: events.Key) -> None:
        if self.picture and event.key in ("left", "right"):
            event.stop()
            event.prevent_default()
            self.move(1 if event.key == "right" else -1)
        # any other key: Textual calls LayerPane's too

    def bottom(self, width: int) -> list[tuple[int, str, str]]:
        if self.picture:
            return []
        scroll = self.scroll_text()
        return [scroll] if scroll[1] else []

    def clicked(self, row: int) -> None:
        if self.picture:
            return
        head = 0 if self.snapshot.model.script else 1
        index = self._first + row - head
        if row >= head and index < min(self._first + self._shown, len(self.snapshot.model.layers)):
            self.choose(index)


def _frozen(snapshot: Snapshot) -> set[str]:
    """Layers whose parameters are not updated, by what was set live, or before the first step by the experiment."""
    now, experiment = dict(snapshot.settings), snapshot.model.experiment
    frozen = {key.partition(".")[2] for key, value in now.items() if key.startswith("freeze.") and value}
    if now or experiment is None:
        return frozen
    return {la.name for la, layer in zip(snapshot.model.layers, layers_of(experiment), strict=False) if layer.freeze}


def shown_name(layer: LayerView) -> str:
    """A layer of two networks: the generator's stand below ``input``, the discriminator's below where they meet."""
    return DISCRIMINATOR if layer.kind == MIX else " " + layer.name.partition(".")[2]


def adversary_line(snapshot: Snapshot) -> str:
    """The settings of the discriminator's optimiser as they now are."""
    experiment, now = snapshot.model.experiment, dict(snapshot.settings)
    if experiment is None or experiment.adversary is None:
        return ""
    optimizer = experiment.adversary.optimizer
    return settings_text(replace(optimizer, lr=now.get("adversary.lr", optimizer.lr)))


def live_line(snapshot: Snapshot) -> str:
    """The optimiser's settings as they now are: what was changed while it trains counts."""
    experiment, now = snapshot.model.experiment, dict(snapshot.settings)
    if experiment is None or not now:
        return snapshot.model.settings
    optimizer = experiment.optimizer
    lr = snapshot.lr if snapshot.lr and not snapshot.model.schedule else optimizer.lr
    changed = {
        key: now.get(key, None if key.startswith("clip_") else getattr(optimizer, key))
        for key in ("momentum", "weight_decay", "clip_norm", "clip_value") if hasattr(optimizer, key)
    }  # fmt: skip
    return settings_text(replace(optimizer, lr=lr, **changed))


def script_line(snapshot: Snapshot, number: int) -> str:
    """The settings of a script's ``number``-th optimiser, those that are 0 or tell nothing left out."""
    suffix = f"#{number + 1}" if number else ""
    now = dict(snapshot.settings)
    if not number:
        now["lr"] = snapshot.lr
    names = [name for name in ("lr", "momentum", "dampening", "weight_decay") if now.get(name + suffix)]
    return " ".join(f"{name.replace('_', ' ')} {number_text(now[name + suffix])}" for name in names)


def live_data(snapshot: Snapshot) -> str:
    """The data's name and the batch size as it now is."""
    size = dict(snapshot.settings).get("batch_size")
    experiment = snapshot.model.experiment
    if size is None or experiment is None or int(size) == experiment.data.batch_size:
        return snapshot.model.data
    return f"{clean(experiment.data.source, 60)} batch {int(size)}"
