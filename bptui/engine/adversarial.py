"""Two networks against each other, as one row of layers: generator, mix, discriminator.

    x̂ = G(noise)      z = D([x̂; x])      p = σ(z)      N generated samples, then N true ones

    L_D = −½ mean log(1 − p̂) − ½ mean log p                  the loss of the step; ln 2 where D can tell nothing
    L_G = −mean log p̂  (non-saturating),  mean log(1 − p̂)  (minimax)

Both gradients are those of one state. D treats each sample by itself, so what comes back for a generated sample is
δ of its logit times what lies between, for either loss: at ``mix``, ∂L_D/∂x̂ becomes ∂L_G/∂x̂ by one factor a sample, its
*gate*. With ∂L_D/∂ẑ = p̂/2N, and ∂L_G/∂ẑ = −(1 − p̂)/N or −p̂/N, that is −2(1 − p̂)/p̂ = −2e^(−ẑ), or −2. True samples
have no way to G: their gate is 0.

Goodfellow et al. 2014, "Generative Adversarial Nets"; the factor of minimax is the gradient reversal of Ganin and
Lempitsky 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from bptui.engine.base import COLUMNS, PARAMETERS, Array, Batch, Engine, Kind, LayerInfo, Quantity, What
from bptui.engine.cells import histogram
from bptui.engine.errors import EngineError
from bptui.engine.states import described
from bptui.philox import Stream
from bptui.spec.experiment import Adversary, Experiment
from bptui.spec.shapes import Placed

#: What the settings and the optimiser's state of the discriminator are called.
ADVERSARY = "adversary."
#: A logit below this counts as this in the factor: p̂ is 1e-26 then, and f32 could not hold much less.
SUREST = -60.0


class Adversarial(Engine):
    """See ``base.Engine``. ``x`` is the noise, ``y`` the true samples of the step.

    The generator takes a step in each ``updates``-th update; its gradient is there in each.
    """

    def __init__(
        self, experiment: Experiment, layers: Sequence[Placed], *, dtype: str, seed: int, device: str = "cpu",
        returning: bool = False, networks: tuple[Engine, Engine] | None = None,
    ) -> None:  # fmt: skip
        """``networks``: generator, whose loss is ``Elsewhere``, and discriminator, made ``returning``."""
        assert experiment.adversary is not None and networks is not None
        self._adversary: Adversary = experiment.adversary
        self._generator, self._discriminator = networks
        self.name, self.device, self.dtype = networks[0].name, networks[0].device, networks[0].dtype
        self.layers: Sequence[LayerInfo] = described(layers)
        self._mix = len(networks[0].layers)
        self._lr = self._adversary.optimizer.lr
        self._seed, self._stream = seed, Stream(seed, "noise")
        self._float: npt.DTypeLike = np.float32 if self.dtype == "f32" else np.float64
        self._batch: Batch | None = None
        self._step = self._part = self._parts = self._first = 0
        self._mixed: Array | None = None
        self._upstream: Array | None = None
        self._gate: Array | None = None
        self._losses: list[float] = []
        self._figures: dict[str, float] = {}
        self._moved = True

    def _of(self, layer: int) -> tuple[Engine, int] | None:
        """The network that has this layer, and its index there; None: between the two."""
        if layer < self._mix:
            return self._generator, layer
        return None if layer == self._mix else (self._discriminator, layer - self._mix - 1)

    @property
    def _networks(self) -> tuple[Engine, Engine]:
        return self._generator, self._discriminator

    # -- one update, piece by piece ---------------------------------------------------------------
    def noise(self, step: int, rows: int, first: int = 0) -> Array:
        """(rows, width): of the samples ``first`` … of ``step``; the same in every engine."""
        width = self._adversary.noise
        drawn = self._stream.uniform(step, 2 * (first + rows) * width)[2 * first * width :]
        radius = np.sqrt(-2.0 * np.log1p(-drawn[0::2]))  # Box–Muller, each number from two words of its own
        return (radius * np.cos(2.0 * np.pi * drawn[1::2])).reshape(rows, width).astype(self._float)

    def begin(self, batch: Batch, step: int, part: int = 0, parts: int = 1) -> None:
        rows = len(batch.x)
        self._first = self._first + len(self._batch.x) if part and self._batch is not None else 0
        self._batch, self._step, self._part, self._parts = batch, step, part, parts
        self._mixed = self._upstream = self._gate = None
        self._losses = self._losses if part else []
        noise = self.noise(step, rows, self._first)
        self._generator.begin(Batch(noise, noise), step, part, parts)

    def forward(self, layer: int) -> None:
        place = self._of(layer)
        if place is not None:
            place[0].forward(place[1])
        else:
            self._meet()

    def _meet(self) -> None:
        """Generated samples, then true ones: the discriminator's batch, with targets 0 and 1."""
        made, batch = self._generator.tensor("a", self._mix - 1), self._batch
        if made is None or batch is None:
            raise RuntimeError("begin() and the layers before come first")
        rows = len(made)
        self._mixed = np.concatenate([made.reshape(rows, -1), np.asarray(batch.x, made.dtype).reshape(rows, -1)])
        targets = np.repeat(np.array([0.0, 1.0], made.dtype), rows)[:, None]  # (2N, 1)
        self._discriminator.begin(Batch(self._mixed, targets), self._step, self._part, self._parts)

    def loss(self) -> float:
        value = self._discriminator.loss()
        logits = cast(Array, self._discriminator.tensor("a", len(self._discriminator.layers) - 1))
        generated = logits.reshape(-1)[: len(logits) // 2].astype(np.float64)
        with np.errstate(all="ignore"):
            factor = np.full(len(generated), -2.0)
            if self._adversary.goal == "non_saturating":
                factor *= np.exp(-np.maximum(generated, SUREST))
        self._losses.append(self._own_loss(generated))
        self._figures = {"generator_loss": sum(self._losses) / len(self._losses)}
        self._factor = np.concatenate([factor, np.zeros(len(factor))]).astype(logits.dtype)
        return value

    def _own_loss(self, logits: npt.NDArray[np.float64]) -> float:
        """L_G, where these are the logits of generated samples."""
        sign = 1.0 if self._adversary.goal == "minimax" else -1.0
        return float(-sign * np.logaddexp(0.0, sign * logits).mean())  # log(1 − p̂), or −log p̂

    def backward(self, layer: int) -> None:
        place = self._of(layer)
        if place is not None:
            place[0].backward(place[1])
        else:
            self._turn()

    def _turn(self) -> None:
        """What the discriminator gives back becomes the generator's δ."""
        self._upstream = self._discriminator.returned()  # (2N, features)
        self._gate = np.repeat(self._factor[:, None], self._upstream.shape[1], axis=1)
        delta = self._upstream * self._gate
        self._generator.receive(delta[: len(delta) // 2])

    def clip(self) -> float:
        self._discriminator.clip()
        return self._generator.clip()

    def update(self, lr: float) -> None:
        self._discriminator.update(self._lr)
        self._moved = (self._step + 1) % self._adversary.updates == 0
        if self._moved:
            self._generator.update(lr)

    # -- looking, which changes nothing ------------------------------------------------------------
    def row_inputs(self, layer: int) -> Array | None:
        return self.tensor("x", 0) if layer < self._mix else self.tensor("a", self._mix)

    def row_targets(self, layer: int) -> Array | None:
        """Whether it is a true sample."""
        if self._batch is None:
            return None
        rows = len(self._batch.x)
        return np.repeat(np.array([0.0, 1.0], self._float), [rows, 0 if layer < self._mix else rows])[:, None]

    def row_numbers(self, layer: int, numbers: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        generated = np.full(len(numbers), -1)
        return generated if layer < self._mix else np.concatenate([generated, numbers])

    def entering(self, x: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        width = self._adversary.noise
        noise = Stream(self._seed, "noise.look").normal(0, len(x) * width)
        return noise.reshape(len(x), width).astype(self._float)

    def figures(self) -> dict[str, float]:
        return self._figures

    def objective(self, layer: int, loss: float) -> float:
        return self._losses[-1] if layer < self._mix else loss

    def generated(self, rows: int, stream: str) -> Array:
        """``rows`` samples (rows, features), scaled as the data are; ``stream``: which noise, always the same."""
        width = self._adversary.noise
        noise = Stream(self._seed, f"noise.{stream}").normal(0, rows * width).reshape(rows, width)
        return self._generator.predict(noise.astype(self._float)).reshape(rows, -1)

    def predict(self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None) -> Array:
        """The discriminator's logits (N, 1) of samples (N, features): above 0 it takes them for true."""
        return self._discriminator.predict(x)

    def generator_loss(self, made: Array) -> float:
        """L_G of generated samples."""
        return self._own_loss(np.asarray(self.predict(made), np.float64).reshape(-1))

    def passes(
        self, x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """Of as many generated samples; the discriminator sees half of them, and half of the true ones."""
        made, rows = np.zeros((0, 0)), len(x)
        for z, a in self._generator.passes(self.entering(x)):
            made = np.array(a)
            yield z, a
        true = np.asarray(x[: rows // 2], made.dtype).reshape(rows // 2, -1)
        mixed = np.concatenate([made[: rows - rows // 2].reshape(rows - rows // 2, -1), true])
        shaped = mixed.reshape(len(mixed), *self.layers[self._mix].shape)
        yield shaped, shaped
        yield from self._discriminator.passes(mixed)

    def tensor(self, kind: Kind, layer: int) -> Array | None:
        if kind == "x":
            return self._generator.tensor("x", 0)
        if kind == "y":
            return None if self._batch is None else np.array(self._batch.x)
        place = self._of(layer)
        if place is not None:
            if kind == "update_W" and place[0] is self._generator and not self._moved:
                still = self._generator.tensor("W", layer)
                return None if still is None else np.zeros_like(still)
            ahead = self._mixed is None and place[0] is self._discriminator and kind not in PARAMETERS
            return None if ahead else place[0].tensor(kind, place[1])
        if kind in PARAMETERS:
            return None
        found = self._mixed if kind in ("z", "a") else self._upstream if kind == "upstream" else self._gate
        if kind == "delta" and found is not None and self._upstream is not None:
            found = self._upstream * found
        return None if found is None else np.array(found).reshape(len(found), *self.layers[layer].shape)

    def tensor_of(self, name: str, layer: int, what: What = "value") -> Array | None:
        place = self._of(layer)
        if place is None:
            raise KeyError(name)
        return place[0].tensor_of(name, place[1], what)

    def views(self, layer: int, sample: int = 0) -> dict[str, Array]:
        place = self._of(layer)
        return {} if place is None else place[0].views(place[1], sample)

    def watch(self, on: bool) -> None:
        for network in self._networks:
            network.watch(on)

    def reduce(self) -> npt.NDArray[np.float32]:
        between = np.full(len(COLUMNS), np.nan, np.float32)
        if self._mixed is not None:
            between[COLUMNS.index("activation_mean")] = self._mixed.mean()
            between[COLUMNS.index("activation_std")] = self._mixed.std()
        if self._upstream is not None and self._gate is not None:
            between[COLUMNS.index("delta_norm")] = np.linalg.norm(self._upstream * self._gate)
        table = np.concatenate([self._generator.reduce(), between[None], self._discriminator.reduce()])
        if not self._moved:
            table[: self._mix, COLUMNS.index("update_ratio")] = 0.0
        return table

    def fired(self) -> list[npt.NDArray[np.bool_] | None]:
        return [*self._generator.fired(), None, *self._discriminator.fired()]

    def histogram(self, kind: Quantity) -> npt.NDArray[np.uint32]:
        above, below = self._generator.histogram(kind), self._discriminator.histogram(kind)
        own = self.tensor(cast(Kind, kind), self._mix)
        between = np.zeros_like(above[:1]) if own is None else histogram(np.ascontiguousarray(own))[None]
        return np.concatenate([above, between, below])

    # -- state -------------------------------------------------------------------------------------
    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        theirs = self._discriminator.state()
        return {
            **self._generator.state(),
            **{f"{ADVERSARY}{k}" if k.startswith("optimizer.") else k: value for k, value in theirs.items()},
        }

    def load_state(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        theirs = {name: value for name, value in state.items() if not name.startswith("optimizer.")}
        self._discriminator.load_state({name.removeprefix(ADVERSARY): value for name, value in theirs.items()})
        self._generator.load_state(state)
        self._batch = self._mixed = self._upstream = self._gate = None

    # -- settings ------------------------------------------------------------------------------------
    def set(self, key: str, value: float) -> float:
        """Also ``adversary.lr``, and what the discriminator's optimiser has (``adversary.beta1`` …)."""
        names = [[info.name for info in network.layers] for network in self._networks]
        if key == f"{ADVERSARY}lr":
            if not (math.isfinite(value) and value > 0):
                raise EngineError(f"{key}: expected a number above 0, got {value!r}")
            old, self._lr = self._lr, float(value)
            return old
        if key.startswith(ADVERSARY):
            return self._discriminator.set(key.removeprefix(ADVERSARY), value)
        _, dot, layer = key.partition(".")
        if dot and layer in names[1]:
            return self._discriminator.set(key, value)
        old = self._generator.set(key, value)
        if key == "dropout":  # of both networks, all but their last layers
            self._discriminator.set(key, value)
        return old

    def settings(self) -> dict[str, float]:
        theirs, layers = self._discriminator.settings(), ("dropout.", "freeze.")
        return {
            **self._generator.settings(), f"{ADVERSARY}lr": self._lr,
            **{key if key.startswith(layers) else f"{ADVERSARY}{key}": value for key, value in theirs.items()},
        }  # fmt: skip

    def _freeze_changed(self) -> None:
        """Each network sees to its own."""

    def _rule_changed(self) -> None:
        """Each network sees to its own."""

    def _dropout_changed(self) -> None:
        """Each network sees to its own."""
