"""``python -m bptui.trainer RUN_DIR``: the trainer process, started by the hub."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from bptui.runs.info import read_info
from bptui.runs.ring import Record, Ring


def main(directory: Path) -> int:
    """Train the run that ``run.json`` describes; the exit status is that of the END record."""
    info = read_info(directory)
    ring = Ring(directory / "ring")
    ring.claim()
    from bptui.trainer.setup import SetupError, prepare

    # until there is a loop that can stop after a step, a signal just ends the process
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        setup = prepare(info)
    except SetupError as error:
        ring.set_state("FAILED")
        ring.write(Record.END, 0, json.dumps({"reason": "failed", "code": 2, "error": str(error)}).encode())
        return 2
    from bptui.trainer.loop import Trainer

    return Trainer(setup, info, ring, directory).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
