"""Variational auto-encoder whose forward returns a dataclass."""
from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
import torch.utils.data
from torch import Tensor, nn


@dataclass
class Output:
    reconstruction: Tensor
    mean: Tensor
    log_variance: Tensor


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(24, 12), nn.SiLU())
        self.to_mean = nn.Linear(12, 3)
        self.to_log_variance = nn.Linear(12, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 12), nn.SiLU(), nn.Linear(12, 24), nn.Sigmoid())

    def forward(self, x: Tensor) -> Output:
        h = self.encoder(x)
        mean, log_variance = self.to_mean(h), self.to_log_variance(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return Output(self.decoder(z), mean, log_variance)


def loss_function(out: Output, x: Tensor) -> Tensor:
    bce = nn.functional.binary_cross_entropy(out.reconstruction, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + out.log_variance - out.mean.pow(2) - out.log_variance.exp())
    return bce + kld


torch.manual_seed(1)
images = torch.rand(80, 24).round()
loader = torch.utils.data.DataLoader(images, batch_size=16, shuffle=True, drop_last=True)
model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(3):
    model.train()
    train_loss = 0.0
    for batch in loader:
        optimizer.zero_grad()
        loss = loss_function(model(batch), batch)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(images):.4f}")
state = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
print("sha256", hashlib.sha256(state.numpy().tobytes()).hexdigest())
