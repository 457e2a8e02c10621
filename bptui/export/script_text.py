"""The fixed parts of an exported script; ``{names}`` are filled in by ``script``."""

from __future__ import annotations

HEAD = '''"""{about}

Trains with plain PyTorch and repeats the run: the same initial values, the same batches in the same order, the same
updates. Each loss is that of the run but for rounding, and is compared with it at the end. (In float64 they agree to
nine digits and more; in float32 rounding grows from step to step, and to per cents over thousands of them.)

Needs torch and NumPy, and two files beside this one, of the same name:
    .npz                   the rows before scaling (x_train, y_train, x_validation …), mean and scale, the run's losses
    .initial.safetensors   the parameters of step 0

    python FILE.py                  train, evaluate, compare
    python FILE.py --steps 100      only so many updates
    python FILE.py --losses OUT     write the losses as a JSON list
"""

import argparse
import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED = {seed}
DTYPE = {dtype}
BATCH_SIZE = {batch}
ACCUMULATE = {accumulate}  # batches whose mean gradient makes one update
STEPS_PER_EPOCH = {per_epoch}
STEPS = {steps}
LEARNING_RATE = {lr}
{threads}

# -- data ----------------------------------------------------------------------------------------------
def words(name, index, count):
    """Raw 64-bit words of a counter-based generator, keyed by seed and name: the same in every release of NumPy."""
    key = np.array([SEED % 2**64, zlib.crc32(name.encode())], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, index, 0], dtype=np.uint64)).random_raw(count)


def scaled(x, mean, scale):
{scaled}

def read_data():
    """Part -> ({given}), and the losses of the run."""
    with np.load(Path(__file__).with_suffix(".npz")) as file:
        held = dict(file)
    parts = {{}}
    for part in ("train", "validation", "test"):
        if f"x_{{part}}" in held:
{reading}    return parts, held["losses"]


parts, run_losses = read_data()
ROWS = len(parts["train"][0])


def order_of(epoch):
{order}

# -- model ---------------------------------------------------------------------------------------------
{dropout}{network}

criterion = {criterion}
plain_criterion = {plain}  # what evaluations show
optimizer = {optimizer}


{plateau}def learning_rate(step):
    """Of the update from state ``step``."""
    return {schedule}


# -- evaluation ----------------------------------------------------------------------------------------
{evaluate}
'''

EVALUATE = '''def metric(outputs, y):
{metric}

@torch.no_grad()
def evaluate(part):
    """Loss and metric of all rows of a part."""
    model.eval()
    {given} = parts[part]
    outputs = {outputs}.double()
    y = y.double() if y.is_floating_point() else y
    model.train()
    return {{"loss": plain_criterion({pair}).item(), **metric(outputs, y)}}
'''

EVALUATE_STEPS = '''@torch.no_grad()
def evaluate(part):
    """Loss of all rows of a part, the share of steps that are right, and e to the loss; a block of rows at a time."""
    model.eval()
    total, hits, targets, whole = 0.0, 0, 0, 0
    for {given} in zip(*(each.split(64) for each in parts[part])):
        outputs = model({inputs}).double()  # (N, classes, T)
        there = y >= 0
        right = (outputs.argmax(dim=1) == y) & there
        total += plain_criterion(outputs, y).item() * int(there.sum())
        hits, targets = hits + int(right.sum()), targets + int(there.sum())
{whole}    model.train()
    loss = total / targets
    found = {{"loss": loss, "accuracy": hits / targets, "perplexity": math.exp(min(loss, 700.0))}}
{all}    return found
'''

WHOLE_COUNTED = "        whole += int((right | ~there).all(dim=1).sum())\n"
WHOLE_TOLD = '    found["sequence_accuracy"] = whole / len(parts[part][0])\n'

TRAIN = '''
# -- training ------------------------------------------------------------------------------------------
def train(steps):
    """The loss of each step: that of state k, before the update from it."""
    {given} = parts["train"]
    losses = []
{best}    for step in range(steps):
        epoch, place = divmod(step, STEPS_PER_EPOCH)
        if place == 0:
            order = order_of(epoch)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        rows = order[place * BATCH_SIZE * ACCUMULATE : (place + 1) * BATCH_SIZE * ACCUMULATE]
        batches = rows.split(BATCH_SIZE)
        optimizer.zero_grad()
        total = 0.0
        for number, part in enumerate(batches):
{masks}            loss = {loss}
            (loss / len(batches)).backward()
            total += loss.item()
{gradient}        optimizer.step()
        losses.append(total / len(batches))
        if not math.isfinite(losses[-1]):
            print(f"the loss is {{losses[-1]}} at step {{step}}")
            break
{after_epoch}    return losses


def main():
    parser = argparse.ArgumentParser(description="Train, and compare each loss with the run's.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--losses", metavar="OUT", help="write the losses as a JSON list")
    arguments = parser.parse_args()
    losses = train(arguments.steps)
    for part in parts:
        print(part, *(f"{{name}} {{value:.4f}}" for name, value in evaluate(part).items()))
    pairs = [(a, b) for a, b in zip(losses, run_losses.tolist()) if math.isfinite(a) and math.isfinite(b)]
    if pairs:
        worst = max(abs(a - b) / max(abs(b), 1e-300) for a, b in pairs)
        print(f"largest relative difference from the run's losses over {{len(pairs)}} steps: {{worst:.1e}}")
    if arguments.losses:
        Path(arguments.losses).write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
'''

MODEL_STATE = '''

def load_initial_values(path):
    """Put the parameters of step 0 in place. (A safetensors file is a length, a JSON header, and plain numbers.)"""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    for name, layer in zip(NAMES, linears):
        for kind, parameter in (("weight", layer.weight), ("bias", layer.bias)):
            about = header[f"{name}.{kind}"]
            first, last = about["data_offsets"]
            values = np.frombuffer(data[begin + first : begin + last], {"F32": "<f4", "F64": "<f8"}[about["dtype"]])
            values = torch.tensor(values.reshape(about["shape"]))
            with torch.no_grad():  # W is stored as (inputs, units), torch keeps it as (units, inputs)
                parameter.copy_(values.T if kind == "weight" else values)


load_initial_values(Path(__file__).with_suffix(".initial.safetensors"))'''

CHAIN = '''model = nn.Sequential(
{model}
).to(DTYPE)
NAMES = {names}
linears = [layer for layer in model if isinstance(layer, nn.Linear)]
{frozen}{state}'''

DROPOUT = '''class Dropout(nn.Module):
    """Inverted dropout whose masks are drawn by (seed, layer, step), as the run drew them."""

    def __init__(self, name, units, rate):
        super().__init__()
        self.name, self.units, self.rate = name, units, rate
        self.step = self.first = 0  # of the update; and of the batch's first row among those of the update

    def forward(self, x):
        if not self.training:
            return x
        start = self.first * self.units
        drawn = words(f"dropout.{self.name}", self.step, start + x.numel())[start:]
        kept = drawn >= np.uint64(min(math.ceil(self.rate * 2.0**53) << 11, 2**64 - 1))
        return x * torch.from_numpy(kept * (1.0 / (1.0 - self.rate))).reshape(x.shape).to(x.dtype)


'''

PLATEAU = '''class Plateau:
    """Cuts the rate after epochs without a better loss (the rule of torch's ReduceLROnPlateau)."""

    factor, best, bad_epochs, cooldown = 1.0, math.inf, 0, 0

    def epoch_ended(self, loss):
        if loss < self.best * (1 - {threshold}):
            self.best, self.bad_epochs = loss, 0
        else:
            self.bad_epochs += 1
        if self.cooldown > 0:
            self.cooldown, self.bad_epochs = self.cooldown - 1, 0
        if self.bad_epochs > {patience}:
            self.factor = max(self.factor * {factor}, min(1.0, {min_lr} / LEARNING_RATE))
            self.cooldown, self.bad_epochs = {cooldown}, 0


plateau = Plateau()


'''

AFTER_EPOCH = """        if place + 1 == STEPS_PER_EPOCH:
            found = evaluate("validation") if "validation" in parts else {{}}
            figures = "".join(f"  val_{{name}} {{value:.4f}}" for name, value in found.items())
            print(f"epoch {{epoch + 1}}  step {{step + 1}}  loss {{losses[-1]:.6f}}{{figures}}")
{watching}"""

WITHOUT_LABELS = "    return {}\n"
