"""A run's parameters as a safetensors file: ``dense1.weight`` (inputs, units), ``dense1.bias`` (units,) …"""

from __future__ import annotations

from bptui.export.trained import Trained


def as_safetensors(trained: Trained) -> bytes:
    """The parameters alone; ``bptui train --weights`` takes them."""
    from safetensors.numpy import save

    about = {"run": trained.info.id, "step": str(trained.step), "format": "np"}
    return save(trained.parameters, about)
