"""A shared tower sees both pictures of a pair; contrastive loss."""
import hashlib
import torch
from torch import nn
import torch.nn.functional as F


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 8))

    def forward_once(self, x):
        return F.normalize(self.tower(x), dim=-1)

    def forward(self, one, other):
        return self.forward_once(one), self.forward_once(other)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, different):
        distance = F.pairwise_distance(a, b)
        return torch.mean((1 - different) * distance.pow(2) + different * torch.clamp(self.margin - distance, min=0).pow(2))


torch.manual_seed(123)
net, criterion = SiameseNetwork(), ContrastiveLoss()
optimizer = torch.optim.RAdam(net.parameters(), lr=1e-2)
for i in range(10):
    different = torch.randint(0, 2, (48,)).float()
    one = torch.randn(48, 16)
    other = torch.where(different[:, None].bool(), torch.randn(48, 16), one + 0.1 * torch.randn(48, 16))
    optimizer.zero_grad()
    loss = criterion(*net(one, other), different)
    loss.backward()
    optimizer.step()
    print(f"Epoch {i}\n Current loss {loss.item()}\n")
print("sha256", hashlib.sha256(nn.utils.parameters_to_vector(net.parameters()).detach().numpy()).hexdigest())
