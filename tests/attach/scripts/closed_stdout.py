"""Closes its standard output, as daemons do, and goes on; the result goes to standard error and a file."""
import hashlib
import os
import sys
import torch

print("closing")
sys.stdout.close()
os.close(1)
torch.manual_seed(14)
net = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.ReLU6(), torch.nn.Linear(5, 1))
opt = torch.optim.SGD(net.parameters(), 0.01)
for _ in range(12):
    opt.zero_grad()
    net(torch.randn(4, 5)).mean().backward()
    opt.step()
line = "sha256 " + hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest()
print(line, file=sys.stderr)
with open("result.txt", "w") as result:
    result.write(line + "\n")
