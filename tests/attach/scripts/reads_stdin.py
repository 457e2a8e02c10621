"""Reads its settings from standard input, by input() and to the end."""
import hashlib
import sys
import torch

lr = float(input("learning rate? "))
rest = [float(line) for line in sys.stdin]
print("isatty", sys.stdin.isatty(), "targets", rest)
torch.manual_seed(30)
net = torch.nn.Linear(2, len(rest))
opt = torch.optim.SGD(net.parameters(), lr=lr)
for _ in range(10):
    loss = (net(torch.ones(1, 2)) - torch.tensor([rest])).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
print("sha256", hashlib.sha256(net.weight.detach().numpy().tobytes()).hexdigest())
