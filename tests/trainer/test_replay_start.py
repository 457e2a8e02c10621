"""Where a replay begins: at a keyframe from which there is something to compare."""

from __future__ import annotations

from pathlib import Path

from test_replay import bptui, trained

from bptui.runs import keyframes


def test_the_keyframe_at_the_end_is_compared_and_not_begun_from(tmp_path: Path) -> None:
    run = trained(tmp_path, "digits", "--epochs", "1")
    assert keyframes.keyframes(run)[-1].step == 45
    for words in ((), ("--to", "45")):
        done = bptui(tmp_path, "replay", run.name, *words)
        assert done.returncode == 0, done.stderr
        assert "step 0 to 45: bit-exact (45 losses" in done.stdout
        assert " 0 tensors" not in done.stdout


def test_a_run_without_a_step_has_nothing_to_compare(tmp_path: Path) -> None:
    run = trained(tmp_path, "xor", "--steps", "0")
    for words in ((), ("--verify",)):
        done = bptui(tmp_path, "replay", run.name, *words)
        assert done.returncode == 2
        assert "nothing to compare" in done.stderr
