#!/usr/bin/env python
"""A command line, a folder made and entered, a checkpoint written half way and read again."""
import argparse
import hashlib
import os
import sys

import torch


def main(argv=None):
    parser = argparse.ArgumentParser(description="linear regression")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("folder")
    args = parser.parse_args(argv)
    os.makedirs(args.folder, exist_ok=True)
    os.chdir(args.folder)
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    x = torch.randn(20, 3)
    for step in range(args.steps):
        if step == args.steps // 2:
            torch.save({"model": model.state_dict(), "opt": opt.state_dict(), "step": step}, "checkpoint.pt")
            saved = torch.load("checkpoint.pt", weights_only=True)
            model = torch.nn.Linear(3, 1)
            opt = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.1)
            model.load_state_dict(saved["model"])
            opt.load_state_dict(saved["opt"])
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(os.path.basename(sys.argv[0]), sys.argv[1:], os.path.basename(os.getcwd()), sorted(os.listdir()))
    print("sha256", hashlib.sha256(model.weight.detach().numpy().tobytes()).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
