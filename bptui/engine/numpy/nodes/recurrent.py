"""Recurrent layers and pooling over time.

The input's products of all steps are one matrix product, and so are the gradients of both weight matrices; between
lies a small product a step. Inside, arrays are time first, ``(T, N, ·)``, samples by falling length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bptui.engine.numpy.blas import BLAS
from bptui.engine.numpy.nodes.base import Array, Context, Node
from bptui.engine.numpy.nodes.cells import CELLS, Cell
from bptui.engine.numpy.operations import Operation, run
from bptui.spec.shapes import Placed

Names = Mapping[str, Array]
#: Batches of so many different sizes keep their arrays (an epoch's last batch is smaller).
SIZES_KEPT = 2


class Order:
    """How the samples of one batch lie inside: by falling length, and how long each runs."""

    def __init__(self, rows: int, steps: int, lengths: Array | None) -> None:
        self.rows, self.steps = rows, steps
        ragged = lengths is not None and bool((lengths < steps).any())
        self.lengths = np.clip(lengths, 1, steps) if ragged and lengths is not None else np.full(rows, steps)
        self.samples = np.argsort(-self.lengths, kind="stable") if ragged else None
        if self.samples is not None:
            self.lengths = self.lengths[self.samples]
        self.counts = tuple(int(n) for n in np.searchsorted(-self.lengths, -np.arange(steps), side="left"))
        times = np.arange(steps)[:, None]
        self._mirror = np.where(times < self.lengths, self.lengths - 1 - times, times) if ragged else None

    def enter(self, x: Array) -> Array:
        """(N, T, F) → (T, N, F)."""
        x = x if self.samples is None else x[self.samples]
        return x.transpose(1, 0, 2)

    def leave(self, x: Array) -> Array:
        """(T, N, F) → (N, T, F)."""
        return self.sort_back(x.transpose(1, 0, 2))

    def sort_back(self, x: Array) -> Array:
        """(N, …) in the order of the batch."""
        out = np.empty(x.shape, x.dtype)
        if self.samples is None:
            np.copyto(out, x)
        else:
            out[self.samples] = x
        return out

    def mirror(self, x: Array) -> Array:
        """(T, N, F) with each sample's real steps in the other direction; twice is nothing."""
        if self._mirror is None:
            return x[::-1]
        return x[self._mirror, np.arange(self.rows)]


class Direction:
    """One direction of one level: parameters, their gradients, and the cell's arrays for one size of batch."""

    def __init__(self, layer: Any, end: str, values: Names, gradients: Names) -> None:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = (values[f"{name}_{end}"] for name in names)
        self._gradients = tuple(gradients[f"{name}_{end}"] for name in names)
        self._kind = CELLS[str(layer.__struct_config__.tag)]
        self._units, self._nonlinearity = layer.units, getattr(layer, "nonlinearity", "tanh")
        self._cells: dict[tuple[int, int], Cell] = {}
        self._plans: dict[tuple[int, ...], tuple[list[Operation], list[Operation]]] = {}
        gates, dtype = self._kind.order, self.weight_hh.dtype
        halves = np.ones((len(gates), self._units), dtype)
        halves[list(gates[: self._kind.logistic])] = 0.5
        self._halves = halves.reshape(-1)  # of the columns of σ gates ½, else 1
        #: Of this step: W_ih for z, W_hh for z gate by gate, W_hhᵀ for δ.
        self._into_z = np.empty_like(self.weight_ih)
        self._onward = np.empty((len(gates), self._units, self._units), dtype)
        self._back = np.empty(self.weight_hh.shape[::-1], dtype)
        self._bias_hn = self.bias_hh[2 * self._units :] if len(gates) == 3 else self.bias_hh
        self._x: Array | None = None
        self.cell: Cell | None = None

    def forward(self, x: Array, order: Order) -> Array:
        """Input (T, N, F) → states (T, N, H), a view that the next forward overwrites."""
        cell = self._cell(order)
        self._x = x = np.ascontiguousarray(x)
        np.multiply(self.weight_ih, self._halves, self._into_z)
        for gate, (weight, half) in enumerate(zip(*map(cell.gates_of, (self.weight_hh, self._halves)), strict=True)):
            np.multiply(weight, half, self._onward[gate])
        rows = cell.by_row.reshape(order.steps * order.rows, -1)
        np.copyto(rows, self._bias() * self._halves)
        BLAS.product(x.reshape(len(rows), -1), self._into_z, rows, cell.one, cell.one)()
        cell.begin(self._bias_hn)
        run(self._plan(cell, order)[0])
        return cell.h[1:]

    def backward(self, delta: Array | None, last: Array | None, order: Order, wanted: bool) -> Array | None:
        """From ∂L/∂states (T, N, H) and ∂L/∂last states (N, H): the gradients; ∂L/∂input (T, N, F) if wanted."""
        cell, x = self.cell, self._x
        assert cell is not None and x is not None
        if delta is None:
            cell.delta.fill(0.0)
        else:
            np.copyto(cell.delta, delta)
        if last is not None:
            cell.delta[order.lengths - 1, np.arange(order.rows)] += last
        np.copyto(self._back, self.weight_hh.T)
        run(self._plan(cell, order)[1])
        dw_ih, dw_hh, db_ih, db_hh = self._gradients
        dz = cell.by_row.reshape(order.steps * order.rows, -1)
        ones = np.ones(len(dz), dz.dtype)
        np.dot(cell.h[:-1].reshape(len(dz), -1).T, dz, dw_hh)
        np.dot(ones, dz, db_hh)
        if cell.turn_to_input():
            np.dot(ones, dz, db_ih)
        else:
            np.copyto(db_ih, db_hh)
        np.dot(x.reshape(len(dz), -1).T, dz, dw_ih)
        return np.dot(dz, self.weight_ih.T).reshape(x.shape) if wanted else None

    def _cell(self, order: Order) -> Cell:
        size = (order.steps, order.rows)
        if size not in self._cells:
            if len(self._cells) >= SIZES_KEPT:
                self._cells.clear()
            self._cells[size] = self._kind(*size, self._units, self.weight_hh, self._nonlinearity)
            self._plans.clear()
        self.cell = self._cells[size]
        return self.cell

    def _plan(self, cell: Cell, order: Order) -> tuple[list[Operation], list[Operation]]:
        """The calls of all steps; they depend on the lengths alone."""
        key = (order.rows, *order.counts)
        if key not in self._plans:
            if len(self._plans) >= SIZES_KEPT:
                self._plans.clear()
            self._plans[key] = (
                cell.step_forward(self._onward, order.counts), cell.step_backward(self._back, order.counts)
            )  # fmt: skip
        return self._plans[key]

    def _bias(self) -> Array:
        """Of z, (gates·H,): both biases; of a GRU's n only the input's, since r acts on the other."""
        bias = self.bias_ih + self.bias_hh
        if len(self._kind.order) == 3:
            bias[2 * self._units :] = self.bias_ih[2 * self._units :]
        return bias


class Recurrent(Node):
    """rnn, lstm, gru: stacked, in one or both directions."""

    def __init__(
        self, place: Placed, values: Mapping[str, Array], gradients: Mapping[str, Array], buffers: Mapping[str, Array]
    ) -> None:
        super().__init__(place, values, gradients, buffers)
        layer = self.layer
        sides = ("", "_reverse") if layer.bidirectional else ("",)
        self._levels = [
            [Direction(layer, f"l{level}{side}", values, gradients) for side in sides] for level in range(layer.layers)
        ]
        self._order: Order | None = None
        self._returned = False
        """Whether δ of this step is there."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        self._returned = False
        self._order = order = Order(x.shape[0], x.shape[1], context.lengths)
        inside = order.enter(x)
        for level in self._levels:
            ahead = level[0].forward(inside, order)
            if len(level) == 2:
                back = level[1].forward(order.mirror(inside), order)
                ahead = np.concatenate((ahead, order.mirror(back)), axis=2)
            inside = ahead
        if self.layer.returns == "sequence":
            return order.leave(inside)
        rows = np.arange(order.rows)
        states = [direction.cell.h[order.lengths, rows] for direction in self._levels[-1] if direction.cell]
        return order.sort_back(np.concatenate(states, axis=1))

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        order, units = self._order, self.layer.units
        assert order is not None
        last, inside = None, None
        if self.layer.returns == "sequence":
            inside = order.enter(delta)
        else:
            last = delta if order.samples is None else delta[order.samples]
        for height, level in reversed(list(enumerate(self._levels))):
            down = wanted or height > 0
            below: Array | None = None
            for side, direction in enumerate(level):
                columns = slice(side * units, (side + 1) * units)
                above = None if inside is None else inside[:, :, columns]
                if side and above is not None:
                    above = order.mirror(above)
                part = direction.backward(above, None if last is None else last[:, columns], order, down)
                if part is not None:
                    part = order.mirror(part) if side else part
                    below = part if below is None else below + part
            inside, last = below, None
        self._returned = True
        return (None if not wanted or inside is None else order.leave(inside),)

    def views(self, sample: int = 0) -> dict[str, Array]:
        """Gates, cell and state (N, T, H), and ``delta.time`` (N, T): ‖∂L/∂h_t‖ of each sample, in the sequence's time.

        The top level has the plain names; of a lower one they begin with ``l0.``, of the other direction with
        ``reverse.``.
        """
        order, found = self._order, {}
        if order is None:
            return {}
        top = len(self._levels) - 1
        for height in range(top, -1, -1):
            for side, direction in enumerate(self._levels[height]):
                cell = direction.cell
                if cell is None:
                    continue
                begin = (f"l{height}." if height < top else "") + ("reverse." if side else "")
                arrays = {**cell.views(), "state": cell.h[1:]}
                if self._returned:
                    arrays["delta.time"] = np.linalg.norm(cell.delta, axis=2, keepdims=True)
                for name, array in arrays.items():
                    seen = order.leave(order.mirror(array) if side else array)
                    found[begin + name] = seen[..., 0] if name == "delta.time" else seen
        return found


class TimePool(Node):
    """Mean, largest or last of the real steps: (N, T, F) → (N, F)."""

    def forward(self, sources: tuple[Array, ...], context: Context) -> Array:
        (x,) = sources
        rows, steps, _ = x.shape
        lengths = np.full(rows, steps) if context.lengths is None else np.clip(context.lengths, 1, steps)
        self._shape, self._lengths = x.shape, lengths
        beyond = None if context.lengths is None else np.arange(steps) >= lengths[:, None]  # (N, T)
        self._beyond = beyond
        if self.layer.how == "last":
            return np.asarray(x[np.arange(rows), lengths - 1])
        if self.layer.how == "max":
            seen = x if beyond is None else np.where(beyond[:, :, None], -np.inf, x)
            self._places = seen.argmax(axis=1)  # (N, F)
            return np.take_along_axis(x, self._places[:, None], axis=1)[:, 0]
        seen = x if beyond is None else np.where(beyond[:, :, None], x.dtype.type(0), x)
        return np.asarray(seen.sum(axis=1) / lengths[:, None].astype(x.dtype))

    def backward(self, delta: Array, wanted: bool) -> tuple[Array | None, ...]:
        if not wanted:
            return (None,)
        rows = self._shape[0]
        below = np.zeros(self._shape, delta.dtype)
        if self.layer.how == "last":
            below[np.arange(rows), self._lengths - 1] = delta
        elif self.layer.how == "max":
            np.put_along_axis(below, self._places[:, None], delta[:, None], axis=1)
        else:
            below += (delta / self._lengths[:, None].astype(delta.dtype))[:, None]
            if self._beyond is not None:
                below[self._beyond] = 0.0
        return (below,)
