"""Both engines against a torch loop written here, with nn.Linear, torch.nn.functional and torch.optim alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from bptui.engine import create  # noqa: E402
from bptui.engine.base import Batch  # noqa: E402
from bptui.engine.dropout import Dropout  # noqa: E402
from bptui.spec.experiment import (  # noqa: E402
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BinaryCrossEntropy,
    Constant,
    Cosine,
    CrossEntropy,
    Data,
    Dense,
    Experiment,
    Exponential,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Plateau,
    RMSprop,
    StepDecay,
    Warmup,
    layer_names,
)
from bptui.trainer.schedule import LearningRate  # noqa: E402

F = torch.nn.functional
ACTIVATIONS = {
    "identity": lambda z: z, "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "gelu": F.gelu,
    "silu": F.silu, "softplus": F.softplus, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
}  # fmt: skip


class Reference:
    """The plain loop that a user would write."""

    def __init__(
        self, experiment: Experiment, features: int, start: dict[str, np.ndarray[Any, Any]], seed: int
    ) -> None:
        self.experiment, self.seed = experiment, seed
        self.names = layer_names(experiment.model)
        self.linears = []
        inputs = features
        for name, layer in zip(self.names, experiment.model, strict=True):
            linear = torch.nn.Linear(inputs, layer.units, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(start[f"{name}.weight"].T.copy()))
                linear.bias.copy_(torch.from_numpy(start[f"{name}.bias"].copy()))
            self.linears.append(linear)
            inputs = layer.units
        self.parameters = [p for linear in self.linears for p in linear.parameters()]
        self.optimizer = self._optimizer(experiment.optimizer)

    def _optimizer(self, o: Any) -> Any:
        common: dict[str, Any] = {"lr": o.lr, "weight_decay": o.weight_decay}
        match o:
            case SGD():
                common |= {"momentum": o.momentum, "dampening": o.dampening, "nesterov": o.nesterov}
                return torch.optim.SGD(self.parameters, **common)
            case RMSprop():
                common |= {"alpha": o.alpha, "eps": o.eps, "momentum": o.momentum, "centered": o.centered}
                return torch.optim.RMSprop(self.parameters, **common)
            case Adagrad():
                common |= {"lr_decay": o.lr_decay, "eps": o.eps, "initial_accumulator_value": o.initial_accumulator}
                return torch.optim.Adagrad(self.parameters, **common)
            case Adam():
                return torch.optim.Adam(self.parameters, betas=(o.beta1, o.beta2), eps=o.eps, **common)
            case AdamW():
                return torch.optim.AdamW(self.parameters, betas=(o.beta1, o.beta2), eps=o.eps, **common)
        raise AssertionError(o)

    def loss(self, out: Any, y: Any) -> Any:
        match self.experiment.loss:
            case CrossEntropy() as loss:
                weight = None if loss.class_weights is None else torch.tensor(loss.class_weights, dtype=torch.float64)
                return F.cross_entropy(out, y, weight=weight, label_smoothing=loss.label_smoothing)
            case BinaryCrossEntropy() as loss:
                y = y * (1 - loss.label_smoothing) + loss.label_smoothing / 2
                weight = torch.tensor(loss.pos_weight, dtype=torch.float64)
                return F.binary_cross_entropy_with_logits(out, y, pos_weight=weight)
            case MeanSquaredError():
                return F.mse_loss(out, y)
            case MeanAbsoluteError():
                return F.l1_loss(out, y)
            case Huber() as loss:
                return F.huber_loss(out, y, delta=loss.delta)
        raise AssertionError

    def step(self, batches: list[Batch], step: int) -> float:
        self.optimizer.zero_grad()
        losses, first = [], 0
        for batch in batches:
            a = torch.from_numpy(batch.x)
            for name, layer, linear in zip(self.names, self.experiment.model, self.linears, strict=True):
                a = ACTIVATIONS[layer.activation](linear(a))
                if layer.dropout:
                    a = a * torch.from_numpy(
                        Dropout(self.seed, name, layer.units, layer.dropout).mask(step, len(a), first)
                    )
            loss = self.loss(a, torch.from_numpy(batch.y))
            (loss / len(batches)).backward()
            losses.append(loss.item())
            first += len(batch.x)
        penalty = sum(
            layer.l1 * linear.weight.abs().sum() + layer.l2 * (linear.weight**2).sum()
            for layer, linear in zip(self.experiment.model, self.linears, strict=True)
        )
        if isinstance(penalty, torch.Tensor):
            penalty.backward()
        o = self.experiment.optimizer
        if o.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.parameters, o.clip_value)
        if o.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, o.clip_norm)
        self.optimizer.step()
        return sum(losses) / len(losses)


def compare(
    engine_name: str, experiment: Experiment, features: int, data: list[Batch], steps: int, tolerance: float = 1e-9
) -> None:
    """Losses at each step, and the weights at the end."""
    outputs = experiment.model[-1].units
    engine = create(experiment, features, outputs, engine=engine_name, dtype="f64", seed=7)
    reference = Reference(experiment, features, engine.state(), 7)
    parts = experiment.optimizer.accumulate
    for step in range(steps):
        chosen = [data[(step * parts + i) % len(data)] for i in range(parts)]
        if parts == 1:
            ours = engine.train_step(chosen[0], step, experiment.optimizer.lr)
        else:
            ours = engine.accumulate(chosen, step, experiment.optimizer.lr)
        assert ours == pytest.approx(reference.step(chosen, step), rel=tolerance, abs=1e-15), f"step {step}"
    for name, linear in zip(reference.names, reference.linears, strict=True):
        np.testing.assert_allclose(
            engine.state()[f"{name}.weight"], linear.weight.detach().numpy().T, rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize(
    ("units", "activation", "features", "loss", "optimizer", "kind"),
    [
        ((32, 16, 10), "relu", 64, CrossEntropy(), SGD(lr=0.05, momentum=0.9), "classes"),
        ((32, 32, 3), "tanh", 2, CrossEntropy(), Adam(lr=0.01), "classes"),
        ((10, 10, 1), "relu", 20, BinaryCrossEntropy(), SGD(lr=0.1, momentum=0.9), "binary"),
    ],
    ids=["64-32-16-10 relu sgd", "2-32-32-3 tanh adam", "20-10-10-1 bce"],
)
def test_losses_agree_at_each_of_300_steps(
    engine_name: str,
    network: Any,
    batches: Any,
    units: Any,
    activation: str,
    features: int,
    loss: Any,
    optimizer: Any,
    kind: str,
) -> None:
    experiment = network(units, activation=activation, loss=loss, optimizer=optimizer)
    compare(engine_name, experiment, features, batches(9, 32, features, units[-1], kind=kind), 300)


OPTIMISERS = [
    SGD(lr=0.1),
    SGD(lr=0.1, weight_decay=0.01),
    SGD(lr=0.05, momentum=0.9, dampening=0.3),
    SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    SGD(lr=0.5, clip_norm=0.2),
    SGD(lr=0.5, clip_value=0.01),
    SGD(lr=0.5, momentum=0.5, clip_value=0.02, clip_norm=0.1),
    SGD(lr=0.1, momentum=0.9, accumulate=3),
    RMSprop(lr=0.005),
    RMSprop(lr=0.003, momentum=0.9, centered=True, weight_decay=0.02),
    Adagrad(lr=0.05),
    Adagrad(lr=0.05, lr_decay=0.01, initial_accumulator=0.1, weight_decay=0.01),
    Adam(lr=0.01),
    Adam(lr=0.01, weight_decay=0.05, clip_norm=0.3, accumulate=2),
    AdamW(lr=0.01),
    AdamW(lr=0.01, weight_decay=0.2, beta1=0.8, beta2=0.95),
]


@pytest.mark.parametrize("optimizer", OPTIMISERS, ids=lambda o: f"{o}"[:70])
def test_every_optimiser_follows_torchs_rule(engine_name: str, network: Any, batches: Any, optimizer: Any) -> None:
    experiment = network((8, 6, 4), activation="tanh", optimizer=optimizer)
    compare(engine_name, experiment, 5, batches(5, 12, 5, 4), 60)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_is_torchs(engine_name: str, network: Any, batches: Any, activation: str) -> None:
    experiment = network((9, 7, 3), activation=activation, optimizer=SGD(lr=0.05, momentum=0.9))
    data = [Batch(4.0 * b.x, b.y) for b in batches(3, 16, 4, 3)]
    compare(engine_name, experiment, 4, data, 40)


LOSSES = [
    (CrossEntropy(label_smoothing=0.1), "classes"),
    (CrossEntropy(class_weights=(0.2, 1.0, 3.0)), "classes"),
    (CrossEntropy(class_weights=(0.2, 1.0, 3.0), label_smoothing=0.2), "classes"),
    (BinaryCrossEntropy(pos_weight=2.5), "binary"),
    (BinaryCrossEntropy(label_smoothing=0.1), "binary"),
    (BinaryCrossEntropy(label_smoothing=0.1, pos_weight=0.3), "binary"),
    (MeanSquaredError(), "floats"),
    (MeanAbsoluteError(), "floats"),
    (Huber(), "floats"),
    (Huber(delta=0.3), "floats"),
]


@pytest.mark.parametrize(("loss", "kind"), LOSSES, ids=lambda v: f"{v}")
def test_every_loss_is_torchs(engine_name: str, network: Any, batches: Any, loss: Any, kind: str) -> None:
    experiment = network((8, 3), activation="tanh", loss=loss, optimizer=SGD(lr=0.1))
    compare(engine_name, experiment, 5, batches(4, 11, 5, 3, kind=kind), 50)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_the_last_layer_may_have_an_activation(engine_name: str, network: Any, batches: Any, activation: str) -> None:
    experiment = network((8, 3), loss=MeanSquaredError(), optimizer=Adam(lr=0.01), last={"activation": activation})
    compare(engine_name, experiment, 5, batches(4, 11, 5, 3, kind="floats"), 50)


def test_two_classes_take_the_same_way_as_many(engine_name: str, network: Any, batches: Any) -> None:
    compare(engine_name, network((6, 2)), 5, batches(4, 11, 5, 2), 50)


@pytest.mark.parametrize("parts", [1, 3])
def test_dropout_draws_the_same_masks_in_both_engines(engine_name: str, network: Any, batches: Any, parts: int) -> None:
    experiment = network(
        (16, 12, 3), optimizer=SGD(lr=0.05, momentum=0.9, accumulate=parts), dropout=0.4, activation="tanh"
    )
    compare(engine_name, experiment, 5, batches(7, 10, 5, 3), 60)


def test_penalties_act_on_the_gradient_and_not_on_the_loss(engine_name: str, network: Any, batches: Any) -> None:
    experiment = network((8, 3), optimizer=SGD(lr=0.05), l1=0.01, l2=0.02, activation="tanh")
    compare(engine_name, experiment, 5, batches(3, 10, 5, 3), 60)


def test_a_short_last_batch_works(engine_name: str, network: Any, batches: Any) -> None:
    data = [*batches(2, 16, 5, 3), *batches(1, 3, 5, 3, seed=9), *batches(1, 1, 5, 3, seed=10)]
    compare(engine_name, network((8, 3), optimizer=Adam(lr=0.01)), 5, data, 40)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_predictions_and_their_loss_do_without_dropout_and_weights(
    engine_name: str, network: Any, batches: Any, dtype: str
) -> None:
    experiment = network(
        (8, 3), loss=CrossEntropy(label_smoothing=0.3, class_weights=(1.0, 2.0, 3.0)), dropout=0.5, activation="gelu"
    )
    engine = create(experiment, 5, 3, engine=engine_name, dtype=dtype, seed=1)
    reference = Reference(experiment, 5, engine.state(), 1)
    (batch,) = batches(1, 2500, 5, 3)
    a = F.gelu(reference.linears[0](torch.from_numpy(batch.x)))
    expected = reference.linears[1](a).detach().numpy()
    out = engine.predict(batch.x.astype(np.float32 if dtype == "f32" else np.float64))
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5 if dtype == "f32" else 1e-12)
    plain = F.cross_entropy(torch.from_numpy(expected), torch.from_numpy(batch.y)).item()
    assert engine.data_loss(out, batch.y) == pytest.approx(plain, rel=1e-5)
    assert dataclasses.is_dataclass(batch) and math.isfinite(plain)


def test_a_layer_may_be_named_and_penalised_alone(engine_name: str, batches: Any, network: Any) -> None:
    base = network((4, 3))
    model = (Dense(units=4, name="first", l2=0.1, activation="elu"), Dense(units=3, l1=0.05))
    experiment = Experiment(data=base.data, model=model, loss=base.loss, optimizer=SGD(lr=0.1, clip_norm=0.5))
    compare(engine_name, experiment, 5, batches(2, 8, 5, 3), 30)


# -- every optimiser with every schedule, on random networks -------------------------------------------
EPOCHS, EPOCH = 4, 3
shares, decays = st.sampled_from([0.5, 0.9]), st.sampled_from([0.0, 0.01])
RULES: dict[str, st.SearchStrategy[Any]] = {
    "sgd": st.builds(SGD, lr=st.just(0.05), momentum=st.sampled_from([0.0, 0.9]), weight_decay=decays)
    | st.builds(SGD, lr=st.just(0.05), momentum=shares, nesterov=st.just(True), weight_decay=decays)
    | st.builds(SGD, lr=st.just(0.05), momentum=shares, dampening=shares, weight_decay=decays),
    "rmsprop": st.builds(
        RMSprop, lr=st.just(0.005), alpha=shares, momentum=st.sampled_from([0.0, 0.5]), centered=st.booleans(),
        weight_decay=decays,
    ),
    "adagrad": st.builds(
        Adagrad, lr=st.just(0.05), lr_decay=decays, initial_accumulator=st.sampled_from([0.01, 0.1]),
        weight_decay=decays,
    ),
    "adam": st.builds(Adam, lr=st.just(0.01), beta1=shares, weight_decay=decays),
    "adamw": st.builds(AdamW, lr=st.just(0.01), beta2=shares, weight_decay=decays),
}  # fmt: skip
lr_scheduler = torch.optim.lr_scheduler
SCHEDULES: dict[str, tuple[Any, Any]] = {
    "constant": (Constant(), lambda o: lr_scheduler.ConstantLR(o, 1.0, 1)),
    "step": (StepDecay(every=2, gamma=0.5, per="step"), lambda o: lr_scheduler.StepLR(o, 2, 0.5)),
    "exponential": (Exponential(gamma=0.9, per="step"), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "cosine": (Cosine(min_lr=1e-3), lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS * EPOCH, 1e-3)),
    "warmup": (Warmup(length=8, start=0.1), lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 8)),
    "plateau": (
        Plateau(factor=0.3, patience=0, threshold=0.2),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=0, threshold=0.2),
    ),
}


@st.composite
def networks(draw: st.DrawFn, rule: str) -> tuple[Experiment, int, list[Batch]]:
    kind, loss = draw(
        st.sampled_from(
            [
                ("classes", CrossEntropy()), ("classes", CrossEntropy(label_smoothing=0.1)),
                ("binary", BinaryCrossEntropy(pos_weight=2.0)), ("floats", MeanSquaredError()),
                ("floats", Huber(delta=0.5)),
            ]
        )
    )  # fmt: skip
    features, outputs = draw(st.integers(1, 6)), draw(st.integers(2 if kind == "classes" else 1, 4))
    smooth = st.sampled_from(["tanh", "sigmoid", "gelu", "silu", "elu", "softplus", "leaky_relu", "relu"])
    penalty = st.sampled_from([0.0, 0.01])
    hidden = draw(
        st.lists(
            st.builds(Dense, units=st.integers(1, 8), activation=smooth, l2=penalty,
                      dropout=st.sampled_from([0.0, 0.25])), max_size=3,
        )
    )  # fmt: skip
    optimizer = msgspec.structs.replace(
        draw(RULES[rule]),
        clip_norm=draw(st.sampled_from([None, 0.5])),
        clip_value=draw(st.sampled_from([None, 0.1])),
        accumulate=draw(st.sampled_from([1, 1, 2])),
    )
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    data = []
    for rows in draw(st.lists(st.integers(2, 9), min_size=2, max_size=4)):
        y: Any = numbers.normal(size=(rows, outputs))
        y = y.argmax(axis=1) if kind == "classes" else (y > 0).astype(float) if kind == "binary" else y
        data.append(Batch(numbers.normal(size=(rows, features)), y))
    model = (*hidden, Dense(units=outputs))
    return Experiment(data=Data(source="made"), model=model, loss=loss, optimizer=optimizer), features, data


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("rule", RULES)
def test_every_optimiser_with_every_schedule_on_random_networks(rule: str, schedule: str) -> None:
    ours, make = SCHEDULES[schedule]

    @settings(max_examples=4, deadline=None)
    @given(networks(rule))
    def agree(case: tuple[Experiment, int, list[Batch]]) -> None:
        experiment, features, data = case
        engines = [
            create(experiment, features, experiment.model[-1].units, engine=name, dtype="f64", seed=7)  # type: ignore[arg-type]
            for name in ("numpy", "torch")
        ]
        reference = Reference(experiment, features, engines[0].state(), 7)
        scheduler, parts = make(reference.optimizer), experiment.optimizer.accumulate
        rate = LearningRate(experiment.optimizer.lr, ours, steps_per_epoch=EPOCH, total_steps=EPOCHS * EPOCH)
        of_epoch: list[float] = []
        for step in range(EPOCHS * EPOCH):
            group = [data[(step * parts + i) % len(data)] for i in range(parts)]
            lr = rate.at(step)
            expected = reference.step(group, step)
            for engine in engines:
                loss = engine.train_step(group[0], step, lr) if parts == 1 else engine.accumulate(group, step, lr)
                assert loss == pytest.approx(expected, rel=1e-9, abs=1e-12), f"{engine.name} step {step}"
            of_epoch.append(expected)
            if schedule != "plateau":
                scheduler.step()
            elif len(of_epoch) == EPOCH:
                scheduler.step(float(np.mean(of_epoch)))
                rate.epoch_ended(float(np.mean(of_epoch)))
                of_epoch = []

    agree()
