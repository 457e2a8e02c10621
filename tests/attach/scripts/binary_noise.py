"""Writes bytes that are no text, escape sequences and half a character to its output, while it trains."""
import hashlib
import os
import sys
import torch

torch.manual_seed(15)
net = torch.nn.Linear(4, 1)
opt = torch.optim.Adam(net.parameters(), lr=0.1)
for i in range(12):
    opt.zero_grad()
    loss = (net(torch.randn(16, 4)) - 1).pow(2).mean()
    loss.backward()
    opt.step()
    sys.stdout.buffer.write(bytes(range(256)) + b"\x1b[2J\x1b]0;title\x07\xff\xfe\xf0\x9f\x98")
    sys.stdout.buffer.flush()
    os.write(1, b"\r\x00 progress %d%%" % (i * 8))
    os.write(2, b"\x9b31m\xc3\n")
sys.stdout.write("\n")
print("sha256", hashlib.sha256(net.weight.detach().numpy().tobytes()).hexdigest())
