"""A critic with a gradient penalty: autograd.grad with create_graph, then backward through it."""
import hashlib
import torch
from torch import autograd, nn


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.LeakyReLU(0.2))
        self.score = nn.Linear(16, 1)

    def forward(self, x):
        return self.score(self.body(x))


def penalty(critic, real, fake):
    alpha = torch.rand(len(real), 1)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    gradients = autograd.grad(critic(between).sum(), between, create_graph=True)[0]
    return 10 * ((gradients.norm(2, dim=1) - 1) ** 2).mean()


torch.manual_seed(25)
critic = Critic()
opt = torch.optim.RMSprop(critic.parameters(), lr=5e-4, centered=True)
for i in range(10):
    real, fake = torch.randn(32, 3), torch.rand(32, 3)
    cost = critic(fake).mean() - critic(real).mean() + penalty(critic, real, fake)
    opt.zero_grad()
    cost.backward()
    opt.step()
    print(i, cost.item())
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in critic.parameters())).hexdigest())
