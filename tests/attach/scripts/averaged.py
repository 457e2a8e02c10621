"""Weights are averaged with swa_utils; batch norm is refreshed at the end; the average is what is kept."""
import hashlib
import torch
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn

torch.manual_seed(29)
x, y = torch.randn(96, 5), torch.randn(96, 1)
loader = [(x[i : i + 24], y[i : i + 24]) for i in range(0, 96, 24)]
model = torch.nn.Sequential(torch.nn.Linear(5, 12), torch.nn.BatchNorm1d(12), torch.nn.ReLU(), torch.nn.Linear(12, 1))
swa_model = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
swa = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
for epoch in range(4):
    for inputs, target in loader:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), target).backward()
        optimizer.step()
    if epoch >= 2:
        swa_model.update_parameters(model)
        swa.step()
update_bn(loader, swa_model)
print("averaged", int(swa_model.n_averaged))
print("sha256", hashlib.sha256(b"".join(t.numpy().tobytes() for t in swa_model.state_dict().values())).hexdigest())
