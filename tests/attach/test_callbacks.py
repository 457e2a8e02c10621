"""The callbacks for Lightning and Hugging Face's Trainer, against the real packages (left out where they are not)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from observed import recorded

from bptui.runs.paths import runs_root

LIGHTNING = """
    import sys, torch
    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, TensorDataset

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        def training_step(self, batch, i):
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    def fit(callbacks):
        pl.seed_everything(1)
        data = TensorDataset(torch.randn(48, 4), torch.randint(0, 2, (48,)))
        module = Module()
        trainer = pl.Trainer(max_epochs=2, callbacks=callbacks, logger=False, enable_checkpointing=False,
                             enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
        trainer.fit(module, DataLoader(data, batch_size=8))
        return [p.detach().clone() for p in module.parameters()]

    from bptui.attach.lightning import BptuiCallback
    observed, bare = fit([BptuiCallback(probe_budget=1.0)]), fit([])
    assert all(torch.equal(a, b) for a, b in zip(observed, bare, strict=True))
"""

TRANSFORMERS = """
    import os, sys, bptui
    # In a checkout the folder datasets/ lies on the path and would be taken for the package of that name.
    root = os.path.dirname(os.path.dirname(bptui.__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != root]
    import torch
    from torch import nn
    from transformers import Trainer, TrainingArguments, set_seed

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 2)
        def forward(self, x, labels=None):
            logits = self.down(torch.relu(self.up(x)))
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def train(callbacks):
        set_seed(1)
        rows = [{"x": torch.randn(4), "labels": i % 2} for i in range(48)]
        arguments = TrainingArguments("out", num_train_epochs=2, per_device_train_batch_size=8, report_to=[],
                                      save_strategy="no", disable_tqdm=True, use_cpu=True)
        trainer = Trainer(Net(), arguments, train_dataset=rows, callbacks=callbacks)
        trainer.train()
        return [p.detach().clone() for p in trainer.model.parameters()]

    from bptui.attach.transformers import BptuiCallback
    observed, bare = train([BptuiCallback(probe_budget=1.0)]), train([])
    assert all(torch.equal(a, b) for a, b in zip(observed, bare, strict=True))
"""


def watched(program: str, folder: Path) -> dict[str, Any]:
    """The report of the run that the program's callback makes; the program must end well."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(program))
    before = set(runs_root().glob("*"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (run,) = set(runs_root().glob("*")) - before
    return recorded(run)


@pytest.mark.skipif(find_spec("lightning") is None, reason="lightning is not installed")
def test_lightning_is_watched_and_not_disturbed(tmp_path: Path) -> None:
    seen = watched(LIGHTNING, tmp_path)
    assert seen["steps"] == 12 and seen["exit"]["reason"] == "completed"
    assert {"net.0", "net.1", "net.2"} <= {row["name"] for row in seen["layers"]}
    assert seen["probes_off"] == []


@pytest.mark.skipif(
    find_spec("transformers") is None or find_spec("accelerate") is None, reason="transformers is not installed"
)
def test_a_hugging_face_trainer_is_watched_and_not_disturbed(tmp_path: Path) -> None:
    seen = watched(TRANSFORMERS, tmp_path)
    assert seen["steps"] == 12 and seen["exit"]["reason"] == "completed"
    assert {"up", "down"} <= {row["name"] for row in seen["layers"]}
    assert seen["probes_off"] == []
