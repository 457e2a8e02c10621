"""A GAN on a ring of Gaussians: two models, two optimisers, one update of each in turn."""
import hashlib, math
import torch
import torch.nn as nn

torch.manual_seed(999)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(True), nn.Linear(16, 2), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1))

    def forward(self, x):
        return self.main(x).view(-1)


netG, netD = Generator(), Discriminator()
criterion = nn.BCEWithLogitsLoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
for i in range(11):
    # (1) maximise log D(x) + log(1 − D(G(z)))
    netD.zero_grad()
    angle = 2 * math.pi * torch.randint(0, 8, (32,)) / 8
    real = 0.7 * torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(32, 2)
    errD_real = criterion(netD(real), torch.ones(32))
    errD_real.backward()
    fake = netG(torch.randn(32, 4))
    errD_fake = criterion(netD(fake.detach()), torch.zeros(32))
    errD_fake.backward()
    optimizerD.step()
    # (2) maximise log D(G(z))
    netG.zero_grad()
    errG = criterion(netD(fake), torch.ones(32))
    errG.backward()
    optimizerG.step()
    print("[%d] Loss_D: %.4f Loss_G: %.4f" % (i, (errD_real + errD_fake).item(), errG.item()))
h = hashlib.sha256()
for net in (netG, netD):
    for v in net.state_dict().values():
        h.update(v.numpy().tobytes())
print("sha256", h.hexdigest())
