"""The training runs in a thread; the main thread waits for losses from a queue."""
import hashlib
import queue
import threading
import torch

losses = queue.Queue()
torch.manual_seed(27)
model = torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Hardswish(), torch.nn.Linear(7, 1))


def worker():
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(30, 3)
    for _ in range(10):
        loss = torch.nn.functional.mse_loss(model(x), x[:, :1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.put(loss.item())
    losses.put(None)


thread = threading.Thread(target=worker, name="trainer")
thread.start()
while (loss := losses.get()) is not None:
    print(loss)
thread.join()
print(threading.active_count(), "thread left")
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
