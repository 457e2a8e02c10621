"""The text of a PyTorch script that repeats a run: each part of an experiment is a few plain lines of it.

A new loss, optimiser, schedule or activation is a row in a table here; what has none is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bptui.data.targets import SEQUENCES
from bptui.engine.threads import fitting
from bptui.export import graph_script
from bptui.export.errors import ExportError
from bptui.export.graph_script import attribute, identifiers
from bptui.export.script_optimizer import number, optimizer_of, plateau_of, schedule_of
from bptui.export.script_pieces import pieces
from bptui.export.script_text import (
    AFTER_EPOCH,
    CHAIN,
    DROPOUT,
    EVALUATE,
    EVALUATE_STEPS,
    HEAD,
    MODEL_STATE,
    TRAIN,
    WHOLE_COUNTED,
    WHOLE_TOLD,
    WITHOUT_LABELS,
)
from bptui.export.trained import dense_layers
from bptui.spec.experiment import (
    BinaryCrossEntropy,
    CrossEntropy,
    Experiment,
    Loss,
    Plateau,
    layer_names,
)
from bptui.spec.layers.base import dropout_of, penalties_of, size
from bptui.spec.shapes import Placed, plain_chain

ACTIVATIONS = {
    "relu": "nn.ReLU()", "leaky_relu": "nn.LeakyReLU()", "elu": "nn.ELU()", "selu": "nn.SELU()", "gelu": "nn.GELU()",
    "silu": "nn.SiLU()", "softplus": "nn.Softplus()", "sigmoid": "nn.Sigmoid()", "tanh": "nn.Tanh()",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What a script needs to know beside the experiment."""

    run: str
    title: str
    task: str
    features: int
    rows: int
    """Training rows."""
    steps: int
    """Updates to do."""
    planned: int | None
    """Updates that the experiment asks for; some schedules stretch over them."""
    reason: str
    """Why the run ended."""
    validation: bool
    narrow: bool
    """Features are whole numbers below 256, which are scaled in the run's own precision."""
    ids: bool
    """Features are tokens."""
    padded: bool
    """Samples are sequences of several lengths."""
    changes: tuple[str, ...]
    placed: tuple[Placed, ...]
    """The layers with their shapes."""


def script(experiment: Experiment, facts: Facts) -> str:
    """The whole script. ExportError names what cannot be exported."""
    batch = min(experiment.data.batch_size, facts.rows)
    per_epoch = math.ceil(math.ceil(facts.rows / batch) / experiment.optimizer.accumulate)
    plateau = isinstance(experiment.schedule, Plateau)
    stop = experiment.stop
    watches = plateau or stop.patience is not None or stop.loss_below is not None
    dropout = any(map(dropout_of, experiment.model))
    network, loss = _network(experiment, facts), _loss(experiment, facts)
    fields = {
        "about": _about(experiment, facts),
        "seed": experiment.experiment.seed,
        "dtype": {"f32": "torch.float32", "f64": "torch.float64"}[experiment.experiment.dtype],
        "batch": batch,
        "accumulate": experiment.optimizer.accumulate,
        "per_epoch": per_epoch,
        "steps": f"{facts.steps}{_why_so_many(facts)}",
        "lr": number(experiment.optimizer.lr),
        "threads": _threads(experiment, facts, batch),
        "dropout": DROPOUT * dropout,
        "network": pieces(network + loss) + network,
        "criterion": _criterion(experiment.loss, facts.task),
        "plain": _criterion(_plain(experiment.loss), facts.task),
        "optimizer": optimizer_of(experiment),
        "plateau": plateau_of(experiment.schedule) if plateau else "",
        "schedule": schedule_of(experiment, per_epoch, facts.planned),
        "order": _order(experiment),
        "scaled": _scaled(facts),
        "reading": _reading(experiment, facts),
        "evaluate": _evaluation(experiment, facts),
        "given": f"x, y{', lengths' * facts.padded}",
        "masks": _MASKS * dropout,
        "gradient": _gradient(experiment, facts.placed),
        "after_epoch": AFTER_EPOCH.format(watching=_watching(experiment, plateau) if watches else ""),
        "best": "    best, bad_epochs = math.inf, 0\n" * (stop.patience is not None),
        "loss": loss,
    }
    return (HEAD + TRAIN).format(**fields)


def _plain_words(text: str) -> str:
    """Text of an experiment, made safe to stand inside a docstring."""
    return "".join(c for c in text if c.isprintable() and c not in '\\"')[:200]


def _about(experiment: Experiment, facts: Facts) -> str:
    widths = "-".join(map(str, [facts.features, *(place.units for place in facts.placed)]))
    lines = [f"{_plain_words(facts.title)}: {widths}, exported from the bptui run {_plain_words(facts.run)}."]
    if facts.changes:
        lines += ["", "The run was changed by hand while it ran; this script does what its experiment says, so that"]
        lines.append("losses agree up to there:")
        lines += [f"    {_plain_words(change)}" for change in facts.changes[:20]]
    return "\n".join(lines)


def _why_so_many(facts: Facts) -> str:
    if facts.reason in ("completed", "running") or facts.steps == facts.planned:
        return ""
    return f"  # here the run ended ({_plain_words(facts.reason)})"


def _products(place: Placed) -> int:
    """Multiply-adds of a layer for one sample."""
    matrices = sum(each.size for each in place.geometry.parameters if len(each.shape) > 1)
    return matrices * (size(place.geometry.output) // max(1, place.units))


def _threads(experiment: Experiment, facts: Facts, batch: int) -> str:
    if fitting([_products(place) for place in facts.placed], batch, cores=2) > 1:
        return ""
    return "torch.set_num_threads(1)  # for a model of this size more threads only cost\n"


# -- the model and its loss ----------------------------------------------------------------------------
def _network(experiment: Experiment, facts: Facts) -> str:
    """The model, its tensors by name, and their initial values."""
    if not plain_chain(facts.placed):
        return graph_script.network(facts.placed, isinstance(experiment.loss, CrossEntropy), facts.padded)
    frozen = [index for index, place in enumerate(facts.placed) if place.layer.freeze]
    return CHAIN.format(
        model=_model(experiment, facts.features), names=repr(list(layer_names(experiment.model))), state=MODEL_STATE,
        frozen="".join(f"linears[{index}].requires_grad_(False)  # frozen\n" for index in frozen),
    )  # fmt: skip


def _model(experiment: Experiment, features: int) -> str:
    lines, inputs = [], features
    for name, layer in zip(layer_names(experiment.model), dense_layers(experiment, "pytorch"), strict=True):
        lines.append(f"    nn.Linear({inputs}, {layer.units}),  # {name}")
        if layer.activation != "identity":
            if layer.activation not in ACTIVATIONS:
                raise ExportError(f"{name}: the activation {layer.activation} cannot be exported to pytorch")
            lines.append(f"    {ACTIVATIONS[layer.activation]},")
        if layer.dropout:
            lines.append(f'    Dropout("{name}", {layer.units}, {number(layer.dropout)}),')
        inputs = layer.units
    return "\n".join(lines)


def _cross_entropy(loss: CrossEntropy, task: str) -> str:
    options = ["ignore_index=-1"] * (task in SEQUENCES)  # a step without a target
    if loss.class_weights is not None:
        options.append(f"weight=torch.tensor([{', '.join(map(number, loss.class_weights))}], dtype=DTYPE)")
    if loss.label_smoothing:
        options.append(f"label_smoothing={number(loss.label_smoothing)}")
    return f"nn.CrossEntropyLoss({', '.join(options)})"


def _binary_cross_entropy(loss: BinaryCrossEntropy, task: str) -> str:
    weight = "" if loss.pos_weight == 1.0 else f"pos_weight=torch.tensor({number(loss.pos_weight)}, dtype=DTYPE)"
    return f"nn.BCEWithLogitsLoss({weight})"


#: Loss → how it is made for a task.
LOSSES: dict[str, Callable[[Any, str], str]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "mse": lambda loss, task: "nn.MSELoss()",
    "mae": lambda loss, task: "nn.L1Loss()",
    "huber": lambda loss, task: f"nn.HuberLoss(delta={number(loss.delta)})",
}


def _criterion(loss: Loss, task: str) -> str:
    tag = str(loss.__struct_config__.tag)
    if tag not in LOSSES:
        raise ExportError(f"the loss {tag} cannot be exported to pytorch")
    return LOSSES[tag](loss, task)


def _plain(loss: Loss) -> Loss:
    """The loss that evaluations show: without smoothing and weights."""
    return type(loss)() if isinstance(loss, CrossEntropy | BinaryCrossEntropy) else loss


def _gaps(experiment: Experiment, facts: Facts) -> bool:
    """Whether some numbers have no target: those beyond the end of an autoencoder's sequence."""
    return facts.padded and facts.task == "autoencoder"


def _reading(experiment: Experiment, facts: Facts) -> str:
    """How the rows and targets of a part are read."""
    lines = ['x = scaled(held[f"x_{part}"], held["mean"], held["scale"])']
    if facts.task == "autoencoder":
        beyond = '.masked_fill(torch.from_numpy(np.isnan(held[f"x_{part}"])), math.nan)'
        lines.append(f"y = x{beyond * _gaps(experiment, facts)}")
    else:
        form = "long()" if isinstance(experiment.loss, CrossEntropy) else "to(DTYPE)"
        lines.append(f'y = torch.from_numpy(held[f"y_{{part}}"]).{form}')
    if facts.padded:
        lines.append('lengths = torch.from_numpy(held[f"lengths_{part}"]).long()')
    lines.append(f"parts[part] = x, y{', lengths' * facts.padded}")
    return "".join(f"            {line}\n" for line in lines)


def _loss(experiment: Experiment, facts: Facts) -> str:
    loss = experiment.loss
    outputs = f"model(x[part]{', lengths[part]' * facts.padded})"
    y = "y[part]"
    if isinstance(loss, BinaryCrossEntropy) and loss.label_smoothing:
        smooth = number(loss.label_smoothing)
        y = f"{y} * (1.0 - {smooth}) + 0.5 * {smooth}"
    return f"criterion(*there({outputs}, {y}))" if _gaps(experiment, facts) else f"criterion({outputs}, {y})"


def _evaluation(experiment: Experiment, facts: Facts) -> str:
    """Loss and metric of a part."""
    given = f"x, y{', lengths' * facts.padded}"
    if facts.task in SEQUENCES:
        whole = facts.task == "sequence_labelling"
        return EVALUATE_STEPS.format(
            inputs=f"x{', lengths' * facts.padded}", given=given, whole=WHOLE_COUNTED * whole, all=WHOLE_TOLD * whole
        )
    outputs = "model(x)"
    if facts.padded:
        outputs = f"torch.cat([model(*rows) for rows in zip(x.split({BLOCK}), lengths.split({BLOCK}))])"
    elif not plain_chain(facts.placed):
        outputs = f"torch.cat([model(rows) for rows in x.split({BLOCK})])"
    gaps = _gaps(experiment, facts)
    metric = METRICS.get((facts.task, _logits(experiment)), WITHOUT_LABELS)
    return EVALUATE.format(
        metric=WITHOUT_LABELS if gaps else metric, given=given, outputs=outputs,
        pair="*there(outputs, y)" if gaps else "outputs, y",
    )  # fmt: skip


def _logits(experiment: Experiment) -> bool:
    return isinstance(experiment.loss, CrossEntropy | BinaryCrossEntropy)


_IDS = "    return {'accuracy': (outputs.argmax(dim=1) == y).double().mean().item()}\n"
_HOT = "    return {'accuracy': (outputs.argmax(dim=1) == y.argmax(dim=1)).double().mean().item()}\n"
_ABOVE = "    return {{'accuracy': ((outputs > {0}) == (y > 0.5)).double().mean().item()}}\n"
_R2 = "    return {'r2': 1 - ((outputs - y) ** 2).sum().item() / ((y - y.mean(dim=0)) ** 2).sum().item()}\n"
#: Rows that go through a network of pictures or sequences at once in an evaluation.
BLOCK = 256
#: How the parameters begin that penalties pull: all but biases.
WEIGHTS = ("init", "orthogonal", "ones", "padded")
#: (task, whether the outputs are logits) → the metric of outputs and targets.
METRICS = {
    ("classification", True): _IDS, ("classification", False): _HOT,
    ("binary", True): _ABOVE.format(0), ("binary", False): _ABOVE.format(0.5),
    ("multilabel", True): _ABOVE.format(0), ("multilabel", False): _ABOVE.format(0.5),
    ("regression", False): _R2, ("autoencoder", False): _R2,
}  # fmt: skip


# -- data and updates ----------------------------------------------------------------------------------
def _order(experiment: Experiment) -> str:
    if not experiment.data.shuffle:
        return '    """The rows as they are: this experiment does not shuffle."""\n    return torch.arange(ROWS)\n'
    return (
        '    """The training rows in the order of an epoch."""\n'
        '    return torch.from_numpy(np.argsort(words("batches", epoch, ROWS), kind="stable"))\n'
    )


def _scaled(facts: Facts) -> str:
    """As the run did it, to the bit."""
    if facts.ids:
        return '    """Tokens are whole numbers, and stay so."""\n    return torch.from_numpy(x).long()\n'
    about = '    """Features as the network sees them; mean and scale were learned on the training rows."""\n'
    if facts.narrow:
        return (
            f"{about}    x, mean, scale = (torch.from_numpy(each).to(DTYPE) for each in (x, mean, scale))\n"
            "    return (x - mean) / scale\n"
        )
    if facts.padded:
        return (
            f"{about}    x = (x - mean) / scale\n"
            "    return torch.from_numpy(np.where(np.isnan(x), 0.0, x)).to(DTYPE)  # nan: beyond the end\n"
        )
    return f"{about}    return torch.from_numpy((x - mean) / scale).to(DTYPE)\n"


_MASKS = """            for layer in model.modules():
                if isinstance(layer, Dropout):
                    layer.step, layer.first = step, number * BATCH_SIZE
"""


def _gradient(experiment: Experiment, placed: Sequence[Placed]) -> str:
    """What happens to the gradient before the update: penalties, then clipping by value, then by norm."""
    lines = []
    chain = plain_chain(placed)
    for index, (place, name) in enumerate(zip(placed, identifiers(placed), strict=True)):
        l1, l2 = penalties_of(place.layer)
        terms = [f"{number(l1)} * weight.sign()"] * bool(l1) + [f"2.0 * {number(l2)} * weight"] * bool(l2)
        if not terms or place.layer.freeze:
            continue
        for each in place.geometry.parameters:
            if each.begins not in WEIGHTS or len(each.shape) < 2:
                continue
            where = f"linears[{index}].weight" if chain else attribute(place, name, each).removesuffix(".T")
            lines.append(f"        weight = {where}.detach()  # {place.name}: its penalties")
            lines.append(f"        {where}.grad += {' + '.join(terms)}")
    optimizer = experiment.optimizer
    if optimizer.clip_value is not None:
        lines.append(f"        nn.utils.clip_grad_value_(model.parameters(), {number(optimizer.clip_value)})")
    if optimizer.clip_norm is not None:
        lines.append(f"        nn.utils.clip_grad_norm_(model.parameters(), {number(optimizer.clip_norm)})")
    return "".join(f"{line}\n" for line in lines)


def _watching(experiment: Experiment, plateau: bool) -> str:
    """What an end of an epoch may change: the rate on a plateau, and whether to go on."""
    stop = experiment.stop
    lines = ["            mean = sum(losses[-STEPS_PER_EPOCH:]) / STEPS_PER_EPOCH"]
    if plateau or stop.patience is not None:
        lines.append('            watched = found.get("loss", mean)')
    if plateau:
        lines.append("            plateau.epoch_ended(watched)")
    if stop.loss_below is not None:
        lines += [f"            if mean < {number(stop.loss_below)}:", "                break"]
    if stop.patience is not None:
        lines += [
            "            best, bad_epochs = (watched, 0) if watched < best else (best, bad_epochs + 1)",
            f"            if bad_epochs >= {max(stop.patience, 1)}:",
            "                break",
        ]
    return "".join(f"{line}\n" for line in lines)
