"""Every schedule against torch's scheduler of the same name, step by step."""

from __future__ import annotations

import math

import pytest

from bptui.spec.experiment import Constant, Cosine, Exponential, Plateau, Schedule, StepDecay, Warmup
from bptui.trainer.schedule import LearningRate

torch = pytest.importorskip("torch")
BASE, STEPS_PER_EPOCH, EPOCHS = 0.1, 7, 12
TOTAL = STEPS_PER_EPOCH * EPOCHS


def torch_rates(make) -> list[float]:  # type: ignore[no-untyped-def]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = make(optimizer)
    rates = []
    for step in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        per_epoch = getattr(scheduler, "per_epoch", False)
        if not per_epoch or (step + 1) % STEPS_PER_EPOCH == 0:
            scheduler.step()
    return rates


def each_epoch(scheduler):  # type: ignore[no-untyped-def]
    scheduler.per_epoch = True
    return scheduler


schedulers = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (StepDecay(every=3, gamma=0.3), lambda o: each_epoch(schedulers.StepLR(o, 3, 0.3))),
        (StepDecay(every=5, gamma=0.5, per="step"), lambda o: schedulers.StepLR(o, 5, 0.5)),
        (Exponential(gamma=0.9), lambda o: each_epoch(schedulers.ExponentialLR(o, 0.9))),
        (Exponential(gamma=0.99, per="step"), lambda o: schedulers.ExponentialLR(o, 0.99)),
        (Cosine(min_lr=0.01), lambda o: schedulers.CosineAnnealingLR(o, TOTAL, 0.01)),
        (Cosine(per="epoch"), lambda o: each_epoch(schedulers.CosineAnnealingLR(o, EPOCHS))),
        (Warmup(length=20, start=0.1), lambda o: schedulers.LinearLR(o, 0.1, 1.0, 20)),
        (Constant(), lambda o: schedulers.ConstantLR(o, 1.0, 1)),
    ],
)
def test_rates_are_torchs(schedule: Schedule, make) -> None:  # type: ignore[no-untyped-def]
    rate = LearningRate(BASE, schedule, steps_per_epoch=STEPS_PER_EPOCH, total_steps=TOTAL)
    for step, expected in enumerate(torch_rates(make)):
        assert rate.at(step) == pytest.approx(expected, rel=1e-9), step


def test_plateau_cuts_where_torch_cuts() -> None:
    losses = [1.0, 0.9, 0.91, 0.92, 0.9, 0.89999, 0.95, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, math.nan, 0.6, 0.6, 0.6]
    schedule = Plateau(factor=0.3, patience=2, threshold=1e-3, cooldown=1, min_lr=1e-3)
    rate = LearningRate(BASE, schedule, steps_per_epoch=1, total_steps=None)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = schedulers.ReduceLROnPlateau(optimizer, factor=0.3, patience=2, threshold=1e-3, cooldown=1, min_lr=1e-3)
    cut = []
    for step, loss in enumerate(losses):
        scheduler.step(loss)
        rate.epoch_ended(loss)
        cut.append(rate.at(step))
        assert rate.at(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), step
    assert len(set(cut)) > 2, "the losses do make it cut"


@pytest.mark.parametrize(
    "schedule",
    [
        Cosine(min_lr=0.02), Cosine(min_lr=0.02, length=20), Cosine(length=30),
        Plateau(min_lr=0.02, factor=0.1, patience=0),
    ],
)
@pytest.mark.parametrize("wanted", [0.5, 0.03, 0.004])
@pytest.mark.parametrize("step", [0, 10, 29, 60])
def test_a_rate_set_live_is_the_rate(schedule: Schedule, wanted: float, step: int) -> None:
    """With a floor under the schedule, and where a cosine has come to its end, too."""
    rate = LearningRate(BASE, schedule, steps_per_epoch=STEPS_PER_EPOCH, total_steps=TOTAL)
    for _ in range(step // STEPS_PER_EPOCH):
        rate.epoch_ended(1.0)
    before = rate.at(step)
    assert rate.set_now(wanted, step) == before
    assert rate.at(step) == pytest.approx(wanted, rel=1e-12)
    assert rate.set_now(wanted, step) == rate.at(step), "done again it stays as it is"
    later = [rate.at(step + more) for more in (1, 5, 20)]
    least = min(wanted, schedule.min_lr)  # type: ignore[union-attr]
    assert all(least * (1 - 1e-12) <= one <= wanted * (1 + 1e-12) for one in later)
    again = LearningRate(BASE, schedule, steps_per_epoch=STEPS_PER_EPOCH, total_steps=TOTAL)
    again.load_state(rate.state())
    assert [again.at(step + more) for more in (1, 5, 20)] == later


def test_a_live_change_scales_what_follows_and_survives_a_restore() -> None:
    rate = LearningRate(BASE, Exponential(gamma=0.5, per="step"), steps_per_epoch=1, total_steps=None)
    assert rate.set_now(0.2, step=3) == pytest.approx(BASE / 8)
    assert rate.at(3) == pytest.approx(0.2)
    assert rate.at(4) == pytest.approx(0.1)
    again = LearningRate(BASE, Exponential(gamma=0.5, per="step"), steps_per_epoch=1, total_steps=None)
    again.load_state(rate.state())
    assert again.at(9) == rate.at(9)
