"""Weighted regression: dampened momentum, steps of the rate, schedulers in a row, maximise."""
import hashlib
import torch

gen = torch.Generator()
gen.manual_seed(314)
X = torch.randn(120, 6, generator=gen)
true = torch.arange(1.0, 7.0)
Y = X @ true + 0.5

lin = torch.nn.Linear(6, 1)
torch.nn.init.zeros_(lin.weight)
torch.nn.init.zeros_(lin.bias)
opt = torch.optim.SGD([lin.weight, lin.bias], lr=0.05, momentum=0.8, dampening=0.1, maximize=True)
warm = torch.optim.lr_scheduler.LinearLR(opt, 0.2, total_iters=5)
step = torch.optim.lr_scheduler.StepLR(opt, 5, 0.5)
both = torch.optim.lr_scheduler.SequentialLR(opt, [warm, step], [5])
for k in range(20):
    score = -((lin(X).squeeze() - Y) ** 2).mean()
    opt.zero_grad()
    score.backward()
    opt.step()
    both.step()
    print(k, score.item(), opt.param_groups[0]["lr"])
print("sha256", hashlib.sha256(lin.weight.detach().numpy().tobytes() + lin.bias.detach().numpy().tobytes()).hexdigest())
