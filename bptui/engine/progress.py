"""How far the present step has come, so that what is not computed yet is not shown."""

from __future__ import annotations

from bptui.engine.base import Kind


class Progress:
    """Layers forwarded, whether the loss is there, and the lowest layer gone back through."""

    def __init__(self, layers: int, plain_output: bool) -> None:
        """``plain_output``: the last layer is z alone, so that the loss already gives its δ."""
        self.layers, self.plain_output = layers, plain_output
        self.nothing()

    def nothing(self) -> None:
        """No batch yet (a new engine, or a state just loaded)."""
        self.begin()
        self.batch = False

    def begin(self) -> None:
        self.batch, self.summed = True, False
        self.forward, self.loss, self.backward = 0, False, self.layers

    def all(self) -> None:
        """A fused step has done everything."""
        self.batch = self.summed = self.loss = True
        self.forward, self.backward = self.layers, 0

    def has(self, kind: Kind, layer: int) -> bool:
        """Whether ``kind`` of ``layer`` has been computed in this step."""
        if kind in ("x", "y"):
            return self.batch
        if kind in ("a", "z"):
            return layer < self.forward
        if kind in ("W", "b", "update_W"):
            return True
        if layer == self.layers - 1 and (kind == "upstream" or (kind == "delta" and self.plain_output)):
            return self.loss
        return layer >= self.backward
