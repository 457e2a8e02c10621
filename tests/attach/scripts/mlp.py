"""Three blobs, one hidden layer too many, five units that can never fire."""
import hashlib

import torch
import torch.nn as nn

torch.manual_seed(0)
centres = torch.tensor([[2.0, 0.0], [-2.0, 1.0], [0.0, -2.0]])
labels = torch.arange(256) % 3
points = centres[labels] + torch.randn(256, 2)

model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
with torch.no_grad():
    model[0].bias[:5] = -100.0

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(16):
    optimizer.zero_grad()
    loss = criterion(model(points), labels)
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.6f}")

print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
