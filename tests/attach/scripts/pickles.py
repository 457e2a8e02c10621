"""Pickles and unpickles what it defines itself, looks at its own source, asks who __main__ is."""
import __main__
import hashlib
import inspect
import pickle
import sys
from dataclasses import asdict, dataclass, field

import torch


@dataclass(frozen=True)
class Settings:
    lr: float = 0.02
    widths: list = field(default_factory=lambda: [4, 8, 2])


class Net(torch.nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.settings = settings
        a, b, c = settings.widths
        self.up, self.down = torch.nn.Linear(a, b), torch.nn.Linear(b, c)

    def forward(self, x):
        return self.down(torch.celu(self.up(x)))


if __name__ == "__main__":
    torch.manual_seed(22)
    settings = pickle.loads(pickle.dumps(Settings()))
    net = pickle.loads(pickle.dumps(Net(settings)))
    opt = torch.optim.SGD(net.parameters(), lr=settings.lr)
    for i in range(10):
        opt.zero_grad()
        net(torch.randn(9, 4)).pow(2).mean().backward()
        opt.step()
        if i == 4:
            net_again, opt_again = pickle.loads(pickle.dumps((net, opt)))
    print(asdict(settings), __main__.Net is Net, sys.modules["__main__"].__file__ == __file__)
    print(inspect.getsource(Settings).splitlines()[1], len(inspect.getsource(Net.forward).splitlines()))
    print(type(net_again).__module__, torch.equal(net_again.up.weight, net.up.weight), sorted(vars(net_again)) == sorted(vars(net)))
    print(hashlib.sha256(pickle.dumps(net.state_dict())).hexdigest()[:0] + repr(globals().get("__spec__")))
    print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
