"""A look that cannot be answered is refused in one line, whatever is wrong; the training goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_inspect import Inspected, asked

from bptui.protocol import messages as m
from bptui.trainer import requests
from bptui.trainer.control import Asked
from bptui.trainer.inspect import CannotSee
from bptui.trainer.looks import _boundary

POOLED = """
[data]
source = "digits"
[[model]]
type = "max_pool"
[[model]]
type = "flatten"
[[model]]
type = "dense"
units = 10
[loss]
name = "cross_entropy"
[stop]
epochs = 1
"""


@pytest.mark.parametrize(
    ("request_", "name"),
    [(m.Look(kind="confusion"), "look"), (m.Lens(), "through_lens"), (m.Check(), "check"), (m.Ledger(), "see")],
)
def test_a_look_that_fails_is_refused_and_told_in_the_log(
    request_: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError("index 7 is out of bounds\nfor axis 0")

    driver = Inspected(tmp_path / "run", "numpy", [])
    replies: list[Any] = []
    monkeypatch.setattr(requests, name, broken)
    monkeypatch.setattr(driver.trainer.control, "reply", lambda link, message, body=b"": replies.append(message))
    requests.answer(driver.trainer, Asked(request_, None))  # type: ignore[arg-type]
    (refused,) = replies
    assert isinstance(refused, m.Refused) and refused.message == "IndexError: index 7 is out of bounds"
    assert "Traceback" in capsys.readouterr().err
    driver.ask(m.Step())
    assert driver.trainer.step == 1
    driver.close()


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_first_layer_without_parameters_has_no_delta_and_is_looked_at(engine: str, tmp_path: Path) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    (tmp_path / "pooled.toml").write_text(POOLED)
    driver = Inspected(tmp_path / "run", engine, [], str(tmp_path / "pooled.toml"))
    driver.ask(m.Step())
    errors = asked(driver, m.Shadow())[0].errors
    assert errors[:2] == (None, None) and errors[2] is not None
    rows = asked(driver, m.Ledger())[0].rows
    assert [(row.delta, row.upstream, row.gate) for row in rows[:2]] == [(None,) * 3] * 2
    sheet, _ = asked(driver, m.Sheet(layer=0, kind="gate"))
    assert sheet.note == "gate: max_pool1 has none: neither it nor what is before it learns"
    driver.close()


def test_tokens_have_no_boundary() -> None:
    tokens = np.arange(8, dtype=np.int64).reshape(4, 2)
    part = type("Part", (), {"x": tokens, "__len__": lambda self: len(tokens)})()
    data = SimpleNamespace(features=2, task="classification", name="made", train=part)
    trainer: Any = SimpleNamespace(setup=SimpleNamespace(data=data))
    with pytest.raises(CannotSee, match="made are tokens"):
        _boundary(trainer, m.Look(kind="boundary"), m.Look)  # type: ignore[arg-type]
