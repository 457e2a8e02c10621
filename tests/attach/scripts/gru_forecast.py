# forecasting a sine wave with a GRU, clipping by value, plateau scheduler
import hashlib
import math

import torch

torch.manual_seed(3)


class Forecaster(torch.nn.Module):
    def __init__(self):
        super(Forecaster, self).__init__()
        self.gru = torch.nn.GRU(1, 16)
        self.out = torch.nn.Linear(16, 1)

    def forward(self, series):
        _, last = self.gru(series)
        return self.out(last[0]).squeeze(-1)


series = torch.tensor([math.sin(t / 4) for t in range(200)])
windows = series.unfold(0, 21, 5)
inputs, wanted = windows[:, :20].t().unsqueeze(-1), windows[:, 20]

forecaster = Forecaster()
optimizer = torch.optim.AdamW(forecaster.parameters(), lr=2e-2, weight_decay=1e-2)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, factor=0.5)
best = float("inf")
for n in range(15):
    prediction = forecaster(inputs)
    loss = torch.nn.functional.huber_loss(prediction, wanted)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(forecaster.parameters(), 0.01)
    optimizer.step()
    plateau.step(loss.item())
    best = min(best, loss.item())
    print(n, loss.item(), optimizer.param_groups[0]["lr"])
print("best", best)
weights = torch.cat([p.detach().reshape(-1) for p in forecaster.parameters()])
print("sha256", hashlib.sha256(weights.numpy().tobytes()).hexdigest())
