"""The condition language: ``loss < 0.1 and val_accuracy >= 0.96``, ``dead("dense2") > 0.5``.

Parsed to a small tree and evaluated by walking it; Python's ``eval`` has no part in it.
"""

from bptui.expr.language import Condition, ConditionError, parse

__all__ = ["Condition", "ConditionError", "parse"]
