"""Has handlers of its own, sends itself signals while it trains, and looks whether they are still its own."""
import hashlib
import os
import signal
import torch

seen = []


def handler(number, frame):
    seen.append(signal.Signals(number).name)


mine = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
before = {number: signal.signal(number, handler) for number in mine}
print("before", before[signal.SIGINT] is signal.default_int_handler, before[signal.SIGUSR1] is signal.SIG_DFL)
torch.manual_seed(16)
net = torch.nn.Linear(3, 1)
opt = torch.optim.SGD(net.parameters(), 0.1)
for i in range(12):
    opt.zero_grad()
    net(torch.randn(8, 3)).pow(2).mean().backward()
    os.kill(os.getpid(), mine[i % 6])
    opt.step()
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
print(seen, all(signal.getsignal(number) is handler for number in mine))
print("sha256", hashlib.sha256(net.weight.detach().numpy().tobytes()).hexdigest())
