"""Forward and backward of each kind of layer: NumPy's node against torch.nn.functional with autograd, in one run.

    python benchmarks/layers.py [KIND …] [--quick | --full]

Batches of 32: pictures of 16×16×16, rows of 64 units, sequences of 32 steps of 64 features; float32. Both get the same
arrays, keep every gradient, and take turns of a few milliseconds in ABBA order, so that what drifts meets both; the
figure is the median of the paired ratios of time, ours to torch's, so above 1 torch is the faster. Torch has all cores;
NumPy as many threads as the trainer would give it. Budgets: dense faster than torch, recurrent layers no slower, none
more than three times as slow. Prints one JSON object.

A new kind is a row of ``CASES``: the layer, and the shape of one sample.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from bptui.engine.numpy.blas import BLAS  # noqa: E402
from bptui.engine.numpy.nodes import NODES  # noqa: E402
from bptui.engine.numpy.nodes.base import Context  # noqa: E402
from bptui.engine.threads import cores, fitting, in_numpy, of_layer  # noqa: E402
from bptui.engine.torch.kinds import FORWARD  # noqa: E402
from bptui.engine.torch.kinds.base import Context as TorchContext  # noqa: E402
from bptui.spec.experiment import Dense, Layer  # noqa: E402
from bptui.spec.layers import TAKES_IDS  # noqa: E402
from bptui.spec.layers.attention import Attention, TransformerBlock  # noqa: E402
from bptui.spec.layers.base import Shape, size  # noqa: E402
from bptui.spec.layers.conv import Conv1d, Conv2d, ConvTranspose2d  # noqa: E402
from bptui.spec.layers.embedding import Embedding, PositionalEmbedding  # noqa: E402
from bptui.spec.layers.norm import BatchNorm, GroupNorm  # noqa: E402
from bptui.spec.layers.norm_features import LayerNorm, RMSNorm  # noqa: E402
from bptui.spec.layers.pool import AveragePool, GlobalPool, MaxPool, Upsample  # noqa: E402
from bptui.spec.layers.recurrent import GRU, LSTM, RNN, TimePool  # noqa: E402
from bptui.spec.layers.shape import Dot, Multiply  # noqa: E402
from bptui.spec.shapes import infer  # noqa: E402

ROWS, TOKENS = 32, 1000
ROW, PICTURE, SEQUENCE, IDS = (64,), (16, 16, 16), (32, 64), (32,)
#: Most times as long as torch that a layer may take.
BUDGET = 3.0
#: Seconds of one turn.
TURN = 0.004


class Case(NamedTuple):
    layer: Layer
    shape: Shape
    budget: float = BUDGET
    inputs: int = 1
    """Inputs of that shape: of a layer that joins, two."""


CASES: dict[str, Case] = {
    "dense": Case(Dense(units=64), ROW, 1.0),
    "conv1d": Case(Conv1d(units=64, padding="same"), SEQUENCE),
    "conv2d": Case(Conv2d(units=16, padding="same"), PICTURE),
    "conv2d 1×1": Case(Conv2d(units=16, kernel=1), PICTURE),
    "conv2d strided": Case(Conv2d(units=16, padding="same", stride=2), PICTURE),
    "conv2d dilated": Case(Conv2d(units=16, padding="same", dilation=2), PICTURE),
    "conv2d in 4 groups": Case(Conv2d(units=16, padding="same", groups=4), PICTURE),
    "conv2d depthwise": Case(Conv2d(units=16, padding="same", groups=16), PICTURE),
    "conv_transpose2d": Case(ConvTranspose2d(units=16, stride=2, padding=1, output_padding=1), PICTURE),
    "max_pool": Case(MaxPool(), PICTURE),
    "max_pool overlapping": Case(MaxPool(kernel=3, stride=2, padding=1), PICTURE),
    "average_pool": Case(AveragePool(), PICTURE),
    "global_pool": Case(GlobalPool(), PICTURE),
    "upsample": Case(Upsample(), PICTURE),
    "upsample bilinear": Case(Upsample(mode="bilinear"), PICTURE),
    "batch_norm": Case(BatchNorm(), PICTURE),
    "batch_norm of rows": Case(BatchNorm(), ROW),
    "group_norm": Case(GroupNorm(groups=4), PICTURE),
    "rnn": Case(RNN(units=64), SEQUENCE, 1.0),
    "rnn relu": Case(RNN(units=64, nonlinearity="relu"), SEQUENCE, 1.0),
    "lstm": Case(LSTM(units=64), SEQUENCE, 1.0),
    "lstm bidirectional": Case(LSTM(units=64, bidirectional=True), SEQUENCE, 1.0),
    "gru": Case(GRU(units=64), SEQUENCE, 1.0),
    "time_pool": Case(TimePool(), SEQUENCE),
    "embedding": Case(Embedding(units=64, vocabulary=TOKENS), IDS),
    "embedding of a column": Case(Embedding(units=64, vocabulary=TOKENS, column=0), (2,)),
    "multiply": Case(Multiply(of=("input",)), ROW, inputs=2),
    "dot": Case(Dot(of=("input",)), ROW, inputs=2),
    "positional_embedding": Case(PositionalEmbedding(), SEQUENCE),
    "attention": Case(Attention(heads=4), SEQUENCE),
    "attention causal": Case(Attention(heads=4, causal=True), SEQUENCE),
    "transformer_block": Case(TransformerBlock(heads=4), SEQUENCE),
    "layer_norm": Case(LayerNorm(), SEQUENCE),
    "rms_norm": Case(RMSNorm(), SEQUENCE),
}


def contestants(case: Case) -> tuple[Callable[[], object], Callable[[], object], int]:
    """(ours, torch's, threads of ours): one call is forward and backward of one batch."""
    kind = str(case.layer.__struct_config__.tag)
    ids = kind in TAKES_IDS
    (place,) = infer((case.layer,), case.shape, ids)
    draw = np.random.default_rng(0)
    x: Any = draw.normal(size=(ROWS, *case.shape)).astype(np.float32)
    if ids:
        x = draw.integers(0, TOKENS, (ROWS, *case.shape))
    joined = (x, *(draw.normal(size=x.shape).astype(np.float32) for _ in range(case.inputs - 1)))
    delta = draw.normal(size=(ROWS, *place.geometry.output)).astype(np.float32)
    values = {
        each.name: (0.1 * draw.normal(size=each.shape)).astype(np.float32) for each in place.geometry.parameters
    }
    buffers = {each.name: np.ones(each.shape, np.float32) for each in place.geometry.buffers}
    node = NODES[kind](place, values, {name: np.empty_like(value) for name, value in values.items()}, buffers)
    context = Context(training=True)

    def ours() -> object:
        node.forward(joined, context)
        return node.backward(delta, not ids)

    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    sources, upstream = tuple(torch.tensor(each, requires_grad=not ids) for each in joined), torch.tensor(delta)
    wanted = [*([] if ids else sources), *leaves.values()]
    kept = {name: torch.tensor(value) for name, value in buffers.items()}

    def theirs() -> object:
        z = FORWARD[kind](case.layer, sources, leaves, kept, TorchContext(place, True))
        return torch.autograd.grad(z, wanted, upstream)

    weights = [size(each.shape) for each in place.geometry.parameters if len(each.shape) > 1]
    work = of_layer(kind, weights, size(place.geometry.output) // max(1, place.units))
    return ours, theirs, fitting(in_numpy({kind}, [work]), ROWS, cores())


def turn(call: Callable[[], object], times: int) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begun) / times


def one(case: Case, rounds: int) -> dict[str, Any]:
    ours, theirs, threads = contestants(case)
    BLAS.set_threads(threads)
    calls = []
    for call in (ours, theirs):
        turn(call, 2)
        calls.append((call, max(1, int(TURN / turn(call, 3)))))
    (us, many), (them, often) = calls
    mine, others = [], []
    for _ in range(rounds):
        first = turn(us, many)
        torchs = turn(them, often) + turn(them, often)
        mine.append((first + turn(us, many)) / 2)
        others.append(torchs / 2)
    ratio = statistics.median(a / b for a, b in zip(mine, others, strict=True))
    return {
        "numpy_us": round(statistics.median(mine) * 1e6, 1), "torch_us": round(statistics.median(others) * 1e6, 1),
        "ratio": round(ratio, 2), "numpy_threads": threads,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="only layers whose name begins so")
    parser.add_argument("--quick", action="store_true", help="a look: 5 rounds")
    parser.add_argument("--full", action="store_true", help="200 rounds")
    arguments = parser.parse_args()
    rounds = 5 if arguments.quick else 200 if arguments.full else 40
    cases, budgets = {}, []
    for name, case in CASES.items():
        if arguments.kinds and not name.startswith(tuple(arguments.kinds)):
            continue
        cases[name] = found = one(case, rounds)
        budgets.append({"what": f"{name}, forward and backward against torch", "value": found["ratio"],
                        "budget": f"<= {case.budget:g}", "unit": "×", "ok": found["ratio"] <= case.budget})  # fmt: skip
    torch_threads = torch.get_num_threads()
    print(json.dumps({"rows": ROWS, "torch_threads": torch_threads, "cases": cases, "budgets": budgets}, indent=2,
                     ensure_ascii=False))  # fmt: skip


if __name__ == "__main__":
    main()
