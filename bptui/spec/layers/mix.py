"""Where two networks meet: what the generator made and true samples become one batch for the discriminator.

No file names this kind of layer: it stands between the two networks of an experiment with ``[adversary]``.
"""

from __future__ import annotations

from bptui.spec.layers.base import Geometry, LayerBase, Misfit, Shape, size, words


class Mix(LayerBase, frozen=True, tag="mix", kw_only=True):
    """Generated samples, then as many true ones."""

    shape: Shape = ()
    """Of one true sample."""


def mix(layer: Mix, inputs: tuple[Shape, ...]) -> Geometry:
    (shape,) = inputs
    if size(shape) != size(layer.shape):
        raise Misfit(f"the generator makes {words(shape)} a sample, the data have {words(layer.shape)}")
    return Geometry(layer.shape, unit_axis=0 if len(layer.shape) == 3 else -1)
