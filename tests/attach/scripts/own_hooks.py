"""Has hooks of every kind itself, and counts at the end that there are no others and that each was called."""
import collections
import hashlib
import torch
from torch import nn

calls = collections.Counter()


def count(name):
    def hook(*_):
        calls[name] += 1

    return hook


torch.manual_seed(28)
net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1)
net[0].register_forward_hook(count("forward"))
net[2].register_forward_pre_hook(count("before"))
net[1].register_full_backward_hook(count("backward"))
net[0].weight.register_hook(count("tensor"))
net[2].bias.register_post_accumulate_grad_hook(count("accumulated"))
opt.register_step_pre_hook(count("step before"))
opt.register_step_post_hook(count("step after"))
for _ in range(10):
    opt.zero_grad()
    net(torch.randn(5, 4)).logsumexp(1).mean().backward()
    opt.step()
print(dict(sorted(calls.items())))
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
