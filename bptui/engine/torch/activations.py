"""Activations as torch has them. The gate g′(z) is autograd's, or a row of ``GATES`` where that is cheaper."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

#: ``identity`` is not here: its h is z, and its gate is 1.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}

#: g′ from h = g(z).
GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.sign,
    "sigmoid": lambda h: (1.0 - h) * h,
    "tanh": lambda h: 1.0 - h * h,
}
