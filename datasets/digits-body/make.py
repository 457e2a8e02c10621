"""Makes digits-body.safetensors: a small convolutional body that has learned on MNIST, made as small as ``digits``.

    python datasets/digits-body/make.py        needs MNIST (``bptui datasets fetch mnist``, or BPTUI_DATA); ten minutes

Each picture of MNIST is cut to its middle 20×20 pixels, where the digit lies, and averaged over 8×8 areas of 2.5×2.5.
The body is trained with a head of its own, which is left out of the file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
SPEC = """
[experiment]
name = "digits-body"
[data]
source = "{data}"
label = "y"
scale = "global"
batch_size = 128
validation = 0.05
[[model]]
type = "reshape"
shape = [1, 8, 8]
[[model]]
type = "conv2d"
name = "edges"
units = 16
padding = "same"
activation = "relu"
[[model]]
type = "max_pool"
[[model]]
type = "conv2d"
name = "parts"
units = 32
padding = "same"
activation = "relu"
[[model]]
type = "max_pool"
[[model]]
type = "flatten"
[[model]]
type = "dense"
name = "shapes"
units = 64
activation = "relu"
dropout = 0.2
[[model]]
type = "dense"
name = "mnist"
units = 10
[loss]
name = "cross_entropy"
[optimizer]
name = "adam"
[schedule]
name = "cosine"
[stop]
epochs = 8
"""


def areas(size: int, parts: int) -> np.ndarray:
    """(parts, size): the share of each pixel in each of ``parts`` equal stretches, rows adding up to 1."""
    edges = np.arange(parts + 1) * size / parts
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(overlap, 0, None) * parts / size


def main() -> int:
    from bptui.data import load, search_path
    from bptui.spec.experiment import CrossEntropy, Data

    wanted = Data(source="mnist", scale="none", validation=0.0)
    data = load(wanted, seed=0, dtype="f32", loss=CrossEntropy(), search=search_path([]))
    pictures = np.asarray(data.train.x[:]).reshape(-1, 28, 28)[:, 4:24, 4:24]
    share = areas(20, 8)
    small = np.einsum("ay,nyx,bx->nab", share, pictures, share).reshape(len(pictures), 64).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        np.savez(home / "small.npz", x=small, y=np.asarray(data.train.y))
        (home / "body.toml").write_text(SPEC.format(data=home / "small.npz"))
        subprocess.run(
            [sys.executable, "-m", "bptui", "train", str(home / "body.toml")], check=True,
            env={**__import__("os").environ, "BPTUI_HOME": str(home / "runs")},
        )  # fmt: skip
        (frame,) = sorted((home / "runs").glob("runs/*/keyframes/*.safetensors"))[-1:]
        tensors = load_file(frame)
    body = {f"{layer}.{kind}": tensors[f"{layer}.{kind}"].astype(np.float32)
            for layer in ("edges", "parts", "shapes") for kind in ("weight", "bias")}  # fmt: skip
    save_file(body, HERE / "digits-body.safetensors")
    print(f"{HERE / 'digits-body.safetensors'}: {sum(each.size for each in body.values()):,} parameters")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
