"""Reviving and freezing in a script's network: which weights and moments change, and which do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from bptui.attach.discover import models_of
from bptui.attach.interventions import Impossible, Interventions
from bptui.attach.rows import Rows
from bptui.attach.sampling import Sampler


def network() -> tuple[nn.Sequential, torch.optim.Optimizer, Rows, Interventions]:
    """Units 1 and 4 of six are dead: their biases are far below anything that their weights can give."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(5, 6), nn.Identity(), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        model[0].bias[[1, 4]] = -100.0
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rows = Rows(models_of(model))
    sampler = Sampler(rows, lambda probe, error: pytest.fail(f"{probe}: {error}"))
    x = torch.randn(64, 5)
    model(x).square().mean().backward()
    optimizer.step()  # so that there are moments
    sampler.arm(with_histograms=False)
    model(x)
    sampler.table()
    sampler.disarm()
    observer = SimpleNamespace(rows=rows, optimizers=[optimizer], session=SimpleNamespace(step=3))
    return model, optimizer, rows, Interventions(cast(Any, observer))


def test_dead_units_get_new_weights_and_moments_and_no_others_do() -> None:
    model, optimizer, rows, interventions = network()
    relu = rows.by_name["2"]
    assert relu.dead == (1, 4)
    weight, bias = model[0].weight, model[0].bias
    before, random = weight.detach().clone(), torch.get_rng_state()
    moments = optimizer.state[weight]["exp_avg"].clone()
    assert interventions.change("revive.2", 1.0) == 2
    assert torch.equal(torch.get_rng_state(), random), "the script's random numbers are its own"
    dead, alive = [1, 4], [0, 2, 3, 5]
    assert torch.equal(weight[alive], before[alive])
    assert not torch.isclose(weight[dead], before[dead]).any()
    assert float(weight[dead].detach().abs().max()) <= 5**-0.5  # ±1/√fan_in
    assert bias[dead].tolist() == [0.0, 0.0]
    assert not optimizer.state[weight]["exp_avg"][dead].any() and not optimizer.state[bias]["exp_avg"][dead].any()
    assert torch.equal(optimizer.state[weight]["exp_avg"][alive], moments[alive])
    assert relu.dead is None, "they are counted anew"


def test_what_cannot_be_revived_says_why() -> None:
    *_, interventions = network()
    for layer, why in (("0", "no activation"), ("nope", "no activation")):
        with pytest.raises(Impossible, match=why):
            interventions.change(f"revive.{layer}", 1.0)


def test_a_frozen_layer_gets_no_gradient_until_it_is_let_go() -> None:
    model, optimizer, _, interventions = network()
    assert interventions.change("freeze.0", 1.0) == 0.0
    before = model[0].weight.detach().clone()
    model(torch.randn(8, 5)).square().mean().backward()
    optimizer.step()
    assert torch.equal(model[0].weight, before)
    assert interventions.settings()["freeze.0"] == 1.0
    assert interventions.change("freeze.0", 0.0) == 1.0
    model(torch.randn(8, 5)).square().mean().backward()
    optimizer.step()
    assert not torch.equal(model[0].weight, before)
