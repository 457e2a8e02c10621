"""What bptui says that it costs is what whole updates take longer, and not what its own timers see."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from bptui.attach.costs import Costs
from bptui.attach.hooks import TIMED, Hooks
from bptui.attach.probes import PROBES, moments, norms
from bptui.attach.rows import Row, unit_any
from bptui.attach.thinning import Thinning

BODY, WRAPPER = 2e-6, 1e-6


class Loop:
    """Updates of 1 ms by a clock of its own; ``ask`` is where the hook calls the observer."""

    def __init__(self, *units: float) -> None:
        self.units = units or (1e-3,)
        self.began = self.now = 1000.0
        self.count = 0
        self.random = random.Random(0)
        self.costs = Costs([])
        self.costs.of_round(len(self.units))
        self.costs.begin(0, self.now)

    def update(self, beside: float = 0.0, *, ask: bool = False) -> None:
        unit = self.units[self.count % len(self.units)]
        self.now += unit * self.random.uniform(0.9, 1.2) + beside
        self.count += 1
        self.costs.stamps.append(self.now)
        if ask:
            self.costs.take(self.now + BODY)
            if self.costs.untimed:
                self.costs.timed(WRAPPER)

    def sample(self, seen: float, unseen: float, *, histograms: bool = False, spoiled: bool = False) -> None:
        """A sampled round that costs ``seen`` by the probes' own timers, and ``unseen`` in it and after it."""
        self.update(ask=True)
        self.costs.armed()
        for _ in self.units:
            self.update((seen + unseen / 2) / len(self.units), ask=True)
            self.costs.sampled(seen / len(self.units), histograms=histograms, spoiled=spoiled)
        self.update(unseen / 2)
        for _ in range(100 * len(self.units) - 1):
            self.update()


@pytest.mark.parametrize("units", [(1e-3,), (1e-3, 4e-3)], ids=["one optimiser", "two"])
def test_a_sample_costs_what_its_update_and_the_next_take_longer(units: tuple[float, ...]) -> None:
    loop = Loop(*units)
    for number in range(64):
        loop.sample(4e-4, 8e-4, histograms=number % 8 == 7)
    for histograms in (False, True):
        assert loop.costs.of(histograms=histograms) == pytest.approx(1.2e-3, rel=0.35)
    assert loop.costs.hot == pytest.approx(BODY + WRAPPER)
    mean = sum(units) / len(units)
    outside = (1.2e-3 / (101 * len(units)) + BODY + WRAPPER) / mean
    assert loop.costs.share == pytest.approx(outside, rel=0.35)


def test_waits_of_the_script_are_neither_training_nor_cost() -> None:
    loop = Loop()
    for number in range(40):
        loop.sample(4e-4, 8e-4)
        if number % 4 == 0:
            loop.update(10.0)  # it writes a checkpoint
    assert loop.costs.unit == pytest.approx(1.05e-3, rel=0.1)
    assert loop.costs.trained < 6.0
    assert 0.008 < loop.costs.share < 0.025


def test_an_update_that_was_stood_still_in_counts_what_the_probes_took() -> None:
    loop = Loop()
    for _ in range(20):
        loop.sample(4e-4, 8e-4)
    loop.update(ask=True)
    before = loop.costs.of(histograms=False)
    loop.sample(4e-4, 60.0, spoiled=True)
    loop.update(ask=True)
    assert loop.costs.of(histograms=False) == before
    assert loop.costs.spent < 0.1


def test_where_every_update_is_sampled_what_the_probes_took_is_told() -> None:
    loop = Loop()
    for _ in range(50):
        loop.costs.armed()
        loop.update(5e-4, ask=True)
        loop.costs.sampled(5e-4, histograms=False, spoiled=False)
    assert loop.costs.share > 0.2


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mean_and_deviation_are_those_of_all_numbers(offset: float, dtype: torch.dtype) -> None:
    a = torch.randn(64, 300, generator=torch.Generator().manual_seed(1)).to(dtype) + offset
    std, mean = torch.std_mean(a.double(), correction=0)
    assert moments(a) == pytest.approx((float(mean), float(std)), rel=1e-3, abs=1e-6)


def test_figures_that_are_not_finite_are_told_as_such() -> None:
    mean, std = moments(torch.tensor([1.0, float("nan")]))
    assert mean != mean and std != std
    mean, std = moments(torch.full((8,), 1e30) * torch.tensor([1.0, -1.0] * 4))
    assert (mean, std) == pytest.approx((0.0, 1e30))  # its squares are past what 32 bits hold
    assert moments(torch.full((5,), 2.0)) == (2.0, 0.0)


def test_units_that_fired_by_their_largest_value() -> None:
    a = torch.relu(torch.randn(16, 5, 3, 3, generator=torch.Generator().manual_seed(2)))
    a[:, 2] = 0.0
    a[3, 4, 0, 0] = float("nan")
    a[:, 3] = -0.0
    assert unit_any(a, 1).tolist() == [True, True, False, False, True]
    assert unit_any(torch.zeros(0, 5), -1).tolist() == [False] * 5


def test_norms_of_sparse_half_and_plain_tensors() -> None:
    plain = torch.arange(6.0).reshape(2, 3)
    given = [plain, plain.to_sparse(), plain.bfloat16(), plain.double()]
    assert norms(given) == pytest.approx([float(plain.norm())] * 4)
    assert norms([]) == []


def test_the_share_of_an_update_in_its_weights() -> None:
    layer = torch.nn.Linear(3, 2)
    row = Row("layer", "Linear", "model", layer, 8)
    before = layer.weight.detach().clone()
    PROBES["weights"]([(row, layer.weight)])
    with torch.no_grad():
        layer.weight.mul_(1.5)
    PROBES["updates"]([(row, layer.weight)], [before])
    assert row.values["update_ratio"] == pytest.approx(0.5)


@pytest.mark.parametrize("unit", [3e-4, 1e-3, 4e-2], ids=["small", "middle", "large"])
def test_what_is_spent_stays_below_the_budget_with_room_for_what_no_clock_sees(unit: float) -> None:
    budget, sample, hooks = 0.03, 2.0 * unit, 2e-6
    loop, spent = Loop(unit), 0.0
    loop.costs.stamps.clear()
    thinning = Thinning(budget, loop.costs.stamps)
    loop.costs = thinning.costs
    loop.costs.begin(0, loop.now)
    armed = False
    for step in range(30_000):
        loop.update(sample if armed else 0.0, ask=True)
        spent += hooks + (sample if armed else 0.0)
        if armed:
            thinning.sampled(step, sample, histograms=thinning.histograms_due(step), stood=False)
        else:
            thinning.passed()
        armed = thinning.due(step + 1)
        if armed:
            thinning.costs.armed()
    assert 0.2 * budget < spent / (loop.now - loop.began) < budget
    assert thinning.costs.share < budget


def test_backward_that_is_timed_gives_the_same_loss_and_gradient() -> None:
    ring = SimpleNamespace(loss=lambda *_: None, flag_view=lambda: memoryview(bytes(4)))
    hooks = Hooks(cast(Any, SimpleNamespace(ring=ring, step=0, flag=None, observer=None)))
    weight = torch.tensor([2.0, -1.0], requires_grad=True)
    hooks.install()
    try:
        for timed in (False, True):
            weight.grad, hooks.root, hooks.wrapper = None, None, 0.0
            hooks.depth = TIMED if timed else 0
            (weight**2).sum().backward()  # type: ignore[no-untyped-call]
            assert hooks.root == 5.0 and not hooks.further and not hooks.depth
            assert weight.grad is not None and weight.grad.tolist() == [4.0, -2.0]
            assert (hooks.wrapper > 0) is timed
    finally:
        hooks.remove()
