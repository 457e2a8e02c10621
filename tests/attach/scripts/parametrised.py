"""Weight norm and spectral norm by parametrisation, and one that is removed half way."""
import hashlib
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

torch.manual_seed(24)
critic = nn.Sequential(
    weight_norm(nn.Linear(6, 10)), nn.PReLU(), spectral_norm(nn.Linear(10, 10)), nn.PReLU(10), orthogonal(nn.Linear(10, 10)), nn.Linear(10, 1)
)
opt = torch.optim.Adam(critic.parameters(), lr=3e-3)
for i in range(12):
    if i == 6:
        remove_parametrizations(critic[0], "weight")
        opt = torch.optim.Adam(critic.parameters(), lr=3e-3)
    x = torch.randn(20, 6)
    loss = nn.functional.soft_margin_loss(critic(x)[:, 0], x[:, 0].sign())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(loss.item())
print("sha256", hashlib.sha256(b"".join(t.numpy().tobytes() for t in critic.state_dict().values())).hexdigest())
