"""An optimiser of one's own (the sign of a momentum), with a closure that it calls itself, and state."""
import hashlib
import torch
from torch.optim.optimizer import Optimizer


class Lion(Optimizer):
    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                beta1, beta2 = group["betas"]
                update = (state["exp_avg"] * beta1 + p.grad * (1 - beta1)).sign_()
                p.add_(update, alpha=-group["lr"])
                state["exp_avg"].mul_(beta2).add_(p.grad, alpha=1 - beta2)
        return loss


torch.manual_seed(19)
model = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.Softplus(), torch.nn.Linear(10, 1))
lion = Lion(model.parameters(), weight_decay=0.1)
x = torch.randn(64, 4)
target = (x**2).sum(1, keepdim=True)


def closure():
    lion.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), target)
    loss.backward()
    return loss


for i in range(16):
    loss = lion.step(closure)
    if i % 5 == 0:
        print(i, loss.item())
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
