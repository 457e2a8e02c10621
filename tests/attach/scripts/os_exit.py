"""Leaves by os._exit: no cleaning up, no flushing."""
import hashlib, os, torch

torch.manual_seed(13)
layer = torch.nn.Bilinear(3, 4, 2)
opt = torch.optim.ASGD(layer.parameters())
for _ in range(10):
    opt.zero_grad()
    layer(torch.randn(7, 3), torch.randn(7, 4)).abs().mean().backward()
    opt.step()
print("sha256", hashlib.sha256(layer.weight.detach().numpy().tobytes()).hexdigest(), flush=True)
print("this stays in the buffer", end="")
os._exit(7)
