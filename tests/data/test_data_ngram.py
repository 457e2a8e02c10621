"""N-gram baselines: against their formulas written out, token by token."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from bptui.cli import main
from bptui.data.ngram import Smoothing, losses


def written_out(
    text: Sequence[int], w: int, h: tuple[int, ...], tokens: int, smoothing: Smoothing, *, top: bool
) -> float:
    """P(w|h), by the formulas as they stand."""

    def grams(n: int) -> list[tuple[int, ...]]:
        return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]

    n = len(h) + 1
    lower = 1 / tokens if n == 1 else written_out(text, w, h[1:], tokens, smoothing, top=False)
    if smoothing == "kneser-ney" and not top:
        count = Counter(gram[1:] for gram in set(grams(n + 1)))
    else:
        count = Counter(grams(n))
    followers = {gram: c for gram, c in count.items() if gram[:-1] == h}
    c_h, t_h, c_hw = sum(followers.values()), len(followers), count[(*h, w)]
    if not c_h:
        return lower
    if smoothing == "witten-bell":
        return (c_hw + t_h * lower) / (c_h + t_h)
    once, twice = (sum(c == k for c in count.values()) for k in (1, 2))
    d = max(once, 1) / (max(once, 1) + 2 * twice)
    return (max(c_hw - d, 0) + d * t_h * lower) / c_h


@pytest.mark.parametrize("smoothing", ["witten-bell", "kneser-ney"])
def test_losses_are_those_of_the_formulas_and_probabilities_sum_to_one(smoothing: Smoothing) -> None:
    rng = np.random.default_rng(3)
    text = rng.choice(4, 70, p=[0.5, 0.3, 0.15, 0.05])
    training, validation = text[:55], np.append(text[55:], 4)  # token 4 was never seen
    for order in (1, 2, 3):
        found = losses(training, validation, 5, smoothing, order)
        whole, wanted = text[:55].tolist() + validation.tolist(), 0.0
        for place in range(56, len(whole)):
            h = tuple(whole[place - order + 1 : place])
            p = [written_out(training.tolist(), w, h, 5, smoothing, top=True) for w in range(5)]
            assert math.isclose(sum(p), 1)
            wanted -= math.log(p[whole[place]]) / (len(whole) - 56)
        assert math.isclose(found[-1], wanted, rel_tol=1e-12) and len(found) == order


def test_the_command_prints_both_smoothings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "ngram", "romeo-and-juliet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "romeo-and-juliet: counted in 120,119 characters, foretold 13,345, nats a character"
    assert lines[-1].split() == ["5", "1.6564", "1.5904"]
    assert main(["datasets", "ngram", "digits"]) == 2
    assert "has a target" in (error := capsys.readouterr().err) or "next_token needs one long text" in error
