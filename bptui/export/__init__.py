"""What a trained run is good for elsewhere: predictions for new rows, and the run in other formats."""

from __future__ import annotations
