"""A plain training loop that trains for a while whenever it is told to: one contestant of ``attach.py``.

    python _loop.py CASE WAY SOCKET

``WAY``: ``plain``, ``tensorboard-N`` (histograms of weights and gradients every N steps) or ``wandb-N``
(``watch(log_freq=N)``, offline, the loss logged each step). Each line that comes over the Unix socket is a number of
seconds to train for; the answer is a line of JSON with steps, seconds (and of the
processor) and resident bytes. bptui is not named here: it
observes the plain loop from outside.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from torch import nn

After = Callable[[int, torch.Tensor], None]
CHECK_SECONDS = 0.002
"""The clock is looked at about this often: seldom enough to cost nothing."""


class Transformer(nn.Module):
    """A language model of six layers, small enough for a processor."""

    def __init__(self, vocabulary: int = 96, width: int = 128, length: int = 32) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(N, T) token ids to (N·T, vocabulary) logits."""
        return torch.as_tensor(self.head(self.blocks(self.tokens(ids) + self.positions))).flatten(0, 1)


def network(case: str) -> tuple[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    """The model of a case and its batches, made beforehand."""
    torch.manual_seed(0)
    if case == "transformer":
        ids = [torch.randint(96, (8, 33)) for _ in range(16)]
        return Transformer(), [(row[:, :-1].contiguous(), row[:, 1:].flatten()) for row in ids]
    units = [int(number) for number in case.split("-")]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    batches = [(torch.randn(64, units[0]), torch.randint(units[-1], (64,))) for _ in range(16)]
    return nn.Sequential(*layers[:-1]), batches


def observer(way: str, model: nn.Module, stack: contextlib.ExitStack) -> After | None:
    """What is done after each step; files go to a folder that ends with the process."""
    name, _, every = way.partition("-")
    if name == "plain":
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bptui-bench-", ignore_cleanup_errors=True))
    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(folder)
        stack.callback(writer.close)

        def histograms(step: int, loss: torch.Tensor) -> None:
            if step % int(every):
                return
            for place, parameter in model.named_parameters():
                writer.add_histogram(place, parameter, step)
                writer.add_histogram(f"{place}.grad", parameter.grad, step)

        return histograms
    import wandb

    run = wandb.init(mode="offline", dir=folder, project="bench", settings=wandb.Settings(silent=True))
    stack.callback(run.finish)
    run.watch(model, log_freq=int(every))

    def log(step: int, loss: torch.Tensor) -> None:
        run.log({"loss": loss.item()})

    return log


def main(case: str, way: str, address: str) -> None:
    model, batches = network(case)
    adam = case == "transformer"
    rule = torch.optim.AdamW(model.parameters()) if adam else torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    step, often = 0, 1
    with contextlib.ExitStack() as stack, socket.socket(socket.AF_UNIX) as connection:
        after = observer(way, model, stack)
        connection.connect(address)
        for line in connection.makefile("r"):
            wanted, begun, first, used = float(line), time.perf_counter(), step, time.process_time()
            while True:
                for _ in range(often):
                    x, y = batches[step % 16]
                    rule.zero_grad()
                    loss = criterion(model(x), y)
                    loss.backward()
                    rule.step()
                    if after is not None:
                        after(step, loss)
                    step += 1
                passed = time.perf_counter() - begun
                if passed >= wanted:
                    break
                often = max(1, int(CHECK_SECONDS * (step - first) / passed))
            reply = {
                "steps": step - first, "seconds": passed, "processor": time.process_time() - used,
                "resident": resident(),
            }  # fmt: skip
            connection.sendall(json.dumps(reply).encode() + b"\n")


def resident() -> int:
    """Bytes of memory of this process (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(*sys.argv[1:])
