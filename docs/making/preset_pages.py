"""What the pages of the presets show: their file, figures over several seeds, curves and norms a layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from bptui.client.seeds import Band, band
from making import measure, reference
from making.blocks import table
from making.svg import Line, Panel, Point, picture

Row = dict[str, Any]

#: Figures in the order shown: metric → heading.
FIGURES = {
    "train_loss": "training loss", "train_accuracy": "training accuracy", "val_loss": "validation loss",
    "val_accuracy": "validation accuracy", "train_r2": "training R²", "val_r2": "validation R²",
    "test_accuracy": "test accuracy", "train_return": "training return", "val_return": "validation return",
    "test_return": "test return", "val_generator_loss": "generator's loss", "val_modes": "modes covered",
    "val_near": "near a mode",
}  # fmt: skip
HEADLINE = ("test_accuracy", "test_return", "val_r2", "val_accuracy", "val_modes")
#: The run that stands for a preset in the index and in its picture of losses, where it is not the first.
BASE = {"init": "glorot"}


def runs(name: str) -> dict[str, Row]:
    found: dict[str, Row] = measure.read(name)["runs"]
    return found


def _called(name: str, variant: str) -> str:
    return variant or name


def toml(name: str) -> str:
    """Block ``toml NAME``: the preset's file as it is."""
    return f"```toml\n{(measure.PRESETS / f'{name}.toml').read_text('utf-8').rstrip()}\n```"


def _value(metric: str, value: float) -> str:
    if metric == "val_modes":
        return f"{value:g}"
    if "accuracy" in metric or metric == "val_near":
        return f"{100 * value:.2f} %"
    if "return" in metric:
        return f"{value:.1f}"
    return f"{value:.3f}" if "r2" in metric else f"{value:.3g}"


def _cell(metric: str, row: Band) -> str:
    return f"**{_value(metric, row.median)}** ({_value(metric, row.low)} – {_value(metric, row.high)})"


def figures(name: str) -> str:
    """Block ``figures NAME``: median and quartiles over the seeds, a row a run."""
    found = runs(name)
    metrics = [metric for metric in FIGURES if any(metric in row["values"] for row in found.values())]
    rows = []
    for variant, row in found.items():
        cells = [_cell(m, band(row["values"][m])) if m in row["values"] else "–" for m in metrics]
        rows.append([f"`{_called(name, variant)}`", *cells, _ended(row)])
    seeds = {len(row["seeds"]) for row in found.values()}
    first = next(iter(found.values()))
    note = (
        f"Median (first – third quartile) over seeds 0–{max(seeds) - 1}, state at the end; "
        f"{first['engine']} engine, {first['dtype']}."
    )
    return table(["run", *(FIGURES[m] for m in metrics), "ended"], rows, "l" + "r" * len(metrics) + "l") + f"\n\n{note}"


def against(name: str) -> str:
    """Block ``against NAME``: RMSE of the runs on ratings held out, beside baselines and the noise that they hold."""
    import numpy as np

    from bptui.data import load
    from bptui.data.ratings import NOISE, baselines
    from bptui.spec.load import load as read

    found, data = runs(name), read(name).data
    told: dict[str, list[float]] = {"the mean": [], "the mean and biases": []}
    for seed in next(iter(found.values()))["seeds"]:
        rated = load(data, seed=seed, dtype="f64")
        assert rated.validation is not None
        parts = [(np.asarray(part.x), part.targets[:, 0]) for part in (rated.train, rated.validation)]
        for row, value in zip(told.values(), baselines(*parts[0], *parts[1]), strict=True):
            row.append(value)
    told |= {f"`{_called(name, run)}`": [loss**0.5 for loss in row["values"]["val_loss"]] for run, row in found.items()}
    told["the noise"] = [NOISE if data.noise is None else data.noise]
    rows = [[what, f"**{(b := band(values)).median:.3f}**" + f" ({b.low:.3f} – {b.high:.3f})" * (len(values) > 1)]
            for what, values in told.items()]  # fmt: skip
    return table(["foretold by", "RMSE on ratings held out"], rows, "lr")


def _ended(row: Row) -> str:
    words = ", ".join(f"{count} × {reason}" for reason, count in row["exit"].items())
    return f"{words}, after {row['steps']:,} steps" if len(row["exit"]) == 1 else words


def findings(name: str) -> str:
    """Block ``findings NAME``: what the diagnosis said."""
    rows = []
    for variant, row in runs(name).items():
        for fault, count in row["finding_seeds"].items():
            said = next((f for f in row["findings"] if f["fault"] == fault), None)
            text = f"step {said['first_step']}: {said['message']}" if said else "not found"
            rows.append([f"`{_called(name, variant)}`", f"`{fault}`", f"{count} of {len(row['seeds'])}", text])
    if not rows:
        return "The diagnosis has nothing to say about these runs."
    return table(["run", "finding", "seeds", "with seed 0"], rows)


def curve(name: str) -> str:
    """Block ``curve NAME``."""
    return f"![Losses and validation of {name}, seed 0]({name}.svg)"


def index() -> str:
    """Block ``presets``: one row each."""
    rows = []
    for name, about in reference.presets_list():
        base = runs(name)
        row = base[BASE.get(name, next(iter(base)))]
        metric = next((m for m in HEADLINE if m in row["values"]), "")
        figure = _value(metric, band(row["values"][metric]).median) if metric else "–"
        others = " ".join(f"`{v}`" for v in base if v and v not in measure.EXTRA.get(name, ())) or "–"
        rows.append([f"[`{name}`]({name}.md)", about, f"{FIGURES.get(metric, '')} {figure}", _time(row), others])
    return table(["preset", "what it shows", "reached (median)", "time", "variants"], rows)


def _time(row: Row) -> str:
    return "under 1 s" if row["seconds"] < 1 else f"{row['seconds']:.0f} s"


# -- pictures --------------------------------------------------------------------------------------------


def _points(rows: list[list[float | None]], at: int = 1) -> list[tuple[float, float]]:
    return [(float(row[0] or 0.0), float("nan") if row[at] is None else float(row[at] or 0.0)) for row in rows]


def losses(name: str) -> str:
    """Loss of the preset with seed 0, and the validation figure of it and its variants."""
    found = runs(name)
    variant = BASE.get(name, "")
    first = found[variant]
    if "val_return" in first["series"]:
        return returns(name)
    rows = first["losses"]
    lines = [Line("training", _points(rows, 2), 0, low=_points(rows, 1), high=_points(rows, 3))]
    if "val_loss" in first["series"]:
        points = _points(first["series"]["val_loss"])
        lines.append(Line("validation", points, 1, dashed=True, marks=len(points) < 12))
    if "generator_loss" in first["series"]:
        lines = [Line("discriminator", lines[0].points, 0, low=lines[0].low, high=lines[0].high),
                 Line("generator", _points(first["series"]["generator_loss"]), 1)]  # fmt: skip
    called = "" if not variant else f" ({variant})"
    left = Panel(f"loss{called}", lines, "step", "log")
    metric = next((m for m in ("val_r2", "val_modes") if m in first["series"]), "val_accuracy")
    shown = {v: row["series"][metric] for v, row in found.items() if v not in measure.EXTRA.get(name, ())}
    lines = [
        Line(_called(name, v), _points(series), at, marks=len(series) < 12)
        for at, (v, series) in enumerate(shown.items())
    ]
    right = Panel(FIGURES[metric], lines, "step", y_range=_after_start([line.points for line in lines]))
    return picture([left, right], about=f"Loss and validation of the preset {name}, seed 0")


def returns(name: str) -> str:
    """Mean return of each update's own episodes and of those that are tried after an epoch, seed 0."""
    panels = []
    for metric in ("train_return", "val_return"):
        lines = [
            Line(_called(name, variant), _points(row["series"][metric]), at, dashed=at > 0)
            for at, (variant, row) in enumerate(runs(name).items())
        ]
        panels.append(Panel(FIGURES[metric], lines, "step", y_range=(0.0, _highest([line.points for line in lines]))))
    return picture(panels, about=f"Mean returns of the preset {name}, seed 0")


def _highest(lines: list[Sequence[Point]]) -> float:
    return 1.04 * max(y for points in lines for _, y in points if y == y)


def _after_start(lines: list[Sequence[Point]]) -> tuple[float, float]:
    """From the lowest to the highest value once training has begun: where a run starts says little."""
    values = [y for points in lines for _, y in points[1:] if y == y]
    low, high = min(values), max(values)
    pad = max(0.06 * (high - low), 0.002)
    return low - pad, high + pad


def initialisers() -> str:
    """Validation accuracy of every seed of the preset init, a column an initialiser."""
    found = runs("init")
    dots = []
    middle = []
    for at, row in enumerate(found.values()):
        values = sorted(row["values"]["val_accuracy"])
        dots.append([(at + 0.28 * ((k + 0.5) / len(values) - 0.5), 100 * v) for k, v in enumerate(values)])
        middle.append(100 * band(values).median)
    lines = [Line("", points, 0, marks=True, joined=False) for points in dots]
    lines += [Line("", [(at - 0.25, v), (at + 0.25, v)], 1) for at, v in enumerate(middle)]
    title = "validation accuracy after 10 epochs, ten seeds and their median (%)"
    panel = Panel(title, lines, names=tuple(found), y_range=(0, 100))
    return picture([panel], width=560, height=260, about="Validation accuracy from five initialisers, ten seeds each")


def layer_norms(name: str, column: str, title: str, others: tuple[str, ...]) -> str:
    """A column of the first per-layer table (step 0), layer by layer."""
    found = runs(name)
    lines = []
    for at, variant in enumerate(("", *others)):
        values = found[variant]["tables"]["first"][column]
        lines.append(Line(_called(name, variant), list(enumerate(values)), at, marks=True))
    count = len(found[""]["tables"]["first"][column])
    panel = Panel(title, lines, "layer (dense1 is next to the input)", "log", tuple(str(k + 1) for k in range(count)))
    return picture([panel], width=560, height=260, about=f"{title}, preset {name}")


def norms(name: str, column: str) -> str:
    """Block ``norms NAME COLUMN``: the first and last table of each run, layer by layer."""
    found = runs(name)
    heads, cells = ["layer"], []
    columns: list[list[float | None]] = []
    for variant, row in found.items():
        for which in ("first", "last"):
            heads.append(f"`{_called(name, variant)}`, step {row['tables'][which]['step']}")
            columns.append(row["tables"][which][column])
    for at, layer in enumerate(next(iter(found.values()))["layers"]):
        cells.append([layer["name"], *(_norm(values[at]) for values in columns)])
    falls = ["dense2 : dense8", *(_ratio(values) for values in columns)]
    return table(heads, [*cells, falls], "l" + "r" * len(columns))


def _norm(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}".replace("-", "−")


def _ratio(values: list[float | None]) -> str:
    """How much smaller (or larger) the second layer's value is than the eighth's, and the factor a layer."""
    if len(values) < 8 or not values[1] or not values[7]:
        return "–"
    whole = values[1] / values[7]
    return f"{_norm(whole)} = {whole ** (1 / 6):.2f}⁶"


def scales(name: str, column: str, direction: str = "backward") -> str:
    """Block ``scales NAME COLUMN [forward]``: the factor from layer to layer at step 0, with seed 0."""
    rows: list[list[str]] = []
    forward = direction == "forward"
    for variant, row in runs(name).items():
        values = row["tables"]["first"][column]
        pairs = [(b, a) if forward else (a, b) for a, b in pairwise(values)]
        cells = [_factor(*pair) for pair in pairs]
        if cells not in [row[1:] for row in rows]:  # a variant that begins alike says nothing new
            rows.append([f"`{name}`" + (f" `{variant}`" if variant else ""), *cells])
    count = len(rows[0]) - 1
    heads = [f"{k} → {k + 1}" if forward else f"{k} ← {k + 1}" for k in range(1, count + 1)]
    return table(["run", *heads], rows, "l" + "r" * count)


def _factor(value: float | None, other: float | None) -> str:
    return f"{value / other:.2f}" if value and other else "–"


def pictures() -> dict[str, str]:
    """Every picture: path within docs → SVG."""
    found = {f"presets/{name}.svg": losses(name) for name in measure.names()}
    found["presets/init-seeds.svg"] = initialisers()
    found["presets/vanishing-norms.svg"] = layer_norms(
        "vanishing", "grad_norm", "‖∇W‖ of each layer at step 0", ("cure",)
    )
    found["presets/exploding-norms.svg"] = layer_norms(
        "exploding", "delta_norm", "‖δ‖ of each layer at step 0", ("cure",)
    )
    return found
