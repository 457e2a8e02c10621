"""A script as its user has it, for the picture of README's second section: a small CNN on the 8×8 digits."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.classifier(self.features(x).flatten(1)))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 1, 8, 8) pictures and (N,) digits."""
    with gzip.open(Path(__file__).parents[1] / "datasets" / "digits" / "digits.csv.gz", "rt") as file:
        rows = [row for row in csv.reader(file) if row[0].replace(".", "").isdigit()]
    table = torch.tensor([[float(cell) for cell in row] for row in rows])
    pictures, labels = table[:, :-1], table[:, -1].long()
    return pictures.reshape(-1, 1, 8, 8) / 16, labels


def main(epochs: int = 1000) -> None:
    torch.manual_seed(0)
    x, y = digits()
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(64):  # type: ignore[no-untyped-call]
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()
