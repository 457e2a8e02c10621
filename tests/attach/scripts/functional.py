"""torch.func: gradients of a function of parameters, per sample and together; no backward() and no optimiser."""
import hashlib
import torch
from torch.func import functional_call, grad, grad_and_value, vmap

torch.manual_seed(12)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
params = {k: v.detach().clone() for k, v in net.named_parameters()}
x, y = torch.randn(32, 4), torch.randn(32, 1)


def loss_fn(p, x, y):
    return torch.nn.functional.mse_loss(functional_call(net, p, (x,)), y)


for i in range(12):
    grads, loss = grad_and_value(loss_fn)(params, x, y)
    params = {k: p - 0.1 * grads[k] for k, p in params.items()}
    print(i, loss.item())
each = vmap(grad(loss_fn), in_dims=(None, 0, 0))(params, x, y)
print({k: tuple(v.shape) for k, v in each.items()})
print("sha256", hashlib.sha256(b"".join(p.numpy().tobytes() for p in params.values())).hexdigest())
