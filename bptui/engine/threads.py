"""Over how many threads a product is spread: it follows from the network and the cores, and a run records it.

The order in which a product adds up, and so its last bits, depends on the number of threads. Whoever sets one of
``VARIABLES`` has chosen (a replay does, to what was recorded); otherwise it is what pays for this network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from itertools import pairwise
from typing import TYPE_CHECKING

from bptui.spec.layers.base import size

if TYPE_CHECKING:  # a replay sets ``VARIABLES`` before NumPy is loaded
    from bptui.engine.base import Engine

#: What NumPy's and torch's libraries read when they are loaded.
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Multiply-adds for each thread, and the most of them. On 2 cores the second thread of OpenBLAS makes products of
#: 0.26 million multiply-adds no faster, of 0.5 million 1.1, of 1 million 1.45 and of 12 million 1.8 times as fast.
WORK, MOST = 1 << 19, 8
#: Kinds of layer whose products are each of one step of a sequence.
STEP_BY_STEP = frozenset({"rnn", "lstm", "gru"})
#: Kinds that NumPy's engine does in blocks of low matrices: a step of the preset ``cnn`` takes 13.4 ms on one thread,
#: 16 to 18 ms on two.
IN_BLOCKS = frozenset({"conv1d", "conv2d", "conv_transpose2d"})
#: Kinds that read rows of a table.
LOOKED_UP = frozenset({"embedding", "positional_embedding"})
#: Kinds that NumPy's engine spends much beside their products on → by how much those must be larger until they are
#: spread. Of attention and the block around it a second thread makes 1,024 steps of 64 features 1.2 times as fast where
#: both cores are free; where others use them, 4 to 10 times as slow, since OpenBLAS's threads wait for each other
#: several times a product, and do not sleep meanwhile.
MUCH_BESIDE = {"rnn": 64, "lstm": 64, "gru": 64, "attention": 512, "transformer_block": 512}


def products(engine: Engine) -> list[int]:
    """Multiply-adds that each layer of ``engine`` makes of one sample: its weights, at each place of its output.

    A recurrent layer goes step by step, so its products are of one matrix at one step each.
    """
    found = []
    for layer in engine.layers:
        places = size(layer.shape) // max(1, layer.units)
        found.append(of_layer(layer.kind, [each.size for each in layer.weights if len(each.shape) > 1], places))
    return in_numpy({layer.kind for layer in engine.layers}, found) if engine.name == "numpy" else found


def in_numpy(kinds: Set[str], work: Sequence[int]) -> list[int]:
    """What of ``work`` counts in a network of these kinds of layer.

    Where NumPy has convolutions, all else is little beside blocks that a second thread makes slower: nothing.
    """
    if kinds & IN_BLOCKS:
        return []
    times = max((MUCH_BESIDE.get(kind, 1) for kind in kinds), default=1)
    return [each // times for each in work]


def of_layer(kind: str, weights: Sequence[int], places: int) -> int:
    """Of one sample: ``weights`` are the sizes of the layer's matrices, ``places`` those at which they are applied."""
    if kind in LOOKED_UP:
        return 0
    return max(weights, default=0) if kind in STEP_BY_STEP else sum(weights) * places


def of_widths(widths: Sequence[int]) -> list[int]:
    """The same for a chain of dense layers of these ``widths``, features first."""
    return [inputs * units for inputs, units in pairwise(widths)]


def fitting(work: Sequence[int], rows: int, cores: int) -> int:
    """Threads for layers of so many multiply-adds a sample and batches of ``rows``."""
    largest = max(work, default=0) * rows
    return max(1, min(cores, MOST, largest // WORK))


def set_threads(engine: str, work: Sequence[int], rows: int) -> None:
    """Spread the products of ``engine`` (``numpy`` or ``torch``) as fits, unless the environment says how."""
    if any(name in os.environ for name in VARIABLES):
        return
    count = fitting(work, rows, cores())
    if engine == "torch":
        from bptui.engine.torch.device import set_threads as spread

        spread(count)
    else:
        from bptui.engine.numpy.blas import BLAS

        BLAS.set_threads(count)


def threads(engine: str) -> int:
    """Threads that the products of ``engine`` are spread over now."""
    if engine == "torch":
        from bptui.engine.torch.device import threads as spread

        return spread()
    from bptui.engine.numpy.blas import BLAS

    return BLAS.threads() or next((int(os.environ[n]) for n in VARIABLES if os.environ.get(n, "").isdigit()), cores())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
