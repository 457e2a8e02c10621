"""What a recurrent layer does at each step: tanh and relu networks, LSTM, GRU.

A cell works in time order on arrays of all steps, ``(T, N, ·)``: its ``z`` holds the input's products of every step
before it begins. Samples lie by falling length, so that those that still run at step t are the first ``counts[t]``.

σ(z) = ½tanh(z/2) + ½, so weights and biases of σ gates come halved (which is exact) and one call of tanh does for all
gates. Backward, everything in a step that does not depend on δ is computed for all steps at once (``prepare``):
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


class Cell(ABC):
    """One direction of one level: its states ``h`` (T + 1, N, H), of which the first is 0, and its gates."""

    gates: int
    #: Which gates go through σ.
    logistic: tuple[int, ...] = ()

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        self.steps, self.rows, self.units, self.nonlinearity = steps, rows, units, nonlinearity
        width = self.gates * units
        new = partial(np.zeros, dtype=like.dtype)
        self.z, self.h = new((steps, rows, width)), new((steps + 1, rows, units))
        self.dz = new((steps, rows, width))  # ∂L/∂z of the recurrent product
        self.delta = new((steps, rows, units))  # ∂L/∂h of each step, the later steps' part included
        self.carry = new((rows, units))
        self.product = new((rows, width))
        self.half, self.one = constant(0.5, like), constant(1.0, like)

    def halves(self, like: Array) -> Array | None:
        """(gates·H,): ½ for columns of σ gates, else 1; None where there are none."""
        if not self.logistic:
            return None
        factors = np.ones((self.gates, self.units), like.dtype)
        factors[list(self.logistic)] = 0.5
        return factors.reshape(-1)

    def step_forward(self, weight_hh: Array, bias_hn: Array, counts: Sequence[int]) -> list[Operation]:
        """All steps: gates into ``z``, states into ``h``; states beyond a sample's end are 0."""
        operations: list[Operation] = []
        for t, n in enumerate(counts):
            if n:
                operations += self._forward(t, n, weight_hh, bias_hn)
            if n < self.rows:
                operations.append(partial(self.h[t + 1, n:].fill, 0.0))
        return operations

    def step_backward(self, weight_hh: Array, counts: Sequence[int]) -> list[Operation]:
        """All steps, last first: adds up ``delta``, fills ``dz``; ``carry`` begins as ∂L/∂(last states)."""
        operations: list[Operation] = []
        for t in reversed(range(self.steps)):
            n = counts[t]
            if n:
                delta, carry = self.delta[t, :n], self.carry[:n]
                operations.append(partial(np.add, delta, carry, delta))
                operations += self._backward(t, n)
                operations.append(partial(np.dot, self.dz[t, :n], weight_hh.T, carry))
                operations += self._after(t, n)
            if n < self.rows:
                operations += [partial(array[t, n:].fill, 0.0) for array in self._empty_beyond()]
        return operations

    @abstractmethod
    def _forward(self, t: int, n: int, weight_hh: Array, bias_hn: Array) -> list[Operation]: ...

    @abstractmethod
    def prepare(self) -> None:
        """Into ``dz``: the factors of δ, for all steps."""

    @abstractmethod
    def _backward(self, t: int, n: int) -> list[Operation]:
        """``dz[t]`` from its factors and δ."""

    def _after(self, t: int, n: int) -> list[Operation]:
        """What of δ goes to the step before without passing ``weight_hh``."""
        return []

    def _empty_beyond(self) -> tuple[Array, ...]:
        """What is 0 beyond a sample's end."""
        return self.dz, self.delta

    def input_delta(self) -> Array:
        """∂L/∂z of the input's product, (T, N, gates·H); after ``dz`` has served for the recurrent weights."""
        return self.dz

    def views(self) -> dict[str, Array]:
        """Gates and cell by name, (T, N, H)."""
        return {}

    def gate(self, array: Array, index: int) -> Array:
        return array[..., index * self.units : (index + 1) * self.units]


class Plain(Cell):
    gates = 1

    def _forward(self, t: int, n: int, weight_hh: Array, bias_hn: Array) -> list[Operation]:
        z, h = self.z[t, :n], self.h[t + 1, :n]
        operations: list[Operation] = []
        if t:
            product = self.product[:n]
            operations += [partial(np.dot, self.h[t, :n], weight_hh, product), partial(np.add, z, product, z)]
        if self.nonlinearity == "relu":
            return [*operations, partial(np.maximum, z, constant(0.0, z), out=h)]
        return [*operations, partial(np.tanh, z, h)]

    def prepare(self) -> None:
        h = self.h[1:]
        if self.nonlinearity == "relu":
            np.greater(h, 0.0, out=self.dz, casting="unsafe")
        else:
            np.multiply(h, h, self.dz)
            np.subtract(self.one, self.dz, self.dz)

    def _backward(self, t: int, n: int) -> list[Operation]:
        return [partial(np.multiply, self.dz[t, :n], self.delta[t, :n], self.dz[t, :n])]


class Lstm(Cell):
    gates, logistic = 4, (0, 1, 3)

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        super().__init__(steps, rows, units, like, nonlinearity)
        self.c = np.zeros_like(self.h)
        self.squashed = np.zeros_like(self.delta)  # tanh c
        self.through = np.zeros_like(self.delta)  # o ⊙ (1 − tanh² c): from h to c
        self.cell_carry = np.zeros_like(self.carry)
        self.scratch = np.zeros_like(self.carry)
        self.factors, self.shifts = self.halves(like), np.zeros(4 * units, like.dtype)
        for index in self.logistic:
            self.gate(self.shifts, index).fill(0.5)

    def _forward(self, t: int, n: int, weight_hh: Array, bias_hn: Array) -> list[Operation]:
        z, h, scratch = self.z[t, :n], self.h[t + 1, :n], self.scratch[:n]
        i, f, g, o = (self.gate(z, index) for index in range(4))
        c, before, squashed = self.c[t + 1, :n], self.c[t, :n], self.squashed[t, :n]
        operations: list[Operation] = []
        if t:
            product = self.product[:n]
            operations += [partial(np.dot, self.h[t, :n], weight_hh, product), partial(np.add, z, product, z)]
        return [
            *operations,
            partial(np.tanh, z, z),
            partial(np.multiply, z, self.factors, z),
            partial(np.add, z, self.shifts, z),
            partial(np.multiply, f, before, c),
            partial(np.multiply, i, g, scratch),
            partial(np.add, c, scratch, c),
            partial(np.tanh, c, squashed),
            partial(np.multiply, o, squashed, h),
        ]

    def prepare(self) -> None:
        z, dz = self.z, self.dz
        i, g, o = (self.gate(z, index) for index in (0, 2, 3))
        di, df, dg, do = (self.gate(dz, index) for index in range(4))
        np.multiply(z, z, dz)
        np.subtract(z, dz, dz)  # σ′ = σ − σ²; the gate g is next
        np.multiply(g, g, dg)
        np.subtract(self.one, dg, dg)
        np.multiply(di, g, di)
        np.multiply(df, self.c[:-1], df)
        np.multiply(dg, i, dg)
        np.multiply(do, self.squashed, do)
        np.multiply(self.squashed, self.squashed, self.through)
        np.subtract(self.one, self.through, self.through)
        np.multiply(self.through, o, self.through)
        self.cell_carry.fill(0.0)

    def _backward(self, t: int, n: int) -> list[Operation]:
        delta, cell, scratch = self.delta[t, :n], self.cell_carry[:n], self.scratch[:n]
        by_gate = self.dz[t, :n].reshape(n, 4, self.units)
        cells, output = by_gate[:, :3], by_gate[:, 3]
        return [
            partial(np.multiply, delta, self.through[t, :n], scratch),
            partial(np.add, cell, scratch, cell),
            partial(np.multiply, cells, cell[:, None], cells),
            partial(np.multiply, output, delta, output),
            partial(np.multiply, cell, self.gate(self.z[t, :n], 1), cell),
        ]

    def views(self) -> dict[str, Array]:
        names = ("gate.input", "gate.forget", "gate.candidate", "gate.output")
        return {**{name: self.gate(self.z, index) for index, name in enumerate(names)}, "cell": self.c[1:]}


class Gru(Cell):
    gates, logistic = 3, (0, 1)

    def __init__(self, steps: int, rows: int, units: int, like: Array, nonlinearity: str = "tanh") -> None:
        super().__init__(steps, rows, units, like, nonlinearity)
        self.inner = np.zeros_like(self.delta)  # u = h₋W_hn + b_hn
        self.outer = np.zeros_like(self.delta)  # (1 − z)(1 − n²), then ∂L/∂z_n
        self.scratch = np.zeros_like(self.carry)

    def _forward(self, t: int, n: int, weight_hh: Array, bias_hn: Array) -> list[Operation]:
        z, scratch, inner = self.z[t, :n], self.scratch[:n], self.inner[t, :n]
        gates, fresh = z[:, : 2 * self.units], self.gate(z, 2)
        reset, keep = self.gate(z, 0), self.gate(z, 1)
        before, h = self.h[t, :n], self.h[t + 1, :n]
        operations: list[Operation]
        if t:
            product = self.product[:n]
            operations = [
                partial(np.dot, before, weight_hh, product),
                partial(np.add, gates, product[:, : 2 * self.units], gates),
                partial(np.add, self.gate(product, 2), bias_hn, inner),
            ]
        else:
            operations = [partial(np.copyto, inner, bias_hn)]
        return [
            *operations,
            partial(np.tanh, gates, gates),
            partial(np.multiply, gates, self.half, gates),
            partial(np.add, gates, self.half, gates),
            partial(np.multiply, reset, inner, scratch),
            partial(np.add, fresh, scratch, fresh),
            partial(np.tanh, fresh, fresh),
            partial(np.subtract, before, fresh, h),
            partial(np.multiply, h, keep, h),
            partial(np.add, h, fresh, h),
        ]

    def prepare(self) -> None:
        reset, keep, fresh = (self.gate(self.z, index) for index in range(3))
        d_reset, d_keep, d_inner = (self.gate(self.dz, index) for index in range(3))
        np.multiply(fresh, fresh, self.outer)
        np.subtract(self.one, self.outer, self.outer)
        np.subtract(self.one, keep, d_keep)
        np.multiply(self.outer, d_keep, self.outer)
        np.multiply(self.outer, reset, d_inner)
        np.multiply(d_keep, keep, d_keep)
        np.subtract(self.h[:-1], fresh, d_reset)  # scratch
        np.multiply(d_keep, d_reset, d_keep)
        np.subtract(self.one, reset, d_reset)
        np.multiply(d_reset, d_inner, d_reset)
        np.multiply(d_reset, self.inner, d_reset)

    def _backward(self, t: int, n: int) -> list[Operation]:
        delta, outer = self.delta[t, :n], self.outer[t, :n]
        by_gate = self.dz[t, :n].reshape(n, 3, self.units)
        return [
            partial(np.multiply, by_gate, delta[:, None], by_gate),
            partial(np.multiply, outer, delta, outer),
        ]

    def _after(self, t: int, n: int) -> list[Operation]:
        carry, scratch = self.carry[:n], self.scratch[:n]
        return [
            partial(np.multiply, self.delta[t, :n], self.gate(self.z[t, :n], 1), scratch),
            partial(np.add, carry, scratch, carry),
        ]

    def _empty_beyond(self) -> tuple[Array, ...]:
        return self.dz, self.delta, self.outer

    def input_delta(self) -> Array:
        np.copyto(self.gate(self.dz, 2), self.outer)
        return self.dz

    def views(self) -> dict[str, Array]:
        names = ("gate.reset", "gate.update", "gate.candidate")
        return {name: self.gate(self.z, index) for index, name in enumerate(names)}


CELLS: dict[str, type[Cell]] = {"rnn": Plain, "lstm": Lstm, "gru": Gru}
