"""A small convolutional classifier with in-place ReLU and the usual train/test functions."""
from hashlib import sha256

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class CNN(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Linear(64, classes)

    def forward(self, x):
        x = self.features(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def train(model, loader, optimizer, loss_fn):
    model.train()
    total = 0.0
    for images, targets in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(images), targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
    return total / len(loader.dataset)


def test(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for images, targets in loader:
            right += (model(images).argmax(1) == targets).sum().item()
    return right / len(loader.dataset)


torch.manual_seed(1)
images = torch.rand(1024, 1, 8, 8)
targets = torch.randint(0, 4, (1024,))
for row, target in enumerate(targets):
    images[row, 0, 2 * target : 2 * target + 2] += 1.0
loader = DataLoader(TensorDataset(images, targets), batch_size=256, shuffle=True)
model = CNN()
with torch.no_grad():
    model.features[3].bias[[1, 7, 9]] = -50.0
optimizer = optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(4):
    print("epoch", epoch, "loss %.5f" % train(model, loader, optimizer, nn.CrossEntropyLoss()), "accuracy", test(model, loader))
digest = sha256()
for name, tensor in sorted(model.state_dict().items()):
    digest.update(name.encode() + tensor.numpy().tobytes())
print("sha256", digest.hexdigest())
