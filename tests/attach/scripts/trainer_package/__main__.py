import hashlib
import sys

import torch

from .model import Regressor


def main():
    torch.manual_seed(41)
    model = Regressor(int(sys.argv[1]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x = torch.randn(32, 2)
    for _ in range(10):
        optimizer.zero_grad()
        (model(x) - x.prod(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    print(__name__, __package__, __spec__.name, sys.argv[1:])
    print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())


if __name__ == "__main__":
    main()
