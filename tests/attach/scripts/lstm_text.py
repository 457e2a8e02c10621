"""Next characters with an LSTM; the state is carried from chunk to chunk; gradients are clipped by norm."""
import hashlib

import torch
import torch.nn as nn

text = "the quick brown fox jumps over the lazy dog. " * 12
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])


class CharLSTM(nn.Module):
    def __init__(self, vocab, hidden=24):
        super().__init__()
        self.embed = nn.Embedding(vocab, 12)
        self.lstm = nn.LSTM(12, hidden, num_layers=2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, tokens, state=None):
        out, state = self.lstm(self.embed(tokens), state)
        return self.head(out), state


torch.manual_seed(42)
B, T = 4, 16
columns = data[: len(data) // B * B].view(B, -1)
net = CharLSTM(len(chars))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
state, step = None, 0
while step < 14:
    for start in range(0, columns.size(1) - T - 1, T):
        x, y = columns[:, start : start + T], columns[:, start + 1 : start + T + 1]
        if state is not None:
            state = tuple(s.detach() for s in state)
        logits, state = net(x, state)
        loss = nn.functional.cross_entropy(logits.reshape(-1, len(chars)), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 0.25)
        opt.step()
        step += 1
        print("step", step, "loss", loss.item(), "norm", norm.item())
        if step == 14:
            break
    state = None
print("sha256", hashlib.sha256(b"".join(v.numpy().tobytes() for v in net.state_dict().values())).hexdigest())
