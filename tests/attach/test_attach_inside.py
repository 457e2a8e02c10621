"""What is inside a layer of a script, in the inspector: maps, δ at each place, kernels, or why there are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bptui.attach.capture import Captured
from bptui.attach.discover import models_of
from bptui.attach.inside import inside
from bptui.attach.rows import Row, Rows
from bptui.attach.sampling import Sampler
from bptui.protocol.framing import Frame
from bptui.protocol.messages import Inside, Insides


class Pictured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.up = nn.ConvTranspose2d(3, 4, 2, stride=2)
        self.series = nn.Conv1d(4, 5, 3)
        self.lstm = nn.LSTM(5, 6, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.relu(self.conv(x))
        series = self.series(self.up(z).flatten(2))
        return torch.as_tensor(self.head(self.lstm(series.transpose(1, 2))[0][:, -1]))


class Paused:
    """One update of it, as it is kept for the inspector."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = Pictured()
        self.rows = Rows(models_of(self.model))
        sampler = Sampler(self.rows, lambda probe, error: pytest.fail(f"{probe}: {error}"))
        sampler.arm(with_histograms=False, keep=True)
        x, y = torch.randn(7, 2, 4, 4), torch.randint(2, (7,))
        kept = self.model.conv.register_forward_hook(self._retain)
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        kept.remove()
        self.captured = Captured.of(self.rows, 5, loss.item(), None)
        sampler.disarm()

    def _retain(self, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        self.z = output

    def row(self, name: str) -> Row:
        return self.rows.by_name[name]

    def ask(self, layer: str, name: str = "", sample: int = 0, page: int = 0) -> tuple[Insides, np.ndarray]:
        request = Inside(id=1, layer=self.rows.all().index(self.row(layer)), name=name, sample=sample, page=page)
        reply, body = inside(self.captured, self.row(layer), request, "")
        ref = reply.arrays.get("values")
        return reply, np.empty(0) if ref is None else Frame(reply, body).array(ref)


@pytest.fixture(scope="module")
def paused() -> Paused:
    return Paused()


def test_maps_and_delta_of_each_sample_stand_below_each_other(paused: Paused) -> None:
    for name, truth in (("maps", paused.z.detach()), ("maps.delta", paused.z.grad)):
        assert truth is not None
        reply, values = paused.ask("conv", name, sample=4)
        assert reply.names == ("maps", "maps.delta", "kernels", "kernels.gradient")
        assert (reply.tile, reply.samples, reply.row_names) == (4, 7, ("0", "1", "2"))
        assert np.array_equal(values.reshape(3, 4, 4), truth[4].numpy())
    assert np.array_equal(paused.ask("relu#1", "maps", sample=2)[1].reshape(3, 4, 4), paused.z[2].relu().detach())


@pytest.mark.parametrize(
    ("layer", "inputs", "units"), [("conv", 2, 3), ("up", 3, 4), ("series", 1, 5)], ids=["2d", "transposed", "1d"]
)
def test_a_page_of_kernels_is_an_input_and_a_picture_a_unit(
    paused: Paused, layer: str, inputs: int, units: int
) -> None:
    weight = getattr(paused.model, layer).weight
    for name, tensor in (("kernels", weight.detach()), ("kernels.gradient", weight.grad)):
        for page in range(inputs):
            reply, values = paused.ask(layer, name, page=page)
            assert (reply.page, reply.pages, reply.page_name, len(reply.row_names)) == (page, inputs, "input", units)
            truth = tensor if layer == "series" else tensor[page] if layer == "up" else tensor[:, page]
            assert np.array_equal(values.reshape(truth.shape), truth.numpy())


def test_another_page_than_there_is_gives_the_nearest(paused: Paused) -> None:
    reply, _ = paused.ask("conv", "kernels", sample=99, page=99)
    assert (reply.page, reply.sample, reply.samples) == (1, 0, 1)


@pytest.mark.parametrize(
    ("layer", "says"), [("head", "nothing inside"), ("lstm", "torch keeps its gates and cell to itself")]
)
def test_what_hooks_cannot_see_is_said_in_one_line(paused: Paused, layer: str, says: str) -> None:
    reply, _ = paused.ask(layer)
    assert not reply.names and layer in reply.note and says in reply.note and "\n" not in reply.note
