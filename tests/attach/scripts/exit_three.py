"""Ends by sys.exit(3), after things that run at exit."""
import atexit
import hashlib
import sys
import torch

torch.manual_seed(33)
w = torch.nn.Linear(2, 2)
adam = torch.optim.Adam(w.parameters())
atexit.register(lambda: print("sha256", hashlib.sha256(w.weight.detach().numpy().tobytes()).hexdigest()))
for n in range(10):
    adam.zero_grad()
    w(torch.randn(5, 2)).square().mean().backward()
    adam.step()
    if n == 5:
        sys.exit(3)
