"""The numbers of the worked examples come out again, and are those of the program."""

from __future__ import annotations

import re

import numpy as np
import pytest
from making import pages, slips, small, worked
from making.blocks import content
from making.plain import PlainNetwork

BACKPROP = (pages.DOCS / "backprop.md").read_text("utf-8")
_NUMBER = re.compile(r"−?\d+(?:\.\d+)?(?:e[−+]?\d+)?")


def numbers(text: str) -> list[float]:
    return [float(match.replace("−", "-")) for match in _NUMBER.findall(text)]


@pytest.mark.parametrize(
    "words", [("binary-sample",), ("binary-ledger", "1"), ("binary-ledger", "2"), ("binary-gradient",)], ids=" ".join
)
def test_the_binary_example_comes_out_again(words: tuple[str, ...]) -> None:
    made = pages.SLOW[words[0]](*words[1:])
    assert numbers(made) == pytest.approx(numbers(content(BACKPROP, *words)), rel=2e-4, abs=2e-5)


def test_by_hand_and_program_agree_to_the_digits_of_32_bits() -> None:
    for kind, (size, worst) in worked.differences(worked.states()).items():
        assert worst <= 3e-6 * max(size, 1e-3), kind


def test_the_small_example_is_that_of_the_engine() -> None:
    before, first, after, second = small.small()
    loss, later, arrays = small.small_in_program()
    assert (loss, later) == pytest.approx((first.loss, second.loss), rel=1e-13)
    for kind in ("z", "a", "delta", "grad_W", "grad_b"):
        for layer in range(2):
            assert np.allclose(arrays[f"{kind}{layer + 1}"], getattr(first, kind)[layer], rtol=1e-12, atol=1e-14)
    assert second.loss < first.loss
    assert after.W != before.W


def test_plain_gradients_are_central_differences() -> None:
    draw = np.random.Philox(key=3)
    def values(*shape: int) -> list[list[float]]:
        words = draw.random_raw(int(np.prod(shape))).reshape(shape)
        return [[float(word) / 2.0**63 - 1.0 for word in row] for row in words]

    network = PlainNetwork([values(3, 4), values(4, 1)], [values(1, 4)[0], values(1, 1)[0]], ["tanh", "identity"])
    x, y = values(5, 3), [[1.0], [0.0], [1.0], [1.0], [0.0]]
    step, h = network.run(x, y), 1e-5
    for layer, weight in enumerate(network.W):
        for row in range(len(weight)):
            for column in range(len(weight[row])):
                kept = weight[row][column]
                weight[row][column] = kept + h
                above = network.run(x, y).loss
                weight[row][column] = kept - h
                below = network.run(x, y).loss
                weight[row][column] = kept
                assert (above - below) / (2 * h) == pytest.approx(step.grad_W[layer][row][column], abs=1e-9)


def test_slips_do_what_the_page_says() -> None:
    found = {slip: slips.outcome(slip, epochs=3) for slip in slips.SLIPS}
    assert found["none"].right_loss < 1e-7
    for slip in ("no-weights", "no-activation", "wrong-layer"):
        assert found[slip].own_loss > 0.1 and found[slip].right_loss > 0.1
    for slip in ("minus", "bracket"):  # no gradient check finds these
        assert found[slip].own_loss < 1e-7 < 0.1 < found[slip].right_loss
    assert all(found[slip].val_accuracy < found["none"].val_accuracy for slip in slips.SLIPS if slip != "none")


def test_the_table_of_slips_comes_out_again() -> None:
    ours = [numbers(line.split("|", 2)[2])[:2] for line in slips.slips_table().splitlines()[3:]]
    page = [numbers(line.split("|", 2)[2])[:2] for line in content(BACKPROP, "slips").splitlines()[3:]]
    assert ours == page
