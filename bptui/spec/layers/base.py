"""What every kind of layer has: where its input comes from, and what its sizes make of shapes and parameters.

A shape has no batch: pictures are ``(C, H, W)``, sequences ``(T, F)``, ids ``(T,)``, plain samples ``(F,)``.
A kind of layer is one Struct and one function that gives its ``Geometry``, both in one file of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

from bptui.spec.base import Activation, Initialiser, Spec

Shape = tuple[int, ...]


class Misfit(ValueError):
    """A layer that cannot take its input; one line without the layer's name: ``needs pictures C×H×W, got 64``."""

    def __init__(self, message: str, key: str = "") -> None:
        """``key``: the layer's key that is to blame; empty: its input."""
        super().__init__(message)
        self.key = key


class Parameter(NamedTuple):
    """One tensor of a layer; in a state it is ``<layer>.<name>``."""

    name: str
    """``weight``, ``bias``, ``weight_hh`` …; those of composite kinds have dots (``attention.qkv``)."""
    shape: Shape
    fan_in: int = 1
    fan_out: int = 1
    begins: Literal["init", "bias", "ones", "zeros", "orthogonal", "forget", "padded"] = "init"
    """``init``: by the layer's ``init`` field; ``bias``: by its ``bias``; ``orthogonal``: each square block;
    ``forget``: zeros, one of four quarters by its ``forget_bias``; ``padded``: ``init``, row ``padding`` zero."""
    unit_axis: int = -1
    """Axis along which the layer's units lie, where it is as long as there are units (of a convolution 0)."""

    @property
    def size(self) -> int:
        return size(self.shape)


class Steps(NamedTuple):
    """How long a sequence of n steps is after a layer: ⌊(factor·n + reach) / stride⌋ + 1, at least 1."""

    factor: int
    reach: int
    stride: int

    def of(self, lengths: Any) -> Any:
        """``lengths``: an array of NumPy or torch."""
        return ((lengths * self.factor + self.reach) // self.stride + 1).clip(min=1)


class Geometry(NamedTuple):
    """What a layer makes of its input's shape."""

    output: Shape
    parameters: tuple[Parameter, ...] = ()
    buffers: tuple[Parameter, ...] = ()
    """State that is not trained (a batch norm's running mean); ``begins`` is ``ones`` or ``zeros``."""
    unit_axis: int = -1
    """Axis of ``output`` along which units lie: 0 for pictures (channels), −1 for sequences and plain samples."""
    steps: Steps | None = None
    """What becomes of the lengths of sequences; None: they stay (where ``output`` is no sequence, they end)."""


class LayerBase(Spec, frozen=True, tag_field="type", kw_only=True):
    """Of any kind."""

    name: str = ""
    """What the layer is called; empty: its kind and number."""
    input: str = ""
    """The earlier layer it reads, or ``input`` for the batch; empty: the layer before."""
    freeze: bool = False
    """Whether its parameters stay as they are: of a body whose head alone is to learn."""


class Activated(LayerBase, frozen=True, kw_only=True):
    """A layer whose z goes through an activation and dropout, element by element."""

    activation: Activation = "identity"
    """g in a = g(z); the last layer has none where the loss takes logits."""
    dropout: float = 0.0
    """Share of this layer's outputs zeroed in training (inverted dropout)."""
    branches: ClassVar[tuple[str, ...]] = ()
    """Inside the layer, on whose outputs dropout acts in place of the layer's own."""


class Weighted(Activated, frozen=True, kw_only=True):
    """A layer with weights of its own."""

    init: Initialiser | None = None
    """How W begins. ``None``: ``he_normal`` before relu-like activations, ``glorot_uniform`` elsewhere."""
    low: float = -0.1
    """Least initial weight, for init ``uniform``."""
    high: float = 0.1
    """Largest initial weight, for init ``uniform``."""
    std: float = 0.01
    """Spread (standard deviation) of the initial weights, for init ``normal``."""
    gain: float = 1.0
    """Factor on the initial weights, for the inits that scale themselves and ``orthogonal``."""
    value: float = 0.0
    """Every initial weight, for init ``constant``."""
    bias: float = 0.0
    """Initial value of every bias."""
    l1: float = 0.0
    """Penalty ``l1·Σ|W|``: pulls small weights to 0. It acts on the gradient; the loss shown is the data loss."""
    l2: float = 0.0
    """Penalty ``l2·ΣW²``: keeps weights small. It acts on the gradient; the loss shown is the data loss."""


class Joining(Activated, frozen=True, kw_only=True):
    """A layer that takes several inputs: the one before it, and those that it names."""

    of: tuple[str, ...] = ()
    """Earlier layers that are joined to its input, parted by commas; ``input`` for the batch."""


def activation_of(layer: LayerBase) -> Activation:
    """g of a layer of any kind; ``identity`` where it has none."""
    return layer.activation if isinstance(layer, Activated) else "identity"


def dropout_of(layer: LayerBase) -> float:
    """Share of its outputs that a layer of any kind drops."""
    return layer.dropout if isinstance(layer, Activated) else 0.0


def branches_of(layer: LayerBase) -> tuple[str, ...]:
    """The branches inside a layer of any kind on which its dropout acts; none: it acts on the outputs."""
    return layer.branches if isinstance(layer, Activated) else ()


def has_activation(layer: LayerBase) -> bool:
    """Whether this kind of layer has an activation and dropout of its own."""
    return isinstance(layer, Activated)


def penalties_of(layer: LayerBase) -> tuple[float, float]:
    """``l1`` and ``l2`` of a layer of any kind."""
    return (layer.l1, layer.l2) if isinstance(layer, Weighted) else (0.0, 0.0)


#: (layer, shapes of its inputs) → its geometry; raises Misfit.
GeometryOf = Callable[[Any, tuple[Shape, ...]], Geometry]


def words(shape: Shape) -> str:
    """``16×8×8``."""
    return "×".join(map(str, shape)) if shape else "?"


def size(shape: Shape) -> int:
    """Elements of a tensor of this shape."""
    product = 1
    for length in shape:
        product *= length
    return product
