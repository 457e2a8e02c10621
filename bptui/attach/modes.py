"""torch's stack of function modes, for a mode that outlives the block in which it began.

There is no public name for that. What a script has put on the stack meanwhile stays where it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

push: Any = torch.overrides._push_mode
stack: Any = torch.overrides._get_current_function_mode_stack
_top: Any = torch.overrides._get_current_function_mode
_pop: Any = torch.overrides._pop_mode


def take_off(mode: TorchFunctionMode) -> None:
    """Take it off the stack; nothing where it is not on it."""
    if _top() is mode:
        _pop()
    elif mode in stack():
        above = []
        while (other := _pop()) is not mode:
            above.append(other)
        for other in reversed(above):
            push(other)
