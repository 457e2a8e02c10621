"""LBFGS: the optimiser calls the closure as often as it likes."""
import hashlib

import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.linspace(-3, 3, 60).unsqueeze(1)
y = torch.sin(x) + 0.1 * torch.randn_like(x)
seq = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=5, history_size=10)
calls = 0
for i in range(10):

    def closure():
        global calls
        calls += 1
        optimizer.zero_grad()
        loss = criterion(seq(x), y)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    print("STEP", i, "loss:", loss.item(), "calls:", calls)
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in seq.parameters())).hexdigest())
