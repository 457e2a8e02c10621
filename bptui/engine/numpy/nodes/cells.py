"""What a recurrent layer does at each step: tanh and relu networks, LSTM, GRU.

A cell works on ``z`` (T, gates, N, H): all of a step is one piece of memory and so is each of its gates, so that a call
of NumPy takes it in one loop and not row by row. ``z`` holds the input's products of every step before the cell begins.
Samples lie by falling length, so that those that still run at step t are the first ``counts[t]``.

σ(z) = ½tanh(z/2) + ½, so weights and biases of σ gates come halved (which is exact) and one call of tanh does for all
gates. Backward, everything in a step that does not depend on δ is computed for a few steps at once (``_prepare``):
what is left of a step is linear in δ.

    lstm  c = f⊙c₋ + i⊙g, h = o⊙tanh c       gru  n = tanh(z_n + r⊙u), h = (1−z)⊙n + z⊙h₋, u = h₋W_hn + b_hn
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bptui.engine.numpy.operations import Operation, constant

Array = npt.NDArray[Any]
#: Bytes of one gate's numbers whose steps are prepared together, so that they are still in the cache when used.
PREPARED = 1 << 15


class Cell(ABC):
    """One direction of one level: its states ``h`` (T + 1, N, H), of which the first is 0, and its gates."""

    #: Which of the parameters' gates each gate here is; the first ``logistic`` of them go through σ.
    order: tuple[int, ...]
    logistic = 0
    #: How many arrays of a step backward fills: ∂L/∂ of the recurrent products' gates first.
    filled: int

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        self.steps, self.rows, self.units, self.nonlinearity = steps, rows, units, nonlinearity
        gates = len(self.order)

        def new(shape: tuple[int, ...]) -> Array:
            return np.zeros(shape, like.dtype)

        self.z, self.h = new((steps, gates, rows, units)), new((steps + 1, rows, units))
        self.dz = new((steps, self.filled, rows, units))
        self.by_row = new((steps, rows, gates * units))
        """Either way between ``z`` and products: a row a sample, gates side by side in the parameters' order."""
        self.delta = new((steps, rows, units))  # ∂L/∂h of each step, the later steps' part included
        self.product, self.scratch = new((gates, rows, units)), new((rows, units))
        self.half, self.one = constant(0.5, like), constant(1.0, like)

    def gates_of(self, by_row: Array) -> list[Array]:
        """Of rows (…, N, gates·H): a view (…, N, H) a gate, in the order of the gates here."""
        return [by_row[..., gate * self.units : (gate + 1) * self.units] for gate in self.order]

    def begin(self, bias_hn: Array) -> None:
        """Take the input's products and the biases, which lie in ``by_row``."""
        for gate, columns in enumerate(self.gates_of(self.by_row)):
            np.copyto(self.z[:, gate], columns)

    def step_forward(self, weight_hh: Array, counts: Sequence[int]) -> list[Operation]:
        """All steps: gates into ``z``, states into ``h``; states beyond a sample's end are 0.

        ``weight_hh`` (gates, H, H) in the order of the gates here, those of σ halved.
        """
        operations: list[Operation] = []
        for t, n in enumerate(counts):
            if n:
                if t:
                    product = self.product[:, :n]
                    operations.append(partial(np.matmul, self.h[t, :n], weight_hh, product))
                    operations += self._recurrent(t, product)
                operations += self._forward(t, n)
            if n < self.rows:
                operations.append(partial(self.h[t + 1, n:].fill, 0.0))
        return operations

    def step_backward(self, transposed_hh: Array, counts: Sequence[int]) -> list[Operation]:
        """All steps, last first: fills ``dz`` and ``by_row``, adds each step's part to the ``delta`` of the one before.

        ``transposed_hh`` (gates·H, H) is W_hhᵀ in one piece.
        """
        operations = self._begin_backward()
        together = max(1, PREPARED // max(1, self.scratch.nbytes))
        for t in reversed(range(self.steps)):
            n = counts[t]
            if (t + 1) % together == 0 or t + 1 == self.steps:
                operations += self._prepare(slice(t - t % together, t + 1))
            if n:
                operations += self._backward(t, n)
                columns = self.gates_of(self.by_row[t, :n])
                operations += [partial(np.copyto, each, self.dz[t, gate, :n]) for gate, each in enumerate(columns)]
                if t:
                    part, before = self.scratch[:n], self.delta[t - 1, :n]
                    operations.append(partial(np.dot, self.by_row[t, :n], transposed_hh, part))
                    operations.append(partial(np.add, before, part, before))
                    operations += self._after(t, n)
            if n < self.rows:
                beyond = self.dz[t, :, n:], self.by_row[t, n:], self.delta[t, n:]
                operations += [partial(array.fill, 0.0) for array in beyond]
        return operations

    def _recurrent(self, t: int, product: Array) -> list[Operation]:
        """Add the recurrent products (gates, n, H) to those of the input."""
        z = self.z[t, :, : product.shape[1]]
        return [partial(np.add, z, product, z)]

    @abstractmethod
    def _forward(self, t: int, n: int) -> list[Operation]: ...

    def _begin_backward(self) -> list[Operation]:
        return []

    @abstractmethod
    def _prepare(self, steps: slice) -> list[Operation]:
        """Into ``dz``: the factors of δ."""

    @abstractmethod
    def _backward(self, t: int, n: int) -> list[Operation]:
        """``dz[t]`` from its factors and δ."""

    def _after(self, t: int, n: int) -> list[Operation]:
        """What of δ goes to the step before without passing ``weight_hh``."""
        return []

    def turn_to_input(self) -> bool:
        """Make of ``by_row`` ∂L/∂z of the input's products, where that differs from the recurrent ones'."""
        return False

    def views(self) -> dict[str, Array]:
        """Gates and cell by name, (T, N, H)."""
        return {}


class Plain(Cell):
    order, filled = (0,), 1

    def _forward(self, t: int, n: int) -> list[Operation]:
        z, h = self.z[t, 0, :n], self.h[t + 1, :n]
        if self.nonlinearity == "relu":
            return [partial(np.maximum, z, constant(0.0, z), out=h)]
        return [partial(np.tanh, z, h)]

    def _prepare(self, steps: slice) -> list[Operation]:
        h, dz = self.h[1:][steps], self.dz[steps, 0]
        if self.nonlinearity == "relu":
            return [partial(np.greater, h, constant(0.0, h), out=dz, casting="unsafe")]
        return [partial(np.multiply, h, h, dz), partial(np.subtract, self.one, dz, dz)]

    def _backward(self, t: int, n: int) -> list[Operation]:
        dz = self.dz[t, 0, :n]
        return [partial(np.multiply, dz, self.delta[t, :n], dz)]


class Lstm(Cell):
    """Gates here: i, f, o, g; in the parameters o is last."""

    order, logistic, filled = (0, 1, 3, 2), 3, 4

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        super().__init__(steps, rows, units, like, nonlinearity)
        self.c = np.zeros_like(self.h)
        self.squashed = np.zeros_like(self.delta)  # tanh c
        self.through = np.zeros_like(self.delta)  # o ⊙ (1 − tanh² c): from h to c
        self.cell_carry = np.zeros_like(self.scratch)

    def _forward(self, t: int, n: int) -> list[Operation]:
        z, h, scratch = self.z[t, :, :n], self.h[t + 1, :n], self.scratch[:n]
        sigmas, (i, f, o, g) = z[: self.logistic], z
        c, before, squashed = self.c[t + 1, :n], self.c[t, :n], self.squashed[t, :n]
        return [
            partial(np.tanh, z, z),
            partial(np.multiply, sigmas, self.half, sigmas),
            partial(np.add, sigmas, self.half, sigmas),
            partial(np.multiply, f, before, c),
            partial(np.multiply, i, g, scratch),
            partial(np.add, c, scratch, c),
            partial(np.tanh, c, squashed),
            partial(np.multiply, o, squashed, h),
        ]

    def _begin_backward(self) -> list[Operation]:
        return [partial(self.cell_carry.fill, 0.0)]

    def _prepare(self, steps: slice) -> list[Operation]:
        (i, f, o, g), (di, df, do, dg) = self.z[steps].swapaxes(0, 1), self.dz[steps].swapaxes(0, 1)
        before, squashed, h, through = self.c[:-1][steps], self.squashed[steps], self.h[1:][steps], self.through[steps]
        return [
            partial(np.multiply, i, g, di),
            partial(np.multiply, di, g, dg),
            partial(np.subtract, i, dg, dg),  # i(1 − g²)
            partial(np.multiply, di, i, df),
            partial(np.subtract, di, df, di),  # ig(1 − i)
            partial(np.multiply, f, before, df),
            partial(np.multiply, df, f, do),
            partial(np.subtract, df, do, df),  # fc₋(1 − f)
            partial(np.multiply, h, o, do),
            partial(np.subtract, h, do, do),  # h(1 − o), where h = o·tanh c
            partial(np.multiply, h, squashed, through),
            partial(np.subtract, o, through, through),
        ]

    def _backward(self, t: int, n: int) -> list[Operation]:
        delta, cell, scratch = self.delta[t, :n], self.cell_carry[:n], self.scratch[:n]
        di, df, do, dg = self.dz[t, :, :n]
        return [
            partial(np.multiply, delta, self.through[t, :n], scratch),
            partial(np.add, cell, scratch, cell),
            *(partial(np.multiply, each, cell, each) for each in (di, df, dg)),
            partial(np.multiply, do, delta, do),
            partial(np.multiply, cell, self.z[t, 1, :n], cell),
        ]

    def views(self) -> dict[str, Array]:
        i, f, o, g = self.z.swapaxes(0, 1)
        return {"gate.input": i, "gate.forget": f, "gate.candidate": g, "gate.output": o, "cell": self.c[1:]}


class Gru(Cell):
    """``dz`` holds ∂L/∂ of r, z, u and z_n."""

    order, logistic, filled = (0, 1, 2), 2, 4

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        super().__init__(steps, rows, units, like, nonlinearity)
        self.inner = np.zeros_like(self.delta)  # u = h₋W_hn + b_hn

    def begin(self, bias_hn: Array) -> None:
        super().begin(bias_hn)
        self.inner[:] = bias_hn

    def _recurrent(self, t: int, product: Array) -> list[Operation]:
        n = product.shape[1]
        sigmas, inner = self.z[t, :2, :n], self.inner[t, :n]
        return [partial(np.add, sigmas, product[:2], sigmas), partial(np.add, inner, product[2], inner)]

    def _forward(self, t: int, n: int) -> list[Operation]:
        sigmas, (reset, keep, fresh), scratch = self.z[t, :2, :n], self.z[t, :, :n], self.scratch[:n]
        before, h = self.h[t, :n], self.h[t + 1, :n]
        return [
            partial(np.tanh, sigmas, sigmas),
            partial(np.multiply, sigmas, self.half, sigmas),
            partial(np.add, sigmas, self.half, sigmas),
            partial(np.multiply, reset, self.inner[t, :n], scratch),
            partial(np.add, fresh, scratch, fresh),
            partial(np.tanh, fresh, fresh),
            partial(np.subtract, before, fresh, h),
            partial(np.multiply, h, keep, h),
            partial(np.add, h, fresh, h),
        ]

    def _prepare(self, steps: slice) -> list[Operation]:
        reset, keep, fresh = self.z[steps].swapaxes(0, 1)
        d_reset, d_keep, d_inner, d_fresh = self.dz[steps].swapaxes(0, 1)
        return [
            partial(np.multiply, fresh, fresh, d_fresh),
            partial(np.subtract, self.one, d_fresh, d_fresh),
            partial(np.subtract, self.one, keep, d_keep),
            partial(np.multiply, d_fresh, d_keep, d_fresh),  # (1 − z)(1 − n²)
            partial(np.multiply, d_fresh, reset, d_inner),
            partial(np.multiply, d_keep, keep, d_keep),
            partial(np.subtract, self.h[:-1][steps], fresh, d_reset),  # scratch
            partial(np.multiply, d_keep, d_reset, d_keep),
            partial(np.subtract, self.one, reset, d_reset),
            partial(np.multiply, d_reset, d_inner, d_reset),
            partial(np.multiply, d_reset, self.inner[steps], d_reset),
        ]

    def _backward(self, t: int, n: int) -> list[Operation]:
        return [partial(np.multiply, each, self.delta[t, :n], each) for each in self.dz[t, :, :n]]

    def _after(self, t: int, n: int) -> list[Operation]:
        before, scratch = self.delta[t - 1, :n], self.scratch[:n]
        return [
            partial(np.multiply, self.delta[t, :n], self.z[t, 1, :n], scratch),
            partial(np.add, before, scratch, before),
        ]

    def turn_to_input(self) -> bool:
        np.copyto(self.gates_of(self.by_row)[2], self.dz[:, 3])
        return True

    def views(self) -> dict[str, Array]:
        reset, keep, fresh = self.z.swapaxes(0, 1)
        return {"gate.reset": reset, "gate.update": keep, "gate.candidate": fresh}


CELLS: dict[str, type[Cell]] = {"rnn": Plain, "lstm": Lstm, "gru": Gru}
