"""Encoder and decoder are two models without a common parent; one optimiser has the parameters of both."""
import hashlib
from itertools import chain

import torch
from torch import nn

torch.manual_seed(21)
encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 10), nn.ELU(), nn.Linear(10, 2))
decoder = nn.Sequential(nn.Linear(2, 10), nn.ELU(), nn.Linear(10, 36), nn.Unflatten(1, (6, 6)))
optimizer = torch.optim.Adagrad(chain(encoder.parameters(), decoder.parameters()), lr=0.05)
pictures = torch.rand(64, 6, 6)
losses = []
for _ in range(13):
    code = encoder(pictures)
    loss = ((decoder(code) - pictures) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(*losses, sep="\n")
digest = hashlib.sha256()
for tensor in chain(encoder.parameters(), decoder.parameters()):
    digest.update(tensor.detach().numpy().tobytes())
print("sha256", digest.hexdigest())
