"""From a run directory to everything a trainer needs: data, engine, schedule, and the META record."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bptui.runs.info import RunInfo
from bptui.spec import networks
from bptui.spec.check import Problem
from bptui.spec.experiment import CrossEntropy, Data, Experiment
from bptui.spec.layers import Embedding
from bptui.spec.load import SpecError, from_dict, title
from bptui.spec.shapes import BATCH, Placed, ShapeError, outputs_of

if TYPE_CHECKING:
    from bptui.data import DataSet
    from bptui.engine.base import Engine
    from bptui.trainer.epochs import Epochs


class SetupError(ValueError):
    """Training cannot begin; one line for the user."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a trainer works with."""

    experiment: Experiment
    data: DataSet
    engine: Engine
    reason: str
    """Why this engine."""
    about: dict[str, Any] = field(default_factory=dict)
    """What a prediction must know of the data (``about_data``)."""


def prepare(info: RunInfo) -> Setup:
    """Load the data and build the engine. Raises SetupError."""
    from bptui.data import DataError, load, search_path
    from bptui.engine import EngineError, choose
    from bptui.engine.threads import products, set_threads
    from bptui.trainer.keep import about_data
    from bptui.trainer.weights import WeightsError, found_weights, load_weights

    try:
        experiment = from_dict(info.spec)
        choose(experiment, info.engine, info.device)  # what is not there is told before the data are read
        data = load(
            experiment.data, seed=experiment.experiment.seed, dtype=experiment.experiment.dtype,
            loss=experiment.loss, search=search_path([Path(folder) for folder in info.data_dirs]),
        )  # fmt: skip
        engine, device, reason = choose(experiment, info.engine, info.device, _fits(experiment, data))
        built = build(experiment, data, engine=engine, device=device, dtype=experiment.experiment.dtype)
        set_threads(engine, products(built), min(_batch_rows(experiment.data, data), len(data.train.x)))
        if info.weights:
            load_weights(built, Path(info.weights), partial=info.weights_partial)
        elif experiment.experiment.weights:
            folders = search_path([Path(folder) for folder in info.data_dirs])
            load_weights(built, found_weights(experiment.experiment.weights, folders), partial=True)
    except (SpecError, DataError, EngineError, WeightsError) as error:
        raise SetupError(str(error)) from None
    except MemoryError:
        raise SetupError("not enough memory for the data and the model") from None
    return Setup(experiment, data, built, reason, about_data(data))


def _batch_rows(keys: Data, data: DataSet) -> int:
    """Rows of a batch; of episodes as many as they can have."""
    if data.environment is None:
        return keys.batch_size
    return keys.batch_size * (keys.episode_steps or data.environment.limit)


def build(
    experiment: Experiment,
    data: DataSet,
    *,
    engine: Literal["numpy", "torch"],
    device: str,
    dtype: Literal["f32", "f64"],
) -> Engine:
    """An engine for these data. EngineError where the model does not fit them."""
    from bptui.engine import create

    return create(
        experiment, data.features, needed_outputs(experiment, data), engine=engine, device=device, dtype=dtype,
        seed=experiment.experiment.seed, shape=data.shape, ids=data.ids,
    )  # fmt: skip


def needed_outputs(experiment: Experiment, data: DataSet) -> int:
    """Outputs that the data want of the model; of a discriminator it is one logit."""
    if experiment.adversary is not None:
        return 1
    return max(data.outputs, 2) if isinstance(experiment.loss, CrossEntropy) else data.outputs


def _fits(experiment: Experiment, data: DataSet) -> tuple[Placed, ...]:
    """The model against the data that were really read: its layers with their shapes."""
    needed = needed_outputs(experiment, data)
    try:
        placed = networks.fitted(experiment, data.shape or (data.features,), data.ids)
    except ShapeError as error:
        raise SetupError(str(Problem(networks.table_of(experiment, error), error.key, str(error)))) from None
    for place in placed:
        if not isinstance(place.layer, Embedding) or BATCH not in place.sources:
            continue
        what, tokens = _tokens(data, place.layer.column)
        if place.layer.vocabulary < tokens:
            message = f"{data.name} has {tokens:,} {what}, got {place.layer.vocabulary:,}"
            raise SetupError(str(Problem(f"model.{place.name}", "vocabulary", message)))
    given = outputs_of(placed, isinstance(experiment.loss, CrossEntropy))
    if given != needed:
        raise SetupError(
            f"[model] the last layer: {data.name} needs {needed} outputs "
            f"with {experiment.loss.__struct_config__.tag}, got {given}"
        )
    if experiment.adversary is not None and data.train.lengths is not None:
        raise SetupError(f"{data.name}: samples of several lengths; a generator makes all of one")
    if not len(data.train.x):
        raise SetupError(f"{data.name}: no rows left to train on")
    return placed


def _tokens(data: DataSet, column: int | None) -> tuple[str, int]:
    """What an embedding reads, and how many different ones there are, the unknown one among them."""
    if data.vocabularies is None:
        return "tokens", len(data.vocabulary or ())
    if column is None:
        return "ids in one column", max(map(len, data.vocabularies))
    name = data.feature_names[column] if data.feature_names else f"column {column + 1}"
    return f"ids of {name!r}, the unknown one among them", len(data.vocabularies[column])


def meta(setup: Setup, epochs: Epochs, total_steps: int | None) -> dict[str, Any]:
    """The META record: what was built, and on what."""
    import numpy as np

    from bptui.engine.threads import threads
    from bptui.trainer.keep import own_tokens

    engine, data = setup.engine, setup.data
    return {
        "title": title(setup.experiment),
        "engine": engine.name,
        "engine_reason": setup.reason,
        "device": engine.device,
        "dtype": engine.dtype,
        "layers": [
            {
                "name": layer.name, "kind": layer.kind, "inputs": layer.inputs, "shape": list(layer.shape),
                "activation": layer.activation, "parameters": layer.parameters, "sources": list(layer.sources),
                "unit_axis": layer.unit_axis,
            }
            for layer in engine.layers
        ],
        "features": data.features,
        "sample": list(data.shape or ()),
        "outputs": data.outputs,
        "task": data.task,
        "steps_per_epoch": epochs.steps,
        "epochs_from": [epochs.from_step, epochs.from_epoch],
        "epoch_samples": len(data.train.x),
        "total_steps": total_steps,
        "data": {
            "name": data.name,
            "rows": {
                part: len(rows.x)
                for part, rows in (("train", data.train), ("validation", data.validation), ("test", data.test))
                if rows is not None
            },
            "classes": [] if own_tokens(data) else list(data.class_names or ()),
            "notes": list(data.notes),
        },
        "versions": {"python": platform.python_version(), "numpy": np.__version__, **_torch_version()},
        "blas": _blas(),
        "threads": str(threads(engine.name)),
        "cpu": platform.processor() or platform.machine(),
    }  # fmt: skip


def _torch_version() -> dict[str, str]:
    torch = sys.modules.get("torch")
    return {"torch": str(torch.__version__)} if torch else {}


def _blas() -> str:
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if isinstance(config, dict) else {}
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
