"""Two networks on the screen: apart in the model pane, both losses, both rates, and the formula where they meet."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bptui.spec.load import load
from bptui.tui.families import LOSS, TWO, families
from bptui.tui.glyphs import ASCII, Glyphs
from bptui.tui.screens.inspector.wording import formula_and_meaning
from bptui.tui.screens.settings import key_within, read_value, settings_of
from bptui.tui.store import Snapshot, view_of
from bptui.tui.text import fit_layer
from bptui.tui.widgets.model import ModelPane

SNAPSHOT = Snapshot(model=view_of(load("gan-2d", ["adversary.optimizer.name=sgd", "adversary.optimizer.momentum=0.5"])))


def drawn(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in ModelPane(snapshot, glyphs=glyphs).inside(width, 16)]


@pytest.mark.parametrize("width", [22, 28, 60])
def test_the_model_pane_has_a_block_for_each_network(width: int) -> None:
    lines = drawn(SNAPSHOT, width, ASCII)
    assert lines[0].split() == ["generator", "8", "noise"][: 3 if width > 22 else 2]
    assert lines[4].strip().startswith("discriminator")
    assert [line.strip("> ").split()[0][:4] for line in lines[1:8] if "discr" not in line] == ["dens"] * 6
    assert any(line.startswith("sgd of D") for line in lines) and all(len(line) <= width for line in lines)


def test_the_header_says_the_sizes_of_both() -> None:
    assert SNAPSHOT.model.sizes == "8-64-64-2 · 64-64-1"
    deep = view_of(load("gan-2d", ["adversary.noise=3"]))
    many = replace(deep, layers=(*deep.layers[:2], *deep.layers[1:], *deep.layers[-2:]))
    assert many.sizes == "3-64-…-2 · 64-64-…-1"


def test_the_loss_chart_begins_with_the_loss_of_each() -> None:
    assert families(["loss", "val_loss"])[0] is LOSS
    found = families(["loss", "generator_loss", "val_modes", "val_near"])
    assert found[0] is TWO and found[0].series == ("loss", "generator_loss")
    assert [family.title for family in found[1:]] == [
        "Loss of the discriminator", "Loss of the generator", "Modes covered", "Samples near a mode",
    ]  # fmt: skip


def test_live_settings_have_both_rates_and_the_layers_of_both() -> None:
    rows = {row.key: row.value for row in settings_of(replace(SNAPSHOT, settings=(("adversary.lr", 0.25),)))}
    assert (rows["lr"], rows["adversary.lr"], rows["adversary.momentum"]) == (0.002, 0.25, 0.5)
    assert {"dropout.generator.dense1", "dropout.discriminator.dense2"} <= rows.keys()
    assert not any("mix" in key for key in rows)
    with pytest.raises(ValueError, match=r"adversary\.lr: expected a number above 0"):
        read_value("adversary.lr", "0")


def test_long_names_give_way_in_what_their_layer_lies_in() -> None:
    assert fit_layer("discriminator.dense1", 10) == "d.dense1  "
    assert fit_layer("encoder.layers.0.linear1", 18) == "e.layers.0.linear1"
    assert fit_layer("encoder.layers.0.linear1", 14) == "e.l.0.linear1 "
    assert fit_layer("dense1", 4) == "den…"
    assert key_within("dropout.generator.dense1", 17) == "dropout.g.dense1"
    assert key_within("dropout.dense1", 17) == "dropout.dense1"


def test_where_the_networks_meet_the_formula_is_that_of_the_goal() -> None:
    assert formula_and_meaning("matrix", "gate", SNAPSHOT, 3)[0].endswith("= −2(1 − p)/p")
    minimax = Snapshot(model=view_of(load("gan-2d", ["adversary.goal=minimax"])))
    assert formula_and_meaning("ledger", "gate", minimax, 3)[0].endswith("= −2")
    assert "∂L_G/∂x̂" in formula_and_meaning("ledger", "delta", SNAPSHOT, 3)[0]
    assert "Wˡ⁺¹ᵀ" in formula_and_meaning("ledger", "delta", SNAPSHOT, 2)[0]
