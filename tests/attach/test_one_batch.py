"""What if on one batch: the paused step of a script again on a copy, held against the same step really made."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from stepping import Standing
from torch import Tensor, nn
from torch.nn import functional

from bptui.attach.discover import models_of
from bptui.attach.given import ranked
from bptui.attach.interventions import Impossible
from bptui.attach.onebatch import OneBatch, Result
from bptui.attach.rows import Rows
from bptui.attach.stages import Stages, stages
from bptui.attach.variations import Variation


class Net(nn.Module):
    """Batch norm, dropout, functional and module activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 12), nn.BatchNorm1d(12)
        self.drop, self.act, self.last = nn.Dropout(0.25), nn.Tanh(), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.norm(self.first(x)))
        return self.last(self.act(self.drop(hidden)))  # type: ignore[no-any-return]


def plain(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
    optimizer.zero_grad()
    return functional.cross_entropy(net(x), y, label_smoothing=0.1)


def custom(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
    """Indexing, in-place sums, a constant filled in place, weights in the loss, noise outside the model, autocast."""
    optimizer.zero_grad()
    out = net(x)
    out = out + 0.1 * torch.rand_like(out)
    with torch.no_grad():
        weight = torch.linspace(0.5, 1.5, len(x))
    logp = functional.log_softmax(out, dim=1)
    total = torch.zeros(())
    total += -(logp[range(len(y)), y] * weight).mean()
    parts = torch.zeros(2)
    parts[0] = sum(p.pow(2).sum() for p in net.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts[1] = (out @ out.T).float().mean()
    return total + 1e-3 * parts.sum() + functional.dropout(out, 0.5).mean()


def twice(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
    """Two calls of the model, and a gradient penalty."""
    optimizer.zero_grad()
    inside = x.clone().requires_grad_(True)
    slope = torch.autograd.grad(net(inside).sum(), inside, create_graph=True)[0]
    return functional.cross_entropy(net(x), y) + 0.1 * slope.norm()


def made(seed: int = 4) -> tuple[Net, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    net = Net()
    return net, torch.optim.Adam(net.parameters(), lr=0.01)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(20, 6, generator=generator), torch.randint(0, 3, (20,), generator=generator)


def loop(
    loss_of: Callable[..., Tensor],
    steps: int,
    *,
    clip: float | None = None,
    last_clip: float | None = None,
    before: Callable[[Net, torch.optim.Optimizer], None] | None = None,
) -> Result:
    """Plain torch: the last of ``steps`` updates, with something changed ``before`` it, and its batch once more."""
    net, optimizer = made()
    for step in range(steps):
        x, y = batch(step)
        last = step == steps - 1
        if last and before is not None:
            before(net, optimizer)
        buffers = copy.deepcopy(dict(net.named_buffers()))
        random = torch.get_rng_state()
        loss = loss_of(net, optimizer, x, y)
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]).norm()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), last_clip if last and last_clip else clip)
        old = [p.detach().clone() for p in net.parameters()]
        optimizer.step()
    moved = torch.stack([(p - q).norm() for p, q in zip(net.parameters(), old, strict=True)]).norm()
    size = torch.stack([q.norm() for q in old]).norm()
    for name, buffer in net.named_buffers():
        buffer.copy_(buffers[name])
    torch.set_rng_state(random)
    after = loss_of(net, optimizer, x, y)
    return Result(loss.item(), after.item(), norm.item(), 0, 12, (moved / size).item())


def stood(
    loss_of: Callable[..., Tensor], look: Callable[[OneBatch], None], *, steps: int = 4, clip: float | None = None
) -> list[Tensor]:
    """The same loop, looked at in the update before the last; the parameters that it ends with."""
    net, optimizer = made()
    with Standing(net, at=steps - 1, look=look):
        for step in range(steps + 1):
            x, y = batch(step)
            loss_of(net, optimizer, x, y).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
    return [p.detach() for p in net.parameters()]


def bare(loss_of: Callable[..., Tensor], steps: int, clip: float | None = None) -> list[Tensor]:
    net, optimizer = made()
    for step in range(steps):
        x, y = batch(step)
        loss_of(net, optimizer, x, y).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return [p.detach() for p in net.parameters()]


def same(found: Result, known: Result) -> None:
    assert found.loss == known.loss
    assert found.after == known.after
    assert found.grad_norm == pytest.approx(known.grad_norm, rel=1e-5)
    assert found.update_ratio == pytest.approx(known.update_ratio, rel=1e-5)
    assert found.units == known.units


@pytest.mark.parametrize("loss_of", [plain, custom, twice])
def test_the_step_is_reproduced_and_then_made_with_another_rate(loss_of: Callable[..., Tensor]) -> None:
    def faster(net: Net, optimizer: torch.optim.Optimizer) -> None:
        optimizer.param_groups[0]["lr"] *= 10

    results: list[Result] = []

    def look(one: OneBatch) -> None:
        assert one.reproduced() == ""
        results.append(one.attempt(None))
        variation = Variation([("lr", "*10")])
        results.append(one.attempt(variation))
        assert variation.made == ["lr 0.01 → 0.1"]

    ended = stood(loss_of, look)
    same(results[0], loop(loss_of, 4))
    same(results[1], loop(loss_of, 4, before=faster))
    for one, other in zip(ended, bare(loss_of, 5), strict=True):
        assert torch.equal(one, other), "the script is where it would have been without a look"


def test_a_script_that_copies_or_saves_its_model_gets_it_without_hooks() -> None:
    """Between two updates of which one may be done again: an average of the model, and a file of it."""
    net, optimizer = made()
    file, names = pickle.dumps(net), set(vars(net))
    copied: list[Any] = []
    with Standing(net, at=1, look=lambda one: copied.append(copy.deepcopy(net))):
        assert pickle.dumps(net) == file
        for step in range(3):
            copied += copy.deepcopy([net, net.first]), pickle.loads(pickle.dumps({"model": net}))["model"]
            assert net._forward_hooks, "they are on again"
            plain(net, optimizer, *batch(step)).backward()
            optimizer.step()
    assert set(vars(net)) == names
    for each in copied:
        mine = each[0] if isinstance(each, list) else each
        assert not mine._forward_hooks and not mine._forward_pre_hooks and set(vars(mine)) == names
        assert not isinstance(each, list) or each[0].first is each[1]


def test_clipping_is_part_of_the_step_and_can_be_another() -> None:
    results: list[Result] = []

    def look(one: OneBatch) -> None:
        results.extend(one.attempt(v) for v in (None, Variation([("clip_norm", 0.01)])))
        assert one.raw

    ended = stood(plain, look, clip=0.05)
    same(results[0], loop(plain, 4, clip=0.05))
    same(results[1], loop(plain, 4, clip=0.05, last_clip=0.01))
    assert all(torch.equal(*pair) for pair in zip(ended, bare(plain, 5, clip=0.05), strict=True))


def test_the_model_can_be_another() -> None:
    """Activations of both kinds, dropout, biases, the optimiser: each held against a script that was written so."""

    def leaky(net: Net, optimizer: torch.optim.Optimizer) -> None:
        net.act = nn.LeakyReLU()  # type: ignore[assignment]

    def dry(net: Net, optimizer: torch.optim.Optimizer) -> None:
        net.drop.p = 0.0

    def nudged(net: Net, optimizer: torch.optim.Optimizer) -> None:
        with torch.no_grad():
            net.last.bias.add_(0.5)

    def gelu(net: Net, optimizer: torch.optim.Optimizer) -> None:
        def forward(x: Tensor) -> Tensor:
            hidden = functional.gelu(net.norm(net.first(x)))
            return net.last(net.act(net.drop(hidden)))  # type: ignore[no-any-return]

        net.forward = forward  # type: ignore[method-assign]

    cases: list[tuple[list[tuple[str, float | str]], Any]] = [
        ([("act.activation", "leaky_relu")], leaky), ([("dropout", 0.0)], dry), ([("last.bias+", 0.5)], nudged),
        ([("relu#1.activation", "gelu")], gelu),
    ]  # fmt: skip
    found: list[Result] = []
    stood(plain, lambda one: found.extend(one.attempt(Variation(wanted)) for wanted, _ in cases))
    for result, (wanted, change) in zip(found, cases, strict=True):
        known = loop(plain, 4, before=change)
        assert (result.loss, result.after) == (known.loss, known.after), wanted


def test_another_optimiser_begins_without_moments() -> None:
    found: list[Result] = []
    stood(plain, lambda one: found.append(one.attempt(Variation([("lr", 0.5), ("optimizer", "sgd")]))))
    net, optimizer = made()
    for step in range(4):
        x, y = batch(step)
        random, buffers = torch.get_rng_state(), copy.deepcopy(dict(net.named_buffers()))
        if step == 3:
            optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        plain(net, optimizer, x, y).backward()
        optimizer.step()
    torch.set_rng_state(random)
    for name, buffer in net.named_buffers():
        buffer.copy_(buffers[name])
    assert found[0].after == plain(net, optimizer, x, y).item()


@pytest.mark.parametrize("clip", [None, 0.05])
def test_stages_of_the_gradient(clip: float | None) -> None:
    """Raw before the script clips, clipped as the optimiser gets it, and the Δ that it then really makes."""
    net, optimizer = made()
    found: list[Stages] = []
    with Standing(net, at=3, look=lambda one: found.append(stages(one, optimizer))):
        for step in range(4):
            plain(net, optimizer, *batch(step)).backward()
            raw = [p.grad.clone() for p in net.parameters() if p.grad is not None]
            if clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            before = [p.detach().clone() for p in net.parameters()]
            optimizer.step()
    assert found[0].limits == ({} if clip is None else {"clip_norm": clip})
    assert not found[0].notes
    for parameter, gradient, old in zip(net.parameters(), raw, before, strict=True):
        assert torch.equal(found[0].of("raw", parameter), gradient)
        assert torch.equal(found[0].of("clipped", parameter), parameter.grad)
        assert torch.equal(found[0].of("applied", parameter), parameter.detach() - old)


@pytest.mark.parametrize(
    ("layer", "x"),
    [(nn.Linear(5, 4), torch.randn(7, 5)), (nn.Linear(5, 4), torch.randn(7, 3, 5)),
     (nn.Conv2d(2, 4, 3, stride=2, padding=1, dilation=2), torch.randn(7, 2, 9, 8))],
    ids=["linear", "tokens", "convolution"],
)  # fmt: skip
def test_what_each_sample_gives_is_its_own_gradient(layer: nn.Module, x: Tensor) -> None:
    rows = Rows(models_of(layer))
    (row,) = rows.all()
    out = layer(x)
    rows.saw(row, out, None)
    loss = (out.square() * torch.linspace(0.5, 2.0, len(x)).reshape(-1, *[1] * (out.ndim - 1))).sum()
    (delta,) = torch.autograd.grad(loss, out, retain_graph=True)
    weight = next(layer.parameters())
    each = []
    for n in range(len(x)):
        one = torch.autograd.grad(out, weight, delta * (torch.arange(len(x)) == n).reshape(-1, *[1] * (out.ndim - 1)),
                                  retain_graph=True)[0]  # fmt: skip
        each.append(one[2].reshape(-1).double())
    whole = torch.stack(each)
    order = ranked(row, x, delta, 2)
    assert order.rows.tolist() == sorted(range(len(x)), key=lambda n: -float(whole[n].norm()))
    assert torch.allclose(torch.from_numpy(order.given.copy()), whole.norm(dim=1)[order.rows.tolist()], rtol=1e-5)
    assert order.gradient == pytest.approx(float(whole.sum(0).norm()), rel=1e-5)
    assert float(order.along.sum()) == pytest.approx(1.0, rel=1e-5)
    with pytest.raises(Impossible, match="has 4"):
        ranked(row, x, delta, 4)


def test_what_cannot_be_reproduced_says_why() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, delta: Tensor) -> Tensor:  # type: ignore[override]
            return delta * 2

    drawn = iter(range(100))

    def unseen(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
        return Double.apply(plain(net, optimizer, x, y))  # type: ignore[no-any-return, no-untyped-call]

    def kept(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(net(x), y)  # never zeroes a gradient

    def changed(net: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
        shift = torch.zeros(())
        loss = plain(net, optimizer, x, y) + shift
        shift.add_(1)
        return loss

    def counts(net: Any, optimizer: Any, x: Tensor, y: Tensor) -> Tensor:
        net.act.forward = lambda z: z * next(drawn)
        return plain(net, optimizer, x, y)

    said: dict[str, str] = {}
    for name, loss_of in {"unseen": unseen, "kept": kept, "changed": changed, "counts": counts}.items():

        def look(one: OneBatch, name: str = name) -> None:
            said[name] = one.reproduced()
            with pytest.raises(Impossible):
                one.attempt(Variation([("lr", 1.0)]))

        stood(loss_of, look)
    assert "custom autograd function" in said["unseen"]
    assert "not its gradients" in said["kept"]
    assert "changed in place" in said["changed"]
    assert "its loss is another now" in said["counts"]


def test_wanted_changes_that_make_no_sense_are_refused_in_one_line() -> None:
    def look(one: OneBatch) -> None:
        for wanted, why in (
            (("lr", "often"), "expected a number"), (("warp", 1.0), "this optimiser has"),
            (("activation", "cubic"), "expected one of"), (("nope.activation", "gelu"), "no activation"),
            (("optimizer", "best"), "expected one of"), (("dropout", 2.0), "share"), (("revive", "uniform"), "no dead"),
            (("lr", -1.0), "at least 0"),
        ):  # fmt: skip
            with pytest.raises(Impossible, match=why):
                one.attempt(Variation([wanted]))

    stood(plain, look)


def test_a_closure_is_called_again_and_again_on_the_copy() -> None:
    """LBFGS: the state after its whole step, and the loss there."""

    def trained(steps: int) -> tuple[nn.Module, float, float]:
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
        optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4)
        x, y = batch(0)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            return loss

        first = 0.0
        for _ in range(steps):
            first = closure().item()
            optimizer.step(closure)
        return net, first, functional.cross_entropy(net(x), y).item()

    found: list[Result] = []
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4)
    x, y = batch(0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(x), y)
        loss.backward()
        return loss

    with Standing(net, at=2, look=lambda one: found.append(one.attempt(None))):
        for _ in range(3):
            optimizer.step(closure)
    _, before, after = trained(3)
    assert (found[0].loss, found[0].after) == (before, after)


def test_two_models_play_together_and_only_the_paused_optimiser_moves() -> None:
    """A GAN's step of the generator, through the other model."""
    torch.manual_seed(5)
    maker, judge = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6)), nn.Linear(6, 1)
    making, judging = (torch.optim.SGD(net.parameters(), lr=0.1) for net in (maker, judge))
    real, noise = torch.randn(16, 6), torch.randn(16, 3)
    found: list[Result] = []
    with Standing(maker, judge, at=1, look=lambda one: found.append(one.attempt(None))):
        judging.zero_grad()
        fake = maker(noise)
        (judge(fake.detach()).mean() - judge(real).mean()).backward()
        judging.step()
        making.zero_grad()
        (-judge(maker(noise)).mean()).backward()
        making.step()
    assert found[0].after == (-judge(maker(noise)).mean()).item()
    assert found[0].units == 8

    # what came before the other's update is no part of this step, and that is said
    said: list[str] = []
    with Standing(maker, judge, at=1, look=lambda one: said.append(one.reproduced())):
        fake = maker(noise)
        judging.zero_grad()
        judge(fake.detach()).mean().backward()
        judging.step()
        making.zero_grad()
        (-judge(fake).mean()).backward()
        making.step()
    assert "before the last update" in said[0]
