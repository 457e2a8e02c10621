"""What a cell of a folded matrix is: tensors of more than two axes have all but the first folded into columns.

Samples of pictures are (N, C, H, W), of sequences (N, T, F); weights of convolutions (outputs, inputs, kernel …).
"""

from __future__ import annotations

from collections.abc import Sequence


def unfolded(whole: Sequence[int], cell: tuple[int, int]) -> tuple[int, ...]:
    """The place in a tensor of shape ``whole`` of row and column of its matrix."""
    if len(whole) < 3:
        return cell
    place, rest = [], cell[1]
    for length in reversed(whole[1:]):
        rest, at = divmod(rest, max(1, length))
        place.append(at)
    return (cell[0], *reversed(place))


def words(whole: Sequence[int], cell: tuple[int, int], *, weights: bool) -> str:
    """``sample 3, channel 2 at 4, 5``; empty for a matrix of two axes, whose rows and columns say it all."""
    if len(whole) < 3:
        return ""
    row, *rest = unfolded(whole, cell)
    if weights:
        return f"unit {row}, input {rest[0]} at {', '.join(map(str, rest[1:]))}"
    if len(rest) == 3:
        return f"sample {row}, channel {rest[0]} at {rest[1]}, {rest[2]}"
    return f"sample {row}, " + ", ".join(f"{name} {at}" for name, at in zip(("step", "unit"), rest, strict=False))


def unit(whole: Sequence[int], cell: tuple[int, int], *, weights: bool) -> int:
    """Which unit the cell is of: a channel of pictures, a feature elsewhere."""
    place = unfolded(whole, cell)
    if len(whole) < 3:
        return cell[1]
    return place[0] if weights else place[1] if len(whole) == 4 else place[-1]
