"""Bags of words with sparse gradients: SparseAdam for the table, Adam for the rest, stepped together."""
import hashlib
import torch
from torch import nn


class TextClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(100, 12, mode="mean", sparse=True)
        self.fc = nn.Linear(12, 3)

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


torch.manual_seed(4)
model = TextClassifier()
optimizers = [
    torch.optim.SparseAdam(model.embedding.parameters(), lr=0.05),
    torch.optim.Adam(model.fc.parameters(), lr=0.05),
]
for i in range(9):
    lengths = torch.randint(1, 7, (16,))
    text = torch.randint(0, 100, (int(lengths.sum()),))
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
    label = text[offsets] % 3
    loss = nn.functional.cross_entropy(model(text, offsets), label)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    print("batch", i, "loss", loss.item())
print("sha256", hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
