"""The loss of a network whose ∂L/∂outputs comes from elsewhere, by ``Engine.receive``: a row in each engine's table."""

from __future__ import annotations

from bptui.spec.base import Spec


class Elsewhere(Spec, frozen=True, tag_field="name", tag="elsewhere", kw_only=True):
    """No loss of its own; no file names it."""
