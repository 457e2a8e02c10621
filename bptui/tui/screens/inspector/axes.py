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


def sizes(whole: Sequence[int], shape: Sequence[int], *, vector: bool) -> tuple[int, ...]:
    """The axes by which a place is named: the tensor's, the matrix's own where it has no more, a vector's one."""
    return tuple(shape[1:]) if vector else tuple(whole) if len(whole) > 2 else tuple(shape)


def folded(sizes: Sequence[int], place: Sequence[int]) -> tuple[int, int] | None:
    """Row and column of a place: ``unfolded`` the other way round; None where it is not within ``sizes``."""
    if len(place) != len(sizes) or any(at >= size for at, size in zip(place, sizes, strict=True)):
        return None
    if len(sizes) == 1:
        return 0, place[0]
    column = 0
    for at, size in zip(place[1:], sizes[1:], strict=True):
        column = column * size + at
    return place[0], column


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
