"""Gradients of four batches make one update; the last update of an epoch has fewer."""
import hashlib
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)
ACCUMULATE = 4
dataset = TensorDataset(torch.randn(88, 7), torch.randint(0, 3, (88,)))
loader = DataLoader(dataset, batch_size=8)  # 11 batches: updates after 4, 8 and 11
model = nn.Sequential(nn.Linear(7, 14), nn.ReLU(), nn.Linear(14, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
updates = 0
for epoch in range(5):
    for i, (inputs, labels) in enumerate(loader):
        loss = nn.functional.cross_entropy(model(inputs), labels) / ACCUMULATE
        loss.backward()
        if (i + 1) % ACCUMULATE == 0 or i + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()
            updates += 1
    print("epoch", epoch, "updates", updates, "loss", loss.item() * ACCUMULATE)
h = hashlib.sha256()
[h.update(p.detach().numpy().tobytes()) for p in model.parameters()]
print("sha256", h.hexdigest())
