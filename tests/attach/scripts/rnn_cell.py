"""An RNN cell unrolled by hand: the same module runs six times an update."""
import hashlib
import torch
from torch.nn import Linear, Module, RNNCell
from torch.optim import RMSprop


class Parity(Module):
    def __init__(self):
        super().__init__()
        self.cell = RNNCell(1, 10)
        self.read = Linear(10, 1)

    def forward(self, bits):
        hidden = bits.new_zeros(bits.shape[0], 10)
        for t in range(bits.shape[1]):
            hidden = self.cell(bits[:, t, None], hidden)
        return self.read(hidden)[:, 0]


torch.manual_seed(11)
net = Parity()
rms = RMSprop(net.parameters(), lr=0.01, alpha=0.9, momentum=0.5)
for i in range(18):
    bits = torch.randint(0, 2, (32, 6)).float()
    error = torch.nn.functional.binary_cross_entropy_with_logits(net(bits), bits.sum(1) % 2)
    rms.zero_grad()
    error.backward()
    rms.step()
print("last error", error.item())
digest = hashlib.sha256()
for parameter in net.parameters():
    digest.update(parameter.detach().numpy())
print("sha256", digest.hexdigest())
