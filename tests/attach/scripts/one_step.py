"""A single update, then the end."""
import hashlib
import torch
net = torch.nn.Linear(6, 2)
torch.nn.init.constant_(net.weight, 0.5)
torch.nn.init.zeros_(net.bias)
opt = torch.optim.Adam(net.parameters(), lr=0.5)
net(torch.eye(6)).square().sum().backward()
opt.step()
print("sha256", hashlib.sha256(net.weight.detach().numpy().tobytes()).hexdigest())
